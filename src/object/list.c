/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which objects are there, and what is it that begins at this address? For those
 * who know no name: iteration, information, counts, and the table as a whole.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/index.h"

/* ---- iterating ---- */

/*
 * The entries at the beginning, sorted by name, in scratch memory. Changes of
 * this transaction meanwhile are allowed: an entry counts only if the index still
 * has it under its name. That also holds for whatever another user of scratch
 * memory may write over the array.
 */
struct iteration {
	const stoa_tx *rd;
	uint64_t count, room;
	uint64_t *off;
};

static bool
iteration_collect(void *user, uint64_t off, const struct stoai_entry *e)
{
	struct iteration *it = user;

	(void)e;
	if (it->count < it->room)
		it->off[it->count++] = off;
	return true;
}

/* By the bytes of their names; a damaged one comes first. */
static bool
iteration_less(const struct iteration *it, uint64_t a, uint64_t b)
{
	const struct stoai_entry *x = stoai_entry_at(it->rd, a);
	const struct stoai_entry *y = stoai_entry_at(it->rd, b);
	uint64_t m = y ? a32_load_relaxed(&y->name_size) : 0;

	if (!x || !y)
		return y != NULL;
	return stoai_entry_compare(x, y->name, stoai_min(m, STOAI_NAME_MAX)) <
	       0;
}

static void
iteration_sift(const struct iteration *it, uint64_t at, uint64_t end)
{
	uint64_t child;

	for (; (child = 2 * at + 1) < end; at = child) {
		uint64_t off = it->off[at];

		if (child + 1 < end &&
			iteration_less(it, it->off[child], it->off[child + 1]))
			child++;
		if (!iteration_less(it, off, it->off[child]))
			return;
		it->off[at] = it->off[child];
		it->off[child] = off;
	}
}

/*
 * A heap sort: it stays in its array whatever the comparisons say, and what they
 * read may be changing under a read-only reader.
 */
static void
iteration_sort(const struct iteration *it)
{
	for (uint64_t i = it->count / 2; i-- > 0;)
		iteration_sift(it, i, it->count);
	for (uint64_t end = it->count; end-- > 1;) {
		uint64_t off = it->off[0];

		it->off[0] = it->off[end];
		it->off[end] = off;
		iteration_sift(it, 0, end);
	}
}

stoa_object
stoa_object_begin(const stoa_tx *rd)
{
	struct iteration i = {.rd = rd};
	stoa_object it;
	const struct stoai_root *root;
	uint64_t count;

	memset(&it, 0, sizeof it);
	it.rd_ = rd;
	root = stoai_tx_reads(rd) && stoai_names_lock(rd) ? stoai_root(rd)
							  : NULL;
	if (!root)
		return it;
	if (!stoai_object_count(rd, root, &count))
		return it;
	i.room = count;
	i.off = stoai_scratch((count + 1) * sizeof *i.off, NULL);
	if (!stoai_index_each(rd, iteration_collect, &i))
		return it;
	iteration_sort(&i);
	it.core_[0] = (uint64_t)(uintptr_t)i.off;
	it.core_[1] = i.count << 32;
	return it;
}

/* The entry stands in the index: its object, with a copy of its name. */
static bool
object_show(stoa_object *it, uint64_t off)
{
	const stoa_tx *rd = it->rd_;
	const struct stoai_entry *e = stoai_entry_at(rd, off);
	uint32_t size = e ? a32_load_relaxed(&e->name_size) : 0;
	char *name;

	if (!size || size > STOAI_NAME_MAX)
		return false;
	name = stoai_scratch(size + 1, NULL);
	memcpy(name, e->name, size);
	name[size] = '\0';
	if (stoai_index_find(rd, name, size) != off)
		return false;
	it->type = stoai_entry_type(rd, e);
	it->data =
		it->type ? stoai_entry_data(rd, e, it->type, &it->count) : NULL;
	it->kind =
		*name == STOAI_UNIQUE ? STOA_OBJECT_UNIQUE : STOA_OBJECT_NAMED;
	it->name = it->kind == STOA_OBJECT_UNIQUE ? name + 1 : name;
	return it->data != NULL;
}

