/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Objects with a name, as programs see them: open, find, create, destroy. The
 * index itself is index.c, the block of an object entry.c, the types are store.c;
 * what is looked at without knowing a name is list.c.
 *
 * A unique object has a name too, which no program can say: STOAI_UNIQUE and the
 * name of its type. So one index finds both kinds.
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
	OPEN_TRIES = 100 /* against -EDEADLK, and -EAGAIN when read-only */
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

struct wish {             /* what the caller names, checked */
	const char *name; /* as the index knows it */
	size_t size;
	const stoa_type *type;
	const stoa_object_options *options; /* NULL: none */
	uint64_t id;
	uint64_t hash;
	char unique[STOAI_UNIQUE_MAX + 1];
};

/* The name of the one of this type, whose name has been checked. */
static void
wish_unique(struct wish *w)
{
	w->size = 1 + strlen(w->type->name);
	w->unique[0] = STOAI_UNIQUE;
	memcpy(w->unique + 1, w->type->name, w->size);
	w->name = w->unique;
}

/*
 * Of a name its size: its bytes are looked at when there is nothing of that name.
 * But a control character in front would find a unique object.
 */
static int
wish_take(struct wish *w, stoa_segment *seg, const char *name,
	const stoa_type *type)
{
	int rc = stoai_type_identify(type, &w->id);

	w->options = NULL;
	if (rc)
		return rc;
	w->type = type;
	w->name = name;
	if (!name)
		wish_unique(w);
	else if ((unsigned char)name[0] < ' ')
		rc = stoai_object_name_check(name, &w->size);
	else
		rc = stoai_object_name_size(name, &w->size);
	if (rc)
		return rc;
	w->hash = stoai_index_hash(seg, w->name, w->size);
	stoai_index_ahead(seg, w->hash);
	return 0;
}

/* There is none: is it at least a name? Else rd has failed. */
static bool
wish_is_name(const stoa_tx *rd, const struct wish *w)
{
	size_t size;
	int rc = w->name == w->unique ? 0
				      : stoai_object_name_check(w->name, &size);

	if (rc)
		(void)stoai_tx_fail(rd, rc);
	return !rc;
}

static int
wish_options(struct wish *w, const stoa_object_options *options)
{
	w->options = options;
	if (!options)
		return 0;
	if (options->struct_size != sizeof *options)
		return stoai_error(-EINVAL,
			"options: fill them with STOA_OBJECT_OPTIONS(...), "
			"which sets struct_size");
	if (options->value && !stoai_type_is_plain(w->type))
		return stoai_error(-EINVAL,
			"options.value: %s owns memory or holds a lock, so it "
			"cannot be copied; use options.init",
			w->type->name);
	return 0;
}

static const char *
wish_text(const struct wish *w, char buf[STOAI_NAME_TEXT])
{
	return stoai_name_text(w->name, w->size, buf);
}

/* Under the lock of the names. NULL: there is none, or rd has failed. */
static const void *
wish_find(const stoa_tx *rd, const struct wish *w, uint64_t *ret_count)
{
	const struct stoai_entry *e =
		stoai_index_entry(rd, w->name, w->size, w->hash);
	char text[STOAI_NAME_TEXT];
	uint64_t id;

	if (!e && !stoa_tx_error(rd))
		(void)wish_is_name(rd, w);
	if (!e)
		return NULL;
	id = a64_load_relaxed(&e->type_id);
	if (id == w->id)
		return stoai_entry_data(rd, e, w->type, ret_count);
	(void)wrong_type(rd, wish_text(w, text), id, w->type);
	return NULL;
}

/* The same for who has a count in mind. */
static const void *
wish_find_all(const stoa_tx *rd, const struct wish *w)
{
	uint64_t count, wanted = w->options ? w->options->count : 0;
	const void *data = wish_find(rd, w, &count);
	char text[STOAI_NAME_TEXT];

	if (!data || !wanted || count == wanted)
		return data;
	(void)stoai_tx_fail(
		rd, stoai_error(-EPROTOTYPE,
			    "'%s' in '%s' is %llu of %s; you ask for %llu",
			    wish_text(w, text), stoai_name(rd->seg),
			    (unsigned long long)count, w->type->name,
			    (unsigned long long)wanted));
	return NULL;
}

const void *
stoa_object_find_(const stoa_tx *rd, const char *name, const stoa_type *type)
{
	uint64_t count;

	return stoa_object_find_array_(rd, name, type, &count);
}

const void *
stoa_object_find_array_(const stoa_tx *rd, const char *name,
	const stoa_type *type, uint64_t *ret_count)
{
	struct wish w;
	int rc;

	*ret_count = 0;
	if (!stoai_tx_reads(rd))
		return NULL;
	rc = wish_take(&w, rd->seg, name, type);
	if (rc) {
		(void)stoai_tx_fail(rd, rc);
		return NULL;
	}
	return stoai_names_lock(rd) ? wish_find(rd, &w, ret_count) : NULL;
}

/* ---- creating ---- */

/* Elements as the options want them. false: tx has failed. */
static bool
wish_fill(stoa_tx *tx, const struct wish *w, char *data, uint64_t count)
{
	const stoa_object_options *o = w->options;
	uint64_t size = w->type->size;

	for (uint64_t i = 0; o->value && i < count; i++)
		memcpy(data + i * size, o->value, size);
	for (uint64_t i = 0; o->init && i < count; i++) {
		int rc = o->init(tx, data + i * size, i, o->user);

		if (rc)
			(void)stoa_tx_fail(tx, rc);
		if (stoa_tx_error(tx))
			return false;
	}
	return true;
}

