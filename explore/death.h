/* SPDX-License-Identifier: BSL-1.0 */
/* What a death leaves: marks on tokens; and garbage where nobody may look. */
#ifndef STOAI_EXPLORE_DEATH_H
#define STOAI_EXPLORE_DEATH_H
#include "segment/explore.h"

/* Bit per slot whose token a thread holds: by now, all those that run. */
uint64_t stoai_death_holders(const stoa_segment *seg);
/* What the kernel does to a dead thread's tokens. */
void stoai_death_mark(stoa_segment *seg, uint64_t slots);
/*
 * From now on these slots are dead but not known to be, until somebody would have
 * to wait: the kernel tells a waiter. No wait sleeps: it ends as if its tick had
 * passed. 0: nobody is.
 */
void stoai_death_pending(stoa_segment *seg, uint64_t slots);
/* Garbage in all memory that holds nothing: logs behind the cursor, free blocks. */
void stoai_death_poison(stoa_segment *seg);

#endif
