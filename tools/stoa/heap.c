/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the library counts of a heap, as rows: by size class, by slot, by type; what
 * was refused; what nobody leads to. Without a lock, but for types and leaks: what
 * changes meanwhile may be counted or not.
 */
#include "heap.h"
#include <stdlib.h>
#include "base/base.h"
#include "out.h"
#include "stoa/heapstat.h"

enum {
	CLASS_ROWS = 64,
	SLOT_ROWS = STOAI_SLOTS_MAX + 1,
	TYPE_ROWS = 1024,
	LEAK_ROWS = 1024
};

const char *
heap_kind(stoa_heap_kind kind)
{
	static const char *const names[] = {[STOA_HEAP_FREE] = "free",
		[STOA_HEAP_SLAB] = "slab",
		[STOA_HEAP_LARGE] = "large",
		[STOA_HEAP_LENT] = "lent",
		[STOA_HEAP_DAMAGED] = "damaged"};

	return names[kind];
}

/* What ran short, as people say it; the names of stoa_segment_limit. */
static const char *const limits[STOA_LIMIT_MEMORY + 1] = {
	[STOA_LIMIT_SEGMENT] = "limit",
	[STOA_LIMIT_BUFFER] = "buffer",
	[STOA_LIMIT_PIECES] = "in pieces",
	[STOA_LIMIT_FILE_SYSTEM] = "file system",
	[STOA_LIMIT_FILE_SIZE] = "file size",
	[STOA_LIMIT_MEMORY] = "memory"};

static void
add_last(json_t *object, const stoa_heap_refusal *last)
{
	json_t *o = out_set_object(object, "last_refused");

	out_set_text(o, "reason", limits[last->reason]);
	out_set_number(o, "bytes", last->wanted);
	out_set_number(o, "when_ns", last->when_ns);
	out_set_number(o, "pid", last->pid);
	out_set_number(o, "slot", last->slot);
}

json_t *
heap_statistics(stoa_segment *seg)
{
	json_t *object = json_object(), *reasons;
	stoa_heap_stat s;

	stoa_heap_statistics(seg, &s);
	out_set_number(object, "size", s.size);
	out_set_number(object, "used", s.used);
	out_set_number(object, "transient", s.transient);
	out_set_number(object, "room", s.room);
	out_set_number(object, "free", s.free);
	out_set_number(object, "lost", s.lost);
	out_set_number(object, "limit", s.limit);
	out_set_number(object, "span_size", s.span_size);
	out_set_number(object, "size_most", s.size_most);
	out_set_number(object, "taken_most", s.taken_most);
	out_set_number(object, "refused", s.refused[STOA_LIMIT_NONE]);
	reasons = out_set_object(object, "reasons");
	for (size_t i = 1; i < STOAI_COUNT(limits); i++)
		if (s.refused[i])
			out_set_number(reasons, limits[i], s.refused[i]);
	if (s.last.reason)
		add_last(object, &s.last);
	return object;
}

json_t *
heap_classes(stoa_segment *seg)
{
	stoa_heap_class_stat class[CLASS_ROWS];
	size_t count = stoai_min(
		stoa_heap_classes(seg, class, CLASS_ROWS), CLASS_ROWS);
	json_t *rows = json_array();

	for (size_t i = 0; i < count; i++) {
		const stoa_heap_class_stat *s = &class[i];
		json_t *row = out_add(rows);

		out_set_text(row, "kind", heap_kind(s->kind));
		if (s->size)
			out_set_number(row, "size", s->size);
		out_set_number(row, "bytes", s->bytes);
		out_set_number(row, "spans", s->spans);
		out_set_number(row, "blocks", s->blocks);
		out_set_number(row, "used", s->used);
		out_set_number(row, "transient", s->transient);
		out_set_number(row, "free", s->blocks - s->used - s->transient);
	}
	return rows;
}

json_t *
heap_slots(stoa_segment *seg)
{
	static stoa_heap_slot_stat slot[SLOT_ROWS];
	size_t count =
		stoai_min(stoa_heap_slots(seg, slot, SLOT_ROWS), SLOT_ROWS);
	json_t *rows = json_array();

	for (size_t i = 0; i < count; i++) {
		const stoa_heap_slot_stat *s = &slot[i];
		json_t *row = out_add(rows);

		if (s->slot != STOA_HEAP_NOBODY)
			out_set_number(row, "slot", s->slot);
		if (s->pid) {
			out_set_number(row, "pid", s->pid);
			out_set_number(row, "tid", s->tid);
			out_set_number(
				row, "since_ms", thread_age_ms(s->since_ns));
		}
		out_set_number(row, "slabs", s->slabs);
		out_set_number(row, "bytes", s->bytes);
		out_set_number(row, "used", s->used);
		out_set_number(row, "transient", s->transient);
		out_set_number(row, "large", s->large);
	}
	return rows;
}

int
heap_types(stoa_segment *seg, json_t **ret)
{
	static stoa_heap_type_stat type[TYPE_ROWS];
	int64_t count = stoa_heap_types(seg, type, TYPE_ROWS);
	json_t *rows = count < 0 ? NULL : json_array();

	if (count < 0)
		return (int)count;
	for (int64_t i = 0; i < count && i < TYPE_ROWS; i++) {
		json_t *row = out_add(rows);

		out_set_text(row, "type", type[i].type);
		out_set_number(row, "blocks", type[i].blocks);
		out_set_number(row, "bytes", type[i].bytes);
		out_set_number(row, "lost", type[i].lost);
	}
	*ret = rows;
	return 0;
}

int
heap_leaks(stoa_segment *seg, json_t **ret, uint64_t *ret_count)
{
	static stoa_heap_leak leak[LEAK_ROWS];
	int64_t count = stoa_heap_leaks(seg, leak, LEAK_ROWS);
	json_t *rows = count < 0 ? NULL : json_array();

	if (count < 0)
		return (int)count;
	for (int64_t i = 0; i < count && i < LEAK_ROWS; i++) {
		json_t *row = out_add(rows);

		out_set_number(row, "offset", leak[i].offset);
		out_set_number(row, "bytes", leak[i].bytes);
	}
	*ret = rows;
	*ret_count = (uint64_t)count;
	return 0;
}
