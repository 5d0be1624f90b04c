/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Conditions inside a transaction.
 *
 * Waiting gives up every lock of the transaction, so it is allowed only before
 * the first change: nothing half-done is ever visible. Afterwards the same locks
 * are taken again, in order.
 *
 * A signal is a record in the log: made at commit, dropped with the changes it
 * announces, made again by recovery if this thread dies between.
 */
#include "heap/heap.h"
#include "os/os.h"
#include "sync/lock.h"
#include "tx/local.h"

enum {
	IDLE_NS = 50 * 1000 * 1000
};

struct kept { /* one lock, to be had again */
	uint64_t off;
	unsigned mode;
};

static uint32_t
locks_note(const struct stoai_seat *seat, struct kept kept[STOAI_HELD_MAX])
{
	uint32_t n = 0;

	for (uint32_t used = seat->locks & ~seat->raw; used; used &= used - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(used), i = n++;
		struct kept it = {.off = stoai_held_off(seat->lane->held[k]),
			.mode = stoai_held_mode(seat->lane->held[k])};

		for (; i > 0 && kept[i - 1].off > it.off; i--)
			kept[i] = kept[i - 1];
		kept[i] = it;
	}
	return n;
}

static int
locks_again(struct stoai_seat *seat, const struct kept *kept, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++) {
		void *lock = stoai_at(seat->seg, kept[i].off);

		/* they are kept to the end, so how often does not matter */
		rc = stoai_lock(seat, lock, (enum stoai_lock_mode)kept[i].mode,
			STOA_FOREVER, STOAI_LOCK_LIBRARY);
	}
	return rc;
}

/* Until woken, a tick, or the deadline; a long sleeper hoards no memory. */
static int
sleep_idle(struct stoai_seat *seat, stoa_cond *c, uint32_t ticket,
	uint64_t deadline)
{
	uint64_t soon = stoai_os_now() + IDLE_NS;
	int rc;

	if (deadline <= soon)
		return stoai_cond_sleep(seat, c, ticket, deadline);
	rc = stoai_cond_sleep(seat, c, ticket, soon);
	if (rc != -ETIMEDOUT)
		return rc;
	stoai_heap_relax(seat);
	(void)stoai_sweep(seat->seg, false);
	return stoai_cond_sleep(seat, c, ticket, deadline);
}

/* It lies where a condition can lie; else recovery would not believe its record. */
static bool
condition_inside(stoa_tx *tx, const stoa_cond *c)
{
	if (!stoai_tx_inside(tx, c, sizeof *c))
		return false;
	if (stoai_off(tx->seg, c) % STOAI_LOCK_ALIGN == 0)
		return true;
	(void)stoai_tx_fail(
		tx, stoai_error(-EFAULT, "%s: %p is no place of a condition",
			    stoai_name(tx->seg), (const void *)c));
	return false;
}

int
stoa_tx_wait(stoa_tx *tx, const stoa_cond *condition, uint64_t deadline)
{
	stoa_cond *c = (stoa_cond *)(uintptr_t)condition;
	struct kept kept[STOAI_HELD_MAX];
	struct stoai_seat *seat = tx->seat;
	uint32_t n, ticket;
	int rc, again;

	if (!stoai_tx_writes(tx) || !condition_inside(tx, c))
		return stoa_tx_error(tx);
	if (seat->lane->cursor != stoai_log_start(tx->seg, seat->index))
		return stoai_tx_fail(
			tx, stoai_error(-EBUSY,
				    "%s: waiting after a change would show it "
				    "half-done: wait first, then change",
				    stoai_name(tx->seg)));
	stoai_view_empty(tx);
	seat->busy = 1;
	n = locks_note(seat, kept);
	ticket = stoai_cond_arrive(seat, c);
	stoai_unlock_all(seat);
	rc = sleep_idle(seat, c, ticket, deadline);
	again = locks_again(seat, kept, n);
	seat->busy = 0;
	if (!again)
		again = stoai_segment_usable(tx->seg);
	if (again)
		return stoai_tx_fail(tx, again);
	if (tx->seg->checked) /* others have changed things meanwhile */
		stoai_checked_begin(tx);
	return rc;
}

static void
signal_later(stoa_tx *tx, const stoa_cond *c, uint32_t count)
{
	int rc;

	if (!stoai_tx_writes(tx) || !condition_inside(tx, c))
		return;
	tx->seat->busy = 1;
	rc = stoai_lane_append(
		tx->seat, STOAI_LOG_WAKE, count, stoai_off(tx->seg, c), NULL);
	tx->seat->busy = 0;
	if (rc)
		(void)stoai_tx_fail(tx, rc);
	else
		tx->seat->effects |= 1u << STOAI_LOG_WAKE;
}

void
stoa_tx_signal(stoa_tx *tx, const stoa_cond *c)
{
	signal_later(tx, c, 1);
}

void
stoa_tx_broadcast(stoa_tx *tx, const stoa_cond *c)
{
	signal_later(tx, c, 2);
}
