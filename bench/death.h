/* SPDX-License-Identifier: BSL-1.0 */
/*
 * From SIGKILL of a lock's holder to who waited for it, whatever the lock is. See
 * death.c.
 */
#ifndef BENCH_DEATH_H
#define BENCH_DEATH_H
#include "measure.h"

enum {
	DEATH_HOLDER,
	DEATH_WAITER
};

bool death_open(void); /* in the side's open */
/*
 * ns, of a hundred deaths; < 0: failed. take, in a process of its own: death_waiting,
 * take the lock, death_holding, give it up; false: failed.
 */
double death_percentile(bool (*take)(int who), uintptr_t percent);
void death_waiting(int who);
void death_holding(int who); /* of the holder: does not return */

/* A row's figure, of glibc's robust mutex; param: per cent. */
double glibc_deaths(const struct measure_row *row, int role, uint64_t ns);

#endif
