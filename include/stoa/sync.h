/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions as fields of shared structs. Zero bytes are a free lock,
 * so nothing needs an init. A lock lives in a segment; a transaction or a read
 * scope takes it (tx.h).
 *
 * Guarantees: a thread that dies holding, waiting for or handing over a lock
 * harms nobody: whoever meets its lock finishes or undoes what it was doing and
 * goes on, within about a second at most and usually within milliseconds.
 * No lock word holds a pid or a pointer; processes may live in different PID
 * namespaces and may be built against different libcs.
 *
 * Caveats: a stopped process (SIGSTOP, freezer, debugger) is not dead; its
 * locks stay held. Undo must never touch a lock, so the compiler refuses
 * stoa_edit of a struct that holds one.
 */
#ifndef STOA_SYNC_H
#define STOA_SYNC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

/*
 * word_     bit 31 somebody sleeps | bits 28..9 owner's generation | bits 8..0
 *           owner's slot + 1; 0: free
 * seq_      odd while a writer holds the lock: what read-only mappings compare
 * left_     a reader that saw a writer wait adds one when it leaves
 * readers_  bit per slot: it may be reading (a hint that stays; the truth is in
 *           that slot's list of held locks)
 */
typedef struct stoa_mutex {
	uint32_t word_, flags_;
} STOA_ALIGNED_(8) stoa_mutex; /* slots name it by its offset and 3 bits */

typedef struct stoa_rwlock {
	uint32_t word_, flags_;
	uint32_t seq_, left_;
	uint64_t readers_[4];
} stoa_rwlock;

/* seq_: bit 0 somebody waits; the rest counts wake-ups and arrivals */
typedef struct stoa_cond {
	uint32_t seq_, pad_[3];
} STOA_ALIGNED_(8) stoa_cond;

/* "Who has this": names a thread for as long as it lives, not a pid. */
typedef struct stoa_owner {
	uint32_t slot_, generation_; /* slot + 1; zero bytes: nobody */
} stoa_owner;

/* What is known of an owner, for people: numbers of its own PID namespace. */
typedef struct stoa_owner_info {
	uint32_t pid, tid;
	uint64_t since_ns; /* CLOCK_MONOTONIC, when it attached */
	bool     alive;
} stoa_owner_info;

/* Who holds the lock exclusively; zero bytes: nobody. Never blocks. */
stoa_owner stoa_mutex_owner(const stoa_tx *rd, const stoa_mutex *m);
stoa_owner stoa_rwlock_owner(const stoa_tx *rd, const stoa_rwlock *l);
/* 0, or -ESRCH when it lives no more (pid and tid are then 0) */
STOA_NODISCARD int stoa_owner_describe(
	const stoa_tx *rd, stoa_owner who, stoa_owner_info *ret);

/*
 * ---- raw: without a transaction ----
 *
 * For what no transaction guards: a buffer, a device, memory that is changed in place
 * and without undo. The lock lies in a segment, which is found by its address; the
 * thread is attached if need be. One thread holds up to 24 locks in one segment, raw
 * ones and those of its transactions. A lock is taken either raw or by transactions
 * at one time, by one thread; over time it may be both.
 *
 * Crash:   a holder's death frees the lock within milliseconds, and the next one is
 *          told: -EOWNERDEAD. A reader's, a waiter's or a signaller's death is nobody's
 *          trouble. Detaching, or closing the segment's last handle, is as death.
 * Blocks:  until the deadline, STOA_NOW tries. Signals do not end a wait.
 */

enum stoa_mode {
	STOA_UNLOCKED,
	STOA_SHARED,     /* beside others that share, and one upgradable */
	STOA_UPGRADABLE, /* beside those that share; may become exclusive */
	STOA_EXCLUSIVE
};

/*
 * stoa_mutex_lock, _lock_until, _lock_again - the mutex is this thread's.
 *
 * lock_again counts when the thread has it (65534 times at most), and needs as many
 * unlocks.
 *
 * Cost:    one atomic instruction and two stores to the thread's own page; as much
 *          for the unlock.
 * Returns: 0,
 *          -EOWNERDEAD: it is held, and who held it died inside: look at the data,
 *          then stoa_mutex_mend. Unlocked without, the next one is told as well;
 *          -ENOTRECOVERABLE: not held, poisoned; or the segment is quarantined;
 *          -EAGAIN (STOA_NOW), -ETIMEDOUT,
 *          -EDEADLK: this thread has it; would wait for itself over others; or a
 *          signal handler in a call,
 *          -EXDEV (lies in no open segment), -EROFS, -EOVERFLOW (24 locks),
 *          -EUSERS (all slots taken), -EBADMSG (damaged).
 */
