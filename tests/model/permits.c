/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Permits: sync/permits.c over the rolls (roll.c) in the lanes. Never more are inside
 * than there are permits, the dead until they are recovered; a dead one's permit is
 * somebody else's; nobody sleeps beside a free one while no dead one owes a wake-up.
 */
#include "os/os.h"
#include "stoa/semaphore.h"
#include "sync/roll.h"
#include "sync/word.h"
#include "world.h"

static uint32_t total;
static unsigned keeper; /* gives nothing back, and looks for the dead */

static stoa_permits *
permits(void)
{
	return world_at(0);
}

static void
begin_with(unsigned threads, uint32_t count)
{
	total = count;
	keeper = MODEL_NOBODY;
	world_begin(threads, 0);
	model_track(permits(), sizeof *permits(), MODEL_NOBODY);
	permits()->total_ = count;
}

static void
begin_two(void)
{
	begin_with(2, 1);
}

static void
begin_one_of(void)
{
	begin_with(3, 1);
}

static void
begin_two_of(void)
{
	begin_with(3, 2);
	keeper = 1;
}

static void
begin_none(void)
{
	begin_with(3, 0);
}

static void
inside(void)
{
	unsigned n = 1;

	for (unsigned t = 0; t < 3; t++)
		n += world_notes.inside[t] != 0;
	if (n > (total ? total : 2))
		model_wrong("more have a permit than there are");
	world_enter(STOAI_MODE_SHARED);
	if (!stoa_permits_held(permits()))
		model_wrong("a permit that was taken is not held");
	world_leave();
}

static void
once(unsigned thread)
{
	world_ok(stoa_permits_take(permits()));
	inside();
	if (thread == keeper)
		(void)stoai_sweep(world_seat()->seg, false);
	else
		world_ok(stoa_permits_give(permits()));
}

static void
twice(unsigned thread)
{
	once(thread);
	once(thread);
}

static void
gives_up(unsigned thread)
{
	int rc;

	if (thread) {
		once(thread);
		return;
	}
	rc = stoa_permits_take_until(permits(), stoai_os_now() + 1000);
	if (rc == -ETIMEDOUT)
		return;
	world_ok(rc);
	inside();
	world_ok(stoa_permits_give(permits()));
}

/* Who looks for the dead is none of those who sleep. */
static void
one_sweeps(unsigned thread)
{
	if (thread == 2)
		(void)stoai_sweep(world_seat()->seg, false);
	else
		once(thread);
}

/* At first there are none. */
static void
raised(unsigned thread)
{
	if (thread == 2)
		world_ok(stoa_permits_set_total(permits(), 1));
	else
		once(thread);
}

static const char *
idle(void)
{
	const stoa_segment *seg = &world_process[0].seg;
	uint64_t held =
		stoai_roll_held(seg, &permits()->seq_, STOAI_HELD_PERMIT);
	uint32_t taken = 0;

	for (unsigned t = 0; t < 3; t++)
		for (unsigned k = 0; k < STOAI_HELD_MAX; k++) {
			uint64_t entry = stoai_lane_at(seg, t)->held[k];

			if (stoai_roll_object(entry) == held)
				taken += stoai_roll_count(entry);
		}
	return world_idle_at(&permits()->seq_, taken < permits()->total_);
}

static const char *
end(void)
{
	const char *wrong;

	if (keeper != MODEL_NOBODY && model_state_of(keeper) == MODEL_DONE) {
		kernel_switch(keeper);
		world_ok(stoa_permits_give(permits()));
		kernel_switch(MODEL_NOBODY);
	}
	wrong = world_end();
	if (wrong)
		return wrong;
	return stoai_word_owner(permits()->lock_.word_)
		       ? "the object's lock is held at the end"
		       : NULL;
}

static const struct model_case cases[] = {
	{"two take one, twice", 2, {2, 1, 0, 12}, begin_two, twice, idle, end},
	{"three take one", 3, {1, 1, 0, 12}, begin_one_of, once, idle, end},
	{"three take two, one keeps it", 3, {1, 1, 0, 12}, begin_two_of, once,
		idle, end},
	{"two take one, and one sweeps", 3, {1, 1, 0, 12}, begin_one_of,
		one_sweeps, idle, end},
	{"two take one, one gives up", 2, {2, 1, 1, 12}, begin_two, gives_up,
		idle, end},
	{"two wait until there are some", 3, {1, 1, 0, 12}, begin_none, raised,
		idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"permits", cases, sizeof cases / sizeof *cases, argc, argv);
}
