/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Events as fields of shared structs: something has happened, and who waits for it
 * goes on. Zero bytes are a valid one, so nothing needs an init.
 *
 *	stoa_event       set or not. Waiting for it leaves it set (manual reset);
 *	                 taking it resets it, so exactly one gets it (automatic reset)
 *	stoa_latch       a count down to zero, then everybody goes on
 *	stoa_once        something is done by exactly one, and by the next one if that one
 *	                 dies over it
 *	stoa_eventcount  waiting for any predicate without a lock around it
 *
 * None needs a transaction, and none is undone. They lie in a segment, which is found
 * by the address; the calling thread is attached if need be.
 *
 * Guarantees: process-safe, thread-safe. A thread that is killed while it waits, has
 * just been woken, or is about to wake others, leaves nobody asleep for longer than
 * a tick (a second at most).
 *
 * Errors that all may return: -EXDEV (lies in no open segment), -EROFS, -EUSERS (all
 * slots taken), -EDEADLK (a signal handler in a call), -ENOTRECOVERABLE (quarantined).
 */
#ifndef STOA_EVENT_H
#define STOA_EVENT_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/sync.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

/* word_: bit 0 set | 29..1 counts sets | 30 somebody may wait | 31 ... may take */
typedef struct stoa_event {
	uint32_t word_, pad_;
} STOA_ALIGNED_(8) stoa_event;

/* word_: bit 31 somebody may sleep; the rest is the count */
typedef struct stoa_latch {
	uint32_t word_, pad_;
} STOA_ALIGNED_(8) stoa_latch;

/* lock_: held by who does it; done_: 1 when it is */
typedef struct stoa_once {
	stoa_mutex lock_;
	uint32_t done_, pad_;
} stoa_once;

/* word_: bit 0 somebody may sleep; the rest counts notifications */
typedef struct stoa_eventcount {
	uint32_t word_, pad_;
} STOA_ALIGNED_(8) stoa_eventcount;

/*
 * stoa_event_set - set; whoever waits goes on, and of those who take one does.
 *
 * Set already, it stays so. Who was waiting goes on even if it is reset before that
 * one has run. The event's memory is not touched after it.
 *
 * Blocks:  no.     Crash: it is set or not; if it is, nobody sleeps on.
 * Cost:    one atomic instruction; a system call if somebody sleeps.
 * Returns: 0, or one of the errors above.
 */
int stoa_event_set(const stoa_event *e);
/* Not set. Costs one atomic instruction, wakes nobody. */
int stoa_event_reset(const stoa_event *e);
bool stoa_event_is_set(const stoa_event *e);

/*
 * stoa_event_wait, _wait_until - until it is set; it stays set.
 * stoa_event_take, _take_until - until it is set and this thread has reset it.
 *
 * Both may be used on one event.
 *
 * Blocks:  until the deadline; STOA_NOW looks.
 * Crash:   killed before it has taken it, another one gets it; killed afterwards, it
 *          was taken.
 * Cost:    wait: no atomic instruction if it is set; take: one.
 * Returns: 0, -EAGAIN (STOA_NOW), -ETIMEDOUT, or one of the errors above.
 */
STOA_NODISCARD int stoa_event_wait(const stoa_event *e);
STOA_NODISCARD int stoa_event_wait_until(
	const stoa_event *e, uint64_t deadline);
STOA_NODISCARD int stoa_event_take(const stoa_event *e);
STOA_NODISCARD int stoa_event_take_until(
	const stoa_event *e, uint64_t deadline);

/*
 * stoa_latch_add - so many more have to count down. Zero bytes: none, so it is open.
 *
 * Add before others wait; and again only when all who waited have returned.
 *
 * Blocks:  no.     Crash: it counts or not.
 * Returns: 0, -EOVERFLOW (more than 2^31 - 1), or one of the errors above.
 */
