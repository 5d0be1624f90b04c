/* SPDX-License-Identifier: BSL-1.0 */
/* A picture of the heap, by spans. See map.c. */
#ifndef TOOLS_STOA_MAP_H
#define TOOLS_STOA_MAP_H
#include <jansson.h>
#include <stdio.h>
#include "segment/seat.h"

/* {kind, first, count, offset, bytes, slot, size, blocks, used, transient, returned} */
json_t *map_rows(stoa_segment *seg);
/* Lines of out_line: a character a span, or as many as fit in 16 lines. */
void map_text(stoa_segment *seg);
/* A whole SVG document, readable without anything else. name: of the segment. */
void map_svg(stoa_segment *seg, const char *name, FILE *to);

#endif
