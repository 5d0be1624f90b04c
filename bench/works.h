/* SPDX-License-Identifier: BSL-1.0 */
/* The families, as main.c lists them. */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H
#include "measure.h"

#define MEASURE_FAMILY(n, r, g) \
 { \
  .name = (n), .rows = (r), .row_count = sizeof(r) / sizeof *(r), \
  .goals = (g), .goal_count = sizeof(g) / sizeof *(g) \
 }

extern const struct measure_family lock_family, locks_family, tx_family,
	heap_family, handover_family, size_family, names_family, hashmap_family,
	sequence_family, attach_family, death_family, many_family, churn_family,
	classes_family;

#endif
