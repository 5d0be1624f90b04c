/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The lock word: one word that says who holds it, so that claim and ownership are
 * one store.
 *
 *	bit 31  somebody sleeps     28..9  owner's generation     8..0  slot + 1
 *	bit 30  its owner lets readers in (rwlock.c)
 *
 *	state      lock                      unlock            owner dies
 *	0          CAS -> me                 -                 -
 *	me         -                         xchg 0            recovery: CAS -> 0
 *	me|W       set W, sleep              xchg 0, wake one  recovery: CAS -> 0, wake all
 *	0|W        CAS -> me|W               -                 -
 *
 * Barging: who comes first gets it. A queue would need a dead waiter spliced out.
 * Who slept takes the word with W set, since others may sleep as well.
 *
 * Crash argument: the intent is in the owner's lane before the CAS and until after
 * the exchange and the wake, so recovery finds every lock that a dead slot holds,
 * meant to take, or owes a wake-up for.
 */
#include "os/os.h"
#include "sync/contention.h"
#include "sync/word.h"

bool
stoai_lane_lists(const stoa_segment *seg, uint32_t slot, uint64_t held)
{
	const struct stoai_lane *lane = stoai_lane_at(seg, slot);

	if (!a32_load_relaxed(&stoai_slot_at(seg, slot)->paged))
		return false;
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		if (a64_load_seq_cst(&lane->held[k]) == held)
			return true;
	return false;
}

/* Does the slot list the lock at all, whatever the mode? */
static bool
lane_names(const struct stoai_lane *lane, uint64_t held)
{
	uint64_t off = stoai_held_off(held);

	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		if (stoai_held_off(a64_load_seq_cst(&lane->held[k])) == off)
			return true;
	return false;
}

static int
damaged(stoa_segment *seg, const uint32_t *word, uint32_t w)
{
	return stoai_error(-EBADMSG,
		"%s: damaged: the lock at %#llx says %08x, which nobody holds",
		stoai_name(seg), (unsigned long long)stoai_off(seg, word), w);
}

/*
 * It names slot `owner`. 0: a living one, or STOAI_OWNER_DEAD: one whose byte is
 * not to be had, as it is dying yet or somebody else recovers it; -EAGAIN: look
 * again; else a failure.
 */
static int
owner_look(stoa_segment *seg, const uint32_t *word, uint32_t w, uint32_t *owner)
{
	*owner = stoai_word_slot(seg, w);
	if (*owner == UINT32_MAX || !stoai_word_is_current(seg, w) ||
		!a32_load_relaxed(&stoai_slot_at(seg, *owner)->paged) ||
		!stoai_token_held(
			a32_load_acquire(stoai_token_at(seg, *owner))))
		/* given up and left between our two looks, or damage */
		return stoai_word_owner(a32_load_seq_cst(word)) ==
				       stoai_word_owner(w)
			       ? damaged(seg, word, w)
			       : -EAGAIN;
	if (stoai_token_dead(a32_load_acquire(stoai_token_at(seg, *owner)))) {
		int rc = stoai_recover(seg, *owner);

		if (!rc)
			rc = stoai_segment_usable(seg);
		if (rc)
			return rc;
		if (!stoai_token_dead(
			    a32_load_acquire(stoai_token_at(seg, *owner))))
			return -EAGAIN;
		*owner = STOAI_OWNER_DEAD;
	}
	return 0;
}

/*
 * After a tick: a word that names somebody who does not list it is damage. That
 * the word is the same before and after proves nothing, since he may have given
 * the lock up and taken it again; that he has claimed no word meanwhile does:
 * each claim is counted after its intent is listed and before its word is written.
 */
static bool
owner_lists(stoa_segment *seg, const uint32_t *word, uint32_t w, uint32_t owner,
	uint64_t held)
{
	const struct stoai_lane *lane = stoai_lane_at(seg, owner);
	uint32_t taken = a32_load_acquire(&lane->taken);

	return lane_names(lane, held) ||
	       stoai_word_owner(a32_load_seq_cst(word)) !=
		       stoai_word_owner(w) ||
	       a32_load_acquire(&lane->taken) != taken;
}

