/* SPDX-License-Identifier: BSL-1.0 */
/* more than eight locks in one STOA_TX */
#include "mistake.h"

int f(const stoa_mutex *a);

int
f(const stoa_mutex *a)
{
#ifdef MISTAKE
	STOA_TX(tx, seg, a, a, a, a, a, a, a, a, a);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg, a, a, a, a, a, a, a, a);
	return stoa_tx_commit(tx);
#endif
}