STOA_NODISCARD int stoa_mutex_lock(const stoa_mutex *m);
STOA_NODISCARD int stoa_mutex_lock_until(
	const stoa_mutex *m, uint64_t deadline);
STOA_NODISCARD int stoa_mutex_lock_again(
	const stoa_mutex *m, uint64_t deadline);
/*
 * stoa_mutex_spin, _spin_again - as stoa_mutex_lock_until and _lock_again, for sections
 * of some microseconds: who finds it held watches the word before it sleeps, also when
 * others sleep.
 *
 * The same word, so it is unlocked, mended and told of as ever, and may be taken by
 * either call. Watching writes nothing, and sees a dead holder.
 *
 * Blocks:  50 microseconds at most on the processor, then asleep, until the deadline.
 * Crash:   as stoa_mutex_lock.
 * Cost:    free: as stoa_mutex_lock. Given up while it is watched: no system call, on
 *          neither side.
 * Returns: as stoa_mutex_lock.
 */
STOA_NODISCARD int stoa_mutex_spin(const stoa_mutex *m, uint64_t deadline);
STOA_NODISCARD int stoa_mutex_spin_again(
	const stoa_mutex *m, uint64_t deadline);
/* By its holder; anybody else's is ignored. */
void stoa_mutex_unlock(const stoa_mutex *m);
/* Does the calling thread hold it, by a raw call? STOA_EXCLUSIVE or STOA_UNLOCKED. */
enum stoa_mode stoa_mutex_mode(const stoa_mutex *m);
/* By its holder: the data is right (again). By anybody, when it is poisoned. */
void stoa_mutex_mend(const stoa_mutex *m);
/* By its holder: the data is lost. Nobody gets the lock until it is mended. */
void stoa_mutex_poison(const stoa_mutex *m);

/*
 * stoa_rwlock_lock_as - the lock, in that mode.
 *
 * One upgradable holder at most, beside any number that share (one a thread, 255 a
 * segment). Shared counts when the thread shares already. Writers go before readers that
 * come later, and readers that wait go before writers that come later: none starves.
 *
 * Cost:    exclusive as a mutex, and a look at each slot that has shared it. Shared:
 *          two atomic instructions on the thread's own page, none on the lock.
 * Returns: as stoa_mutex_lock; -EOWNERDEAD also when shared, but only an exclusive
 *          holder mends; -EINVAL (mode).
 */
STOA_NODISCARD int stoa_rwlock_lock_as(
	const stoa_rwlock *l, enum stoa_mode mode, uint64_t deadline);
void stoa_rwlock_unlock(const stoa_rwlock *l); /* whatever its mode */
void stoa_rwlock_mend(const stoa_rwlock *l);
void stoa_rwlock_poison(const stoa_rwlock *l);
/* How the calling thread holds it, by raw calls. */
enum stoa_mode stoa_rwlock_mode(const stoa_rwlock *l);

/*
 * stoa_rwlock_convert - held in one mode, then in another, and nobody else exclusive or
 * upgradable between.
 *
 *	from         to           waits                          fails
 *	EXCLUSIVE    UPGRADABLE   -                              -
 *	EXCLUSIVE    SHARED       -                              -
 *	UPGRADABLE   SHARED       -                              -
 *	UPGRADABLE   EXCLUSIVE    for those that share           at the deadline
 *	SHARED       EXCLUSIVE    never: STOA_NOW only           anybody else has it
 *	SHARED       UPGRADABLE   never: STOA_NOW only           somebody else has more
 *
 * A failure leaves it held as it was.
 *
 * Returns: 0, also when it is so already; -EAGAIN, -ETIMEDOUT, -EDEADLK; -EPERM
 *          (this thread does not hold it), -EBUSY (shares it more than once), -EINVAL.
 */
STOA_NODISCARD int stoa_rwlock_convert(
	const stoa_rwlock *l, enum stoa_mode to, uint64_t deadline);

static inline int stoa_rwlock_lock(const stoa_rwlock *l)
{
	return stoa_rwlock_lock_as(l, STOA_EXCLUSIVE, STOA_FOREVER);
}

static inline int stoa_rwlock_share(const stoa_rwlock *l)
{
	return stoa_rwlock_lock_as(l, STOA_SHARED, STOA_FOREVER);
}

/* Upgradable becomes exclusive, when those that share have left. */
static inline int stoa_rwlock_upgrade(const stoa_rwlock *l)
{
	return stoa_rwlock_convert(l, STOA_EXCLUSIVE, STOA_FOREVER);
}

