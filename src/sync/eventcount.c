/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Event counts: waiting for a predicate that no lock guards.
 *
 *	word_   bit 0: somebody may sleep    31..1: count
 *
 *	now            event         next
 *	n              prepare       n with the bit: the key
 *	n = key        wait          sleeps
 *	n != key       wait          in: notified since
 *	n, no bit      notify        as it is
 *	n with bit     notify one    n + 1 with the bit, one is woken; if no slot says that
 *	                             it waits here, as notify all
 *	n with bit     notify all    n + 1, no bit, all are woken
 *
 * Why none is missed. Prepare and notify are both changing instructions on the word.
 * The one that comes first is seen by the other: either notify sees the bit, and
 * the key is old, or prepare comes after it, and the predicate is seen to be true.
 *
 * Crash argument. A notifier owes from before the word changes until it has woken; a
 * waiter from before it sleeps until its wait returns (signal.h).
 */
#include "stoa/event.h"
#include "sync/signal.h"

int
stoa_eventcount_prepare(const stoa_eventcount *count, uint32_t *key)
{
	stoa_eventcount *e = (stoa_eventcount *)(uintptr_t)count;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	*key = a32_fetch_or_seq_cst(&e->word_, 1) | 1;
	return stoai_leave(seat, 0);
}

bool
stoai_eventcount_look(struct stoai_seat *seat, void *count, uint32_t key,
	unsigned how, uint32_t *value)
{
	const stoa_eventcount *e = count;

	(void)seat;
	(void)how; /* prepare has set the bit */
	*value = key;
	return a32_load_seq_cst(&e->word_) != key;
}

/*
 * Who may have been the one that was woken leaves with something else. All, as who
 * has prepared since sleeps here too, and would not go on for one wake-up.
 */
void
stoai_eventcount_pass(struct stoai_seat *seat, void *count, uint32_t key)
{
	const stoa_eventcount *e = count;

	if (a32_load_seq_cst(&e->word_) != key)
		stoai_wake_at(seat->seg, stoai_off(seat->seg, e), UINT32_MAX);
}

int
stoa_eventcount_wait_until(
	const stoa_eventcount *count, uint32_t key, uint64_t deadline)
{
	stoa_eventcount *e = (stoa_eventcount *)(uintptr_t)count;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_look_until(
		seat, &e->word_, key, stoai_eventcount_look, deadline);
	return stoai_wait_leave(seat, rc, "the event count was not notified");
}

static int
notify(const stoa_eventcount *count, bool all)
{
	stoa_eventcount *e = (stoa_eventcount *)(uintptr_t)count;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(e, sizeof *e, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	stoai_notify(seat, &e->word_, all);
	return stoai_leave(seat, 0);
}

int
stoa_eventcount_notify(const stoa_eventcount *e)
{
	return notify(e, false);
}

int
stoa_eventcount_notify_all(const stoa_eventcount *e)
{
	return notify(e, true);
}
