/* SPDX-License-Identifier: BSL-1.0 */
/* a field of a struct that is not described */
/* says: stoa_there_is_no_STOA_TYPE_for_plain */
#include "mistake.h"

typedef struct plain {
	int64_t a;
} plain;
#ifndef MISTAKE
STOA_TYPE(plain, a);
#endif

typedef struct around {
	plain in;
} around;
STOA_TYPE(around, (in, plain));
