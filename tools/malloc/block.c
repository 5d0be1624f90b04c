/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Blocks by address. A block is published as soon as it is handed out: any thread may
 * free it, and it outlives the thread that asked for it, in a fork's child too.
 *
 *	address                     is                        free
 *	in the early arena          early.c's                 nothing
 *	in the heap                 a block of the heap       the heap's
 *	anywhere else               a mistake                 abort
 *
 * The usual way, alloc and free of a thread's own small blocks, makes no call.
 */
#include "block.h"
#include <errno.h>
#include <sys/mman.h>
#include "early.h"
#include "os/os.h"
#include "private.h"

enum {
	ALIGN_HEAP = 2 << 20,    /* the most that the heap does by itself */
	ZERO_BY_PAGES = 1 << 18, /* from here on the system zeroes faster */
	PAGES_GO = 4 << 20       /* of larger blocks the pages go at free */
};

static uint64_t
offset(const void *p)
{
	return (uint64_t)((const char *)p - private_segment->base);
}

static bool
in_heap(const void *p)
{
	return private_segment && offset(p) < private_segment->size;
}

/* Whole pages of it: zero from now on, and the system's until they are touched. */
static void
pages_drop(char *p, size_t size)
{
	size_t page = stoai_os_page_size();
	uintptr_t from = stoai_align_up((uintptr_t)p, page);
	uintptr_t to = ((uintptr_t)p + size) & ~(page - 1);
	int before = errno;

	if (from < to && madvise((void *)from, to - from, MADV_DONTNEED))
		memset((void *)from, 0, to - from);
	errno = before;
}

/* ---- alloc ---- */

/* More alignment than the heap has: the part before the first such span goes back. */
static int
alloc_far(struct stoai_seat *seat, size_t size, size_t align, uint64_t *ret)
{
	stoa_segment *seg = private_segment;
	uint64_t span = UINT64_C(1) << seg->span_shift, off, before, spans, all;
	struct stoai_cached block;
	int rc;

	if (size > SIZE_MAX / 2 - align)
		return -ENOMEM;
	/* spans, and no slab's block */
	rc = stoai_heap_alloc(
		seat, stoai_max(size, span) + align, span, &block);
	if (rc)
		return rc;
	stoai_heap_publish(seat, block);
	off = block.off;
	*ret = offset(
		(void *)stoai_align_up((uintptr_t)stoai_at(seg, off), align));
	before = (*ret - off) >> seg->span_shift;
	if (!before || !stoai_heap_run(seg, off, &all))
		return 0;
	spans = all - before;
	rc = stoai_heap_split(seg, seat->index, off, before, spans);
	return rc ? rc : stoai_heap_free(seat, off);
}

static void *
alloc_entered(struct stoai_seat *seat, size_t size, size_t align)
{
	struct stoai_cached block;
	uint64_t off = 0;
	int rc = stoai_heap_alloc(
		seat, size, stoai_min(align, ALIGN_HEAP), &block);

	if (!rc) {
		stoai_heap_publish(seat, block);
		off = block.off;
		/* the mapping itself may be aligned to less than is asked for */
		if ((uintptr_t)stoai_at(private_segment, off) & (align - 1)) {
			(void)stoai_heap_free(seat, off);
			rc = alloc_far(seat, size, align, &off);
		}
	}
	if (rc == -EBADMSG)
		private_abort("the heap is damaged");
	return rc ? NULL : stoai_at(private_segment, off);
}

