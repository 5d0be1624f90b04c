/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Mutexes and reader/writer locks, taken by seat: which of the thread's entries
 * does a lock use, what does taking it again mean, and how do readers get in?
 *
 * A writer makes the word its own (word.c), then waits until no slot lists the
 * lock as shared, then makes seq_ odd. A reader lists the lock in its own lane
 * and looks at the word: free, it is in. So readers of different slots write to
 * different lines, and a dead reader leaves nothing in the lock to be repaired.
 *
 * readers_ tells writers which slots to look at. A reader sets its bit once and
 * leaves it; a writer that finds the slot not reading clears it. Why no reader is
 * overlooked: the reader lists the lock, then finds the word free, then finds its
 * bit set. A writer clears bits only while it owns the word. Had it looked at the
 * lane before we listed the lock and cleared the bit after we saw it, it would
 * have owned the word all that time, and we would not have found it free.
 *
 * Who meets a writer unlists itself, then takes the word like a writer, lists
 * itself as reader while it owns it, and lets it go: readers cannot starve, and a
 * writer that waits for readers to leave is not overtaken by new ones.
 *
 * Invariants
 *	I1  word names a slot => that slot's lane lists the lock
 *	I2  a slot lists the lock as shared and is not about to unlist it => no
 *	    writer is past its wait
 *	I3  seq_ is odd exactly while a writer is past its wait
 */
#include "os/os.h"
#include "sync/word.h"

/* Of a lock, which is never NULL; gcc -O3 would follow stoai_off's question. */
static uint64_t
lock_off(const stoa_segment *seg, const void *lock)
{
	return (uint64_t)((const char *)lock - seg->base);
}

static uint64_t
reader_bit(const struct stoai_seat *seat)
{
	return UINT64_C(1) << (seat->index % 64);
}

/* ---- writers ---- */

/* Wait until slot s does not list the lock as shared. */
static int
reader_wait(struct stoai_seat *seat, stoa_rwlock *l, uint32_t s,
	uint64_t deadline, uint64_t *tick)
{
	stoa_segment *seg = seat->seg;
	uint64_t off = lock_off(seg, l);

	for (;;) {
		uint32_t left = a32_load_seq_cst(&l->left_), owner = s;
		int rc;

		if (!stoai_lane_lists(seg, s, off | STOAI_HELD_SHARED) ||
			!stoai_token_held(
				a32_load_seq_cst(stoai_token_at(seg, s))))
			return 0;
		if (stoai_token_dead(
			    a32_load_acquire(stoai_token_at(seg, s)))) {
			rc = stoai_recover(seg, s);
			if (!rc)
				rc = stoai_segment_usable(seg);
			if (rc)
				return rc;
			if (!stoai_token_dead(
				    a32_load_acquire(stoai_token_at(seg, s))))
				continue;
			owner = STOAI_OWNER_DEAD;
		}
		if (deadline == STOA_NOW)
			return -EAGAIN;
		a64_exchange_seq_cst(
			&seat->slot->waiting, off | STOAI_HELD_EXCLUSIVE);
		if (stoai_deadlock(seat, off | STOAI_HELD_EXCLUSIVE))
			return stoai_error(-EDEADLK,
				"%s: waiting for the readers of the lock at "
				"%#llx "
				"would never end",
				stoai_name(seg), (unsigned long long)off);
		rc = stoai_sleep(seat, &l->left_, left, owner, deadline, tick);
		if (rc)
			return rc;
	}
}

