/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A heap class: how does an algorithm that somebody brought divide a segment's
 * memory, and what is it not believed?
 *
 *	alloc    lock; class.alloc; nothing: lend it a run, once more; note the block
 *	free     DROPPED, a record and no more
 *	commit   of each DROPPED: the note goes, class.free; then the commit store
 *	reduce   a run without a block, and class.reduce: FREE, as of any run
 *
 * All that the class changes it changes with undo, under the lock of the heap, which
 * is held to the end of the transaction. So a death, an abort and a savepoint need
 * nothing of it: whoever recovers puts bytes back and does not need the class.
 *
 * A block that the transaction frees must keep its bytes until nothing can undo the
 * transaction, and what a class does with a free block is to write into it. So frees
 * wait for the commit, where only the class's own changes can be undone yet: their
 * records hold the bytes that it wrote over.
 *
 * Locks and conditions in a block that is freed. Its locks are forgotten between the
 * commit store and the unlocking (lane.c), by record, so that the recoverer does the
 * same: to give one back would be a store into the links of free memory. Its
 * conditions are marked and woken before class.free, and their records say nothing
 * any more: somebody who wakes for nothing looks again.
 *
 * What is noted of a block stands in the map of its run (heap/lent.c). A class that
 * gives what is not free, not its own, too short or not aligned fails the
 * transaction, which puts everything back.
 */
#include "heap/heap.h"
#include "stoa/heap.h"
#include "sync/lock.h"
#include "tx/local.h"

enum {
	GROW_SHARE =
		8, /* of the heap as it is now; more at once costs too much */
	GROW_MAX = 4 << 20,
	TRIES = 4 /* each with more memory */
};

/* ---- asking it ---- */

/* Locked, and not from within; false: tx has failed. */
static bool
own_enter(stoa_tx *tx)
{
	struct stoai_tx_self *mine = stoai_tx_self(tx->self);

	if (mine->asked) {
		(void)stoai_tx_fail(tx,
			stoai_error(-EBUSY,
				"%s: its heap '%s' allocates or frees while it "
				"is asked for a block",
				stoai_name(tx->seg),
				tx->seg->heap_class->name));
		return false;
	}
	if (!stoai_tx_own_lock(tx, &stoai_header(tx->seg)->blocks, true))
		return false;
	mine->asked = true;
	return true;
}

static void
own_leave(stoa_tx *tx)
{
	stoai_tx_self(tx->self)->asked = false;
}

static const void *
own_state(const stoa_tx *tx)
{
	return stoai_at(tx->seg, tx->seg->heap_state);
}

/* ---- the map ---- */

static bool
note(stoa_tx *tx, const struct stoai_lent *lent, uint64_t off, unsigned what)
{
	unsigned shift;
	uint64_t at = stoai_lent_word(lent, off, &shift);
	const uint64_t *word = stoai_at(tx->seg, at);
	uint64_t value = a64_load_relaxed(word);

	value = (value & ~(UINT64_C(3) << shift)) | (uint64_t)what << shift;
	return stoa_tx_store_(tx, word, &value, sizeof value);
}

static bool
note_block(stoa_tx *tx, const struct stoai_lent *lent, uint64_t off,
	uint64_t size, bool there)
{
	unsigned end =
		size % STOAI_LENT_GRAIN ? STOAI_LENT_HALF : STOAI_LENT_END;

	return note(tx, lent, off,
		       there ? STOAI_LENT_BEGIN : STOAI_LENT_NONE) &&
	       note(tx, lent, off + size - 1, there ? end : STOAI_LENT_NONE);
}

/* In the words of its begin and its end nothing says that a block is there. */
static bool
is_free(stoa_segment *seg, const struct stoai_lent *lent, uint64_t off,
	uint64_t size)
{
	unsigned low, high;
	uint64_t first = stoai_lent_word(lent, off, &low);
	uint64_t last = stoai_lent_word(lent, off + size - 1, &high);
	uint64_t above = UINT64_MAX << low, below = UINT64_MAX >> (62 - high);
	uint64_t a = a64_load_relaxed(stoai_at(seg, first));
	uint64_t b = a64_load_relaxed(stoai_at(seg, last));

	return first == last ? !(a & above & below)
			     : !(a & above) && !(b & below);
}

/* ---- blocks ---- */

static int
own_wrong(stoa_tx *tx, uint64_t off, const char *what)
{
	return stoai_tx_fail(
		tx, stoai_error(-EBADMSG,
			    "%s: its heap '%s' gave a block at %#llx, %s",
			    stoai_name(tx->seg), tx->seg->heap_class->name,
			    (unsigned long long)off, what));
}

