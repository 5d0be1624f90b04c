/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a node of 64 bytes cost in each of our heaps and pools, by transactions?
 *
 * Sixteen are made and deleted under one lock; or sixteen of LIVE, chosen by chance,
 * are deleted and made anew. Ours is undone by a death, Boost's is under no lock but
 * its heap's own.
 */
#include "blocks.h"
#include "works.h"

enum {
	SIZE = 64 << 20,
	BATCH = 16,
	LIVE = 10000
};

typedef struct node {
	uint64_t word[8];
} node;
STOA_TYPE(node, word);

typedef struct box {
	stoa_pool pool;
} box;
STOA_TYPE(box, (pool, stoa_pool));

static const box *ours_box;
static const stoa_shared_pool *shared;

static __thread void *live[LIVE];
static __thread uint64_t random_state;

static size_t
next_live(void)
{
	return (measure_random(&random_state) >> 32) * LIVE >> 32;
}

/* Which of LIVE a transaction replaces: one that it has not replaced already. */
static size_t
some_live(int k)
{
	return next_live() / BATCH * BATCH + (size_t)k;
}

/* ---- ours ---- */

/* take and give: with tx, and p to take. */
#define OURS(which, take, give) \
 static bool which##_pair( \
	 const struct measure_row *row, int role, uint64_t count) \
 { \
  (void)row; \
  (void)role; \
  for (uint64_t i = 0; i < count; i += BATCH) { \
   node *made[BATCH]; \
\
   STOA_TX(tx, ours_segment, &ours_cell->mutex); \
   for (int k = 0; k < BATCH; k++) { \
    made[k] = take; \
    made[k]->word[0] = i; \
   } \
   for (int k = 0; k < BATCH; k++) { \
    node *p = made[k]; \
\
    give; \
   } \
   if (stoa_tx_commit(tx)) \
    return ours_done(-1); \
  } \
  return true; \
 } \
 static bool which##_replace( \
	 const struct measure_row *row, int role, uint64_t count) \
 { \
  (void)row; \
  (void)role; \
  for (uint64_t i = 0; i < count; i += BATCH) { \
   STOA_TX(tx, ours_segment, &ours_cell->mutex); \
   for (int k = 0; k < BATCH; k++) { \
    const size_t n = some_live(k); \
    node *p = live[n], *fresh = take; \
\
    fresh->word[0] = i; \
    if (p) \
     give; \
    live[n] = fresh; \
   } \
   if (stoa_tx_commit(tx)) \
    return ours_done(-1); \
  } \
  return true; \
 }

OURS(heap, stoa_new(tx, node), stoa_delete(tx, node, p))
OURS(pool, stoa_pool_new(tx, &ours_box->pool, node),
	stoa_pool_delete(tx, &ours_box->pool, node, p))
OURS(shared, stoa_shared_pool_new(tx, shared, node),
	stoa_shared_pool_delete(tx, shared, node, p))

static bool
open_with(const stoa_heap_class *heap, uint32_t cache)
{
	return ours_open_with(SIZE, heap) &&
	       ours_done(
		       stoa_object_open(ours_segment, "box", box, &ours_box)) &&
	       ours_done(stoa_shared_pool_open(ours_segment, NULL,
		       STOA_POOL_OPTIONS(.node_size = sizeof(node)),
		       &shared)) &&
	       ours_done(STOA_DO(tx, ours_segment,
		       stoa_shared_pool_set_cache(tx, shared, cache)));
}

static bool
start(const struct measure_row *row, int role)
{
	random_state = (uint64_t)role + 1;
	return ours_start(row, role);
}

#define OURS_SIDE(which, heap, cache) \
 static bool which##_open(void) \
 { \
  return open_with(heap, cache); \
 } \
 static const struct measure_side which##_side = {.open = which##_open, \
	 .start = start, \
	 .stop = ours_stop, \
	 .close = ours_close}

