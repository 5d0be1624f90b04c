/* SPDX-License-Identifier: BSL-1.0 */
/* elements with locks in a container that moves them */
/* says: must not change: #define STOA_BOXED */
#include "mistake.h"

#ifdef MISTAKE
#define STOA_NAME nodes
#define STOA_VAL  node
#include <stoa/template/vec.h>
#else
#define STOA_NAME nodes
#define STOA_VAL  node
#define STOA_BOXED
#include <stoa/template/vec.h>
#endif
