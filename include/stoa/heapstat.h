/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Whose memory, of which type, how much, since when? What is in the heap of a segment,
 * counted by size class, by slot and by type; how much there was at most; what was
 * refused and why; what nobody leads to. `stoa heap` shows the same.
 *
 *	stoa_heap_stat stat;
 *	stoa_heap_statistics(seg, &stat);
 *	if (stat.refused[STOA_LIMIT_PIECES])
 *		printf("%llu times too fragmented\n", ...);
 *
 * Every byte of the heap is in one of five sums:
 *
 *	size == used + transient + room + free + lost
 *
 * Guarantees: process-safe, thread-safe; nothing here changes a segment, and all but
 * types and leaks take no slot and no lock, also of a read-only mapping. Others work
 * meanwhile: what changes under the walk may be counted or not. What is refused, and
 * how much there was at most, stands in words of the segment that decide nothing: a
 * thread killed while it counts leaves one refusal out.
 */
#ifndef STOA_HEAPSTAT_H
#define STOA_HEAPSTAT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stoa/attr.h>
#include <stoa/segment.h>
STOA_BEGIN_DECLS

#define STOA_HEAP_NOBODY UINT32_MAX /* a slot that is none */

/* An allocation that failed for want of memory. */
typedef struct stoa_heap_refusal {
	stoa_segment_limit reason; /* STOA_LIMIT_NONE: none yet, or it is just written */
	uint64_t wanted;   /* bytes, as they were asked for */
	uint64_t when_ns;  /* CLOCK_REALTIME */
	uint32_t pid;      /* as that process knew itself */
	uint32_t slot;
} stoa_heap_refusal;

typedef struct stoa_heap_stat {
	uint64_t size;      /* bytes of heap now */
	uint64_t used;      /* in blocks that shared data owns */
	uint64_t transient; /* in blocks of threads: not yet linked, or cached */
	uint64_t room;      /* in free blocks of slabs; lent and not used */
	uint64_t free;      /* in free spans */
	uint64_t lost;      /* at the ends of slabs, where no block fits */
	uint64_t limit;     /* bytes it may have */
	uint64_t span_size;
	/*
	 * The most that there ever was. size_most is exact. taken_most: bytes of spans
	 * that were not free, counted when the heap had to grow, when an allocation was
	 * refused, and now; the true maximum lies between the two.
	 */
	uint64_t size_most, taken_most;
	uint64_t refused[STOA_LIMIT_MEMORY + 1]; /* by reason; [STOA_LIMIT_NONE]: all */
	stoa_heap_refusal last;
} stoa_heap_stat;
/*
 * Blocks: no. Cost: a walk over the spans and their bitmaps.
 * last is of one refusal; of two at the same moment it may be a mixture.
 */
void stoa_heap_statistics(const stoa_segment *seg, stoa_heap_stat *ret);

/* ---- the spans ---- */

typedef enum stoa_heap_kind {
	STOA_HEAP_FREE,  /* nobody's */
	STOA_HEAP_SLAB,  /* one span, cut into equal blocks */
	STOA_HEAP_LARGE, /* one block of whole spans */
	STOA_HEAP_LENT,  /* of whole spans, which the segment's own heap class divides */
	STOA_HEAP_DAMAGED
} stoa_heap_kind;

/* Where an iteration stands, and what lies there. */
typedef struct stoa_heap_span {
	const stoa_segment *segment_;
	uint64_t next_;
	stoa_heap_kind kind;
	uint64_t first, count;  /* spans, from 0 */
	uint64_t offset, bytes; /* of them in the segment */
	uint32_t slot;  /* whose slab, who has a large block that is not linked yet */
	uint64_t size;  /* bytes of a block; 0: they differ */
	uint64_t blocks, used, transient; /* blocks: all, shared data's, threads' */
	uint64_t used_bytes, transient_bytes, room_bytes; /* the rest is lost, or free */
	bool returned;  /* its pages were given back to the system */
} stoa_heap_span;
/* Each run of spans, in order of addresses. false: there are no more. */
stoa_heap_span stoa_heap_spans(const stoa_segment *seg);
bool stoa_heap_span_next(stoa_heap_span *it);

/* ---- by class, by slot ---- */

