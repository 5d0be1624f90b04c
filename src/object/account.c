/* SPDX-License-Identifier: BSL-1.0 */
/* Whose are the blocks of shared data, by type; and which are nobody's? Sums of leak.c. */
#include <stdlib.h>
#include "base/base.h"
#include "object/kind.h"
#include "object/leak.h"
#include "stoa/heapstat.h"

/* Of the rows that are wished for: filled up to room, and how many there are. */
struct rows_wish {
	void *ret;
	size_t room;
};

/* ---- by type ---- */

struct type_sums {
	stoa_heap_type_stat *row;
	size_t count, room;
};

static stoa_heap_type_stat *
sums_row(struct type_sums *s, const char *name)
{
	size_t size = strnlen(name, sizeof s->row->type - 1);

	/* the last one is often the same; there are some dozens */
	for (size_t i = s->count; i-- > 0;)
		if (!strncmp(s->row[i].type, name, size) &&
			!s->row[i].type[size])
			return &s->row[i];
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 16;
		void *row = realloc(s->row, room * sizeof *s->row);

		if (!row)
			return NULL;
		s->row = row;
		s->room = room;
	}
	s->row[s->count] = (stoa_heap_type_stat){0};
	memcpy(s->row[s->count].type, name, size);
	return &s->row[s->count++];
}

static int
most_bytes_first(const void *a, const void *b)
{
	const stoa_heap_type_stat *x = a, *y = b;

	return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1)
				    : strcmp(x->type, y->type);
}

static int64_t
blocks_by_type(const struct stoai_blocks *b, void *user)
{
	struct type_sums s = {0};
	const struct rows_wish *w = user;
	int64_t result;

	for (size_t i = 0; i < b->count; i++) {
		const stoa_type *whose = b->list[i].whose;
		uint64_t size = b->list[i].size, need = b->list[i].need;
		stoa_heap_type_stat *row =
			sums_row(&s, !b->list[i].owned ? "(leaked)"
				     : whose           ? whose->name
						       : "(library)");

		if (!row) {
			free(s.row);
			return stoai_error(-ENOMEM, "out of memory");
		}
		row->blocks++;
		row->bytes += size;
		row->lost += need && need < size ? size - need : 0;
	}
	if (s.count)
		qsort(s.row, s.count, sizeof *s.row, most_bytes_first);
	if (s.count && w->room)
		memcpy(w->ret, s.row,
			stoai_min(s.count, w->room) * sizeof *s.row);
	result = (int64_t)s.count;
	free(s.row);
	return result;
}

int64_t
stoa_heap_types(stoa_segment *seg, stoa_heap_type_stat *ret, size_t room)
{
	if (!seg || (room && !ret))
		return stoai_error(-EINVAL, "stoa_heap_types: %s is NULL",
			seg ? "ret" : "seg");
	return stoai_blocks_read(
		seg, blocks_by_type, &(struct rows_wish){ret, room});
}

/* ---- by nobody ---- */

static int64_t
blocks_of_nobody(const struct stoai_blocks *b, void *user)
{
	const struct rows_wish *w = user;
	stoa_heap_leak *ret = w->ret;
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++) {
		if (b->list[i].owned)
			continue;
		if (n < w->room)
			ret[n] = (stoa_heap_leak){
				b->list[i].off, b->list[i].size};
		n++;
	}
	return (int64_t)n;
}

int64_t
stoa_heap_leaks(stoa_segment *seg, stoa_heap_leak *ret, size_t room)
{
	if (!seg || (room && !ret))
		return stoai_error(-EINVAL, "stoa_heap_leaks: %s is NULL",
			seg ? "ret" : "seg");
	return stoai_blocks_read(
		seg, blocks_of_nobody, &(struct rows_wish){ret, room});
}