static __attribute__((noinline)) void *
alloc_slow(size_t size, size_t align)
{
	struct stoai_seat *seat;
	void *p;

	if (size > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	seat = private_enter();
	if (!seat) {
		p = early_alloc(size, align);
	} else {
		p = alloc_entered(seat, size, align);
		private_leave(seat);
	}
	if (!p)
		errno = ENOMEM;
	return p;
}

/* The class of so many bytes; class_count or more: none. */
static inline uint32_t
class_of(const struct stoai_cache *h, size_t size)
{
	return stoai_likely(size <= (size_t)STOAI_LUT * STOAI_BLOCK_MIN)
		       ? h->lut[(size - 1) >> 4]
		       : stoai_class_of(size);
}

void *
block_alloc(size_t size, size_t align)
{
	struct stoai_seat *seat = private_self.seat;
	struct stoai_cache *h;
	struct stoai_cached block;
	uint32_t index;

	size += !size;
	if (stoai_likely(seat && seat->heap && align <= STOAI_BLOCK_MIN)) {
		h = seat->heap;
		index = class_of(h, size);
		if (stoai_likely(
			    index < h->class_count &&
			    stoai_class_pop(h, &h->classes[index], &block))) {
			stoai_heap_publish(seat, block);
			return h->base + block.off;
		}
	}
	return alloc_slow(size, align);
}

void *
block_alloc_zero(size_t size)
{
	char *p = block_alloc(size, 1);
	size_t page;

	if (!p || early_has(p))
		return p;
	if (size < ZERO_BY_PAGES)
		return memset(p, 0, size);
	page = stoai_os_page_size(); /* a span is of whole pages */
	if ((uintptr_t)p & (page - 1))
		return memset(p, 0, size);
	pages_drop(p, size);
	memset(p + (size & ~(page - 1)), 0, size & (page - 1));
	return p;
}

/* ---- free ---- */

static __attribute__((noinline)) void
free_slow(void *p)
{
	struct stoai_seat *seat;
	int rc = -EINVAL;

	if (early_has(p))
		return;
	if (!in_heap(p))
		private_abort("free of what malloc did not give");
	seat = private_enter();
	if (!seat) /* inside: what the library frees is early; lost, not wrong */
		return;
	if (stoai_heap_usable(private_segment, offset(p)) >= PAGES_GO)
		pages_drop(p, stoai_heap_usable(private_segment, offset(p)));
	rc = stoai_heap_free(seat, offset(p));
	private_leave(seat);
	if (rc)
		private_abort(rc == -EINVAL ? "free of no block, or twice"
					    : "the heap is damaged");
}

/* A published small block of a slab of ours; anything else is slow's. */
void
block_free(void *p)
{
	struct stoai_seat *seat = private_self.seat;
	struct stoai_cache *h;
	struct stoai_own own;
	uint64_t off, pub;

	if (stoai_likely(seat && seat->heap)) {
		h = seat->heap;
		off = (uint64_t)((char *)p - h->base);
		if (stoai_likely(stoai_own_find(h, off, &own) &&
				 own.class->top != own.class->limit)) {
			pub = a64_load_relaxed(&own.bits->pub);
			if (stoai_likely(pub & own.bit &&
					 !(a64_load_relaxed(&own.bits->remote) &
						 own.bit))) {
				a64_store_kill(&own.bits->pub, pub & ~own.bit);
				stoai_class_push(h, &own, off);
				return;
			}
		}
	}
	free_slow(p);
}

/* ---- what there is ---- */

size_t
block_usable(const void *p)
{
	struct stoai_seat *seat = private_self.seat;
	struct stoai_own own;

	if (early_has(p))
		return early_usable(p);
	if (!in_heap(p))
		return 0;
	/* the bit: it may have been a slab, and be part of a large block now */
	if (stoai_likely(seat && seat->heap &&
			 stoai_own_find(seat->heap, offset(p), &own) &&
			 a64_load_relaxed(&own.bits->pub) & own.bit))
		return own.class->size;
	return stoai_heap_usable(private_segment, offset(p));
}

/* ---- longer and shorter in place: blocks of whole spans ---- */

static bool
grow(struct stoai_seat *seat, uint64_t off, uint64_t have, uint64_t want)
{
	uint64_t more = want - have;
	stoa_segment *seg = private_segment;

	if (stoai_heap_take_behind(seat, off, have, more, &more))
		return false;
	stoai_heap_publish(seat,
		(struct stoai_cached){off + (have << seg->span_shift), 0});
	return !stoai_heap_merge(seg, off, have, more);
}

static bool
shrink(struct stoai_seat *seat, uint64_t off, uint64_t have, uint64_t want)
{
	stoa_segment *seg = private_segment;

	return !stoai_heap_split(seg, seat->index, off, want, have - want) &&
	       !stoai_heap_free(seat, off + (want << seg->span_shift));
}

bool
block_resize(void *p, size_t size)
{
	size_t usable = block_usable(p), span;
	struct stoai_seat *seat;
	uint64_t off, have, want;
	bool done;

	if (size <= usable && (size >= usable / 2 || usable <= 64))
		return true;
	if (!in_heap(p) || size > PTRDIFF_MAX)
		return false;
	span = (size_t)1 << private_segment->span_shift;
	off = offset(p);
	if (size <= span / 2 || !stoai_heap_run(private_segment, off, &have))
		return false;
	want = stoai_align_up(size, span) >> private_segment->span_shift;
	if (want == have)
		return true;
	seat = private_enter();
	if (!seat)
		return false;
	done = want > have ? grow(seat, off, have, want)
			   : shrink(seat, off, have, want);
	private_leave(seat);
	return done;
}
