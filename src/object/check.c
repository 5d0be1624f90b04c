/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Is a segment sound? Header and slots, heap, the object index (the invariants of
 * index.c), then each object by its description, while others work.
 *
 * An object is looked at under the segment's lock and under every lock that lies
 * in it or in what it owns, each taken for the time it takes. They are only
 * tried, never waited for: a check that waits could close a circle, and somebody
 * else would be told of a deadlock. What is locked all the time is passed over.
 *
 * Each object has a scope of its own, so one that cannot be read does not hide
 * the others, and no lock is held for long.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/classes.h"
#include "object/heaps.h"
#include "object/index.h"
#include "object/kind.h"
#include "object/text.h"
#include "object/visit.h"
#include "os/os.h"
#include "sync/contention.h"
#include "sync/lock.h"

enum {
	CHECK_TRIES = 100, /* of an object that others change */
	LOCK_TRIES = 20,
	LOCK_PAUSE_NS = 1000000,
	CHECK_DEPTH = 8 /* values with locks inside each other */
};

/* ---- the index ---- */

struct index_check {
	const stoa_tx *rd;
	char **names;
	uint64_t count, room, stored, uniques;
	struct stoai_offsets ids;
};

static bool
check_name(struct index_check *c, const struct stoai_entry *e)
{
	char *name = malloc((size_t)e->name_size + 1);

	if (name && c->count == c->room) {
		uint64_t room = c->room ? c->room * 2 : 16;
		char **names = realloc(c->names, room * sizeof *names);

		if (!names) {
			free(name);
			name = NULL;
		} else {
			c->names = names;
			c->room = room;
		}
	}
	if (!name) {
		(void)stoai_tx_fail(
			c->rd, stoai_error(-ENOMEM, "out of memory"));
		return false;
	}
	memcpy(name, e->name, e->name_size);
	name[e->name_size] = '\0';
	c->names[c->count++] = name;
	return true;
}

/* What the index stands on is a block of its own, with room for it. */
static bool
check_room(const stoa_tx *rd, const char *what, uint64_t off, uint64_t size)
{
	if (stoa_tx_error(rd) || stoai_heap_usable(rd->seg, off) >= size)
		return !stoa_tx_error(rd);
	(void)stoai_tx_damaged(rd, "%s at %#llx: no block of %llu bytes", what,
		(unsigned long long)off, (unsigned long long)size);
	return false;
}

/* E4. Of a unique one: the name that a program has for its type. */
static bool
name_is_right(const struct stoai_entry *e)
{
	uint32_t mark = e->name[0] == STOAI_UNIQUE;

	return stoai_name_bytes_ok(e->name + mark, e->name_size - mark);
}

/* I2, I4 */
static bool
check_entry(void *user, uint64_t off, const struct stoai_entry *e)
{
	struct index_check *c = user;
	const stoa_tx *rd = c->rd;
	uint64_t found, count = 0;
	const stoa_type *type;
	const void *data;
	char text[STOAI_NAME_TEXT];

	if (!check_room(
		    rd, "object I2: an entry", off, sizeof *e + e->name_size))
		return false;
	(void)stoai_name_text(e->name, e->name_size, text);
	found = stoai_index_find(rd, e->name, e->name_size);
	if (!stoa_tx_error(rd) && found != off)
		(void)stoai_tx_damaged(rd,
			"object I2: '%s' at %#llx is not what its name "
			"finds",
			text, (unsigned long long)off);
	if (stoa_tx_error(rd))
		return false;
	type = stoai_type_find(rd, e->type_id);
	if (!stoa_tx_error(rd) && !type)
		(void)stoai_tx_damaged(
			rd, "object I4: '%s' has no stored type", text);
	if (!stoa_tx_error(rd) && !name_is_right(e))
		(void)stoai_tx_damaged(rd,
			"object E4: what is at %#llx has an impossible name",
			(unsigned long long)off);
	data = type ? stoai_entry_data(rd, e, type, &count) : NULL;
	if (data &&
		!check_room(rd, "object I4: its elements", off,
			stoai_off(rd->seg, data) - off + count * type->size))
		return false;
	c->uniques += e->name[0] == STOAI_UNIQUE;
	return !stoa_tx_error(rd) && check_name(c, e);
}

