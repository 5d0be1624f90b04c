/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Supply: what is done before anybody hears that there is no memory?
 *
 *	1  a run that is free
 *	2  collect: my caches, my empty slabs, slabs that the dead left empty
 *	3  growth, up to the limit
 *	4  the dead that nobody has noticed yet, then 2 again
 *
 * Each may be interrupted for good at any instruction: all of them only move
 * memory from one rightful state to another.
 */
#include "heap/supply.h"
#include "heap/heap.h"
#include "heap/slab.h"
#include "heap/stack.h"
#include "segment/log.h"

enum {
	WALK_ALWAYS = 4096 /* spans */
};

static void
caches_empty(struct stoai_seat *seat)
{
	struct stoai_cache *h = seat->heap;

	for (uint32_t i = 0; i < h->class_count; i++)
		stoai_stack_empty(seat, &h->classes[i]);
}

/* Ours: free if it is empty, anybody's if that is wished. True: it is gone. */
static bool
collect_own(struct stoai_seat *seat, uint64_t span, bool abandon)
{
	stoa_segment *seg = seat->seg;
	struct stoai_cache *h = seat->heap;
	uint32_t class_index = stoai_slab_class(seg, stoai_meta_at(seg, span));
	bool gone;

	if (class_index == STOAI_CLASSES)
		return false;
	(void)stoai_slab_harvest(seg, span, class_index);
	gone = stoai_slab_release(seg, span, class_index);
	if (!gone && abandon &&
		!(stoai_slab_look(seg, span, class_index) &
			STOAI_SLAB_TRANSIENT)) {
		stoai_slab_abandon(seg, span);
		gone = true;
	}
	if (gone)
		stoai_class_forget(&h->classes[class_index], span);
	return gone;
}

/* Of the dead: free, if nothing in it is used. */
static void
collect_abandoned(struct stoai_seat *seat, uint64_t span, uint64_t owner)
{
	stoa_segment *seg = seat->seg;
	uint32_t class_index = stoai_slab_class(seg, stoai_meta_at(seg, span));

	if (class_index == STOAI_CLASSES ||
		stoai_slab_look(seg, span, class_index) & STOAI_SLAB_USED ||
		!stoai_slab_adopt(seat, span, owner))
		return;
	(void)stoai_slab_harvest(seg, span, class_index);
	if (!stoai_slab_release(seg, span, class_index))
		stoai_slab_abandon(seg, span); /* some block is named yet */
}

void
stoai_supply_collect(struct stoai_seat *seat)
{
	struct stoai_cache *h = seat->heap;
	uint64_t count = stoai_span_count(seat->seg), word, owner;

	h->walked = count;
	caches_empty(seat);
	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seat->seg, at);
		if (stoai_span_state(word) != STOAI_SPAN_SLAB)
			continue;
		owner = a64_load_acquire(&stoai_meta_at(seat->seg, at)->owner);
		if ((uint32_t)owner == seat->word)
			(void)collect_own(seat, at, false);
		else if (stoai_slab_is_abandoned(owner))
			collect_abandoned(seat, at, owner);
	}
}

bool
stoai_supply_may_walk(struct stoai_seat *seat)
{
	const struct stoai_cache *h = seat->heap;
	uint64_t count = stoai_span_count(seat->seg);

	return count <= WALK_ALWAYS || count >= stoai_span_room(seat->seg) ||
	       count >= h->walked + h->walked / 8;
}

/* Every span of a region that is ours, and only those. True: one stays. */
static bool
region_relax(struct stoai_seat *seat, uint64_t region)
{
	stoa_segment *seg = seat->seg;
	uint64_t end = stoai_min(
		stoai_region_begin(seg, region + 1), stoai_span_count(seg));
	bool stays = false;

	for (uint64_t at = stoai_region_begin(seg, region); at < end; at++) {
		uint64_t word = stoai_span_load(seg, at);

		if (stoai_span_transient_of(word, seat->index) ||
			(stoai_span_state(word) == STOAI_SPAN_SLAB &&
				stoai_slab_is_ours(
					seat, stoai_meta_at(seg, at)) &&
				!collect_own(seat, at, true)))
			stays = true;
	}
	return stays;
}

/*
 * Word by word, as recovery does: nothing of ours is missed, so the regions where
 * nothing stays need not be named any more.
 */
void
stoai_heap_relax(struct stoai_seat *seat)
{
	struct stoai_cache *h = seat->heap;
	uint64_t regions = a64_load_relaxed(&seat->slot->regions);
	uint64_t left = regions;

	/* what an open transaction allocated must stay ours: it may be undone */
	if (h->relaxed || a64_load_relaxed(&seat->lane->cursor) !=
				  stoai_log_start(seat->seg, seat->index))
		return;
	caches_empty(seat);
	for (; regions; regions &= regions - 1)
		if (!region_relax(seat, stoai_ctz64(regions)))
			left &= ~(regions & -regions);
	a64_store_kill(&seat->slot->regions, left);
	h->relaxed = !left;
}

static bool
supply_missed(int rc)
{
	return rc == -EAGAIN || rc == -ENOSPC;
}

int
stoai_supply(
	struct stoai_seat *seat, uint64_t spans, uint64_t align, uint64_t *ret)
{
	stoa_segment *seg = seat->seg;
	uint64_t bytes = spans << seg->span_shift, end;
	int rc = stoai_run_find(seat, spans, align, ret), full = 0;

	if (!supply_missed(rc))
		return rc;
	if (stoai_supply_may_walk(seat)) {
		stoai_supply_collect(seat);
		rc = stoai_run_find(seat, spans, align, ret);
	}
	while (supply_missed(rc) && !full) {
		end = stoai_span_off(seg, stoai_span_count(seg));
		full = stoai_supply_grow(
			seat, stoai_align_up(end, align) - end + bytes);
		rc = stoai_run_find(seat, spans, align, ret);
	}
	if (supply_missed(rc) && stoai_sweep(seg, true) > 0) {
		stoai_supply_collect(seat);
		rc = stoai_run_find(seat, spans, align, ret);
	}
	if (supply_missed(rc))
		rc = stoai_supply_failed(seg, bytes, rc == -ENOSPC ? rc : full);
	return rc;
}
