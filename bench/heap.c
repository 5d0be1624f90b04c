/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a block cost, alone, among many, large, in a program's own order, and from
 * several processes or threads?
 *
 * Ours is the layer's own call, and with publishing: afterwards shared data owns
 * the block, and any process may free it. That is what Boost's allocate gives; in
 * addition ours is whole after a death at any instruction. PMDK's is whole after a
 * death as well, and of one process. mimalloc, jemalloc and malloc are of one process
 * and of one life: the floor. "new and delete" is what programs write, with undo.
 *
 * Each block's first word is written, as if something were stored in it. All are
 * called through a function pointer or, ours and Boost's, a function that knows
 * the segment.
 */
#include "loops.h"
#include "works.h"

enum {
	SIZE = 320 << 20,
	BATCH = 16,
	RUNS = 5 /* of what takes long to begin */
};

/* The side and the loop of one heap. */
#define HEAP(which) \
 static bool which##_loop( \
	 const struct measure_row *row, int role, uint64_t count) \
 { \
  (void)role; \
  return heap_loop(&which##_heap, row->param, count); \
 } \
 HEAP_SIDE(which, SIZE, trace_load, live_make, live_free)

HEAP(stoa);
HEAP(mimalloc);
HEAP(jemalloc);
HEAP(glibc_malloc);
#ifdef BENCH_PMDK
HEAP(pmdk);
#endif
#ifdef BENCH_BOOST
HEAP(boost);
HEAP(boost_seq);
HEAP(boost_node);
HEAP(boost_private_node);
HEAP(boost_cached_node);
HEAP(boost_adaptive);
HEAP(boost_private_adaptive);
HEAP(boost_cached_adaptive);
#endif

/* ---- by transactions ---- */

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

#ifdef BENCH_BOOST
static bool
boost_batch_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += BATCH) {
		uint64_t made[BATCH];

		for (int k = 0; k < BATCH; k++)
			made[k] = boost_heap.alloc(BLOCK_SIZE);
		for (int k = 0; k < BATCH; k++)
			(void)boost_heap.free(made[k]);
	}
	return true;
}
#endif

/* ---- the rows ---- */

/* What lives from the beginning has touched its pages; of large blocks only heads. */
#define LOOP(w, p, which, f, a, n, t) \
 { \
  .work = (w), .peer = (p), .side = &which##_side, .loop = (f), .param = (a), \
  .processes = (n), .threads = (t), .untouched = (a) != LARGE, \
  .runs = (a) == PAIR ? 0 : RUNS \
 }
