/* SPDX-License-Identifier: BSL-1.0 */
/* naming something that is no lock */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg, &n->key);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg, &n->m);
	return stoa_tx_commit(tx);
#endif
}
