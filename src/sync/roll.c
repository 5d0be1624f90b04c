/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Rolls: how does an object know what each thread has of it, so that a death takes
 * back what was the dead one's and nothing else?
 *
 * It does not know. Each thread writes down in its own lane what it has: the place,
 * the kind, a count. Whoever needs the sum takes the object's lock and looks at the
 * lanes. There is no number in the object that a death could falsify, so there is
 * nothing to repair: recovery clears the entry of the dead, and the next sum is right.
 *
 *	entry   place of the object's sleepers | kind | count
 *	bits    one per slot, in the object: it may have an entry (a hint that stays, as
 *	        readers_ of a lock)
 *
 * Invariants
 *	I1  an entry with a count that matters => the bit of its slot is set: set under
 *	    the object's lock before the entry, cleared under it where there is no entry
 *	I2  sums grow only under the object's lock; they shrink at any time
 *	I3  as long as a lane has an entry, the object's memory is not another one's
 *	    (stoai_lock_fini)
 *
 * Crash argument. The store of an entry is the commit, of taking as of giving back.
 * Before it nothing has happened, but perhaps a bit too many. The object's lock is a
 * mutex that a death frees. An entry is cleared by recovery after it has woken all
 * who sleep at its place, so an entry owes a wake-up for as long as it stands: one
 * of count 0 is listed by who waits and may have been woken, and by who has given
 * back and has not yet woken.
 */
#include "sync/roll.h"
#include "sync/contention.h"

uint64_t *
stoai_roll_find(struct stoai_seat *seat, uint64_t held)
{
	for (uint32_t used = stoai_seat_taken(seat) & seat->raw; used;
		used &= used - 1) {
		uint64_t *entry = &seat->lane->held[__builtin_ctz(used)];

		if (stoai_roll_object(*entry) == held)
			return entry;
	}
	return NULL;
}

uint64_t *
stoai_roll_add(struct stoai_seat *seat, uint64_t held)
{
	uint32_t usable = (1u << STOAI_HELD_USER) - 1;
	uint32_t k;

	usable = stoai_seat_free(seat, usable);
	if (!usable) {
		(void)stoai_error(-EOVERFLOW,
			"%s: this thread has %d locks, permits and memberships "
			"already",
			stoai_name(seat->seg), STOAI_HELD_USER);
		return NULL;
	}
	k = (uint32_t)__builtin_ctz(usable);
	seat->locks |= 1u << k;
	/* not the transaction's, which gives up its own */
	seat->raw |= 1u << k;
	stoai_roll_set(&seat->lane->held[k], held, 0);
	stoai_had_since_now(seat, &seat->lane->held[k]);
	return &seat->lane->held[k];
}

void
stoai_roll_drop(struct stoai_seat *seat, uint64_t *entry)
{
	uint32_t bit = 1u << (uint32_t)(entry - seat->lane->held);

	stoai_kill_fence();
	a64_store_release(
		entry, 0); /* I3: the object is not touched any more */
	stoai_kill_fence();
	seat->raw &= ~bit;
	seat->locks &= ~bit;
}

void
stoai_roll_mark(const struct stoai_seat *seat, uint64_t bits[4])
{
	uint64_t bit = UINT64_C(1) << (seat->index % 64);

	if (!(a64_load_relaxed(&bits[seat->index / 64]) & bit))
		a64_fetch_or_seq_cst(&bits[seat->index / 64], bit);
}

/* The slot's entry for the object; 0: none, or left over from nobody. */
static uint64_t
listed(const stoa_segment *seg, uint32_t slot, uint64_t held)
{
	const struct stoai_lane *lane = stoai_lane_at(seg, slot);

	if (!a32_load_relaxed(&stoai_slot_at(seg, slot)->paged))
		return 0;
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++) {
		uint64_t entry = a64_load_seq_cst(&lane->held[k]);

		if (stoai_roll_object(entry) == held)
			return stoai_token_held(a32_load_acquire(
				       stoai_token_at(seg, slot)))
				       ? entry
				       : 0;
	}
	return 0;
}

/* 0: *entry is what a living slot lists (0: nothing), or, *dying, a dead one still. */
static int
roll_look(stoa_segment *seg, uint32_t slot, uint64_t held, uint64_t *entry,
	bool *dying)
{
	int rc;

	*dying = false;
	*entry = listed(seg, slot, held);
	if (!*entry ||
		!stoai_token_dead(a32_load_acquire(stoai_token_at(seg, slot))))
		return 0;
	rc = stoai_recover(seg, slot);
	if (!rc)
		rc = stoai_segment_usable(seg);
	if (rc)
		return rc;
	*entry = listed(seg, slot, held);
	*dying = *entry &&
		 stoai_token_dead(a32_load_acquire(stoai_token_at(seg, slot)));
	return 0;
}

int
stoai_roll_call(struct stoai_seat *seat, uint64_t bits[4], uint64_t held,
	void (*each)(void *user, uint32_t slot, uint32_t count), void *user)
{
	stoa_segment *seg = seat->seg;

	for (uint32_t w = 0; w < 4; w++) {
		uint64_t all = a64_load_seq_cst(&bits[w]);

		for (; all; all &= all - 1) {
			uint32_t s = w * 64 + stoai_ctz64(all);
			uint64_t entry = 0;
			bool dying = false;
			int rc = s < seg->slot_count ? roll_look(seg, s, held,
							       &entry, &dying)
						     : 0;

			if (rc)
				return rc;
			if (entry) /* I2: it may be less by now */
				each(user, dying ? STOAI_OWNER_DEAD : s,
					stoai_roll_count(entry));
			else /* I1 */
				a64_fetch_and_seq_cst(
					&bits[w], ~(UINT64_C(1) << (s % 64)));
		}
	}
	return 0;
}
