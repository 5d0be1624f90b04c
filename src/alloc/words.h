/* SPDX-License-Identifier: BSL-1.0 */
/* Words of memory that an algorithm divides: read checked, changed with undo. */
#ifndef STOAI_ALLOC_WORDS_H
#define STOAI_ALLOC_WORDS_H
#include "stoa/heap.h"
#include "tx/tx.h"

/* `size` bytes at off, a multiple of 8; NULL: damaged, rd has failed. */
static inline const void *
stoai_alloc_at(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	/* 1 is no place in any heap */
	return stoai_tx_at(rd, off % 8 || !off ? 1 : off, size);
}

/* False: tx has failed. */
static inline bool
stoai_alloc_put(stoa_tx *tx, const uint64_t *to, uint64_t value)
{
	return *to == value || stoa_tx_store_(tx, to, &value, sizeof value);
}

#endif