static int
readers_wait(struct stoai_seat *seat, stoa_rwlock *l, uint64_t deadline)
{
	uint64_t tick = 0;
	int rc = 0;

	for (uint32_t w = 0; w < 4 && !rc; w++) {
		uint64_t bits = a64_load_seq_cst(&l->readers_[w]);

		for (; bits && !rc; bits &= bits - 1) {
			uint32_t s = w * 64 + stoai_ctz64(bits);

			if (s < seat->seg->slot_count && s != seat->index)
				rc = reader_wait(seat, l, s, deadline, &tick);
			if (!rc)
				a64_fetch_and_seq_cst(&l->readers_[w],
					~(UINT64_C(1) << (s % 64)));
		}
	}
	if (a64_load_relaxed(&seat->slot->waiting)) {
		a64_store_kill(&seat->slot->waiting, 0);
		seat->slot->waiting_since_ns = 0;
	}
	return rc;
}

static int
write_lock(struct stoai_seat *seat, stoa_rwlock *l, uint64_t held,
	uint64_t deadline)
{
	int rc = stoai_word_lock(seat, &l->word_, held, deadline);

	if (rc)
		return rc;
	rc = readers_wait(seat, l, deadline);
	if (rc) {
		stoai_word_unlock(&l->word_);
		return rc;
	}
	/* I3; write_unlock and recovery make it even again */
	a32_store_before(&l->seq_, a32_load_relaxed(&l->seq_) | 1);
	stoai_kill_fence();
	return 0;
}

static void
write_unlock(stoa_rwlock *l)
{
	uint32_t seq = a32_load_relaxed(&l->seq_);

	a32_store_release(&l->seq_, (seq | 1) + 1);
	stoai_word_unlock(&l->word_);
}

/* ---- readers ---- */

/* Unlist; if a writer is there it may wait for us. */
static void
read_leave(stoa_segment *seg, uint64_t *entry, stoa_rwlock *l)
{
	a64_exchange_seq_cst(entry, lock_off(seg, l) | STOAI_HELD_LEAVING);
	if (stoai_unlikely(a32_load_seq_cst(&l->word_) != 0)) {
		a32_fetch_add_seq_cst(&l->left_, 1);
		(void)stoai_os_futex_wake(&l->left_, UINT32_MAX);
	}
	a64_store_release(entry, 0);
}

/*
 * The intent is listed, the word not yet touched: I1. Counted, so that who finds
 * the word ours and the lock not listed knows that he looked twice (word.c).
 */
static void
intend(struct stoai_seat *seat, uint64_t *entry, uint64_t held)
{
	struct stoai_lane *lane = seat->lane;

	a64_store_release(entry, held);
	stoai_kill_fence();
	a32_store_release(&lane->taken, lane->taken + 1);
	stoai_kill_fence();
}

static int
read_lock_behind(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline)
{
	uint64_t off = lock_off(seat->seg, l);
	int rc;

	intend(seat, entry, off | STOAI_HELD_EXCLUSIVE);
	rc = stoai_word_lock(
		seat, &l->word_, off | STOAI_HELD_SHARED, deadline);
	if (rc)
		return rc;
	/* recovery releases the word of a shared entry too, if it names the dead */
	a64_exchange_seq_cst(entry, off | STOAI_HELD_SHARED);
	a64_fetch_or_seq_cst(&l->readers_[seat->index / 64], reader_bit(seat));
	stoai_word_unlock(&l->word_);
	return 0;
}

static int
read_lock(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline)
{
	uint64_t *bits = &l->readers_[seat->index / 64];
	uint64_t bit = reader_bit(seat);

	/* I2: listed first, then the word: free, so no writer is past its wait */
	a64_exchange_seq_cst(entry, lock_off(seat->seg, l) | STOAI_HELD_SHARED);
	for (;;) {
		if (stoai_unlikely(a32_load_seq_cst(&l->word_) &
				   ~STOAI_WORD_WAITERS)) {
			read_leave(seat->seg, entry, l);
			return read_lock_behind(seat, entry, l, deadline);
		}
		if (stoai_likely(a64_load_seq_cst(bits) & bit))
			return 0;
		a64_fetch_or_seq_cst(bits, bit);
	}
}

/* ---- by seat ---- */

