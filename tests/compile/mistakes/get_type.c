/* SPDX-License-Identifier: BSL-1.0 */
/* following a reference into another type's pointer */
#include "mistake.h"

const quote *f(const stoa_tx *rd);

const quote *
f(const stoa_tx *rd)
{
#ifdef MISTAKE
	const quote *x = stoa_get(rd, n->next);

	return x;
#else
	const node *x = stoa_get(rd, n->next);

	return x && x->small ? quotes_get(rd, q, 1) : NULL;
#endif
}
