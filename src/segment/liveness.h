/* SPDX-License-Identifier: BSL-1.0 */
/* Owner bytes: the second proof of death. See liveness.c. All under seg->claims. */
#ifndef STOAI_SEGMENT_LIVENESS_H
#define STOAI_SEGMENT_LIVENESS_H
#include "segment/seat.h"

bool stoai_slot_is_mine(const stoa_segment *seg, uint32_t slot);
/* 0: ours; -EAGAIN: another process, or another thread of this one, has it. */
int stoai_owner_byte_take(stoa_segment *seg, uint32_t slot);
void stoai_owner_byte_drop(stoa_segment *seg, uint32_t slot);

#endif
