/* SPDX-License-Identifier: BSL-1.0 */
/* Where spans come from when none is free. See supply.c, grow.c. */
#ifndef STOAI_HEAP_SUPPLY_H
#define STOAI_HEAP_SUPPLY_H
#include "heap/run.h"

/* As stoai_run_find; gives back, grows and buries the dead before -ENOSPC. */
int stoai_supply(
	struct stoai_seat *seat, uint64_t spans, uint64_t align, uint64_t *ret);
/*
 * All that this thread caches, its empty slabs, and slabs that the dead left empty
 * become free spans.
 */
void stoai_supply_collect(struct stoai_seat *seat);
/*
 * Is it worth the time to walk over the whole table? Yes if the heap is small, at
 * its limit, or has grown by an eighth since this thread's last walk: so walks
 * cost no more than growth does.
 */
bool stoai_supply_may_walk(struct stoai_seat *seat);

enum {
	STOAI_AT_LIMIT = 1
};
/* More heap: `want` bytes if that much is left. 0, STOAI_AT_LIMIT, or < 0. */
int stoai_supply_grow(struct stoai_seat *seat, uint64_t want);
/* -ENOSPC (or the system's error) with its text; rc: what stoai_supply_grow said. */
int stoai_supply_failed(stoa_segment *seg, uint64_t want, int rc);
/*
 * An allocation of `size` bytes ends with rc < 0: it is counted if that is what
 * stoai_supply_failed said last, so not what a larger class made good after all.
 */
void stoai_supply_refused(const struct stoai_seat *seat, uint64_t size, int rc);

#endif
