/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Zeroing: how is memory that nobody uses made to say nothing of who had it?
 *
 *	free runs            under the heap lock, in which nobody can take them; some
 *	                     at a time
 *	slabs of ours        free blocks, after the cache has gone back
 *	slabs of the dead    adopted first, abandoned again
 *	slabs of others      only their owner may say that a block stays free: counted
 *	lent runs            where nothing is, links of their algorithm may lie: counted
 *	rest of our lane     old bytes that its records saved
 *
 * Nothing but free bytes is written, so a death needs no rule: the lock and the
 * slab come back as they always do. A run without pages has zeros when it gets
 * them; only what shares a page with a neighbour is written there.
 */
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/slab.h"
#include "heap/supply.h"
#include "os/os.h"
#include "segment/log.h"

enum {
	ZERO_AT_ONCE = 16 << 20 /* bytes while the lock is held */
};

static void
zero(stoa_segment *seg, uint64_t from, uint64_t to)
{
	if (from < to) {
		stoai_annotate_open(stoai_at(seg, from), to - from);
		memset(stoai_at(seg, from), 0, to - from);
	}
}

/* ---- slabs ---- */

/* Which blocks of word w are free; owner's view: what others freed is not yet. */
static uint64_t
slab_free_bits(struct stoai_meta *meta, uint32_t blocks, uint32_t w)
{
	const struct stoai_bits *bits = stoai_meta_bits(meta) + w;

	return ~(a64_load_relaxed(&bits->alloc) |
		       a64_load_relaxed(&bits->remote)) &
	       stoai_valid_bits(blocks, w);
}

static void
slab_zero(stoa_segment *seg, uint64_t span, uint32_t class_index)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint32_t blocks = stoai_span_blocks(seg, class_index);
	uint64_t size = stoai_class_size(class_index);
	uint64_t start = stoai_span_off(seg, span);

	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		uint64_t bits = slab_free_bits(meta, blocks, w);

		for (; bits; bits &= bits - 1) {
			uint64_t off =
				start +
				((uint64_t)w * 64 + stoai_ctz64(bits)) * size;

			zero(seg, off, off + size);
		}
	}
	zero(seg, start + blocks * size, stoai_span_off(seg, span + 1));
}

/* Bytes of another's slab in which shared data has nothing. */
static uint64_t
slab_left(stoa_segment *seg, uint64_t span, uint32_t class_index)
{
	uint32_t blocks = stoai_span_blocks(seg, class_index);
	uint64_t used = 0, transient;

	for (uint32_t w = 0; w < stoai_words(blocks); w++)
		used += (uint64_t)__builtin_popcountll(
			stoai_slab_word(seg, span, w, blocks, &transient));
	return (UINT64_C(1) << seg->span_shift) -
	       used * stoai_class_size(class_index);
}

/* Returns what had to be left. */
static uint64_t
span_zero(struct stoai_seat *seat, uint64_t span)
{
	stoa_segment *seg = seat->seg;
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint64_t owner = a64_load_acquire(&meta->owner);
	uint32_t class_index = stoai_slab_class(seg, meta);

	if (class_index == STOAI_CLASSES)
		return 0;
	if ((uint32_t)owner == seat->word) {
		slab_zero(seg, span, class_index);
		return 0;
	}
	if (!stoai_slab_is_abandoned(owner) ||
		!stoai_slab_adopt(seat, span, owner))
		return slab_left(seg, span, class_index);
	(void)stoai_slab_harvest(seg, span, class_index);
	slab_zero(seg, span, class_index);
	stoai_slab_abandon(seg, span);
	return 0;
}

static int
lent_used(void *user, uint64_t off, uint64_t size)
{
	(void)off;
	*(uint64_t *)user += size;
	return 0;
}

/* Bytes of a lent run in which shared data has nothing. */
static uint64_t
lent_left(stoa_segment *seg, uint64_t span, uint64_t word)
{
	uint64_t size = stoai_span_step(word) << seg->span_shift, used = 0;

	(void)stoai_lent_each(seg, span, word, lent_used, &used);
	return size - stoai_min(used, size);
}

/* ---- free runs: under the lock ---- */

/* Of a run without pages: what lies on the pages of its neighbours. */
static void
edges_zero(stoa_segment *seg, uint64_t at, uint64_t spans)
{
	uint64_t page = stoai_os_page_size();
	uint64_t from = stoai_span_off(seg, at);
	uint64_t to = stoai_span_off(seg, at + spans);
	uint64_t first = stoai_min(stoai_align_up(from, page), to);

	zero(seg, from, first);
	zero(seg, stoai_max(first, to & ~(page - 1)), to);
}

/* From span *from on; 0: to the end; 1: there is more; -EBADMSG. */
static int
runs_zero(stoa_segment *seg, uint64_t *from)
{
	uint64_t count = stoai_span_count(seg), word, spans;
	uint64_t left = (uint64_t)ZERO_AT_ONCE >> seg->span_shift;

	for (uint64_t at = 0; at < count; at += spans) {
		uint64_t begin, n;

		word = stoai_span_load(seg, at);
		spans = stoai_span_step(word);
		STOA_VERIFY(spans <= count - at);
		if (!stoai_span_free(word) || at + spans <= *from)
			continue;
		if (word & STOAI_SPAN_PUNCHED) {
			edges_zero(seg, at, spans);
			continue;
		}
		begin = stoai_max(at, *from);
		n = stoai_min(at + spans - begin, left);
		zero(seg, stoai_span_off(seg, begin),
			stoai_span_off(seg, begin + n));
		*from = begin + n;
		left -= n;
		if (!left)
			return 1;
	}
	return 0;
}

int64_t
stoai_heap_zero(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	uint64_t count, word, from = 0, left = 0;
	int rc = 1;

	stoai_supply_collect(seat);
	count = stoai_span_count(seg);
	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		if (stoai_span_state(word) == STOAI_SPAN_SLAB)
			left += span_zero(seat, at);
		else if (word & STOAI_SPAN_LENT)
			left += lent_left(seg, at, word);
	}
	while (rc > 0) {
		rc = stoai_heap_lock(seat);
		if (rc)
			break;
		rc = runs_zero(seg, &from);
		stoai_heap_unlock(seat);
	}
	zero(seg, stoai_log_start(seg, seat->index),
		stoai_log_lane_end(seg, seat->index));
	return rc < 0 ? rc : (int64_t)left;
}
