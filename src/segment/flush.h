/* SPDX-License-Identifier: BSL-1.0 */
/* Who has a segment open, and what the last one does. See flush.c. */
#ifndef STOAI_SEGMENT_FLUSH_H
#define STOAI_SEGMENT_FLUSH_H
#include "segment/seat.h"

/*
 * Opened or made: say so, and of a file that it is in use. alone: nobody else may
 * have it, -EBUSY if somebody does.
 */
int stoai_segment_in_use(stoa_segment *seg, bool alone);
/*
 * No other process has it open to write at this moment, and this one by one handle
 * alone. Who opens it next may do so at once. false also where that cannot be known:
 * without a file, and where this process has forked with a segment open.
 */
bool stoai_segment_alone(const stoa_segment *seg);
/* This process uses it no more: what the last one has to do. */
void stoai_segment_last_use(stoa_segment *seg);
/* Its name should have gone with its last user, who was killed. */
bool stoai_segment_orphaned(int fd, const struct stoai_header *h);

#endif
