/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_SET of a text longer than its array */
#include "mistake.h"

void f(stoa_tx *tx);

void
f(stoa_tx *tx)
{
#ifdef MISTAKE
	STOA_SET(tx, n->name, "longer than eight");
#else
	STOA_SET(tx, n->name, "short");
#endif
}
