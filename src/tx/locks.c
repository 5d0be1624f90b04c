/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The locks of a scope: which ones, in which order, and what takes their place
 * where nothing can be locked.
 *
 * Locks named in one STOA_TX are taken in the order of their addresses, so two of
 * them never wait for each other; locks taken later (stoa_tx_lock) may meet a
 * cycle, which sync finds. All are kept to the end of the outermost scope.
 *
 * A read-only mapping takes none. It waits until seq_ is even, notes it, and asks
 * at the end whether it is still the same (optimistic reading, seqlock).
 */
#include "os/os.h"
#include "sync/lock.h"
#include "tx/local.h"

enum { HOLDS_MAX = 8, KIND_MUTEX = 1, HOLD_SHARED = 1 };

/* ---- read-only mappings ---- */

/*
 * A writer is in. 0: alive, or it may be; -EOWNERDEAD: dead, not repaired. prove:
 * ask for its owner byte, too, which costs a system call.
 */
static int
writer_look(const struct stoa_tx *tx, const stoa_rwlock *lock, bool prove)
{
	stoa_segment *seg = tx->seg;
	uint32_t owner = stoai_word_slot(seg, a32_load_acquire(&lock->word_));

	if (owner == UINT32_MAX
		|| !a32_load_relaxed(&stoai_slot_at(seg, owner)->paged))
		return 0;
	if (stoai_token_dead(a32_load_acquire(stoai_token_at(seg, owner)))
		|| (prove && seg->fd >= 0
			&& stoai_os_probe_byte(
				   seg->fd, STOAI_OWNER_BYTES + owner)
				== STOAI_LOCK_NONE))
		return stoai_error(-EOWNERDEAD,
			"%s: a writer died and nobody with write access has "
			"repaired it yet: `stoa recover`, or open it for writing",
			stoai_name(seg));
	return 0;
}

int
stoai_tx_watch(struct stoa_tx *tx, const stoa_rwlock *lock, uint64_t deadline)
{
	uint32_t n = tx->watched_count;

	for (uint32_t i = 0; i < n; i++)
		if (tx->watched[i] == lock)
			return 0;
	if (n == STOAI_TX_WATCH_MAX)
		return stoai_error(-EOVERFLOW,
			"%s: a read scope watches %d locks at most",
			stoai_name(tx->seg), STOAI_TX_WATCH_MAX);
	for (unsigned spins = 0;; spins++) {
		uint32_t seq = a32_load_acquire(&lock->seq_);
		int rc = n ? stoai_tx_watch_check(tx) : 0;

		if (rc) /* what led here is no longer true */
			return rc;

		if (!(seq & 1)) {
			tx->watched[n] = lock;
			tx->sequence[n] = seq;
			tx->watched_count = n + 1;
			return 0;
		}
		rc = writer_look(tx, lock, spins % 1024 == 1023);
		if (rc)
			return rc;
		if (deadline == STOA_NOW)
			return -EAGAIN;
		if (stoai_os_now() >= deadline)
			return -ETIMEDOUT;
		if (spins < 64)
			stoai_pause();
		else
			stoai_os_sleep(100000);
	}
}

int
stoai_tx_watch_check(const struct stoa_tx *tx)
{
	for (uint32_t i = 0; i < tx->watched_count; i++) {
		int rc;

		if (a32_load_after(&tx->watched[i]->seq_) == tx->sequence[i])
			continue;
		rc = writer_look(tx, tx->watched[i], false);
		return rc ? rc
			  : stoai_error(-EAGAIN,
				    "%s: a writer came between: read again",
				    stoai_name(tx->seg));
	}
	return 0;
}

/* ---- holds ---- */