/* What it gave is looked at, noted, and undone with tx. */
static int
own_take(stoa_tx *tx, uint64_t off, uint64_t size, uint64_t align,
	uint64_t *ret_usable)
{
	const stoa_heap_class *c = tx->seg->heap_class;
	const stoa_ref ref = {off};
	struct stoai_lent lent;
	uint64_t usable;
	int rc;

	if (!stoai_heap_lent(tx->seg, off, &lent))
		return own_wrong(tx, off, "which is no memory of its own");
	if (off & (align - 1))
		return own_wrong(tx, off, "which is not aligned as asked");
	usable = c->usable(tx, own_state(tx), ref) & ~UINT64_C(7);
	if (tx->error)
		return tx->error;
	if (usable < size || usable > lent.end - off)
		return own_wrong(tx, off,
			usable < size ? "which is shorter than asked"
				      : "which ends outside its memory");
	if (!is_free(tx->seg, &lent, off, usable))
		return own_wrong(tx, off, "where one is already");
	rc = stoai_lane_append(tx->seat, STOAI_LOG_TAKEN, 8, off, &usable);
	if (rc)
		return stoai_tx_fail(tx, rc);
	if (!note_block(tx, &lent, off, usable, true))
		return tx->error;
	stoai_tx_fresh(tx, off, usable);
	*ret_usable = usable;
	return 0;
}

/* A run of spans for at least `size` bytes; a generous one, if there is one. */
static int
own_run(stoa_tx *tx, uint64_t size, struct stoai_cached *ret)
{
	stoa_segment *seg = tx->seg;
	uint64_t span = UINT64_C(1) << seg->span_shift;
	uint64_t least = stoai_align_up(stoai_heap_lent_need(size), span);
	uint64_t heap = stoai_committed(seg) - seg->heap_off;
	uint64_t some =
		stoai_align_up(stoai_min(heap / GROW_SHARE, GROW_MAX), span);
	int rc = -ENOSPC;

	if (some > least)
		rc = stoai_heap_alloc(tx->seat, some, STOAI_BLOCK_MIN, ret);
	if (rc == -ENOSPC) {
		rc = stoai_heap_alloc(tx->seat, least, STOAI_BLOCK_MIN, ret);
		if (!rc)
			stoai_error_clear();
	}
	return rc;
}

/* 0; -ENOSPC; or why tx has failed. */
static int
own_extend(stoa_tx *tx, uint64_t size)
{
	stoa_segment *seg = tx->seg;
	struct stoai_lent lent;
	stoa_ref from;
	struct stoai_cached block;
	int rc = own_run(tx, size, &block);

	if (rc)
		return rc == -ENOSPC ? rc : stoai_tx_fail(tx, rc);
	stoai_heap_lent_clear(seg, block.off);
	if (!stoai_tx_give(tx, block, 0))
		return tx->error;
	stoai_heap_lend(seg, block.off, &lent);
	from.off = lent.from;
	seg->heap_class->extend(tx, own_state(tx), from, lent.end - lent.from);
	return tx->error;
}

static int
own_ask(stoa_tx *tx, uint64_t size, uint64_t align, uint64_t *ret)
{
	const stoa_heap_class *c = tx->seg->heap_class;
	uint64_t more = 64;
	int rc;

	for (int tries = 0; tries < TRIES; tries++, more *= 64) {
		*ret = c->alloc(tx, own_state(tx), size, align).off;
		if (*ret || tx->error)
			return tx->error;
		if (tries == TRIES - 1)
			break;
		/* room for what it keeps, and to align in */
		rc = own_extend(tx, size + 2 * align + more);
		if (rc)
			return rc;
	}
	return stoai_error(-ENOSPC,
		"%s: its heap '%s' has no block of %llu bytes aligned to %llu, "
		"also with more memory",
		stoai_name(tx->seg), c->name, (unsigned long long)size,
		(unsigned long long)align);
}

int
stoai_own_alloc(stoa_tx *tx, uint64_t size, uint64_t align, uint64_t *off,
	uint64_t *usable)
{
	stoa_segment *seg = tx->seg;
	struct stoai_cached none;
	int rc = stoai_heap_align_check(seg, align);

	if (rc)
		return stoai_tx_fail(tx, rc);
	if (size > seg->size - seg->heap_off) /* the reason, and its numbers */
		return stoai_heap_alloc(tx->seat, size, STOAI_BLOCK_MIN, &none);
	align = stoai_max(align, STOAI_BLOCK_MIN);
	size = stoai_align_up(stoai_max(size, STOAI_LENT_LEAST), 8);
	if (!own_enter(tx))
		return tx->error;
	rc = own_ask(tx, size, align, off);
	if (!rc)
		rc = own_take(tx, *off, size, align, usable);
	own_leave(tx);
	if (stoai_profiled(seg) && !rc)
		stoai_profile_alloc(seg, *off, size);
	return rc;
}

