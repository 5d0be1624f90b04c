/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a lock cost that nobody else wants, and do readers get in each other's
 * way?
 *
 * "lock" and "shared lock" are the layer's own calls: what every scope pays for
 * each lock. Peers do less: a robust mutex of glibc's reports a dead owner and
 * leaves the repair to its user; Boost's refuses for ever after one; a reader that
 * dies leaves glibc's and Boost's shared locks taken for good.
 *
 * "scope of a lock" and "read scope" are what programs write: a transaction that
 * changes nothing, with all that it needs to be able to.
 */
#include "ours.h"
#include "peer_boost.h"
#include "peer_glibc.h"
#include "sync/lock.h"
#include "works.h"

enum {
	SIZE = 1 << 20
};

/* ---- ours ---- */

static bool
open_ours(void)
{
	return ours_open(SIZE);
}

static bool
lock_loop(const struct measure_row *row, int role, uint64_t count)
{
	struct stoai_seat *seat = ours_seat;
	void *mutex = (void *)(uintptr_t)&ours_cell->mutex;

	(void)row;
	(void)role;
	for (; count > 0; count--) {
		if (stoai_lock(seat, mutex, STOAI_MODE_MUTEX, STOA_FOREVER,
			    STOAI_LOCK_USER))
			return ours_done(-1);
		measure_use(mutex);
		stoai_unlock(seat, mutex);
	}
	return true;
}

static bool
shared_loop(const struct measure_row *row, int role, uint64_t count)
{
	struct stoai_seat *seat = ours_seat;
	void *lock = (void *)(uintptr_t)&ours_cell->lock;

	(void)row;
	(void)role;
	for (; count > 0; count--) {
		if (stoai_lock(seat, lock, STOAI_MODE_SHARED, STOA_FOREVER,
			    STOAI_LOCK_USER))
			return ours_done(-1);
		measure_use(lock);
		stoai_unlock(seat, lock);
	}
	return true;
}

static bool
scope_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		measure_use(ours_cell);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
read_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		STOA_READ(rd, ours_segment, &ours_cell->lock);
		measure_use(ours_cell);
		if (stoa_tx_error(rd))
			return ours_done(-1);
	}
	return true;
}

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static bool
open_boost(void)
{
	return boost_open(SIZE);
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = boost_start, .close = boost_close};
#endif

static const struct measure_side ours = {.open = open_ours,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close};

#define ROW(w, p, s, f, a, n) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f), .param = (a), \
  .processes = (n) \
 }
static const struct measure_row rows[] = {
	ROW("lock", "stoa", ours, lock_loop, 0, 1),
	ROW("lock", "glibc robust", glibc_side, glibc_mutex_loop, GLIBC_ROBUST,
		1),
	ROW("lock", "glibc", glibc_side, glibc_mutex_loop, GLIBC_PLAIN, 1),
#ifdef BENCH_BOOST
	ROW("lock", "boost", boost_side, boost_lock_loop, 0, 1),
#endif
	ROW("shared lock", "stoa", ours, shared_loop, 0, 1),
	ROW("shared lock", "glibc", glibc_side, glibc_rwlock_loop, STOA_SHARED,
		1),
#ifdef BENCH_BOOST
	ROW("shared lock", "boost", boost_side, boost_shared_loop, 0, 1),
#endif
	ROW("shared lock, two readers", "stoa", ours, shared_loop, 0, 2),
	ROW("shared lock, two readers", "glibc", glibc_side, glibc_rwlock_loop,
		STOA_SHARED, 2),
#ifdef BENCH_BOOST
	ROW("shared lock, two readers", "boost", boost_side, boost_shared_loop,
		0, 2),
#endif
	ROW("scope of a lock", "stoa", ours, scope_loop, 0, 1),
	ROW("scope of a lock", "glibc robust", glibc_side, glibc_mutex_loop,
		GLIBC_ROBUST, 1),
	ROW("read scope", "stoa", ours, read_loop, 0, 1),
	ROW("read scope", "glibc", glibc_side, glibc_rwlock_loop, STOA_SHARED,
		1),
	ROW("read scope, two readers", "stoa", ours, read_loop, 0, 2),
	ROW("read scope, two readers", "glibc", glibc_side, glibc_rwlock_loop,
		STOA_SHARED, 2),
};

static const struct measure_goal goals[] = {
	{.work = "lock", .peer = "glibc robust", .goal = 1.05, .at_most = true},
	{.work = "shared lock, two readers", .one = "shared lock", .goal = 1.8},
	{.work = "read scope, two readers", .one = "read scope", .goal = 1.8},
};

const struct measure_family lock_family = MEASURE_FAMILY("lock", rows, goals);
