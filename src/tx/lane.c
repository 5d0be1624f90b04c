/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The lane's log, written and walked: what must be undone if this transaction
 * does not commit, and what must be done when it has.
 *
 *	lane                          chunk (a transient block)
 *	SAVE ALLOC SAVE FREE NEXT ->  LINK SAVE ...  <- cursor
 *	                    <-------- (where the cursor was)
 *
 * Invariants
 *	I1  a record is whole before the cursor is behind it
 *	I2  state OPEN: everything before the cursor can be undone, last first
 *	I3  any other state: nothing is undone any more; what is left of its effects
 *	    is made by whoever comes, any number of times
 *	I4  the cursor is emptied before the state is OPEN again
 *
 * Crash argument. Undo moves the cursor back after each record's effect, so it is
 * repeated at most for one record, and putting old bytes back twice is putting
 * them back. Marks and wakes may be repeated. A free is made under the recycle barrier
 * (heap/README.md) and `done` is moved behind it.
 *
 * Nothing read here is believed: a peer may have written anything. Offsets are
 * checked against the heap, sizes against the record, and every walk is bounded.
 */
#include "heap/heap.h"
#include "sync/lock.h"
#include "tx/local.h"

enum {
	CHUNK_FIRST = 2048,
	RECORD_MAX = STOAI_LOG_SAVE_MAX + STOAI_LOG_FIXED
};

static uint64_t *
word_at(stoa_segment *seg, uint64_t off)
{
	return stoai_at(seg, off);
}

static int
log_damaged(stoa_segment *seg, uint32_t slot, uint64_t at)
{
	return stoai_error(-EBADMSG,
		"%s: damaged: the log of slot %u makes no sense at %#llx",
		stoai_name(seg), slot, (unsigned long long)at);
}

/* ---- writing: the caller's own lane ---- */

static void
record_write(stoa_segment *seg, uint64_t at, uint64_t head, const void *bytes,
	uint64_t length, uint64_t size)
{
	uint64_t *record = word_at(seg, at);

	a64_store_relaxed(record, head);
	if (length) /* in a damaged heap a chunk may lie over what is saved */
		memmove(record + 1, bytes, length);
	a64_store_relaxed(word_at(seg, at + size - 8), size);
}

/*
 * A chunk twice as large as the one before up to an eighth of the heap, so that the
 * memory runs out before the chunks do; just enough where that much is not left.
 */
static int
chunk_add(struct stoai_seat *seat, uint64_t need)
{
	stoa_segment *seg = seat->seg;
	struct stoai_lane *lane = seat->lane;
	uint64_t least = need + UINT64_C(4) * STOAI_LOG_FIXED;
	uint64_t size = (uint64_t)CHUNK_FIRST << seat->chunks, off;
	struct stoai_cached block;
	uint64_t at = a64_load_relaxed(&lane->cursor);
	int rc;

	if (at > seat->log_end - STOAI_LOG_FIXED || at % 8)
		return log_damaged(seg, seat->index, at);
	if (seat->chunks == STOAI_CHUNKS_MAX)
		return stoai_error(-ENOSPC,
			"%s: no memory for the undo log of so many changes: "
			"commit in between, or make a new segment with a "
			"larger .limit",
			stoai_name(seg));
	size = stoai_min(size, (seg->size - seg->heap_off) / 8);
	size = stoai_max(size, least);
	rc = stoai_heap_alloc(seat, size, 16, &block);
	if (rc == -ENOSPC && size > least) {
		rc = stoai_heap_alloc(seat, least, 16, &block);
		if (!rc)
			stoai_error_clear();
	}
	if (rc)
		return stoai_error_in(rc, "a transaction's undo log");
	off = block.off;
	record_write(seg, off, stoai_log_head(STOAI_LOG_LINK, 0, at), NULL, 0,
		STOAI_LOG_FIXED);
	record_write(seg, at, stoai_log_head(STOAI_LOG_NEXT, 0, off), NULL, 0,
		STOAI_LOG_FIXED);
	seat->chunk[seat->chunks++] = off;
	seat->log_end = off + stoai_heap_usable(seg, off);
	a64_store_kill(&lane->cursor, off + STOAI_LOG_FIXED);
	return 0;
}

