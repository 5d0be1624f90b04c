/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where is the first free run that is long enough? In logarithmic time; a hint.
 *
 *	chunk            64 spans of the table
 *	longest          of a chunk: no free run that begins in it is longer
 *	longest_above    of 2, 4, 8 .. chunks: the larger of its halves'
 *
 *	         [        9        ]        longest_above of chunk 2, for chunks 0..3
 *	         [   5   ][   9    ]                      of chunks 1 and 3
 *	longest    0   5    9    2
 *
 * They lie in the metas: a chunk's in that of its first span, and of each number
 * of chunks in that of its second half's first. So a node's chunk says its level.
 * What a node is for may reach beyond the heap's end, but not lie there: it is as
 * its left half then.
 *
 * Only who holds the heap lock writes them. Who frees takes no lock: he sets a bit
 * for the chunk, and one in the header for the bits; the next search asks there.
 *
 * Nothing relies on it. Too large a number costs a look at 64 words, too small a
 * one hides a run: that happens when somebody dies between the table's word and
 * this. So before anything else is tried all is forgotten, and looked at again.
 */
#ifndef STOAI_HEAP_LONGEST_H
#define STOAI_HEAP_LONGEST_H
#include "heap/span.h"

enum {
	STOAI_CHUNK_SHIFT = 6,
	STOAI_CHUNK = 1 << STOAI_CHUNK_SHIFT /* spans */
};

#define STOAI_NO_CHUNK UINT64_MAX
#define STOAI_UNKNOWN  UINT64_MAX

/* Any thread: the run that begins there was freed. After its word says so. */
void stoai_longest_freed(stoa_segment *seg, uint64_t span);

/* ---- under the heap lock ---- */

/* What was freed since the last time may be of any length. */
void stoai_longest_gather(stoa_segment *seg);
/* A free run of that length, or of one that is not known, begins there. */
void stoai_longest_raise(stoa_segment *seg, uint64_t span, uint64_t length);
/* No free run that begins in the chunk is longer. */
void stoai_longest_set(stoa_segment *seg, uint64_t chunk, uint64_t length);
/* The first chunk from `chunk` on where so long a one may begin. */
uint64_t stoai_longest_find(stoa_segment *seg, uint64_t chunk, uint64_t length);
/* Everything may be anywhere. One store a chunk. */
void stoai_longest_forget(stoa_segment *seg);
/* The heap had `from` spans, and has more now: one free run. */
void stoai_longest_grown(stoa_segment *seg, uint64_t from);

#endif
