/* SPDX-License-Identifier: BSL-1.0 */
/*
 * PMDK's libpmemobj as a peer: objects by its atomic calls, which lose nothing when the
 * process dies, in a pool on /dev/shm. A pool is one process's at a time, so each has
 * its own, and several at once are threads. Cache lines are not flushed (main.c).
 */
#ifndef BENCH_PEER_PMDK_H
#define BENCH_PEER_PMDK_H
#include "measure.h"

const char *pmdk_version(void);
/* A pool for this process, by whichever thread comes first. */
bool pmdk_start(const struct measure_row *row, int role);
uint64_t pmdk_alloc(size_t size); /* its first word written; 0: full */
bool pmdk_free(uint64_t off);
void *pmdk_at(uint64_t off);
int64_t pmdk_used(void); /* asked for the first time: counts from now on */

#endif