/* Where the next records of that many bytes go; room for a NEXT stays behind. */
static inline int
log_room(struct stoai_seat *seat, uint64_t size, uint64_t *ret)
{
	uint64_t at = a64_load_relaxed(&seat->lane->cursor);

	if (stoai_unlikely(at + size + STOAI_LOG_FIXED > seat->log_end ||
			   at > seat->log_end || at % 8)) {
		int rc = chunk_add(seat, size);

		if (rc)
			return rc;
		at = seat->chunk[seat->chunks - 1] + STOAI_LOG_FIXED;
	}
	*ret = at;
	return 0;
}

int
stoai_lane_append(struct stoai_seat *seat, enum stoai_log_kind kind,
	uint32_t length, uint64_t off, const void *bytes)
{
	uint64_t bytes_size = bytes ? stoai_align_up(length, 8) : 0;
	uint64_t size = STOAI_LOG_FIXED + bytes_size, at;
	int rc = log_room(seat, size, &at);

	if (rc)
		return rc;
	record_write(seat->seg, at, stoai_log_head(kind, length, off), bytes,
		bytes_size ? length : 0, size);
	a64_store_kill(&seat->lane->cursor, at + size); /* I1 */
	return 0;
}

int
stoai_lane_append_blocks(
	struct stoai_seat *seat, size_t n, const struct stoai_cached *block)
{
	uint64_t at;
	int rc = log_room(seat, n * STOAI_LOG_FIXED, &at);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++, at += STOAI_LOG_FIXED)
		record_write(seat->seg, at,
			stoai_log_head(STOAI_LOG_ALLOC, 0, block[i].off), NULL,
			0, STOAI_LOG_FIXED);
	a64_store_kill(&seat->lane->cursor, at); /* I1, for all at once */
	return 0;
}

void
stoai_lane_trim(struct stoai_seat *seat, uint32_t chunks)
{
	while (seat->chunks > chunks) {
		seat->chunks--;
		(void)stoai_heap_free(seat, seat->chunk[seat->chunks]);
	}
	seat->log_end = seat->chunks
				? seat->chunk[seat->chunks - 1] +
					  stoai_heap_usable(seat->seg,
						  seat->chunk[seat->chunks - 1])
				: stoai_log_lane_end(seat->seg, seat->index);
}

/* ---- walking: any lane, nothing believed ---- */

static bool
log_place(stoa_segment *seg, uint32_t slot, uint64_t from, uint64_t size)
{
	uint64_t start = stoai_log_start(seg, slot);

	if (from % 8)
		return false;
	return (from >= start && from <= stoai_log_lane_end(seg, slot) &&
		       size <= stoai_log_lane_end(seg, slot) - from) ||
	       stoai_in_heap(seg, from, size);
}

uint64_t
stoai_lane_limit(stoa_segment *seg)
{
	return stoai_committed(seg) / STOAI_LOG_FIXED;
}

/* The record that ends at `end`: its start, head and size. */
static int
record_before(stoa_segment *seg, uint32_t slot, uint64_t end, uint64_t *head,
	uint64_t *size)
{
	if (end < STOAI_LOG_FIXED || !log_place(seg, slot, end - 8, 8))
		return log_damaged(seg, slot, end);
	*size = a64_load_relaxed(word_at(seg, end - 8));
	if (*size < STOAI_LOG_FIXED || *size > RECORD_MAX || *size % 8 ||
		*size > end || !log_place(seg, slot, end - *size, *size))
		return log_damaged(seg, slot, end);
	*head = a64_load_relaxed(word_at(seg, end - *size));
	return 0;
}

static int
undo_save(stoa_segment *seg, uint32_t slot, uint64_t at, uint64_t head,
	uint64_t size)
{
	uint32_t length = head >> 44 & 0xffff;
	uint64_t off = head & STOAI_LOG_OFFSET;

	if (stoai_align_up(length, 8) + STOAI_LOG_FIXED != size ||
		!stoai_heap_writable(seg, off, length))
		return log_damaged(seg, slot, at);
	stoai_kill_copy(stoai_at(seg, off), word_at(seg, at) + 1, length);
	return 0;
}

