/* SPDX-License-Identifier: BSL-1.0 */
/* function pointer in a described struct */
/* says: means nothing in another process */
#include "mistake.h"

#ifdef MISTAKE
typedef struct thing {
	int64_t a;
	void (*p)(void);
} thing;
STOA_TYPE(thing, a, p);
#else
typedef struct thing {
	int64_t a;
	uint32_t p;
} thing;
STOA_TYPE(thing, a, p);
#endif
