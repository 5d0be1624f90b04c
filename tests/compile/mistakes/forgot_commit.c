/* SPDX-License-Identifier: BSL-1.0 */
/* a STOA_TX without any commit (with -DSTOA_LINT) */
#define STOA_LINT
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	quotes_put(tx, q, 1, (quote){1, 2});
#else
	STOA_TX(tx, seg);
	quotes_put(tx, q, 1, (quote){1, 2});
	if (stoa_tx_commit(tx))
		return;
#endif
}
