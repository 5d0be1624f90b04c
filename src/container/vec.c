/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Vectors.
 *
 *	stoa_vec             block
 *	 0 data ------------> +------+------+- - -+------+------+
 *	 8 count              | 0    | 1    | ... | dead | dead |
 *	16 capacity           +------+------+- - -+------+------+
 *	24 type               an element, or the offset of its block (boxed)
 *	32 slot size, boxed
 *
 * Invariants
 *	V1  type == 0: never used, all words are zero
 *	V2  count <= capacity; data == 0 exactly when capacity == 0
 *	V3  the block holds capacity slots
 *	V4  a boxed slot below count names a block that holds an element
 *	V5  slot size and boxed are those of the type
 *
 * Crash argument: change.c. An element is written behind the count, where bytes
 * are dead, and counts once the saved count is stored. What becomes dead again
 * is saved first: whoever makes a vector shorter saves what was there, and a push
 * over it in the same scope (stoa/detail/view.h) relies on that. Growth builds
 * aside and swaps, or lengthens the block where it is, which is undone by itself
 * (tx/resize.c). An insertion or a removal in the middle saves the range that moves.
 */
#include "base/atomic.h"
#include "container/container.h"
#include <string.h>

enum {
	FIRST_BYTES = 64,
	SHRINK_SAVE_MAX = 4096
};

/* ---- reading it once ---- */

static bool
vec_damaged(const stoa_tx *rd, const stoa_vec *v, const char *what)
{
	stoai_tx_damaged(rd, "vector at offset %llu: %s",
		(unsigned long long)stoai_off(rd->seg, v), what);
	return false;
}

bool
stoai_vec_load(const stoa_tx *rd, const stoa_vec *v,
	const struct stoai_shape *s, struct stoai_vec *ret)
{
	uint64_t id = a64_load_relaxed(&v->type_);
	uint64_t bytes;

	ret->shared = v;
	ret->shape = s;
	ret->off = a64_load_relaxed(&v->data_);
	ret->count = a64_load_relaxed(&v->count_);
	ret->capacity = a64_load_relaxed(&v->capacity_);
	ret->data = NULL;
	if (stoai_unlikely(id != s->id && id)) {
		stoai_shape_differs(rd, s, id);
		return false;
	}
	if (stoai_unlikely(
		    ret->count > ret->capacity || !ret->off != !ret->capacity ||
		    (!id && ret->off) || (ret->off & (s->slot_align - 1)) ||
		    stoai_mul_overflows(ret->capacity, s->slot_size, &bytes)))
		return vec_damaged(rd, v, "V1, V2: its words disagree");
	if (!ret->off)
		return true;
	ret->data = stoai_tx_at(rd, ret->off, bytes);
	return ret->data != NULL;
}

static bool
vec_open(const stoa_tx *rd, const stoa_vec *v, const stoa_type *t,
	struct stoai_vec *ret)
{
	const struct stoai_shape *s;

	return stoai_tx_reads(rd) && (s = stoai_shape_of(rd, t)) != NULL &&
	       stoai_vec_load(rd, v, s, ret);
}

static bool
vec_open_to_change(stoa_tx *tx, const stoa_vec *v, const stoa_type *t,
	struct stoai_vec *ret)
{
	return stoai_may_change(tx, v, sizeof *v) && vec_open(tx, v, t, ret);
}

static unsigned char *
vec_slot(const struct stoai_vec *v, uint64_t i)
{
	return (unsigned char *)stoai_mutable(v->data) +
	       i * v->shape->slot_size;
}

/* The element of slot i: in it, or in the block that it names. NULL: failed. */
static const void *
vec_element(const stoa_tx *rd, const struct stoai_vec *v, uint64_t i)
{
	const void *p = vec_slot(v, i);
	uint64_t off;

	if (!v->shape->type->boxed)
		return p;
	off = a64_load_relaxed(p);
	p = off & (v->shape->elem_align - 1)
		    ? NULL
		    : stoai_tx_at(rd, off, v->shape->elem_size);
	if (!p && !rd->error)
		vec_damaged(rd, v->shared, "V4: an element without a block");
	return p;
}

