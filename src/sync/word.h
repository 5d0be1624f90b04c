/* SPDX-License-Identifier: BSL-1.0 */
/* The lock word, which every kind of lock is made of. See word.c. */
#ifndef STOAI_SYNC_WORD_H
#define STOAI_SYNC_WORD_H
#include "sync/lock.h"

/*
 * Makes the word ours; waits until the deadline. held: what the caller has put
 * into its lane as intent, and what others see it wait for. Errors as stoai_lock.
 */
int stoai_word_lock(struct stoai_seat *seat, uint32_t *word, uint64_t held,
	uint64_t deadline);
void stoai_word_unlock(uint32_t *word);
/* Does the slot's lane list this held word? */
bool stoai_lane_lists(const stoa_segment *seg, uint32_t slot, uint64_t held);

#endif
