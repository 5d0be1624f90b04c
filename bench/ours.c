/* SPDX-License-Identifier: BSL-1.0 */
/* What every work of ours begins and ends with: a segment, and a seat in it. */
#include "ours.h"
#include "heap/span.h"
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

stoa_segment *ours_segment;
const cell *ours_cell;
__thread struct stoai_seat *ours_seat;

bool
ours_done(int rc)
{
	return rc ? measure_failed("stoa: %s (%d)", stoa_error_text(), rc)
		  : true;
}

bool
ours_open(uint64_t size)
{
	return ours_open_with(size, NULL);
}

bool
ours_open_with(uint64_t size, const stoa_heap_class *heap)
{
	return ours_done(stoa_segment_open(NULL, STOA_CREATE,
		       STOA_SEGMENT_OPTIONS(.size = size, .heap = heap),
		       &ours_segment)) &&
	       ours_done(stoa_object_open(
		       ours_segment, "cell", cell, &ours_cell));
}

bool
ours_start(const struct measure_row *row, int role)
{
	(void)role;
	if (!row->untouched)
		measure_touch(ours_segment->base + ours_segment->heap_off,
			stoai_header(ours_segment)->committed -
				ours_segment->heap_off);
	return ours_done(stoai_attach(ours_segment, STOA_NOW, &ours_seat));
}

void
ours_stop(const struct measure_row *row, int role)
{
	(void)row;
	(void)role;
	stoa_segment_detach(ours_segment);
}

void
ours_close(void)
{
	ours_segment = stoa_segment_close(ours_segment);
}

int64_t
ours_used(void)
{
	uint64_t count = stoai_span_count(ours_segment), used = 0, step;
	const uint64_t bytes = (UINT64_C(1) << ours_segment->span_shift) +
			       sizeof(uint64_t) + ours_segment->meta_stride;

	for (uint64_t at = 0; at < count; at += step) {
		uint64_t word = stoai_span_load(ours_segment, at);

		step = stoai_span_step(word);
		if (stoai_span_state(word) != STOAI_SPAN_FREE)
			used += step;
	}
	return (int64_t)(used * bytes);
}

int64_t
ours_held(void)
{
	struct stat now;

	if (fstat(ours_segment->fd, &now))
		return -1;
	return (int64_t)now.st_blocks * 512;
}

void
ours_give_back(void)
{
	(void)stoa_segment_trim(ours_segment);
}
