/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks, taken by seat: which of the thread's entries does a lock use, and what does
 * taking it again mean? What a lock is: word.c (mutex), rwlock.c.
 */
#include "sync/contention.h"
#include "sync/rwlock.h"

static uint32_t
entry_find(struct stoai_seat *seat, uint64_t off)
{
	for (uint32_t used = stoai_seat_taken(seat); used; used &= used - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(used);

		if (stoai_held_off(seat->lane->held[k]) == off)
			return k;
	}
	return UINT32_MAX;
}

static int
held_already(const struct stoai_seat *seat, uint32_t k)
{
	return stoai_error(-EDEADLK,
		"%s: this thread holds the lock at %#llx already",
		stoai_name(seat->seg),
		(unsigned long long)stoai_held_off(seat->lane->held[k]));
}

static int
lock_again(struct stoai_seat *seat, uint32_t k, enum stoai_lock_mode mode)
{
	unsigned has = stoai_held_mode(seat->lane->held[k]);

	if (seat->raw >> k & 1)
		return held_already(seat, k);
	if (has == STOAI_HELD_SHARED && mode == STOAI_MODE_EXCLUSIVE)
		return stoai_error(-EDEADLK,
			"%s: the lock at %#llx is held shared by this thread; "
			"it "
			"cannot become exclusive: take it exclusive at first",
			stoai_name(seat->seg),
			(unsigned long long)stoai_held_off(
				seat->lane->held[k]));
	if (seat->depth[k] < UINT16_MAX) /* then it is kept to the end */
		seat->depth[k]++;
	return 0;
}

static int
entry_take(struct stoai_seat *seat, uint64_t *entry, void *lock, uint64_t held,
	uint64_t deadline)
{
	unsigned mode = stoai_held_mode(held);

	if (mode == STOAI_HELD_SHARED)
		return stoai_read_lock(seat, entry, lock, deadline);
	stoai_intend(seat, entry, held);
	switch (mode) {
	case STOAI_HELD_EXCLUSIVE:
	case STOAI_HELD_RAW:
		return stoai_write_lock(seat, lock, held, deadline);
	case STOAI_HELD_UPGRADABLE:
		return stoai_upgradable_lock(seat, lock, held, deadline);
	default:
		return stoai_word_lock(
			seat, &((stoa_mutex *)lock)->word_, held, deadline);
	}
}

/* It is in none of the entries. */
static inline int
lock_first(struct stoai_seat *seat, void *lock, enum stoai_lock_mode mode,
	uint64_t deadline, uint32_t usable, bool raw)
{
	uint64_t off = stoai_lock_off(seat->seg, lock), *entry;
	uint32_t k;
	int rc;

	usable = stoai_seat_free(seat, usable);
	if (stoai_unlikely(!usable))
		return stoai_error(-EOVERFLOW,
			"%s: this thread holds %d locks already",
			stoai_name(seat->seg), STOAI_HELD_USER);
	k = (uint32_t)__builtin_ctz(usable);
	entry = &seat->lane->held[k];
	if (stoai_unlikely(k && stoai_seat_between(seat) &&
			   stoai_held_off(seat->lane->held[0]) == off))
		return held_already(seat, 0);
	rc = entry_take(seat, entry, lock, off | mode, deadline);
	if (stoai_unlikely(rc)) {
		a64_store_kill(entry, 0);
		return rc;
	}
	seat->locks |= 1u << k;
	seat->raw |= (uint32_t)raw << k;
	stoai_had_since_now(seat, entry);
	return 0;
}

int
stoai_lock(struct stoai_seat *seat, void *lock, enum stoai_lock_mode mode,
	uint64_t deadline, enum stoai_lock_user user)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));

	if (stoai_unlikely(k != UINT32_MAX))
		return lock_again(seat, k, mode);
	return lock_first(seat, lock, mode, deadline,
		(1u << (STOAI_HELD_USER + user)) - 1, false);
}

