/* SPDX-License-Identifier: BSL-1.0 */
/* writing through an iterator */
/* says: read-only */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	for (quotes_iter it = quotes_begin(tx, q); quotes_next(&it);)
		it.val->bid = 1;
#else
	for (quotes_iter it = quotes_begin(tx, q); quotes_next(&it);)
		STOA_SET(tx, it.val->bid, 1);
#endif
}
