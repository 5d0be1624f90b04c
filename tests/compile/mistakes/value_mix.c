/* SPDX-License-Identifier: BSL-1.0 */
/* value of another type */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	quotes_put(tx, q, 1, (other){1});
#else
	quotes_put(tx, q, 1, (quote){1, 1});
#endif
}
