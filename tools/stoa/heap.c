/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is in the heap, by size class? Spans that are slabs, and of their blocks how
 * many shared data owns, how many threads hold or cache, how many are free; then
 * large blocks, and free spans. Without a lock: what changes meanwhile may be
 * counted or not.
 */
#include "heap.h"
#include <string.h>
#include "heap/slab.h"
#include "out.h"

struct class_sum {
	uint64_t spans, blocks, used, transient;
};

struct heap_sum {
	struct class_sum class[STOAI_CLASSES];
	struct class_sum large;
	uint64_t free_spans;
};

static void
sum_slab(stoa_segment *seg, uint64_t span, struct heap_sum *sum)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	const uint64_t *remote = stoai_meta_remote(seg, meta);
	uint32_t index = stoai_slab_class(seg, meta), blocks;
	struct class_sum *class;

	if (index >= STOAI_CLASSES)
		return;
	class = &sum->class[index];
	blocks = stoai_span_blocks(seg, index);
	class->spans++;
	class->blocks += blocks;
	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		struct stoai_bits *bits = stoai_meta_bits(meta) + w;
		uint64_t alloc = a64_load_acquire(&bits->alloc) &
				 ~a64_load_relaxed(remote + w) &
				 stoai_valid_bits(blocks, w);
		uint64_t pub = a64_load_relaxed(&bits->pub) & alloc;

		class->used += (uint64_t)__builtin_popcountll(pub);
		class->transient +=
			(uint64_t)__builtin_popcountll(alloc & ~pub);
	}
}

static void
sum_all(stoa_segment *seg, struct heap_sum *sum)
{
	uint64_t count = stoai_span_count(seg), word, step;

	memset(sum, 0, sizeof *sum);
	for (uint64_t at = 0; at < count; at += step) {
		word = stoai_span_load(seg, at);
		step = stoai_min(stoai_span_step(word), count - at);
		switch (stoai_span_state(word)) {
		case STOAI_SPAN_SLAB:
			sum_slab(seg, at, sum);
			break;
		case STOAI_SPAN_LARGE:
			sum->large.spans += step;
			sum->large.blocks++;
			sum->large.used += !!(word & STOAI_SPAN_PUBLISHED);
			sum->large.transient += !(word & STOAI_SPAN_PUBLISHED);
			break;
		case STOAI_SPAN_FREE:
			sum->free_spans += step;
			break;
		case STOAI_SPAN_BODY:
		default:
			break;
		}
	}
}

static void
add_row(json_t *rows, const stoa_segment *seg, const char *kind, uint64_t size,
	const struct class_sum *class)
{
	json_t *row = out_add(rows);

	out_set_text(row, "kind", kind);
	if (size)
		out_set_number(row, "size", size);
	out_set_number(row, "bytes", class->spans << seg->span_shift);
	out_set_number(row, "spans", class->spans);
	out_set_number(row, "blocks", class->blocks);
	out_set_number(row, "used", class->used);
	out_set_number(row, "transient", class->transient);
	out_set_number(
		row, "free", class->blocks - class->used - class->transient);
}

json_t *
heap_classes(stoa_segment *seg)
{
	json_t *rows = json_array();
	struct heap_sum sum;

	sum_all(seg, &sum);
	for (uint32_t i = 0; i < STOAI_CLASSES; i++)
		if (sum.class[i].spans)
			add_row(rows, seg, "slab", stoai_class_size(i),
				&sum.class[i]);
	if (sum.large.spans)
		add_row(rows, seg, "large", 0, &sum.large);
	if (sum.free_spans)
		add_row(rows, seg, "free", 0,
			&(const struct class_sum){.spans = sum.free_spans});
	return rows;
}
