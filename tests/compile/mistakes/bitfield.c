/* SPDX-License-Identifier: BSL-1.0 */
/* STOA_SET of a bit-field */
#include "mistake.h"

struct flags {
	uint32_t some : 3;
	uint32_t all;
};

void f(stoa_tx *tx, const struct flags *b);

void
f(stoa_tx *tx, const struct flags *b)
{
#ifdef MISTAKE
	STOA_SET(tx, b->some, 1);
#else
	STOA_SET(tx, b->all, 1);
#endif
}
