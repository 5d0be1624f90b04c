/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does it cost to open a segment that is there, find one object in it, and
 * close it again?
 *
 * Ours opens by name, checks the header, gets a slot and its token, and gives all
 * of it back; it may map up to 64 GiB, of which nothing is touched. "shm_open and
 * mmap" is the floor: 1 MiB mapped, one word read, no check.
 */
#include "ours.h"
#include "peer_boost.h"
#include "peer_lmdb.h"
#include "works.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SIZE = 1 << 20
};

static char name[64];

static const stoa_segment_options *
options(void)
{
	static stoa_segment_options o = {.struct_size = sizeof o, .size = SIZE};

	if (!o.domain)
		o.domain = "bench";
	return &o;
}

static bool
open_ours(void)
{
	stoa_segment *seg = NULL;
	const uint64_t *word;

	(void)snprintf(name, sizeof name, "bench-%d", (int)getpid());
	if (!ours_done(stoa_segment_open(
		    name, STOA_CREATE | STOA_EXCL, options(), &seg)) ||
		!ours_done(stoa_object_open(seg, "word", uint64_t, &word)))
		return false;
	(void)stoa_segment_close(seg);
	return true;
}

static bool
ours_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		stoa_segment *seg = NULL;
		const uint64_t *word;

		if (!ours_done(stoa_segment_open(name, 0, options(), &seg)) ||
			!ours_done(
				stoa_object_open(seg, "word", uint64_t, &word)))
			return false;
		measure_use(word);
		(void)stoa_segment_close(seg);
	}
	return true;
}

static void
close_ours(void)
{
	(void)stoa_segment_unlink(name, 0, options());
}

/* ---- the floor ---- */

static char floor_name[64];

static bool
open_floor(void)
{
	int fd;

	(void)snprintf(floor_name, sizeof floor_name, "/stoa-bench-floor-%d",
		(int)getpid());
	fd = shm_open(floor_name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, SIZE))
		return measure_failed("shm_open");
	(void)close(fd);
	return true;
}

static bool
floor_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		int fd = shm_open(floor_name, O_RDWR, 0);
		struct stat s;
		uint64_t *p;

		if (fd < 0 || fstat(fd, &s))
			return measure_failed("shm_open");
		p = mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
		(void)close(fd);
		if (p == MAP_FAILED)
			return measure_failed("mmap");
		__atomic_fetch_add(p, 1, __ATOMIC_RELAXED);
		(void)munmap(p, (size_t)s.st_size);
	}
	return true;
}

static void
close_floor(void)
{
	(void)shm_unlink(floor_name);
}

static const struct measure_side ours = {
	.open = open_ours, .close = close_ours};
static const struct measure_side flat = {
	.open = open_floor, .close = close_floor};
#ifdef BENCH_BOOST
static const struct measure_side boost = {
	.open = boost_attach_open, .close = boost_attach_close};
#endif
#ifdef BENCH_LMDB
static const struct measure_side lmdb = {
	.open = lmdb_open, .close = lmdb_close};
#endif

#define ROW(p, s, f) \
 { \
  .work = "attach", .peer = (p), .side = &(s), .loop = (f) \
 }
static const struct measure_row rows[] = {
	ROW("stoa", ours, ours_loop),
#ifdef BENCH_BOOST
	ROW("boost", boost, boost_attach_loop),
#endif
#ifdef BENCH_LMDB
	ROW("lmdb", lmdb, lmdb_attach_loop),
#endif
	ROW("shm_open and mmap", flat, floor_loop),
};

static const struct measure_goal goals[] = {
	{.work = "attach",
		.peer = "shm_open and mmap",
		.limit = 100000,
		.goal = 1,
		.at_most = true},
};

const struct measure_family attach_family =
	MEASURE_FAMILY("open: attach", rows, goals);
