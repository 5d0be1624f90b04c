/* SPDX-License-Identifier: BSL-1.0 */
/* struct inside a struct with another type's name */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	quote x;
} thing;
STOA_TYPE(thing, (x, other));
#else
typedef struct thing {
	quote x;
} thing;
STOA_TYPE(thing, (x, quote));
#endif
