/* SPDX-License-Identifier: BSL-1.0 */
/* What threads have of an object, written down in their own lanes. See roll.c. */
#ifndef STOAI_SYNC_ROLL_H
#define STOAI_SYNC_ROLL_H
#include "sync/signal.h"

enum {
	STOAI_ROLL_MAX = 255, /* the count of an entry */
	STOAI_ROLL_SHIFT = 48
};

/* The entry of an object whose sleepers sleep at `word`; its count is 0. */
static inline uint64_t
stoai_roll_held(const stoa_segment *seg, const uint32_t *word, unsigned mode)
{
	return stoai_off(seg, word) | (uint64_t)(mode >> 3) << 56 | (mode & 7);
}

static inline uint32_t
stoai_roll_count(uint64_t entry)
{
	return (uint32_t)(entry >> STOAI_ROLL_SHIFT) & STOAI_ROLL_MAX;
}

/* The entry without its count: what stoai_roll_held makes. */
static inline uint64_t
stoai_roll_object(uint64_t entry)
{
	return entry & ~((uint64_t)STOAI_ROLL_MAX << STOAI_ROLL_SHIFT);
}

/* From here on it says so; one store. */
static inline void
stoai_roll_set(uint64_t *entry, uint64_t held, uint32_t count)
{
	a64_exchange_seq_cst(entry, held | (uint64_t)count << STOAI_ROLL_SHIFT);
}

/* The calling thread's entry, whatever its count; NULL: it has none. */
uint64_t *stoai_roll_find(struct stoai_seat *seat, uint64_t held);
/* One more, with count 0. NULL: all are in use, with a text: -EOVERFLOW. */
uint64_t *stoai_roll_add(struct stoai_seat *seat, uint64_t held);
void stoai_roll_drop(struct stoai_seat *seat, uint64_t *entry);

/*
 * Calls each for every slot that has an entry: the slot, or STOAI_OWNER_DEAD where it
 * is dying and not to be recovered yet, and its count. bits: slots that may have one;
 * brought up to date. Under the object's lock. 0, or why a dead one cannot be recovered.
 */
int stoai_roll_call(struct stoai_seat *seat, uint64_t bits[4], uint64_t held,
	void (*each)(void *user, uint32_t slot, uint32_t count), void *user);
/* Under the object's lock, before an entry that is to be found. */
void stoai_roll_mark(const struct stoai_seat *seat, uint64_t bits[4]);

/* The object's own lock, for as long as its roll is called. */
static inline int
stoai_roll_lock(struct stoai_seat *seat, stoa_mutex *lock)
{
	return stoai_lock(
		seat, lock, STOAI_MODE_MUTEX, STOA_FOREVER, STOAI_LOCK_LIBRARY);
}

#endif