/* Under the lock; the name is free. NULL: tx has failed. */
static void *
wish_create(stoa_tx *tx, const struct wish *w)
{
	uint64_t count = w->options ? w->options->count : 0;
	struct stoai_entry *e;
	char *data;

	count = count ? count : 1;
	e = stoai_entry_new(tx, w->name, w->size, w->type, count);
	if (!e || !stoai_index_insert(tx, stoai_off(tx->seg, e)))
		return NULL;
	data = stoai_entry_elements(e);
	return !w->options || wish_fill(tx, w, data, count) ? data : NULL;
}

void *
stoa_object_create_with_(stoa_tx *tx, const char *name, const stoa_type *type,
	const stoa_object_options *options)
{
	char text[STOAI_NAME_TEXT];
	void *data = NULL;
	struct wish w;
	int rc;

	if (stoai_tx_writes(tx)) {
		rc = wish_take(&w, tx->seg, name, type);
		if (!rc)
			rc = wish_options(&w, options);
		if (rc)
			(void)stoai_tx_fail(tx, rc);
		else if (stoai_names_lock(tx) &&
			 stoai_index_entry(tx, w.name, w.size, w.hash))
			(void)stoai_tx_fail(tx,
				stoai_error(-EEXIST, "'%s' is in '%s' already",
					wish_text(&w, text),
					stoai_name(tx->seg)));
		else if (!stoa_tx_error(tx) && wish_is_name(tx, &w))
			data = wish_create(tx, &w);
	}
	return data ? data
		    : stoai_elements_scratch(
			      type, options ? options->count : 1);
}

void *
stoa_object_create_(stoa_tx *tx, const char *name, const stoa_type *type)
{
	return stoa_object_create_with_(tx, name, type, NULL);
}

static int
count_is_none(const stoa_type *type)
{
	return stoai_error(-EINVAL, "an array of 0 %s: 1 at least", type->name);
}

void *
stoa_object_create_array_(
	stoa_tx *tx, const char *name, const stoa_type *type, uint64_t count)
{
	if (!count && stoai_tx_writes(tx))
		(void)stoai_tx_fail(tx, count_is_none(type));
	return stoa_object_create_with_(
		tx, name, type, STOA_OBJECT_OPTIONS(.count = count));
}

/* ---- opening ---- */

/* 0; -ENOENT: there is none. */
static int
open_existing_object(stoa_segment *seg, const struct wish *w, const void **ret)
{
	const stoa_hold hold = stoa_shared(&stoai_header(seg)->names);
	const stoa_tx *rd = stoa_read_begin(seg, &hold, 1, STOA_FOREVER);
	const void *data = stoai_tx_reads(rd) ? wish_find_all(rd, w) : NULL;
	int rc = stoa_tx_error(rd);
	char text[STOAI_NAME_TEXT];

	if (!rc && !data)
		rc = stoai_error(-ENOENT, "there is no '%s' in '%s'",
			wish_text(w, text), stoai_name(seg));
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
	const void *data = stoai_tx_reads(tx) ? wish_find_all(tx, w) : NULL;
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
stoa_object_open_with_(stoa_segment *seg, const char *name,
	const stoa_type *type, const stoa_object_options *options, void *ret)
{
	const struct stoai_seat *seat;
	const struct stoa_tx *around;
	const void *data = NULL;
	struct wish w;
	int rc;

	stoai_error_clear();
	if (!seg || !ret)
		return stoai_error(-EINVAL, "stoa_object_open: a NULL pointer");
	rc = wish_take(&w, seg, name, type);
	if (!rc)
		rc = wish_options(&w, options);
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

int
stoa_object_open_(
	stoa_segment *seg, const char *name, const stoa_type *type, void *ret)
{
	return stoa_object_open_with_(seg, name, type, NULL, ret);
}

int
stoa_object_open_array_(stoa_segment *seg, const char *name,
	const stoa_type *type, uint64_t count, void *ret)
{
	if (!count)
		return count_is_none(type);
	return stoa_object_open_with_(
		seg, name, type, STOA_OBJECT_OPTIONS(.count = count), ret);
}

/* ---- destroying ---- */

/* Whatever the index finds by that name. */
static bool
destroy_found(stoa_tx *tx, const char *name, size_t size)
{
	const struct stoai_entry *e;
	uint64_t off;

	if (!stoai_names_lock(tx))
		return false;
	off = stoai_index_find(tx, name, size);
	e = off ? stoai_entry_at(tx, off) : NULL;
	return e && stoai_object_remove(tx, e);
}

bool
stoai_object_remove(stoa_tx *tx, const struct stoai_entry *e)
{
	return stoai_index_remove(tx, stoai_off(tx->seg, e)) &&
	       stoai_entry_delete(tx, e);
}

bool
stoa_object_destroy(stoa_tx *tx, const char *name)
{
	size_t size;
	int rc;

	if (!stoai_tx_writes(tx))
		return false;
	rc = name ? stoai_object_name_check(name, &size)
		  : stoai_error(-EINVAL,
			    "stoa_object_destroy: name is NULL; the one of a "
			    "type: stoa_object_destroy_unique");
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	return destroy_found(tx, name, size);
}

bool
stoa_object_destroy_unique_(stoa_tx *tx, const stoa_type *type)
{
	struct wish w;
	int rc;

	if (!stoai_tx_writes(tx))
		return false;
	rc = wish_take(&w, tx->seg, NULL, type);
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	return destroy_found(tx, w.name, w.size);
}
