/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The mutex: sync/word.c, wait.c, deadlock.c, recover.c, and segment/liveness.c,
 * token.c, recover.c under it. Nobody enters beside another, or before what the
 * dead one did inside is undone; no wake-up is lost; nothing is called damage.
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
	world_begin(threads, flags);
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
begin_no_waitv(void)
{
	begin_with(3, WORLD_NO_WAITV);
}

static void
begin_tokenless(void)
{
	begin_with(3, WORLD_TOKENLESS);
}

static int
lock(uint64_t deadline)
{
	return stoai_lock(world_seat(), mutex(), STOAI_MODE_MUTEX, deadline,
		STOAI_LOCK_USER);
}

static void
inside(void)
{
	world_enter(STOAI_MODE_MUTEX);
	world_leave();
	stoai_unlock(world_seat(), mutex());
}

static void
once(unsigned thread)
{
	(void)thread;
	world_ok(lock(STOA_FOREVER));
	inside();
}

static void
twice(unsigned thread)
{
	once(thread);
	once(thread);
}

/* The first gives up at a deadline: a wake-up that was its own must go on. */
static void
deadline(unsigned thread)
{
	int rc = lock(thread ? STOA_FOREVER : stoai_os_now() + 1000);

	if (!thread && rc == -ETIMEDOUT)
		return;
	world_ok(rc);
	inside();
	if (thread == 1)
		once(thread);
}

/* The first leaves the segment and comes again, in another generation. */
static void
leave(unsigned thread)
{
	struct stoai_seat *seat;

	once(thread);
	if (thread)
		return;
	stoai_detach(world_seat());
	world_ok(stoai_attach(&world_me()->seg, STOA_FOREVER, &seat));
	once(thread);
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
	{"two threads, twice", 2, {3, 1, 0, 8}, begin2, twice, world_idle, end},
	{"three threads", 3, {2, 1, 0, 12}, begin3, once, world_idle, end},
	{"three threads, two deaths", 3, {1, 2, 0, 12}, begin3, once,
		world_idle, end},
	{"three threads, a deadline", 3, {2, 0, 1, 12}, begin3, deadline,
		world_idle, end},
	{"two threads, an early tick", 2, {7, 0, 1, 8}, begin2, twice,
		world_idle, end},
	{"two threads, one leaves and comes", 2, {3, 1, 0, 12}, begin2, leave,
		world_idle, end},
	{"three threads, no futex_waitv", 3, {1, 1, 0, 12}, begin_no_waitv,
		once, world_idle, end},
	{"three threads, no tokens", 3, {1, 1, 0, 20}, begin_tokenless, once,
		world_idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"mutex", cases, sizeof cases / sizeof *cases, argc, argv);
}
