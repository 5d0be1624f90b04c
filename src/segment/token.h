/* SPDX-License-Identifier: BSL-1.0 */
/* Tokens: the words that the kernel marks when a thread dies. See token.c. */
#ifndef STOAI_SEGMENT_TOKEN_H
#define STOAI_SEGMENT_TOKEN_H
#include "segment/seat.h"

/* Can this thread's libc and this backing carry tokens? */
bool stoai_token_possible(const stoa_segment *seg);
/* The word from `from` to this thread's. -EAGAIN: it was not `from` any more. Under claims. */
int stoai_token_take(stoa_segment *seg, uint32_t slot, uint32_t from);
/* This thread's word becomes `to` (0: free); its waiters are woken. */
void stoai_token_drop(stoa_segment *seg, uint32_t slot, uint32_t to);
/* No thread of this process is on the list with a slot of this segment. */
void stoai_token_unmap(stoa_segment *seg);

#endif
