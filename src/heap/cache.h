/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A thread's cache, in private memory behind its seat: what makes allocation and
 * free of own blocks a few loads. All of it is transient blocks (allocated and
 * unpublished in shared memory), so a death needs no rule for it.
 *
 *	class
 *	  stack    blocks that were freed here; each carries a mark in its first
 *	           word, so that a second free is seen
 *	  fresh    bits of one word of a slab, taken by one store, never handed out
 *	  current  the slab that gives the next word; avail: which may have one
 *	  hint     other slabs of ours that may have free blocks
 *
 * Hints are forgotten or stale at will: the truth is in the table and the metas.
 */
#ifndef STOAI_HEAP_CACHE_H
#define STOAI_HEAP_CACHE_H
#include "base/annotate.h"
#include "heap/class.h"
#include "heap/format.h"
#include "segment/seat.h"

enum {
	STOAI_STACK_MAX = 160, /* blocks in the stack of one class */
	STOAI_STACKS = 3456,   /* of all classes: 64 KiB of each at most */
	STOAI_HINTS = 64,
	STOAI_LUT = 64 /* sizes up to 1 KiB, by 16 */
};

#define STOAI_NO_SPAN UINT32_MAX

/*
 * A block, and where its bit is: bytes from metas to its word of bits, times 64, and
 * the bit's number. So neither publishing nor spilling looks for it again. Place 0: a
 * run of spans.
 */
struct stoai_cached {
	uint64_t off, place;
};

/* Two lines, the first of them hot; a class is found by a shift. */
struct stoai_class {
	struct stoai_cached *top, *bottom, *limit; /* grows up from bottom */
	uint64_t fresh;                            /* bits of one word */
	struct stoai_cached fresh_from;            /* bit 0's block */
	uint32_t size, reciprocal; /* 2^32 / size, rounded up: stoai_own_find */
	uint32_t blocks, words;    /* in a span */
	uint64_t avail;         /* words of current that may have free blocks */
	uint32_t current, scan; /* spans: in use; where the last search ended */
	uint32_t index, take;   /* fresh blocks taken at a time, at most */
	uint64_t hints;         /* which of stoai_cache.hint[index] are set */
	uint64_t pad[4];
};

struct stoai_cache {
	char *base, *metas;
	uint64_t heap_off;
	uint64_t heap_size; /* bytes of heap, as last seen */
	uint64_t key; /* block's offset ^ key: the mark of a cached block */
	uint32_t span_shift, meta_stride;
	uint32_t in_mask; /* bytes of a span, less one */
	uint32_t word;    /* my lock word: owner of my slabs */
	uint32_t class_count;
	uint32_t relaxed; /* no slab is ours, none was taken since */
	uint64_t walked;  /* spans, when this thread last walked over all */
	struct {
		uint64_t from, to;
	} zeros; /* of the run that was cut last: what nobody ever had */
	uint8_t lut
		[STOAI_LUT]; /* class by size; not small: one that is unused */
	struct stoai_class classes[STOAI_CLASSES];
	uint32_t hint[STOAI_CLASSES][STOAI_HINTS];
	struct stoai_cached stacks[STOAI_STACKS];
};

STOA_STATIC_ASSERT(sizeof(struct stoai_class) == 128, "");

enum {
	STOAI_HEAP_SEAT_SIZE = sizeof(struct stoai_cache)
};

/* A block of a slab of ours. */
struct stoai_own {
	struct stoai_class *class;
	struct stoai_bits *bits;
	uint64_t bit;
};

/*
 * Is there a slab of ours in which a block may begin at off? A span that was our
 * slab and is none any more has no alloc bit set, so who then asks for the bit
 * is not misled by what is left in its meta.
 */
static inline bool
stoai_own_find(struct stoai_cache *h, uint64_t off, struct stoai_own *ret)
{
	uint64_t rel = off - h->heap_off, product, index;
	struct stoai_meta *meta;
	uint32_t class_index;

	if (stoai_unlikely(rel >= h->heap_size))
		return false;
	meta = (struct stoai_meta *)(void *)(h->metas + (rel >> h->span_shift) *
								h->meta_stride);
	class_index = a32_load_relaxed(&meta->class_index);
	if (stoai_unlikely(
		    (uint32_t)a64_load_relaxed(&meta->owner) != h->word ||
		    class_index >= h->class_count))
		return false;
	ret->class = &h->classes[class_index];
	product = (rel & h->in_mask) * ret->class->reciprocal;
	index = product >> 32;
	ret->bit = UINT64_C(1) << (index & 63);
	ret->bits = (struct stoai_bits *)(meta + 1) + (index >> 6);
	/* the fraction: less than that of one byte if no byte is left over */
	return stoai_likely((uint32_t)product < ret->class->reciprocal);
}

