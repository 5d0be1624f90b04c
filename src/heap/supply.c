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

static struct stoai_class *
class_at(struct stoai_seat *seat, uint32_t class_index)
{
	struct stoai_cache *h = seat->heap;

	return &h->classes[class_index];
}

static void
collect_own(struct stoai_seat *seat, uint64_t span, uint32_t class_index,
	bool abandon)
{
	stoa_segment *seg = seat->seg;

	(void)stoai_slab_harvest(seg, span, class_index);
	if (stoai_slab_release(seg, span, class_index)) {
		stoai_class_forget(class_at(seat, class_index), span);
	} else if (abandon && !(stoai_slab_look(seg, span, class_index) &
				      STOAI_SLAB_TRANSIENT)) {
		stoai_class_forget(class_at(seat, class_index), span);
		stoai_slab_abandon(seg, span);
	}
}

static void
collect_slab(struct stoai_seat *seat, uint64_t span, bool abandon)
{
	stoa_segment *seg = seat->seg;
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint64_t owner = a64_load_acquire(&meta->owner);
	uint32_t class_index = stoai_slab_class(seg, meta);

	if (class_index == STOAI_CLASSES)
		return;
	if ((uint32_t)owner == seat->word) {
		collect_own(seat, span, class_index, abandon);
		return;
	}
	if (!stoai_slab_is_abandoned(owner) ||
		stoai_slab_look(seg, span, class_index) & STOAI_SLAB_USED ||
		!stoai_slab_adopt(seat, span, owner))
		return;
	(void)stoai_slab_harvest(seg, span, class_index);
	if (!stoai_slab_release(seg, span, class_index))
		stoai_slab_abandon(seg, span); /* some block is named yet */
}

void
stoai_supply_collect(struct stoai_seat *seat, bool abandon)
{
	struct stoai_cache *h = seat->heap;
	uint64_t count = stoai_span_count(seat->seg), word;

	for (uint32_t i = 0; i < h->class_count; i++)
		stoai_stack_empty(seat, &h->classes[i]);
	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seat->seg, at);
		if (stoai_span_state(word) == STOAI_SPAN_SLAB)
			collect_slab(seat, at, abandon);
	}
}

void
stoai_heap_relax(struct stoai_seat *seat)
{
	/* what an open transaction allocated must stay ours: it may be undone */
	bool idle = a64_load_relaxed(&seat->lane->cursor) ==
		    stoai_log_start(seat->seg, seat->index);

	stoai_supply_collect(seat, idle);
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
	uint64_t bytes = spans << seg->span_shift;
	uint64_t slack = align > UINT64_C(1) << seg->span_shift ? align : 0;
	int rc = stoai_run_find(seat, spans, align, ret), full = 0;

	if (!supply_missed(rc))
		return rc;
	stoai_supply_collect(seat, false);
	rc = stoai_run_find(seat, spans, align, ret);
	while (supply_missed(rc) && !full) {
		full = stoai_supply_grow(seat, bytes + slack);
		rc = stoai_run_find(seat, spans, align, ret);
	}
	if (supply_missed(rc) && stoai_sweep(seg, true) > 0) {
		stoai_supply_collect(seat, false);
		rc = stoai_run_find(seat, spans, align, ret);
	}
	if (supply_missed(rc))
		rc = stoai_supply_failed(seg, bytes, rc == -ENOSPC ? rc : full);
	return rc;
}