#define ROW(w, p, which, a) LOOP(w, p, which, which##_loop, a, 1, false)
#define PROCESSES(w, p, which, a, n) \
 LOOP(w, p, which, which##_loop, a, n, false)
#define THREADS(w, p, which, a, n) LOOP(w, p, which, which##_loop, a, n, true)

#ifdef BENCH_PMDK
 #define PMDK_ROW(w, a)        , ROW(w, "pmdk", pmdk, a)
 #define PMDK_THREADS(w, a, n) , THREADS(w, "pmdk", pmdk, a, n)
#else
 #define PMDK_ROW(w, a)
 #define PMDK_THREADS(w, a, n)
#endif
#ifdef BENCH_BOOST
 #define BOOST_ROWS(w, a) \
  , ROW(w, "boost", boost, a), ROW(w, "boost seq_fit", boost_seq, a)
 #define BOOST_PROCESSES(w, a, n) , PROCESSES(w, "boost", boost, a, n)
 #define POOL_ROWS(w, a) \
  , ROW(w, "boost node", boost_node, a), \
	  ROW(w, "boost private_node", boost_private_node, a), \
	  ROW(w, "boost cached_node", boost_cached_node, a), \
	  ROW(w, "boost adaptive", boost_adaptive, a), \
	  ROW(w, "boost private_adapt", boost_private_adaptive, a), \
	  ROW(w, "boost cached_adapt", boost_cached_adaptive, a)
#else
 #define BOOST_ROWS(w, a)
 #define BOOST_PROCESSES(w, a, n)
 #define POOL_ROWS(w, a)
#endif

#define ALONE(w, a) \
 ROW(w, "stoa", stoa, a), ROW(w, "mimalloc", mimalloc, a), \
	 ROW(w, "jemalloc", jemalloc, a), \
	 ROW(w, "glibc", glibc_malloc, a) PMDK_ROW(w, a) BOOST_ROWS(w, a)
/* Private heaps have nothing in common there: what the machine gives. */
#define OF_PROCESSES(w, a, n) \
 PROCESSES(w, "stoa", stoa, a, n), \
	 PROCESSES(w, "jemalloc", jemalloc, a, n) BOOST_PROCESSES(w, a, n)
#define OF_THREADS(w, a, n) \
 THREADS(w, "stoa", stoa, a, n), THREADS(w, "mimalloc", mimalloc, a, n), \
	 THREADS(w, "jemalloc", jemalloc, a, n), \
	 THREADS(w, "glibc", glibc_malloc, a, n) PMDK_THREADS(w, a, n)

static const struct measure_row rows[] = {
	ALONE("alloc and free, 64 B", PAIR)
		POOL_ROWS("alloc and free, 64 B", PAIR),
	OF_PROCESSES("alloc and free, two processes", PAIR, 2),
	OF_PROCESSES("alloc and free, four processes", PAIR, 4),
	OF_THREADS("alloc and free, two threads", PAIR, 2),
	OF_THREADS("alloc and free, four threads", PAIR, 4),
	ALONE("alloc and free, 16-1024 B", PAIR_MIXED),
	ALONE("replace, 64 B", FIXED) POOL_ROWS("replace, 64 B", FIXED),
	OF_PROCESSES("replace, 64 B, two processes", FIXED, 2),
	ALONE("replace, 16-1024 B", MIXED),
	OF_PROCESSES("replace, 16-1024 B, two processes", MIXED, 2),
	OF_THREADS("replace, 16-1024 B, two threads", MIXED, 2),
	ALONE("replace, 64 KiB-4 MiB", LARGE),
	ALONE("replay of a program", REPLAY),
	OF_PROCESSES("replay of a program, two processes", REPLAY, 2),
	LOOP("new and delete, 16 in a tx", "stoa", stoa, new_loop, PAIR, 1,
		false),
	ROW("new and delete, 16 in a tx", "glibc", glibc_malloc, PAIR),
#ifdef BENCH_BOOST
	LOOP("new and delete, 16 in a tx", "boost", boost, boost_batch_loop,
		PAIR, 1, false),
#endif
};

#define TWICE(w, o) \
 { \
  .work = (w), .one = (o), .goal = 1.9 \
 }
#define AT_MOST(w, p, g) \
 { \
  .work = (w), .peer = (p), .goal = (g), .at_most = true \
 }
#define AT_LEAST(w, p, g) \
 { \
  .work = (w), .peer = (p), .goal = (g) \
 }
static const struct measure_goal goals[] = {
	AT_MOST("alloc and free, 64 B", "mimalloc", 2),
	AT_LEAST("alloc and free, 64 B", "boost", 30),
	TWICE("alloc and free, two processes", "alloc and free, 64 B"),
	TWICE("alloc and free, four processes", "alloc and free, 64 B"),
	TWICE("alloc and free, two threads", "alloc and free, 64 B"),
	AT_LEAST("replace, 64 B", "boost", 20),
	AT_MOST("replace, 64 B", "jemalloc", 2),
	TWICE("replace, 64 B, two processes", "replace, 64 B"),
	AT_MOST("replace, 16-1024 B", "mimalloc", 1.3),
	AT_LEAST("replace, 16-1024 B", "boost", 20),
	TWICE("replace, 16-1024 B, two processes", "replace, 16-1024 B"),
	TWICE("replace, 16-1024 B, two threads", "replace, 16-1024 B"),
};

const struct measure_family heap_family = MEASURE_FAMILY("heap", rows, goals);
