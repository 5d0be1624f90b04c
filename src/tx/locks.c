/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The locks of a scope: which ones, in which order, and who holds a lock.
 *
 * Locks named in one STOA_TX are taken in the order of their addresses, so two of
 * them never wait for each other; locks taken later (stoa_tx_lock) may meet a
 * cycle, which sync finds. All are kept to the end of the outermost scope.
 */
#include "sync/lock.h"
#include "tx/local.h"

enum {
	HOLDS_MAX = 8,
	KIND_MUTEX = 1,
	HOLD_SHARED = 1
};

/* ---- holds ---- */

/* It lies where a lock of this segment can lie. */
static int
lock_place(stoa_segment *seg, const void *lock, size_t size)
{
	uint64_t off = (uint64_t)((const char *)lock - seg->base);

	if (stoai_lock_place(seg, off, size))
		return 0;
	return stoai_error(-EXDEV, "%s: the lock at %p is not in this segment",
		stoai_name(seg), lock);
}

/* Takes it, unless who held it raw died, and has left what it did. */
static int
take(struct stoa_tx *tx, const void *lock, enum stoai_lock_mode mode,
	uint64_t deadline)
{
	int rc = stoai_lock(tx->seat, (void *)(uintptr_t)lock, mode, deadline,
		STOAI_LOCK_USER);

	if (stoai_unlikely(rc))
		return stoai_lock_text(tx->seg, lock, rc);
	rc = stoai_lock_told(tx->seg, lock);
	if (stoai_unlikely(rc)) /* a transaction cannot mend it */
		stoai_unlock(tx->seat, (void *)(uintptr_t)lock);
	return rc;
}

static int
take_hold(struct stoa_tx *tx, const stoa_hold *h, uint64_t deadline)
{
	bool mutex = h->kind_ == KIND_MUTEX;
	enum stoai_lock_mode mode =
		mutex ? STOAI_MODE_MUTEX
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
		for (size_t j = i;
			j > 0 &&
			((uintptr_t)h[j].lock_ < (uintptr_t)h[j - 1].lock_ ||
				(h[j].lock_ == h[j - 1].lock_ &&
					h[j].mode_ != HOLD_SHARED));
			j--) {
			stoa_hold swap = h[j];

			h[j] = h[j - 1];
			h[j - 1] = swap;
		}
}

int
stoai_tx_take_locks(
	struct stoa_tx *tx, const stoa_hold *holds, size_t n, uint64_t deadline)
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
	return who.slot_ && stoai_tx_reads(rd) &&
	       stoai_owner_lives(rd->seg, who.slot_ - 1, who.generation_);
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
