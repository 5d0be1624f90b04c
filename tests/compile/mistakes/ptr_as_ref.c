/* SPDX-License-Identifier: BSL-1.0 */
/* pointer given as (field, type, ref) */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	int64_t a;
	quote *p;
} thing;
STOA_TYPE(thing, a, (p, quote, ref));
#else
typedef struct thing {
	int64_t a;
	STOA_REF(quote) p;
} thing;
STOA_TYPE(thing, a, (p, quote, ref));
#endif
