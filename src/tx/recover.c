/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The transaction layer's part in the life of segments, threads and dead slots:
 * what segment/upper.h calls.
 */
#include "sync/lock.h"
#include "tx/local.h"

int
stoai_tx_recover(stoa_segment *seg, uint32_t slot)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);
	uint32_t state = a32_load_relaxed(&lane->state);
	int rc = 0;

	if (!a64_load_relaxed(&lane->cursor)) /* died before its first begin */
		return 0;
	if (state == STOAI_LANE_OPEN)
		return stoai_lane_rollback(
			seg, slot, stoai_log_start(seg, slot));
	if (state > STOAI_LANE_FREEING)
		return stoai_error(-EBADMSG,
			"%s: damaged: the lane of slot %u has state %u",
			stoai_name(seg), slot, state);
	if (state == STOAI_LANE_COMMITTED)
		rc = stoai_lane_signal(seg, slot, true);
	/* the locks before the frees, since a free may free a lock */
	if (!rc)
		rc = stoai_locks_recover(seg, slot);
	return rc ? rc : stoai_lane_finish(seg, slot, true);
}

int
stoai_tx_process_begin(void)
{
	return stoai_scratch_begin();
}

void
stoai_tx_segment_end(stoa_segment *seg)
{
	stoai_checked_segment_end(seg);
	stoai_profile_segment_end(seg);
}

void
stoai_tx_self_end(struct stoai_self *self)
{
	stoai_scratch_end(self);
}
