/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Event, latch, once, event count: does each of those who wait learn of it, and is
 * what happens once not done twice?
 */
#include "locks.h"

/* ---- event, automatic reset ---- */

static int
set_it(struct actor *me)
{
	int rc;

	if (stoa_event_is_set(&p->event)) {
		sched_yield();
		return SKIPPED;
	}
	me->begun++;
	stoai_kill_fence();
	rc = stoa_event_set(&p->event);
	stoai_kill_fence();
	me->done++;
	return rc;
}

static int
take_it(struct actor *me)
{
	const int rc = stoa_event_take_until(&p->event, some_deadline(me));

	if (in_vain(rc))
		return SKIPPED;
	me->begun++;
	me->done++;
	return rc;
}

static bool
not_set(void)
{
	return !stoa_event_is_set(&p->event);
}

static void
event_fresh(void)
{
	memset(&p->event, 0, sizeof p->event);
}

static bool
not_taken_twice(void)
{
	if (board->done[1] > board->done[0] + board->maybe[0])
		broken("set %" PRIu64 " times (and %" PRIu64
		       " perhaps), taken %" PRIu64 " times",
			board->done[0], board->maybe[0], board->done[1]);
	return true;
}

static int
set_now(struct actor *me)
{
	me->begun++;
	return stoa_event_set(&p->event);
}

const struct play event_play = {"event", .role = {set_it, take_it},
	.makers = true, .fresh = event_fresh, .rest = not_set,
	.whole = not_taken_twice, .act = set_now};

/* ---- event, manual reset ---- */

static int
set_or_reset(struct actor *me)
{
	int rc = stoa_event_set(&p->event);

	linger(me);
	return rc || chance(me, 2) ? rc : stoa_event_reset(&p->event);
}

static int
see_it(struct actor *me)
{
	const int rc = stoa_event_wait_until(&p->event, some_deadline(me));

	return in_vain(rc) ? SKIPPED : rc;
}

/* If it is set, nothing is done for those who sleep. */
static void
set_if_not(void)
{
	if (!stoa_event_is_set(&p->event))
		(void)stoa_event_set(&p->event);
}

const struct play event_manual_play = {"event-manual",
	.role = {set_or_reset, see_it}, .makers = true, .each = false,
	.fresh = event_fresh, .help = set_if_not, .act = set_now};

/* ---- latch ---- */

static int
count_down(struct actor *me)
{
	uint64_t i = a64_load_seq_cst(&p->cursor);
	int rc;

	if (i >= LATCHES) {
		sched_yield();
		return 0;
	}
	me->begun++;
	stoai_kill_fence();
	rc = stoa_latch_count_down(&p->latch[i], 1);
	stoai_kill_fence();
	if (rc == -EINVAL) { /* it is open: the next one */
		me->begun--;
		(void)a64_cas_seq_cst(&p->cursor, &i, i + 1);
		return SKIPPED;
	}
	me->done++;
	return rc;
}

static int
await_latch(struct actor *me)
{
	int rc;

	if (me->at >= LATCHES) {
		sched_yield();
		return 0;
	}
	rc = stoa_latch_wait_until(&p->latch[me->at], some_deadline(me));
	if (rc)
		return in_vain(rc) ? SKIPPED : rc;
	if (stoa_latch_count(&p->latch[me->at]))
		broken("went on before the latch was open");
	a64_store_relaxed(&me->at, me->at + 1);
	return 0;
}

/* Each one that waits has come to the one that is not open. */
static bool
all_at_a_shut_one(void)
{
	uint64_t i = 0;

	while (i < LATCHES && !stoa_latch_count(&p->latch[i]))
		i++;
	for (unsigned k = 1; k < CREW; k += 2)
		if (!a32_load_relaxed(&board->actor[k].dying) &&
			a64_load_seq_cst(&board->actor[k].at) < i)
			return false;
	return true;
}

static void
latch_fresh(void)
{
	p->cursor = 0;
	memset(p->latch, 0, sizeof p->latch);
	for (unsigned i = 0; i < LATCHES; i++)
		p->latch[i].word_ = LATCH_COUNT;
}

