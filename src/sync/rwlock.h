/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The reader/writer lock below lock.c: the caller gives the entry of its lane, which
 * each function leaves as it says. Errors as stoai_lock.
 */
#ifndef STOAI_SYNC_RWLOCK_H
#define STOAI_SYNC_RWLOCK_H
#include "sync/word.h"

/* Of a lock, which is never NULL; gcc -O3 would follow stoai_off's question. */
static inline uint64_t
stoai_lock_off(const stoa_segment *seg, const void *lock)
{
	return (uint64_t)((const char *)lock - seg->base);
}

/*
 * The intent is listed, the word not yet touched: I1. Counted, so that who finds
 * the word ours and the lock not listed knows that he looked twice (word.c).
 */
static inline void
stoai_intend(struct stoai_seat *seat, uint64_t *entry, uint64_t held)
{
	struct stoai_lane *lane = seat->lane;

	a64_store_release(entry, held);
	stoai_kill_fence();
	a32_store_release(&lane->taken, lane->taken + 1);
	stoai_kill_fence();
}

/* The intent is listed: EXCLUSIVE, RAW or UPGRADABLE; on failure it still is. */
int stoai_write_lock(struct stoai_seat *seat, stoa_rwlock *l, uint64_t held,
	uint64_t deadline);
int stoai_upgradable_lock(struct stoai_seat *seat, stoa_rwlock *l,
	uint64_t held, uint64_t deadline);
/* Lists what it needs; on failure the entry is to be cleared. */
int stoai_read_lock(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline);

/* The entry is to be cleared afterwards. */
void stoai_write_unlock(stoa_rwlock *l);
/* Unlists, tells a writer, clears the entry. */
void stoai_read_leave(stoa_segment *seg, uint64_t *entry, stoa_rwlock *l);

/*
 * The first look of a reader: listed, and in, or not. I2: listed first, then the word:
 * free, so no writer is past its wait; the bit was there after that.
 */
static inline bool
stoai_read_try(const struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l)
{
	a64_exchange_seq_cst(
		entry, stoai_lock_off(seat->seg, l) | STOAI_HELD_SHARED);
	return !stoai_word_closed(a32_load_seq_cst(&l->word_)) &&
	       a64_load_seq_cst(&l->readers_[seat->index / 64]) >>
			       (seat->index % 64) &
		       1;
}

/* Raw only. Those that can fail leave everything as it was when they do. */
int stoai_upgrade(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l,
	uint64_t deadline);
int stoai_shared_to_exclusive(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l);
int stoai_shared_to_upgradable(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l);
void stoai_exclusive_to_upgradable(
	struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l);
/* exclusive or upgradable */
void
stoai_owned_to_shared(struct stoai_seat *seat, uint64_t *entry, stoa_rwlock *l);

#endif
