/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named objects as programs see them: open, find, create, destroy, iterate. The
 * index itself is index.c, the types are store.c.
 *
 * Opening looks first, under the shared lock, so that opening what is there
 * scales over processes; only who finds nothing comes back with the exclusive
 * one, looks again, and creates. So exactly one creates, however many race, and a
 * creator that dies leaves nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "os/os.h"
#include "heap/heap.h"
#include "object/index.h"
#include "object/text.h"

enum {
	OPEN_TRIES = 100, /* against -EDEADLK, and -EAGAIN when read-only */
	OBJECT_BYTES = 64 /* an entry and its data take at least so much */
};

/* ---- wrong type ---- */

static const char *
article(const stoa_type *type)
{
	return type->kind == STOA_KIND_VEC || type->kind == STOA_KIND_HASHMAP
		       ? "a "
		       : "";
}

/* Both are the same container of the same keys: what differs is the value. */
static bool
only_values_differ(const stoa_type *there, const stoa_type *here)
{
	if (there->kind != here->kind || there->boxed != here->boxed ||
		!there->val || !here->val)
		return false;
	return (!there->key && !here->key) ||
	       (there->key && here->key &&
		       stoai_type_id(there->key) == stoai_type_id(here->key));
}

/* -EPROTOTYPE, with both layouts in the text. */
static int
wrong_type(const stoa_tx *rd, const char *name, uint64_t there_id,
	const stoa_type *here)
{
	const stoa_type *there = stoai_type_find(rd, there_id);
	char a[160], b[160], more[120];

	if (!there && stoa_tx_error(rd))
		return stoa_tx_error(rd);
	if (!there)
		return stoai_tx_damaged(
			rd, "object I4: the type of '%s' is not stored", name);
	stoai_type_text(there, a, sizeof a);
	if (only_values_differ(there, here))
		stoai_type_text(here->val, b, sizeof b);
	else
		stoai_type_text(here, b, sizeof b);
	more[0] = '\0';
	if (!strcmp(a, b))
		stoai_type_difference(there, here, more, sizeof more);
	return stoai_tx_fail(rd,
		stoai_error(-EPROTOTYPE,
			"'%s' in '%s' is %s%s; you ask for %s%s%s%s; use a new "
			"name, or unlink the segment",
			name, stoai_name(rd->seg), article(there), a,
			only_values_differ(there, here) ? "" : article(here), b,
			more[0] ? ": " : "", more));
}

/* ---- finding ---- */

struct wish { /* what the caller names, checked */
	const char *name;
	size_t size;
	const stoa_type *type;
	uint64_t id;
};

static int
wish_take(struct wish *w, const char *name, const stoa_type *type)
{
	int rc = stoai_type_identify(type, &w->id);

	if (rc)
		return rc;
	w->type = type;
	w->name = name ? name : type->name;
	return stoai_object_name_check(w->name, &w->size);
}

/* The object's data; NULL: damaged. */
static const void *
entry_data(const stoa_tx *rd, const struct stoai_entry *e, const char *name,
	const stoa_type *type)
{
	uint64_t off = a64_load_relaxed(&e->data);
	const void *data = NULL;

	if (off % type->align == 0)
		data = stoai_tx_at(rd, off, type->size);
	if (!data)
		(void)stoai_tx_damaged(rd,
			"object I4: '%s' has its data at %#llx", name,
			(unsigned long long)off);
	return data;
}

/* Under the lock of the names. NULL: there is none, or rd has failed. */
static const void *
wish_find(const stoa_tx *rd, const struct wish *w)
{
	uint64_t off = stoai_index_find(rd, w->name, w->size), id;
	const struct stoai_entry *e = off ? stoai_entry_at(rd, off) : NULL;

	if (!e)
		return NULL;
	id = a64_load_relaxed(&e->type_id);
	if (id != w->id) {
		(void)wrong_type(rd, w->name, id, w->type);
		return NULL;
	}
	return entry_data(rd, e, w->name, w->type);
}

const void *
stoa_object_find_(const stoa_tx *rd, const char *name, const stoa_type *type)
{
	struct wish w;
	int rc;

	if (!stoai_tx_reads(rd))
		return NULL;
	rc = wish_take(&w, name, type);
	if (rc) {
		(void)stoai_tx_fail(rd, rc);
		return NULL;
	}
	return stoai_names_lock(rd) ? wish_find(rd, &w) : NULL;
}

/* ---- creating ---- */

/* Under the lock; the name is free. NULL: tx has failed. */
static void *
wish_create(stoa_tx *tx, const struct wish *w)
{
	struct stoai_entry *e;
	void *data;

	if (!stoai_type_store(tx, w->type))
		return NULL;
	data = stoai_tx_alloc(
		tx, w->type->size, stoai_max(w->type->align, STOAI_BLOCK_MIN));
	e = data ? stoai_index_insert(tx, w->name, w->size) : NULL;
	if (!e)
		return NULL;
	e->type_id = w->id;
	e->data = stoai_off(tx->seg, data);
	return data;
}

void *
stoa_object_create_(stoa_tx *tx, const char *name, const stoa_type *type)
{
	void *data = NULL;
	struct wish w;
	int rc;

	if (stoai_tx_writes(tx)) {
		rc = wish_take(&w, name, type);
		if (rc) {
			(void)stoai_tx_fail(tx, rc);
		} else if (stoai_names_lock(tx)) {
			if (stoai_index_find(tx, w.name, w.size))
				(void)stoai_tx_fail(tx,
					stoai_error(-EEXIST,
						"'%s' is in '%s' already",
						w.name, stoai_name(tx->seg)));
			else if (!stoa_tx_error(tx))
				data = wish_create(tx, &w);
		}
	}
	return data ? data : stoai_scratch(type ? type->size : 1, NULL);
}

