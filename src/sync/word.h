/* SPDX-License-Identifier: BSL-1.0 */
/* The lock word, which every kind of lock is made of. See word.c. */
#ifndef STOAI_SYNC_WORD_H
#define STOAI_SYNC_WORD_H
#include "sync/lock.h"

enum {
	STOAI_WORD_OPENED = 1 /* of a shared wait: readers may enter now */
};

/* Whom it names, without what else it says; 0: it is free. */
static inline uint32_t
stoai_word_owner(uint32_t w)
{
	return w & STOAI_WORD_OWNER;
}

/* May a reader not enter? */
static inline bool
stoai_word_closed(uint32_t w)
{
	return stoai_word_owner(w) && !(w & STOAI_WORD_UPGRADABLE);
}

/* It was not free, it was w. */
int stoai_word_wait(struct stoai_seat *seat, uint32_t *word, uint32_t w,
	uint64_t held, uint64_t deadline);
void stoai_word_wake(uint32_t *word);

/*
 * Makes the word ours; waits until the deadline. held: what the caller has put
 * into its lane as intent, and what others see it wait for; a shared one gives way
 * to an owner that lets readers in: STOAI_WORD_OPENED. Errors as stoai_lock.
 */
static inline int
stoai_word_lock(struct stoai_seat *seat, uint32_t *word, uint64_t held,
	uint64_t deadline)
{
	uint32_t w = 0;

	return stoai_likely(a32_cas_seq_cst(word, &w, seat->word))
		       ? 0
		       : stoai_word_wait(seat, word, w, held, deadline);
}

/* True: somebody may sleep there, whom the caller is to wake. */
static inline bool
stoai_word_free(uint32_t *word)
{
	uint32_t w;

	stoai_kill_fence();
	w = a32_exchange_seq_cst(word, 0);
	stoai_kill_fence();
	return stoai_unlikely(w & STOAI_WORD_WAITERS);
}

static inline void
stoai_word_unlock(uint32_t *word)
{
	if (stoai_word_free(word))
		stoai_word_wake(word);
	stoai_kill_fence();
}

/* Does the slot's lane list this held word? */
bool stoai_lane_lists(const stoa_segment *seg, uint32_t slot, uint64_t held);

#endif
