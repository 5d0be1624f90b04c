/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Waiting for any of several things: one call, and whichever comes first ends it.
 *
 *	const stoa_waitable on[] = {
 *		stoa_waitable_take(&d->work),
 *		stoa_waitable_event(&d->stop),
 *		stoa_waitable_owner(seg, d->peer),
 *	};
 *	int which = stoa_wait_any(on, 3, STOA_FOREVER);
 *
 * A waitable is a value that says what is waited for: an object by its address, and
 * how. It is made where it is used, costs nothing, and nothing is registered. The
 * objects are those of event.h and semaphore.h, used as ever by everybody else; they may
 * lie in several segments.
 *
 * Guarantees: process-safe, thread-safe. A thread that is killed while it waits, or
 * has just been woken, leaves nobody asleep for longer than a tick (a second at most):
 * its lane says where it waits, and recovery wakes everybody there.
 *
 * Caveats: not for signal handlers (-EDEADLK when one interrupts a call). Where the
 * system has no futex_waitv (Linux before 5.16) all but the first are looked at every
 * 2 ms instead.
 */
#ifndef STOA_WAIT_H
#define STOA_WAIT_H
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/event.h>
#include <stoa/segment.h>
#include <stoa/semaphore.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

enum {
	STOA_WAIT_MAX = 24 /* of one call; a thread's locks, permits and memberships count too */
};

enum stoa_waitable_kind {
	STOA_WAITABLE_EVENT,
	STOA_WAITABLE_TAKE,
	STOA_WAITABLE_SEMAPHORE,
	STOA_WAITABLE_LATCH,
	STOA_WAITABLE_EVENTCOUNT,
	STOA_WAITABLE_OWNER,
	STOA_WAITABLE_FD
};

/*
 * key_: of an event count; of an owner its generation; of a descriptor the events. which_: an
 * owner's slot + 1; a descriptor
 */
typedef struct stoa_waitable {
	const void *object_;
	uint32_t kind_, key_, which_, pad_;
} stoa_waitable;

static inline stoa_waitable stoa_waitable_make_(
	enum stoa_waitable_kind kind, const void *object, uint32_t key, uint32_t which)
{
	stoa_waitable w;

	w.object_ = object;
	w.kind_ = (uint32_t)kind;
	w.key_ = key;
	w.which_ = which;
	w.pad_ = 0;
	return w;
}

/* Until it is set; it stays set. */
static inline stoa_waitable stoa_waitable_event(const stoa_event *e)
{
	return stoa_waitable_make_(STOA_WAITABLE_EVENT, e, 0, 0);
}

/* Until it is set, and this call has reset it. */
static inline stoa_waitable stoa_waitable_take(const stoa_event *e)
{
	return stoa_waitable_make_(STOA_WAITABLE_TAKE, e, 0, 0);
}

/* Until there is one, and this call has taken it. */
static inline stoa_waitable stoa_waitable_semaphore(const stoa_semaphore *s)
{
	return stoa_waitable_make_(STOA_WAITABLE_SEMAPHORE, s, 0, 0);
}

/* Until it is zero. */
static inline stoa_waitable stoa_waitable_latch(const stoa_latch *l)
{
	return stoa_waitable_make_(STOA_WAITABLE_LATCH, l, 0, 0);
}

/* Until it was notified since stoa_eventcount_prepare gave the key. */
static inline stoa_waitable stoa_waitable_eventcount(const stoa_eventcount *e, uint32_t key)
{
	return stoa_waitable_make_(STOA_WAITABLE_EVENTCOUNT, e, key, 0);
}

/* Until that thread has died or detached (stoa_owner_self, stoa_mutex_owner). */
static inline stoa_waitable stoa_waitable_owner(const stoa_segment *seg, stoa_owner who)
{
	return stoa_waitable_make_(STOA_WAITABLE_OWNER, seg, who.generation_, who.slot_);
}