bool
stoai_own_free(stoa_tx *tx, uint64_t off)
{
	uint64_t size = stoai_heap_usable(tx->seg, off);
	struct stoai_lent lent;
	int rc;

	if (!stoai_heap_lent(tx->seg, off, &lent))
		return false;
	rc = stoai_lane_append(tx->seat, STOAI_LOG_DROPPED, 8, off, &size);
	if (rc)
		(void)stoai_tx_fail(tx, rc);
	else
		tx->seat->effects |= 1u << STOAI_LOG_DROPPED;
	return true;
}

/* ---- commit ---- */

/* Before `end` in the own log, whose records were written by this thread. */
static bool
next_record(const stoa_tx *tx, uint64_t *at, uint64_t *head, uint64_t *place)
{
	*place = *at;
	if (!stoai_lane_record(tx->seg, tx->seat->index, *at, head, at))
		return true;
	(void)stoai_tx_fail(tx, -EBADMSG);
	return false;
}

/* Conditions in [off, +size), which is to be free memory. */
static void
drop_wakes(stoa_tx *tx, uint64_t end, uint64_t off, uint64_t size)
{
	stoa_segment *seg = tx->seg;
	uint64_t at = stoai_log_start(seg, tx->seat->index), head = 0,
		 place = 0;

	while (at != end && next_record(tx, &at, &head, &place)) {
		uint64_t cond = head & STOAI_LOG_OFFSET;
		bool all = (head >> 44 & 0xffff) != 1;

		if (head >> 60 != STOAI_LOG_WAKE || cond - off >= size)
			continue;
		stoai_cond_mark(seg, stoai_at(seg, cond), all);
		stoai_cond_wake(seg, cond, all);
		/* old bytes, none of them: undone, it changes nothing */
		a64_store_kill(stoai_at(seg, place),
			stoai_log_head(STOAI_LOG_SAVE, 0, cond));
	}
}

static void
drop(stoa_tx *tx, uint64_t end, uint64_t off)
{
	stoa_segment *seg = tx->seg;
	uint64_t size = stoai_heap_usable(seg, off);
	const stoa_ref ref = {off};
	struct stoai_lent lent;

	if (!size || !stoai_heap_lent(seg, off, &lent)) {
		(void)stoai_tx_fail(
			tx, stoai_error(-EFAULT, "%s: %#llx is freed twice",
				    stoai_name(seg), (unsigned long long)off));
		return;
	}
	if (tx->seat->effects >> STOAI_LOG_WAKE & 1)
		drop_wakes(tx, end, off, size);
	if (stoai_profiled(seg))
		stoai_profile_free(seg, off);
	if (note_block(tx, &lent, off, size, false))
		seg->heap_class->free(tx, own_state(tx), ref);
}

void
stoai_own_drop(stoa_tx *tx)
{
	uint64_t at = stoai_log_start(tx->seg, tx->seat->index);
	uint64_t end = a64_load_relaxed(&tx->seat->lane->cursor);
	uint64_t head = 0, place = 0;

	if (!own_enter(tx))
		return;
	while (at != end && !tx->error && next_record(tx, &at, &head, &place))
		if (head >> 60 == STOAI_LOG_DROPPED)
			drop(tx, end, head & STOAI_LOG_OFFSET);
	own_leave(tx);
}

/* ---- what it does not need ---- */

void
stoai_own_reduce(stoa_tx *tx)
{
	stoa_segment *seg = tx->seg;
	const stoa_heap_class *c = seg->heap_class;
	struct stoai_lent lent;
	uint64_t at = 0;
	int rc = 0;

	if (!c->reduce || !stoai_tx_writes(tx) || !own_enter(tx))
		return;
	while (!rc && !tx->error && stoai_heap_lent_unused(seg, &at, &lent)) {
		const stoa_ref from = {lent.from};

		if (!c->reduce(tx, own_state(tx), from, lent.end - lent.from) ||
			tx->error)
			continue;
		/* a run as any other, once the commit frees it */
		rc = stoai_lane_append(
			tx->seat, STOAI_LOG_FREE, 0, lent.map, NULL);
		tx->seat->effects |= 1u << STOAI_LOG_FREE;
	}
	if (rc)
		(void)stoai_tx_fail(tx, rc);
	own_leave(tx);
}
