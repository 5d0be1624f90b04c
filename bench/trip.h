/* SPDX-License-Identifier: BSL-1.0 */
/* There and back between two processes that block. See trip.c. */
#ifndef BENCH_TRIP_H
#define BENCH_TRIP_H
#include "measure.h"

/*
 * One way: `from` gives a ball, or the ball that `from` gave is taken, blocking. What
 * is taken is gone: nothing is left over for the next measurement. False: failed.
 */
struct trip {
	bool (*give)(int from), (*take)(int from);
};

bool trip_open(void); /* in the side's open */
/* A row's figure: its param is the struct trip. */
double trip_figure(const struct measure_row *row, int role, uint64_t ns);

#endif
