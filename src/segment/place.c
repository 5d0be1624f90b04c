/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where do the pages of a segment lie? See stoa/place.h: what is a wish is done
 * without where it cannot be had.
 *
 * Only what is committed: behind it there is address space, and no memory that
 * could be asked for. A policy of nodes belongs to the file, so it holds for all
 * who have it open.
 */
#include "segment/seat.h"
#include "stoa/place.h"

int
stoa_segment_place(
	stoa_segment *seg, const stoa_placement *wish, stoa_placed *ret)
{
	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_place: no segment");
	return stoa_place(seg->base, stoai_committed(seg), wish, ret);
}
