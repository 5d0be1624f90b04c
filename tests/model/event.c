/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Words that wait for one thing: events (sync/event.c), latches (latch.c) and event
 * counts (eventcount.c). Who waits is let in only if there was something to wait
 * for; nobody sleeps beside it while no dead one owes the wake-up.
 */
#include "stoa/event.h"
#include "os/os.h"
#include "world.h"

enum {
	TOKENS = 64 /* what an event count is notified of */
};

enum {        /* of world_notes.word */
	SETS, /* so many are or may be made */
	TAKEN,
	DOWN, /* so much is or may be counted down */
	SLEPT /* bit per thread: it slept when the event was set */
};

enum {
	COUNTS = 0x3ffffffe /* of an event's word: sync/event.c */
};

static stoa_event *
event(void)
{
	return world_at(0);
}

static stoa_latch *
latch(void)
{
	return world_at(0);
}

static stoa_eventcount *
eventcount(void)
{
	return world_at(0);
}

static uint32_t *
tokens(void)
{
	return world_at(TOKENS);
}

static uint32_t *
word(void)
{
	return world_at(0);
}

static unsigned waiters; /* threads 0, 1, ...: they take nothing */

static void
begin(void)
{
	waiters = 2;
	world_begin(3, 0);
	model_track(world_at(0), TOKENS + sizeof(uint32_t), MODEL_NOBODY);
}

static void
begin_one(void)
{
	begin();
	waiters = 1;
}

static void
begin_latch(void)
{
	begin();
	kernel_switch(0);
	world_ok(stoa_latch_add(latch(), 2));
	kernel_switch(MODEL_NOBODY);
}

/* ---- events ---- */

static void
set(void)
{
	world_notes.word[SETS]++;
	for (unsigned t = 0; t < waiters; t++)
		if (model_sleeps_on(t, word()))
			world_notes.word[SLEPT] |= 1u << t;
	world_ok(stoa_event_set(event()));
}

static void
take(uint64_t deadline)
{
	int rc = stoa_event_take_until(event(), deadline);

	if (rc == -ETIMEDOUT && deadline != STOA_FOREVER)
		return;
	world_ok(rc);
	if (++world_notes.word[TAKEN] > world_notes.word[SETS])
		model_wrong("an event is taken that nobody has set");
}

static void
await(void)
{
	world_ok(stoa_event_wait(event()));
	if (!world_notes.word[SETS])
		model_wrong("one goes on before the event is set");
}

static void
one_sets(unsigned thread)
{
	if (thread == 2)
		set();
	else
		await();
}

static void
set_and_reset(unsigned thread)
{
	one_sets(thread);
	if (thread == 2)
		world_ok(stoa_event_reset(event()));
}

static void
one_sets_twice(unsigned thread)
{
	if (thread == 2) {
		set();
		set();
	} else {
		take(STOA_FOREVER);
	}
}

static void
one_gives_up(unsigned thread)
{
	if (thread == 2)
		set();
	else
		take(thread ? STOA_FOREVER : stoai_os_now() + 1000);
}

static void
wait_and_take(unsigned thread)
{
	if (thread == 2)
		set();
	else if (thread)
		take(STOA_FOREVER);
	else
		await();
}

static const char *
take_idle(void)
{
	return world_idle_at(word(), stoa_event_is_set(event()));
}

/* Who slept when it was set is not to sleep on, whatever came afterwards. */
static const char *
wait_idle(void)
{
	bool there = stoa_event_is_set(event());

	for (unsigned t = 0; t < waiters; t++)
		there |= model_sleeps_on(t, word()) &&
			 ((kernel_slept_on(t) ^ *word()) & COUNTS ||
				 (world_notes.word[SLEPT] >> t & 1 &&
					 *word() & COUNTS));
	return world_idle_at(word(), there);
}

/* ---- latches ---- */

static void
latch_wait(void)
{
	world_ok(stoa_latch_wait(latch()));
	if (world_notes.word[DOWN] < 2)
		model_wrong("one goes on before the latch is zero");
}

static void
count_down(void)
{
	world_notes.word[DOWN]++;
	world_ok(stoa_latch_count_down(latch(), 1));
}

static void
two_count_down(unsigned thread)
{
	if (thread)
		count_down();
	else
		latch_wait();
}

static void
one_counts_down(unsigned thread)
{
	if (thread < 2) {
		latch_wait();
	} else {
		count_down();
		count_down();
	}
}

static const char *
latch_idle(void)
{
	return world_idle_at(word(), stoa_latch_count(latch()) == 0);
}

/* ---- event counts ---- */

static bool
token_take(void)
{
	uint32_t n = a32_load_seq_cst(tokens());

	while (n)
		if (a32_cas_seq_cst(tokens(), &n, n - 1))
			return true;
	return false;
}

static void
token_await(void)
{
	uint32_t key;

	while (!token_take()) {
		world_ok(stoa_eventcount_prepare(eventcount(), &key));
		if (token_take())
			break;
		world_ok(stoa_eventcount_wait_until(
			eventcount(), key, STOA_FOREVER));
	}
}

static void
notify_one(unsigned thread)
{
	if (thread < 2) {
		token_await();
		return;
	}
	for (int i = 0; i < 2; i++) {
		a32_fetch_add_seq_cst(tokens(), 1);
		world_ok(stoa_eventcount_notify(eventcount()));
	}
}

static void
notify_all(unsigned thread)
{
	if (thread < 2) {
		token_await();
		return;
	}
	a32_fetch_add_seq_cst(tokens(), 1);
	world_ok(stoa_eventcount_notify_all(eventcount()));
}

/*
 * A token of which nobody was told, as its giver died before, is nobody's concern;
 * but who slept before the word changed is to look again.
 */
static const char *
eventcount_idle(void)
{
	bool there = false;

	for (unsigned t = 0; t < 2; t++)
		there |= model_sleeps_on(t, word()) && *tokens() &&
			 kernel_slept_on(t) >> 1 != *word() >> 1;
	return world_idle_at(word(), there);
}

static const char *
end(void)
{
	return world_end();
}

static const struct model_case cases[] = {
	{"two wait, one sets", 3, {3, 1, 0, 12}, begin, one_sets, wait_idle,
		end},
	{"two wait, one sets and resets", 3, {3, 1, 0, 12}, begin,
		set_and_reset, wait_idle, end},
	{"two take, one sets twice", 3, {3, 1, 0, 12}, begin, one_sets_twice,
		take_idle, end},
	{"two take, one gives up", 3, {2, 1, 1, 12}, begin, one_gives_up,
		take_idle, end},
	{"one waits, one takes, one sets", 3, {3, 1, 0, 12}, begin_one,
		wait_and_take, wait_idle, end},
	{"a latch: one waits, two count down", 3, {3, 1, 0, 12}, begin_latch,
		two_count_down, latch_idle, end},
	{"a latch: two wait, one counts down", 3, {3, 1, 0, 12}, begin_latch,
		one_counts_down, latch_idle, end},
	{"an event count: one of two is notified, twice", 3, {3, 0, 0, 12},
		begin, notify_one, eventcount_idle, end},
	{"an event count: all are notified", 3, {3, 1, 0, 12}, begin,
		notify_all, eventcount_idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"event", cases, sizeof cases / sizeof *cases, argc, argv);
}