/* ---- looking ---- */

size_t
stoa_vec_count_(const stoa_tx *rd, const stoa_vec *v)
{
	uint64_t count;

	if (!stoai_tx_reads(rd))
		return 0;
	count = a64_load_relaxed(&v->count_);
	if (count > a64_load_relaxed(&v->capacity_) ||
		count > STOAI_BYTES_MAX) {
		vec_damaged(rd, v, "V2: more elements than its capacity");
		return 0;
	}
	return count;
}

const void *
stoa_vec_get_(
	const stoa_tx *rd, const stoa_vec *v, const stoa_type *t, size_t i)
{
	struct stoai_vec vec;

	return vec_open(rd, v, t, &vec) && i < vec.count
		       ? vec_element(rd, &vec, i)
		       : NULL;
}

const void *
stoa_vec_data_(const stoa_tx *rd, const stoa_vec *v, const stoa_type *t,
	size_t *ret_count)
{
	struct stoai_vec vec;
	bool open = vec_open(rd, v, t, &vec) && !t->boxed;

	*ret_count = open ? vec.count : 0;
	return open && vec.count ? vec.data : NULL;
}

/* ---- changing ---- */

static void *
vec_scratch(const stoa_type *t, const void *from)
{
	return stoai_scratch(t->val->size, from);
}

void *
stoa_vec_edit_(stoa_tx *tx, const stoa_vec *v, const stoa_type *t, size_t i)
{
	struct stoai_vec vec;
	const void *p;

	if (!vec_open_to_change(tx, v, t, &vec) || i >= vec.count)
		return NULL;
	p = vec_element(tx, &vec, i);
	if (!p)
		return NULL;
	if (vec.shape->val_pinned) {
		stoai_tx_fail(
			tx, stoai_error(-EINVAL,
				    "'%s' holds a lock: change its fields with "
				    "STOA_SET",
				    t->val->name));
		return vec_scratch(t, p);
	}
	return stoai_tx_save(tx, p, vec.shape->elem_size) ? stoai_mutable(p)
							  : vec_scratch(t, p);
}

/* Another block of that capacity, with a gap of `gap` slots before slot i. */
static bool
vec_rebuild(stoa_tx *tx, struct stoai_vec *v, uint64_t capacity, uint64_t i,
	uint64_t gap)
{
	stoa_vec *shared = stoai_mutable(v->shared);
	const uint64_t size = v->shape->slot_size;
	uint64_t bytes;
	unsigned char *block;

	STOA_ASSERT(i <= v->count && v->count + gap <= capacity);
	if (stoai_mul_overflows(capacity, size, &bytes) ||
		bytes > STOAI_BYTES_MAX) {
		stoai_tx_fail(tx, stoai_error(-E2BIG, "%llu elements in '%s'",
					  (unsigned long long)capacity,
					  v->shape->type->name));
		return false;
	}
	block = stoai_tx_alloc_dirty(
		tx, bytes, stoai_max(v->shape->slot_align, 16));
	if (!block)
		return false;
	if (v->count) {
		memmove(block, v->data, i * size);
		memmove(block + (i + gap) * size, vec_slot(v, i),
			(v->count - i) * size);
	}
	if (!stoai_tx_save(tx, shared, sizeof *shared) ||
		!stoai_tx_free_moved(tx, v->off))
		return false;
	v->data = block;
	v->off = stoai_off(tx->seg, block);
	v->capacity = capacity;
	shared->type_ = v->shape->id;
	shared->size_ = v->shape->slot_size;
	shared->boxed_ = v->shape->type->boxed != 0;
	shared->data_ = v->off;
	shared->capacity_ = capacity;
	return true;
}

