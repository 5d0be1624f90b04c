/* SPDX-License-Identifier: BSL-1.0 */
/* number as a string key */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	words_put(tx, w, 42, 1);
#else
	words_put(tx, w, "42", 1);
#endif
}