/* ---- opening ---- */

/* 0; -ENOENT: there is none. */
static int
open_existing_object(stoa_segment *seg, const struct wish *w, const void **ret)
{
	const stoa_hold hold = stoa_shared(&stoai_header(seg)->names);
	const stoa_tx *rd = stoa_read_begin(seg, &hold, 1, STOA_FOREVER);
	const void *data = stoai_tx_reads(rd) ? wish_find(rd, w) : NULL;
	int rc = stoa_tx_error(rd);

	if (!rc && !data)
		rc = stoai_error(-ENOENT, "there is no '%s' in '%s'", w->name,
			stoai_name(seg));
	stoa_tx_end(rd);
	if (!rc)
		*ret = data;
	return rc;
}

static int
open_or_create_object(stoa_segment *seg, const struct wish *w, const void **ret)
{
	const stoa_hold hold = {&stoai_header(seg)->names, 2, 0};
	stoa_tx *tx = stoa_tx_begin(seg, &hold, 1, STOA_FOREVER);
	const void *data = stoai_tx_reads(tx) ? wish_find(tx, w) : NULL;
	int rc;

	if (!data && stoai_tx_writes(tx))
		data = wish_create(tx, w);
	rc = stoa_tx_commit(tx);
	stoa_tx_end(tx);
	if (!rc)
		*ret = data;
	return rc;
}

/* Also inside a read scope: what is not there is -EBUSY then. */
static int
open_alone(stoa_segment *seg, const struct wish *w, const void **ret)
{
	int rc = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		if (i)
			stoai_os_yield();
		rc = open_existing_object(seg, w, ret);
		if (rc == -ENOENT && !seg->readonly)
			rc = open_or_create_object(seg, w, ret);
		if (rc != -EDEADLK && rc != -EAGAIN)
			break;
	}
	return rc;
}

int
stoa_object_open_(
	stoa_segment *seg, const char *name, const stoa_type *type, void *ret)
{
	const struct stoai_seat *seat;
	const struct stoa_tx *around;
	const void *data = NULL;
	struct wish w;
	int rc;

	stoai_error_clear();
	if (!seg || !ret)
		return stoai_error(-EINVAL, "stoa_object_open: a NULL pointer");
	rc = wish_take(&w, name, type);
	if (rc)
		return rc;
	seat = stoai_seat_of(seg);
	around = seat ? seat->scope : NULL;
	if (around && around->state == STOAI_TX_WRITES)
		/* locks stay to its end: a shared one would bar the exclusive */
		rc = open_or_create_object(seg, &w, &data);
	else if (around && seat->writer && !stoai_names_lock(around))
		rc = stoa_tx_error(around);
	else
		rc = open_alone(seg, &w, &data);
	if (!rc)
		memcpy(ret, &data, sizeof data);
	return stoai_error_left(rc);
}

/* ---- destroying ---- */

bool
stoa_object_destroy(stoa_tx *tx, const char *name)
{
	const struct stoai_entry *e;
	const stoa_type *type;
	const void *data;
	uint64_t off;
	size_t size;
	int rc;

	if (!stoai_tx_writes(tx))
		return false;
	rc = name ? stoai_object_name_check(name, &size)
		  : stoai_error(-EINVAL, "stoa_object_destroy: name is NULL");
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	if (!stoai_names_lock(tx))
		return false;
	off = stoai_index_find(tx, name, size);
	e = off ? stoai_entry_at(tx, off) : NULL;
	type = e ? stoai_type_find(tx, e->type_id) : NULL;
	if (e && !type && !stoa_tx_error(tx))
		(void)stoai_tx_damaged(
			tx, "object I4: the type of '%s' is not stored", name);
	data = type ? entry_data(tx, e, name, type) : NULL;
	return data && stoai_type_clear(tx, type, data) &&
	       stoai_tx_free(tx, e->data) && stoai_index_remove(tx, off);
}

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
	uint64_t n = x ? a32_load_relaxed(&x->name_size) : 0;
	uint64_t m = y ? a32_load_relaxed(&y->name_size) : 0;
	int order;

	if (!x || !y || n > STOAI_NAME_MAX || m > STOAI_NAME_MAX)
		return y != NULL;
	order = memcmp(x->name, y->name, stoai_min(n, m));
	return order < 0 || (order == 0 && n < m);
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
	count = a64_load_relaxed(&root->count);
	if (count > rd->seg->size / OBJECT_BYTES ||
		!stoai_in_heap(
			rd->seg, rd->seg->heap_off, count * OBJECT_BYTES)) {
		(void)stoai_tx_damaged(rd, "object I3: %llu objects",
			(unsigned long long)count);
		return it;
	}
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
iteration_show(stoa_object *it, uint64_t off)
{
	const stoa_tx *rd = it->rd_;
	const struct stoai_entry *e = stoai_entry_at(rd, off);
	uint32_t size = e ? a32_load_relaxed(&e->name_size) : 0;
	const stoa_type *type;
	char *name;

	if (!size || size > STOAI_NAME_MAX)
		return false;
	name = stoai_scratch(size + 1, NULL);
	memcpy(name, e->name, size);
	name[size] = '\0';
	if (stoai_index_find(rd, name, size) != off)
		return false;
	type = stoai_type_find(rd, a64_load_relaxed(&e->type_id));
	if (!type && !stoa_tx_error(rd))
		(void)stoai_tx_damaged(
			rd, "object I4: the type of '%s' is not stored", name);
	it->data = type ? entry_data(rd, e, name, type) : NULL;
	it->type = type;
	it->name = name;
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
		if (iteration_show(it, off[next]))
			return true;
	}
	it->core_[0] = 0;
	return false;
}