/* I5 */
static bool
check_stored(void *user, uint64_t off, const struct stoai_stored_type *s)
{
	struct index_check *c = user;
	enum stoai_offsets_result is = stoai_offsets_add(&c->ids, s->id);

	c->stored++;
	if (!check_room(c->rd, "object I5: the type stored", off,
		    sizeof *s + UINT64_C(8) * s->target_count + s->text_size))
		return false;
	if (is == STOAI_OFFSETS_NOMEM)
		(void)stoai_tx_fail(
			c->rd, stoai_error(-ENOMEM, "out of memory"));
	else if (is == STOAI_OFFSETS_OLD || !s->id ||
		 (!stoai_type_find(c->rd, s->id) && !stoa_tx_error(c->rd)))
		(void)stoai_tx_damaged(c->rd,
			"object I5: the type stored at %#llx has a wrong id",
			(unsigned long long)off);
	return !stoa_tx_error(c->rd);
}

/* I6: what waits are counted in is the root's, and nothing else is. */
static bool
check_contention(const stoa_tx *rd, const struct stoai_root *root)
{
	uint64_t used = a64_load_relaxed(&stoai_header(rd->seg)->contention);
	uint64_t off = a64_load_relaxed(&root->contention);
	struct stoai_contention found;

	if (!off && !used)
		return true;
	if ((used && used != off) ||
		!stoai_contention_at(rd->seg, off, &found)) {
		(void)stoai_tx_damaged(rd,
			"object I6: waits are counted at %#llx, the table is "
			"at %#llx",
			(unsigned long long)used, (unsigned long long)off);
		return false;
	}
	return check_room(rd, "object I6: the table of waits", off,
		stoai_contention_size(rd->seg, found.rows));
}

/* I1, I3 */
static void
check_counts(const struct index_check *c)
{
	const struct stoai_root *root = stoai_root(c->rd);

	if (root && (!check_room(c->rd, "object I1: the root",
			     stoai_off(c->rd->seg, root), sizeof *root) ||
			    (root->bucket_count &&
				    !check_room(c->rd, "object I1: the buckets",
					    root->buckets,
					    root->bucket_count *
						    sizeof(uint64_t)))))
		return;
	if (root && !check_contention(c->rd, root))
		return;
	if (root && !stoa_tx_error(c->rd) &&
		(root->count != c->count || root->uniques != c->uniques ||
			root->type_count != c->stored))
		(void)stoai_tx_damaged(c->rd,
			"object I3: %llu objects and %llu types, should be "
			"%llu and %llu; %llu are unique, should be %llu",
			(unsigned long long)c->count,
			(unsigned long long)c->stored,
			(unsigned long long)root->count,
			(unsigned long long)root->type_count,
			(unsigned long long)c->uniques,
			(unsigned long long)root->uniques);
}

static void
index_check_fini(struct index_check *c)
{
	for (uint64_t i = 0; i < c->count; i++)
		free(c->names[i]);
	free(c->names);
	stoai_offsets_fini(&c->ids);
	memset(c, 0, sizeof *c);
}

/* *c holds the names; the caller lets them go. */
static int
index_check(stoa_segment *seg, struct index_check *c)
{
	const stoa_hold hold = stoa_shared(&stoai_header(seg)->names);
	int rc = -EAGAIN;

	for (int i = 0; i < CHECK_TRIES && (rc == -EAGAIN || rc == -EDEADLK);
		i++) {
		const stoa_tx *rd =
			stoa_read_begin(seg, &hold, 1, STOA_FOREVER);

		index_check_fini(c);
		c->rd = rd;
		if (stoai_stored_each(rd, check_stored, c) &&
			stoai_index_each(rd, check_entry, c) &&
			stoai_class_check(rd))
			check_counts(c);
		rc = stoa_tx_error(rd);
		stoa_tx_end(rd);
	}
	return rc;
}

