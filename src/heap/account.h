/* SPDX-License-Identifier: BSL-1.0 */
/* What the heap notes about itself, for people. See account.c. */
#ifndef STOAI_HEAP_ACCOUNT_H
#define STOAI_HEAP_ACCOUNT_H
#include "segment/seat.h"

/* A high-water mark of the header has seen that value. */
void stoai_account_most(uint64_t *most, uint64_t value);
/* So many bytes were asked for and refused; reason: a stoa_segment_limit. */
void stoai_account_refused(
	const struct stoai_seat *seat, uint64_t wanted, uint32_t reason);

#endif
