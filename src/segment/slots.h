/* SPDX-License-Identifier: BSL-1.0 */
/* A table of slots in a caller's memory, as a segment without a heap. See slots.c. */
#ifndef STOAI_SEGMENT_SLOTS_H
#define STOAI_SEGMENT_SLOTS_H
#include "segment/seat.h"

/*
 * The memory [memory, memory + size) with its table at s: a handle, as of a segment; one
 * more if this process has it already. fd: of the file with its owner bytes, which file
 * names, and which the handle closes; also after a failure.
 */
int stoai_slots_open(stoa_slots *s, void *memory, uint64_t size, int fd,
	uint64_t file, stoa_segment **ret);

#endif
