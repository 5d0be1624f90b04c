/* SPDX-License-Identifier: BSL-1.0 */
/* container of a type that is not described */
/* says: stoa_there_is_no_STOA_TYPE_for_plain */
#include "mistake.h"

#ifdef MISTAKE
typedef struct plain {
	int64_t a;
} plain;
#define STOA_NAME plains
#define STOA_VAL  plain
#include <stoa/template/vec.h>
#else
typedef struct plain {
	int64_t a;
} plain;
STOA_TYPE(plain, a);
#define STOA_NAME plains
#define STOA_VAL  plain
#include <stoa/template/vec.h>
#endif
