/* SPDX-License-Identifier: BSL-1.0 */
/* Files across a restart of the machine. See flush.c. */
#ifndef STOAI_SEGMENT_FLUSH_H
#define STOAI_SEGMENT_FLUSH_H
#include "segment/seat.h"

/* This process has the segment open and may write: it is not clean any more. */
int stoai_segment_in_use(stoa_segment *seg);
/* This process's mapping goes: if nobody else has it open, flush, then say clean. */
void stoai_segment_flush_last(stoa_segment *seg);

#endif
