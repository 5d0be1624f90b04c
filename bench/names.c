/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does it cost to find one of 100 000 objects by its name, and do two
 * processes that look get in each other's way?
 *
 * Ours is stoa_object_open of what is there: it checks the type too. Boost's is
 * segment.find<T>(name), LMDB's mdb_get in a renewed read transaction.
 */
#include "peer_boost.h"
#include "peer_lmdb.h"
#include "ours.h"
#include "works.h"
#include <stdio.h>
#include <stdlib.h>

enum {
	NAMES = 100000,
	NAME_SIZE = 24,
	SIZE = 64 << 20,
	IN_TX = 100
};

static char (*names)[NAME_SIZE];
static uint64_t state;

static const char *
name_of(uint64_t i)
{
	return names[i];
}

static bool
names_make(void)
{
	if (names)
		return true;
	names = calloc(NAMES, NAME_SIZE);
	for (unsigned i = 0; names && i < NAMES; i++)
		(void)snprintf(names[i], NAME_SIZE, "account.%u.balance", i);
	return names != NULL;
}

static const char *
next_name(void)
{
	return names[(measure_random(&state) >> 32) * NAMES >> 32];
}

/* ---- ours ---- */

static bool
open_ours(void)
{
	if (!names_make() || !ours_open(SIZE))
		return false;
	for (unsigned i = 0; i < NAMES; i += IN_TX) {
		STOA_TX(tx, ours_segment);
		for (unsigned k = i; k < i + IN_TX; k++)
			*stoa_object_create(tx, names[k], uint64_t) = k;
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
start_ours(const struct measure_row *row, int role)
{
	state = (uint64_t)role;
	return ours_start(row, role);
}

static bool
ours_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		const uint64_t *p;

		if (stoa_object_open(ours_segment, next_name(), uint64_t, &p))
			return ours_done(-1);
		measure_use(p);
	}
	return true;
}

/* ---- theirs ---- */

#ifdef BENCH_BOOST
static bool
open_boost(void)
{
	return names_make() && boost_open(SIZE) &&
	       boost_names_make(name_of, NAMES);
}

static bool
start_boost(const struct measure_row *row, int role)
{
	state = (uint64_t)role;
	return boost_start(row, role);
}

static bool
boost_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--)
		if (!boost_name_find(next_name()))
			return measure_failed("boost: not found");
	return true;
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = start_boost, .close = boost_close};
#endif

#ifdef BENCH_LMDB
static bool
open_lmdb(void)
{
	return names_make() && lmdb_open() && lmdb_names_make(name_of, NAMES);
}

static bool
start_lmdb(const struct measure_row *row, int role)
{
	state = (uint64_t)role;
	return lmdb_start(row, role);
}

static bool
lmdb_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--)
		if (!lmdb_name_find(next_name()))
			return measure_failed("lmdb: not found");
	return true;
}

static const struct measure_side lmdb_side = {.open = open_lmdb,
	.start = start_lmdb,
	.stop = lmdb_stop,
	.close = lmdb_close};
#endif

static const struct measure_side ours_side = {.open = open_ours,
	.start = start_ours,
	.stop = ours_stop,
	.close = ours_close};

#define ROW(w, p, which, n) \
 { \
  .work = (w), .peer = (p), .side = &which##_side, .loop = which##_loop, \
  .processes = (n) \
 }
static const struct measure_row rows[] = {
	ROW("find by name", "stoa", ours, 1),
#ifdef BENCH_BOOST
	ROW("find by name", "boost", boost, 1),
#endif
#ifdef BENCH_LMDB
	ROW("find by name", "lmdb", lmdb, 1),
#endif
	ROW("find by name, two processes", "stoa", ours, 2),
#ifdef BENCH_BOOST
	ROW("find by name, two processes", "boost", boost, 2),
#endif
#ifdef BENCH_LMDB
	ROW("find by name, two processes", "lmdb", lmdb, 2),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "find by name", .peer = "boost", .goal = 3},
	{.work = "find by name, two processes",
		.one = "find by name",
		.goal = 1.9},
};

const struct measure_family names_family =
	MEASURE_FAMILY("open: names", rows, goals);
