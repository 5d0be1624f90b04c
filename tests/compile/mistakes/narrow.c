/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_SET of a value that does not fit */
#include "mistake.h"

void f(stoa_tx *tx, uint32_t v);

void
f(stoa_tx *tx, uint32_t v)
{
#ifdef MISTAKE
	STOA_SET(tx, n->small, v);
#else
	STOA_SET(tx, n->small, (uint16_t)v);
#endif
}
