/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks after a death, and before their memory is reused.
 *
 * A dead slot's entries name every lock that it held, meant to take, or owed a
 * wake-up for. A word is released only if it names the dead slot in this
 * generation; everybody who may sleep there is woken. Waking reads no memory, so
 * it is harmless wherever it hits. Clearing the entry is last: until then all of
 * it may be repeated.
 */
#include "os/os.h"
#include "stoa/barrier.h"
#include "stoa/semaphore.h"
#include "sync/word.h"

STOA_STATIC_ASSERT(
	offsetof(stoa_permits, seq_) == sizeof(stoa_mutex) &&
		offsetof(stoa_barrier, phase_) == sizeof(stoa_mutex) &&
		sizeof(stoa_barrier) == sizeof(stoa_permits),
	"");

enum {
	FINI_YIELDS =
		64, /* then it sleeps: who is to let go may be of lower priority */
	FINI_PAUSE_NS = 50 * 1000,
	FINI_USED_NS = 10 * 1000 * 1000,
	FINI_LEAVING_NS = 1000 * 1000 * 1000
};

/* What a thread has or is, and no lock: sync/roll.c. */
static bool
is_roll(unsigned mode)
{
	return mode == STOAI_HELD_PERMIT || mode == STOAI_HELD_MEMBER ||
	       mode == STOAI_HELD_WATCH;
}

bool
stoai_held_sound(stoa_segment *seg, uint64_t held)
{
	unsigned mode = stoai_held_mode(held);
	uint64_t off = stoai_held_off(held);

	if (mode == STOAI_HELD_WATCH)
		return off % STOAI_LOCK_ALIGN == 0 &&
		       stoai_in_heap(seg, off, STOAI_LOCK_ALIGN);
	if (is_roll(mode))
		return stoai_in_heap(
			seg, off - sizeof(stoa_mutex), sizeof(stoa_permits));
	return stoai_held_lock(mode) && held == (off | mode) &&
	       stoai_lock_place(seg, off, stoai_held_size(mode));
}

static void
release(stoa_rwlock *l, uint32_t dead, unsigned mode)
{
	uint32_t w = a32_load_acquire(&l->word_);
	bool raw = mode == STOAI_HELD_RAW || mode == STOAI_HELD_RAW_MUTEX;

	while (stoai_word_owner(w) == dead) {
		if (raw) /* nobody has undone what it did */
			a32_fetch_or_seq_cst(&l->flags_, STOAI_LOCK_DIED);
		if ((mode == STOAI_HELD_EXCLUSIVE || mode == STOAI_HELD_RAW) &&
			a32_load_relaxed(&l->seq_) & 1)
			a32_store_release(
				&l->seq_, a32_load_relaxed(&l->seq_) + 1);
		stoai_kill_fence();
		if (a32_cas_seq_cst(&l->word_, &w, 0))
			break;
	}
}

/*
 * All look again: at once, as this recovery may end here and they would find the
 * entry of a dead one, whom they watch; and when it is gone.
 */
static void
roll_recover(void *sleepers, uint64_t *entry)
{
	(void)stoai_os_futex_wake(sleepers, UINT32_MAX);
	a64_exchange_seq_cst(entry, 0);
	(void)stoai_os_futex_wake(sleepers, UINT32_MAX);
}

static int
entry_recover(stoa_segment *seg, uint64_t *entry, uint32_t dead)
{
	uint64_t held = a64_load_relaxed(entry);
	unsigned mode = stoai_held_mode(held);
	uint64_t off = stoai_held_off(held);
	stoa_rwlock *l;

	if (!held)
		return 0;
	if (!stoai_held_sound(seg, held))
		return stoai_error(-EBADMSG,
			"%s: damaged: a dead slot holds a lock at %#llx",
			stoai_name(seg), (unsigned long long)off);
	l = stoai_at(seg, off);
	if (is_roll(mode)) {
		roll_recover(l, entry);
		return 0;
	}
	if (mode != STOAI_HELD_LEAVING)
		release(l, dead, mode);
	(void)stoai_os_futex_wake(&l->word_, UINT32_MAX);
	if (!stoai_held_mutex(mode))
		(void)stoai_os_futex_wake(&l->left_, UINT32_MAX);
	a64_store_release(entry, 0);
	return 0;
}

