/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Guards: which lock does a variable on the stack answer for, and how does it pass to
 * another? Everything shared is done by the raw calls.
 */
#include "stoa/guard.h"
#include "base/base.h"

enum {
	GUARD_MUTEX,
	GUARD_RWLOCK,
	GUARD_NULL
};

static void
guard_unlock(stoa_guard *g)
{
	if (g->mode_ == STOA_UNLOCKED)
		return;
	if (g->kind_ == GUARD_MUTEX)
		stoa_mutex_unlock(g->lock_);
	else if (g->kind_ == GUARD_RWLOCK)
		stoa_rwlock_unlock(g->lock_);
	g->mode_ = STOA_UNLOCKED;
}

static int
mode_check(const stoa_guard *g, enum stoa_mode mode)
{
	if (!g->lock_)
		return stoai_error(-EINVAL, "a guard of nothing");
	if (mode < STOA_SHARED || mode > STOA_EXCLUSIVE)
		return stoai_error(-EINVAL, "a guard with mode %d", (int)mode);
	if (g->kind_ == GUARD_MUTEX && mode != STOA_EXCLUSIVE)
		return stoai_error(
			-EINVAL, "a mutex is exclusive; use a stoa_rwlock");
	return 0;
}

int
stoa_guard_lock(stoa_guard *g, enum stoa_mode mode, uint64_t deadline)
{
	int rc = mode_check(g, mode);

	if (rc)
		return rc;
	if (g->mode_ != STOA_UNLOCKED)
		return stoai_error(-EBUSY, "the guard holds its lock already");
	if (g->kind_ == GUARD_MUTEX)
		rc = stoa_mutex_lock_until(g->lock_, deadline);
	else if (g->kind_ == GUARD_RWLOCK)
		rc = stoa_rwlock_lock_as(g->lock_, mode, deadline);
	if (!rc || rc == -EOWNERDEAD)
		g->mode_ = mode;
	return rc;
}

int
stoa_guard_adopt(stoa_guard *g)
{
	enum stoa_mode mode;

	if (!g->lock_ || g->mode_ != STOA_UNLOCKED)
		return stoai_error(-EBUSY,
			"the guard holds its lock already, or is of nothing");
	mode = g->kind_ == GUARD_MUTEX    ? stoa_mutex_mode(g->lock_)
	       : g->kind_ == GUARD_RWLOCK ? stoa_rwlock_mode(g->lock_)
					  : STOA_EXCLUSIVE;
	if (mode == STOA_UNLOCKED)
		return stoai_error(-EPERM,
			"a guard is to adopt a lock that this thread does not "
			"hold");
	g->mode_ = mode;
	return 0;
}

int
stoa_guard_unlock(stoa_guard *g)
{
	if (g->mode_ == STOA_UNLOCKED)
		return stoai_error(-EPERM, "the guard holds no lock");
	guard_unlock(g);
	return 0;
}

const void *
stoa_guard_release(stoa_guard *g)
{
	const void *lock = g->lock_;

	g->lock_ = NULL;
	g->mode_ = STOA_UNLOCKED;
	return lock;
}

int
stoa_guard_move(stoa_guard *to, stoa_guard *from, enum stoa_mode mode,
	uint64_t deadline)
{
	bool held = from->mode_ != STOA_UNLOCKED;
	int rc = held ? mode_check(from, mode) : 0;

	if (to != from) {
		guard_unlock(to);
		to->lock_ = NULL;
	}
	if (!rc && held && from->kind_ == GUARD_RWLOCK)
		rc = stoa_rwlock_convert(from->lock_, mode, deadline);
	if (rc)
		return rc;
	if (held)
		from->mode_ = mode;
	if (to != from) {
		*to = *from;
		(void)stoa_guard_release(from);
	}
	return 0;
}

int
stoa_guard_wait(stoa_guard *g, const stoa_cond *c, uint64_t deadline)
{
	if (g->mode_ == STOA_UNLOCKED || g->kind_ == GUARD_NULL)
		return stoai_error(-EPERM, "the guard holds no lock");
	return g->kind_ == GUARD_MUTEX
		       ? stoa_cond_wait_mutex_(c, g->lock_, deadline)
		       : stoa_cond_wait_rwlock_(c, g->lock_, deadline);
}

void
stoa_guard_end_(stoa_guard *g)
{
	guard_unlock(g);
}

stoa_guard
stoa_guard_begin_(
	stoa_guard of, enum stoa_mode mode, uint64_t deadline, int *rc)
{
	int result = stoa_guard_lock(&of, mode, deadline);

	if (rc)
		*rc = result;
	else if (result == -EOWNERDEAD)
		guard_unlock(&of);
	return of;
}