/*
 * The block is nobody's again: a lock in it that this slot holds must not be let
 * go later, into another life of that memory. Nobody else can know it.
 */
static void
forget_locks(stoa_segment *seg, uint32_t slot, uint64_t off, uint64_t size)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	struct stoai_seat *seat = stoai_seat_of(seg);

	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++) {
		uint64_t held = a64_load_relaxed(&lane->held[k]);

		if (!held || stoai_held_off(held) - off >= size)
			continue;
		a64_store_kill(&lane->held[k], 0);
		if (seat && seat->index == slot && stoai_seat_taken(seat))
			seat->locks &= ~(1u << k), seat->raw &= ~(1u << k),
				seat->depth[k] = 0;
	}
}

/* A large block that was cut or made longer is what it was. */
static int
undo_resize(stoa_segment *seg, uint32_t slot, uint64_t at, uint64_t head,
	uint64_t size)
{
	uint64_t off = head & STOAI_LOG_OFFSET, n, k;
	int rc;

	if (size != STOAI_LOG_FIXED + STOAI_LOG_PAIR ||
		!stoai_in_heap(seg, off, 1) ||
		(off - seg->heap_off) & ((UINT64_C(1) << seg->span_shift) - 1))
		return log_damaged(seg, slot, at);
	n = a64_load_relaxed(word_at(seg, at + 8));
	k = a64_load_relaxed(word_at(seg, at + 16));
	rc = head >> 60 == STOAI_LOG_MERGE
		     ? stoai_heap_split(seg, slot, off, n, k)
		     : stoai_heap_merge(seg, off, n, k);
	return rc ? log_damaged(seg, slot, at) : 0;
}

static int
undo_record(stoa_segment *seg, uint32_t slot, uint64_t at, uint64_t head,
	uint64_t size)
{
	switch (head >> 60) {
	case STOAI_LOG_SAVE:
		return undo_save(seg, slot, at, head, size);
	case STOAI_LOG_ALLOC:
		forget_locks(seg, slot, head & STOAI_LOG_OFFSET,
			stoai_heap_usable(seg, head & STOAI_LOG_OFFSET));
		if (stoai_profiled(seg))
			stoai_profile_free(seg, head & STOAI_LOG_OFFSET);
		stoai_heap_unpublish(seg, slot, head & STOAI_LOG_OFFSET);
		return 0;
	case STOAI_LOG_TAKEN:
		if (size != STOAI_LOG_FIXED + 8)
			return log_damaged(seg, slot, at);
		forget_locks(seg, slot, head & STOAI_LOG_OFFSET,
			a64_load_relaxed(word_at(seg, at) + 1));
		if (stoai_profiled(seg))
			stoai_profile_free(seg, head & STOAI_LOG_OFFSET);
		return 0;
	case STOAI_LOG_MERGE:
	case STOAI_LOG_SPLIT:
		return undo_resize(seg, slot, at, head, size);
	case STOAI_LOG_FREE:
	case STOAI_LOG_WAKE:
	case STOAI_LOG_DROPPED:
		return 0;
	default:
		return log_damaged(seg, slot, at);
	}
}

int
stoai_lane_rollback(stoa_segment *seg, uint32_t slot, uint64_t mark)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	uint64_t left = stoai_lane_limit(seg), cursor;

	while ((cursor = a64_load_relaxed(&lane->cursor)) != mark) {
		uint64_t head = 0, size = 0;
		int rc = record_before(seg, slot, cursor, &head, &size);

		if (!rc && !left--)
			rc = log_damaged(seg, slot, cursor);
		if (rc)
			return rc;
		if (head >> 60 == STOAI_LOG_LINK) {
			a64_store_kill(&lane->cursor, head & STOAI_LOG_OFFSET);
			continue;
		}
		rc = undo_record(seg, slot, cursor - size, head, size); /* I2 */
		if (rc)
			return rc;
		/* pairs with: segment/others.c */
		a64_store_release(&lane->cursor, cursor - size);
	}
	return 0;
}