/*
 * stoa_cond_wait(c, held, deadline) - give the lock up, sleep until signalled, have the
 * lock again. held: a stoa_mutex, or a stoa_rwlock in any mode, held raw and in the
 * condition's segment; taken more than once, it is given up whole. A wait may end
 * unsignalled: ask for the predicate again.
 *
 * Crash:   a waiter that dies before it has unlocked hands its wake-up on.
 * Returns: 0; -ETIMEDOUT; -EOWNERDEAD, as the lock; each with the lock held. -EPERM (it is
 *          not held), and what stoa_mutex_lock fails with.
 */
STOA_NODISCARD int stoa_cond_wait_mutex_(
	const stoa_cond *c, const stoa_mutex *held, uint64_t deadline);
STOA_NODISCARD int stoa_cond_wait_rwlock_(
	const stoa_cond *c, const stoa_rwlock *held, uint64_t deadline);

/*
 * stoa_cond_signal, stoa_cond_broadcast - one waiter, all waiters.
 *
 * With or without the lock; who changes the predicate under the lock and signals
 * before or after the unlock loses nobody. In a transaction use stoa_tx_signal.
 *
 * Cost:    no system call while nobody waits.
 * Returns: 0, -EXDEV, -EROFS, -EUSERS, -EDEADLK, -ENOTRECOVERABLE.
 */
int stoa_cond_signal(const stoa_cond *c);
int stoa_cond_broadcast(const stoa_cond *c);

/*
 * ---- locks in memory that is no segment ----
 *
 * Memory that processes share by any means (MAP_SHARED with or without a file, shm_open,
 * XSI, before or after fork) has locks, semaphores, events and the like anywhere, if it
 * has one stoa_slots somewhere: who is alive, and who has what. Zero bytes are an empty
 * one. The guarantees are those of a segment, given by the same code.
 *
 * Crash:   as in a segment. A death is proved by a lock on a byte of a file, which the
 *          kernel drops, so it is told within a tick: 50 milliseconds, where somebody
 *          waits.
 * Caveats: STOA_SLOTS_THREADS threads at one time. All processes are of one user, or can
 *          open the same STOA_DIRECTORY, where the empty file .slots must stay. After a
 *          restart of the machine the bytes have to be made zero again, those of the
 *          locks as well. Transactions and containers want a segment.
 */
typedef struct stoa_slots {
	uint64_t word_[2048];
} STOA_ALIGNED_(64) stoa_slots;

#define STOA_SLOTS_THREADS 38

/*
 * stoa_slots_attach - from now on this process finds s by the addresses of sync objects in
 * [memory, memory + size), of which s is a part, and the calling thread has a slot.
 *
 * Once in a process; once more counts. Other threads, and children of fork, which find
 * the memory at the same address, need not call it: they are attached by their first
 * lock. Processes may have the memory at different addresses, but whole: s at the same
 * place in it, and of the same size.
 *
 * Blocks:  while another process makes the same table, or another one of this user.
 * Crash:   killed at any instruction, the next one makes it, or finds it made.
 * Cost:    a dozen system calls the first time, and a descriptor until it is detached.
 * Returns: 0, -EINVAL (s is not in it, or not at the place or of the size that others
 *          said; not aligned), -EPROTO (other bytes), -EXDEV (made by who has another
 *          file .slots, or before the machine was started), -EEXIST (some of the memory
 *          belongs to a segment, or to another stoa_slots), -EUSERS (all slots taken),
 *          -EMFILE (64 segments and tables are open), or what opening .slots fails with.
 */
STOA_NODISCARD int stoa_slots_attach(
	stoa_slots *s, void *memory, size_t size);
/*
 * stoa_slots_detach - the calling thread gives up its slot, and one stoa_slots_attach is
 * taken back; after the last one nothing is found any more. What the thread holds is told
 * of as of a death.
 *
 * Before the memory is unmapped: each thread that used it has detached, or ended.
 */
void stoa_slots_detach(stoa_slots *s);

STOA_END_DECLS

#ifndef __cplusplus
#define stoa_cond_wait(c, held, deadline) \
 _Generic((held), \
	 stoa_mutex *: stoa_cond_wait_mutex_, \
	 const stoa_mutex *: stoa_cond_wait_mutex_, \
	 stoa_rwlock *: stoa_cond_wait_rwlock_, \
	 const stoa_rwlock *: stoa_cond_wait_rwlock_)(c, held, deadline)
#else
static inline int stoa_cond_wait(
	const stoa_cond *c, const stoa_mutex *held, uint64_t deadline)
{
	return stoa_cond_wait_mutex_(c, held, deadline);
}
static inline int stoa_cond_wait(
	const stoa_cond *c, const stoa_rwlock *held, uint64_t deadline)
{
	return stoa_cond_wait_rwlock_(c, held, deadline);
}
#endif

#endif