int
stoai_lock_raw(struct stoai_seat *seat, void *lock, enum stoai_lock_mode mode,
	uint64_t deadline, bool again)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));
	int rc;

	if (stoai_unlikely(k != UINT32_MAX)) {
		if (!(seat->raw >> k & 1) || !again ||
			stoai_held_mode(seat->lane->held[k]) != mode)
			return held_already(seat, k);
		if (seat->depth[k] == UINT16_MAX - 2)
			return stoai_error(-EOVERFLOW,
				"%s: this thread has taken the lock at %#llx "
				"%d times",
				stoai_name(seat->seg),
				(unsigned long long)stoai_off(seat->seg, lock),
				UINT16_MAX - 1);
		seat->depth[k]++;
		return 0;
	}
	rc = lock_first(
		seat, lock, mode, deadline, (1u << STOAI_HELD_USER) - 1, true);
	return stoai_unlikely(rc) ? stoai_lock_text(seat->seg, lock, rc) : 0;
}

int
stoai_lock_text(const stoa_segment *seg, const void *lock, int rc)
{
	if (rc == -EAGAIN)
		return stoai_error(
			rc, "%s: somebody has the lock", stoai_name(seg));
	if (rc == -ETIMEDOUT)
		return stoai_error(rc,
			"%s: the lock at %#llx was not given up in time",
			stoai_name(seg),
			(unsigned long long)stoai_lock_off(seg, lock));
	return rc;
}

int
stoai_lock_died(const stoa_segment *seg, const void *lock)
{
	if (a32_load_relaxed(&((const stoa_mutex *)lock)->flags_) &
		STOAI_LOCK_POISONED)
		return stoai_error(-ENOTRECOVERABLE,
			"%s: the lock at %#llx is poisoned: what it guards is "
			"lost until somebody mends it",
			stoai_name(seg),
			(unsigned long long)stoai_lock_off(seg, lock));
	return stoai_error(-EOWNERDEAD,
		"%s: who held the lock at %#llx died, and may have left what "
		"it guards half made: mend the data, then the lock",
		stoai_name(seg), (unsigned long long)stoai_lock_off(seg, lock));
}

static void
entry_unlock(struct stoai_seat *seat, uint32_t k)
{
	uint64_t *entry = &seat->lane->held[k];
	void *lock = stoai_at(seat->seg, stoai_held_off(*entry));

	seat->locks &= ~(1u << k);
	seat->depth[k] = 0;
	switch (stoai_held_mode(*entry)) {
	case STOAI_HELD_SHARED:
		stoai_read_leave(seat->seg, entry, lock);
		return;
	case STOAI_HELD_EXCLUSIVE:
	case STOAI_HELD_RAW:
		stoai_write_unlock(lock);
		break;
	default:
		stoai_word_unlock(&((stoa_mutex *)lock)->word_);
		break;
	}
	a64_store_release(entry, 0);
}

void
stoai_unlock(struct stoai_seat *seat, void *lock)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));

	STOA_ASSERT(k != UINT32_MAX);
	if (k == UINT32_MAX || seat->depth[k] == UINT16_MAX)
		return;
	if (seat->depth[k] == 0)
		entry_unlock(seat, k);
	else
		seat->depth[k]--;
}

bool
stoai_unlock_raw(struct stoai_seat *seat, const void *lock)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));

	if (stoai_unlikely(k == UINT32_MAX || !(seat->raw >> k & 1)))
		return false;
	if (seat->depth[k] == 0) {
		seat->raw &= ~(1u << k);
		entry_unlock(seat, k);
	} else {
		seat->depth[k]--;
	}
	return true;
}

uint64_t *
stoai_lock_entry(struct stoai_seat *seat, const void *lock, uint16_t **depth)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));

	if (k == UINT32_MAX || !(seat->raw >> k & 1))
		return NULL;
	*depth = &seat->depth[k];
	return &seat->lane->held[k];
}

/*
 * The last one first. Who deletes an object needs the lock that leads to it, and
 * must then find the object's own lock given up already (stoai_lock_fini).
 */
void
stoai_unlock_all(struct stoai_seat *seat)
{
	uint32_t locks;

	while ((locks = seat->locks & ~seat->raw) != 0)
		entry_unlock(seat, 31 - (uint32_t)__builtin_clz(locks));
}

unsigned
stoai_lock_held(struct stoai_seat *seat, const void *lock)
{
	uint32_t k = entry_find(seat, stoai_lock_off(seat->seg, lock));

	return k == UINT32_MAX ? 0 : stoai_held_mode(seat->lane->held[k]);
}
