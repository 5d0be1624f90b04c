/* SPDX-License-Identifier: BSL-1.0 */
/* The heap of a segment by size classes. See heap.c. */
#ifndef TOOLS_STOA_HEAP_H
#define TOOLS_STOA_HEAP_H
#include <jansson.h>
#include "segment/seat.h"

/* An array of {size, spans, blocks, used, transient, free}, classes in use only. */
json_t *heap_classes(stoa_segment *seg);

#endif
