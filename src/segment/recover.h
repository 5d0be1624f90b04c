/* SPDX-License-Identifier: BSL-1.0 */
/* Recovery of a slot whose token and owner byte the caller holds. See recover.c. */
#ifndef STOAI_SEGMENT_RECOVER_H
#define STOAI_SEGMENT_RECOVER_H
#include "segment/seat.h"

/* 0: the slot is free and of a new generation; its token is still the caller's. */
int stoai_recover_owned(stoa_segment *seg, uint32_t index);

/* A step has come as far as `at`, a number that grows: deaths are counted anew. */
void stoai_recover_at(stoa_segment *seg, uint32_t index, uint64_t at);

#endif
