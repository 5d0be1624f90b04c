/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_edit of a struct that holds a lock */
/* says: holds a lock */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	node *x = stoa_edit(tx, node, n);
	x->key = 1;
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	STOA_SET(tx, n->key, 1);
	return stoa_tx_commit(tx);
#endif
}
