/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The typed log of a lane. Records are multiples of 8 bytes, walked both ways:
 *
 *	head     kind << 60 | length << 44 | offset
 *	payload  SAVE: `length` old bytes of [offset, +length), padded to 8;
 *	         MERGE, SPLIT: two words; TAKEN, DROPPED: one
 *	size     bytes of the whole record
 *
 *	SAVE   undo: put the bytes back
 *	ALLOC  offset: a block now owned by shared data; undo: it is transient again
 *	FREE   offset: commit frees the block
 *	WAKE   offset: a condition; length 1: one waiter, else all; commit wakes
 *	MERGE  offset: large blocks of `first` and `second` spans become one;
 *	       undo: two again
 *	SPLIT  the other way round
 *	TAKEN  offset: a block that an algorithm gave (tx/own.c), payload its size;
 *	       undo: no lock in it is held any more
 *	DROPPED  the same, of one that commit gives back to it
 *	NEXT   offset: the log goes on in the chunk there (its first record is LINK)
 *	LINK   offset: where the cursor stood in the chunk before
 *
 * A record counts when the cursor is moved behind it, by one store. The first
 * chunk is the lane itself; more are transient blocks, so death frees them.
 */
#ifndef STOAI_SEGMENT_LOG_H
#define STOAI_SEGMENT_LOG_H
#include "segment/seat.h"

enum stoai_log_kind {
	STOAI_LOG_SAVE = 1,
	STOAI_LOG_ALLOC,
	STOAI_LOG_FREE,
	STOAI_LOG_WAKE,
	STOAI_LOG_NEXT,
	STOAI_LOG_LINK,
	STOAI_LOG_MERGE,
	STOAI_LOG_SPLIT,
	STOAI_LOG_TAKEN,
	STOAI_LOG_DROPPED
};

enum {
	STOAI_LOG_FIXED = 16, /* head and size */
	STOAI_LOG_PAIR = 16,  /* bytes of payload of MERGE and SPLIT */
	STOAI_LOG_SAVE_MAX =
		32768 /* bytes of one SAVE; longer ones are split */
};

#define STOAI_LOG_OFFSET ((UINT64_C(1) << 44) - 1)

static inline uint64_t
stoai_log_head(enum stoai_log_kind kind, uint32_t length, uint64_t off)
{
	return (uint64_t)kind << 60 | (uint64_t)(length & 0xffff) << 44 | off;
}

/* Bytes between head and size. */
static inline uint64_t
stoai_log_payload(uint64_t head)
{
	uint64_t kind = head >> 60;

	return kind == STOAI_LOG_SAVE || kind >= STOAI_LOG_MERGE
		       ? stoai_align_up(head >> 44 & 0xffff, 8)
		       : 0;
}

/* where a lane's log begins, as an offset from the segment's start */
static inline uint64_t
stoai_log_start(const stoa_segment *seg, uint32_t slot)
{
	return seg->lanes_off + (uint64_t)slot * seg->lane_stride +
	       STOAI_LANE_LOG;
}

static inline uint64_t
stoai_log_lane_end(const stoa_segment *seg, uint32_t slot)
{
	return seg->lanes_off + ((uint64_t)slot + 1) * seg->lane_stride - 16;
}

#endif
