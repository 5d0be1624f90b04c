/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at stoa_tx_wait's result */
#include "mistake.h"

int f(const stoa_cond *c);

int
f(const stoa_cond *c)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	stoa_tx_wait(tx, c, STOA_FOREVER);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	if (stoa_tx_wait(tx, c, STOA_FOREVER))
		return stoa_tx_error(tx);
	return stoa_tx_commit(tx);
#endif
}
