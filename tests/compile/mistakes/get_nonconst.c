/* SPDX-License-Identifier: BSL-1.0 */
/* keeping get()'s result in a writable pointer */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	quote *x = quotes_get(tx, q, 1);
	if (x)
		x->bid = 3;
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	quote *x = quotes_edit(tx, q, 1);
	if (x)
		x->bid = 3;
	return stoa_tx_commit(tx);
#endif
}