bool
stoa_object_next(stoa_object *it)
{
	const uint64_t *off = (const uint64_t *)(uintptr_t)it->core_[0];

	while (off && stoai_tx_reads(it->rd_)) {
		uint64_t count = it->core_[1] >> 32;
		uint64_t next = it->core_[1] & UINT32_MAX;

		if (next >= count)
			break;
		it->core_[1]++;
		if (object_show(it, off[next]))
			return true;
	}
	it->core_[0] = 0;
	return false;
}

/* ---- by address ---- */

/* An entry without a name, or none: what the heap and the entry tell. */
static bool
anonymous_show(stoa_object *it, const struct stoai_entry *e, const void *p)
{
	const stoa_tx *rd = it->rd_;

	it->kind = STOA_OBJECT_ANONYMOUS;
	it->count = 1;
	it->data = p;
	if (!e)
		return stoai_heap_usable(rd->seg, stoai_off(rd->seg, p)) != 0;
	it->type = stoai_entry_type(rd, e);
	return it->type && stoai_entry_data(rd, e, it->type, &it->count);
}

bool
stoa_object_of(const stoa_tx *rd, const void *p, stoa_object *ret)
{
	const struct stoai_entry *e;
	stoa_object it;

	memset(&it, 0, sizeof it);
	it.rd_ = rd;
	memset(ret, 0, sizeof *ret);
	if (!p || !stoai_tx_reads(rd) || !stoai_tx_inside(rd, p, 1))
		return false;
	e = stoai_entry_seen(rd, p);
	if (stoa_tx_error(rd))
		return false;
	if (e && a32_load_relaxed(&e->name_size)
			? !object_show(&it, stoai_off(rd->seg, e))
			: !anonymous_show(&it, e, p))
		return false;
	*ret = it;
	return !stoa_tx_error(rd);
}

int
stoa_object_dump(const stoa_tx *rd, const stoa_object *it, FILE *out)
{
	if (!stoai_tx_reads(rd))
		return stoa_tx_error(rd);
	if (!out || !it || !it->type || !it->data)
		return stoai_tx_fail(
			rd, stoai_error(-EINVAL,
				    "stoa_object_dump: an object with a known "
				    "type, and a file"));
	if (!stoai_type_dump_array(rd, it->type, it->data, it->count, out) &&
		stoa_tx_error(rd))
		return stoa_tx_error(rd);
	(void)fputc('\n', out);
	return ferror(out) ? stoai_error(-EIO, "the dump cannot be written")
			   : stoa_tx_error(rd);
}

/* ---- the table ---- */

uint64_t
stoa_object_count(const stoa_tx *rd, stoa_object_kind kind)
{
	const struct stoai_root *root =
		stoai_tx_reads(rd) && stoai_names_lock(rd) ? stoai_root(rd)
							   : NULL;
	uint64_t uniques;

	if (!root || kind > STOA_OBJECT_UNIQUE)
		return 0;
	uniques = a64_load_relaxed(&root->uniques);
	return kind == STOA_OBJECT_UNIQUE
		       ? uniques
		       : a64_load_relaxed(&root->count) - uniques;
}

const stoa_rwlock *
stoa_object_lock(stoa_segment *seg)
{
	return &stoai_header(seg)->names;
}

bool
stoa_object_reserve(stoa_tx *tx, uint64_t count)
{
	return stoai_tx_writes(tx) && stoai_names_lock(tx) &&
	       stoai_index_reserve(tx, count);
}

bool
stoa_object_shrink(stoa_tx *tx)
{
	return stoai_tx_writes(tx) && stoai_names_lock(tx) &&
	       stoai_index_shrink(tx);
}
