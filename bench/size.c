/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How many bytes does a heap take for one object, and for one with a name?
 *
 * Ours: spans that are not free any more, with their words in the table and their
 * bitmaps. Boost's: what its segment has less afterwards. Private heaps: pages
 * that the process has more.
 */
#include "allocators.h"
#include "blocks.h"
#include "heap/span.h"
#include "works.h"
#include <stdio.h>
#include <unistd.h>

enum {
	COUNT = 200000,
	SIZE = 320 << 20
};

/* A row's param: which allocator, and how large an object. */
enum {
	OURS,
	MIMALLOC,
	JEMALLOC,
	GLIBC,
	OF_SIZE = 3 /* bits before the size */
};

static size_t
size_of(const struct measure_row *row)
{
	return row->param >> OF_SIZE;
}

static const struct allocator *
allocator_of(const struct measure_row *row)
{
	const struct allocator *const all[] = {
		NULL, &mimalloc, &jemalloc, &glibc_malloc};

	return all[row->param & ((1u << OF_SIZE) - 1)];
}

static uint64_t
spans_used(void)
{
	uint64_t count = stoai_span_count(ours_segment), used = 0, step;

	for (uint64_t at = 0; at < count; at += step) {
		uint64_t word = stoai_span_load(ours_segment, at);

		step = stoai_span_step(word);
		if (stoai_span_state(word) != STOAI_SPAN_FREE)
			used += step;
	}
	return used;
}

static double
ours_size(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t before = spans_used(), bytes;

	(void)role;
	(void)ns;
	for (int i = 0; i < COUNT; i++)
		if (!ours_alloc(size_of(row)))
			return -1;
	bytes = (UINT64_C(1) << ours_segment->span_shift) + sizeof(uint64_t) +
		ours_segment->meta_stride;
	return (double)((spans_used() - before) * bytes) / COUNT;
}

/* The segment is a new one each time: nobody frees what was allocated. */
static bool
start_ours(const struct measure_row *row, int role)
{
	return ours_open(SIZE) && ours_start(row, role);
}

static double
private_size(const struct measure_row *row, int role, uint64_t ns)
{
	const struct allocator *a = allocator_of(row);
	long pages[2] = {0};

	(void)role;
	(void)ns;
	for (int i = 0; i < 2; i++) {
		FILE *f;

		for (int k = 0; i == 1 && k < COUNT; k++)
			*(uint64_t *)a->alloc(size_of(row)) = 1;
		f = fopen("/proc/self/statm", "re");
		if (!f || fscanf(f, "%*d %ld", &pages[i]) != 1)
			return -1;
		(void)fclose(f);
	}
	return (double)((pages[1] - pages[0]) * sysconf(_SC_PAGESIZE)) / COUNT;
}

static bool
mimalloc_there(void)
{
	return mimalloc.version[0] != '\0';
}

static bool
jemalloc_there(void)
{
	return jemalloc.version[0] != '\0';
}

#ifdef BENCH_BOOST
static bool
start_boost(const struct measure_row *row, int role)
{
	return boost_open(SIZE) && boost_start(row, role);
}

static double
boost_size(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t before = boost_free_bytes();

	(void)role;
	(void)ns;
	for (int i = 0; i < COUNT; i++)
		if (!boost_alloc_word(size_of(row)))
			return -1;
	return (double)(before - boost_free_bytes()) / COUNT;
}

static const struct measure_side boost_side = {.start = start_boost};
#endif

static const struct measure_side ours = {.start = start_ours};
static const struct measure_side none = {.there = NULL};
static const struct measure_side mimalloc_side = {.there = mimalloc_there};
static const struct measure_side jemalloc_side = {.there = jemalloc_there};

#define ROW(n, p, s, f, a) \
 { \
  .work = "bytes of a " #n " B object", .peer = (p), .side = &(s), \
  .figure = (f), .unit = "B", .param = (n) << OF_SIZE | (a) \
 }
#ifdef BENCH_BOOST
 #define BOOST_ROW(n) , ROW(n, "boost", boost_side, boost_size, OURS)
#else
 #define BOOST_ROW(n)
#endif
#define ROWS(n) \
 ROW(n, "stoa", ours, ours_size, OURS), \
	 ROW(n, "mimalloc", mimalloc_side, private_size, MIMALLOC), \
	 ROW(n, "jemalloc", jemalloc_side, private_size, JEMALLOC), \
	 ROW(n, "glibc", none, private_size, GLIBC) BOOST_ROW(n)
static const struct measure_row rows[] = {
	ROWS(8),
	ROWS(16),
	ROWS(64),
	ROWS(200),
	ROWS(1024),
};

static const struct measure_goal goals[] = {
	{.work = "bytes of a 64 B object",
		.limit = 68, /* 1.06 bytes a byte */
		.goal = 1,
		.at_most = true},
};

const struct measure_family size_family =
	MEASURE_FAMILY("open: size", rows, goals);
