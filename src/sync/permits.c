/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Permits: how many are free is the total less what stands in the lanes (roll.c).
 *
 *	entry        event                          next
 *	none         wants one                      0: listed, so that a wake-up that it
 *	                                            consumed is made again if it dies
 *	k            under the lock, sum < total    k + 1: has it
 *	k + 1        gives one                      k, then seq_ + 1 and one is woken
 *	0            has given all, or gives up     none
 *	any          dies (recovery)                all are woken, then none
 *
 *	seq_         as the word of an event count: bit 0 somebody may sleep; the rest
 *	             counts. Who wants one sets the bit, then looks at the lanes; who gives
 *	             one changes his lane, then looks at the bit. So one sees the other.
 *
 * Beside the word, who sleeps watches one of those who have some (wait.c), so that its
 * death is known at once. Others' deaths are found at the tick, or by the next who
 * looks at the lanes.
 *
 * One who was woken and whose time is over looks at the lanes once more; if there is none,
 * somebody else has what it was woken for, and who sleeps on is still to be seen:
 * waking one leaves the bit.
 */
#include "stoa/semaphore.h"
#include "sync/contention.h"
#include "sync/roll.h"

struct sum {
	uint64_t taken;
	uint32_t self;
	uint32_t
		holder; /* one whose death would help; OWNER_NONE: there is none */
};

static void
permit_add(void *user, uint32_t slot, uint32_t count)
{
	struct sum *sum = user;

	sum->taken += count;
	if (count && slot != sum->self && sum->holder != STOAI_OWNER_DEAD)
		sum->holder = slot;
}

static int
count_taken(struct stoai_seat *seat, stoa_permits *p, struct sum *sum)
{
	*sum = (struct sum){.self = seat->index, .holder = STOAI_OWNER_NONE};
	return stoai_roll_call(seat, p->holders_,
		stoai_roll_held(seat->seg, &p->seq_, STOAI_HELD_PERMIT),
		permit_add, sum);
}

/* Under the lock. 1: it has one more; 0: there is none; < 0. */
static int
take_free(struct stoai_seat *seat, stoa_permits *p, uint64_t *entry,
	struct sum *sum)
{
	int rc = count_taken(seat, p, sum);

	if (rc || sum->taken >= a32_load_seq_cst(&p->total_))
		return rc;
	stoai_roll_mark(seat, p->holders_);
	stoai_roll_set(entry,
		stoai_roll_held(seat->seg, &p->seq_, STOAI_HELD_PERMIT),
		stoai_roll_count(*entry) + 1);
	return 1;
}

static int
permit_take(struct stoai_seat *seat, stoa_permits *p, uint64_t *entry,
	uint64_t deadline)
{
	uint64_t tick = 0;
	int rc = 0;

	for (;;) {
		struct sum sum;
		uint32_t seen = 0;
		int got = stoai_roll_lock(seat, &p->lock_);

		if (got)
			return got;
		got = take_free(seat, p, entry, &sum);
		if (!got && deadline != STOA_NOW && !rc) {
			seen = a32_fetch_or_seq_cst(&p->seq_, 1) | 1;
			got = take_free(seat, p, entry, &sum);
		}
		stoai_unlock(seat, &p->lock_);
		if (got)
			return got < 0 ? got : 0;
		if (rc) /* gave up, and there is none */
			return rc;
		if (deadline == STOA_NOW)
			return -EAGAIN;
		stoai_owe(seat, stoai_off(seat->seg, &p->seq_));
		rc = stoai_sleep(
			seat, &p->seq_, seen, sum.holder, deadline, &tick);
	}
}

int
stoa_permits_take_until(const stoa_permits *permits, uint64_t deadline)
{
	stoa_permits *p = (stoa_permits *)(uintptr_t)permits;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(p, sizeof *p, &rc);
	uint64_t held, *entry;

	if (stoai_unlikely(!seat))
		return rc;
	held = stoai_roll_held(seat->seg, &p->seq_, STOAI_HELD_PERMIT);
	entry = stoai_roll_find(seat, held);
	if (!entry)
		entry = stoai_roll_add(seat, held);
	if (!entry)
		return stoai_leave(seat, -EOVERFLOW);
	if (stoai_roll_count(*entry) == STOAI_ROLL_MAX)
		return stoai_leave(seat,
			stoai_error(-EOVERFLOW,
				"%s: this thread has %d permits of one object",
				stoai_name(seat->seg), STOAI_ROLL_MAX));
	rc = permit_take(seat, p, entry, deadline);
	if (rc && rc != -EAGAIN && rc != -ETIMEDOUT)
		stoai_notify(seat, &p->seq_, false); /* what it had consumed */
	stoai_paid(seat);
	if (!stoai_roll_count(*entry))
		stoai_roll_drop(seat, entry);
	else if (stoai_roll_count(*entry) == 1)
		stoai_had_since_now(seat, entry); /* not since it waits */
	seat->busy = 0;
	return stoai_wait_text(seat, rc, "no permit was given back");
}

int
stoa_permits_take(const stoa_permits *p)
{
	return stoa_permits_take_until(p, STOA_FOREVER);
}

/* The calling thread's entry; NULL: it has none of them. */
static uint64_t *
own_entry(const stoa_permits *p, struct stoai_seat **seat)
{
	*seat = stoai_seat_having(p);
	return *seat ? stoai_roll_find(
			       *seat, stoai_roll_held((*seat)->seg, &p->seq_,
					      STOAI_HELD_PERMIT))
		     : NULL;
}

int
stoa_permits_give(const stoa_permits *permits)
{
	stoa_permits *p = (stoa_permits *)(uintptr_t)permits;
	struct stoai_seat *seat;
	uint64_t *entry = own_entry(p, &seat);
	int rc = seat ? stoai_seat_busy(seat) : 0;

	if (rc)
		return rc;
	if (!entry)
		return stoai_error(
			-EPERM, "stoa_permits_give: this thread has none");
	seat->busy = 1;
	stoai_roll_set(entry,
		stoai_roll_held(seat->seg, &p->seq_, STOAI_HELD_PERMIT),
		stoai_roll_count(*entry) - 1);
	stoai_notify(seat, &p->seq_, false);
	if (!stoai_roll_count(*entry))
		stoai_roll_drop(seat, entry);
	return stoai_leave(seat, 0);
}

uint32_t
stoa_permits_held(const stoa_permits *p)
{
	struct stoai_seat *seat;
	uint64_t *entry = own_entry(p, &seat);

	return entry ? stoai_roll_count(*entry) : 0;
}

int
stoa_permits_set_total(const stoa_permits *permits, uint32_t total)
{
	stoa_permits *p = (stoa_permits *)(uintptr_t)permits;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(p, sizeof *p, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	stoai_owe(seat, stoai_off(seat->seg, &p->seq_));
	a32_exchange_seq_cst(&p->total_, total);
	stoai_notify(seat, &p->seq_, true);
	stoai_paid(seat);
	return stoai_leave(seat, 0);
}

int64_t
stoa_permits_available(const stoa_permits *permits)
{
	stoa_permits *p = (stoa_permits *)(uintptr_t)permits;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(p, sizeof *p, &rc);
	struct sum sum = {0};
	uint64_t total;

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_roll_lock(seat, &p->lock_);
	if (!rc) {
		rc = count_taken(seat, p, &sum);
		stoai_unlock(seat, &p->lock_);
	}
	total = a32_load_acquire(&p->total_);
	seat->busy = 0;
	return rc ? rc : total > sum.taken ? (int64_t)(total - sum.taken) : 0;
}
