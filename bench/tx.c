/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does it cost to change one word so that a death cannot leave it half
 * changed?
 *
 * Ours and LMDB's can be undone; glibc and Boost change the word in place under a
 * lock, which is what people do without transactions.
 */
#include "peer_boost.h"
#include "peer_lmdb.h"
#include "ours.h"
#include "works.h"
#include <pthread.h>

enum {
	SIZE = 1 << 20
};

struct guarded {
	pthread_mutex_t mutex;
	uint64_t value;
};

static struct guarded *theirs;

static bool
open_ours(void)
{
	return ours_open(SIZE);
}

static bool
word_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		STOA_ADD(tx, ours_cell->value, 1);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
segment_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		STOA_TX(tx, ours_segment);
		STOA_ADD(tx, ours_cell->value, 1);
		if (stoa_tx_commit(tx))
			return ours_done(-1);
	}
	return true;
}

static bool
open_glibc(void)
{
	pthread_mutexattr_t attr;
	int rc;

	theirs = measure_shared(sizeof *theirs);
	if (!theirs)
		return false;
	rc = pthread_mutexattr_init(&attr);
	rc |= pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	rc |= pthread_mutex_init(&theirs->mutex, &attr);
	return !rc || measure_failed("glibc: no mutex");
}

static bool
glibc_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		if (pthread_mutex_lock(&theirs->mutex))
			return false;
		theirs->value++;
		measure_use(theirs);
		if (pthread_mutex_unlock(&theirs->mutex))
			return false;
	}
	return true;
}

#ifdef BENCH_BOOST
static bool
open_boost(void)
{
	return boost_open(SIZE);
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = boost_start, .close = boost_close};
#endif
#ifdef BENCH_LMDB
static const struct measure_side lmdb = {.open = lmdb_open,
	.start = lmdb_start,
	.stop = lmdb_stop,
	.close = lmdb_close};
#endif
static const struct measure_side ours = {.open = open_ours,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close};
static const struct measure_side glibc = {.open = open_glibc};

#define ROW(w, p, s, f) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f) \
 }
static const struct measure_row rows[] = {
	ROW("tx of one word, mutex", "stoa", ours, word_loop),
	ROW("tx of one word, mutex", "glibc robust", glibc, glibc_loop),
#ifdef BENCH_BOOST
	ROW("tx of one word, mutex", "boost", boost_side, boost_word_loop),
#endif
#ifdef BENCH_LMDB
	ROW("tx of one word, mutex", "lmdb", lmdb, lmdb_word_loop),
#endif
	ROW("tx of one word, segment's lock", "stoa", ours, segment_loop),
};

const struct measure_family tx_family = {
	"tx", rows, sizeof rows / sizeof *rows, NULL, 0};
