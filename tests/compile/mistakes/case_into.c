/* SPDX-License-Identifier: BSL-1.0 */
/* case label after a STOA_TX in the same switch */
#include "mistake.h"

int f(int x);

int
f(int x)
{
#ifdef MISTAKE
	switch (x) {
	case 0:;
		STOA_TX(tx, seg);
		return stoa_tx_commit(tx);
	case 1:
		return 2;
	default:
		return 0;
	}
#else
	switch (x) {
	case 0: {
		STOA_TX(tx, seg);
		return stoa_tx_commit(tx);
	}
	case 1:
		return 2;
	default:
		return 0;
	}
#endif
}