/* It lies where a lock of this segment can lie. */
static int
lock_place(stoa_segment *seg, const void *lock, size_t size)
{
	uint64_t off = (uint64_t)((const char *)lock - seg->base);

	if (off % 4 == 0
		&& (stoai_in_heap(seg, off, size)
			|| (off >= STOAI_STATIC_SIZE
				&& off <= STOAI_HEADER_SIZE - size)))
		return 0;
	return stoai_error(-EXDEV, "%s: the lock at %p is not in this segment",
		stoai_name(seg), lock);
}

/* Takes it and turns the two answers that need no text of sync into ours. */
static int
take(struct stoa_tx *tx, const void *lock, enum stoai_lock_mode mode,
	uint64_t deadline)
{
	int rc = stoai_lock(tx->seat, (void *)(uintptr_t)lock, mode, deadline,
		STOAI_LOCK_USER);

	if (rc == -EAGAIN)
		return stoai_error(rc, "%s: somebody has the lock",
			stoai_name(tx->seg));
	if (rc == -ETIMEDOUT)
		return stoai_error(rc,
			"%s: the lock at %#llx was not given up in time",
			stoai_name(tx->seg),
			(unsigned long long)stoai_off(tx->seg, lock));
	return rc;
}

static int
take_hold(struct stoa_tx *tx, const stoa_hold *h, uint64_t deadline)
{
	bool mutex = h->kind_ == KIND_MUTEX;
	enum stoai_lock_mode mode = mutex ? STOAI_MODE_MUTEX
		: h->mode_ == HOLD_SHARED || tx->state == STOAI_TX_READS
		? STOAI_MODE_SHARED
		: STOAI_MODE_EXCLUSIVE;
	int rc = lock_place(tx->seg, h->lock_,
		mutex ? sizeof(stoa_mutex) : sizeof(stoa_rwlock));

	if (rc)
		return rc;
	if (stoai_unlikely(!tx->seat))
		return mutex ? stoai_error(-EROFS,
				       "%s: a mutex cannot be taken in a "
				       "read-only mapping; read under a rwlock",
				       stoai_name(tx->seg))
			     : stoai_tx_watch(tx, h->lock_, deadline);
	return take(tx, h->lock_, mode, deadline);
}

/* By address; of one lock the exclusive hold before the shared one. */
static void
sort_holds(stoa_hold *h, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0
			&& ((uintptr_t)h[j].lock_ < (uintptr_t)h[j - 1].lock_
				|| (h[j].lock_ == h[j - 1].lock_
					&& h[j].mode_ != HOLD_SHARED));
			j--) {
			stoa_hold swap = h[j];

			h[j] = h[j - 1];
			h[j - 1] = swap;
		}
}

int
stoai_tx_take_locks(struct stoa_tx *tx, const stoa_hold *holds, size_t n,
	uint64_t deadline)
{
	stoa_hold sorted[HOLDS_MAX];
	int rc = 0;

	if (n == 0) {
		stoa_hold h = stoa_hold_rwlock_(stoa_segment_lock(tx->seg));

		return take_hold(tx, &h, deadline);
	}
	if (n == 1)
		return take_hold(tx, holds, deadline);
	if (stoai_unlikely(n > HOLDS_MAX))
		return stoai_error(-EINVAL,
			"a scope names %zu locks; %d at most, more with "
			"stoa_tx_lock",
			n, HOLDS_MAX);
	memcpy(sorted, holds, n * sizeof *sorted);
	sort_holds(sorted, n);
	for (size_t i = 0; i < n && !rc; i++)
		rc = take_hold(tx, &sorted[i], deadline);
	return rc;
}

/* ---- one more ---- */

static int
lock_more(const stoa_tx *rd, stoa_hold hold, uint64_t deadline)
{
	struct stoa_tx *tx = (struct stoa_tx *)(uintptr_t)rd;
	int rc;

	if (!stoai_tx_reads(rd))
		return stoa_tx_error(rd);
	if (tx->seat)
		tx->seat->busy = 1;
	rc = take_hold(tx, &hold, deadline);
	if (tx->seat)
		tx->seat->busy = 0;
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		return rc;
	return rc ? stoai_tx_fail(rd, rc) : 0;
}

