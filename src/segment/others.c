/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Did others change something while I looked? Who reads what locks of others guard
 * cannot keep them away, but can find out and look again.
 *
 * The order of what a writer says, and of how it is read:
 *
 *	writer   log begins     its change   commits or undone + 1   log is empty
 *	reader   log is empty?  commits and undone
 *
 * Who sees a change and then an empty log sees that it was counted.
 */
#include "segment/others.h"
#include "base/hash.h"
#include "segment/log.h"

/* That slot's transaction has changed something and is not over. */
static bool
changing(const stoa_segment *seg, uint32_t slot)
{
	uint64_t cursor;

	if (!a32_load_acquire(&stoai_slot_at(seg, slot)->paged))
		return false;
	/* pairs with: the stores that empty the log (tx/scope.c, tx/lane.c) */
	cursor = a64_load_acquire(&stoai_lane_at(seg, slot)->cursor);
	return cursor && cursor != stoai_log_start(seg, slot);
}

bool
stoai_somebody_changing(const stoa_segment *seg)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (changing(seg, i))
			return true;
	return false;
}

uint64_t
stoai_others_work(const stoa_segment *seg, uint32_t own)
{
	uint64_t sum = 1;

	for (uint32_t i = 0; i < seg->slot_count; i++) {
		const struct stoai_slot *slot = stoai_slot_at(seg, i);
		uint32_t words[3];

		if (i == own || !a32_load_acquire(&slot->paged))
			continue;
		if (changing(seg, i))
			return 0;
		words[0] = a32_load_relaxed(&slot->generation);
		words[1] = a32_load_relaxed(&slot->commits);
		words[2] = a32_load_relaxed(&slot->undone);
		sum = stoai_hash(words, sizeof words, sum);
	}
	return sum | 1;
}
