/* SPDX-License-Identifier: BSL-1.0 */
/* map without STOA_KEY */
/* says: #define STOA_NAME and STOA_KEY */
#include "mistake.h"

#ifdef MISTAKE
#define STOA_NAME more
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>
#else
#define STOA_NAME more
#define STOA_KEY  uint64_t
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>
#endif