/* The sleepers at an offset that the dead slot left: one may be owed a wake-up. */
static void
replay(stoa_segment *seg, uint64_t *word)
{
	uint64_t off = stoai_held_off(a64_load_relaxed(word));

	if (off && off % STOAI_LOCK_ALIGN == 0 &&
		off <= seg->size - sizeof(uint32_t))
		(void)stoai_os_futex_wake(stoai_at(seg, off), UINT32_MAX);
	a64_store_kill(word, 0);
}

int
stoai_locks_recover(stoa_segment *seg, uint32_t slot)
{
	struct stoai_slot *dead = stoai_slot_at(seg, slot);
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	uint32_t word =
		stoai_lock_word(slot, a32_load_relaxed(&dead->generation));
	int rc = 0;

	/* the last one first, as in stoai_unlock_all */
	for (uint32_t k = STOAI_HELD_MAX; k-- > 0 && !rc;)
		rc = entry_recover(seg, &lane->held[k], word);
	if (rc)
		return rc;
	/* only wake-ups are left: whoever is killed there, it was not by them */
	a32_store_kill(&dead->tries, 0);
	replay(seg, &dead->woken);
	replay(seg, &dead->waiting);
	return 0;
}

/* ---- before a lock's memory is reused ---- */

static bool
names(uint64_t word, uint64_t from, uint64_t size)
{
	uint64_t off = stoai_held_off(word);

	return word && off - from < size;
}

/* 0: slot s names nothing there; -EAGAIN: it is leaving; -EBUSY: it uses it. */
static int
slot_uses(const stoa_segment *seg, uint32_t s, uint64_t from, uint64_t size)
{
	const struct stoai_slot *slot = stoai_slot_at(seg, s);
	const struct stoai_lane *lane = stoai_lane_at(seg, s);
	int rc = 0;

	/* what a slot says that nobody has is left over, or damage */
	if (!a32_load_relaxed(&slot->paged) ||
		!stoai_token_held(a32_load_acquire(stoai_token_at(seg, s))))
		return 0;
	if (names(a64_load_seq_cst(&slot->waiting), from, size) ||
		names(a64_load_seq_cst(&slot->woken), from, size))
		return -EBUSY;
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++) {
		uint64_t held = a64_load_seq_cst(&lane->held[k]);

		if (!names(held, from, size))
			continue;
		if (stoai_held_mode(held) != STOAI_HELD_LEAVING)
			return -EBUSY;
		rc = -EAGAIN;
	}
	return rc;
}

/*
 * Who has just let go still lists the lock until it has woken the next one, so
 * "in use" is believed only if it stays so for a while; whoever is dying is waited
 * for longer, and its death proved.
 */
static int
slot_fini(stoa_segment *seg, uint32_t s, uint64_t from, uint64_t size)
{
	uint64_t began = 0;
	int rc, yields = 0;

	while ((rc = slot_uses(seg, s, from, size)) != 0) {
		uint64_t now = stoai_os_now();

		began = began ? began : now;
		if (stoai_token_dead(
			    a32_load_acquire(stoai_token_at(seg, s))) ||
			(now - began > FINI_USED_NS / 2 &&
				stoai_confirm_dead(seg, s))) {
			rc = stoai_recover(seg, s);
			if (!rc)
				rc = stoai_segment_usable(seg);
			if (rc)
				return rc;
		}
		if (now - began >
			(rc == -EBUSY ? FINI_USED_NS : FINI_LEAVING_NS))
			return stoai_error(-EBUSY,
				"%s: a lock that goes with its object is in "
				"use by "
				"slot %u (pid %u)",
				stoai_name(seg), s, stoai_slot_at(seg, s)->pid);
		if (yields++ < FINI_YIELDS)
			stoai_os_yield();
		else
			stoai_os_sleep(FINI_PAUSE_NS);
	}
	return 0;
}

int
stoai_lock_fini(struct stoai_seat *seat, const void *from, size_t size)
{
	uint64_t off = stoai_off(seat->seg, from);
	int rc = 0;

	for (uint32_t s = 0; s < seat->seg->slot_count && !rc; s++)
		if (s != seat->index)
			rc = slot_fini(seat->seg, s, off, size);
	return rc;
}
