/* SPDX-License-Identifier: BSL-1.0 */
/* one container's function on another container */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	quotes_remove(tx, os, 1);
#else
	others_remove(tx, os, 1);
#endif
}
