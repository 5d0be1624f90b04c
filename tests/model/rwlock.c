/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The reader/writer lock: sync/rwlock.c over the word. Readers exclude writers, each
 * in its own lane's entry; a writer that waits for readers is told when they
 * leave, and finds out when they died; seq_ is odd exactly while a writer is in.
 */
#include "os/os.h"
#include "world.h"

static stoa_rwlock *
rwlock(void)
{
	return world_at(0);
}

static void
begin_with(unsigned threads, unsigned flags)
{
	world_begin(threads, flags);
	model_track(rwlock(), sizeof *rwlock(), MODEL_NOBODY);
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

/* Each has read once: the bits of readers_ are set, and stay. */
static void
begin_read(void)
{
	begin_with(3, 0);
	for (unsigned t = 0; t < 3; t++) {
		struct stoai_seat *seat = &world_process[t].mine.seat;

		kernel_switch(t);
		world_ok(stoai_lock(seat, rwlock(), STOAI_MODE_SHARED, STOA_NOW,
			STOAI_LOCK_USER));
		stoai_unlock(seat, rwlock());
	}
	kernel_switch(MODEL_NOBODY);
}

static void
begin_no_waitv(void)
{
	begin_with(3, WORLD_NO_WAITV);
}

static void
inside(enum stoai_lock_mode mode)
{
	world_enter(mode);
	if ((rwlock()->seq_ & 1) != (mode == STOAI_MODE_EXCLUSIVE))
		model_wrong("seq_ does not say who is inside");
	world_leave();
	stoai_unlock(world_seat(), rwlock());
}

static void
once(enum stoai_lock_mode mode)
{
	world_ok(stoai_lock(
		world_seat(), rwlock(), mode, STOA_FOREVER, STOAI_LOCK_USER));
	inside(mode);
}

static void
one_writes(unsigned thread)
{
	once(thread ? STOAI_MODE_SHARED : STOAI_MODE_EXCLUSIVE);
}

static void
two_write(unsigned thread)
{
	once(thread < 2 ? STOAI_MODE_EXCLUSIVE : STOAI_MODE_SHARED);
}

/* Who was behind a writer is inside when the next one comes. */
static void
both(unsigned thread)
{
	once(thread ? STOAI_MODE_SHARED : STOAI_MODE_EXCLUSIVE);
	once(STOAI_MODE_EXCLUSIVE);
}

/* The writer gives up: who queues behind it must not stay there. */
static void
writer_gives_up(unsigned thread)
{
	uint64_t until = thread ? STOA_FOREVER : stoai_os_now() + 1000;
	enum stoai_lock_mode mode =
		thread ? STOAI_MODE_SHARED : STOAI_MODE_EXCLUSIVE;
	int rc = stoai_lock(
		world_seat(), rwlock(), mode, until, STOAI_LOCK_USER);

	if (!thread && rc == -ETIMEDOUT)
		return;
	world_ok(rc);
	inside(mode);
}

static const char *
end(void)
{
	const char *wrong = world_end();

	if (wrong)
		return wrong;
	if (rwlock()->seq_ & 1)
		return "seq_ is odd at the end";
	return rwlock()->word_ & ~STOAI_WORD_WAITERS
		       ? "the lock is held at the end"
		       : NULL;
}

static const struct model_case cases[] = {
	{"two threads, read and write", 2, {3, 1, 0, 12}, begin2, both,
		world_idle, end},
	{"a writer and two readers", 3, {2, 1, 0, 12}, begin3, one_writes,
		world_idle, end},
	{"a writer and two readers who have read", 3, {1, 1, 0, 12}, begin_read,
		one_writes, world_idle, end},
	{"two writers and a reader", 3, {1, 1, 0, 12}, begin3, two_write,
		world_idle, end},
	{"a writer and two readers, two deaths", 3, {0, 2, 0, 16}, begin3,
		one_writes, world_idle, end},
	{"a writer gives up", 3, {2, 0, 1, 12}, begin3, writer_gives_up,
		world_idle, end},
	{"a writer and two readers, no futex_waitv", 3, {0, 1, 0, 12},
		begin_no_waitv, one_writes, world_idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"rwlock", cases, sizeof cases / sizeof *cases, argc, argv);
}
