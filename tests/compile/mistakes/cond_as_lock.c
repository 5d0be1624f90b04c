/* SPDX-License-Identifier: BSL-1.0 */
/* naming a condition as a lock */
#include "mistake.h"

int f(const stoa_cond *c, const stoa_mutex *l);

int
f(const stoa_cond *c, const stoa_mutex *l)
{
#ifdef MISTAKE
	(void)l;
	STOA_TX(tx, seg, c);
	return stoa_tx_commit(tx);
#else
	(void)c;
	STOA_TX(tx, seg, l);
	return stoa_tx_commit(tx);
#endif
}
