/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks, as the layers above take them: by seat. State tables and the argument
 * why death harms nobody are in README.md.
 */
#ifndef STOAI_SYNC_LOCK_H
#define STOAI_SYNC_LOCK_H
#include "segment/seat.h"
#include "stoa/sync.h"

enum stoai_lock_mode { /* of a rwlock, but for those that say mutex */
	STOAI_MODE_EXCLUSIVE = STOAI_HELD_EXCLUSIVE,
	STOAI_MODE_SHARED = STOAI_HELD_SHARED,
	STOAI_MODE_MUTEX = STOAI_HELD_MUTEX,
	STOAI_MODE_UPGRADABLE = STOAI_HELD_UPGRADABLE, /* raw */
	STOAI_MODE_RAW = STOAI_HELD_RAW,               /* exclusive */
	STOAI_MODE_RAW_MUTEX = STOAI_HELD_RAW_MUTEX
};

/* Each may use one entry of the lane more than the one before. */
enum stoai_lock_user {
	STOAI_LOCK_USER,
	STOAI_LOCK_LIBRARY,
	STOAI_LOCK_HEAP
};

/*
 * Takes the lock at `lock`, which lies in the seat's segment.
 *  0            held. Taken again by its holder it counts; shared under one's own
 *               exclusive is the exclusive again
 *  -EAGAIN      deadline STOA_NOW and somebody has it
 *  -ETIMEDOUT   deadline passed
 *  -EDEADLK     exclusive under one's own shared; or a cycle of waiters
 *  -EOVERFLOW   24 locks are held already
 *  -EBADMSG     its word names nobody who holds it
 *  -ENOTRECOVERABLE
 */
int stoai_lock(struct stoai_seat *seat, void *lock, enum stoai_lock_mode mode,
	uint64_t deadline, enum stoai_lock_user user);
/*
 * The same for a call outside of transactions, with a text of every failure. The
 * thread must not have it, unless `again`: then it counts, in the same mode.
 */
int stoai_lock_raw(struct stoai_seat *seat, void *lock,
	enum stoai_lock_mode mode, uint64_t deadline, bool again);
/* False: this thread has not taken it by a raw call. */
bool stoai_unlock_raw(struct stoai_seat *seat, const void *lock);
/* The entry and the count of a lock that was taken by a raw call, or NULL. */
uint64_t *
stoai_lock_entry(struct stoai_seat *seat, const void *lock, uint16_t **depth);
/* -EAGAIN and -ETIMEDOUT, which stoai_lock returns without, get their texts. */
int stoai_lock_text(const stoa_segment *seg, const void *lock, int rc);
/* Of a lock with flags: -EOWNERDEAD or -ENOTRECOVERABLE. */
int stoai_lock_died(const stoa_segment *seg, const void *lock);

/* It is held now: has a holder before died, or given its data up? */
static inline int
stoai_lock_told(const stoa_segment *seg, const void *lock)
{
	return stoai_likely(
		       !a32_load_relaxed(&((const stoa_mutex *)lock)->flags_))
		       ? 0
		       : stoai_lock_died(seg, lock);
}

/* Undoes one stoai_lock; the last one gives it up and wakes a waiter. */
void stoai_unlock(struct stoai_seat *seat, void *lock);
/* All but the raw ones, whatever their counts: end of a transaction. */
void stoai_unlock_all(struct stoai_seat *seat);
/* In which mode the calling thread holds it; 0: it does not. */
unsigned stoai_lock_held(struct stoai_seat *seat, const void *lock);
/* A held word that recovery can release: a mode, and a place where a lock may lie. */
bool stoai_held_sound(stoa_segment *seg, uint64_t held);
/* Recovery: release what a dead slot held or meant to take, wake who may wait. */
int stoai_locks_recover(stoa_segment *seg, uint32_t slot);

/*
 * Before the memory of a lock or condition is reused: nobody else holds it,
 * waits for it, or has yet to let go of it. -EBUSY when a living thread does;
 * the dying are waited for and recovered.
 */
int stoai_lock_fini(struct stoai_seat *seat, const void *from, size_t size);

/* ---- conditions (condition.c) ---- */

/* Announce a wait, while holding the lock of the predicate: the ticket to sleep with. */
uint32_t stoai_cond_arrive(struct stoai_seat *seat, stoa_cond *c);
/* Sleep until signalled after the ticket; no lock held. 0 or -ETIMEDOUT. */
int stoai_cond_sleep(struct stoai_seat *seat, stoa_cond *c, uint32_t ticket,
	uint64_t deadline);
/*
 * The transaction that waited has ended: it used the wake-up that it may have
 * had, or (replay) it did not, and another waiter must have it.
 */
void stoai_cond_settle(struct stoai_seat *seat, bool replay);
/*
 * A wake-up has two halves. Mark: the word changes, so that nobody falls asleep
 * on it; while the lock of the predicate is held, since afterwards the memory may
 * be somebody else's. Wake: the sleepers at that address; reads no memory. Both
 * may be repeated.
 */
void stoai_cond_mark(stoa_segment *seg, stoa_cond *c, bool all);
void stoai_cond_wake(stoa_segment *seg, uint64_t off, bool all);

/* ---- waiting (wait.c): the only place that sleeps ---- */

/* Instead of a slot: there is none; it is dead and could not be recovered yet. */
#define STOAI_OWNER_NONE UINT32_MAX
#define STOAI_OWNER_DEAD (UINT32_MAX - 1)

/*
 * Sleep while *word == value, until the deadline or the tick. owner: a slot whose
 * death must wake us too, or one of the two above. *tick_ns: 0 at first; doubles
 * to 1 s. Sweeps the dead when the tick passes. 0: look again; -ETIMEDOUT:
 * deadline.
 */
int stoai_sleep(struct stoai_seat *seat, const uint32_t *word, uint32_t value,
	uint32_t owner, uint64_t deadline, uint64_t *tick_ns);

/* ---- deadlock.c ---- */

/* Would the calling thread, which waits for `held` (a held word), wait for itself? */
bool stoai_deadlock(struct stoai_seat *seat, uint64_t held);

#endif
