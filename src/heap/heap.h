/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap, as the layers above see it.
 *
 * A block is *transient* (allocated, reachable from its owner's stack alone: a
 * thread's death returns it) or *published* (owned by shared data). Blocks in a
 * thread's magazine are transient too, so a cache needs no rule of its own.
 *
 * Blocks are offsets from the segment's start. Alignment: at least 16 for sizes
 * of 16 and more. Contents of a fresh block are whatever was there.
 */
#ifndef STOAI_HEAP_HEAP_H
#define STOAI_HEAP_HEAP_H
#include "heap/format.h"
#include "segment/seat.h"

/* Bytes behind a seat for the magazines; seat->heap points there. */
size_t stoai_heap_seat_size(void);
void stoai_heap_seat_begin(struct stoai_seat *seat);

/* A fresh segment: table and metas for `size` bytes of heap, all of it free. */
int stoai_heap_format(stoa_segment *seg, uint64_t size);

/*
 * A transient block of at least `size` bytes (0 counts as 1), aligned to
 * `align` (a power of two up to 2 MiB). 0; -ENOSPC with a text that says which
 * limit was hit; -EBADMSG; -ENOTRECOVERABLE.
 */
int stoai_heap_alloc(struct stoai_seat *seat, uint64_t size, uint64_t align,
	uint64_t *ret);
/* Of this thread's own transient block: shared data owns it now. One store. */
void stoai_heap_publish(struct stoai_seat *seat, uint64_t off);
/* A published or transient block; by any thread. Not undone: see FREE in the log. */
int stoai_heap_free(struct stoai_seat *seat, uint64_t off);
/*
 * The free of a FREE record, for `slot`, which is the caller's own or a dead one
 * under recovery; made at most once though it may be asked for twice.
 */
int stoai_heap_free_logged(stoa_segment *seg, uint32_t slot, uint64_t off);
/* Undo of an ALLOC record for `slot`: the block is transient again (own: cached). */
void stoai_heap_unpublish(stoa_segment *seg, uint32_t slot, uint64_t off);

/* Bytes that may be used from off on, which is a block's start; 0: it is none. */
uint64_t stoai_heap_usable(stoa_segment *seg, uint64_t off);
/* The start of the allocated block that holds off; 0: there is none. */
uint64_t stoai_heap_block(stoa_segment *seg, uint64_t off);
/* All of [off, off + size) lies in spans that are in use. What rollback asks. */
bool stoai_heap_writable(stoa_segment *seg, uint64_t off, uint64_t size);

/* Give back what this thread caches and does not use: before a long sleep, -ENOSPC. */
void stoai_heap_relax(struct stoai_seat *seat);
/* At least `size` more bytes of heap, up to the limit. -ENOSPC with the reason. */
int stoai_heap_grow(struct stoai_seat *seat, uint64_t size);
/* Spans without a block back to the system; returns bytes, or < 0. */
int64_t stoai_heap_trim(struct stoai_seat *seat);
/* Death of `slot`: its transients are free, its spans anybody's. Takes no lock. */
int stoai_heap_recover(stoa_segment *seg, uint32_t slot);

struct stoai_heap_stat {
	uint64_t committed; /* bytes the heap may use now */
	uint64_t used;      /* bytes in blocks that shared data owns */
	uint64_t transient; /* bytes in blocks of threads: in use or cached */
	uint64_t blocks;    /* published */
};
void stoai_heap_statistics(stoa_segment *seg, struct stoai_heap_stat *ret);
/* Calls f for each published block, in address order; stops at != 0 and returns it. */
int stoai_heap_each(stoa_segment *seg,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user);
/* Every invariant of heap/README.md. 0, or -EBADMSG with the text "heap I3: ..." */
int stoai_heap_check(stoa_segment *seg);

#endif
