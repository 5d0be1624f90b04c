/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Heaps as the works see them: ours, by the layer's calls, and everybody's else.
 * Blocks are words, and 0 is none. Each block's first word is written, as if
 * something were stored in it; ours is published, so that shared data owns it and any
 * process may free it.
 *
 * Each stands here as a constant, so that a loop over one of them calls it directly,
 * or, ours, has it inlined.
 */
#ifndef BENCH_BLOCKS_H
#define BENCH_BLOCKS_H
#include "allocators.h"
#include "heap/heap.h"
#include "ours.h"
#include "peer_boost.h"
#include "peer_pmdk.h"

enum {
	BLOCK_SIZE = 64
};

#ifdef NDEBUG
 #define INLINE static inline __attribute__((always_inline))
#else /* at -Og gcc refuses it for calls through a table */
 #define INLINE static inline
#endif

/* What is NULL need not be done, or cannot be asked. */
struct heap {
	uint64_t (*alloc)(size_t size);
	bool (*free)(uint64_t block);
	void *(*at)(uint64_t block); /* NULL: the word is the address */
	bool (*there)(void);
	bool (*open)(uint64_t size); /* for workers that are forked later */
	bool (*start)(const struct measure_row *row, int role); /* in each */
	void (*stop)(const struct measure_row *row, int role);
	void (*close)(void);
	int64_t (*used)(void);   /* bytes that are blocks, or can be no more */
	int64_t (*held)(void);   /* bytes that the system misses */
	void (*give_back)(void); /* what it does not need, to the system */
	bool dies;               /* with its worker */
	bool grows;              /* it can begin small */
};

/* ---- ours ---- */

INLINE uint64_t
ours_alloc(size_t size)
{
	struct stoai_cached block;

	if (stoai_heap_alloc(ours_seat, size, 16, &block))
		return 0;
	*(uint64_t *)(void *)(ours_segment->base + block.off) = size;
	stoai_heap_publish(ours_seat, block);
	return block.off;
}

INLINE bool
ours_free(uint64_t block)
{
	return !stoai_heap_free(ours_seat, block);
}

static inline void *
ours_at(uint64_t block)
{
	return ours_segment->base + block;
}

static const struct heap stoa_heap = {.alloc = ours_alloc,
	.free = ours_free,
	.at = ours_at,
	.open = ours_open,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close,
	.used = ours_used,
	.held = ours_held,
	.give_back = ours_give_back,
	.grows = true};

/* ---- of one process ---- */

#define PRIVATE_HEAP(which) \
 INLINE uint64_t which##_word(size_t size) \
 { \
  uint64_t *p = which.alloc(size); \
  *p = size; \
  return (uint64_t)(uintptr_t)p; \
 } \
 INLINE bool which##_unword(uint64_t block_) \
 { \
  which.free((void *)(uintptr_t)block_); \
  return true; \
 } \
 static inline bool which##_there(void) \
 { \
  return which.version[0] != '\0'; \
 } \
 static inline void which##_give(void) \
 { \
  which.give_back(); \
 } \
 static const struct heap which##_heap = {.alloc = which##_word, \
	 .free = which##_unword, \
	 .there = which##_there, \
	 .dies = true, \
	 .used = measure_resident, \
	 .held = measure_resident, \
	 .give_back = which##_give}

PRIVATE_HEAP(glibc_malloc);
PRIVATE_HEAP(mimalloc);
PRIVATE_HEAP(jemalloc);

#ifdef BENCH_PMDK
static const struct heap pmdk_heap = {.alloc = pmdk_alloc,
	.free = pmdk_free,
	.at = pmdk_at,
	.dies = true,
	.start = pmdk_start,
	.used = pmdk_used,
	.held = measure_resident};
#endif

/* ---- Boost: its default heap, the other one, and pools of blocks of BLOCK_SIZE ---- */

#ifdef BENCH_BOOST
 #define BOOST_HEAP(which, begin, end, use, own) \
  INLINE uint64_t boost_##which##word(size_t size) \
  { \
   uint64_t *p = boost_##which##alloc(size); \
   if (p) \
    *p = size; \
   return (uint64_t)(uintptr_t)p; \
  } \
  INLINE bool boost_##which##unword(uint64_t block_) \
  { \
   boost_##which##free((void *)(uintptr_t)block_); \
   return true; \
  } \
  static const struct heap boost_##which##heap = { \
	  .alloc = boost_##which##word, \
	  .free = boost_##which##unword, \
	  .open = boost_open, \
	  .start = boost_##begin, \
	  .stop = end, \
	  .close = boost_close, \
	  .used = boost_##use, \
	  .held = measure_resident}

BOOST_HEAP(, start, NULL, used, false);
BOOST_HEAP(seq_, seq_start, NULL, seq_used, true);
BOOST_HEAP(node_, node_start, boost_node_stop, used, false);
BOOST_HEAP(private_node_, private_node_start, boost_private_node_stop, used,
	false);
BOOST_HEAP(
	cached_node_, cached_node_start, boost_cached_node_stop, used, false);
BOOST_HEAP(adaptive_, adaptive_start, boost_adaptive_stop, used, false);
BOOST_HEAP(private_adaptive_, private_adaptive_start,
	boost_private_adaptive_stop, used, false);
BOOST_HEAP(cached_adaptive_, cached_adaptive_start, boost_cached_adaptive_stop,
	used, false);
#endif

#define HEAP_SIDE_THERE(which) \
 static bool which##_side_there(void) \
 { \
  return !which##_heap.there || which##_heap.there(); \
 }

/*
 * The side of a row that is done with this heap: bool before(void), once;
 * bool after(heap, row, role) and void last(heap, row), in each worker.
 */
#define HEAP_SIDE(which, size, before, after, last) \
 HEAP_SIDE_THERE(which) \
 static bool which##_side_open(void) \
 { \
  return before() && (!which##_heap.open || which##_heap.open(size)); \
 } \
 static bool which##_side_begin(const struct measure_row *row, int role) \
 { \
  return (!which##_heap.start || which##_heap.start(row, role)) && \
	 after(&which##_heap, row, role); \
 } \
 static void which##_side_end(const struct measure_row *row, int role) \
 { \
  last(&which##_heap, row); \
  if (which##_heap.stop) \
   which##_heap.stop(row, role); \
 } \
 static void which##_side_close(void) \
 { \
  if (which##_heap.close) \
   which##_heap.close(); \
 } \
 static const struct measure_side which##_side = {.there = which##_side_there, \
	 .open = which##_side_open, \
	 .start = which##_side_begin, \
	 .stop = which##_side_end, \
	 .close = which##_side_close}

/* That of a row whose heap is a new one for each measurement. */
#define HEAP_SIDE_NEW(which, size) \
 HEAP_SIDE_THERE(which) \
 static bool which##_side_begin(const struct measure_row *row, int role) \
 { \
  return (!which##_heap.open || which##_heap.open(size)) && \
	 (!which##_heap.start || which##_heap.start(row, role)); \
 } \
 static const struct measure_side which##_side = { \
	 .there = which##_side_there, .start = which##_side_begin}

#endif
