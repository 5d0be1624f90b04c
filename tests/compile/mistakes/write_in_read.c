/* SPDX-License-Identifier: BSL-1.0 */
/* changing a container in a read scope */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_READ(rd, seg);
	quotes_put(rd, q, 1, (quote){1, 2});
#else
	STOA_TX(tx, seg);
	quotes_put(tx, q, 1, (quote){1, 2});
	(void)!stoa_tx_commit(tx);
#endif
}
