/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The condition: sync/condition.c, under the mutex of its predicate, with the log
 * (tx/lane.c) from which a signal is made and, after a death, made again.
 *
 * There are tokens to be had: a waiter waits until there is one and takes it; a
 * giver puts one there and signals. A signal after a wait began reaches somebody
 * who lives: nobody sleeps while there is a token, unless somebody died.
 */
#include "os/os.h"
#include "tx/local.h"
#include "world.h"

enum {
	MUTEX = 0,
	COND = 64,
	TOKENS = 96,
	COMMITTED = 0 /* of world_notes.word: as many as there must be */
};

static uint32_t
tokens(void)
{
	return a32_load_relaxed(world_at(TOKENS));
}

/* The instant of a commit. */
static void
done(void)
{
	/* no step: nothing comes between the store and this */
	world_notes.word[COMMITTED] = *(const uint32_t *)world_at(TOKENS);
	world_leave();
}

static unsigned giver;

static void
begin_with(unsigned threads, unsigned flags)
{
	giver = threads - 1;
	world_done = done;
	world_begin(threads, flags);
	model_track(world_at(0), 128, MODEL_NOBODY);
}

static void
begin2(void)
{
	begin_with(2, 0);
}

static void
begin3(void)
{
	begin_with(3, 0);
}

static void
lock(void)
{
	world_ok(stoai_lock(world_seat(), world_at(MUTEX), STOAI_MODE_MUTEX,
		STOA_FOREVER, STOAI_LOCK_USER));
	world_enter(STOAI_MODE_MUTEX);
	if (tokens() != world_notes.word[COMMITTED])
		model_wrong("what was committed is undone, or what was not is "
			    "kept");
}

/*
 * The number of tokens, changed as a transaction changes it: old value first into
 * the log, which recovery puts back.
 */
static void
change(uint32_t to)
{
	uint32_t *tokens = world_at(TOKENS);

	world_ok(stoai_lane_append(world_seat(), STOAI_LOG_SAVE, sizeof *tokens,
		stoai_off(world_seat()->seg, tokens), tokens));
	a32_store_kill(tokens, to);
}

static void
take(void)
{
	struct stoai_seat *seat = world_seat();

	lock();
	while (!tokens()) {
		uint32_t ticket = stoai_cond_arrive(seat, world_at(COND));

		world_leave();
		stoai_unlock_all(seat);
		world_ok(stoai_cond_sleep(
			seat, world_at(COND), ticket, STOA_FOREVER));
		lock();
	}
	change(tokens() - 1);
	world_commit();
}

static void
give(uint32_t n, uint32_t how)
{
	struct stoai_seat *seat = world_seat();

	lock();
	change(tokens() + n);
	world_ok(stoai_lane_append(seat, STOAI_LOG_WAKE, how,
		stoai_off(seat->seg, world_at(COND)), NULL));
	seat->effects++;
	world_commit();
}

static void
one_takes(unsigned thread)
{
	if (thread)
		give(1, 1);
	else
		take();
}

static void
two_take(unsigned thread)
{
	if (thread == 2) {
		give(1, 1);
		give(1, 1);
	} else {
		take();
	}
}

/* Who gives looks for the dead, as whoever attaches does: others must be woken. */
static void
one_in_vain(unsigned thread)
{
	if (thread == 2) {
		give(1, 1);
		(void)stoai_sweep(world_seat()->seg, false);
	} else {
		take();
	}
}

static void
broadcast(unsigned thread)
{
	if (thread == 2)
		give(2, 2);
	else
		take();
}

/*
 * All sleep, or have ended. While there is a token to be had nobody sleeps, unless
 * somebody died and has not been recovered. Without one, and with nobody who will
 * give one, they rightly sleep.
 */
static const char *
idle(void)
{
	if (world_buried() && !tokens() &&
		model_state_of(giver) != MODEL_ASLEEP)
		return model_over;
	return world_idle();
}

static const char *
end(void)
{
	return world_end();
}

static const struct model_case cases[] = {
	{"one takes, one gives", 2, {3, 1, 0, 12}, begin2, one_takes, idle,
		end},
	{"two take, one gives twice", 3, {2, 0, 0, 12}, begin3, two_take, idle,
		end},
	{"two take, one gives once, a death", 3, {1, 1, 0, 16}, begin3,
		one_in_vain, idle, end},
	{"two take, one broadcasts, a death", 3, {1, 1, 0, 16}, begin3,
		broadcast, idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"condition", cases, sizeof cases / sizeof *cases, argc, argv);
}
