/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a block cost, alone, among many, from two processes, and handed over?
 *
 * Ours is the layer's own call, and with publishing: afterwards shared data owns
 * the block, and any process may free it. That is what Boost's allocate gives; in
 * addition ours is whole after a death at any instruction. mimalloc, jemalloc and
 * malloc are of one process: the floor. "new and delete" is what programs write,
 * with undo.
 *
 * Each block's first word is written, as if something were stored in it. All are
 * called through a function pointer or, ours and Boost's, a function that knows
 * the segment.
 */
#include "allocators.h"
#include "blocks.h"
#include "works.h"
#include <stdlib.h>

enum {
	SIZE = 512 << 20,
	LIVE = 100000,
	BATCH = 16,
	PAIR = 0, /* params: what is allocated */
	FIXED = BLOCK_SIZE,
	MIXED = 1024
};

static uint64_t *live; /* of this worker */
static uint64_t random_state;

/* ---- the loops: inlined for each heap ---- */

INLINE size_t
next_size(uintptr_t param, uint64_t random)
{
	return param == MIXED ? 16 + random % 1009 : FIXED;
}

INLINE bool
pair_loop(const struct heap *h, uint64_t count)
{
	for (; count > 0; count--) {
		uint64_t block = h->alloc(FIXED);

		if (!block || !h->free(block))
			return measure_failed("alloc or free");
	}
	return true;
}

INLINE bool
replace_loop(const struct heap *h, uintptr_t param, uint64_t count)
{
	uint64_t state = random_state;

	for (; count > 0; count--) {
		uint64_t random = measure_random(&state);
		uint64_t *at = &live[(random >> 32) * LIVE >> 32];

		if (!h->free(*at))
			return measure_failed("free");
		*at = h->alloc(next_size(param, random & 0xffffffff));
		if (!*at)
			return measure_failed("alloc");
	}
	random_state = state;
	return true;
}

INLINE bool
heap_loop(const struct heap *h, uintptr_t param, uint64_t count)
{
	return param == PAIR ? pair_loop(h, count)
			     : replace_loop(h, param, count);
}

static bool
live_make(const struct heap *h, const struct measure_row *row, int role)
{
	random_state = (uint64_t)role + 1;
	if (row->param == PAIR)
		return true;
	live = calloc(LIVE, sizeof *live);
	for (size_t i = 0; live && i < LIVE; i++) {
		uint64_t random = measure_random(&random_state);

		live[i] = h->alloc(next_size(row->param, random & 0xffffffff));
		if (!live[i])
			return measure_failed("alloc");
	}
	return live != NULL;
}

static void
live_free(const struct heap *h)
{
	for (size_t i = 0; live && i < LIVE; i++)
		if (live[i])
			(void)h->free(live[i]);
	free(live);
	live = NULL;
}

/* ---- ours ---- */

static bool
ours_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	return heap_loop(&ours_heap, row->param, count);
}

static bool
open_ours(void)
{
	return ours_open(SIZE);
}

static bool
start_ours(const struct measure_row *row, int role)
{
	return ours_start(row, role) && live_make(&ours_heap, row, role);
}

static void
stop_ours(const struct measure_row *row, int role)
{
	live_free(&ours_heap);
	ours_stop(row, role);
}

/* ---- ours, by transactions ---- */

typedef struct block {
	uint64_t word[8];
} block;
STOA_TYPE(block, word);

static bool
new_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += BATCH) {
		block *made[BATCH];

		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (int k = 0; k < BATCH; k++) {
			made[k] = stoa_new(tx, block);
			made[k]->word[0] = i;
		}
		for (int k = 0; k < BATCH; k++)
			stoa_delete(tx, block, made[k]);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

/* ---- private heaps ---- */

#define PRIVATE(which) \
 static uint64_t which##_alloc(size_t size) \
 { \
  uint64_t *p = which.alloc(size); \
  *p = size; \
  return (uint64_t)(uintptr_t)p; \
 } \
 static bool which##_free(uint64_t block_) \
 { \
  which.free((void *)(uintptr_t)block_); \
  return true; \
 } \
 static const struct heap which##_heap = {which##_alloc, which##_free}; \
 static bool which##_loop( \
	 const struct measure_row *row, int role, uint64_t count) \
 { \
  (void)role; \
  return heap_loop(&which##_heap, row->param, count); \
 } \
 static bool which##_there(void) \
 { \
  return which.version[0] != '\0'; \
 } \
 static bool which##_start(const struct measure_row *row, int role) \
 { \
  return live_make(&which##_heap, row, role); \
 } \
 static const struct measure_side which##_side = { \
	 .there = which##_there, .start = which##_start}

PRIVATE(glibc_malloc);
PRIVATE(mimalloc);
PRIVATE(jemalloc);

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static bool
boost_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	return heap_loop(&boost_heap, row->param, count);
}

static bool
boost_batch_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += BATCH) {
		uint64_t made[BATCH];

		for (int k = 0; k < BATCH; k++)
			made[k] = boost_alloc_word(FIXED);
		for (int k = 0; k < BATCH; k++)
			(void)boost_free_word(made[k]);
	}
	return true;
}

static bool
open_boost(void)
{
	return boost_open(SIZE);
}

