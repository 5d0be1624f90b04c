/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Size classes: 16, 32, ... 128, then four steps per doubling, up to half a span.
 * A power of two divides its span, and so do its blocks' offsets: aligned
 * allocation is the choice of a class that the alignment divides.
 */
#ifndef STOAI_HEAP_CLASS_H
#define STOAI_HEAP_CLASS_H
#include "base/base.h"
#include "heap/format.h"

enum {
	STOAI_CLASSES = 40
}; /* up to half of 64 KiB */

/* The smallest class of at least `size` bytes; size != 0. */
static inline uint32_t
stoai_class_of(uint64_t size)
{
	uint64_t x = size - 1;
	unsigned log;

	if (x < 128)
		return (uint32_t)(x >> 4);
	log = stoai_log2(x);
	return 8 + (log - 7) * 4 + (uint32_t)(x >> (log - 2) & 3);
}

static inline uint32_t
stoai_class_size(uint32_t index)
{
	uint32_t doubling, step;

	STOA_ASSERT(index < STOAI_CLASSES);
	if (index < 8)
		return (index + 1) * STOAI_BLOCK_MIN;
	doubling = (index - 8) >> 2;
	step = (index - 8) & 3;
	return (128u << doubling) + (step + 1) * (32u << doubling);
}

/* Classes of a heap with such spans. */
static inline uint32_t
stoai_class_count(uint32_t span_shift)
{
	return stoai_class_of(UINT64_C(1) << (span_shift - 1)) + 1;
}

/* The class for size and alignment (a power of two), or `count`: a run. */
static inline uint32_t
stoai_class_for(uint64_t size, uint64_t align, uint32_t count)
{
	uint32_t index;

	if (size > stoai_class_size(count - 1))
		return count;
	for (index = stoai_class_of(size); index < count; index++)
		if (!(stoai_class_size(index) & (align - 1)))
			break;
	return index;
}

#endif
