/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphores as fields of shared structs: counts that threads of all processes wait
 * for. Zero bytes are a valid one, so nothing needs an init.
 *
 *	stoa_semaphore   a count that anybody may raise: items, wake-ups. What was
 *	                 taken is gone, whoever took it
 *	stoa_permits     a number of permits of which each has an owner, as of a pool of
 *	                 connections. Who dies with some gives them back (as SEM_UNDO)
 *
 * Neither needs a transaction, and none undoes them: a call counts at once, also
 * inside a transaction that fails later. They lie in a segment, which is found by
 * the address; the calling thread is attached if need be.
 *
 * Guarantees: process-safe, thread-safe. A thread that is killed while it waits, has
 * just been woken, or is about to wake others, leaves nobody asleep for longer than
 * a tick (a second at most), and no count wrong.
 *
 * Caveats: not for signal handlers (-EDEADLK when one interrupts a call). A call that
 * waits inside a transaction keeps that one's locks.
 */
#ifndef STOA_SEMAPHORE_H
#define STOA_SEMAPHORE_H
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/sync.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

#define STOA_SEMAPHORE_MAX UINT32_C(0x7fffffff)

/* word_: bit 31 somebody may sleep; the rest is the count */
typedef struct stoa_semaphore {
	uint32_t word_, pad_;
} STOA_ALIGNED_(8) stoa_semaphore;

/*
 * lock_     held while permits are taken
 * seq_      bit 0 somebody may sleep; the rest counts what may have ended a wait
 * total_    how many there are. How many are taken stands in the lanes of those who
 *           have them, nowhere else
 * holders_  bit per slot: it may have some (a hint that stays)
 */
typedef struct stoa_permits {
	stoa_mutex lock_;
	uint32_t seq_, total_;
	uint64_t holders_[4];
} stoa_permits;

/*
 * stoa_semaphore_post, _post_many - the count grows by one, or by n.
 *
 * After it the semaphore's memory is not touched any more: who was woken by it may
 * delete the object.
 *
 * Blocks:  no.
 * Crash:   killed in it, the count has grown or not; if it has, nobody sleeps on.
 * Cost:    one atomic instruction; a system call if somebody sleeps.
 * Returns: 0, -EOVERFLOW (more than STOA_SEMAPHORE_MAX; nothing changed), -EXDEV
 *          (lies in no open segment), -EROFS, -EUSERS (all slots taken), -EDEADLK
 *          (signal handler), -ENOTRECOVERABLE (quarantined).
 */
int stoa_semaphore_post(const stoa_semaphore *s);
int stoa_semaphore_post_many(const stoa_semaphore *s, uint32_t n);

/*
 * stoa_semaphore_wait, _wait_until - one less, as soon as there is one.
 *
 * Blocks:  until the deadline; STOA_NOW tries. Signals do not end it.
 * Crash:   killed before it has taken one, the others get what it was woken for.
 *          Killed afterwards, its one is gone: it stands for no person. If it has to
 *          come back, use stoa_permits.
 * Cost:    one atomic instruction if there is one.
 * Returns: 0, -EAGAIN (STOA_NOW), -ETIMEDOUT; else as post.
 */
STOA_NODISCARD int stoa_semaphore_wait(const stoa_semaphore *s);
STOA_NODISCARD int stoa_semaphore_wait_until(
	const stoa_semaphore *s, uint64_t deadline);
/*
 * stoa_semaphore_spin - as stoa_semaphore_wait_until, for what is posted within some
 * microseconds: the count is watched before it sleeps.
 *
 * Blocks:  50 microseconds at most on the processor, then asleep, until the deadline.
 * Crash:   as stoa_semaphore_wait.
 * Cost:    one atomic instruction if there is one; posted while it is watched, no
 *          system call, on neither side.
 * Returns: as stoa_semaphore_wait_until.
 */
STOA_NODISCARD int stoa_semaphore_spin(
	const stoa_semaphore *s, uint64_t deadline);
/* The count at this moment. Needs no slot; also of a read-only mapping. */
uint32_t stoa_semaphore_value(const stoa_semaphore *s);

/*
 * stoa_permits_set_total - how many there are, from now on. Zero bytes: none.
 *
 * May be called again, by anybody, also while some are taken: with fewer than are
 * taken, nobody gets one until enough have come back.
 *
 * Blocks:  no.     Crash: it is the new number or the old one, and nobody sleeps on.
 * Cost:    two atomic instructions; a system call if somebody sleeps.
 * Returns: 0, -EXDEV, -EROFS, -EUSERS, -EDEADLK, -ENOTRECOVERABLE.
 */
int stoa_permits_set_total(const stoa_permits *p, uint32_t total);

/*
 * stoa_permits_take, _take_until - one permit is this thread's, until it gives it back,
 * detaches or dies.
 *
 * A thread has 255 of one object at most, of any number of objects up to 24, the
 * locks that it holds included.
 *
 * Blocks:  until the deadline; STOA_NOW tries.
 * Crash:   what the dead had is free again within milliseconds where they are waited
 *          for, else with the next recovery.
 * Cost:    a mutex, and a look at each thread that has some.
 * Returns: 0, -EAGAIN, -ETIMEDOUT, -EOVERFLOW (255; or 24 objects); else as above.
 */
STOA_NODISCARD int stoa_permits_take(const stoa_permits *p);
STOA_NODISCARD int stoa_permits_take_until(
	const stoa_permits *p, uint64_t deadline);
/*
 * stoa_permits_give - one that this thread has is free again.
 *
 * Blocks:  no.     Crash: it has it, or it is free and nobody sleeps on.
 * Cost:    one atomic instruction; a system call if somebody sleeps.
 * Returns: 0, -EPERM (this thread has none), -EDEADLK (signal handler).
 */
int stoa_permits_give(const stoa_permits *p);
/* How many this thread has. */
uint32_t stoa_permits_held(const stoa_permits *p);
/*
 * How many are free at this moment, those of the dead included; < 0 as take. Blocks:
 * while others are taking one.
 */
int64_t stoa_permits_available(const stoa_permits *p);

STOA_END_DECLS
#endif
