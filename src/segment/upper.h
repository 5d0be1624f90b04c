/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Recovery reaches up without an upward include: what the layers above do for a
 * dead slot stands in one constant table. tx/upper.c defines it; every process
 * links all of it, so any process can recover any other.
 */
#ifndef STOAI_SEGMENT_UPPER_H
#define STOAI_SEGMENT_UPPER_H
#include "segment/log.h"
#include "segment/seat.h"

struct stoai_upper {
	size_t self_size; /* bytes behind struct stoai_self */
	size_t seat_size; /* bytes behind struct stoai_seat: the heap's part */
	/* before the first segment of a process; -ENOMEM with a text */
	int (*process_begin)(void);
	/* the mapping goes: what the local handle holds for the layers above */
	void (*segment_end)(stoa_segment *seg);
	/* the thread ends: what its self holds beside the page itself */
	void (*self_end)(struct stoai_self *self);
	/* a fresh seat's part behind it is zero; the lane is open and empty */
	void (*seat_begin)(struct stoai_seat *seat);
	/* last look at the calling thread's own seat before its recovery */
	void (*seat_end)(struct stoai_seat *seat);
	/*
	 * The steps of recovery, in this order, each restartable from its top at
	 * any instruction, none taking a lock. 0, or an error that quarantines.
	 */
	int (*lane)(stoa_segment *seg, uint32_t slot);  /* undo, or finish */
	int (*heap)(stoa_segment *seg, uint32_t slot);  /* transients, spans */
	int (*locks)(stoa_segment *seg, uint32_t slot); /* release, wake */
	/* bytes of a span's meta, for spans of 1 << span_shift bytes */
	uint32_t (*meta_stride)(uint32_t span_shift);
	/* a fresh segment: heap of `size` bytes, root object; before it has a name */
	int (*format)(stoa_segment *seg, uint64_t size);
	/* one that is there: can this process use it? 0, -ENOTSUP: without its classes */
	int (*opened)(stoa_segment *seg, const struct stoa_index_class *index,
		const struct stoa_heap_class *heap);
	/* more heap, at least so many bytes; 0 or -ENOSPC with a text */
	int (*grow)(struct stoai_seat *seat, uint64_t size);
	/* what is free to the system; bytes, or < 0 with a text */
	int64_t (*trim)(struct stoai_seat *seat);
};

extern const struct stoai_upper stoai_upper;

#endif