static bool
latch_whole(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LATCHES; i++)
		n += LATCH_COUNT - stoa_latch_count(&p->latch[i]);
	if (n < board->done[0] || n > board->done[0] + board->maybe[0])
		broken("%" PRIu64 " counted (and %" PRIu64 " perhaps), %" PRIu64
		       " are missing",
			board->done[0], board->maybe[0], n);
	return true;
}

static int
all_but_one(struct actor *me)
{
	me->begun += LATCH_COUNT;
	return stoa_latch_count_down(&p->latch[0], LATCH_COUNT - 1);
}

static int
last_one(struct actor *me)
{
	(void)me;
	return stoa_latch_count_down(&p->latch[0], 1);
}

const struct play latch_play = {"latch", .role = {count_down, await_latch},
	.makers = true, .fresh = latch_fresh, .rest = all_at_a_shut_one,
	.whole = latch_whole, .before = all_but_one, .act = last_one};

/* ---- once ---- */

static int
do_once(struct actor *me)
{
	const uint64_t i = me->at;
	int rc;

	if (i >= ONCE_COUNT) {
		sched_yield();
		return 0;
	}
	rc = stoa_once_begin(&p->once[i], some_deadline(me));
	if (rc < 0)
		return in_vain(rc) ? SKIPPED : rc;
	if (rc == STOA_ONCE_DONE) {
		if (a32_load_relaxed(&p->did[i]) != 1)
			broken("done %u times", p->did[i]);
		a64_store_relaxed(&me->at, i + 1);
		return 0;
	}
	if (rc == STOA_ONCE_FIRST && a32_load_relaxed(&p->did[i]))
		broken("begun by one that died, and the next one was not told");
	a32_store_relaxed(&p->did[i], 0);
	work_alone(me, &p->owner, &p->a, &p->b, rc == STOA_ONCE_AGAIN);
	if (chance(me, 8) == 0)
		return stoa_once_undo(&p->once[i]);
	a32_store_relaxed(&p->did[i], 1);
	return stoa_once_end(&p->once[i]);
}

static void
once_fresh(void)
{
	p->a = p->b = 0;
	memset(p->once, 0, sizeof p->once);
	memset(p->did, 0, sizeof p->did);
}

static int
begin_it(struct actor *me)
{
	(void)me;
	a32_store_relaxed(&p->did[0], 1);
	return stoa_once_begin(&p->once[0], STOA_FOREVER) == STOA_ONCE_FIRST
		       ? 0
		       : -EINVAL;
}

static int
end_it(struct actor *me)
{
	(void)me;
	return stoa_once_end(&p->once[0]);
}

const struct play once_play = {"once", .role = {do_once}, .each = true,
	.fresh = once_fresh, .before = begin_it, .act = end_it};

/* ---- event count ---- */

static int
make_one(struct actor *me)
{
	(void)me;
	if (a64_load_seq_cst(&p->made) - a64_load_seq_cst(&p->used) < PILE)
		a64_fetch_add_seq_cst(&p->made, 1);
	return stoa_eventcount_notify_all(&p->count);
}

static bool
use_one(void)
{
	uint64_t used = a64_load_seq_cst(&p->used);

	while (used < a64_load_seq_cst(&p->made))
		if (a64_cas_seq_cst(&p->used, &used, used + 1))
			return true;
	return false;
}

static int
await_one(struct actor *me)
{
	uint32_t key;
	int rc = 0;

	while (!rc && !use_one()) {
		rc = stoa_eventcount_prepare(&p->count, &key);
		if (!rc && use_one())
			break;
		if (!rc)
			rc = stoa_eventcount_wait_until(
				&p->count, key, some_deadline(me));
	}
	return in_vain(rc) ? SKIPPED : rc;
}

/* One died between making it and saying so: nobody can know of it. */
static void
say_so(void)
{
	(void)stoa_eventcount_notify_all(&p->count);
}

static bool
all_used(void)
{
	return a64_load_seq_cst(&p->made) == a64_load_seq_cst(&p->used);
}

static void
eventcount_fresh(void)
{
	p->made = p->used = 0;
	memset(&p->count, 0, sizeof p->count);
}

const struct play eventcount_play = {"eventcount",
	.role = {make_one, await_one}, .makers = true,
	.fresh = eventcount_fresh, .help = say_so, .rest = all_used,
	.act = make_one};
