/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_delete with another type's name */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	stoa_delete(tx, quote, n);
#else
	stoa_delete(tx, node, n);
#endif
}
