/* SPDX-License-Identifier: BSL-1.0 */
/*
 * glibc's locks as a peer, in memory that the workers share. A robust mutex tells the
 * next one of its holder's death; whatever else is held by a dead one stays so.
 */
#ifndef BENCH_PEER_GLIBC_H
#define BENCH_PEER_GLIBC_H
#include <pthread.h>
#include "measure.h"

enum { /* param of glibc_mutex_loop */
	GLIBC_PLAIN,
	GLIBC_ROBUST
};

extern const struct measure_side glibc_side;

bool glibc_open(void); /* again: nothing */
/* The robust one. */
pthread_mutex_t *glibc_mutex(void);

bool glibc_mutex_loop(const struct measure_row *row, int role, uint64_t count);
/* param: STOA_SHARED or STOA_EXCLUSIVE */
bool glibc_rwlock_loop(const struct measure_row *row, int role, uint64_t count);
bool
glibc_semaphore_loop(const struct measure_row *row, int role, uint64_t count);

/* trip.h */
bool glibc_semaphore_give(int from);
bool glibc_semaphore_take(int from);
bool glibc_condition_give(int from);
bool glibc_condition_take(int from);

#endif
