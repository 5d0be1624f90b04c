/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions outside of transactions: nothing is undone when a holder dies,
 * so what does the next one learn?
 *
 *	flags_     event                              next
 *	any        the holder dies (recovery)         DIED, before the word is free
 *	DIED       lock                               it is held, and -EOWNERDEAD
 *	DIED       unlock                             DIED: the next one is told as well
 *	any        poison                             POISONED
 *	POISONED   lock                               -ENOTRECOVERABLE, and it is free
 *	any        mend                               0
 *
 * Only who holds the word exclusively changes flags_, or recovery for him; but
 * who is poisoned out may mend.
 *
 * A wake-up of a condition is used when its waiter unlocks, so that a death before that
 * hands it on (condition.c). A signaller outside of transactions has no log: it owes
 * from before it marks until it has woken (signal.h).
 */
#include "sync/rwlock.h"
#include "sync/signal.h"
#include "sync/spin.h"

/* It is held: what did its holders before leave? Poisoned, it is given back. */
static int
had(struct stoai_seat *seat, const void *lock)
{
	int rc = stoai_lock_told(seat->seg, lock);

	if (rc == -ENOTRECOVERABLE)
		(void)stoai_unlock_raw(seat, lock);
	return rc;
}

static int
raw_take(const void *lock, uint64_t size, enum stoai_lock_mode mode,
	uint64_t deadline, bool again)
{
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(lock, size, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_lock_raw(
		seat, (void *)(uintptr_t)lock, mode, deadline, again);
	return stoai_leave(seat, rc ? rc : had(seat, lock));
}

static void
give_back(const void *lock)
{
	struct stoai_seat *seat = stoai_seat_having(lock);

	if (stoai_unlikely(!seat)) /* also a fork child's: it has it not */
		return;
	seat->busy = 1;
	(void)stoai_unlock_raw(seat, lock);
	if (stoai_unlikely(a64_load_relaxed(&seat->slot->woken)) &&
		!seat->writer)
		stoai_cond_settle(seat, false);
	seat->busy = 0;
}

/* How does the calling thread hold it, raw? */
static enum stoa_mode
mode_of(const void *lock)
{
	struct stoai_seat *seat = stoai_seat_having(lock);
	uint16_t *depth;
	uint64_t *entry = seat ? stoai_lock_entry(seat, lock, &depth) : NULL;

	if (!entry)
		return STOA_UNLOCKED;
	switch (stoai_held_mode(*entry)) {
	case STOAI_HELD_SHARED:
		return STOA_SHARED;
	case STOAI_HELD_UPGRADABLE:
		return STOA_UPGRADABLE;
	default:
		return STOA_EXCLUSIVE;
	}
}

/* flags_ lies at the same place in both kinds */
STOA_STATIC_ASSERT(
	offsetof(stoa_mutex, flags_) == offsetof(stoa_rwlock, flags_), "");

static void
mend(const void *lock)
{
	uint32_t *flags = &((stoa_mutex *)(uintptr_t)lock)->flags_;

	if (mode_of(lock) == STOA_EXCLUSIVE ||
		a32_load_relaxed(flags) & STOAI_LOCK_POISONED)
		a32_store_kill(flags, 0);
}

static void
poison(const void *lock)
{
	if (mode_of(lock) == STOA_EXCLUSIVE)
		a32_store_kill(&((stoa_mutex *)(uintptr_t)lock)->flags_,
			STOAI_LOCK_POISONED);
}

/* ---- mutex ---- */

/*
 * The usual way in and out: this thread has no other lock in the segment, nobody else
 * has this one, and nobody asks since when (sync/contention.h). What the general way does
 * step by step, in the same order; but the first entry is taken without a bit in
 * `locks`, and `quick` names the lock (stoai_seat_taken).
 * Instead of `busy`: a signal handler that comes between finds the entry neither clear nor
 * held, and takes another one; or held, and sets the bit: then the general way gives
 * it back, or finds the bit set and the entry clear. What calls others keeps
 * registers in memory, which costs more than the lock: those calls are functions of their own.
 *
 *	quick   held[0]    locks & 1
 *	lock    it         0          held the quick way
 *	NULL    a lock     0          in the middle of one of these calls
 *	NULL    a lock     1          held, or in the middle of giving it back
 *	NULL    0          1          given back after the bit was set
 *	NULL    0          0          nothing is
 */

static inline struct stoai_seat *
quick_begin(const void *lock)
{
	struct stoai_seat *seat = stoai_seat_near(
		lock, STOAI_SEGMENT_DAMAGED | STOAI_SEGMENT_COUNTING);

	return stoai_likely(seat && !seat->taken) && !seat->lane->held[0]
		       ? seat
		       : NULL;
}

/* It is held. */
static inline void
quick_done(struct stoai_seat *seat, const void *lock)
{
	stoai_kill_fence();
	seat->quick = lock;
}

/* The seat that has it so, and now without a name for it; else NULL. */
static inline struct stoai_seat *
quick_had(const void *lock)
{
	struct stoai_seat *seat = stoai_seat_last;

	if (stoai_unlikely(!seat || seat->quick != lock))
		return NULL;
	seat->quick = NULL;
	stoai_kill_fence();
	return seat;
}

static inline __attribute__((always_inline)) bool
quick_lock(const stoa_mutex *mutex)
{
	stoa_mutex *m = (stoa_mutex *)(uintptr_t)mutex;
	struct stoai_seat *seat = quick_begin(m);
	uint32_t w = 0;

	if (stoai_unlikely(!seat))
		return false;
	stoai_intend(seat, &seat->lane->held[0],
		stoai_seat_off(seat, m) | STOAI_HELD_RAW_MUTEX);
	if (stoai_unlikely(!a32_cas_seq_cst(&m->word_, &w, seat->word))) {
		a64_store_kill(&seat->lane->held[0], 0);
		return false;
	}
	quick_done(seat, m);
	return true;
}

static __attribute__((noinline)) int
quick_told(const void *lock)
{
	return had(stoai_seat_last, lock);
}

/* It was taken so. */
static inline int
quick_result(const void *lock, const uint32_t *flags)
{
	return stoai_likely(!a32_load_relaxed(flags)) ? 0 : quick_told(lock);
}

static __attribute__((noinline)) void
quick_wake(struct stoai_seat *seat, stoa_mutex *m)
{
	stoai_word_wake(&m->word_);
	a64_store_release(&seat->lane->held[0], 0);
}

/* Nobody writes, and this thread has read here before. */
static inline bool
quick_share(const stoa_rwlock *lock)
{
	stoa_rwlock *l = (stoa_rwlock *)(uintptr_t)lock;
	struct stoai_seat *seat = quick_begin(l);

	if (stoai_unlikely(!seat))
		return false;
	if (stoai_unlikely(!stoai_read_try(seat, &seat->lane->held[0], l))) {
		stoai_read_leave(seat->seg, &seat->lane->held[0], l);
		return false;
	}
	quick_done(seat, l);
	return true;
}

static inline bool
quick_unshare(const stoa_rwlock *lock)
{
	stoa_rwlock *l = (stoa_rwlock *)(uintptr_t)lock;
	struct stoai_seat *seat = quick_had(l);

	if (stoai_unlikely(!seat))
		return false;
	stoai_read_leave(seat->seg, &seat->lane->held[0], l);
	return true;
}

int
stoa_mutex_lock(const stoa_mutex *m)
{
	if (stoai_likely(quick_lock(m)))
		return quick_result(m, &m->flags_);
	return raw_take(
		m, sizeof *m, STOAI_MODE_RAW_MUTEX, STOA_FOREVER, false);
}

int
stoa_mutex_lock_until(const stoa_mutex *m, uint64_t deadline)
{
	return raw_take(m, sizeof *m, STOAI_MODE_RAW_MUTEX, deadline, false);
}

int
stoa_mutex_lock_again(const stoa_mutex *m, uint64_t deadline)
{
	return raw_take(m, sizeof *m, STOAI_MODE_RAW_MUTEX, deadline, true);
}

/* See spin.h. The first try was made. */
static int
spin(const stoa_mutex *m, uint64_t deadline, bool again)
{
	int rc = raw_take(m, sizeof *m, STOAI_MODE_RAW_MUTEX, STOA_NOW, again);
	struct stoai_seat *seat = stoai_seat_having(m);
	struct stoai_spin s;

	if (rc != -EAGAIN || deadline == STOA_NOW || !seat)
		return rc;
	s = stoai_spin_begin(deadline);
	while (rc == -EAGAIN && stoai_spin_on(&s))
		if (stoai_spin_lock_due(seat, a32_load_relaxed(&m->word_)))
			rc = raw_take(m, sizeof *m, STOAI_MODE_RAW_MUTEX,
				STOA_NOW, again);
	return rc == -EAGAIN ? raw_take(m, sizeof *m, STOAI_MODE_RAW_MUTEX,
				       deadline, again)
			     : rc;
}

int
stoa_mutex_spin(const stoa_mutex *m, uint64_t deadline)
{
	if (stoai_likely(quick_lock(m)))
		return quick_result(m, &m->flags_);
	return spin(m, deadline, false);
}

int
stoa_mutex_spin_again(const stoa_mutex *m, uint64_t deadline)
{
	return spin(m, deadline, true);
}

void
stoa_mutex_unlock(const stoa_mutex *mutex)
{
	stoa_mutex *m = (stoa_mutex *)(uintptr_t)mutex;
	struct stoai_seat *seat = quick_had(m);

	if (stoai_unlikely(!seat)) {
		give_back(m);
	} else if (stoai_word_free(&m->word_)) {
		quick_wake(seat, m);
	} else {
		a64_store_release(&seat->lane->held[0], 0);
	}
}

enum stoa_mode
stoa_mutex_mode(const stoa_mutex *m)
{
	return mode_of(m);
}

void
stoa_mutex_mend(const stoa_mutex *m)
{
	mend(m);
}

void
stoa_mutex_poison(const stoa_mutex *m)
{
	poison(m);
}

/* ---- reader/writer lock ---- */

/* Of a mode as people write it. */
static enum stoai_lock_mode
lock_mode(enum stoa_mode mode)
{
	return mode == STOA_SHARED       ? STOAI_MODE_SHARED
	       : mode == STOA_UPGRADABLE ? STOAI_MODE_UPGRADABLE
					 : STOAI_MODE_RAW;
}

int
stoa_rwlock_lock_as(
	const stoa_rwlock *l, enum stoa_mode mode, uint64_t deadline)
{
	if (mode < STOA_SHARED || mode > STOA_EXCLUSIVE)
		return stoai_error(
			-EINVAL, "stoa_rwlock_lock_as: mode %d", (int)mode);
	if (mode == STOA_SHARED && stoai_likely(quick_share(l)))
		return quick_result(l, &l->flags_);
	return raw_take(
		l, sizeof *l, lock_mode(mode), deadline, mode == STOA_SHARED);
}

void
stoa_rwlock_unlock(const stoa_rwlock *l)
{
	if (!quick_unshare(l))
		give_back(l);
}

void
stoa_rwlock_mend(const stoa_rwlock *l)
{
	mend(l);
}

void
stoa_rwlock_poison(const stoa_rwlock *l)
{
	poison(l);
}

enum stoa_mode
stoa_rwlock_mode(const stoa_rwlock *l)
{
	return mode_of(l);
}

static int
raw_convert(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	enum stoa_mode to, uint64_t deadline)
{
	enum stoa_mode from = mode_of(l);

	if (from == to)
		return 0;
	if (from == STOA_SHARED && deadline != STOA_NOW)
		return stoai_error(-EINVAL,
			"%s: shared becomes more only with STOA_NOW: two who "
			"wait "
			"for it would wait for each other",
			stoai_name(seat->seg));
	if (to == STOA_SHARED) {
		stoai_owned_to_shared(seat, entry, l);
		return 0;
	}
	if (from == STOA_EXCLUSIVE) {
		stoai_exclusive_to_upgradable(seat, entry, l);
		return 0;
	}
	if (from == STOA_UPGRADABLE)
		return stoai_upgrade(seat, entry, l, deadline);
	return to == STOA_EXCLUSIVE
		       ? stoai_shared_to_exclusive(seat, entry, l)
		       : stoai_shared_to_upgradable(seat, entry, l);
}

int
stoa_rwlock_convert(
	const stoa_rwlock *lock, enum stoa_mode to, uint64_t deadline)
{
	stoa_rwlock *l = (stoa_rwlock *)(uintptr_t)lock;
	struct stoai_seat *seat = stoai_seat_having(l);
	uint16_t *depth;
	uint64_t *entry = seat ? stoai_lock_entry(seat, l, &depth) : NULL;
	int rc;

	if (to < STOA_SHARED || to > STOA_EXCLUSIVE)
		return stoai_error(
			-EINVAL, "stoa_rwlock_convert: mode %d", (int)to);
	if (!entry)
		return stoai_error(-EPERM,
			"stoa_rwlock_convert: this thread does not hold it");
	if (*depth)
		return stoai_error(-EBUSY,
			"%s: this thread has taken it %u times, so it stays "
			"shared",
			stoai_name(seat->seg), *depth + 1u);
	seat->busy = 1;
	rc = raw_convert(seat, entry, l, to, deadline);
	seat->busy = 0;
	return rc ? stoai_lock_text(seat->seg, l, rc) : 0;
}

/* ---- conditions ---- */

static int
cond_wait(const stoa_cond *condition, const void *lock, uint64_t deadline)
{
	stoa_cond *c = (stoa_cond *)(uintptr_t)condition;
	int rc = 0, again;
	struct stoai_seat *seat = stoai_seat_at(c, sizeof *c, &rc);
	uint16_t *depth, times;
	uint64_t *entry;
	enum stoai_lock_mode mode;
	uint32_t ticket;

	if (!seat)
		return rc;
	entry = stoai_lock_entry(seat, lock, &depth);
	if (!entry)
		return stoai_error(-EPERM,
			"%s: a wait for a condition whose lock this thread "
			"does not hold",
			stoai_name(seat->seg));
	times = *depth;
	*depth = 0;
	mode = (enum stoai_lock_mode)stoai_held_mode(*entry);
	seat->busy = 1;
	ticket = stoai_cond_arrive(seat, c);
	(void)stoai_unlock_raw(seat, lock);
	rc = stoai_cond_sleep(seat, c, ticket, deadline);
	again = stoai_lock_raw(
		seat, (void *)(uintptr_t)lock, mode, STOA_FOREVER, false);
	if (!again) {
		(void)stoai_lock_entry(seat, lock, &depth);
		*depth = times;
		again = stoai_lock_told(seat->seg, lock);
	}
	seat->busy = 0;
	if (again)
		return again;
	return rc == -ETIMEDOUT
		       ? stoai_error(rc, "%s: nobody signalled in time",
				 stoai_name(seat->seg))
		       : rc;
}

int
stoa_cond_wait_mutex_(
	const stoa_cond *c, const stoa_mutex *held, uint64_t deadline)
{
	return cond_wait(c, held, deadline);
}

int
stoa_cond_wait_rwlock_(
	const stoa_cond *c, const stoa_rwlock *held, uint64_t deadline)
{
	return cond_wait(c, held, deadline);
}

static int
cond_notify(const stoa_cond *condition, bool all)
{
	stoa_cond *c = (stoa_cond *)(uintptr_t)condition;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(c, sizeof *c, &rc);
	uint64_t off;

	if (!seat)
		return rc;
	off = stoai_off(seat->seg, c);
	stoai_owe(seat, off);
	stoai_cond_mark(seat->seg, c, all);
	stoai_cond_wake(seat->seg, off, all);
	stoai_paid(seat);
	return stoai_leave(seat, 0);
}

int
stoa_cond_signal(const stoa_cond *c)
{
	return cond_notify(c, false);
}

int
stoa_cond_broadcast(const stoa_cond *c)
{
	return cond_notify(c, true);
}
