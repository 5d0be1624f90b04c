/* SPDX-License-Identifier: BSL-1.0 */
/* Spans: where they, their table words and their metas lie, and what a word says. */
#ifndef STOAI_HEAP_SPAN_H
#define STOAI_HEAP_SPAN_H
#include "base/annotate.h"
#include "heap/class.h"
#include "heap/format.h"
#include "segment/seat.h"

static inline uint64_t
stoai_span_word(enum stoai_span_state state, uint64_t flags, uint64_t length)
{
	return (uint64_t)state << STOAI_SPAN_STATE_SHIFT | flags | length;
}

static inline uint64_t
stoai_span_owned(uint32_t slot)
{
	return (uint64_t)(slot + 1) << STOAI_SPAN_OWNER_SHIFT;
}

static inline enum stoai_span_state
stoai_span_state(uint64_t word)
{
	return (enum stoai_span_state)(word >> STOAI_SPAN_STATE_SHIFT & 3);
}

static inline uint64_t
stoai_span_length(uint64_t word)
{
	return word & STOAI_SPAN_LENGTH;
}

/* A free run begins there? Inside of one a word may be 0. */
static inline bool
stoai_span_free(uint64_t word)
{
	return stoai_span_state(word) == STOAI_SPAN_FREE &&
	       stoai_span_length(word);
}

/* The slot that took a LARGE run, or UINT32_MAX. */
static inline uint32_t
stoai_span_owner(uint64_t word)
{
	return (uint32_t)(word >> STOAI_SPAN_OWNER_SHIFT &
			  STOAI_SPAN_OWNER_MASK) -
	       1;
}

/* An unpublished LARGE run of that slot? */
static inline bool
stoai_span_transient_of(uint64_t word, uint32_t slot)
{
	return stoai_span_state(word) == STOAI_SPAN_LARGE &&
	       !(word & STOAI_SPAN_PUBLISHED) && stoai_span_owner(word) == slot;
}

static inline uint64_t *
stoai_span_at(const stoa_segment *seg, uint64_t span)
{
	return (uint64_t *)(void *)(seg->base + seg->table_off) + span;
}

static inline uint64_t
stoai_span_load(const stoa_segment *seg, uint64_t span)
{
	return a64_load_acquire(stoai_span_at(seg, span));
}

static inline uint64_t
stoai_span_off(const stoa_segment *seg, uint64_t span)
{
	return seg->heap_off + (span << seg->span_shift);
}

/* off lies in the heap */
static inline uint64_t
stoai_span_of(const stoa_segment *seg, uint64_t off)
{
	return (off - seg->heap_off) >> seg->span_shift;
}

/* Spans of the heap as it is now; no more than the file has, whatever is said. */
static inline uint64_t
stoai_span_count(stoa_segment *seg)
{
	uint64_t end = stoai_committed(seg);

	return end < seg->heap_off ? 0
				   : (end - seg->heap_off) >> seg->span_shift;
}

/*
 * Also those that lie in a buffer behind what this process knows of it: their words
 * and metas lie in front, and are its own to mend, not their bytes.
 */
static inline uint64_t
stoai_span_count_all(stoa_segment *seg)
{
	uint64_t end = a64_load_acquire(&stoai_header(seg)->committed);

	return seg->caller_memory && end >= seg->heap_off && end <= seg->size
		       ? (end - seg->heap_off) >> seg->span_shift
		       : stoai_span_count(seg);
}

/* Spans that it may ever have. */
static inline uint64_t
stoai_span_limit(const stoa_segment *seg)
{
	return (seg->size - seg->heap_off) >> seg->span_shift;
}

/* Spans that it may have now: a caller's buffer may be shorter than its limit. */
static inline uint64_t
stoai_span_room(const stoa_segment *seg)
{
	return (a64_load_relaxed(&seg->room) - seg->heap_off) >>
	       seg->span_shift;
}

/*
 * How many spans lie from one run's head to the next one's: at least one. The next
 * one may have been merged into the first meanwhile; then its word is BODY, and the
 * step from there is one. Without the lock what changes meanwhile may be missed.
 */
