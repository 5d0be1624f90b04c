/* SPDX-License-Identifier: BSL-1.0 */
/* What other threads are doing, seen without a lock. See others.c. */
#ifndef STOAI_SEGMENT_OTHERS_H
#define STOAI_SEGMENT_OTHERS_H
#include "segment/seat.h"

/* Some slot's transaction has changed something and is not over. */
bool stoai_somebody_changing(const stoa_segment *seg);
/*
 * What all slots but `own` (UINT32_MAX: all) have done so far: 0 while one is in
 * the middle of a change, however long it stays there, and another value once one
 * has made or undone a change since. Of two that are the same and not 0, nobody
 * else changed anything between them.
 */
uint64_t stoai_others_work(const stoa_segment *seg, uint32_t own);

#endif
