/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The barrier: sync/barrier.c over the rolls (roll.c) in the lanes. Nobody goes on
 * before every member has arrived, has left or is dead; when they have, nobody sleeps
 * on while no dead one owes the wake-up.
 */
#include "stoa/barrier.h"
#include "os/os.h"
#include "sync/roll.h"
#include "sync/word.h"
#include "world.h"

static unsigned count;  /* threads 0, 1, ... are members */
static uint32_t wanted; /* so many; 0: all members */

static stoa_barrier *
barrier(void)
{
	return world_at(0);
}

/* world_notes.word[t]: how often t has arrived; LEFT: it is no member any more. */
enum {
	LEFT = 1000
};

static void
begin_with(unsigned threads, unsigned members, uint32_t n)
{
	count = members;
	wanted = n;
	world_begin(threads, 0);
	model_track(barrier(), sizeof *barrier(), MODEL_NOBODY);
	for (unsigned t = 0; t < members && !n; t++) {
		kernel_switch(t);
		world_ok(stoa_barrier_join(barrier()));
	}
	kernel_switch(MODEL_NOBODY);
}

static void
begin2(void)
{
	begin_with(2, 2, 0);
}

static void
begin3(void)
{
	begin_with(3, 3, 0);
}

static void
begin_beside(void)
{
	begin_with(3, 2, 0);
}

static void
begin_for(void)
{
	begin_with(3, 3, 2);
}

/* One goes on from its n-th wait. */
static void
goes_on(uint32_t n)
{
	unsigned there = 0;

	for (unsigned t = 0; t < count; t++) {
		there += world_notes.word[t] >= n;
		if (!wanted && world_notes.word[t] < n &&
			model_state_of(t) != MODEL_DEAD)
			model_wrong("one goes on before another has arrived");
	}
	if (there < wanted)
		model_wrong("one goes on before so many have arrived");
}

static void
wait(void)
{
	uint32_t n = ++world_notes.word[model_thread()];
	int rc = wanted ? stoa_barrier_wait_for(barrier(), wanted, STOA_FOREVER)
			: stoa_barrier_wait(barrier());

	if (rc != 1)
		world_ok(rc);
	goes_on(n);
}

static void
leave(void)
{
	world_notes.word[model_thread()] = LEFT;
	world_ok(stoa_barrier_leave(barrier()));
}

static void
once(unsigned thread)
{
	(void)thread;
	wait();
}

static void
twice(unsigned thread)
{
	(void)thread;
	wait();
	wait();
}

/* The last one: who sleeps may watch another one. */
static void
one_leaves(unsigned thread)
{
	if (thread == 2)
		leave();
	else
		once(thread);
}

/* Who looks for the dead is none of those who sleep. */
static void
one_sweeps(unsigned thread)
{
	if (thread == 2)
		(void)stoai_sweep(world_seat()->seg, false);
	else
		wait();
}

/* Who gave up is not there. */
static void
gives_up(unsigned thread)
{
	int rc;

	if (!thread) {
		world_notes.word[0]++;
		rc = stoa_barrier_wait_until(barrier(), stoai_os_now() + 1000);
		if (rc == -ETIMEDOUT) {
			world_notes.word[0]--;
			model_point(MODEL_YIELD, NULL, 0);
			leave();
			return;
		}
		if (rc != 1)
			world_ok(rc);
		goes_on(1);
		return;
	}
	once(thread);
}

static const char *
idle(void)
{
	const stoa_segment *seg = &world_process[0].seg;
	uint64_t held =
		stoai_roll_held(seg, &barrier()->phase_, STOAI_HELD_MEMBER);
	uint32_t mark = 1 + barrier()->phase_ % STOAI_ROLL_MAX, members = 0,
		 present = 0;
	bool moved = false;

	for (unsigned t = 0; t < count; t++) {
		moved |= model_sleeps_on(t, &barrier()->phase_) &&
			 kernel_slept_on(t) != barrier()->phase_;
		for (unsigned k = 0; k < STOAI_HELD_MAX; k++) {
			uint64_t entry = stoai_lane_at(seg, t)->held[k];

			members += stoai_roll_object(entry) == held;
			present += stoai_roll_object(entry) == held &&
				   stoai_roll_count(entry) == mark;
		}
	}
	return world_idle_at(&barrier()->phase_,
		moved || (wanted ? present >= wanted
				 : members && present == members));
}

/* All leave whom the case has not made leave. */
static const char *
end(void)
{
	const char *wrong;

	for (unsigned t = 0; t < count && !wanted; t++) {
		if (model_state_of(t) == MODEL_DEAD ||
			world_notes.word[t] == LEFT)
			continue;
		kernel_switch(t);
		world_ok(stoa_barrier_leave(barrier()));
	}
	kernel_switch(MODEL_NOBODY);
	wrong = world_end();
	if (wrong)
		return wrong;
	return stoai_word_owner(barrier()->lock_.word_)
		       ? "the object's lock is held at the end"
		       : NULL;
}

static const struct model_case cases[] = {
	{"two members, twice", 2, {2, 1, 0, 12}, begin2, twice, idle, end},
	{"three members", 3, {0, 1, 0, 12}, begin3, once, idle, end},
	{"three members, one leaves", 3, {0, 1, 0, 12}, begin3, one_leaves,
		idle, end},
	{"two members, and one who sweeps", 3, {1, 1, 0, 12}, begin_beside,
		one_sweeps, idle, end},
	{"two members, one gives up", 2, {2, 1, 1, 12}, begin2, gives_up, idle,
		end},
	{"two of three", 3, {1, 1, 0, 12}, begin_for, once, idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"barrier", cases, sizeof cases / sizeof *cases, argc, argv);
}