int
stoai_lane_record(stoa_segment *seg, uint32_t slot, uint64_t at, uint64_t *head,
	uint64_t *next)
{
	if (!log_place(seg, slot, at, STOAI_LOG_FIXED))
		return log_damaged(seg, slot, at);
	*head = a64_load_relaxed(word_at(seg, at));
	*next = *head >> 60 == STOAI_LOG_NEXT
			? *head & STOAI_LOG_OFFSET
			: at + STOAI_LOG_FIXED + stoai_log_payload(*head);
	return *head >> 60 >= STOAI_LOG_SAVE && *head >> 60 <= STOAI_LOG_DROPPED
		       ? 0
		       : log_damaged(seg, slot, at);
}

/*
 * Each WAKE record up to `end`: mark the condition, or wake who sleeps there. Of a
 * block that went back to its algorithm the locks are nobody's, before anything is
 * unlocked: links of free memory may lie there.
 */
static int
each_wake(stoa_segment *seg, uint32_t slot, uint64_t end, bool mark)
{
	uint64_t at = stoai_log_start(seg, slot), left = stoai_lane_limit(seg);

	while (at != end) {
		uint64_t head = 0, next = 0, off;
		int rc = stoai_lane_record(seg, slot, at, &head, &next);
		bool all = (head >> 44 & 0xffff) != 1;

		if (!rc && !left--)
			rc = log_damaged(seg, slot, at);
		if (rc)
			return rc;
		if (mark && head >> 60 == STOAI_LOG_DROPPED &&
			log_place(seg, slot, at, STOAI_LOG_FIXED + 8))
			forget_locks(seg, slot, head & STOAI_LOG_OFFSET,
				a64_load_relaxed(word_at(seg, at) + 1));
		at = next;
		if (head >> 60 != STOAI_LOG_WAKE)
			continue;
		off = head & STOAI_LOG_OFFSET;
		if (off % STOAI_LOCK_ALIGN ||
			!stoai_in_heap(seg, off, sizeof(stoa_cond)))
			return log_damaged(seg, slot, at);
		if (mark)
			stoai_cond_mark(seg, stoai_at(seg, off), all);
		else
			stoai_cond_wake(seg, off, all);
	}
	return 0;
}

static int
finish_frees(stoa_segment *seg, uint32_t slot, uint64_t end)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	uint64_t at = a64_load_relaxed(&lane->done),
		 left = stoai_lane_limit(seg);

	while (at != end) {
		uint64_t head = 0, next = 0;
		int rc = stoai_lane_record(seg, slot, at, &head, &next);

		if (!rc && !left--)
			rc = log_damaged(seg, slot, at);
		if (rc)
			return rc;
		if (stoai_profiled(seg) && head >> 60 == STOAI_LOG_FREE)
			stoai_profile_free(seg, head & STOAI_LOG_OFFSET);
		if (head >> 60 == STOAI_LOG_FREE)
			stoai_heap_free_logged(seg, slot,
				head & STOAI_LOG_OFFSET, &lane->done, next);
		else
			a64_store_kill(&lane->done, next);
		at = next;
	}
	return 0;
}

int
stoai_lane_signal(stoa_segment *seg, uint32_t slot, bool wakes)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	int rc = wakes ? each_wake(seg, slot, a64_load_relaxed(&lane->cursor),
				 true)
		       : 0;

	if (!rc)
		a32_store_kill(&lane->state, STOAI_LANE_SIGNALLED); /* I3 */
	return rc;
}

int
stoai_lane_finish(stoa_segment *seg, uint32_t slot, bool wakes)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	uint64_t start = stoai_log_start(seg, slot);
	uint64_t end = a64_load_relaxed(&lane->cursor);
	int rc = 0;

	if (a32_load_relaxed(&lane->state) == STOAI_LANE_SIGNALLED) {
		rc = wakes ? each_wake(seg, slot, end, false) : 0;
		a64_store_kill(&lane->done, start);
		if (!rc)
			a32_store_kill(&lane->state, STOAI_LANE_FREEING);
	}
	if (!rc && end != start)
		rc = finish_frees(seg, slot, end);
	if (rc)
		return rc;
	/* pairs with: segment/others.c */
	a64_store_release(&lane->cursor, start); /* I4 */
	a32_store_kill(&lane->state, STOAI_LANE_OPEN);
	return 0;
}