/* ---- an object ---- */

struct object_check {
	const stoa_tx *rd;
	struct stoai_walk walk;
	struct stoai_offsets seen;
	int depth;
};

struct taken { /* locks of one value */
	const char *lock[8];
	uint32_t count;
};

static bool
check_value(struct object_check *c, const stoa_type *type, const char *p);

static bool
check_block(void *user, uint64_t off, const stoa_type *whose, uint64_t need)
{
	const struct object_check *c = user;

	(void)whose;
	(void)need;
	if (stoai_heap_usable(c->rd->seg, off))
		return true;
	(void)stoai_tx_damaged(c->rd, "what is owned at %#llx is no block",
		(unsigned long long)off);
	return false;
}

static bool
check_container(void *user, const stoa_type *type, const void *p)
{
	const struct object_check *c = user;
	const struct stoai_kind_class *class = &stoai_kind_class[type->kind];
	int rc = class->check ? class->check(c->rd, type, p) : 0;

	if (rc)
		(void)stoai_tx_fail(c->rd, rc);
	return !stoa_tx_error(c->rd);
}

/* Only a value that fills a block of its own begins where one begins. */
static enum stoai_walk_on
check_inner(void *user, const stoa_type *type, const void *p)
{
	struct object_check *c = user;
	uint64_t off = stoai_off(c->rd->seg, p);
	uint64_t usable = stoai_heap_usable(c->rd->seg, off);

	if (usable && usable < type->size) {
		(void)stoai_tx_damaged(c->rd,
			"%s at %#llx has a block of %llu bytes", type->name,
			(unsigned long long)off, (unsigned long long)usable);
		return STOAI_WALK_STOP;
	}
	if (stoai_type_is_plain(type))
		return STOAI_WALK_SKIP;
	if (c->depth >= CHECK_DEPTH)
		return STOAI_WALK_INTO;
	return check_value(c, type, p) ? STOAI_WALK_SKIP : STOAI_WALK_STOP;
}

/* 0: held; -EAGAIN: somebody has it all the time. */
static int
try_lock(const struct object_check *c, stoa_kind kind, const char *lock)
{
	struct stoai_seat *seat = c->rd->seat;
	enum stoai_lock_mode mode =
		kind == STOA_KIND_MUTEX ? STOAI_MODE_MUTEX : STOAI_MODE_SHARED;
	int rc = -EAGAIN;

	for (int i = 0; i < LOCK_TRIES && rc == -EAGAIN; i++) {
		if (i)
			stoai_os_sleep(LOCK_PAUSE_NS);
		seat->busy = 1;
		rc = stoai_lock(seat, (void *)(uintptr_t)lock, mode, STOA_NOW,
			STOAI_LOCK_LIBRARY);
		seat->busy = 0;
	}
	return rc;
}

/*
 * Read-only: note the object's own locks, as far as there is room. The answer of
 * the scope then says whether a writer came between.
 */
static int
watch_lock(const struct object_check *c, stoa_kind kind, const char *lock)
{
	if (c->depth > 0 || kind != STOA_KIND_RWLOCK ||
		c->rd->watched_count >= STOAI_TX_WATCH_MAX - 2)
		return 0;
	return stoa_tx_lock_until(
		c->rd, (const stoa_rwlock *)(const void *)lock, STOA_NOW);
}

/* The locks that lie in the value itself. 0, or why one cannot be had. */
static int
take_locks(const struct object_check *c, const stoa_type *type, const char *p,
	struct taken *taken)
{
	int rc = 0;

