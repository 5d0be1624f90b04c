/* SPDX-License-Identifier: BSL-1.0 */
/* pointer in a described struct */
/* says: means nothing in another process */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	int64_t a;
	char *p;
} thing;
STOA_TYPE(thing, a, p);
#else
typedef struct thing {
	int64_t a;
	stoa_str p;
} thing;
STOA_TYPE(thing, a, p);
#endif
