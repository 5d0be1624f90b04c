/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Allocation, when the cache has nothing: where does a class get more blocks?
 *
 *	1  one word of its current slab: up to 64 blocks by one store
 *	2  harvest: what others freed in that slab
 *	3  another slab of ours: hinted, or met on a short walk over the table, which
 *	   also meets slabs that the dead left
 *	4  a free span
 *	5  the same walk, to its end; then whatever supply.c can do
 *	6  a block of the next larger classes: better than none
 *
 * Larger blocks are runs of whole spans.
 */
#include "heap/heap.h"
#include "heap/stack.h"
#include "heap/supply.h"

enum {
	SEARCH_SHORT =
		48, /* table words looked at before a free span is taken */
	LARGER_CLASSES = 8 /* two doublings */
};

/* ---- the seat ---- */

/*
 * How much one class may cache: 64 KiB, and not more than a span, so that a thread
 * cannot swallow a small segment.
 */
static uint64_t
cache_bytes(uint32_t span_shift)
{
	uint64_t span = UINT64_C(1) << span_shift;

	return span_shift < 14 ? span / 2 : span;
}

static struct stoai_cached *
class_begin(struct stoai_cache *h, uint32_t index, struct stoai_cached *stack)
{
	struct stoai_class *c = &h->classes[index];
	uint64_t size = stoai_class_size(index);
	uint64_t most =
		stoai_min(cache_bytes(h->span_shift) / size, STOAI_STACK_MAX);

	most = stoai_max(most, 1);
	c->index = index;
	c->size = (uint32_t)size;
	c->reciprocal = (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size);
	c->blocks = (uint32_t)((UINT64_C(1) << h->span_shift) / size);
	c->words = stoai_words(c->blocks);
	c->take = (uint32_t)stoai_min(most, 64);
	c->current = STOAI_NO_SPAN;
	c->bottom = c->top = stack;
	c->limit = stack + most;
	STOA_ASSERT(c->limit <= h->stacks + STOAI_STACKS);
	return c->limit;
}

void
stoai_heap_seat_begin(struct stoai_seat *seat)
{
	struct stoai_cache *h = seat->heap;
	stoa_segment *seg = seat->seg;
	struct stoai_cached *stack = h->stacks;

	h->base = seg->base;
	h->metas = seg->base + seg->meta_off;
	h->heap_off = seg->heap_off;
	h->heap_size = stoai_span_count(seg) << seg->span_shift;
	h->key = UINT64_C(0x9e3779b97f4a7c15) * seat->word;
	h->span_shift = seg->span_shift;
	h->in_mask = (1u << seg->span_shift) - 1;
	h->meta_stride = seg->meta_stride;
	h->word = seat->word;
	h->class_count = stoai_class_count(seg->span_shift);
	for (uint32_t i = 0; i < h->class_count; i++)
		stack = class_begin(h, i, stack);
	for (uint32_t i = 0; i < STOAI_LUT; i++)
		h->lut[i] = (uint8_t)stoai_class_for(
			((uint64_t)i + 1) * STOAI_BLOCK_MIN, 1, h->class_count);
}

/* ---- one class ---- */

static uint64_t
lowest_bits(uint64_t bits, uint32_t n)
{
	uint64_t rest = bits;

	while (rest && n--)
		rest &= rest - 1;
	return bits & ~rest;
}

/* Fresh blocks of the current slab. False: it has none. */
static bool
class_take(struct stoai_seat *seat, struct stoai_class *c)
{
	stoa_segment *seg = seat->seg;
	struct stoai_meta *meta;

	if (!c->avail)
		return false;
	meta = stoai_meta_at(seg, c->current);
	while (c->avail) {
		uint32_t w = stoai_ctz64(c->avail);
		struct stoai_bits *bits = stoai_meta_bits(meta) + w;
		uint64_t alloc = a64_load_relaxed(&bits->alloc);
		uint64_t free = ~(alloc | a64_load_relaxed(&bits->remote)) &
				stoai_valid_bits(c->blocks, w);
		uint64_t take = lowest_bits(free, c->take);

		if (take == free)
			c->avail &= c->avail - 1;
		if (!take)
			continue;
		a64_store_kill(&bits->alloc, alloc | take);
		c->fresh = take;
		c->fresh_from.off = stoai_span_off(seg, c->current) +
				    (uint64_t)w * 64 * c->size;
		c->fresh_from.place =
			(uint64_t)((char *)bits - (seg->base + seg->meta_off))
			<< 6;
		return true;
	}
	return false;
}

