/* SPDX-License-Identifier: BSL-1.0 */
/* size_t and two words, instead of a fixed-width word, as key and value */
/* says: STOA_KEY is int, long, size_t or the like */
#include "mistake.h"

#ifdef MISTAKE
#define STOA_NAME sizes
#define STOA_KEY  size_t
#define STOA_VAL  unsigned long
#include <stoa/template/hashmap.h>
#else
#define STOA_NAME sizes
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#endif
