/* SPDX-License-Identifier: BSL-1.0 */
/* string as a number key */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	quotes_remove(tx, q, "x");
#else
	quotes_remove(tx, q, 1);
#endif
}