/* The same block with so many slots. False: it stays as it is, or tx has failed. */
static bool
vec_lengthen(stoa_tx *tx, struct stoai_vec *v, uint64_t capacity)
{
	stoa_vec *shared = stoai_mutable(v->shared);
	uint64_t bytes;

	if (stoai_mul_overflows(capacity, v->shape->slot_size, &bytes) ||
		bytes > STOAI_BYTES_MAX)
		return false;
	bytes = stoai_tx_lengthen(tx, v->off, bytes);
	if (!bytes || !stoai_tx_save(
			      tx, &shared->capacity_, sizeof shared->capacity_))
		return false;
	v->capacity = shared->capacity_ = bytes / v->shape->slot_size;
	return true;
}

static uint64_t
vec_larger(const struct stoai_vec *v, uint64_t count)
{
	uint64_t first = stoai_max(FIRST_BYTES / v->shape->slot_size, 1);

	return stoai_max(stoai_max(first, count), v->capacity * 2);
}

/* Slots [i, i + 1) free to be written, those behind moved up; count not yet changed. */
static bool
vec_gap(stoa_tx *tx, struct stoai_vec *v, uint64_t i)
{
	const uint64_t size = v->shape->slot_size;

	const uint64_t larger = vec_larger(v, v->count + 1);

	if (v->count == v->capacity && !vec_lengthen(tx, v, larger))
		return vec_rebuild(tx, v, larger, i, 1);
	if (!stoai_change_dead(tx, vec_slot(v, v->count), size))
		return false;
	if (stoai_likely(i == v->count)) /* nothing is behind it */
		return true;
	if (!stoai_tx_save(tx, vec_slot(v, i), (v->count - i) * size))
		return false;
	memmove(vec_slot(v, i + 1), vec_slot(v, i), (v->count - i) * size);
	return true;
}

static bool
vec_set_count(stoa_tx *tx, struct stoai_vec *v, uint64_t count)
{
	stoa_vec *shared = stoai_mutable(v->shared);

	if (!stoai_tx_save(tx, &shared->count_, sizeof shared->count_))
		return false;
	shared->count_ = v->count = count;
	return true;
}

/* A zeroed element in dead or saved slot i, its block new. NULL: failed. */
static void *
vec_fresh(stoa_tx *tx, const struct stoai_vec *v, uint64_t i)
{
	unsigned char *slot = vec_slot(v, i);
	uint64_t off;
	void *p;

	if (!v->shape->type->boxed)
		return memset(slot, 0, v->shape->slot_size);
	p = stoai_tx_alloc(tx, v->shape->elem_size, v->shape->elem_align);
	if (p) {
		off = stoai_off(tx->seg, p);
		memcpy(slot, &off, sizeof off);
	}
	return p;
}

static void *
vec_insert(stoa_tx *tx, struct stoai_vec *v, uint64_t i)
{
	void *p;

	if (!vec_gap(tx, v, i))
		return NULL;
	p = vec_fresh(tx, v, i);
	return p && vec_set_count(tx, v, v->count + 1) ? p : NULL;
}

/* What follows at the end needs no call: stoa/detail/view.h. */
static void
vec_show(stoa_tx *tx, const struct stoai_vec *v)
{
	stoa_view_ *view = stoai_view_fill(tx);

	if (!view || v->shape->type->boxed)
		return;
	view->vec = stoa_view_key_(v->shared);
	view->vec_type = v->shape->type;
	view->data = v->off;
	view->first = stoai_mutable(v->data);
	view->capacity = v->capacity;
}

STOAI_FLATTEN void *
stoa_vec_insert_(stoa_tx *tx, const stoa_vec *v, const stoa_type *t, size_t i,
	const void *val)
{
	struct stoai_vec vec;
	void *p = NULL;

	if (vec_open_to_change(tx, v, t, &vec)) {
		if (i == SIZE_MAX)
			i = vec.count;
		if (i <= vec.count) {
			p = vec_insert(tx, &vec, i);
			if (p)
				vec_show(tx, &vec);
		} else {
			stoai_tx_fail(tx,
				stoai_error(-EINVAL,
					"insertion at %zu of '%s', which has "
					"%llu elements",
					i, t->name,
					(unsigned long long)vec.count));
		}
	}
	if (!p)
		return vec_scratch(t, val);
	return val ? memcpy(p, val, t->val->size) : p;
}

