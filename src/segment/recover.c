/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Recovery: finish or undo what a dead slot was doing. Any live thread does it,
 * nobody in particular; whoever does may be killed and another starts it again.
 *
 *	own the token   byte, then the word from OWNER_DIED to ours, on our list:
 *	                if we die here the kernel marks the same word again
 *	tries + 1       at the fourth that begins where the three before it ended: quarantine,
 *	                so that a lane that kills its recoverers does not kill them all
 *	lane            undo the log, or finish what was committed   (upper.h)
 *	heap            transients free, spans anybody's             (upper.h)
 *	locks           release, wake whoever may have lost a wake-up (upper.h)
 *	generation + 1  words that name the old life name nobody any more
 *	free            the slot, then its token
 *
 * Invariants
 *	I1  the undo is over before the first lock is released
 *	I2  each step may be repeated from its top, from any instruction
 *	I3  no step takes a lock, so recovery cannot wait for anybody
 *	I4  nothing names the slot when its generation changes
 *
 * Detaching is the same on one's own slot. That is the point: the code that runs
 * after a death runs at every clean end as well.
 */
#include "segment/recover.h"
#include "base/hash.h"
#include "os/os.h"
#include "segment/liveness.h"
#include "segment/token.h"
#include "segment/upper.h"

/* Whoever asks for what it holds must be told, or would wait for it for ever. */
static void
damage_tell(stoa_segment *seg)
{
	uint32_t *flags = &stoai_header(seg)->flags;

	if (!(a32_load_relaxed(flags) & STOAI_SEGMENT_DAMAGED))
		a32_fetch_or_seq_cst(flags, STOAI_SEGMENT_DAMAGED);
}

/* The error text says why; it becomes part of the text. */
static int
quarantine(stoa_segment *seg, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(seg, index);

	a32_store_kill(&slot->tries, STOAI_TRIES_MAX + 1);
	damage_tell(seg); /* killed before it: stoai_recover says so again */
	return stoai_error_in(-ENOTRECOVERABLE,
		"%s: slot %u (pid %u) cannot be recovered and is quarantined; "
		"what it locked stays locked",
		stoai_name(seg), index, slot->pid);
}

enum {
	STEP_SHIFT = 30 /* slot.step: the step, and how far it has come */
};

void
stoai_recover_at(stoa_segment *seg, uint32_t index, uint64_t at)
{
	uint32_t *step = &stoai_slot_at(seg, index)->step;
	uint32_t now = a32_load_relaxed(step);

	a32_store_kill(step, (now >> STEP_SHIFT) << STEP_SHIFT |
				     ((uint32_t)at & ((1u << STEP_SHIFT) - 1)));
}

/* How far a recovery has come: another value is another place. */
static uint64_t
progress(stoa_segment *seg, uint32_t index)
{
	const struct stoai_slot *slot = stoai_slot_at(seg, index);
	const struct stoai_lane *lane = stoai_lane_at(seg, index);
	uint64_t place[] = {a64_load_relaxed(&lane->cursor),
		a64_load_relaxed(&lane->done), a64_load_relaxed(&slot->woken),
		a64_load_relaxed(&slot->waiting), a32_load_relaxed(&slot->step),
		0};

	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		place[5] += a64_load_relaxed(&lane->held[k]) != 0;
	return stoai_hash_sum(place, sizeof place);
}

/*
 * False: three recoverers have died at the same place, so this slot's state may be
 * what kills them. Who is killed from outside dies anywhere: places are small,
 * and a recoverer that came further begins the count again.
 */
static bool
one_try_more(stoa_segment *seg, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(seg, index);
	uint32_t tries = a32_load_relaxed(&slot->tries);
	uint64_t now = progress(seg, index);

	if (tries && tries <= STOAI_TRIES_MAX &&
		a64_load_relaxed(&slot->progress) != now)
		tries = 0;
	if (tries >= STOAI_TRIES_MAX)
		return false;
	a64_store_kill(&slot->progress, now);
	a32_store_kill(&slot->tries, tries + 1);
	return true;
}

