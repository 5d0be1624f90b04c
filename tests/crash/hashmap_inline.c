/* SPDX-License-Identifier: BSL-1.0 */
/* The cases of hashmap.c with the maps' fast paths compiled in (STOA_INLINE). */
#define DATA_INLINE
#include "hashmap.c"
