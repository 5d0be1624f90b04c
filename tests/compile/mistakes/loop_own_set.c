/* SPDX-License-Identifier: BSL-1.0 */
/* NOT caught: a loop that ends only by its own STOA_SETs */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	while (n->key)
		STOA_SET(tx, n->key, n->key - 1);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	while (n->key && STOA_SET(tx, n->key, n->key - 1))
		;
	return stoa_tx_commit(tx);
#endif
}
