/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How many bytes does a heap take for one object of 64 bytes?
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
	SIZE = 64 << 20
};

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

	(void)row;
	(void)role;
	(void)ns;
	for (int i = 0; i < COUNT; i++)
		if (!ours_alloc(BLOCK_SIZE))
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
	const struct allocator *a = (const struct allocator *)row->param;
	long pages[2] = {0};

	(void)role;
	(void)ns;
	for (int i = 0; i < 2; i++) {
		FILE *f;

		for (int k = 0; i == 1 && k < COUNT; k++)
			*(uint64_t *)a->alloc(BLOCK_SIZE) = 1;
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

	(void)row;
	(void)role;
	(void)ns;
	for (int i = 0; i < COUNT; i++)
		if (!boost_alloc_word(BLOCK_SIZE))
			return -1;
	return (double)(before - boost_free_bytes()) / COUNT;
}

static const struct measure_side boost_side = {.start = start_boost};
#endif

static const struct measure_side ours = {.start = start_ours};
static const struct measure_side none = {.there = NULL};
static const struct measure_side mimalloc_side = {.there = mimalloc_there};
static const struct measure_side jemalloc_side = {.there = jemalloc_there};

#define ROW(p, s, f, a) \
 { \
  .work = "bytes of a 64 B object", .peer = (p), .side = &(s), .figure = (f), \
  .unit = "B", .param = (uintptr_t)(a) \
 }
static const struct measure_row rows[] = {
	ROW("stoa", ours, ours_size, NULL),
#ifdef BENCH_BOOST
	ROW("boost", boost_side, boost_size, NULL),
#endif
	ROW("mimalloc", mimalloc_side, private_size, &mimalloc),
	ROW("jemalloc", jemalloc_side, private_size, &jemalloc),
	ROW("glibc", none, private_size, &glibc_malloc),
};

static const struct measure_goal goals[] = {
	{.work = "bytes of a 64 B object",
		.limit = 68,
		.goal = 1,
		.at_most = true},
};

const struct measure_family size_family = MEASURE_FAMILY("size", rows, goals);
