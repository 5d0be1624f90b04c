/* SPDX-License-Identifier: BSL-1.0 */
/* reading a container without a scope, so without a lock */
#include "mistake.h"

int64_t f(void);

int64_t
f(void)
{
#ifdef MISTAKE
	const quote *x = quotes_get(seg, q, 1);

	return x ? x->bid : 0;
#else
	STOA_READ(rd, seg);
	const quote *x = quotes_get(rd, q, 1);

	return x ? x->bid : 0;
#endif
}
