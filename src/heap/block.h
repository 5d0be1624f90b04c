/* SPDX-License-Identifier: BSL-1.0 */
/* From an offset to the block that holds it, by the table alone. See block.c. */
#ifndef STOAI_HEAP_BLOCK_H
#define STOAI_HEAP_BLOCK_H
#include "heap/slab.h"

struct stoai_block {
	uint64_t off, size;      /* of the block */
	uint64_t span;           /* slab, or head of the run */
	uint64_t word;           /* its table word: SLAB or LARGE */
	struct stoai_bits *bits; /* SLAB: from here on */
	uint64_t bit;
	uint32_t class_index;
};

/* The place for a block that holds off, allocated or not; lent: all of the run. */
bool stoai_block_find(stoa_segment *seg, uint64_t off, struct stoai_block *ret);
/*
 * Of what was found: the algorithm's block that holds off, if the run is lent.
 * False: there is none. Nothing else is changed.
 */
bool stoai_lent_block(stoa_segment *seg, uint64_t off, struct stoai_block *ret);
/* Each block of the lent run at `span`, in address order; as stoai_heap_each. */
int stoai_lent_each(stoa_segment *seg, uint64_t span, uint64_t word,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user);
/* Are begins and ends in turn, and none in the map's own place? */
bool stoai_lent_check(stoa_segment *seg, uint64_t span, uint64_t word);
/* Is there a block, and has nobody freed it? */
bool stoai_block_allocated(const struct stoai_block *block);

#endif
