/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at stoa_tx_lock's result */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	stoa_tx_lock_mutex(tx, &n->m);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	if (stoa_tx_lock_mutex(tx, &n->m))
		return stoa_tx_error(tx);
	return stoa_tx_commit(tx);
#endif
}
