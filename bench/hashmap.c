/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a hash map of a million numbers cost?
 *
 * Every 16 changes or look-ups are made under one lock: ours in a transaction that
 * a death undoes, Boost's under an interprocess_mutex, LMDB's in its transaction
 * (of 1024 puts, since its commits are dear). Boost's is boost::unordered_map with
 * the segment's allocator. Keys come in a random order. The maps begin small and
 * grow.
 */
#include "peer_boost.h"
#include "peer_lmdb.h"
#include "ours.h"
#include "works.h"

enum {
	KEYS = 1000000,
	SIZE = 384 << 20,
	BATCH = 16
};

#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#define STOA_INLINE
#include <stoa/template/hashmap.h>

typedef struct box {
	numbers full, map; /* full: for finding; map: filled and emptied */
} box;
STOA_TYPE(box, (full, numbers), (map, numbers));

static const box *ours_box;

static double
per_work(uint64_t from, uint64_t count)
{
	return (double)(measure_clock() - from) / (double)count;
}

/* ---- ours ---- */

static bool
map_fill(const numbers *m)
{
	for (uint64_t i = 0; i < KEYS; i += BATCH) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (uint64_t k = i; k < i + BATCH; k++)
			numbers_put(tx, m, measure_key(k), k);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
map_empty(const numbers *m)
{
	return ours_done(STOA_DO(
		tx, (ours_segment, &ours_cell->mutex), numbers_clear(tx, m)));
}

static double
ours_insert(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t from;

	(void)row;
	(void)role;
	(void)ns;
	if (!map_empty(&ours_box->map))
		return -1;
	from = measure_clock();
	return map_fill(&ours_box->map) ? per_work(from, KEYS) : -1;
}

static double
ours_erase(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t from;

	(void)row;
	(void)role;
	(void)ns;
	if (!map_empty(&ours_box->map) || !map_fill(&ours_box->map))
		return -1;
	from = measure_clock();
	for (uint64_t i = 0; i < KEYS; i += BATCH) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (uint64_t k = i; k < i + BATCH; k++)
			(void)numbers_remove(
				tx, &ours_box->map, measure_key(k));
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return per_work(from, KEYS);
}

static bool
ours_find_loop(const struct measure_row *row, int role, uint64_t count)
{
	static uint64_t state;

	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += BATCH) {
		STOA_READ(rd, ours_segment, &ours_cell->lock);
		for (int k = 0; k < BATCH; k++) {
			uint64_t n =
				(measure_random(&state) >> 32) * KEYS >> 32;

			if (!numbers_get(rd, &ours_box->full, measure_key(n)))
				return ours_done(-1);
		}
	}
	return true;
}

static bool
open_ours(void)
{
	return ours_open(SIZE) &&
	       ours_done(
		       stoa_object_open(ours_segment, "box", box, &ours_box)) &&
	       map_fill(&ours_box->full);
}

/* ---- Boost and LMDB ---- */

#if defined BENCH_BOOST || defined BENCH_LMDB
/* ns for one of count works; < 0: failed */
static double
timed(bool ready, bool (*work)(uint64_t count), uint64_t count)
{
	uint64_t from = measure_clock();

	return ready && work(count) ? per_work(from, count) : -1;
}

 #define THEIRS(which, ready, work, count) \
  static double which(const struct measure_row *row, int role, uint64_t ns) \
  { \
   (void)row; \
   (void)role; \
   (void)ns; \
   return timed(ready, work, count); \
  }
#endif

#ifdef BENCH_BOOST
THEIRS(boost_insert, boost_map_clear(), boost_map_insert, KEYS)
THEIRS(boost_erase, boost_map_clear() && boost_map_insert(KEYS),
	boost_map_erase, KEYS)
static bool
open_boost(void)
{
	return boost_open(SIZE) && boost_containers_make(KEYS);
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = boost_start, .close = boost_close};
#endif
#ifdef BENCH_LMDB
THEIRS(lmdb_insert, lmdb_map_clear(), lmdb_map_insert, KEYS)
THEIRS(lmdb_erase, lmdb_map_fill(KEYS), lmdb_map_erase, KEYS)

/* Finding wants it full, whatever the row before did. */
static bool
start_lmdb(const struct measure_row *row, int role)
{
	return lmdb_start(row, role) && (row->figure || lmdb_map_fill(KEYS));
}

static const struct measure_side lmdb_side = {.open = lmdb_open,
	.start = start_lmdb,
	.stop = lmdb_stop,
	.close = lmdb_close};
#endif

static const struct measure_side ours_side = {.open = open_ours,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close};

#define ROW(w, p, s, f) \
 { \
  .work = (w), .peer = (p), .side = &(s), .figure = (f) \
 }
#define LOOP(w, p, s, f) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f) \
 }
static const struct measure_row rows[] = {
	ROW("hashmap insert", "stoa", ours_side, ours_insert),
#ifdef BENCH_BOOST
	ROW("hashmap insert", "boost", boost_side, boost_insert),
#endif
#ifdef BENCH_LMDB
	ROW("hashmap insert", "lmdb", lmdb_side, lmdb_insert),
#endif
	LOOP("hashmap find", "stoa", ours_side, ours_find_loop),
#ifdef BENCH_BOOST
	LOOP("hashmap find", "boost", boost_side, boost_map_find_loop),
#endif
#ifdef BENCH_LMDB
	LOOP("hashmap find", "lmdb", lmdb_side, lmdb_map_find_loop),
#endif
	ROW("hashmap erase", "stoa", ours_side, ours_erase),
#ifdef BENCH_BOOST
	ROW("hashmap erase", "boost", boost_side, boost_erase),
#endif
#ifdef BENCH_LMDB
	ROW("hashmap erase", "lmdb", lmdb_side, lmdb_erase),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "hashmap insert", .peer = "boost", .goal = 6},
	{.work = "hashmap find", .peer = "boost", .goal = 2.5},
};

const struct measure_family hashmap_family =
	MEASURE_FAMILY("hashmap", rows, goals);
