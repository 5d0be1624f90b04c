/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How many bytes does a heap take for one object?
 *
 * Ours: spans that are not free any more, with their words in the table and their
 * bitmaps. Boost's: what its segment has less afterwards. PMDK's: runs of its pool.
 * Private heaps: pages that the process has more.
 */
#include "blocks.h"
#include "works.h"

enum {
	COUNT = 100000,
	SIZE = 160 << 20,
	RUNS = 2
};

INLINE double
bytes_of_one(const struct heap *h, size_t size)
{
	int64_t before = h->used(), after;

	for (int i = 0; i < COUNT; i++)
		if (!h->alloc(size))
			return -1;
	after = h->used();
	return before < 0 || after < 0 ? -1 : (double)(after - before) / COUNT;
}

/* The heap is a new one each time: nobody frees what was allocated. */
#define SIZED(which) \
 static double which##_size( \
	 const struct measure_row *row, int role, uint64_t ns) \
 { \
  (void)role; \
  (void)ns; \
  return bytes_of_one(&which##_heap, row->param); \
 } \
 HEAP_SIDE_NEW(which, SIZE)

SIZED(stoa);
SIZED(mimalloc);
SIZED(jemalloc);
SIZED(glibc_malloc);
#ifdef BENCH_PMDK
SIZED(pmdk);
#endif
#ifdef BENCH_BOOST
SIZED(boost);
SIZED(boost_seq);
SIZED(boost_node);
SIZED(boost_adaptive);
#endif

#define ROW(n, p, which) \
 { \
  .work = "bytes of a " #n " B object", .peer = (p), .side = &which##_side, \
  .figure = which##_size, .unit = "B", .param = (n), .untouched = true, \
  .runs = RUNS \
 }
#ifdef BENCH_BOOST
 #define BOOST_ROWS(n) \
  , ROW(n, "boost", boost), ROW(n, "boost seq_fit", boost_seq)
 #define POOL_ROWS(n) \
  , ROW(n, "boost node", boost_node), ROW(n, "boost adaptive", boost_adaptive)
#else
 #define BOOST_ROWS(n)
 #define POOL_ROWS(n)
#endif
#ifdef BENCH_PMDK
 #define PMDK_ROW(n) , ROW(n, "pmdk", pmdk)
#else
 #define PMDK_ROW(n)
#endif
#define ROWS(n) \
 ROW(n, "stoa", stoa), ROW(n, "mimalloc", mimalloc), \
	 ROW(n, "jemalloc", jemalloc), \
	 ROW(n, "glibc", glibc_malloc) PMDK_ROW(n) BOOST_ROWS(n)
static const struct measure_row rows[] = {
	ROWS(8),
	ROWS(16),
	ROWS(24),
	ROWS(64) POOL_ROWS(64),
	ROWS(200),
	ROWS(1024),
};

static const struct measure_goal goals[] = {
	{.work = "bytes of a 64 B object",
		.limit = 67.2, /* 1.05 bytes a byte */
		.goal = 1,
		.at_most = true},
};

const struct measure_family size_family =
	MEASURE_FAMILY("open: heap size", rows, goals);
