/* SPDX-License-Identifier: BSL-1.0 */
/* two STOA_TX of one name in a block */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	if (stoa_tx_commit(tx))
		return 1;
	STOA_TX(tx, seg);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	if (stoa_tx_commit(tx))
		return 1;
	STOA_TX(tx2, seg);
	return stoa_tx_commit(tx2);
#endif
}
