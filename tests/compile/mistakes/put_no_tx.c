/* SPDX-License-Identifier: BSL-1.0 */
/* changing a container without a transaction */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	quotes_put(seg, q, 1, (quote){1, 2});
#else
	(void)!STOA_DO(tx, seg, quotes_put(tx, q, 1, (quote){1, 2}));
#endif
}