/* What the element of slot i owns goes at commit; so does its block. */
static bool
vec_clear_element(
	stoa_tx *tx, const struct stoai_vec *v, uint64_t i, bool content)
{
	const void *p;
	uint64_t off = 0;

	if (v->shape->val_clears && content) {
		p = vec_element(tx, v, i);
		if (!p || !stoai_type_clear(tx, v->shape->type->val, p))
			return false;
	}
	if (v->shape->type->boxed)
		memcpy(&off, vec_slot(v, i), sizeof off);
	return stoai_tx_free(tx, off);
}

bool
stoa_vec_remove_(stoa_tx *tx, const stoa_vec *v, const stoa_type *t, size_t i)
{
	struct stoai_vec vec;
	uint64_t size;

	if (!vec_open_to_change(tx, v, t, &vec) || i >= vec.count)
		return false;
	size = vec.shape->slot_size;
	if (!vec_clear_element(tx, &vec, i, true) ||
		!stoai_tx_save(tx, vec_slot(&vec, i), (vec.count - i) * size))
		return false;
	memmove(vec_slot(&vec, i), vec_slot(&vec, i + 1),
		(vec.count - i - 1) * size);
	return vec_set_count(tx, &vec, vec.count - 1);
}

bool
stoa_vec_pop_(stoa_tx *tx, const stoa_vec *v, const stoa_type *t, void *ret)
{
	struct stoai_vec vec;
	const void *p;
	uint64_t i;

	if (!vec_open_to_change(tx, v, t, &vec) || !vec.count)
		return false;
	i = vec.count - 1;
	p = vec_element(tx, &vec, i);
	if (!p || !vec_clear_element(tx, &vec, i, false) ||
		!stoai_tx_save(tx, vec_slot(&vec, i), vec.shape->slot_size) ||
		!vec_set_count(tx, &vec, i))
		return false;
	memcpy(ret, p, vec.shape->elem_size);
	return true;
}

/* count < v->count, or 0 */
static bool
vec_shrink(stoa_tx *tx, struct stoai_vec *v, uint64_t count)
{
	stoa_vec *shared = stoai_mutable(v->shared);
	const uint64_t size = v->shape->slot_size;
	const uint64_t dead = (v->count - count) * size;

	if (v->shape->val_clears || v->shape->type->boxed)
		for (uint64_t i = count; i < v->count; i++)
			if (!vec_clear_element(tx, v, i, true))
				return false;
	if (!count) {
		if (!stoai_tx_save(tx, shared, sizeof *shared) ||
			!stoai_tx_free_moved(tx, v->off))
			return false;
		shared->data_ = shared->count_ = shared->capacity_ = 0;
		return true;
	}
	/* keeping little: copying it costs less than saving the rest */
	if (dead > SHRINK_SAVE_MAX && dead > count * size) {
		v->count = count;
		return vec_rebuild(tx, v, count, count, 0) &&
		       vec_set_count(tx, v, count);
	}
	return stoai_tx_save(tx, vec_slot(v, count), dead) &&
	       vec_set_count(tx, v, count);
}

void
stoa_vec_resize_(
	stoa_tx *tx, const stoa_vec *v, const stoa_type *t, size_t count)
{
	struct stoai_vec vec;
	uint64_t larger;

	if (!vec_open_to_change(tx, v, t, &vec))
		return;
	if (count <= vec.count) {
		/* none left: no block either, even if none was there before */
		if (count < vec.count || (!count && vec.off))
			vec_shrink(tx, &vec, count);
		return;
	}
	larger = vec_larger(&vec, count);
	if (count > vec.capacity && !vec_lengthen(tx, &vec, larger)) {
		if (!vec_rebuild(tx, &vec, larger, vec.count, 0))
			return;
	} else if (!stoai_change_dead(tx, vec_slot(&vec, vec.count),
			   (count - vec.count) * vec.shape->slot_size)) {
		return;
	}
	for (uint64_t i = vec.count; i < count; i++)
		if (!vec_fresh(tx, &vec, i))
			return;
	vec_set_count(tx, &vec, count);
}
