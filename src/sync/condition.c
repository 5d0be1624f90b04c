/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Conditions: a word that changes with every arrival and every wake-up.
 *
 *	seq_   bit 0: somebody may sleep    31..1: count
 *
 *	arrive     count + 1, bit set       under the lock of the predicate
 *	wake one   count + 1                only if the bit is set
 *	wake all   count + 1, bit cleared   only if the bit is set
 *	a wake of one that found nobody clears the bit, if nobody arrived since
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
#include "os/os.h"
#include "sync/lock.h"

static void
wake_sleepers(stoa_segment *seg, uint64_t off)
{
	(void)stoai_os_futex_wake(stoai_at(seg, off), UINT32_MAX);
}

uint32_t
stoai_cond_arrive(struct stoai_seat *seat, stoa_cond *c)
{
	uint64_t off = stoai_off(seat->seg, c), before = seat->slot->woken;
	uint32_t seq = a32_load_relaxed(&c->seq_);

	if (before && before != off) /* its wake-up, if we had it, is not used */
		wake_sleepers(seat->seg, before);
	a64_store_kill(&seat->slot->woken, off);
	while (!a32_cas_seq_cst(&c->seq_, &seq, (seq + 2) | 1))
		;
	return (seq + 2) | 1;
}

int
stoai_cond_sleep(struct stoai_seat *seat, stoa_cond *c, uint32_t ticket,
	uint64_t deadline)
{
	uint64_t tick = 0;
	int rc = stoai_sleep(seat, &c->seq_, ticket, UINT32_MAX, deadline, &tick);

	seat->slot->waiting_since_ns = 0;
	/* woken at the last moment is woken */
	return rc && a32_load_acquire(&c->seq_) != ticket ? 0 : rc;
}

void
stoai_cond_settle(struct stoai_seat *seat)
{
	if (stoai_unlikely(seat->slot->woken != 0))
		a64_store_kill(&seat->slot->woken, 0);
}

void
stoai_cond_wake(stoa_segment *seg, stoa_cond *c, bool all)
{
	uint32_t seq = a32_load_seq_cst(&c->seq_), next;

	(void)seg;
	do {
		if (!(seq & 1))
			return; /* nobody sleeps: no system call */
		next = all ? (seq + 2) & ~1u : seq + 2;
	} while (!a32_cas_seq_cst(&c->seq_, &seq, next));
	if (stoai_os_futex_wake(&c->seq_, all ? UINT32_MAX : 1) == 0 && !all)
		(void)a32_cas_seq_cst(&c->seq_, &next, next & ~1u);
}
