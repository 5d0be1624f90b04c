/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_LINK to an object of another type */
#include "mistake.h"

int f(const other *o);

int
f(const other *o)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	STOA_LINK(tx, n->next, o);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	STOA_LINK(tx, n->o, o);
	return stoa_tx_commit(tx);
#endif
}
