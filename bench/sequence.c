/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What do a vector of a million numbers and a string that grows by 16 bytes cost?
 *
 * Ours changes in a transaction that a death undoes, Boost's under an
 * interprocess_mutex: 1000 pushes under one lock, as one fills a vector, and 16;
 * 16 appends. All begin empty and grow.
 */
#include "ours.h"
#include "peer_boost.h"
#include "works.h"

enum {
	PUSHES = 1000000,
	APPENDS = 65536, /* of 16 bytes: 1 MiB */
	SIZE = 64 << 20,
	FILL = 1000, /* under one lock */
	BATCH = 16
};

#define STOA_NAME sequence
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

typedef struct box {
	sequence vec;
	stoa_str str;
} box;
STOA_TYPE(box, (vec, sequence), str);

static const box *ours_box;
static const char text[] = "sixteen letters.";

static double
per_work(uint64_t from, uint64_t count)
{
	return (double)(measure_clock() - from) / (double)count;
}

/* ---- ours ---- */

static double
push_by(uint64_t batch)
{
	uint64_t from;

	if (!ours_done(STOA_DO(tx, (ours_segment, &ours_cell->mutex),
		    sequence_clear(tx, &ours_box->vec))))
		return -1;
	from = measure_clock();
	for (uint64_t i = 0; i < PUSHES; i += batch) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (uint64_t k = i; k < i + batch; k++)
			(void)sequence_push(tx, &ours_box->vec, k);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return per_work(from, PUSHES);
}

static double
ours_fill(const struct measure_row *row, int role, uint64_t ns)
{
	(void)row;
	(void)role;
	(void)ns;
	return push_by(FILL);
}

static double
ours_push(const struct measure_row *row, int role, uint64_t ns)
{
	(void)row;
	(void)role;
	(void)ns;
	return push_by(BATCH);
}

static double
ours_append(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t from;

	(void)row;
	(void)role;
	(void)ns;
	if (!ours_done(STOA_DO(tx, (ours_segment, &ours_cell->mutex),
		    stoa_str_set(tx, &ours_box->str, ""))))
		return -1;
	from = measure_clock();
	for (uint64_t i = 0; i < APPENDS; i += BATCH) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		for (int k = 0; k < BATCH; k++)
			stoa_str_append(tx, &ours_box->str, text);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return per_work(from, APPENDS);
}

static bool
open_ours(void)
{
	return ours_open(SIZE) &&
	       ours_done(stoa_object_open(ours_segment, "box", box, &ours_box));
}

static const struct measure_side ours_side = {.open = open_ours,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close};

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static double
boost_push_by(uint64_t batch)
{
	uint64_t from;

	if (!boost_vec_clear())
		return -1;
	from = measure_clock();
	return boost_vec_push(PUSHES, batch) ? per_work(from, PUSHES) : -1;
}

static double
boost_fill(const struct measure_row *row, int role, uint64_t ns)
{
	(void)row;
	(void)role;
	(void)ns;
	return boost_push_by(FILL);
}

static double
boost_push(const struct measure_row *row, int role, uint64_t ns)
{
	(void)row;
	(void)role;
	(void)ns;
	return boost_push_by(BATCH);
}

static double
boost_append(const struct measure_row *row, int role, uint64_t ns)
{
	uint64_t from;

	(void)row;
	(void)role;
	(void)ns;
	if (!boost_str_clear())
		return -1;
	from = measure_clock();
	return boost_str_append(text, sizeof text - 1, APPENDS)
		       ? per_work(from, APPENDS)
		       : -1;
}

static bool
open_boost(void)
{
	return boost_open(SIZE) && boost_containers_make(0);
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = boost_start, .close = boost_close};
#endif

#define ROW(w, p, s, f) \
 { \
  .work = (w), .peer = (p), .side = &(s), .figure = (f) \
 }
static const struct measure_row rows[] = {
	ROW("vec push", "stoa", ours_side, ours_fill),
#ifdef BENCH_BOOST
	ROW("vec push", "boost", boost_side, boost_fill),
#endif
	ROW("vec push, 16 a lock", "stoa", ours_side, ours_push),
#ifdef BENCH_BOOST
	ROW("vec push, 16 a lock", "boost", boost_side, boost_push),
#endif
	ROW("str append", "stoa", ours_side, ours_append),
#ifdef BENCH_BOOST
	ROW("str append", "boost", boost_side, boost_append),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "vec push", .peer = "boost", .goal = 2},
	{.work = "str append", .peer = "boost", .goal = 3},
};

const struct measure_family sequence_family =
	MEASURE_FAMILY("sequence", rows, goals);