typedef struct stoa_heap_class_stat {
	stoa_heap_kind kind;
	uint64_t size;   /* bytes of a block; 0: they differ */
	uint64_t spans, bytes;
	uint64_t blocks, used, transient; /* blocks; the rest is free */
	uint64_t used_bytes, transient_bytes;
	uint64_t lost;   /* bytes at the ends of its slabs */
} stoa_heap_class_stat;
/* Slabs by size, then large blocks, what is lent, what is free; those that there are. Fills
 * up to room rows (43 are enough) and returns how many there would be. */
size_t stoa_heap_classes(
	const stoa_segment *seg, stoa_heap_class_stat *ret, size_t room);

typedef struct stoa_heap_slot_stat {
	uint32_t slot;     /* STOA_HEAP_NOBODY: slabs that nobody has any more */
	uint32_t pid, tid; /* as that process knew itself; 0: nobody is in the slot */
	uint64_t since_ns; /* attached since; CLOCK_MONOTONIC */
	uint64_t slabs, bytes; /* slabs it allocates from */
	uint64_t used;      /* bytes in them that shared data owns */
	uint64_t transient; /* bytes of blocks that are the thread's, in slabs and large */
	uint64_t large;     /* large blocks among those */
	uint64_t lane;      /* bytes of its log that are no part of the heap */
} stoa_heap_slot_stat;
/* As stoa_heap_classes; slots whose thread is attached or that own something. 257 rows
 * are enough. */
size_t stoa_heap_slots(
	const stoa_segment *seg, stoa_heap_slot_stat *ret, size_t room);

/* ---- by type, and by nobody ---- */

typedef struct stoa_heap_type_stat {
	char type[64]; /* "(library)": index and descriptions; "(leaked)": nobody's */
	uint64_t blocks, bytes;
	uint64_t lost; /* bytes of single objects' blocks beyond the objects */
} stoa_heap_type_stat;
/*
 * stoa_heap_types - whose blocks are they, by the type of what owns them?
 *
 * An object's block counts for its type; what a container or a string has, for the
 * container's. The rows are sorted, the most bytes first; all of them together are the
 * blocks that shared data owns. Fills up to room rows.
 *
 * Blocks:  as stoa_segment_leaked, whose walk it is.
 * Returns: how many rows there are, or < 0: -EINVAL, -ENOMEM, -EBADMSG, -EAGAIN, ...
 */
STOA_NODISCARD int64_t stoa_heap_types(
	stoa_segment *seg, stoa_heap_type_stat *ret, size_t room);

typedef struct stoa_heap_leak {
	uint64_t offset, bytes;
} stoa_heap_leak;
/* The blocks that stoa_segment_leaked counts, in order of addresses. As above. */
STOA_NODISCARD int64_t stoa_heap_leaks(
	stoa_segment *seg, stoa_heap_leak *ret, size_t room);

/* ---- who allocates: a profile ---- */

typedef enum stoa_heap_profile_format {
	STOA_PROFILE_LIVE,      /* collapsed stacks with bytes that are there: flamegraph */
	STOA_PROFILE_ALLOCATED, /* the same with all bytes since it began */
	STOA_PROFILE_PPROF      /* pprof's text format of heaps, both */
} stoa_heap_profile_format;
/*
 * stoa_heap_profile_start - from now on, allocations of this process in seg are sampled
 * with the stack that made them: one for every `bytes` bytes on average (0: 512 KiB; 1:
 * each allocation). Beginning with none.
 *
 * What transactions allocate is sampled: stoa_new, stoa_alloc and their like, and what
 * containers need. Blocks that others free are found to be gone when it is written. All
 * of it is this process's memory; a fork child has no profile. Compile with
 * -fno-omit-frame-pointer or unwind tables, and link with -rdynamic for names.
 *
 * Cost: one test an allocation and a free while it is off; about a microsecond a sample.
 * Returns: 0, -EINVAL, -ENOMEM, -ENOTSUP (this libc has no backtrace).
 */
STOA_NODISCARD int stoa_heap_profile_start(stoa_segment *seg, uint64_t bytes);
/* Samples no more; what there is stays to be written, and is not kept up to date. */
void stoa_heap_profile_stop(stoa_segment *seg);
/*
 * What was sampled, scaled up to all that was allocated. Also while it is on.
 * Returns: 0, -EINVAL (nothing was ever started), -EIO (out).
 */
STOA_NODISCARD int stoa_heap_profile_write(
	stoa_segment *seg, stoa_heap_profile_format format, FILE *out);

STOA_END_DECLS
#endif
