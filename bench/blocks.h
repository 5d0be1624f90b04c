/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Heaps as the loops see them: ours, by the layer's calls, and Boost's. Blocks are
 * words, and 0 is none. Each block's first word is written, as if something were
 * stored in it; ours is published, so that shared data owns it and any process may
 * free it.
 */
#ifndef BENCH_BLOCKS_H
#define BENCH_BLOCKS_H
#include "peer_boost.h"
#include "heap/heap.h"
#include "ours.h"

enum {
	BLOCK_SIZE = 64
};

#ifdef NDEBUG
 #define INLINE static inline __attribute__((always_inline))
#else /* at -Og gcc refuses it for calls through a table */
 #define INLINE static inline
#endif

struct heap {
	uint64_t (*alloc)(size_t size);
	bool (*free)(uint64_t block);
};

INLINE uint64_t
ours_alloc(size_t size)
{
	uint64_t off;

	if (stoai_heap_alloc(ours_seat, size, 16, &off))
		return 0;
	*(uint64_t *)(void *)(ours_segment->base + off) = size;
	stoai_heap_publish(ours_seat, off);
	return off;
}

INLINE bool
ours_free(uint64_t block)
{
	return !stoai_heap_free(ours_seat, block);
}

static const struct heap ours_heap = {ours_alloc, ours_free};

#ifdef BENCH_BOOST
INLINE uint64_t
boost_alloc_word(size_t size)
{
	uint64_t *p = boost_alloc(size);

	if (!p)
		return 0;
	*p = size;
	return (uint64_t)(uintptr_t)p;
}

INLINE bool
boost_free_word(uint64_t block_)
{
	boost_free((void *)(uintptr_t)block_);
	return true;
}

static const struct heap boost_heap = {boost_alloc_word, boost_free_word};
#endif

#endif
