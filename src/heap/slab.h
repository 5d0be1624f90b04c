/* SPDX-License-Identifier: BSL-1.0 */
/* Slabs: a span cut into equal blocks, and whose it is. See slab.c. */
#ifndef STOAI_HEAP_SLAB_H
#define STOAI_HEAP_SLAB_H
#include "heap/span.h"

/* The seat's unpublished LARGE run of one span becomes its slab of that class. */
void
stoai_slab_make(struct stoai_seat *seat, uint64_t span, uint32_t class_index);
/* The slab's class, or STOAI_CLASSES when its meta is damaged. */
uint32_t
stoai_slab_class(const stoa_segment *seg, const struct stoai_meta *meta);
/* Ours: the blocks that others freed are free. Returns how many. */
uint32_t
stoai_slab_harvest(stoa_segment *seg, uint64_t span, uint32_t class_index);
/*
 * One whose owner word was seen to be abandoned is ours from now on, and is what
 * it was then: the word carries a sequence. False: somebody else was first.
 */
bool stoai_slab_adopt(struct stoai_seat *seat, uint64_t span, uint64_t owner);
/* Ours, without transients, is anybody's. */
void stoai_slab_abandon(stoa_segment *seg, uint64_t span);
/* Ours and empty becomes a free span. False: it is not empty. */
bool stoai_slab_release(stoa_segment *seg, uint64_t span, uint32_t class_index);

enum {                            /* what stoai_slab_look finds; bits */
	STOAI_SLAB_FREE = 1 << 0, /* free blocks, or freed by others */
	STOAI_SLAB_USED = 1 << 1, /* blocks that are in use */
	STOAI_SLAB_TRANSIENT =
		1 << 2,            /* blocks that nobody but the owner knows */
	STOAI_SLAB_REMOTE = 1 << 3 /* blocks that others freed */
};
unsigned
stoai_slab_look(stoa_segment *seg, uint64_t span, uint32_t class_index);

/* Of word w of a slab of `blocks`: what shared data has, and what threads have. */
static inline uint64_t
stoai_slab_word(stoa_segment *seg, uint64_t span, uint32_t w, uint32_t blocks,
	uint64_t *transient)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta) + w;
	uint64_t alloc = a64_load_acquire(&bits->alloc) &
			 ~a64_load_relaxed(&bits->remote) &
			 stoai_valid_bits(blocks, w);
	uint64_t pub = a64_load_relaxed(&bits->pub);

	*transient = alloc & ~pub;
	return alloc & pub;
}

static inline bool
stoai_slab_is_ours(const struct stoai_seat *seat, const struct stoai_meta *meta)
{
	return (uint32_t)a64_load_relaxed(&meta->owner) == seat->word;
}

static inline bool
stoai_slab_is_abandoned(uint64_t owner)
{
	return !(uint32_t)owner;
}

#endif
