/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_SET in a read scope */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_READ(rd, seg);
	STOA_SET(rd, n->key, 1);
#else
	STOA_TX(tx, seg);
	STOA_SET(tx, n->key, 1);
	(void)!stoa_tx_commit(tx);
#endif
}