int
stoai_recover_owned(stoa_segment *seg, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(seg, index);
	int (*const step[])(stoa_segment *, uint32_t) = {
		stoai_upper.lane, stoai_upper.heap, stoai_upper.locks};

	if (!one_try_more(seg, index)) {
		(void)stoai_error(-ENOTRECOVERABLE,
			"three threads have died at the same place of its "
			"recovery (%#x)",
			a32_load_relaxed(&slot->step));
		return quarantine(seg, index);
	}
	/* a table of slots has no log and no heap, whatever damage says */
	for (uint32_t i = seg->header_off ? 2 : 0; i < STOAI_COUNT(step); i++) {
		a32_store_kill(&slot->step, i << STEP_SHIFT);
		if (step[i](seg, index))
			return quarantine(seg, index);
	}
	stoai_kill_fence();
	a64_store_kill(&slot->waiting, 0);
	/* its log is empty: no free is made again, so what it names may be used */
	a64_store_kill(&slot->freeing, 0);
	a64_store_kill(&slot->regions, 0);
	a32_store_kill(&slot->step, 0);
	a32_store_release(&slot->generation,
		(slot->generation + 1) & STOAI_GENERATION_MASK);
	a32_store_release(&slot->state, STOAI_SLOT_FREE);
	a32_store_kill(&slot->tries, 0);
	return 0;
}

int
stoai_recover(stoa_segment *seg, uint32_t index)
{
	uint32_t *word = stoai_token_at(seg, index);
	uint32_t token = a32_load_acquire(word);
	int rc = 0;

	if (!stoai_token_dead(token))
		return 0;
	if (a32_load_relaxed(&stoai_slot_at(seg, index)->tries) >
		STOAI_TRIES_MAX) {
		damage_tell(seg);
		return 0;
	}
	pthread_mutex_lock(&seg->claims);
	/* a thread of our own that ended without a trace: its byte is ours still */
	if (stoai_slot_is_mine(seg, index) &&
		stoai_token_dead(a32_load_acquire(word)))
		stoai_owner_byte_drop(seg, index);
	if (!stoai_owner_byte_take(seg, index)) {
		token = a32_load_acquire(word);
		if (stoai_token_dead(token) &&
			!stoai_token_take(seg, index, token)) {
			rc = stoai_recover_owned(seg, index);
			a64_fetch_add_seq_cst(
				&stoai_header(seg)->recovered, rc == 0);
			stoai_token_drop(
				seg, index, rc ? STOAI_TOKEN_OWNER_DIED : 0);
		}
		stoai_owner_byte_drop(seg, index);
	}
	pthread_mutex_unlock(&seg->claims);
	return rc;
}

int
stoai_sweep(stoa_segment *seg, bool thorough)
{
	int recovered = 0;

	for (uint32_t i = 0; i < seg->slot_count; i++) {
		uint32_t token;

		if (!a32_load_relaxed(&stoai_slot_at(seg, i)->paged))
			continue;
		token = a32_load_acquire(stoai_token_at(seg, i));
		if (!token || a32_load_relaxed(&stoai_slot_at(seg, i)->tries) >
				      STOAI_TRIES_MAX)
			continue;
		if ((stoai_token_dead(token) ||
			    (thorough && stoai_confirm_dead(seg, i))) &&
			!stoai_recover(seg, i) &&
			!stoai_token_dead(
				a32_load_acquire(stoai_token_at(seg, i))))
			recovered++; /* else somebody else is at it */
	}
	return recovered;
}

int
stoai_segment_usable(stoa_segment *seg)
{
	if (stoai_likely(!(a32_load_relaxed(&stoai_header(seg)->flags) &
			   STOAI_SEGMENT_DAMAGED)))
		return 0;
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (a32_load_relaxed(&stoai_slot_at(seg, i)->tries) >
			STOAI_TRIES_MAX)
			return stoai_error(-ENOTRECOVERABLE,
				"%s: quarantined: the work of slot %u (pid %u) "
				"can be neither undone nor finished; what it "
				"locked stays locked",
				stoai_name(seg), i, stoai_slot_at(seg, i)->pid);
	return stoai_error(-ENOTRECOVERABLE,
		"%s: quarantined: it says that it is damaged", stoai_name(seg));
}

int
stoa_segment_recover(stoa_segment *seg)
{
	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_recover: no segment");
	if (seg->readonly)
		return stoai_error(-EROFS,
			"%s is open for reading only: recovery writes",
			stoai_name(seg));
	return stoai_sweep(seg, true);
}
