/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The reader/writer lock held raw: upgradable beside readers, and from one mode to
 * another with nobody in between who must not be. What is tried in vain is as before.
 */
#include "os/os.h"
#include "sync/rwlock.h"
#include "world.h"

static stoa_rwlock *
rwlock(void)
{
	return world_at(0);
}

static void
begin_with(unsigned threads)
{
	world_begin(threads, 0);
	model_track(rwlock(), sizeof *rwlock(), MODEL_NOBODY);
}

static void
begin2(void)
{
	begin_with(2);
}

static void
begin3(void)
{
	begin_with(3);
}

static uint64_t *
entry(void)
{
	uint16_t *depth;

	return stoai_lock_entry(world_seat(), rwlock(), &depth);
}

static void
enter(enum stoai_lock_mode mode)
{
	world_enter(mode == STOAI_MODE_RAW ? STOAI_MODE_EXCLUSIVE : mode);
	if ((rwlock()->seq_ & 1) && mode != STOAI_MODE_RAW)
		model_wrong("seq_ says that a writer is inside");
	world_leave();
}

static void
lock(enum stoai_lock_mode mode)
{
	world_ok(stoai_lock_raw(
		world_seat(), rwlock(), mode, STOA_FOREVER, false));
	enter(mode);
}

static void
unlock(void)
{
	if (!stoai_unlock_raw(world_seat(), rwlock()))
		model_wrong("it is not held");
}

static void
once(enum stoai_lock_mode mode)
{
	lock(mode);
	unlock();
}

/* Reads, then writes, then reads on. */
static void
upgrade(uint64_t until)
{
	int rc;

	lock(STOAI_MODE_UPGRADABLE);
	rc = stoai_upgrade(world_seat(), entry(), rwlock(), until);
	if (rc == -ETIMEDOUT) {
		enter(STOAI_MODE_UPGRADABLE);
		unlock();
		return;
	}
	world_ok(rc);
	enter(STOAI_MODE_RAW);
	stoai_owned_to_shared(world_seat(), entry(), rwlock());
	enter(STOAI_MODE_SHARED);
	unlock();
}

static void
one_upgrades(unsigned thread)
{
	if (thread)
		once(STOAI_MODE_SHARED);
	else
		upgrade(STOA_FOREVER);
}

static void
two_upgrade(unsigned thread)
{
	if (thread == 2)
		once(STOAI_MODE_SHARED);
	else
		upgrade(STOA_FOREVER);
}

static void
one_gives_up(unsigned thread)
{
	if (thread)
		once(STOAI_MODE_SHARED);
	else
		upgrade(stoai_os_now() + 1000);
}

/* Who writes lets readers in, and keeps other writers out. */
static void
one_downgrades(unsigned thread)
{
	if (thread) {
		once(thread == 1 ? STOAI_MODE_SHARED : STOAI_MODE_RAW);
		return;
	}
	lock(STOAI_MODE_RAW);
	stoai_exclusive_to_upgradable(world_seat(), entry(), rwlock());
	enter(STOAI_MODE_UPGRADABLE);
	stoai_owned_to_shared(world_seat(), entry(), rwlock());
	enter(STOAI_MODE_SHARED);
	unlock();
}

static void
share_and_try(bool exclusive)
{
	int rc;

	lock(STOAI_MODE_SHARED);
	rc = exclusive ? stoai_shared_to_exclusive(
				 world_seat(), entry(), rwlock())
		       : stoai_shared_to_upgradable(
				 world_seat(), entry(), rwlock());
	if (rc != -EAGAIN)
		world_ok(rc);
	enter(rc            ? STOAI_MODE_SHARED
		: exclusive ? STOAI_MODE_RAW
			    : STOAI_MODE_UPGRADABLE);
	unlock();
}

static void
all_try(unsigned thread)
{
	if (thread == 2)
		once(STOAI_MODE_RAW);
	else
		share_and_try(true);
}

static void
some_try(unsigned thread)
{
	share_and_try(thread == 0);
}

static const char *
end(void)
{
	const char *wrong = world_end();

	if (wrong)
		return wrong;
	if (rwlock()->seq_ & 1)
		return "seq_ is odd at the end";
	return stoai_word_owner(rwlock()->word_) ? "the lock is held at the end"
						 : NULL;
}

static const struct model_case cases[] = {
	{"one upgrades beside a reader", 2, {3, 1, 0, 12}, begin2, one_upgrades,
		world_idle, end},
	{"one upgrades beside two readers", 3, {1, 1, 0, 12}, begin3,
		one_upgrades, world_idle, end},
	{"two upgrade beside a reader", 3, {1, 1, 0, 12}, begin3, two_upgrade,
		world_idle, end},
	{"an upgrade gives up", 2, {2, 1, 1, 12}, begin2, one_gives_up,
		world_idle, end},
	{"one downgrades beside a reader and a writer", 3, {1, 1, 0, 12},
		begin3, one_downgrades, world_idle, end},
	{"two that share try, and a writer", 3, {1, 1, 0, 12}, begin3, all_try,
		world_idle, end},
	{"one tries to be exclusive, one upgradable", 2, {3, 1, 0, 12}, begin2,
		some_try, world_idle, end},
};

int
main(int argc, char **argv)
{
	return model_main(
		"upgrade", cases, sizeof cases / sizeof *cases, argc, argv);
}
