/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at commit's result */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	STOA_SET(tx, n->key, 1);
	stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	STOA_SET(tx, n->key, 1);
	if (stoa_tx_commit(tx))
		return;
#endif
}
