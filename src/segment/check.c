/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Verification of the header and the slots, while others work: only what is true
 * at every instant is demanded. The invariants are those of README.md.
 */
#include "segment/geometry.h"
#include "segment/log.h"

static int
check_slot(stoa_segment *seg, uint32_t i)
{
	const struct stoai_slot *slot = stoai_slot_at(seg, i);
	const struct stoai_lane *lane = stoai_lane_at(seg, i);
	uint32_t state = a32_load_acquire(&slot->state);
	uint64_t cursor, end;

	if (state > STOAI_SLOT_LIVE || slot->paged > 1)
		return stoai_error(
			-EBADMSG, "segment I2: slot %u has state %u", i, state);
	if (!a32_load_acquire(&slot->paged))
		return 0;
	if (i >= stoai_slots_used(seg))
		return stoai_error(-EBADMSG,
			"segment I6: slot %u is behind the last that was used",
			i);
	if (a32_load_relaxed(&slot->tries) > STOAI_TRIES_MAX)
		return stoai_error(
			-EBADMSG, "segment I3: slot %u is quarantined", i);
	cursor = a64_load_relaxed(&lane->cursor);
	end = stoai_log_lane_end(seg, i);
	if (cursor && (cursor < stoai_log_start(seg, i) || cursor > end) &&
		!stoai_in_heap(seg, cursor, 0))
		return stoai_error(-EBADMSG,
			"segment I4: slot %u has its log's end at %#llx", i,
			(unsigned long long)cursor);
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++) {
		uint64_t held = a64_load_relaxed(&lane->held[k]);
		uint64_t off = stoai_held_off(held);

		if (held && (off >= seg->size || off < STOAI_STATIC_SIZE))
			return stoai_error(-EBADMSG,
				"segment I5: slot %u holds a lock at %#llx", i,
				(unsigned long long)off);
	}
	return 0;
}

int
stoai_segment_check_header(stoa_segment *seg)
{
	struct stoai_header h;
	uint64_t committed;
	int rc;

	memcpy(&h, seg->base, sizeof h);
	rc = stoai_geometry_check(&h, stoai_name(seg), false);
	if (rc)
		return stoai_error_in(rc, "segment I1");
	committed = a64_load_acquire(&stoai_header(seg)->committed);
	if (committed < seg->heap_off || committed > seg->size)
		return stoai_error(-EBADMSG,
			"segment I1: the heap ends at %#llx",
			(unsigned long long)committed);
	for (uint32_t i = 0; i < seg->slot_count && !rc; i++)
		rc = check_slot(seg, i);
	return rc;
}
