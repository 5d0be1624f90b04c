/* SPDX-License-Identifier: BSL-1.0 */
/* struct inside a struct without its type */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	quote x;
} thing;
STOA_TYPE(thing, x);
#else
typedef struct thing {
	quote x;
} thing;
STOA_TYPE(thing, (x, quote));
#endif
