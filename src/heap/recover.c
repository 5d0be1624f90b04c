/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Death: what happens to the spans of a slot whose thread is gone?
 *
 *	slab of the slot     alloc &= pub, word by word; then abandoned
 *	LARGE unpublished    FREE
 *
 * The thread's log has been undone or finished before, so what is unpublished now
 * is nobody's. Nothing that others freed is folded here: only harvest has the
 * recycle barrier, and another dead thread's free may have to be repeated yet.
 *
 * The table is read word by word, not run by run: a killed cutter may have left a
 * LARGE inside a FREE run, and SLAB and LARGE words are true wherever they stand.
 * No lock, so it waits for nobody; every step may be repeated.
 */
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/slab.h"
#include "segment/recover.h"

static int
slab_bury(stoa_segment *seg, uint32_t slot, uint64_t span)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta);
	uint32_t word = (uint32_t)a64_load_acquire(&meta->owner);

	/* in whatever generation: the slot's thread is dead */
	if (!word || stoai_word_slot(seg, word) != slot)
		return 0;
	for (uint32_t w = 0; w < stoai_meta_words(seg->span_shift); w++) {
		uint64_t alloc = a64_load_relaxed(&bits[w].alloc);
		uint64_t pub = a64_load_relaxed(&bits[w].pub);

		if (alloc & ~pub)
			a64_store_kill(&bits[w].alloc, alloc & pub);
	}
	stoai_slab_abandon(seg, span);
	return 0;
}

static int
large_bury(stoa_segment *seg, uint32_t slot, uint64_t span, uint64_t word,
	uint64_t count)
{
	if (!stoai_span_transient_of(word, slot))
		return 0;
	STOA_VERIFY(stoai_span_length(word) &&
		    stoai_span_length(word) <= count - span);
	(void)stoai_run_free(seg, span, word);
	return 0;
}

int
stoai_heap_recover(stoa_segment *seg, uint32_t slot)
{
	uint64_t regions = a64_load_relaxed(&stoai_slot_at(seg, slot)->regions);
	uint64_t count = stoai_span_count_all(seg);
	int rc = 0;

	for (; regions && !rc; regions &= regions - 1) {
		uint64_t region = stoai_ctz64(regions);
		uint64_t at = stoai_region_begin(seg, region);
		uint64_t end =
			stoai_min(stoai_region_begin(seg, region + 1), count);

		for (; at < end && !rc; at++) {
			uint64_t word = stoai_span_load(seg, at);

			if (stoai_span_state(word) == STOAI_SPAN_SLAB ||
				stoai_span_state(word) == STOAI_SPAN_LARGE)
				stoai_recover_at(seg, slot, at);
			if (stoai_span_state(word) == STOAI_SPAN_SLAB)
				rc = slab_bury(seg, slot, at);
			else if (stoai_span_state(word) == STOAI_SPAN_LARGE)
				rc = large_bury(seg, slot, at, word, count);
		}
	}
	return rc;
}
