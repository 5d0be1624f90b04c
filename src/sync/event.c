/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Events: set or not, left set by those who wait and reset by the one who takes.
 *
 *	word_   bit 0: set    29..1: counts sets    30: somebody may wait    31: ... take
 *
 *	now             event           next
 *	not set         set             set, count + 1, no other bit; if WAITERS was set
 *	                                all are woken, else if TAKERS was, one
 *	set             set             as it is
 *	any             reset           not set
 *	set             wait            as it is: in
 *	another count   wait            as it is: in, it was set meanwhile
 *	set             take            not set, TAKERS if the taker has slept: in
 *	not set         must sleep      WAITERS or TAKERS
 *
 * Invariant
 *	I1  somebody sleeps in take, and neither TAKERS nor set => a slot owes the place a
 *	    wake-up. In wait: WAITERS is not set => its count is not the word's
 *
 * Crash argument: as the semaphore's. The CAS is the commit; the setter owes from
 * before it until it has woken, the taker from before it sleeps until it has set
 * TAKERS again for those who sleep on; a death between is made good by waking all.
 * One who waits takes nothing away, so it owes nothing.
 *
 * Set is a changing instruction also where it changes nothing: what the caller stored
 * before it is seen by who takes the set of another one.
 */
#include "stoa/event.h"
#include "sync/signal.h"

#define SET     UINT32_C(1)
#define COUNT   UINT32_C(0x3ffffffe)
#define WAITERS UINT32_C(0x40000000)
#define TAKERS  UINT32_C(0x80000000)

int
stoa_event_set(const stoa_event *event)
{
	stoa_event *e = (stoa_event *)(uintptr_t)event;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);
	uint64_t off;
	uint32_t w, next;

	if (stoai_unlikely(!seat))
		return rc;
	off = stoai_off(seat->seg, e);
	w = a32_load_relaxed(&e->word_);
	do {
		next = w & SET ? w : ((w + 2) & COUNT) | SET;
		if (next != w && w & (WAITERS | TAKERS))
			stoai_owe(seat, off);
	} while (!a32_cas_seq_cst(&e->word_, &w, next));
	if (next != w && w & (WAITERS | TAKERS))
		stoai_wake_at(seat->seg, off, w & WAITERS ? UINT32_MAX : 1);
	stoai_paid(seat);
	return stoai_leave(seat, 0);
}

int
stoa_event_reset(const stoa_event *event)
{
	stoa_event *e = (stoa_event *)(uintptr_t)event;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	a32_fetch_and_seq_cst(&e->word_, ~SET);
	return stoai_leave(seat, 0);
}

bool
stoa_event_is_set(const stoa_event *e)
{
	return a32_load_acquire(&e->word_) & SET;
}

/* key: the word as it was when the wait began. */
bool
stoai_event_wait_look(struct stoai_seat *seat, void *event, uint32_t key,
	unsigned how, uint32_t *value)
{
	stoa_event *e = event;
	uint32_t w = a32_load_acquire(&e->word_);

	(void)seat;
	for (;;) {
		if (w & SET || (w ^ key) & COUNT)
			return true;
		if (stoai_look_mark(&e->word_, &w, WAITERS, how, value))
			return false;
	}
}

bool
stoai_event_take_look(struct stoai_seat *seat, void *event, uint32_t key,
	unsigned how, uint32_t *value)
{
	stoa_event *e = event;
	uint32_t w = a32_load_acquire(&e->word_);
	uint32_t slept = how & STOAI_LOOK_SLEPT ? TAKERS : 0;

	(void)seat;
	(void)key;
	for (;;) {
		if (w & SET) {
			if (!(how & STOAI_LOOK_TAKE) ||
				a32_cas_seq_cst(
					&e->word_, &w, (w & ~SET) | slept))
				return true;
			continue;
		}
		/* I1: the caller owes */
		if (stoai_look_mark(&e->word_, &w, TAKERS, how, value))
			return false;
	}
}

/*
 * Who was woken to take it leaves with something else. Those who wait were all awake
 * after the last set, so one who sleeps while it is set is one who takes.
 */
void
stoai_event_take_pass(struct stoai_seat *seat, void *event, uint32_t key)
{
	stoa_event *e = event;

	(void)key;
	if (a32_fetch_or_seq_cst(&e->word_, TAKERS) & SET)
		stoai_wake_at(seat->seg, stoai_off(seat->seg, e), 1);
}

static int
wait_or_take(const stoa_event *event, uint64_t deadline, stoai_look_fn *look)
{
	stoa_event *e = (stoa_event *)(uintptr_t)event;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_look_until(
		seat, &e->word_, a32_load_acquire(&e->word_), look, deadline);
	return stoai_wait_leave(seat, rc, "the event was not set");
}

int
stoa_event_wait_until(const stoa_event *e, uint64_t deadline)
{
	return wait_or_take(e, deadline, stoai_event_wait_look);
}

int
stoa_event_wait(const stoa_event *e)
{
	return wait_or_take(e, STOA_FOREVER, stoai_event_wait_look);
}

int
stoa_event_take_until(const stoa_event *e, uint64_t deadline)
{
	return wait_or_take(e, deadline, stoai_event_take_look);
}

int
stoa_event_take(const stoa_event *e)
{
	return wait_or_take(e, STOA_FOREVER, stoai_event_take_look);
}