/*
 * Until poll(2) would say one of these events of it, or an error: POLLIN, POLLOUT. Nothing is
 * read or written. A pidfd is readable when its process has ended.
 */
static inline stoa_waitable stoa_waitable_fd(int fd, short events)
{
	return stoa_waitable_make_(
		STOA_WAITABLE_FD, NULL, (uint32_t)(unsigned short)events, (uint32_t)fd);
}

/*
 * stoa_wait_any - until one of them has come about: which?
 *
 * Exactly one is taken, and nothing else is changed. If several have come about, the first
 * in the list is it: who wants it fair rotates the list. That holds while others work, too:
 * whoever posts to one and then sets a later one in the list is heard in that order, so work
 * that stands before the end of the work is never missed.
 *
 * Blocks:  until the deadline; STOA_NOW looks. Signals do not end it.
 * Crash:   killed before it has taken one, the others get what it was woken for. Killed
 *          afterwards, it was taken.
 * Cost:    if one has come about, a look at each before it and what taking it costs. To sleep,
 *          one system call, and two atomic instructions each. With a descriptor, a system
 *          call for a look at it, and to sleep a thread for as long as the call takes,
 *          with a slot of each segment: loops open a stoa_pollable instead.
 * Returns: its index, -EAGAIN (STOA_NOW), -ETIMEDOUT, -EINVAL (none, more than
 *          STOA_WAIT_MAX, no waitable), -EOVERFLOW (more than the thread's lane has room
 *          for), -EXDEV (lies in no open segment), -EROFS, -EUSERS (all slots taken),
 *          -EDEADLK (a signal handler in a call), -ENOTRECOVERABLE (quarantined).
 */
STOA_NODISCARD int stoa_wait_any(const stoa_waitable *on, unsigned n, uint64_t deadline);

/*
 * ---- pollable: waitables as a descriptor, for poll, epoll, libuv, asyncio ----
 *
 * Readable means: look again, with stoa_wait_any and STOA_NOW, until that finds nothing;
 * then arm. Several that belong to one loop go into one pollable. Used by one thread at a
 * time. While it is not armed it costs nobody anything.
 */
typedef struct stoa_pollable stoa_pollable;

/*
 * stoa_pollable_open - a descriptor that becomes readable when one of them has come about.
 *
 * It is not armed yet. A thread of the library's own serves it, which takes no signals and
 * has a slot of each segment, until it is closed; close it before the segments. A fork child
 * has the descriptor and not the thread: it closes its copy and opens one of its own.
 *
 * Blocks:  no.     Crash: its thread dies with the process, as any that waits.
 * Owner:   close it; *ret is untouched on failure.
 * Cost:    a thread.
 * Returns: 0, -ENOMEM, -EMFILE, -EAGAIN (no more threads), -EINVAL (as stoa_wait_any; a
 *          descriptor), or as stoa_wait_any.
 */
STOA_NODISCARD int stoa_pollable_open(const stoa_waitable *on, unsigned n, stoa_pollable **ret);
/* NULL is fine; returns NULL. Waits for its thread to end. */
stoa_pollable *stoa_pollable_close(stoa_pollable *p);
/* To poll for reading, and for nothing else. Stays the pollable's. */
int stoa_pollable_fd(const stoa_pollable *p);
/*
 * stoa_pollable_arm - not readable, until one has come about; at once if one has already.
 *
 * Armed already, it is cleared and stays armed. An event that is set and reset after it has
 * come about. Nothing is taken by it.
 *
 * Blocks:  no.     Crash: as open.
 * Cost:    two system calls.
 * Returns: 0, -EPERM (a fork child's copy).
 */
int stoa_pollable_arm(stoa_pollable *p);
/* For the next arm, the key of the event count at that index. Nothing while it is armed. */
void stoa_pollable_set_key(stoa_pollable *p, unsigned i, uint32_t key);

static inline void stoa_pollable_cleanup_(stoa_pollable **p)
{
	(void)stoa_pollable_close(*p);
}

STOA_END_DECLS
#endif