/* The slab is ours: allocate from it now, if there is anything. */
static bool
class_switch(struct stoai_seat *seat, struct stoai_class *c, uint64_t span)
{
	struct stoai_cache *h = seat->heap;

	(void)stoai_slab_harvest(seat->seg, span, c->index);
	h->heap_size = stoai_span_count(seat->seg) << seat->seg->span_shift;
	h->relaxed = 0;
	c->current = (uint32_t)span;
	c->avail = stoai_class_all_words(c);
	return class_take(seat, c);
}

/* The slab at `span`, if it is ours or anybody's, and of use. */
static bool
class_try(struct stoai_seat *seat, struct stoai_class *c, uint64_t span)
{
	stoa_segment *seg = seat->seg;
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint64_t owner = a64_load_acquire(&meta->owner);

	if (span == c->current || stoai_slab_class(seg, meta) != c->index ||
		((uint32_t)owner != seat->word &&
			!stoai_slab_is_abandoned(owner)))
		return false;
	if (!(stoai_slab_look(seg, span, c->index) & STOAI_SLAB_FREE))
		return false;
	if (stoai_slab_is_abandoned(owner) &&
		!stoai_slab_adopt(seat, span, owner))
		return false;
	return class_switch(seat, c, span);
}

static bool
class_hinted(struct stoai_seat *seat, struct stoai_class *c)
{
	const struct stoai_cache *h = seat->heap;
	uint64_t count = stoai_span_count(seat->seg);

	while (c->hints) {
		uint64_t span = h->hint[c->index][stoai_ctz64(c->hints)];

		c->hints &= c->hints - 1;
		if (span < count &&
			stoai_span_state(stoai_span_load(seat->seg, span)) ==
				STOAI_SPAN_SLAB &&
			class_try(seat, c, span))
			return true;
	}
	return false;
}

/* Goes on where the last search ended, over at most `most` words of the table. */
static bool
class_search(struct stoai_seat *seat, struct stoai_class *c, uint64_t most)
{
	uint64_t count = stoai_span_count(seat->seg), at = c->scan, step;

	for (uint64_t seen = 0; most-- && seen < count; seen += step) {
		uint64_t word;

		if (at >= count)
			at = 0;
		word = stoai_span_load(seat->seg, at);
		step = stoai_span_state(word) == STOAI_SPAN_LARGE
			       ? stoai_span_step(word)
			       : 1;
		at += step;
		c->scan = (uint32_t)at;
		if (stoai_span_state(word) == STOAI_SPAN_SLAB &&
			class_try(seat, c, at - 1))
			return true;
	}
	return false;
}

static int
class_new_slab(struct stoai_seat *seat, struct stoai_class *c)
{
	struct stoai_cache *h = seat->heap;
	uint64_t span;
	int rc = stoai_run_find(seat, 1, 1, &span);

	if (rc == -EAGAIN || rc == -ENOSPC) {
		if (stoai_supply_may_walk(seat) &&
			class_search(seat, c, UINT64_MAX))
			return 0;
		rc = stoai_supply(seat, 1, 1, &span);
	}
	if (rc)
		return rc;
	h->zeros.to = 0; /* its blocks are given out more than once */
	stoai_slab_make(seat, span, c->index);
	STOA_VERIFY(class_switch(seat, c, span));
	return 0;
}

