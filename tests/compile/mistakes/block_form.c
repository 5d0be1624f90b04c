/* SPDX-License-Identifier: BSL-1.0 */
/* taking STOA_TX for a block */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg) {
		STOA_SET(tx, n->key, 1);
	}
#else
	STOA_TX(tx, seg);
	{
		STOA_SET(tx, n->key, 1);
	}
	(void)!stoa_tx_commit(tx);
#endif
}
