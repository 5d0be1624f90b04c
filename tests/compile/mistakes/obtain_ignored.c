/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at stoa_obtain's result */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	stoa_wish w = {};
	w.size = 100;
	STOA_TX(tx, seg);
	stoa_obtain(tx, &w);
	return stoa_tx_commit(tx);
#else
	stoa_wish w = {};
	w.size = 100;
	STOA_TX(tx, seg);
	if (stoa_obtain(tx, &w))
		return stoa_tx_fail(tx, -ENOSPC);
	return stoa_tx_commit(tx);
#endif
}