static bool
start_boost(const struct measure_row *row, int role)
{
	return boost_start(row, role) && live_make(&boost_heap, row, role);
}

static void
stop_boost(const struct measure_row *row, int role)
{
	(void)row;
	(void)role;
	live_free(&boost_heap);
}

static const struct measure_side boost_side = {.open = open_boost,
	.start = start_boost,
	.stop = stop_boost,
	.close = boost_close};
#endif

static const struct measure_side ours_side = {.open = open_ours,
	.start = start_ours,
	.stop = stop_ours,
	.close = ours_close};

#define ROW(w, p, s, f, a, n) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f), .param = (a), \
  .processes = (n) \
 }
#define PRIVATE_ROW(w, p, which, a, n) \
 ROW(w, p, which##_side, which##_loop, a, n)
static const struct measure_row rows[] = {
	ROW("alloc and free, 64 B", "stoa", ours_side, ours_loop, PAIR, 1),
	PRIVATE_ROW("alloc and free, 64 B", "mimalloc", mimalloc, PAIR, 1),
	PRIVATE_ROW("alloc and free, 64 B", "jemalloc", jemalloc, PAIR, 1),
	PRIVATE_ROW("alloc and free, 64 B", "glibc", glibc_malloc, PAIR, 1),
#ifdef BENCH_BOOST
	ROW("alloc and free, 64 B", "boost", boost_side, boost_loop, PAIR, 1),
#endif
	ROW("alloc and free, two processes", "stoa", ours_side, ours_loop, PAIR,
		2),
	PRIVATE_ROW(
		"alloc and free, two processes", "jemalloc", jemalloc, PAIR, 2),
#ifdef BENCH_BOOST
	ROW("alloc and free, two processes", "boost", boost_side, boost_loop,
		PAIR, 2),
#endif
	ROW("replace, 64 B", "stoa", ours_side, ours_loop, FIXED, 1),
	PRIVATE_ROW("replace, 64 B", "mimalloc", mimalloc, FIXED, 1),
	PRIVATE_ROW("replace, 64 B", "jemalloc", jemalloc, FIXED, 1),
	PRIVATE_ROW("replace, 64 B", "glibc", glibc_malloc, FIXED, 1),
#ifdef BENCH_BOOST
	ROW("replace, 64 B", "boost", boost_side, boost_loop, FIXED, 1),
#endif
	ROW("replace, 64 B, two processes", "stoa", ours_side, ours_loop, FIXED,
		2),
	PRIVATE_ROW(
		"replace, 64 B, two processes", "jemalloc", jemalloc, FIXED, 2),
#ifdef BENCH_BOOST
	ROW("replace, 64 B, two processes", "boost", boost_side, boost_loop,
		FIXED, 2),
#endif
	ROW("replace, 16-1024 B", "stoa", ours_side, ours_loop, MIXED, 1),
	PRIVATE_ROW("replace, 16-1024 B", "mimalloc", mimalloc, MIXED, 1),
	PRIVATE_ROW("replace, 16-1024 B", "jemalloc", jemalloc, MIXED, 1),
	PRIVATE_ROW("replace, 16-1024 B", "glibc", glibc_malloc, MIXED, 1),
#ifdef BENCH_BOOST
	ROW("replace, 16-1024 B", "boost", boost_side, boost_loop, MIXED, 1),
#endif
	ROW("replace, 16-1024 B, two processes", "stoa", ours_side, ours_loop,
		MIXED, 2),
	PRIVATE_ROW("replace, 16-1024 B, two processes", "jemalloc", jemalloc,
		MIXED, 2),
#ifdef BENCH_BOOST
	ROW("replace, 16-1024 B, two processes", "boost", boost_side,
		boost_loop, MIXED, 2),
#endif
	ROW("new and delete, 16 in a tx", "stoa", ours_side, new_loop, PAIR, 1),
	PRIVATE_ROW(
		"new and delete, 16 in a tx", "glibc", glibc_malloc, PAIR, 1),
#ifdef BENCH_BOOST
	ROW("new and delete, 16 in a tx", "boost", boost_side, boost_batch_loop,
		PAIR, 1),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "alloc and free, 64 B", .peer = "boost", .goal = 20},
	{.work = "alloc and free, 64 B",
		.peer = "mimalloc",
		.goal = 2.2,
		.at_most = true},
	{.work = "alloc and free, two processes",
		.one = "alloc and free, 64 B",
		.goal = 1.85},
	{.work = "replace, 64 B", .peer = "boost", .goal = 12},
	{.work = "replace, 64 B",
		.peer = "jemalloc",
		.goal = 2,
		.at_most = true},
	{.work = "replace, 64 B, two processes",
		.one = "replace, 64 B",
		.goal = 1.85},
	{.work = "replace, 16-1024 B", .peer = "boost", .goal = 12},
	{.work = "replace, 16-1024 B",
		.peer = "jemalloc",
		.goal = 2,
		.at_most = true},
	{.work = "replace, 16-1024 B, two processes",
		.one = "replace, 16-1024 B",
		.goal = 1.85},
};

const struct measure_family heap_family = MEASURE_FAMILY("heap", rows, goals);
