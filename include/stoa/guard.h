/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Guards: what was locked is unlocked at the end of its block, however that is left.
 *
 *	STOA_LOCKED(&box->lock) {
 *		box->n++;
 *	}
 *
 *	STOA_GUARD(g, &table->lock);
 *	rc = stoa_guard_lock(&g, STOA_UPGRADABLE, stoa_in_ms(100));
 *	if (!rc && must_change(table))
 *		rc = stoa_guard_move(&g, &g, STOA_EXCLUSIVE, STOA_FOREVER);
 *
 * A guard is of one lock and lives on a stack; it is no thread's business but that of the
 * thread which has the lock. The locks are taken raw (sync.h), with the same
 * results, texts and guarantees. Of a stoa_mutex the only mode is STOA_EXCLUSIVE.
 */
#ifndef STOA_GUARD_H
#define STOA_GUARD_H
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/detail/pp.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

/* Nobody ever holds it, and everybody gets it: for code that is handed a lock. */
typedef struct stoa_null_lock {
	char unused_;
} stoa_null_lock;

typedef struct stoa_guard {
	const void *lock_; /* NULL: of none */
	uint32_t kind_;    /* 0 mutex, 1 rwlock, 2 null */
	enum stoa_mode mode_; /* how it holds the lock */
} stoa_guard;

/*
 * STOA_GUARD(name, lock) - a variable in this block, of a lock that it does not hold
 * (yet). lock: const stoa_mutex *, const stoa_rwlock *, const stoa_null_lock *.
 */
#define STOA_GUARD(name, lock) \
 STOA_ON_LEAVE_(stoa_guard_end_) stoa_guard name = stoa_guard_of(lock)

/*
 * stoa_guard_lock - what the guard is of, in that mode.
 *
 * Returns: as stoa_rwlock_lock_as; the guard holds it after 0 and -EOWNERDEAD.
 *          -EBUSY: it holds it already; -EINVAL: a guard of nothing, another mode.
 */
STOA_NODISCARD int
stoa_guard_lock(stoa_guard *g, enum stoa_mode mode, uint64_t deadline);
/* What this thread has taken already, by a raw call. 0, -EPERM (it has not), -EBUSY. */
STOA_NODISCARD int stoa_guard_adopt(stoa_guard *g);
/* Before the block ends. 0, or -EPERM: it holds nothing. */
int stoa_guard_unlock(stoa_guard *g);
/* The guard is of nothing; the lock stays as it is, and is returned, or NULL. */
const void *stoa_guard_release(stoa_guard *g);
/* How it holds its lock; STOA_UNLOCKED. */
static inline enum stoa_mode stoa_guard_mode(const stoa_guard *g)
{
	return g->mode_;
}

/*
 * stoa_guard_move - the lock goes from one guard to another, in that mode.
 *
 * What `to` held before is unlocked first. A source that does not hold its lock hands
 * on the lock unlocked, whatever the mode. `to` may be `from`. What can become what,
 * and whether it waits: stoa_rwlock_convert.
 *
 * Returns: 0; else as stoa_rwlock_convert: then `from` is as it was, and `to`, if it is
 *          another one, of nothing.
 */
STOA_NODISCARD int stoa_guard_move(stoa_guard *to, stoa_guard *from,
	enum stoa_mode mode, uint64_t deadline);

/* stoa_cond_wait with what the guard holds. -EPERM: it holds nothing. */
STOA_NODISCARD int
stoa_guard_wait(stoa_guard *g, const stoa_cond *c, uint64_t deadline);

/* What macros use. */
void stoa_guard_end_(stoa_guard *g);
stoa_guard stoa_guard_begin_(
	stoa_guard of, enum stoa_mode mode, uint64_t deadline, int *rc);

static inline stoa_guard stoa_guard_mutex_(const stoa_mutex *m)
{
	stoa_guard g = {m, 0, STOA_UNLOCKED};

	return g;
}

static inline stoa_guard stoa_guard_rwlock_(const stoa_rwlock *l)
{
	stoa_guard g = {l, 1, STOA_UNLOCKED};

	return g;
}

static inline stoa_guard stoa_guard_null_(const stoa_null_lock *n)
{
	stoa_guard g = {n, 2, STOA_UNLOCKED};

	return g;
}

STOA_END_DECLS

#ifndef __cplusplus
#define stoa_guard_of(lock) \
 _Generic((lock), \
	 stoa_mutex *: stoa_guard_mutex_, \
	 const stoa_mutex *: stoa_guard_mutex_, \
	 stoa_rwlock *: stoa_guard_rwlock_, \
	 const stoa_rwlock *: stoa_guard_rwlock_, \
	 stoa_null_lock *: stoa_guard_null_, \
	 const stoa_null_lock *: stoa_guard_null_)(lock)
#else
static inline stoa_guard stoa_guard_of(const stoa_mutex *m)
{
	return stoa_guard_mutex_(m);
}
static inline stoa_guard stoa_guard_of(const stoa_rwlock *l)
{
	return stoa_guard_rwlock_(l);
}
static inline stoa_guard stoa_guard_of(const stoa_null_lock *n)
{
	return stoa_guard_null_(n);
}
#endif

/*
 * STOA_LOCKED(lock) { ... } - the block with the lock held exclusively.
 *
 * Without the lock, or when its holder before died, the block is skipped:
 * stoa_error_text() says why. `break` and `return` leave it, and unlock.
 *
 * STOA_LOCKED_AS(rc, lock, mode, deadline) { ... } - the same with rc, an int of
 * yours, which becomes the result: the block runs with 0 and with -EOWNERDEAD, and
 * may mend.
 */
#define STOA_LOCKED(lock) \
 STOA_LOCKED_(STOA_CAT(stoa_guard_, __LINE__), lock, STOA_EXCLUSIVE, \
	 STOA_FOREVER, NULL)
#define STOA_LOCKED_AS(rc, lock, mode, deadline) \
 STOA_LOCKED_(STOA_CAT(stoa_guard_, __LINE__), lock, mode, deadline, &(rc))
#define STOA_LOCKED_(g, lock, mode, deadline, rc) \
 for (STOA_ON_LEAVE_(stoa_guard_end_) stoa_guard g = \
	 stoa_guard_begin_(stoa_guard_of(lock), mode, deadline, rc); \
	 g.mode_; stoa_guard_end_(&g))

#endif
