/* SPDX-License-Identifier: BSL-1.0 */
/* field that does not exist */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	int64_t x;
} thing;
STOA_TYPE(thing, y);
#else
typedef struct thing {
	int64_t x;
} thing;
STOA_TYPE(thing, x);
#endif
