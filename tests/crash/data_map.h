/* SPDX-License-Identifier: BSL-1.0 */
/* A map of data.h, inlined where the suite wants it. No guard: once for each map. */
#ifdef DATA_INLINE
 #define STOA_INLINE
#endif
#include <stoa/template/hashmap.h>
