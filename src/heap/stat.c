/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is in the heap: sums, and every published block. Without the lock; what
 * changes meanwhile may be counted or not.
 */
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/slab.h"

static unsigned
ones(uint64_t bits)
{
	return (unsigned)__builtin_popcountll(bits);
}

static void
slab_sum(stoa_segment *seg, uint64_t span, struct stoai_heap_stat *sum)
{
	uint32_t class_index = stoai_slab_class(seg, stoai_meta_at(seg, span));
	uint32_t blocks, size;

	if (class_index == STOAI_CLASSES)
		return;
	blocks = stoai_span_blocks(seg, class_index);
	size = stoai_class_size(class_index);
	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		uint64_t transient;
		uint64_t pub =
			stoai_slab_word(seg, span, w, blocks, &transient);

		sum->blocks += ones(pub);
		sum->used += (uint64_t)ones(pub) * size;
		sum->transient += (uint64_t)ones(transient) * size;
	}
}

static int
lent_sum(void *user, uint64_t off, uint64_t size)
{
	struct stoai_heap_stat *sum = user;

	(void)off;
	sum->used += size;
	sum->blocks++;
	return 0;
}

static void
run_sum(stoa_segment *seg, uint64_t at, uint64_t word,
	struct stoai_heap_stat *sum)
{
	uint64_t bytes = stoai_span_step(word) << seg->span_shift;

	if (word & STOAI_SPAN_LENT)
		(void)stoai_lent_each(seg, at, word, lent_sum, sum);
	else if (word & STOAI_SPAN_PUBLISHED)
		sum->used += bytes, sum->blocks++;
	else
		sum->transient += bytes;
}

void
stoai_heap_statistics(stoa_segment *seg, struct stoai_heap_stat *ret)
{
	uint64_t count = stoai_span_count(seg), word;
	struct stoai_heap_stat sum = {.committed = count << seg->span_shift};

	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		if (stoai_span_state(word) == STOAI_SPAN_SLAB)
			slab_sum(seg, at, &sum);
		else if (stoai_span_state(word) == STOAI_SPAN_LARGE)
			run_sum(seg, at, word, &sum);
	}
	*ret = sum;
}

/* Neighbours that are free count as one, since whoever takes them joins them. */
void
stoai_heap_room(stoa_segment *seg, struct stoai_heap_room *ret)
{
	uint64_t count = stoai_span_count(seg), limit = stoai_span_limit(seg);
	uint64_t spans = 0, most = 0, word;

	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		spans = stoai_span_state(word) == STOAI_SPAN_FREE
				? spans + stoai_span_step(word)
				: 0;
		most = stoai_max(most, spans);
	}
	spans += limit - stoai_min(count, limit);
	ret->largest = most << seg->span_shift;
	ret->largest_max = stoai_max(most, spans) << seg->span_shift;
}

static int
slab_each(stoa_segment *seg, uint64_t span,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user)
{
	uint32_t class_index = stoai_slab_class(seg, stoai_meta_at(seg, span));
	uint32_t blocks, size;
	int rc = 0;

	if (class_index == STOAI_CLASSES)
		return 0;
	blocks = stoai_span_blocks(seg, class_index);
	size = stoai_class_size(class_index);
	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		uint64_t transient;
		uint64_t pub =
			stoai_slab_word(seg, span, w, blocks, &transient);

		for (; pub && !rc; pub &= pub - 1)
			rc = f(user,
				stoai_span_off(seg, span) +
					((uint64_t)w * 64 + stoai_ctz64(pub)) *
						size,
				size);
	}
	return rc;
}

int
stoai_heap_each(stoa_segment *seg,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user)
{
	uint64_t count = stoai_span_count(seg), word;
	int rc = 0;

	for (uint64_t at = 0; at < count && !rc; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		if (stoai_span_state(word) == STOAI_SPAN_SLAB)
			rc = slab_each(seg, at, f, user);
		else if (stoai_span_state(word) == STOAI_SPAN_LARGE &&
			 word & STOAI_SPAN_LENT)
			rc = stoai_lent_each(seg, at, word, f, user);
		else if (stoai_span_state(word) == STOAI_SPAN_LARGE &&
			 word & STOAI_SPAN_PUBLISHED)
			rc = f(user, stoai_span_off(seg, at),
				stoai_span_step(word) << seg->span_shift);
	}
	return rc;
}
