/* SPDX-License-Identifier: BSL-1.0 */
/* What a thread caches, back into the bitmaps. See stack.c. */
#ifndef STOAI_HEAP_STACK_H
#define STOAI_HEAP_STACK_H
#include "heap/cache.h"
#include "heap/slab.h"

/* The oldest half of a full stack, or more; at least one. */
void stoai_stack_spill(struct stoai_seat *seat, struct stoai_class *c);
/* All that the class caches. */
void stoai_stack_empty(struct stoai_seat *seat, struct stoai_class *c);
/* Is the unpublished block in the cache? */
bool stoai_stack_holds(
	const struct stoai_cache *h, const struct stoai_own *own, uint64_t off);
void stoai_stack_push(
	struct stoai_seat *seat, const struct stoai_own *own, uint64_t off);
/* The class's slab is no more, or another's. */
void stoai_class_forget(struct stoai_class *c, uint64_t span);

static inline uint64_t
stoai_class_all_words(const struct stoai_class *c)
{
	return c->words >= 64 ? UINT64_MAX : (UINT64_C(1) << c->words) - 1;
}

#endif
