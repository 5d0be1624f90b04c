/* SPDX-License-Identifier: BSL-1.0 */
/* The lock word, which every kind of lock is made of. See word.c. */
#ifndef STOAI_SYNC_WORD_H
#define STOAI_SYNC_WORD_H
#include "sync/lock.h"

/* It was not free, it was w. */
int stoai_word_wait(struct stoai_seat *seat, uint32_t *word, uint32_t w,
	uint64_t held, uint64_t deadline);
void stoai_word_wake(uint32_t *word);

/*
 * Makes the word ours; waits until the deadline. held: what the caller has put
 * into its lane as intent, and what others see it wait for. Errors as stoai_lock.
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

static inline void
stoai_word_unlock(uint32_t *word)
{
	stoai_kill_fence();
	if (stoai_unlikely(a32_exchange_seq_cst(word, 0) & STOAI_WORD_WAITERS))
		stoai_word_wake(word);
	stoai_kill_fence();
}

/* Does the slot's lane list this held word? */
bool stoai_lane_lists(const stoa_segment *seg, uint32_t slot, uint64_t held);

#endif