	for (size_t i = 0; i < type->field_count && !rc; i++) {
		const stoa_field *f = &type->fields[i];
		uint32_t size = stoai_field_element(f);
		bool lock = f->kind == STOA_KIND_MUTEX ||
			    f->kind == STOA_KIND_RWLOCK;
		bool inside = f->kind == STOA_KIND_STRUCT &&
			      !stoai_type_is_plain(f->type);

		for (uint32_t at = 0; (lock || inside) && !rc && at < f->size;
			at += size) {
			const char *q = p + f->offset + at;

			if (inside)
				rc = take_locks(c, f->type, q, taken);
			else if (!c->rd->seat)
				rc = watch_lock(c, f->kind, q);
			else if (taken->count == STOAI_COUNT(taken->lock))
				rc = -EOVERFLOW;
			else
				rc = try_lock(c, f->kind, q);
			if (lock && c->rd->seat && !rc)
				taken->lock[taken->count++] = q;
		}
	}
	return rc;
}

/* The value under its locks; true also when it was passed over. */
static bool
check_value(struct object_check *c, const stoa_type *type, const char *p)
{
	struct taken taken = {0};
	int rc = take_locks(c, type, p, &taken);

	c->depth++;
	if (!rc)
		(void)stoai_walk(&c->walk, type, p);
	else if (rc != -EAGAIN && rc != -EOVERFLOW)
		(void)stoai_tx_fail(c->rd, rc);
	c->depth--;
	while (taken.count)
		stoai_unlock(c->rd->seat,
			(void *)(uintptr_t)taken.lock[--taken.count]);
	return !stoa_tx_error(c->rd);
}

static int
object_check(stoa_segment *seg, const char *name)
{
	struct object_check c = {0};
	const struct stoai_entry *e = NULL;
	const stoa_type *type;
	const char *data;
	uint64_t off, count = 0;

	STOA_READ(rd, seg);
	c.rd = rd;
	c.walk = (struct stoai_walk){.rd = rd,
		.block = check_block,
		.value = check_inner,
		.container = check_container,
		.user = &c,
		.seen = &c.seen};
	off = stoai_names_lock(rd) ? stoai_index_find(rd, name, strlen(name))
				   : 0;
	if (off)
		e = stoai_entry_at(rd, off);
	type = e ? stoai_type_find(rd, e->type_id) : NULL;
	data = type ? stoai_entry_data(rd, e, type, &count) : NULL;
	if (data && !stoai_type_is_plain(type) &&
		stoai_offsets_add(&c.seen, off) == STOAI_OFFSETS_NEW)
		for (uint64_t i = 0; i < count && !stoa_tx_error(rd); i++)
			(void)check_value(&c, type, data + i * type->size);
	stoai_offsets_fini(&c.seen);
	return stoa_tx_error(rd);
}

int
stoai_object_check(stoa_segment *seg)
{
	struct index_check c = {0};
	char text[STOAI_NAME_TEXT];
	int rc = index_check(seg, &c);

	for (uint64_t i = 0; i < c.count && !rc; i++) {
		rc = -EAGAIN;
		for (int n = 0;
			n < CHECK_TRIES && (rc == -EAGAIN || rc == -EDEADLK);
			n++)
			rc = object_check(seg, c.names[i]);
		if (rc == -EBADMSG)
			rc = stoai_error_in(rc, "object '%s'",
				stoai_name_text(
					c.names[i], strlen(c.names[i]), text));
	}
	index_check_fini(&c);
	return rc;
}

int
stoa_segment_check(stoa_segment *seg)
{
	int rc;

	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_check: seg is NULL");
	stoai_error_clear();
	if (!seg->readonly)
		(void)stoai_sweep(seg, true);
	rc = stoai_segment_check_header(seg);
	if (!rc)
		rc = stoai_heap_check(seg);
	if (!rc)
		rc = stoai_heap_class_check(seg);
	if (!rc)
		rc = stoai_object_check(seg);
	return stoai_error_left(rc);
}
