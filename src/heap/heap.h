/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap, as the layers above see it.
 *
 * A block is *transient* (allocated, reachable from its owner's stack alone: a
 * thread's death returns it) or *published* (owned by shared data). Blocks in a
 * thread's cache are transient too, so a cache needs no rule of its own.
 * A transient block is its thread's alone: publish before you hand it over.
 *
 * Blocks are offsets from the segment's start, and so is their alignment: at
 * least 16; beyond the page size an address is aligned only as the mapping is.
 * Contents of a fresh block are whatever was there.
 */
#ifndef STOAI_HEAP_HEAP_H
#define STOAI_HEAP_HEAP_H
#include "heap/cache.h"
#include "heap/format.h"
#include "segment/seat.h"

/* Bytes of one span's meta; 0: no heap has such spans. */
uint32_t stoai_heap_meta_stride(uint32_t span_shift);

/* A fresh seat; STOAI_HEAP_SEAT_SIZE zero bytes at seat->heap. */
void stoai_heap_seat_begin(struct stoai_seat *seat);

/* A fresh segment: table and metas for `size` bytes of heap, all of it free. */
int stoai_heap_format(stoa_segment *seg, uint64_t size);

/* -EINVAL with a text: no power of two up to STOAI_ALIGN_MAX. */
int stoai_heap_align_check(const stoa_segment *seg, uint64_t align);
int stoai_heap_alloc_slow(struct stoai_seat *seat, uint64_t size,
	uint64_t align, struct stoai_cached *ret);
int stoai_heap_free_slow(struct stoai_seat *seat, uint64_t off);
void stoai_heap_publish_run(struct stoai_seat *seat, uint64_t off);

/*
 * A transient block of at least `size` bytes (0 counts as 1), aligned to
 * `align` (a power of two up to 2 MiB); publishing wants it as it is here. 0;
 * -ENOSPC with a text that says which limit was hit; -EINVAL (align); -EBADMSG;
 * or what stoai_lock returns.
 */
static inline int
stoai_heap_alloc(struct stoai_seat *seat, uint64_t size, uint64_t align,
	struct stoai_cached *ret)
{
	struct stoai_cache *h = seat->heap;
	struct stoai_cached
		slow; /* its address is known; *ret can be registers */
	int rc;

	if (stoai_likely(size - 1 < (uint64_t)STOAI_LUT * STOAI_BLOCK_MIN &&
			 align - 1 < STOAI_BLOCK_MIN)) {
		struct stoai_class *c = &h->classes[h->lut[(size - 1) >> 4]];

		if (stoai_likely(stoai_class_pop(h, c, ret)))
			return 0;
	}
	rc = stoai_heap_alloc_slow(seat, size, align, &slow);
	if (!rc)
		*ret = slow;
	return rc;
}

/*
 * Zeros, in a block that this thread has just been given, or in the spans by which
 * one got longer: not of a heap class. Where nobody ever had the memory they are
 * there already, and its pages stay untouched.
 */
void stoai_heap_clear(struct stoai_seat *seat, uint64_t off, uint64_t size);

/*
 * Of this thread's own transient block, as it was allocated: shared data owns it now.
 * One store. A run's place is 0.
 */
static inline void
stoai_heap_publish(struct stoai_seat *seat, struct stoai_cached block)
{
	struct stoai_bits *bits;

	if (stoai_unlikely(!block.place)) {
		stoai_heap_publish_run(seat, block.off);
		return;
	}
	bits = stoai_place_bits(seat->heap, block.place);
	a64_store_kill(&bits->pub,
		a64_load_relaxed(&bits->pub) | stoai_place_bit(block.place));
}

/* The same for many, in any order: one store for neighbours in a word of bits. */
void stoai_heap_publish_many(
	struct stoai_seat *seat, size_t n, const struct stoai_cached *block);

/*
 * A published block of anybody's, or a transient one of this thread's. Not
 * undone: see FREE in the log. -EINVAL: nothing of the kind begins there; freed
 * already; another thread's transient.
 */
static inline int
stoai_heap_free(struct stoai_seat *seat, uint64_t off)
{
	struct stoai_cache *h = seat->heap;
	struct stoai_own own;
	uint64_t pub;

	if (stoai_unlikely(!stoai_own_find(h, off, &own) ||
			   !(a64_load_relaxed(&own.bits->alloc) & own.bit) ||
			   own.class->top == own.class->limit))
		return stoai_heap_free_slow(seat, off);
	pub = a64_load_relaxed(&own.bits->pub);
	if (pub & own.bit) {
		if (stoai_unlikely(
			    a64_load_relaxed(&own.bits->remote) & own.bit))
			return stoai_heap_free_slow(seat, off);
		a64_store_kill(&own.bits->pub, pub & ~own.bit);
	} else if (stoai_unlikely(stoai_maybe_cached(h, &own, off))) {
		return stoai_heap_free_slow(seat, off);
	}
	stoai_class_push(h, &own, off);
	return 0;
}

/*
 * The free of a FREE record, for `slot`, which is the caller's own or a dead one
 * under recovery. Under the recycle barrier: slot.freeing = off; the free; *done =
 * next; slot.freeing = 0. Asked again after a death it repeats that one free and
 * no other. -EINVAL as stoai_heap_free; *done has moved all the same.
 */
int stoai_heap_free_logged(stoa_segment *seg, uint32_t slot, uint64_t off,
	uint64_t *done, uint64_t next);
/*
 * Undo of an ALLOC record for `slot`, which is the caller's own (the block is
 * cached) or a dead one (it is transient again). A block that is not the slot's
 * is let alone: the undo was made before.
 */
void stoai_heap_unpublish(stoa_segment *seg, uint32_t slot, uint64_t off);

/*
 * Two large blocks side by side, of n and k spans, both owned by shared data,
 * become one, or one becomes two (resize.c). Each undoes the other, and may be
 * repeated from its top after a death. slot: whose the second part is then, so
 * that the undo of its allocation finds it. -EBADMSG: no such blocks are there.
 */
int stoai_heap_merge(stoa_segment *seg, uint64_t off, uint64_t n, uint64_t k);
int stoai_heap_split(
	stoa_segment *seg, uint32_t slot, uint64_t off, uint64_t n, uint64_t k);
/* Is it a large block that shared data owns, and of how many spans? */
bool stoai_heap_run(stoa_segment *seg, uint64_t off, uint64_t *ret_spans);
/*
 * A transient block of *spans spans, and at least `least`, right behind the large
 * one of n spans at off, or right in front of it, where it begins at a multiple of
 * align. -EAGAIN: no such; *spans is what there is.
 */
int stoai_heap_take_behind(struct stoai_seat *seat, uint64_t off, uint64_t n,
	uint64_t least, uint64_t *spans);
int stoai_heap_take_before(struct stoai_seat *seat, uint64_t off,
	uint64_t least, uint64_t align, uint64_t *spans);

/*
 * Memory that an algorithm divides (lent.c): from `from` to `end`; `map` is where
 * its run begins, with a map of the blocks.
 */
struct stoai_lent {
	uint64_t map, from, end;
};
/* Bytes of a run of which an algorithm is to have `size`. */
uint64_t stoai_heap_lent_need(uint64_t size);
/* A fresh transient run: nothing is in it, says its map. */
void stoai_heap_lent_clear(stoa_segment *seg, uint64_t off);
/* Shared data's large block at off, which nobody knows yet, is lent from now on. */
void stoai_heap_lend(stoa_segment *seg, uint64_t off, struct stoai_lent *ret);
/* Is there lent memory at off? */
bool stoai_heap_lent(stoa_segment *seg, uint64_t off, struct stoai_lent *ret);
/*
 * The next run from span *at on, as of now, that is lent and in which the map knows
 * no block; *at moves behind it. False: there is none.
 */
bool
stoai_heap_lent_unused(stoa_segment *seg, uint64_t *at, struct stoai_lent *ret);
/* The word of the map that is for off, and where in it. */
static inline uint64_t
stoai_lent_word(const struct stoai_lent *lent, uint64_t off, unsigned *shift)
{
	*shift = (unsigned)((off - lent->map) / STOAI_LENT_GRAIN % 32 * 2);
	return lent->map + (off - lent->map) / STOAI_LENT_WORD * 8;
}

/* Bytes that may be used from off on, which is a block's start; 0: it is none. */
uint64_t stoai_heap_usable(stoa_segment *seg, uint64_t off);
/* The start of the allocated block that holds off; 0: there is none. */
uint64_t stoai_heap_block(stoa_segment *seg, uint64_t off);
/* All of [off, off + size) lies in spans that are in use. What rollback asks. */
bool stoai_heap_writable(stoa_segment *seg, uint64_t off, uint64_t size);

/* Give back what this thread caches and does not use: before a long sleep. */
void stoai_heap_relax(struct stoai_seat *seat);
/* At least `size` more bytes of heap, up to the limit. -ENOSPC with the reason. */
int stoai_heap_grow(struct stoai_seat *seat, uint64_t size);
/*
 * Spans without a block back to the system; returns bytes, or < 0. A reader that
 * takes no lock and follows an old link into such a span finds zeros, for which
 * the system needs a page: not for segments whose file system may be full.
 */
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
struct stoai_heap_room {
	uint64_t largest; /* bytes of the largest block that could be had */
	uint64_t
		largest_max; /* the same, when the heap has grown to its limit */
};
void stoai_heap_room(stoa_segment *seg, struct stoai_heap_room *ret);
/*
 * All free bytes are zero, but those of slabs and caches of other threads; returns
 * how many these are, or < 0. Not inside a transaction: the rest of the log goes.
 */
int64_t stoai_heap_zero(struct stoai_seat *seat);
/* Calls f for each published block, in address order; stops at != 0 and returns it. */
int stoai_heap_each(stoa_segment *seg,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user);
/* Every invariant of heap/README.md. 0, or -EBADMSG with the text "heap I3: ..." */
int stoai_heap_check(stoa_segment *seg);

#endif