static inline struct stoai_bits *
stoai_place_bits(const struct stoai_cache *h, uint64_t place)
{
	return (struct stoai_bits *)(void *)(h->metas + (place >> 6));
}

static inline uint64_t
stoai_place_bit(uint64_t place)
{
	return UINT64_C(1) << (place & 63);
}

static inline uint64_t
stoai_own_place(const struct stoai_cache *h, const struct stoai_own *own)
{
	return (uint64_t)((char *)own->bits - h->metas) << 6 |
	       stoai_ctz64(own->bit);
}

/* The start of the block of ours in a slab that off leads into; 0: there is none. */
static inline uint64_t
stoai_own_start(struct stoai_cache *h, uint64_t off)
{
	uint64_t rel = off - h->heap_off, in, index, start;
	const struct stoai_meta *meta;
	const struct stoai_class *class;
	uint32_t class_index;
	struct stoai_own own;

	if (stoai_unlikely(rel >= h->heap_size))
		return 0;
	meta = (const void *)(h->metas +
			      (rel >> h->span_shift) * h->meta_stride);
	class_index = a32_load_relaxed(&meta->class_index);
	if (stoai_unlikely(class_index >= h->class_count))
		return 0;
	class = &h->classes[class_index];
	in = rel & h->in_mask;
	index = in * class->reciprocal >> 32;
	if (stoai_unlikely(index >= class->blocks))
		return 0;
	start = off - in + index * class->size;
	return stoai_own_find(h, start, &own) &&
			       a64_load_relaxed(&own.bits->alloc) &
				       ~a64_load_relaxed(&own.bits->remote) &
				       own.bit
		       ? start
		       : 0;
}

/* The first word of a cached block, which nobody else looks at. */
static inline uint64_t *
stoai_mark_at(const struct stoai_cache *h, uint64_t off)
{
	return (uint64_t *)(void *)(h->base + off);
}

/* A block that is in the stack: closed to all from now on (annotate.h), and marked. */
static inline void
stoai_mark_set(const struct stoai_cache *h, uint64_t off, uint32_t size)
{
	a64_store_relaxed(stoai_mark_at(h, off), off ^ h->key);
	stoai_annotate_close(stoai_mark_at(h, off), size);
}

/* Does a block that may be closed have the mark? */
static inline bool
stoai_mark_is_set(const struct stoai_cache *h, uint64_t off)
{
	uint64_t *mark = stoai_mark_at(h, off), seen;
	bool closed = stoai_annotate_peek(mark, sizeof *mark);

	seen = a64_load_relaxed(mark);
	if (closed)
		stoai_annotate_close(mark, sizeof *mark);
	return seen == (off ^ h->key);
}

/* A block that is cached; its mark goes. False: there is none. */
static inline bool
stoai_class_pop(
	struct stoai_cache *h, struct stoai_class *c, struct stoai_cached *ret)
{
	if (stoai_likely(c->top != c->bottom)) {
		/* word by word, as they were stored: both at once would wait */
		c->top--;
		ret->off = a64_load_relaxed(&c->top->off);
		ret->place = a64_load_relaxed(&c->top->place);
	} else if (stoai_likely(c->fresh)) {
		uint32_t i = stoai_ctz64(c->fresh);

		ret->off = c->fresh_from.off + (uint64_t)i * c->size;
		ret->place = c->fresh_from.place + i;
		c->fresh &= c->fresh - 1;
	} else {
		return false;
	}
	stoai_annotate_open(stoai_mark_at(h, ret->off), c->size);
	a64_store_relaxed(stoai_mark_at(h, ret->off), 0);
	return true;
}

/* The thread's own block, unpublished, is cached. There is room for it. */
static inline void
stoai_class_push(
	const struct stoai_cache *h, const struct stoai_own *own, uint64_t off)
{
	struct stoai_cached *to = own->class->top++;

	stoai_mark_set(h, off, own->class->size);
	a64_store_relaxed(&to->off, off);
	a64_store_relaxed(&to->place, stoai_own_place(h, own));
}

/* Is it one of the fresh blocks? */
static inline bool
stoai_is_fresh(const struct stoai_own *own, uint64_t off)
{
	const struct stoai_class *c = own->class;

	return (c->fresh & own->bit) &&
	       off == c->fresh_from.off +
			       (uint64_t)stoai_ctz64(own->bit) * c->size;
}

/* May the unpublished block be in the cache? False is certain. */
static inline bool
stoai_maybe_cached(
	const struct stoai_cache *h, const struct stoai_own *own, uint64_t off)
{
	return stoai_is_fresh(own, off) || stoai_mark_is_set(h, off);
}

#endif
