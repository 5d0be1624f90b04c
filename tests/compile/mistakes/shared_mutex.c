/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_shared() of a mutex */
#include "mistake.h"

int f(const stoa_rwlock *l);

int
f(const stoa_rwlock *l)
{
#ifdef MISTAKE
	(void)l;
	STOA_TX(tx, seg, stoa_shared(&n->m));
	return stoa_tx_commit(tx);
#else
	(void)l;
	STOA_TX(tx, seg, stoa_shared(l));
	return stoa_tx_commit(tx);
#endif
}
