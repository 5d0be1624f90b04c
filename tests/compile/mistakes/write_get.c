/* SPDX-License-Identifier: BSL-1.0 */
/* writing through what get() returned */
/* says: read-only */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	const quote *x = quotes_get(tx, q, 1);
	if (x)
		x->bid = 3;
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	const quote *x = quotes_get(tx, q, 1);
	if (x)
		STOA_SET(tx, x->bid, 3);
	return stoa_tx_commit(tx);
#endif
}
