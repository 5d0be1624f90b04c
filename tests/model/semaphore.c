/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The semaphore: sync/semaphore.c and signal.h, with what recover.c makes of an owed
 * wake-up. Nobody takes what was not posted, what was posted is there until somebody
 * takes it, and nobody sleeps beside it while no dead one owes the wake-up.
 */
#include "os/os.h"
#include "stoa/semaphore.h"
#include "world.h"

enum {           /* of world_notes.word */
	POSTING, /* so many are or may be posted */
	POSTED,  /* so many are for certain */
	TAKEN,
	BETWEEN /* bit per thread: it may have taken one, and has not said so */
};

static unsigned waiters;

static stoa_semaphore *
semaphore(void)
{
	return world_at(0);
}

static void
begin_with(unsigned count)
{
	waiters = count;
	world_begin(3, 0);
	model_track(semaphore(), sizeof *semaphore(), MODEL_NOBODY);
}

static void
begin1(void)
{
	begin_with(1);
}

static void
begin2(void)
{
	begin_with(2);
}

static void
take(uint64_t deadline)
{
	uint32_t me = 1u << model_thread();
	int rc;

	world_notes.word[BETWEEN] |= me;
	rc = stoa_semaphore_wait_until(semaphore(), deadline);
	world_notes.word[BETWEEN] &= ~me;
	if (rc == -ETIMEDOUT && deadline != STOA_FOREVER)
		return;
	world_ok(rc);
	if (++world_notes.word[TAKEN] > world_notes.word[POSTING])
		model_wrong("one is taken that nobody has posted");
}

static void
post(uint32_t n)
{
	world_notes.word[POSTING] += n;
	world_ok(stoa_semaphore_post_many(semaphore(), n));
	world_notes.word[POSTED] += n;
}

static void
posts_two(unsigned thread)
{
	if (thread < waiters)
		take(STOA_FOREVER);
	else
		post(2);
}

static void
posts_twice(unsigned thread)
{
	if (thread < waiters) {
		take(STOA_FOREVER);
	} else {
		post(1);
		post(1);
	}
}

/* Two post, one takes both. */
static void
takes_twice(unsigned thread)
{
	if (thread < waiters) {
		take(STOA_FOREVER);
		take(STOA_FOREVER);
	} else {
		post(1);
	}
}

/* Whoever gives up must not have used up the only wake-up. */
static void
gives_up(unsigned thread)
{
	if (thread == 2)
		post(1);
	else
		take(thread ? STOA_FOREVER : stoai_os_now() + 1000);
}

/* It takes one, and posts it again: what one has the other gets. */
static void
hand_on(unsigned thread)
{
	if (thread < waiters)
		take(STOA_FOREVER);
	post(1);
}

/* Who looks for the dead is none of those who sleep. */
static void
one_sweeps(unsigned thread)
{
	if (thread == 2)
		(void)stoai_sweep(world_seat()->seg, false);
	else if (thread)
		post(1);
	else
		take(STOA_FOREVER);
}

static const char *
idle(void)
{
	return world_idle_at(
		&semaphore()->word_, stoa_semaphore_value(semaphore()) > 0);
}

static const char *
end(void)
{
	uint32_t value = stoa_semaphore_value(semaphore());
	uint32_t taken = world_notes.word[TAKEN] + value, may = 0;
	const char *wrong = world_end();

	/* the dead among them; who sleeps has none */
	for (unsigned t = 0; t < 3; t++)
		may += world_notes.word[BETWEEN] >> t & 1 &&
		       model_state_of(t) == MODEL_DEAD;
	if (wrong)
		return wrong;
	if (taken > world_notes.word[POSTING])
		return "more is there and taken than was posted";
	return taken + may < world_notes.word[POSTED]
		       ? "what was posted is lost"
		       : NULL;
}

static const struct model_case cases[] = {
	{"two wait, one posts two", 3, {3, 1, 0, 12}, begin2, posts_two, idle,
		end},
	{"two wait, one posts twice", 3, {3, 1, 0, 12}, begin2, posts_twice,
		idle, end},
	{"one takes twice, two post", 3, {3, 1, 0, 12}, begin1, takes_twice,
		idle, end},
	{"two wait, one gives up", 3, {2, 1, 1, 12}, begin2, gives_up, idle,
		end},
	{"one waits, one posts, one sweeps", 3, {3, 1, 0, 12}, begin1,
		one_sweeps, idle, end},
	{"one is handed on, two deaths", 3, {1, 2, 0, 16}, begin2, hand_on,
		idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"semaphore", cases, sizeof cases / sizeof *cases, argc, argv);
}
