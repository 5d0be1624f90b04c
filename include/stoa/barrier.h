/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Barriers as fields of shared structs: nobody goes on before everybody is there.
 * Zero bytes are a valid one, without members.
 *
 *	members      join, wait as often as they like, leave. Who dies has left: the
 *	             others go on without it
 *	so many      stoa_barrier_wait_for(b, n): n threads, whichever they are, must be
 *	             there at one time. Who dies there is not there any more
 *
 * One barrier is used in one of these ways at a time.
 *
 * No transaction is needed, and none undoes it. The barrier lies in a segment, which is
 * found by its address; the calling thread is attached if need be.
 *
 * Guarantees: process-safe, thread-safe. There is no broken state: deaths and waits
 * that time out take back an arrival, and nothing else. A stopped process is not
 * dead, and is waited for.
 */
#ifndef STOA_BARRIER_H
#define STOA_BARRIER_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/sync.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

/*
 * lock_     held while somebody arrives, joins or leaves
 * phase_    grows when everybody is there. Who is a member and who has arrived stands
 *           in their lanes, nowhere else
 * members_  bit per slot: it may be there (a hint that stays)
 */
typedef struct stoa_barrier {
	stoa_mutex lock_;
	uint32_t phase_, pad_;
	uint64_t members_[4];
} stoa_barrier;

/*
 * stoa_barrier_join - from now on the others wait for this thread.
 *
 * Until it leaves, detaches or dies. A thread is a member of any number of barriers
 * up to 24, the locks that it holds included.
 *
 * Blocks:  while others arrive: shortly.     Crash: it is a member or not.
 * Cost:    a mutex.
 * Returns: 0, -EALREADY (it is one), -EOVERFLOW, -EXDEV (lies in no open segment),
 *          -EROFS, -EUSERS (all slots taken), -EDEADLK (a signal handler in a call),
 *          -ENOTRECOVERABLE (quarantined).
 */
int stoa_barrier_join(const stoa_barrier *b);
/*
 * stoa_barrier_leave - the others wait for this thread no more; if it was the last one
 * that they waited for, they go on. -EPERM: it is no member; else as join.
 */
int stoa_barrier_leave(const stoa_barrier *b);

/*
 * stoa_barrier_wait, _wait_until - until all members are there. By a member.
 *
 * Blocks:  until the last one arrives, leaves or dies, or the deadline: then this
 *          one has not arrived. STOA_NOW: only if this is the last one.
 * Crash:   who dies is no member any more.
 * Cost:    a mutex, and a look at each member; a system call to sleep, one to wake.
 * Returns: 0; 1: the same, to one of those who were there (to nobody if a leave let
 *          them go, or that one died); -EAGAIN (STOA_NOW), -ETIMEDOUT, -EPERM (no
 *          member); else as join.
 */
STOA_NODISCARD int stoa_barrier_wait(const stoa_barrier *b);
STOA_NODISCARD int stoa_barrier_wait_until(
	const stoa_barrier *b, uint64_t deadline);
/*
 * stoa_barrier_wait_for - until n threads are there, none of them a member; all should
 * say the same n.
 *
 * Who dies while it waits does not count any more, so another one must come in its
 * place: give a deadline if none will. -EINVAL: n is 0; -EALREADY: this thread is a
 * member. Else as wait.
 */
STOA_NODISCARD int stoa_barrier_wait_for(
	const stoa_barrier *b, uint32_t n, uint64_t deadline);
/* How many times everybody was there, more or less: it only grows. */
uint32_t stoa_barrier_phase(const stoa_barrier *b);
/* How many members there are at this moment; < 0 as join. */
int stoa_barrier_members(const stoa_barrier *b);

STOA_END_DECLS
#endif