OURS_SIDE(usual, NULL, 0);
OURS_SIDE(best_fit, &stoa_heap_best_fit, 0);
OURS_SIDE(best_fit_64, &stoa_heap_best_fit_64, 0);
OURS_SIDE(first_fit, &stoa_heap_first_fit, 0);
OURS_SIDE(cached, NULL, 64);

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static bool
before(void)
{
	return true;
}

static bool
after(const struct heap *h, const struct measure_row *row, int role)
{
	(void)h;
	(void)row;
	random_state = (uint64_t)role + 1;
	return true;
}

/* A worker ends with its process. */
static void
last(const struct heap *h, const struct measure_row *row)
{
	(void)h;
	(void)row;
}

 #define BOOST(which) \
  static bool which##_pair( \
	  const struct measure_row *row, int role, uint64_t count) \
  { \
   (void)row; \
   (void)role; \
   for (uint64_t i = 0; i < count; i += BATCH) { \
    uint64_t made[BATCH]; \
\
    for (int k = 0; k < BATCH; k++) \
     made[k] = which##_heap.alloc(sizeof(node)); \
    for (int k = 0; k < BATCH; k++) \
     (void)which##_heap.free(made[k]); \
   } \
   return true; \
  } \
  static bool which##_replace( \
	  const struct measure_row *row, int role, uint64_t count) \
  { \
   (void)row; \
   (void)role; \
   for (uint64_t i = 0; i < count; i++) { \
    const size_t n = some_live((int)(i % BATCH)); \
    const uint64_t fresh = which##_heap.alloc(sizeof(node)); \
\
    if (live[n]) \
     (void)which##_heap.free((uint64_t)(uintptr_t)live[n]); \
    live[n] = (void *)(uintptr_t)fresh; \
   } \
   return true; \
  } \
  HEAP_SIDE(which, SIZE, before, after, last)

BOOST(boost);
BOOST(boost_seq);
BOOST(boost_node);
BOOST(boost_private_node);
BOOST(boost_cached_node);
BOOST(boost_adaptive);
BOOST(boost_private_adaptive);
BOOST(boost_cached_adaptive);
#endif

/* ---- the rows ---- */

#define ROW(w, p, s, l) \
 { \
  .work = (w), .peer = (p), .side = &s##_side, .loop = (l) \
 }
#ifdef BENCH_BOOST
 #define BOOST_ROWS(w, what) \
  , ROW(w, "boost", boost, boost_##what), \
	  ROW(w, "boost seq_fit", boost_seq, boost_seq_##what), \
	  ROW(w, "boost node", boost_node, boost_node_##what), \
	  ROW(w, "boost private_node", boost_private_node, \
		  boost_private_node_##what), \
	  ROW(w, "boost cached_node", boost_cached_node, \
		  boost_cached_node_##what), \
	  ROW(w, "boost adaptive", boost_adaptive, boost_adaptive_##what), \
	  ROW(w, "boost private_adapt", boost_private_adaptive, \
		  boost_private_adaptive_##what), \
	  ROW(w, "boost cached_adapt", boost_cached_adaptive, \
		  boost_cached_adaptive_##what)
#else
 #define BOOST_ROWS(w, what)
#endif
#define ROWS(w, what) \
 ROW(w, "stoa", usual, heap_##what), \
	 ROW(w, "stoa best_fit", best_fit, heap_##what), \
	 ROW(w, "stoa best_fit_64", best_fit_64, heap_##what), \
	 ROW(w, "stoa first_fit", first_fit, heap_##what), \
	 ROW(w, "stoa pool", usual, pool_##what), \
	 ROW(w, "stoa shared_pool", usual, shared_##what), \
	 ROW(w, "stoa cached_pool", cached, shared_##what) BOOST_ROWS(w, what)

static const struct measure_row rows[] = {
	ROWS("node made and deleted, 16 in a tx", pair),
	ROWS("node replaced, 16 in a tx", replace),
};

static const struct measure_goal goals[] = {
	{.work = "node made and deleted, 16 in a tx",
		.peer = "boost",
		.goal = 3},
	{.work = "node replaced, 16 in a tx", .peer = "boost", .goal = 3},
};

const struct measure_family classes_family =
	MEASURE_FAMILY("classes", rows, goals);
