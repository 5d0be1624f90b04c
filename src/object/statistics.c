/* SPDX-License-Identifier: BSL-1.0 */
/* Numbers and housekeeping of a whole segment: calls that need every layer. */
#include "heap/heap.h"
#include "object/heaps.h"
#include "object/object.h"

void
stoa_segment_statistics(stoa_segment *seg, stoa_segment_stat *ret)
{
	struct stoai_header *h = stoai_header(seg);
	struct stoai_heap_stat heap;
	uint64_t root = h->root_off;

	memset(ret, 0, sizeof *ret);
	stoai_heap_statistics(seg, &heap);
	ret->size = heap.committed;
	ret->used = heap.used;
	ret->cached = heap.transient;
	ret->blocks = heap.blocks;
	ret->limit = seg->size - seg->heap_off;
	ret->recovered = a64_load_relaxed(&h->recovered);
	ret->threads_max = stoai_threads_max(seg);
	if (stoai_in_heap(seg, root, sizeof(struct stoai_root)))
		ret->objects = a64_load_relaxed(
			&((struct stoai_root *)stoai_at(seg, root))->count);
	for (uint32_t i = 0; i < seg->slot_count; i++) {
		const struct stoai_slot *slot = stoai_slot_at(seg, i);

		if (a32_load_acquire(&slot->state) != STOAI_SLOT_LIVE)
			continue;
		ret->threads++;
		ret->commits += a32_load_relaxed(&slot->commits);
	}
}

int64_t
stoa_segment_trim(stoa_segment *seg)
{
	struct stoai_seat *seat;
	int rc = stoai_attach(seg, STOA_NOW, &seat);

	return rc ? rc : stoai_heap_class_trim(seat);
}
