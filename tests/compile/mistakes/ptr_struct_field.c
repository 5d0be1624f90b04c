/* SPDX-License-Identifier: BSL-1.0 */
/* pointer to a struct given as (field, type) */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	int64_t a;
	quote *p;
} thing;
STOA_TYPE(thing, a, (p, quote));
#else
typedef struct thing {
	int64_t a;
	quote p;
} thing;
STOA_TYPE(thing, a, (p, quote));
#endif
