/* SPDX-License-Identifier: BSL-1.0 */
/* The heap of a segment, counted in every way. See heap.c. */
#ifndef TOOLS_STOA_HEAP_H
#define TOOLS_STOA_HEAP_H
#include <jansson.h>
#include "segment/seat.h"
#include "stoa/heapstat.h"
#include "thread.h"

const char *heap_kind(stoa_heap_kind kind);
/* Bytes by what they are for, the most there was, what was refused. */
json_t *heap_statistics(stoa_segment *seg);
/* {kind, size, bytes, spans, blocks, used, transient, free}, classes in use only. */
json_t *heap_classes(stoa_segment *seg);
/* {slot, pid, tid, since_ms, slabs, bytes, used, transient, large} */
json_t *heap_slots(stoa_segment *seg);
/*
 * {type, blocks, bytes, lost}, and {offset, bytes}, the first 1024 of each. 0, or why
 * the segment cannot be walked.
 */
int heap_types(stoa_segment *seg, json_t **ret);
int heap_leaks(stoa_segment *seg, json_t **ret, uint64_t *ret_count);

#endif
