/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Wake-ups that no death loses: what semaphores, events and their like share.
 *
 *	owe    before a change is visible that ends somebody's wait, and before one
 *	       sleeps: the slot names the place
 *	paid   after the wake-up is made; after what one was woken for is used or
 *	       handed on
 *
 * Whoever dies between is recovered, and recovery wakes everybody at the place
 * (recover.c: replay), who all look again. Waking reads no memory, so the object may
 * be gone by then. In place of an owed wake-up too many may come, never too few.
 */
#ifndef STOAI_SYNC_SIGNAL_H
#define STOAI_SYNC_SIGNAL_H
#include "os/os.h"
#include "sync/contention.h"
#include "sync/lock.h"

static inline void
stoai_owe(struct stoai_seat *seat, uint64_t off)
{
	a64_exchange_seq_cst(&seat->slot->waiting, off);
}

static inline void
stoai_paid(struct stoai_seat *seat)
{
	uint64_t waiting = a64_load_relaxed(&seat->slot->waiting);

	stoai_kill_fence();
	if (waiting)
		a64_store_kill(&seat->slot->waiting, 0);
	stoai_waited(seat, stoai_held_off(waiting));
}

/* Everybody, or so many, who sleep at an offset. */
static inline void
stoai_wake_at(const stoa_segment *seg, uint64_t off, uint32_t count)
{
	(void)stoai_os_futex_wake(stoai_at(seg, off), count);
}

/* Does another slot say that it waits there? */
static inline bool
stoai_others_wait(const struct stoai_seat *seat, uint64_t off)
{
	for (uint32_t i = 0; i < stoai_slots_used(seat->seg); i++)
		if (i != seat->index &&
			a64_load_seq_cst(
				&stoai_slot_at(seat->seg, i)->waiting) == off)
			return true;
	return false;
}

/*
 * A word whose bit 0 says that somebody may sleep and whose rest counts: one more,
 * and one sleeper or all of them are woken. Nothing while the bit is not set.
 *
 * The bit is cleared only together with waking everybody: who was not yet to be
 * seen when we looked around is then awake. Who sleeps had named the place before, so
 * if nobody is seen that is who sleeps there since.
 */
static inline void
stoai_notify(struct stoai_seat *seat, uint32_t *word, bool all)
{
	uint64_t off = stoai_off(seat->seg, word);
	/* by a changing instruction: what the caller stored before it is visible */
	uint32_t w = a32_fetch_or_seq_cst(word, 0);
	bool one = false, done = false;

	if (!(w & 1))
		return;
	do {
		stoai_owe(seat, off);
		one = !all && stoai_others_wait(seat, off);
		done = a32_cas_seq_cst(word, &w, one ? w + 2 : (w + 2) & ~1u);
	} while (!done && w & 1);
	if (done) /* else another one has woken all meanwhile */
		stoai_wake_at(seat->seg, off, one ? 1 : UINT32_MAX);
	stoai_paid(seat);
}

/* ---- one look at each kind of thing that is waited for ---- */

enum {
	STOAI_LOOK_TAKE =
		1 << 0, /* what is there is taken, if it is of that kind */
	STOAI_LOOK_SLEEP = 1
			   << 1,  /* if it is not: the word says that I sleep */
	STOAI_LOOK_SLEPT = 1 << 2 /* I did, so that others may still */
};

/*
 * True: it has come about (and was taken). Else, with STOAI_LOOK_SLEEP, *value is what
 * to sleep at. key: what the kind wants to know of the wait's beginning. The object's
 * first word is the one that is slept at. Before a look with SLEEP and until the wait is
 * over the caller owes the place a wake-up.
 */
typedef bool stoai_look_fn(struct stoai_seat *seat, void *object, uint32_t key,
	unsigned how, uint32_t *value);
/*
 * One who slept leaves with something else, or with nothing: a wake-up that it may
 * have consumed goes to another. Kinds that wake all have none.
 */
typedef void stoai_pass_fn(struct stoai_seat *seat, void *object, uint32_t key);

stoai_look_fn stoai_semaphore_look, stoai_event_wait_look,
	stoai_event_take_look, stoai_latch_look, stoai_eventcount_look;
stoai_pass_fn stoai_semaphore_pass, stoai_event_take_pass,
	stoai_eventcount_pass;

/*
 * The end of a look at a word w that has not come about: *value is what to sleep at, and
 * the bit says so if it is to. False: the word has changed, look again.
 */
static inline bool
stoai_look_mark(uint32_t *word, uint32_t *w, uint32_t bit, unsigned how,
	uint32_t *value)
{
	*value = *w | bit;
	return !(how & STOAI_LOOK_SLEEP) || *w & bit ||
	       a32_cas_seq_cst(word, w, *w | bit);
}

/* wait.c: looks and sleeps by turns. -EAGAIN (STOA_NOW), -ETIMEDOUT. Owes afterwards. */
int stoai_look_until(struct stoai_seat *seat, uint32_t *word, uint32_t key,
	stoai_look_fn *look, uint64_t deadline);

/*
 * As stoai_sleep, on n words at once. seat: the calling thread's in the segment that
 * each lies in; NULL: a word of this process alone.
 */
int
stoai_sleep_any(struct stoai_seat *const *seat, const struct stoai_os_word *on,
	unsigned n, uint64_t deadline, uint64_t *tick_ns);

/* The seat for a call on an object; NULL: *rc says why not. */
static inline struct stoai_seat *
stoai_enter(const void *object, uint64_t size, int *rc)
{
	struct stoai_seat *seat = stoai_seat_at(object, size, rc);

	if (stoai_likely(seat != NULL))
		seat->busy = 1;
	return seat;
}

static inline int
stoai_leave(struct stoai_seat *seat, int rc)
{
	seat->busy = 0;
	return rc;
}

/* -EAGAIN and -ETIMEDOUT with a text: "<segment>: <what> in time". */
static inline int
stoai_wait_text(const struct stoai_seat *seat, int rc, const char *what)
{
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		return stoai_error(rc, "%s: %s %s", stoai_name(seat->seg), what,
			rc == -EAGAIN ? "yet" : "in time");
	return rc;
}

/* The end of a wait that owed, or may have: what it was woken for is used. */
static inline int
stoai_wait_leave(struct stoai_seat *seat, int rc, const char *what)
{
	stoai_paid(seat);
	return stoai_wait_text(seat, stoai_leave(seat, rc), what);
}

#endif
