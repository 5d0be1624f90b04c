/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a heap hold of the system's memory for a program whose sizes change?
 *
 *	phase   blocks of this phase's sizes are allocated until PHASE bytes of
 *	        them live beside what the phases before have left; then a random 90 %
 *	        of all that lives is freed
 *
 * Three figures of the same course, each in per cent of the bytes that live: what is
 * held at most, by what lives at most; what is held at the end, when 90 % have been
 * freed for the last time; what is held when all is freed and the heap was asked to
 * give back what it does not need, by what lived at most. What a program did not ask
 * for is not in it: 100 % is the least.
 *
 * Held: pages of the process, of ours those of its segment. A heap that can begin small
 * does; others begin with pages that nobody has touched.
 */
#include "blocks.h"
#include "works.h"
#include <string.h>

enum {
	SIZE = 256 << 20,
	SMALL = 1 << 20,
	PHASE = 8 << 20,
	BLOCKS = 1 << 20, /* alive at once, at most */
	KEEP = 10,        /* of a hundred */
	RUNS = 1          /* the same sizes and choices each time */
};

enum { /* a row's param: which figure */
	AT_MOST,
	AT_THE_END,
	GIVEN_BACK
};

static const struct {
	uint32_t from, to;
} phases[] = {{16, 64}, {200, 400}, {64, 128}, {1000, 2000}, {16, 1024},
	{4096, 16384}, {24, 48}, {20000, 60000}, {16, 256}};

struct one {
	uint64_t block;
	uint64_t size;
};

/* Shared with nobody, but its pages are there before anything is measured. */
static struct one *alive;
static size_t count;
static uint64_t bytes, bytes_most, state;
static int64_t held_before, held_most;

static bool
course_begin(const struct heap *h)
{
	alive = measure_shared(BLOCKS * sizeof *alive);
	if (!alive)
		return false;
	memset(alive, 0, BLOCKS * sizeof *alive);
	state = 1;
	held_before = h->held();
	return held_before >= 0;
}

static int64_t
held_now(const struct heap *h)
{
	const int64_t now = h->held() - held_before;

	if (now > held_most)
		held_most = now;
	return now;
}

/* A program writes to what it has asked for. */
static void
fill(const struct heap *h, const struct one *it)
{
	memset(h->at ? h->at(it->block) : (void *)(uintptr_t)it->block, 1,
		it->size);
}

static bool
grow(const struct heap *h, uint32_t from, uint32_t to)
{
	uint64_t made = 0;

	while (made < PHASE && count < BLOCKS) {
		const uint64_t random = measure_random(&state);
		struct one *it = &alive[count];

		it->size = from + (random >> 32) % (to - from + 1);
		it->block = h->alloc(it->size);
		if (!it->block)
			return measure_failed("churn: alloc");
		fill(h, it);
		made += it->size;
		count++;
	}
	bytes += made;
	if (bytes > bytes_most)
		bytes_most = bytes;
	(void)held_now(h);
	return true;
}

static bool
free_one(const struct heap *h, size_t at)
{
	bytes -= alive[at].size;
	if (!h->free(alive[at].block))
		return measure_failed("churn: free");
	return true;
}

static bool
shrink(const struct heap *h, unsigned keep)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		if (measure_random(&state) % 100 < keep)
			alive[left++] = alive[i];
		else if (!free_one(h, i))
			return false;
	}
	count = left;
	(void)held_now(h);
	return true;
}

static double
course(const struct heap *h, uintptr_t what)
{
	int64_t held;

	if (!course_begin(h))
		return -1;
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
		if (!grow(h, phases[i].from, phases[i].to) || !shrink(h, KEEP))
			return -1;
	if (what == AT_MOST)
		return 100.0 * (double)held_most / (double)bytes_most;
	if (what == AT_THE_END)
		return 100.0 * (double)held_now(h) / (double)bytes;
	if (!shrink(h, 0))
		return -1;
	if (h->give_back)
		h->give_back();
	held = held_now(h);
	return held < 0 ? 0 : 100.0 * (double)held / (double)bytes_most;
}

#define CHURNED(which) \
 static double which##_churned( \
	 const struct measure_row *row, int role, uint64_t ns) \
 { \
  (void)role; \
  (void)ns; \
  return course(&which##_heap, row->param); \
 } \
 HEAP_SIDE_NEW(which, which##_heap.grows ? SMALL : SIZE)

CHURNED(stoa);
CHURNED(mimalloc);
CHURNED(jemalloc);
CHURNED(glibc_malloc);
#ifdef BENCH_PMDK
CHURNED(pmdk);
#endif
#ifdef BENCH_BOOST
CHURNED(boost);
#endif

#define ROW(w, p, which, a) \
 { \
  .work = (w), .peer = (p), .side = &which##_side, .figure = which##_churned, \
  .unit = "%", .param = (a), .untouched = true, .runs = RUNS \
 }
#ifdef BENCH_BOOST
 #define BOOST_ROW(w, a) , ROW(w, "boost", boost, a)
#else
 #define BOOST_ROW(w, a)
#endif
#ifdef BENCH_PMDK
 #define PMDK_ROW(w, a) , ROW(w, "pmdk", pmdk, a)
#else
 #define PMDK_ROW(w, a)
#endif
#define ROWS(w, a) \
 ROW(w, "stoa", stoa, a), ROW(w, "mimalloc", mimalloc, a), \
	 ROW(w, "jemalloc", jemalloc, a), \
	 ROW(w, "glibc", glibc_malloc, a) PMDK_ROW(w, a) BOOST_ROW(w, a)
static const struct measure_row rows[] = {
	ROWS("churn: held at most", AT_MOST),
	ROWS("churn: held after 90 % freed", AT_THE_END),
	ROWS("churn: held after all freed", GIVEN_BACK),
};

static const struct measure_goal goals[] = {
	{.work = "churn: held after all freed",
		.limit = 5,
		.goal = 1,
		.at_most = true},
};

const struct measure_family churn_family =
	MEASURE_FAMILY("heap: churn", rows, goals);
