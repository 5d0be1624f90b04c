/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Concurrency Kit as a peer: locks that spin and know no owner, so the floor of what
 * a lock can cost, and what a death leaves taken for ever. It has neither upgradable
 * locks nor anything that sleeps.
 */
#ifndef BENCH_PEER_CK_H
#define BENCH_PEER_CK_H
#include "measure.h"

extern const struct measure_side ck_side;

const char *ck_version(void);

bool ck_spinlock_loop(const struct measure_row *row, int role, uint64_t count);
/* param: STOA_SHARED or STOA_EXCLUSIVE */
bool ck_rwlock_loop(const struct measure_row *row, int role, uint64_t count);
/* Readers write to a byte of their own, in one line. */
bool ck_bytelock_loop(const struct measure_row *row, int role, uint64_t count);

#endif
