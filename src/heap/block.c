/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Blocks by their offset: is there one, where does it begin, how long is it, may
 * rollback write there? Works on a segment that may be changing, mapped for
 * reading, or damaged: words are read once, and what they say is checked.
 */
#include "heap/block.h"
#include "heap/heap.h"

static bool
slab_block_find(stoa_segment *seg, uint64_t off, struct stoai_block *ret)
{
	struct stoai_meta *meta = stoai_meta_at(seg, ret->span);
	uint64_t start = stoai_span_off(seg, ret->span), index;

	ret->class_index = stoai_slab_class(seg, meta);
	if (ret->class_index == STOAI_CLASSES)
		return false;
	ret->size = stoai_class_size(ret->class_index);
	index = (off - start) / ret->size;
	if (index >= stoai_span_blocks(seg, ret->class_index))
		return false;
	ret->off = start + index * ret->size;
	ret->bits = stoai_meta_bits(meta) + (index >> 6);
	ret->bit = UINT64_C(1) << (index & 63);
	return true;
}

/* The head of the run that holds the span, and its word; false: in no such run. */
static bool
large_find(stoa_segment *seg, uint64_t *span, uint64_t *word)
{
	uint64_t back = 0, length;

	if (stoai_span_state(*word) == STOAI_SPAN_BODY) {
		back = stoai_span_length(*word);
		if (!back || back > *span)
			return false;
		*span -= back;
		*word = stoai_span_load(seg, *span);
	}
	length = stoai_span_length(*word);
	return stoai_span_state(*word) == STOAI_SPAN_LARGE && length > back &&
	       length <= stoai_span_count(seg) - *span;
}

bool
stoai_block_find(stoa_segment *seg, uint64_t off, struct stoai_block *ret)
{
	if (off < seg->heap_off ||
		stoai_span_of(seg, off) >= stoai_span_count(seg))
		return false;
	ret->span = stoai_span_of(seg, off);
	ret->word = stoai_span_load(seg, ret->span);
	if (stoai_span_state(ret->word) == STOAI_SPAN_SLAB)
		return slab_block_find(seg, off, ret);
	if (!large_find(seg, &ret->span, &ret->word))
		return false;
	ret->off = stoai_span_off(seg, ret->span);
	ret->size = stoai_span_length(ret->word) << seg->span_shift;
	return true;
}

bool
stoai_block_allocated(const struct stoai_block *block)
{
	if (stoai_span_state(block->word) == STOAI_SPAN_LARGE)
		return true;
	return a64_load_acquire(&block->bits->alloc) &
	       ~a64_load_relaxed(&block->bits->remote) & block->bit;
}

/* Most are of the calling thread's own slabs, which its cache knows better. */
uint64_t
stoai_heap_usable(stoa_segment *seg, uint64_t off)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);
	struct stoai_block block;
	struct stoai_own own;

	if (seat && stoai_own_find(seat->heap, off, &own) &&
		a64_load_relaxed(&own.bits->alloc) &
			~a64_load_relaxed(&own.bits->remote) & own.bit)
		return own.class->size;
	if (!stoai_block_find(seg, off, &block) ||
		!stoai_lent_block(seg, off, &block))
		return 0;
	return block.off == off && stoai_block_allocated(&block) ? block.size
								 : 0;
}

uint64_t
stoai_heap_block(stoa_segment *seg, uint64_t off)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);
	uint64_t start = seat ? stoai_own_start(seat->heap, off) : 0;
	struct stoai_block block;

	if (stoai_likely(start != 0))
		return start;
	return stoai_block_find(seg, off, &block) &&
			       stoai_lent_block(seg, off, &block) &&
			       stoai_block_allocated(&block)
		       ? block.off
		       : 0;
}

bool
stoai_heap_writable(stoa_segment *seg, uint64_t off, uint64_t size)
{
	uint64_t end, span, last;

	if (off < seg->heap_off || stoai_add_overflows(off, size, &end) ||
		end > seg->heap_off +
				(stoai_span_count(seg) << seg->span_shift))
		return false;
	last = size ? stoai_span_of(seg, end - 1) : 0;
	for (span = stoai_span_of(seg, off); size && span <= last;) {
		uint64_t word = stoai_span_load(seg, span);

		if (stoai_span_state(word) == STOAI_SPAN_SLAB) {
			span++;
			continue;
		}
		if (!large_find(seg, &span, &word))
			return false;
		span += stoai_span_length(word);
	}
	return true;
}
