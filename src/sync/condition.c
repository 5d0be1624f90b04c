/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Conditions: a word that changes with every arrival and every wake-up.
 *
 *	seq_   bit 0: somebody may sleep    31..1: count
 *
 *	arrive     count + 1, bit set       under the lock of the predicate
 *	mark one   count + 1                only if the bit is set; the bit is cleared
 *	                                    when no slot says that it waits there
 *	mark all   count + 1, bit cleared   only if the bit is set
 *	wake       the sleepers at the address; no memory is touched
 *
 * Marking is done while the lock of the predicate is held, waking after it was
 * given up: by then a waiter may have seen the change, deleted the object and
 * freed the condition.
 *
 * A waiter sleeps only while the word is what its arrival made it, so a wake-up
 * between its arrival and its sleep is not lost; that it may be woken by somebody
 * else's arrival is a spurious wake-up, as conditions have them.
 *
 * Crash argument. No counter of sleepers that a death would falsify, no lock of
 * its own. A waiter that dies after it consumed a wake-up: `woken` in its slot
 * names the condition until its transaction has ended, and recovery wakes
 * everybody there. A signaller that dies: its wake-up is a record in its log,
 * dropped with the change it announces or repeated after it.
 */
#include "sync/signal.h"

uint32_t
stoai_cond_arrive(struct stoai_seat *seat, stoa_cond *c)
{
	uint64_t off = stoai_off(seat->seg, c), before = seat->slot->woken;
	uint32_t seq = a32_load_relaxed(&c->seq_);

	if (before &&
		before != off) /* its wake-up, if we had it, is not used */
		stoai_cond_wake(seat->seg, before, true);
	a64_store_kill(&seat->slot->woken, off);
	while (!a32_cas_seq_cst(&c->seq_, &seq, (seq + 2) | 1))
		;
	return (seq + 2) | 1;
}

int
stoai_cond_sleep(struct stoai_seat *seat, stoa_cond *c, uint32_t ticket,
	uint64_t deadline)
{
	int rc = stoai_sleep(seat, &c->seq_, ticket, STOAI_OWNER_NONE, deadline,
		&seat->cond_tick);

	stoai_waited(seat, stoai_off(seat->seg, c));
	/* woken at the last moment is woken */
	return rc && a32_load_acquire(&c->seq_) != ticket ? 0 : rc;
}

void
stoai_cond_settle(struct stoai_seat *seat, bool replay)
{
	uint64_t off = seat->slot->woken;

	if (stoai_likely(!off))
		return;
	seat->cond_tick = 0;
	if (replay)
		stoai_cond_wake(seat->seg, off, true);
	a64_store_kill(&seat->slot->woken, 0);
}

/* Does any slot say that it waits there, or has not yet used its wake-up? */
static bool
anybody_waits(const stoa_segment *seg, uint64_t off)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (a64_load_seq_cst(&stoai_slot_at(seg, i)->woken) == off)
			return true;
	return false;
}

void
stoai_cond_mark(stoa_segment *seg, stoa_cond *c, bool all)
{
	uint64_t off = stoai_off(seg, c);
	uint32_t seq = a32_load_seq_cst(&c->seq_), next;

	do {
		if (!(seq & 1))
			return;
		next = all || !anybody_waits(seg, off) ? (seq + 2) & ~1u
						       : seq + 2;
	} while (!a32_cas_seq_cst(&c->seq_, &seq, next));
}

void
stoai_cond_wake(stoa_segment *seg, uint64_t off, bool all)
{
	stoai_wake_at(seg, off, all ? UINT32_MAX : 1);
}
