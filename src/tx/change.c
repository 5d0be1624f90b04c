/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Changes: every store to shared data comes through here, after what was there
 * has been saved. A block made in this scope needs no saving: if the scope is
 * undone, so is the block.
 *
 * What was saved once in a scope is not saved again: a small table remembers the
 * last ranges, tagged with the scope. Missing an entry costs a record, never the
 * undo.
 */
#include "heap/heap.h"
#include "tx/local.h"

bool
stoai_tx_is_fresh(const stoa_tx *tx, uint64_t off, uint64_t size)
{
	uint32_t n = tx->fresh_next < STOAI_TX_FRESH ? tx->fresh_next
						     : STOAI_TX_FRESH;

	for (uint32_t i = 0; i < n; i++)
		if (off - tx->fresh_from[i] < tx->fresh_size[i] &&
			size <= tx->fresh_size[i] - (off - tx->fresh_from[i]))
			return true;
	return false;
}

static int
save_range(struct stoa_tx *tx, uint64_t off, uint64_t size)
{
	int rc = 0;

	while (size && !rc) {
		uint32_t part = (uint32_t)stoai_min(size, STOAI_LOG_SAVE_MAX);

		rc = stoai_lane_append(tx->seat, STOAI_LOG_SAVE, part, off,
			stoai_at(tx->seg, off));
		off += part;
		size -= part;
	}
	return rc;
}

/* The caller has asked stoai_tx_writes and stoai_tx_inside. */
bool
stoai_tx_save_fresh(stoa_tx *tx, uint64_t off, uint64_t size)
{
	struct stoai_saved *saved = stoai_saved_at(tx, off);
	int rc;

	if (!size || (tx->fresh_next && stoai_tx_is_fresh(tx, off, size)))
		return true;
	tx->seat->busy = 1;
	rc = stoai_likely(size <= 8)
		     ? stoai_log_save_word(tx->seat, off, (uint32_t)size)
		     : save_range(tx, off, size);
	tx->seat->busy = 0;
	if (stoai_unlikely(rc)) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	if (size <= UINT32_MAX) {
		saved->off = off;
		saved->serial = tx->serial;
		saved->size = (uint32_t)size;
	}
	return true;
}

/* One store where the machine can; a reader without a lock sees old or new. */
static void
store(void *to, const void *value, size_t size)
{
	uintptr_t both = (uintptr_t)to | (uintptr_t)value;

	stoai_kill_fence();
	if (size == 8 && both % 8 == 0)
		a64_store_relaxed(to, *(const uint64_t *)value);
	else if (size == 4 && both % 4 == 0)
		a32_store_relaxed(to, *(const uint32_t *)value);
	else
		memcpy(to, value, size);
	stoai_kill_fence();
}

bool
stoa_tx_store_(stoa_tx *tx, const void *to, const void *value, size_t size)
{
	if (!stoai_tx_save(tx, to, size))
		return false;
	store((void *)(uintptr_t)to, value, size);
	return true;
}

bool
stoa_tx_link_(stoa_tx *tx, const stoa_ref *to, const void *target)
{
	stoa_ref ref;

	if (!stoai_tx_writes(tx))
		return false;
	if (target && !stoai_tx_inside(tx, target, 1))
		return false;
	ref.off = stoai_off(tx->seg, target);
	return stoa_tx_store_(tx, to, &ref, sizeof ref);
}

void *
stoa_tx_edit_(stoa_tx *tx, const void *p, size_t size)
{
	if (!p)
		return NULL;
	if (!stoai_tx_save(tx, p, size))
		return stoai_scratch(size, p);
	return (void *)(uintptr_t)p;
}

/* ---- blocks ---- */

void
stoai_tx_fresh(struct stoa_tx *tx, uint64_t off, uint64_t size)
{
	uint32_t i = tx->fresh_next++ % STOAI_TX_FRESH;

	tx->fresh_from[i] = off;
	tx->fresh_size[i] = size;
}

bool
stoai_tx_give(stoa_tx *tx, struct stoai_cached block, uint64_t size)
{
	struct stoai_seat *seat = tx->seat;
	int rc = stoai_log_mark(seat, STOAI_LOG_ALLOC, block.off);

	if (stoai_unlikely(rc)) {
		(void)stoai_heap_free(seat, block.off);
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	stoai_heap_publish(seat, block);
	stoai_tx_fresh(tx, block.off, size);
	if (stoai_profiled(tx->seg) && size) /* else a run, for a heap class */
		stoai_profile_alloc(tx->seg, block.off, size);
	return true;
}

static void *
own_alloc(stoa_tx *tx, uint64_t size, uint64_t align)
{
	uint64_t off, usable;
	int rc = stoai_own_alloc(tx, size, align, &off, &usable);

	if (rc)
		(void)stoai_tx_fail(tx, rc);
	return rc ? NULL : stoai_at(tx->seg, off);
}

void *
stoai_tx_alloc_dirty(stoa_tx *tx, uint64_t size, uint64_t align)
{
	struct stoai_seat *seat = tx->seat;
	struct stoai_cached block;
	bool given = false;
	int rc;

	if (!stoai_tx_writes(tx))
		return NULL;
	if (stoai_own(tx))
		return own_alloc(tx, size, align);
	seat->busy = 1;
	rc = stoai_heap_alloc(seat, size, align, &block);
	if (stoai_unlikely(rc))
		(void)stoai_tx_fail(tx, rc);
	else
		given = stoai_tx_give(tx, block, size);
	seat->busy = 0;
	return given ? stoai_at(tx->seg, block.off) : NULL;
}

void *
stoai_tx_alloc(stoa_tx *tx, uint64_t size, uint64_t align)
{
	void *p = stoai_tx_alloc_dirty(tx, size, align);

	if (!p || stoai_own(tx))
		return p ? memset(p, 0, size) : NULL;
	stoai_heap_clear(tx->seat, stoai_off(tx->seg, p), size);
	return p;
}

bool
stoai_tx_free_found(stoa_tx *tx, uint64_t off)
{
	int rc;

	if (stoai_own(tx) && stoai_own_free(tx, off))
		return !tx->error;
	tx->seat->busy = 1;
	rc = stoai_log_mark(tx->seat, STOAI_LOG_FREE, off);
	tx->seat->busy = 0;
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	tx->seat->effects |= 1u << STOAI_LOG_FREE;
	return true;
}

bool
stoai_tx_free(stoa_tx *tx, uint64_t off)
{
	if (!stoai_tx_writes(tx))
		return false;
	if (!off)
		return true;
	if (!stoai_heap_usable(tx->seg, off)) {
		(void)stoai_tx_damaged(tx,
			"%#llx is to be freed and is no block",
			(unsigned long long)off);
		return false;
	}
	return stoai_tx_free_found(tx, off);
}

bool
stoai_tx_free_moved(stoa_tx *tx, uint64_t off)
{
	if (!stoai_tx_free(tx, off))
		return false;
	if (stoai_unlikely(tx->seg->checked) && off)
		stoai_checked_moved(tx, off);
	return true;
}