int stoa_latch_add(const stoa_latch *l, uint32_t n);
/*
 * stoa_latch_count_down - n less; at zero everybody goes on.
 *
 * Who dies before it counts down leaves the latch short: where that must not be, be
 * a member of a stoa_barrier. The latch's memory is not touched after it.
 *
 * Blocks:  no.     Crash: it counted or not; at zero nobody sleeps on.
 * Cost:    one atomic instruction; at zero a system call if somebody sleeps.
 * Returns: 0, -EINVAL (less is left), or one of the errors above.
 */
int stoa_latch_count_down(const stoa_latch *l, uint32_t n);
/* Until it is zero. 0, -EAGAIN (STOA_NOW), -ETIMEDOUT, or one of the errors above. */
STOA_NODISCARD int stoa_latch_wait(const stoa_latch *l);
STOA_NODISCARD int stoa_latch_wait_until(
	const stoa_latch *l, uint64_t deadline);
uint32_t stoa_latch_count(const stoa_latch *l);

enum {
	STOA_ONCE_DONE,  /* nothing is to be done */
	STOA_ONCE_FIRST, /* do it: nobody has begun */
	STOA_ONCE_AGAIN  /* do it: somebody died over it, and may have left it half done */
};

/*
 * stoa_once_begin - is it to be done, and by this thread?
 *
 *	rc = stoa_once_begin(&s->made, STOA_FOREVER);
 *	if (rc == STOA_ONCE_AGAIN)
 *		tidy_up(s);
 *	if (rc > STOA_ONCE_DONE) {
 *		make(s);
 *		rc = stoa_once_end(&s->made);
 *	}
 *
 * While one does it the others wait here.
 *
 * Blocks:  until who does it has ended it, or died, or the deadline.
 * Crash:   who dies over it is followed by the next one, who is told.
 * Owner:   after FIRST and AGAIN call end, or undo: the next one is to do it.
 * Cost:    a load when it is done.
 * Returns: STOA_ONCE_*, or < 0: -EAGAIN, -ETIMEDOUT, -EDEADLK (this thread is doing it;
 *          or a circle of waiters), -EOVERFLOW (24 locks), or one of the errors above.
 */
STOA_NODISCARD int stoa_once_begin(const stoa_once *o, uint64_t deadline);
/* It is done, for ever. -EPERM: this thread was not doing it. */
int stoa_once_end(const stoa_once *o);
/* It was not done: somebody else shall. The next one is told what this one was. */
int stoa_once_undo(const stoa_once *o);
bool stoa_once_is_done(const stoa_once *o);

/*
 * stoa_eventcount_prepare, stoa_eventcount_wait_until - wait for a predicate:
 *
 *	uint32_t key;
 *	while (!ready()) {
 *		rc = stoa_eventcount_prepare(&q->changed, &key);
 *		if (rc || ready())
 *			break;
 *		rc = stoa_eventcount_wait_until(&q->changed, key, STOA_FOREVER);
 *	}
 *
 * and who makes it true notifies afterwards. A wait returns at once if there was a
 * notification since its prepare; so none is missed. It may return without one. A
 * prepare that no wait follows needs nothing more.
 *
 * Blocks:  until notified, or the deadline; STOA_NOW looks.
 * Crash:   killed before its wait returns, another one gets its notification. Killed
 *          afterwards it has had it: where the predicate stands for work, notify all.
 * Cost:    one atomic instruction, and a system call to sleep.
 * Returns: 0, -EAGAIN (STOA_NOW: not notified), -ETIMEDOUT, or one of the errors above.
 */
STOA_NODISCARD int
stoa_eventcount_prepare(const stoa_eventcount *e, uint32_t *key);
STOA_NODISCARD int stoa_eventcount_wait_until(
	const stoa_eventcount *e, uint32_t key, uint64_t deadline);
/*
 * stoa_eventcount_notify, _notify_all - one who waits goes on, or all.
 *
 * Blocks:  no.     Crash: made, or not; not half.
 * Cost:    one atomic instruction, and nothing else while nobody waits.
 * Returns: 0, or one of the errors above.
 */
int stoa_eventcount_notify(const stoa_eventcount *e);
int stoa_eventcount_notify_all(const stoa_eventcount *e);

STOA_END_DECLS
#endif
