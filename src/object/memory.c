/* SPDX-License-Identifier: BSL-1.0 */
/* The memory of a whole segment: how much is free, is all of it, and does it say anything? */
#include "base/base.h"
#include "heap/heap.h"
#include "object/index.h"
#include "stoa/memory.h"

void
stoa_memory_statistics(stoa_segment *seg, stoa_memory_stat *ret)
{
	uint64_t growth = seg->size - stoai_committed(seg);
	struct stoai_heap_stat heap;
	struct stoai_heap_room room;

	stoai_heap_statistics(seg, &heap);
	stoai_heap_room(seg, &room);
	ret->free = heap.committed - stoai_min(heap.used, heap.committed);
	ret->free_max = ret->free + growth;
	ret->largest = room.largest;
	ret->largest_max = room.largest_max;
}

static int
block_count(void *user, uint64_t off, uint64_t size)
{
	(void)off;
	(void)size;
	++*(uint64_t *)user;
	return 0;
}

static bool
stored_count(void *user, uint64_t off, const struct stoai_stored_type *s)
{
	(void)off;
	(void)s;
	++*(uint64_t *)user;
	return true;
}

/* Root, buckets, stored types, the classes' states and waits are the library's own. */
int
stoa_memory_unused(stoa_segment *seg)
{
	uint64_t blocks = 0, own = 1;
	const struct stoai_root *root;
	bool objects = true;

	STOA_READ(rd, seg);
	if (stoai_names_lock(rd)) {
		root = stoai_root(rd);
		if (root && stoai_stored_each(rd, stored_count, &own)) {
			objects = a64_load_relaxed(&root->count) != 0;
			own += a64_load_relaxed(&root->buckets) != 0;
			own += a64_load_relaxed(&root->contention) != 0;
			own += a64_load_relaxed(&root->index) != 0;
			own += stoai_header(seg)->heap_class != 0;
			(void)stoai_heap_each(seg, block_count, &blocks);
		}
	}
	return stoa_tx_error(rd) ? stoa_tx_error(rd)
				 : !objects && blocks == own;
}

int64_t
stoa_memory_zero(stoa_segment *seg)
{
	struct stoai_seat *seat;
	int64_t left;
	int rc;

	stoai_error_clear();
	if (seg->readonly)
		return stoai_error(
			-EROFS, "%s is open for reading only", stoai_name(seg));
	rc = stoai_attach(seg, STOA_NOW, &seat);
	if (rc)
		return rc;
	if (seat->scope)
		return stoai_error(-EBUSY,
			"%s: memory is zeroed inside a scope: end it first",
			stoai_name(seg));
	(void)stoai_sweep(seg, true);
	seat->busy = 1;
	left = stoai_heap_zero(seat);
	seat->busy = 0;
	return left;
}