int
stoa_tx_lock_until(
	const stoa_tx *rd, const stoa_rwlock *lock, uint64_t deadline)
{
	return lock_more(rd, stoa_hold_rwlock_(lock), deadline);
}

int
stoa_tx_lock(const stoa_tx *rd, const stoa_rwlock *lock)
{
	return lock_more(rd, stoa_hold_rwlock_(lock), STOA_FOREVER);
}

int
stoa_tx_lock_mutex_until(
	const stoa_tx *rd, const stoa_mutex *mutex, uint64_t deadline)
{
	return lock_more(rd, stoa_hold_mutex_(mutex), deadline);
}

int
stoa_tx_lock_mutex(const stoa_tx *rd, const stoa_mutex *mutex)
{
	return lock_more(rd, stoa_hold_mutex_(mutex), STOA_FOREVER);
}

bool
stoai_tx_own_lock(const stoa_tx *rd, stoa_rwlock *lock, bool exclusive)
{
	struct stoa_tx *tx = (struct stoa_tx *)(uintptr_t)rd;
	int rc;

	if (!stoai_tx_reads(rd))
		return false;
	if (!tx->seat) {
		rc = stoai_tx_watch(tx, lock, STOA_FOREVER);
	} else {
		tx->seat->busy = 1;
		rc = stoai_lock(tx->seat, lock,
			exclusive ? STOAI_MODE_EXCLUSIVE : STOAI_MODE_SHARED,
			STOA_FOREVER, STOAI_LOCK_LIBRARY);
		tx->seat->busy = 0;
	}
	if (rc)
		(void)stoai_tx_fail(rd, rc);
	return !rc;
}

/* ---- who ---- */

static stoa_owner
word_owner(const stoa_tx *rd, const uint32_t *word)
{
	stoa_owner nobody = {0, 0}, who;
	uint32_t w;

	if (!stoai_tx_reads(rd) || !stoai_tx_inside(rd, word, 8))
		return nobody;
	w = a32_load_acquire(word);
	if (stoai_word_slot(rd->seg, w) == UINT32_MAX)
		return nobody;
	who.slot_ = w & STOAI_WORD_SLOT;
	who.generation_ = w >> 9 & STOAI_GENERATION_MASK;
	return who;
}

stoa_owner
stoa_mutex_owner(const stoa_tx *rd, const stoa_mutex *m)
{
	return word_owner(rd, &m->word_);
}

stoa_owner
stoa_rwlock_owner(const stoa_tx *rd, const stoa_rwlock *l)
{
	return word_owner(rd, &l->word_);
}

stoa_owner
stoa_owner_self(const stoa_tx *rd)
{
	stoa_owner who = {0, 0};

	if (stoai_tx_reads(rd) && rd->seat) {
		who.slot_ = rd->seat->index + 1;
		who.generation_ = rd->seat->word >> 9 & STOAI_GENERATION_MASK;
	}
	return who;
}

bool
stoa_owner_alive(const stoa_tx *rd, stoa_owner who)
{
	return who.slot_ && stoai_tx_reads(rd)
		&& stoai_owner_lives(rd->seg, who.slot_ - 1, who.generation_);
}

int
stoa_owner_describe(const stoa_tx *rd, stoa_owner who, stoa_owner_info *ret)
{
	const struct stoai_slot *slot;

	memset(ret, 0, sizeof *ret);
	if (!stoa_owner_alive(rd, who))
		return stoa_tx_error(rd) ? stoa_tx_error(rd) : -ESRCH;
	slot = stoai_slot_at(rd->seg, who.slot_ - 1);
	ret->pid = a32_load_relaxed(&slot->pid);
	ret->tid = a32_load_relaxed(&slot->tid);
	ret->since_ns = a64_load_relaxed(&slot->since_ns);
	ret->alive = true;
	return 0;
}
