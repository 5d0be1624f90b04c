/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_edit with another type's name */
/* says: this pointer is neither a quote * nor a const quote * */
#include "mistake.h"

int f(const other *p);

int
f(const other *p)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	quote *x = stoa_edit(tx, quote, p);
	x->bid = 1;
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	other *x = stoa_edit(tx, other, p);
	x->x = 1;
	return stoa_tx_commit(tx);
#endif
}