static int
owner_wait(struct stoai_seat *seat, uint32_t *word, uint64_t held, uint32_t w,
	uint32_t owner, uint64_t deadline, uint64_t *tick)
{
	stoa_segment *seg = seat->seg;

	if (*tick && owner != STOAI_OWNER_DEAD &&
		!owner_lists(seg, word, w, owner, held))
		return damaged(seg, word, w);
	if (!(w & STOAI_WORD_WAITERS)) {
		if (!a32_cas_seq_cst(word, &w, w | STOAI_WORD_WAITERS))
			return 0;
		w |= STOAI_WORD_WAITERS;
	}
	if (stoai_deadlock(seat, held))
		return stoai_error(-EDEADLK,
			"%s: waiting for the lock at %#llx would never end",
			stoai_name(seg),
			(unsigned long long)stoai_held_off(held));
	return stoai_sleep(seat, word, w, owner, deadline, tick);
}

static int
word_lock_slow(struct stoai_seat *seat, uint32_t *word, uint64_t held,
	uint64_t deadline)
{
	uint64_t tick = 0;
	uint32_t slept = 0; /* STOAI_WORD_WAITERS once we did */
	int rc = 0;

	for (;;) {
		uint32_t w = a32_load_acquire(word), owner;

		if (!stoai_word_owner(w)) {
			if (a32_cas_seq_cst(word, &w,
				    seat->word | slept |
					    (w & STOAI_WORD_WAITERS)))
				return 0;
			continue;
		}
		if (w & STOAI_WORD_UPGRADABLE &&
			stoai_held_mode(held) == STOAI_HELD_SHARED)
			return STOAI_WORD_OPENED;
		if (rc) /* gave up, and it is not free */
			return rc;
		/* what we hold is found in our lane: nobody asks for it again */
		if (stoai_word_owner(w) == seat->word)
			return damaged(seat->seg, word, w);
		rc = owner_look(seat->seg, word, w, &owner);
		if (rc == -EAGAIN) {
			rc = 0;
			continue;
		}
		if (rc)
			return rc;
		if (deadline == STOA_NOW)
			return -EAGAIN;
		a64_exchange_seq_cst(&seat->slot->waiting, held);
		rc = owner_wait(seat, word, held, w, owner, deadline, &tick);
		slept = STOAI_WORD_WAITERS;
		/* a wake-up that came with the time-out must not be lost: once more */
	}
}

int
stoai_word_wait(struct stoai_seat *seat, uint32_t *word, uint32_t w,
	uint64_t held, uint64_t deadline)
{
	int rc;

	for (int i = 0; i < STOAI_SPINS && deadline != STOA_NOW; i++) {
		if (w & (STOAI_WORD_WAITERS | STOAI_WORD_UPGRADABLE))
			/* others sleep: queue up; or readers may enter */
			break;
		stoai_pause();
		w = a32_load_relaxed(word);
		if (!w && a32_cas_seq_cst(word, &w, seat->word))
			return 0;
	}
	/* the wait in which an object's own lock is needed has ended for now */
	stoai_waited(
		seat, stoai_held_off(a64_load_relaxed(&seat->slot->waiting)));
	rc = word_lock_slow(seat, word, held, deadline);
	if (a64_load_relaxed(&seat->slot->waiting)) {
		stoai_kill_fence();
		a64_store_kill(&seat->slot->waiting, 0);
		stoai_waited(seat, stoai_held_off(held));
	}
	if (rc && rc != -EAGAIN) {
		/* we may have consumed a wake-up that was meant for another */
		w = a32_load_relaxed(word);
		while (stoai_word_owner(w) && !(w & STOAI_WORD_WAITERS) &&
			!a32_cas_seq_cst(word, &w, w | STOAI_WORD_WAITERS))
			;
		if (!stoai_word_owner(w)) /* free by now */
			(void)stoai_os_futex_wake(word, 1);
	}
	return rc;
}

void
stoai_word_wake(uint32_t *word)
{
	(void)stoai_os_futex_wake(word, 1);
}
