/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_TX as the only statement of an if */
#include "mistake.h"

void f(int x);

void
f(int x)
{
#ifdef MISTAKE
	if (x)
		STOA_TX(tx, seg);
#else
	if (x) {
		STOA_TX(tx, seg);
		(void)!stoa_tx_commit(tx);
	}
#endif
}
