/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How large must a segment be for what is to go into it?
 *
 * Blocks are counted as the heap deals them: by classes, so many to a span, or in
 * spans of their own. The size of a span follows from the size of the segment, so
 * the sum is made again until both agree. Beside the user's blocks there are the
 * library's own: types, names, the root.
 */
#include "heap/heap.h"
#include "heap/class.h"
#include "segment/geometry.h"

enum {
	OWN_SPANS = 16, /* the library's, each class having a span begun */
	ROUNDS = 100
};

/* Spans of 1 << shift bytes; 0: more than can be. */
static uint64_t
spans_for(const stoa_segment_need *need, size_t n, uint32_t shift)
{
	uint64_t span = UINT64_C(1) << shift, sum = OWN_SPANS, spans;
	uint32_t count = stoai_class_count(shift);

	for (size_t i = 0; i < n; i++) {
		uint64_t size = stoai_max(need[i].size, 1);
		uint32_t index = stoai_class_for(size, 1, count);
		uint64_t blocks =
			index < count ? span / stoai_class_size(index) : 1;
		uint64_t each = index < count ? 1 : ((size - 1) >> shift) + 1;

		/* one more: the last span of each class is begun, not full */
		if (stoai_mul_overflows(
			    need[i].count / blocks + 1, each, &spans) ||
			stoai_add_overflows(sum, spans, &sum) || sum >> 32)
			return 0;
	}
	return sum;
}

/* Is a heap of `size` bytes, in spans of 1 << shift, enough? Else what would be. */
static uint64_t
more_than(
	const stoa_segment_need *need, size_t n, uint32_t shift, uint64_t size)
{
	uint64_t spans = spans_for(need, n, shift);

	if (!spans)
		return UINT64_MAX;
	return spans << shift <= size ? 0 : spans << shift;
}

static int
too_much(void)
{
	return stoai_error(-EOVERFLOW,
		"stoa_segment_required: more than a segment can have");
}

static int
heap_for(const stoa_segment_need *need, size_t n, uint64_t *ret)
{
	uint64_t size = 1, more;
	struct stoai_header h;

	for (int i = 0; i < ROUNDS; i++) {
		struct stoai_wish wish = {.size = size, .limit = size};

		if (stoai_geometry(&wish, &h))
			return too_much();
		more = more_than(need, n, h.span_shift, size);
		if (!more) {
			*ret = size;
			return 0;
		}
		size = more;
	}
	return too_much();
}

/* Whole bytes of a buffer whose heap has `size`. */
static int
buffer_for(
	const stoa_segment_need *need, size_t n, uint64_t size, uint64_t *ret)
{
	struct stoai_wish wish = {.size = size, .limit = size};
	struct stoai_header h;
	uint64_t total;

	if (stoai_geometry(&wish, &h))
		return too_much();
	total = stoai_max(h.reserve, STOAI_BUFFER_MIN);
	for (int i = 0; i < ROUNDS; i++) {
		if (stoai_geometry_within(total, 0, &h))
			return too_much();
		if (!more_than(need, n, h.span_shift, h.reserve - h.heap_off)) {
			*ret = total;
			return 0;
		}
		total += stoai_align_up(total / 8, 64);
	}
	return too_much();
}

int64_t
stoa_segment_required(const stoa_segment_need *need, size_t n, uint64_t *buffer)
{
	uint64_t size;
	int rc;

	stoai_error_clear();
	if (n && !need)
		return stoai_error(-EINVAL, "stoa_segment_required: no needs");
	rc = heap_for(need, n, &size);
	if (!rc && buffer)
		rc = buffer_for(need, n, size, buffer);
	return rc ? rc : (int64_t)size;
}