static uint32_t
entry_find(const struct stoai_seat *seat, uint64_t off)
{
	for (uint32_t used = seat->locks; used; used &= used - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(used);

		if ((seat->lane->held[k] & ~(uint64_t)STOAI_HELD_MODE) == off)
			return k;
	}
	return UINT32_MAX;
}

static int
lock_again(struct stoai_seat *seat, uint32_t k, enum stoai_lock_mode mode)
{
	unsigned has = seat->lane->held[k] & STOAI_HELD_MODE;

	if (has == STOAI_HELD_SHARED && mode == STOAI_MODE_EXCLUSIVE)
		return stoai_error(-EDEADLK,
			"%s: the lock at %#llx is held shared by this thread; "
			"it "
			"cannot become exclusive: take it exclusive at first",
			stoai_name(seat->seg),
			(unsigned long long)(seat->lane->held[k] &
					     ~(uint64_t)STOAI_HELD_MODE));
	if (seat->depth[k] < UINT16_MAX) /* then it is kept to the end */
		seat->depth[k]++;
	return 0;
}

int
stoai_lock(struct stoai_seat *seat, void *lock, enum stoai_lock_mode mode,
	uint64_t deadline, enum stoai_lock_user user)
{
	uint64_t off = lock_off(seat->seg, lock), *entry;
	uint32_t k = entry_find(seat, off);
	uint32_t usable = (1u << (STOAI_HELD_USER + user)) - 1;
	int rc;

	if (stoai_unlikely(k != UINT32_MAX))
		return lock_again(seat, k, mode);
	if (stoai_unlikely(!(~seat->locks & usable)))
		return stoai_error(-EOVERFLOW,
			"%s: this thread holds %d locks already",
			stoai_name(seat->seg), STOAI_HELD_USER);
	k = (uint32_t)__builtin_ctz(~seat->locks & usable);
	entry = &seat->lane->held[k];
	if (mode == STOAI_MODE_SHARED) {
		rc = read_lock(seat, entry, lock, deadline);
	} else {
		intend(seat, entry, off | mode);
		rc = mode == STOAI_MODE_MUTEX
			     ? stoai_word_lock(seat,
				       &((stoa_mutex *)lock)->word_, off | mode,
				       deadline)
			     : write_lock(seat, lock, off | mode, deadline);
	}
	if (stoai_unlikely(rc)) {
		a64_store_kill(entry, 0);
		return rc;
	}
	seat->locks |= 1u << k;
	seat->depth[k] = 1;
	return 0;
}

static void
entry_unlock(struct stoai_seat *seat, uint32_t k)
{
	uint64_t *entry = &seat->lane->held[k];
	void *lock = stoai_at(seat->seg, *entry & ~(uint64_t)STOAI_HELD_MODE);

	seat->locks &= ~(1u << k);
	seat->depth[k] = 0;
	switch (*entry & STOAI_HELD_MODE) {
	case STOAI_HELD_SHARED:
		read_leave(seat->seg, entry, lock);
		return;
	case STOAI_HELD_EXCLUSIVE:
		write_unlock(lock);
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
	uint32_t k = entry_find(seat, lock_off(seat->seg, lock));

	STOA_ASSERT(k != UINT32_MAX);
	if (k == UINT32_MAX || seat->depth[k] == UINT16_MAX)
		return;
	if (--seat->depth[k] == 0)
		entry_unlock(seat, k);
}

/*
 * The last one first. Who deletes an object needs the lock that leads to it, and
 * must then find the object's own lock given up already (stoai_lock_fini).
 */
void
stoai_unlock_all(struct stoai_seat *seat)
{
	while (seat->locks)
		entry_unlock(seat, 31 - (uint32_t)__builtin_clz(seat->locks));
}

unsigned
stoai_lock_held(const struct stoai_seat *seat, const void *lock)
{
	uint32_t k = entry_find(seat, lock_off(seat->seg, lock));

	return k == UINT32_MAX
		       ? 0
		       : (unsigned)(seat->lane->held[k] & STOAI_HELD_MODE);
}
