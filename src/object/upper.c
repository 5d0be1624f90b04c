/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the layers above segment do for it: the one table of segment/upper.h. It
 * stands in the highest room that it names. Each step is made where its state
 * is; this file only says which.
 */
#include "segment/upper.h"
#include "heap/heap.h"
#include "object/classes.h"
#include "object/heaps.h"
#include "object/object.h"
#include "sync/lock.h"
#include "tx/tx.h"

static int
format(stoa_segment *seg, uint64_t size)
{
	struct stoai_seat *seat;
	int rc = stoai_heap_format(seg, size);

	if (!rc)
		rc = stoai_attach(seg, STOA_NOW, &seat);
	return rc ? rc : stoai_object_format(seg);
}

static void
segment_end(stoa_segment *seg)
{
	stoai_object_segment_end(seg);
	stoai_tx_segment_end(seg);
}

static int
opened(stoa_segment *seg, const stoa_index_class *index,
	const stoa_heap_class *heap)
{
	int rc = stoai_class_open(seg, index);

	return rc ? rc : stoai_heap_class_open(seg, heap);
}

static uint32_t
meta_stride(uint32_t span_shift)
{
	return stoai_heap_meta_stride(span_shift);
}

const struct stoai_upper stoai_upper = {
	.self_size = STOAI_TX_SELF_SIZE,
	.seat_size = STOAI_HEAP_SEAT_SIZE,
	.process_begin = stoai_tx_process_begin,
	.segment_end = segment_end,
	.self_end = stoai_tx_self_end,
	.seat_begin = stoai_heap_seat_begin,
	.seat_end = stoai_tx_seat_end,
	.lane = stoai_tx_recover,
	.heap = stoai_heap_recover,
	.locks = stoai_locks_recover,
	.meta_stride = meta_stride,
	.format = format,
	.opened = opened,
	.grow = stoai_heap_grow,
	.trim = stoai_heap_class_trim,
};
