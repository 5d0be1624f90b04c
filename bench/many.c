/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What do many blocks cost by one call, and a block that changes its length?
 *
 * Ours are the public calls, in a transaction: all could be undone, and are whole
 * after a death. "one by one" is the same by single calls in one transaction.
 * Boost's allocate_many makes a chain; its allocation_command resizes in place.
 */
#include "blocks.h"
#include "works.h"
#include <stoa/memory.h>

enum {
	SIZE = 64 << 20,
	MANY = 64,
	MIXED = 1, /* params */
	SHORT = 256 << 10,
	LONG = 512 << 10
};

static uint64_t sizes[MANY];
static const void *block; /* of this worker */

static bool
sizes_make(void)
{
	for (uint64_t i = 0; i < MANY; i++)
		sizes[i] = 16 + (i * 613) % 1009;
	return true;
}

/* ---- ours ---- */

static bool
many_loop(const struct measure_row *row, int role, uint64_t count)
{
	void *p[MANY];

	(void)role;
	for (uint64_t i = 0; i < count; i += MANY) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		if (row->param == MIXED)
			(void)stoa_alloc_sizes(tx, MANY, sizes, 16, p);
		else
			(void)stoa_alloc_many(tx, MANY, BLOCK_SIZE, 16, p);
		for (int k = 0; k < MANY; k++)
			*(uint64_t *)p[k] = i;
		stoa_free_many(tx, MANY, (const void *const *)p);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
single_loop(const struct measure_row *row, int role, uint64_t count)
{
	void *p[MANY];

	(void)role;
	for (uint64_t i = 0; i < count; i += MANY) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (int k = 0; k < MANY; k++) {
			p[k] = stoa_alloc(tx,
				row->param == MIXED ? sizes[k] : BLOCK_SIZE,
				16);
			*(uint64_t *)p[k] = i;
		}
		for (int k = 0; k < MANY; k++)
			stoa_free(tx, p[k]);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
resize_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i++) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		if (stoa_resize(tx, block, i & 1 ? SHORT : LONG, 16) != block ||
			stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
open_ours(void)
{
	return sizes_make() && ours_open(SIZE);
}

static bool
start_ours(const struct measure_row *row, int role)
{
	if (!ours_start(row, role))
		return false;
	STOA_TX(tx, ours_segment, &ours_cell->mutex);
	block = stoa_alloc(tx, LONG, 16);
	return ours_done(stoa_tx_commit(tx));
}

static void
stop_ours(const struct measure_row *row, int role)
{
	const int rc = STOA_DO(
		tx, (ours_segment, &ours_cell->mutex), stoa_free(tx, block));

	(void)ours_done(rc);
	ours_stop(row, role);
}

static const struct measure_side ours_side = {.open = open_ours,
	.start = start_ours,
	.stop = stop_ours,
	.close = ours_close};

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static bool
boost_many_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += MANY)
		if (!boost_many(BLOCK_SIZE, MANY))
			return false;
	return true;
}

static bool
boost_single_loop(const struct measure_row *row, int role, uint64_t count)
{
	void *p[MANY];

	(void)role;
	for (uint64_t i = 0; i < count; i += MANY) {
		for (int k = 0; k < MANY; k++)
			p[k] = boost_alloc(
				row->param == MIXED ? sizes[k] : BLOCK_SIZE);
		for (int k = 0; k < MANY; k++)
			boost_free(p[k]);
	}
	return true;
}

static bool
boost_resize_loop(const struct measure_row *row, int role, uint64_t count)
{
	void *p = (void *)(uintptr_t)block;

	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i++)
		if (!boost_resize(
			    p, i & 1 ? LONG : SHORT, i & 1 ? SHORT : LONG))
			return measure_failed("boost: resize");
	return true;
}

static bool
open_boost(void)
{
	return sizes_make() && boost_open(SIZE);
}

static bool
start_boost(const struct measure_row *row, int role)
{
	block = boost_start(row, role) ? boost_alloc(SHORT) : NULL;
	return block != NULL;
}

static void
stop_boost(const struct measure_row *row, int role)
{
	(void)row;
	(void)role;
	boost_free((void *)(uintptr_t)block);
}

static const struct measure_side boost_side = {.open = open_boost,
	.start = start_boost,
	.stop = stop_boost,
	.close = boost_close};
#endif

#define ROW(w, p, s, f, a) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f), .param = (a), \
  .processes = 1 \
 }
static const struct measure_row rows[] = {
	ROW("64 at once, 64 B", "stoa", ours_side, many_loop, 0),
	ROW("64 one by one, 64 B", "stoa", ours_side, single_loop, 0),
	ROW("64 at once, 16-1024 B", "stoa", ours_side, many_loop, MIXED),
	ROW("64 one by one, 16-1024 B", "stoa", ours_side, single_loop, MIXED),
	ROW("resize in place, 256 KiB", "stoa", ours_side, resize_loop, 0),
#ifdef BENCH_BOOST
	ROW("64 at once, 64 B", "boost", boost_side, boost_many_loop, 0),
	ROW("64 one by one, 64 B", "boost", boost_side, boost_single_loop, 0),
	ROW("64 one by one, 16-1024 B", "boost", boost_side, boost_single_loop,
		MIXED),
	ROW("resize in place, 256 KiB", "boost", boost_side, boost_resize_loop,
		0),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "64 at once, 64 B", .peer = "boost", .goal = 1},
	{.work = "64 at once, 64 B", .one = "64 one by one, 64 B", .goal = 1},
};

const struct measure_family many_family =
	MEASURE_FAMILY("heap: many", rows, goals);
