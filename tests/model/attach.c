/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Attaching, detaching and recovering: segment/attach.c, token.c, liveness.c and
 * recover.c, by threads that all have the same TID. Killed between any two steps,
 * also between the token's word and the robust list, and in recovery itself: no
 * slot has two owners, no living thread is marked dead, every dead one's slot can
 * be taken again.
 */
#include "os/os.h"
#include "world.h"

static stoa_mutex *
mutex(void)
{
	return world_at(0);
}

static void
begin_with(unsigned threads, unsigned flags)
{
	world_begin(threads, flags | WORLD_DETACHED);
	model_track(mutex(), sizeof *mutex(), MODEL_NOBODY);
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
begin_tokenless(void)
{
	begin_with(2, WORLD_TOKENLESS);
}

static bool
come(void)
{
	struct stoai_seat *seat;
	int rc = stoai_attach(&world_me()->seg, STOA_FOREVER, &seat);

	world_ok(rc);
	if (!rc && kernel_owner(seat->index) != model_thread())
		model_wrong("a slot was given without its owner byte");
	return !rc;
}

static void
come_and_go(unsigned thread)
{
	(void)thread;
	if (come())
		stoai_detach(world_seat());
}

static void
come_and_go_twice(unsigned thread)
{
	come_and_go(thread);
	come_and_go(thread);
}

static void
come_and_lock(unsigned thread)
{
	(void)thread;
	if (!come())
		return;
	world_ok(stoai_lock(world_seat(), mutex(), STOAI_MODE_MUTEX,
		STOA_FOREVER, STOAI_LOCK_USER));
	world_enter(STOAI_MODE_MUTEX);
	world_leave();
	stoai_unlock(world_seat(), mutex());
}

/* The others prove deaths as a thorough tick does. */
static void
come_and_sweep(unsigned thread)
{
	if (thread)
		(void)stoai_sweep(&world_me()->seg, true);
	else
		(void)come();
}

static void
go_and_sweep(unsigned thread)
{
	if (thread)
		(void)stoai_sweep(&world_me()->seg, true);
	else
		come_and_go(thread);
}

/* Who waits for a slot sleeps by a clock of its own. */
static const char *
idle(void)
{
	return world_buried() && !model_deaths() ? world_idle() : NULL;
}

static const char *
end(void)
{
	const char *wrong = world_end();

	if (wrong)
		return wrong;
	return mutex()->word_ & ~STOAI_WORD_WAITERS
		       ? "the mutex is held at the end"
		       : NULL;
}

static const struct model_case cases[] = {
	{"two come and go twice", 2, {2, 1, 0, 8}, begin2, come_and_go_twice,
		idle, end},
	{"two come and lock", 2, {2, 1, 0, 12}, begin2, come_and_lock, idle,
		end},
	{"two come and lock, two deaths", 2, {1, 2, 0, 12}, begin2,
		come_and_lock, idle, end},
	{"two come and lock, no tokens", 2, {2, 1, 0, 12}, begin_tokenless,
		come_and_lock, idle, end},
	{"one comes, two recover, two deaths", 3, {1, 2, 0, 12}, begin3,
		come_and_sweep, idle, end},
	{"one comes and goes, one sweeps", 2, {2, 1, 0, 12}, begin2,
		go_and_sweep, idle, end},
	{"three come and go", 3, {1, 1, 0, 12}, begin3, come_and_go, idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"attach", cases, sizeof cases / sizeof *cases, argc, argv);
}
