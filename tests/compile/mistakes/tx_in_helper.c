/* SPDX-License-Identifier: BSL-1.0 */
/* NOT caught: a helper that commits its caller's transaction */
#include "mistake.h"

int f(stoa_tx *tx);

int
f(stoa_tx *tx)
{
#ifdef MISTAKE
	quotes_put(tx, q, 1, (quote){1, 2});
	return stoa_tx_commit(tx);
#else
	quotes_put(tx, q, 1, (quote){1, 2});
	return stoa_tx_error(tx);
#endif
}
