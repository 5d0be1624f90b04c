/* SPDX-License-Identifier: BSL-1.0 */
/* int instead of a fixed-width word as element */
/* says: STOA_VAL is int, long, size_t or the like */
#include "mistake.h"

#ifdef MISTAKE
#define STOA_NAME ints
#define STOA_VAL  int
#include <stoa/template/vec.h>
#else
#define STOA_NAME ints
#define STOA_VAL  int32_t
#include <stoa/template/vec.h>
#endif
