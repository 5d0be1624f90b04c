/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Measuring one work done by several: ours first, then its peers. The runs are
 * taken in turns, so that a machine that grows warm or busy does so for all.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H
#include <stdbool.h>
#include <stdint.h>

enum {
	MEASURE_PEERS_MAX = 4,
	MEASURE_RUNS_MAX = 51
};

/* Do the work `count` times; false: it failed, and the text is on stderr. */
typedef bool measure_work(void *user, uint64_t count);

struct measure_who {
	const char *name;
	measure_work *work;
	void *user;
};

struct measure {
	const char *name;  /* of the work */
	const char *group; /* what script/bench NAME selects */
	struct measure_who who[1 + MEASURE_PEERS_MAX];
};

/* What a work's results must not be optimised away through. */
void measure_use(const void *p);
/*
 * Arguments: [NAME...] [--json] [--runs N] [--ms N]. Runs every selected entry
 * of table (n of them) and prints a line for each of its `who`: median, min and
 * max of nanoseconds for one work, runs, and ours divided by the peer: medians, and
 * minima (what is left when the machine is busy). Returns the exit status.
 */
int measure_main(int argc, char **argv, const struct measure *table, int n);

#endif