static int
class_refill(struct stoai_seat *seat, struct stoai_class *c)
{
	if (class_take(seat, c))
		return 0;
	if (c->current != STOAI_NO_SPAN &&
		stoai_slab_harvest(seat->seg, c->current, c->index)) {
		c->avail = stoai_class_all_words(c);
		if (class_take(seat, c))
			return 0;
	}
	if (class_hinted(seat, c) || class_search(seat, c, SEARCH_SHORT))
		return 0;
	return class_new_slab(seat, c);
}

/* A block of the cache, or of the current slab. */
static bool
class_pop(struct stoai_seat *seat, struct stoai_class *c,
	struct stoai_cached *ret)
{
	if (stoai_class_pop(seat->heap, c, ret))
		return true;
	return class_take(seat, c) && stoai_class_pop(seat->heap, c, ret);
}

/* ---- any size ---- */

static int
alloc_small(struct stoai_seat *seat, uint32_t index, uint64_t align,
	struct stoai_cached *ret)
{
	struct stoai_cache *h = seat->heap;
	struct stoai_class *c = &h->classes[index];
	int rc;

	if (class_pop(seat, c, ret))
		return 0;
	rc = class_refill(seat, c);
	if (!rc && class_pop(seat, c, ret))
		return 0;
	if (rc != -ENOSPC)
		return rc ? rc : -EBADMSG;
	for (uint32_t i = index + 1;
		i < h->class_count && i <= index + LARGER_CLASSES; i++)
		if (!(h->classes[i].size & (align - 1)) &&
			class_pop(seat, &h->classes[i], ret)) {
			stoai_error_clear(); /* it was no failure */
			return 0;
		}
	return rc;
}

static int
alloc_large(struct stoai_seat *seat, uint64_t size, uint64_t align,
	struct stoai_cached *ret)
{
	stoa_segment *seg = seat->seg;
	uint64_t span;
	int rc;

	if (size > stoai_span_limit(seg) << seg->span_shift)
		return stoai_supply_failed(seg, size, STOAI_AT_LIMIT);
	size = stoai_align_up(size, UINT64_C(1) << seg->span_shift);
	rc = stoai_supply(seat, size >> seg->span_shift, align, &span);
	if (!rc)
		*ret = (struct stoai_cached){stoai_span_off(seg, span), 0};
	return rc;
}

void
stoai_heap_clear(struct stoai_seat *seat, uint64_t off, uint64_t size)
{
	struct stoai_cache *h = seat->heap;
	uint64_t end = off + size;
	uint64_t from = stoai_max(h->zeros.from, off);
	uint64_t to = stoai_min(h->zeros.to, end);

	/* less than a span may lie in a slab, where it was somebody's */
	if (from >= to || !(size >> h->span_shift))
		from = to = end;
	memset(stoai_at(seat->seg, off), 0, from - off);
	memset(stoai_at(seat->seg, to), 0, end - to);
	h->zeros.to = 0;
}

int
stoai_heap_align_check(const stoa_segment *seg, uint64_t align)
{
	return stoai_is_pow2(align) && align <= STOAI_ALIGN_MAX
		       ? 0
		       : stoai_error(-EINVAL,
				 "%s: alignment %llu is no power of two up to "
				 "2 MiB",
				 stoai_name(seg), (unsigned long long)align);
}

int
stoai_heap_alloc_slow(struct stoai_seat *seat, uint64_t size, uint64_t align,
	struct stoai_cached *ret)
{
	struct stoai_cache *h = seat->heap;
	uint32_t index;
	int rc = stoai_heap_align_check(seat->seg, align);

	if (rc)
		return rc;
	size = stoai_max(size, 1);
	index = stoai_class_for(size, align, h->class_count);
	rc = index < h->class_count ? alloc_small(seat, index, align, ret)
				    : alloc_large(seat, size, align, ret);
	if (stoai_unlikely(rc != 0))
		stoai_supply_refused(seat, size, rc);
	return rc;
}