static inline uint64_t
stoai_span_step(uint64_t word)
{
	uint64_t length = stoai_span_length(word);

	return length && (stoai_span_state(word) == STOAI_SPAN_FREE ||
				 stoai_span_state(word) == STOAI_SPAN_LARGE)
		       ? length
		       : 1;
}

/* Before it may be somebody else's: see annotate.h. */
static inline void
stoai_span_open(const stoa_segment *seg, uint64_t span)
{
	stoai_annotate_open(stoai_at(seg, stoai_span_off(seg, span)),
		(size_t)1 << seg->span_shift);
}

/* ---- metas ---- */

static inline struct stoai_meta *
stoai_meta_at(const stoa_segment *seg, uint64_t span)
{
	return (struct stoai_meta *)(void *)(seg->base + seg->meta_off +
					     span * seg->meta_stride);
}

/* Words of bits in a meta: for the smallest blocks. */
static inline uint32_t
stoai_meta_words(uint32_t span_shift)
{
	return ((1u << span_shift) / STOAI_BLOCK_MIN + 63) / 64;
}

static inline struct stoai_bits *
stoai_meta_bits(struct stoai_meta *meta)
{
	return (struct stoai_bits *)(meta + 1);
}

/* Bytes of its head and bits: the chunk's numbers are behind them. */
static inline uint32_t
stoai_meta_front(uint32_t span_shift)
{
	return (uint32_t)(sizeof(struct stoai_meta) +
			  stoai_meta_words(span_shift) *
				  sizeof(struct stoai_bits));
}

static inline struct stoai_chunk *
stoai_meta_chunk(const stoa_segment *seg, struct stoai_meta *meta)
{
	return (struct stoai_chunk *)(void *)((char *)meta +
					      stoai_meta_front(
						      seg->span_shift));
}

/* Blocks of a class in a span, and words of bits for them. */
static inline uint32_t
stoai_span_blocks(const stoa_segment *seg, uint32_t class_index)
{
	return (1u << seg->span_shift) / stoai_class_size(class_index);
}

/* Which bits of word w stand for blocks. */
static inline uint64_t
stoai_valid_bits(uint32_t blocks, uint32_t w)
{
	return blocks - 64 * w >= 64 ? UINT64_MAX
				     : (UINT64_C(1) << (blocks & 63)) - 1;
}

static inline uint32_t
stoai_words(uint32_t blocks)
{
	return (blocks + 63) / 64;
}

/* ---- recycle barrier and regions ---- */

/*
 * The first span of [from, to) that holds a block whose free may have to be
 * repeated; `to`: there is none. Asked after the words that say "free" were read.
 */
static inline uint64_t
stoai_freeing_in(const stoa_segment *seg, uint64_t from, uint64_t to)
{
	uint64_t low = stoai_span_off(seg, from);
	uint64_t high = stoai_span_off(seg, to);

	for (uint32_t i = 0, n = stoai_slots_used(seg); i < n; i++) {
		uint64_t off =
			a64_load_acquire(&stoai_slot_at(seg, i)->freeing);

		if (off >= low && off < high)
			high = stoai_span_off(seg, stoai_span_of(seg, off));
	}
	return stoai_span_of(seg, high);
}

/* Which 64th of the address space a span lies in. */
static inline uint32_t
stoai_region_of(const stoa_segment *seg, uint64_t span)
{
	return (uint32_t)(span * 64 / stoai_span_limit(seg)) & 63;
}

/* The first span of a region; of region 64: one behind the last. */
static inline uint64_t
stoai_region_begin(const stoa_segment *seg, uint64_t region)
{
	return (region * stoai_span_limit(seg) + 63) / 64;
}

/* Before a span becomes ours: recovery will look there. */
static inline void
stoai_region_claim(struct stoai_seat *seat, uint64_t span)
{
	uint64_t bit = UINT64_C(1) << stoai_region_of(seat->seg, span);
	uint64_t regions = a64_load_relaxed(&seat->slot->regions);

	if (!(regions & bit))
		a64_store_kill(&seat->slot->regions, regions | bit);
}

#endif
