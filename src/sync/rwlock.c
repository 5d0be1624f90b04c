/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The reader/writer lock: how do readers get in without writing to one line, what
 * does a writer wait for, and how does one way of holding it become another?
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
 * Upgradable: the word is owned and says so (STOAI_WORD_UPGRADABLE), and readers
 * take it for free. So there is one at most, it excludes writers, and it becomes a
 * writer by clearing that bit and waiting for the readers, without letting go.
 *
 * Invariants
 *	I1  word names a slot => that slot's lane lists the lock
 *	I2  a slot lists the lock as shared and is not about to unlist it => no
 *	    writer is past its wait
 *	I3  seq_ is odd exactly while a writer is past its wait
 *	I4  the word says that readers may enter => its owner is not past its wait
 */
#include "sync/rwlock.h"
#include "os/os.h"
#include "sync/contention.h"

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
	uint64_t off = stoai_lock_off(seg, l);

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
		stoai_waited(seat, stoai_lock_off(seat->seg, l));
	}
	return rc;
}

/* I3; write_end and recovery make it even again */
static void
write_begin(stoa_rwlock *l)
{
	a32_store_before(&l->seq_, a32_load_relaxed(&l->seq_) | 1);
	stoai_kill_fence();
}

static void
write_end(stoa_rwlock *l)
{
	a32_store_release(&l->seq_, (a32_load_relaxed(&l->seq_) | 1) + 1);
}

int
stoai_write_lock(struct stoai_seat *seat, stoa_rwlock *l, uint64_t held,
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
	write_begin(l);
	return 0;
}

void
stoai_write_unlock(stoa_rwlock *l)
{
	write_end(l);
	stoai_word_unlock(&l->word_);
}

/* ---- readers ---- */

/* Unlist; if a writer is there it may wait for us. */
void
stoai_read_leave(stoa_segment *seg, uint64_t *entry, stoa_rwlock *l)
{
	a64_exchange_seq_cst(
		entry, stoai_lock_off(seg, l) | STOAI_HELD_LEAVING);
	if (stoai_unlikely(a32_load_seq_cst(&l->word_) != 0)) {
		a32_fetch_add_seq_cst(&l->left_, 1);
		(void)stoai_os_futex_wake(&l->left_, UINT32_MAX);
	}
	a64_store_release(entry, 0);
}

/*
 * The word is ours, and soon it is not: we read. Recovery releases the word of a
 * shared entry too, if it names the dead (I1).
 */
static void
share_owned(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	a64_exchange_seq_cst(
		entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_SHARED);
	a64_fetch_or_seq_cst(&l->readers_[seat->index / 64], reader_bit(seat));
}

static int
read_lock_behind(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline)
{
	uint64_t off = stoai_lock_off(seat->seg, l);
	int rc;

	stoai_intend(seat, entry, off | STOAI_HELD_EXCLUSIVE);
	rc = stoai_word_lock(
		seat, &l->word_, off | STOAI_HELD_SHARED, deadline);
	if (rc)
		return rc;
	share_owned(seat, entry, l);
	stoai_word_unlock(&l->word_);
	return 0;
}

int
stoai_read_lock(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline)
{
	int rc;

	while (stoai_unlikely(!stoai_read_try(seat, entry, l))) {
		if (!stoai_word_closed(a32_load_seq_cst(&l->word_))) {
			/* I2: the bit first, then the word once more */
			a64_fetch_or_seq_cst(&l->readers_[seat->index / 64],
				reader_bit(seat));
			continue;
		}
		stoai_read_leave(seat->seg, entry, l);
		rc = read_lock_behind(seat, entry, l, deadline);
		if (rc != STOAI_WORD_OPENED)
			return rc;
	}
	return 0;
}

/* ---- from one way of holding it to another ---- */

/* The word is ours: from here on readers may enter. Who sleeps there looks again. */
static void
readers_may(const struct stoai_seat *seat, stoa_rwlock *l)
{
	uint32_t old = a32_exchange_seq_cst(
		&l->word_, seat->word | STOAI_WORD_UPGRADABLE);

	if (old & STOAI_WORD_WAITERS)
		(void)stoai_os_futex_wake(&l->word_, UINT32_MAX);
	stoai_kill_fence();
}

int
stoai_upgradable_lock(struct stoai_seat *seat, stoa_rwlock *l, uint64_t held,
	uint64_t deadline)
{
	int rc = stoai_word_lock(seat, &l->word_, held, deadline);

	if (!rc)
		readers_may(seat, l);
	return rc;
}

int
stoai_upgrade(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline)
{
	int rc;

	a32_fetch_and_seq_cst(&l->word_, ~STOAI_WORD_UPGRADABLE); /* I4 */
	rc = readers_wait(seat, l, deadline);
	if (rc) {
		readers_may(seat, l);
		return rc;
	}
	a64_store_kill(entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_RAW);
	write_begin(l);
	return 0;
}

/* Shared, and the word taken beside it; nobody can have put us behind a writer. */
static int
word_beside(struct stoai_seat *seat, stoa_rwlock *l)
{
	int rc = stoai_word_lock(seat, &l->word_,
		stoai_lock_off(seat->seg, l) | STOAI_HELD_SHARED, STOA_NOW);

	return rc == STOAI_WORD_OPENED ? -EAGAIN : rc;
}

int
stoai_shared_to_exclusive(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	int rc = word_beside(seat, l);

	if (rc)
		return rc;
	rc = readers_wait(seat, l, STOA_NOW);
	if (rc) {
		/* the wait has cleared our bit as well, and we read on */
		a64_fetch_or_seq_cst(
			&l->readers_[seat->index / 64], reader_bit(seat));
		stoai_word_unlock(&l->word_);
		return rc;
	}
	a64_store_kill(entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_RAW);
	write_begin(l);
	return 0;
}

int
stoai_shared_to_upgradable(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	int rc = word_beside(seat, l);

	if (rc)
		return rc;
	a64_store_kill(
		entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_UPGRADABLE);
	readers_may(seat, l);
	return 0;
}

void
stoai_exclusive_to_upgradable(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	write_end(l);
	a64_store_kill(
		entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_UPGRADABLE);
	readers_may(seat, l);
}

void
stoai_owned_to_shared(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	if (stoai_held_mode(*entry) != STOAI_HELD_UPGRADABLE)
		write_end(l);
	share_owned(seat, entry, l);
	stoai_word_unlock(&l->word_);
}
