/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which lock has this name, and what becomes of it when the name is removed?
 *
 *	index of the namespace
 *	  "jobs"          named_mutex   { object } --> box { next, mutex }
 *	  (its type)      removed_mutex { first  } --> box --> box --> box
 *
 * What has the name is a cell, which owns a box, in which the lock lies; the cell's
 * type is the kind. Removing destroys the cell and hands the box to the removed ones
 * of its kind, so whoever has a pointer to the lock goes on with it.
 *
 * I1  A box has one owner: a cell, the head of the removed ones, or a removed box.
 * I2  A box is deleted only while nobody can have a pointer to its lock.
 *
 * I2 holds because a pointer comes from a name: a removed box has none, so only who
 * opened it before it was removed can have one, or a fork child of that. If no other
 * process has the segment open, and this one no handle but that of the call, and no
 * child that nobody has seen yet (segment/registry.c), all of those are gone. Who
 * opens it a moment later is told of names, and not of removed boxes. Nothing is
 * removed meanwhile: that takes the lock of the names, under which this is asked.
 *
 * Killed anywhere: each change is one transaction. Two namespaces of one name cannot
 * come about: a segment is published whole or not at all (segment/open.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include "os/os.h"
#include "segment/flush.h"
#include "object/index.h"
#include "object/named.h"

enum {
	NAMED_TRIES = 100, /* against -EDEADLK */
	NAMED_PURGE = 64,  /* boxes deleted in one transaction */
	NAMED_SIZE = 64 << 10,
	NAMED_THREADS = 255
};
#define NAMED_LIMIT (UINT64_C(1) << 30)

/* ---- the kinds ---- */

#define NAMED_TYPES(kind, word, call, type) \
 typedef struct named_##word##_box named_##word##_box; \
 typedef STOA_REF(named_##word##_box) named_##word##_ref; \
 struct named_##word##_box { \
  named_##word##_ref next; \
  type object; \
 }; \
 STOA_TYPE(named_##word##_box, (next, named_##word##_box, own), object); \
 typedef struct named_##word { \
  named_##word##_ref object; \
 } named_##word; \
 STOA_TYPE(named_##word, (object, named_##word##_box, own)); \
 typedef struct removed_##word { \
  named_##word##_ref first; \
 } removed_##word; \
 STOA_TYPE(removed_##word, (first, named_##word##_box, own));
STOA_NAMED_KINDS_(NAMED_TYPES)

/* The same for all kinds: a cell or a head of removed ones, and a box. */
struct named_cell {
	stoa_ref box;
};
struct named_box {
	stoa_ref next;
};

static const struct named_kind {
	const char *word;
	const stoa_type *cell, *box, *removed;
	uint32_t object_at; /* in the box */
} named_kinds[STOA_NAMED_KINDS] = {
#define NAMED_ROW(kind, word_, call, type) \
 [kind] = {.word = #word_, \
	 .cell = &stoa_type_named_##word_, \
	 .box = &stoa_type_named_##word_##_box, \
	 .removed = &stoa_type_removed_##word_, \
	 .object_at = offsetof(named_##word_##_box, object)},
	STOA_NAMED_KINDS_(NAMED_ROW)};

/*
 * Where a kind counts: a uint32_t that is the first count, and the most it may be.
 * One row for each that does.
 */
static const struct named_count {
	uint32_t max; /* 0: it counts nothing */
	uint32_t at;  /* in the object */
} named_counts[STOA_NAMED_KINDS] = {
	[STOA_NAMED_SEMAPHORE] = {STOA_SEMAPHORE_MAX,
		offsetof(stoa_semaphore, word_)},
	[STOA_NAMED_PERMITS] = {UINT32_MAX, offsetof(stoa_permits, total_)},
	[STOA_NAMED_LATCH] = {INT32_MAX, offsetof(stoa_latch, word_)}};

const char *
stoa_named_word(enum stoa_named_kind kind)
{
	return (unsigned)kind < STOA_NAMED_KINDS ? named_kinds[kind].word
						 : "(unknown)";
}

struct stoa_named { /* local */
	stoa_segment *seg;
	const void *object;
	enum stoa_named_kind kind;
	bool given; /* seg is the caller's */
};

/* What a call names, checked. */
struct named_wish {
	const char *name;
	size_t size;
	enum stoa_named_kind kind;
	unsigned flags;
	stoa_named_options options;
};

static int
wish_named(struct named_wish *w, const char *name)
{
	w->name = name;
	return name ? stoai_object_name_check(name, &w->size)
		    : stoai_error(-EINVAL, "a named lock: its name is NULL");
}

static int
wish_take_options(struct named_wish *w, unsigned flags, unsigned allowed,
	const stoa_named_options *given)
{
	w->flags = flags;
	if (flags & ~allowed || (flags & STOA_EXCL && !(flags & STOA_CREATE)))
		return stoai_error(-EINVAL,
			"a named lock: flags %#x; STOA_EXCL goes with "
			"STOA_CREATE, and others than these and STOA_FILE are "
			"unknown",
			flags);
	memset(&w->options, 0, sizeof w->options);
	if (given && given->struct_size != sizeof *given)
		return stoai_error(-EINVAL,
			"options: fill them with STOA_NAMED_OPTIONS(...), "
			"which sets struct_size");
	if (given)
		w->options = *given;
	if (w->options.segment && (w->options.space || flags & STOA_FILE))
		return stoai_error(-EINVAL,
			"options: .segment is the namespace itself: it goes "
			"without .space and STOA_FILE");
	if (flags & STOA_FILE && !w->options.space)
		return stoai_error(-EINVAL, "STOA_FILE: .space is the path");
	return 0;
}

static int
wish_kind(struct named_wish *w, enum stoa_named_kind kind)
{
	w->kind = kind;
	if ((unsigned)kind >= STOA_NAMED_KINDS)
		return stoai_error(-EINVAL, "'%s': there is no kind %u",
			w->name, (unsigned)kind);
	if (w->options.count > named_counts[kind].max)
		return stoai_error(-EINVAL,
			"'%s': a count of %u; a %s has %u at most", w->name,
			w->options.count, named_kinds[kind].word,
			named_counts[kind].max);
	return 0;
}

/* ---- removed ones ---- */

static const struct named_box *
box_at(const stoa_tx *rd, stoa_ref ref, const struct named_kind *k)
{
	return stoa_at(rd, stoa_ref_aligned_(ref, k->box->align), k->box->size);
}

/* As many as may be in one transaction; returns how many more may be. */
static unsigned
purge_kind(stoa_tx *tx, const struct named_kind *k, unsigned room)
{
	const struct named_cell *head = stoa_object_find_(tx, NULL, k->removed);
	const struct named_box *b = NULL;

	for (; head && room && (b = box_at(tx, head->box, k)); room--) {
		(void)stoai_set_word(tx, &head->box.off, b->next.off);
		(void)stoai_set_word(tx, &b->next.off, 0);
		stoa_tx_delete_(tx, k->box, b);
	}
	return room;
}

bool
stoai_named_purge(stoa_tx *tx)
{
	unsigned room = NAMED_PURGE;

	for (size_t i = 0; i < STOA_NAMED_KINDS && room; i++)
		room = purge_kind(tx, &named_kinds[i], room);
	return !room;
}

/*
 * Memory that cannot be had back now is had back another time, so no error is one:
 * a thread that has died with a lock in it, say, may not be recovered yet.
 */
static void
purge(stoa_segment *seg)
{
	bool more = stoai_segment_alone(seg);

	while (more) {
		STOA_TX(tx, seg, stoa_object_lock(seg));
		more = !stoa_tx_error(tx) && stoai_segment_alone(seg) &&
		       stoai_named_purge(tx);
		if (stoa_tx_commit(tx))
			more = false;
	}
	stoai_error_clear();
}

/* ---- the namespace ---- */

static int
space_refused(const stoa_segment *seg)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);

	if (seg->readonly)
		return stoai_error(-EROFS,
			"%s is open read-only, and locks have to be written",
			stoai_name(seg));
	return seat && seat->scope
		       ? stoai_error(-EBUSY,
				 "this thread is inside a transaction or read "
				 "scope of '%s': open and remove named locks "
				 "before it or after it",
				 stoai_name(seg))
		       : 0;
}

/* Opened, with STOA_CREATE made; given: it was open. Closed by space_close. */
static int
space_open(const struct named_wish *w, stoa_segment **ret)
{
	const stoa_named_options *o = &w->options;
	stoa_segment *seg = o->segment;
	char own[32];
	int rc = 0;

	(void)snprintf(
		own, sizeof own, "stoa-named-%u", (unsigned)stoai_os_euid());
	if (!seg)
		rc = stoa_segment_open(o->space ? o->space : own,
			w->flags & (STOA_CREATE | STOA_FILE),
			STOA_SEGMENT_OPTIONS(.size = NAMED_SIZE,
				.limit = o->limit ? o->limit : NAMED_LIMIT,
				.threads = NAMED_THREADS, .mode = o->mode,
				.owner = o->owner, .group = o->group,
				.directory = o->directory, .domain = o->domain),
			&seg);
	if (rc)
		return rc;
	rc = space_refused(seg);
	if (rc) {
		if (!o->segment)
			(void)stoa_segment_close(seg);
		return rc;
	}
	if (!o->segment)
		purge(seg);
	*ret = seg;
	return 0;
}

static void
space_close(const struct named_wish *w, stoa_segment *seg)
{
	if (!w->options.segment)
		(void)stoa_segment_close(seg);
}

/* ---- a name ---- */

/* Of the type of a cell; -1: of none. */
static int
id_kind(uint64_t id)
{
	for (int k = 0; k < STOA_NAMED_KINDS; k++)
		if (stoai_type_id(named_kinds[k].cell) == id)
			return k;
	return -1;
}

/* It is there, and no lock. */
static void
no_lock(const stoa_tx *rd, const struct named_wish *w,
	const struct stoai_entry *e)
{
	const stoa_type *type = stoai_entry_type(rd, e);
	char text[160], shown[STOAI_NAME_TEXT];

	if (!type)
		return; /* rd has failed */
	stoai_type_text(type, text, sizeof text);
	(void)stoai_tx_fail(
		rd, stoai_error(-EPROTOTYPE,
			    "'%s' in '%s' is %s, and no named lock",
			    stoai_name_text(w->name, w->size, shown),
			    stoai_name(rd->seg), text));
}

/* The entry of that name and its kind. NULL: there is none, or rd has failed. */
static const struct stoai_entry *
named_find(const stoa_tx *rd, const struct named_wish *w, int *ret_kind)
{
	const struct stoai_entry *e;

	if (!stoai_tx_reads(rd) || !stoai_names_lock(rd))
		return NULL;
	e = stoai_index_entry(rd, w->name, w->size,
		stoai_index_hash(rd->seg, w->name, w->size));
	if (!e)
		return NULL;
	*ret_kind = id_kind(a64_load_relaxed(&e->type_id));
	if (*ret_kind >= 0)
		return e;
	no_lock(rd, w, e);
	return NULL;
}

/* The cell's box. NULL: damaged, rd has failed. */
static const struct named_box *
cell_box(const stoa_tx *rd, const struct named_cell *cell,
	const struct named_kind *k)
{
	const struct named_box *b = cell ? box_at(rd, cell->box, k) : NULL;

	if (!b && !stoa_tx_error(rd))
		(void)stoai_tx_damaged(
			rd, "named I1: a name of kind %s has no box", k->word);
	return b;
}

/* The lock of that entry, if it is of the kind that is wanted. */
static const void *
named_object(const stoa_tx *rd, const struct named_wish *w,
	const struct stoai_entry *e, int kind)
{
	const struct named_kind *k = &named_kinds[kind];
	const struct named_box *b;
	char shown[STOAI_NAME_TEXT];

	if (kind != (int)w->kind) {
		(void)stoai_tx_fail(rd,
			stoai_error(-EPROTOTYPE,
				"'%s' in '%s' is of the kind %s; you ask for "
				"the kind %s: use another name, or remove "
				"this one with stoa_named_unlink",
				stoai_name_text(w->name, w->size, shown),
				stoai_name(rd->seg), k->word,
				named_kinds[w->kind].word));
		return NULL;
	}
	b = cell_box(rd, stoai_entry_data(rd, e, k->cell, NULL), k);
	return b ? (const char *)b + k->object_at : NULL;
}

/* In the transaction that makes the cell: its box, free, with its first count. */
static int
cell_init(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	const struct named_wish *w = user;
	const struct named_count *c = &named_counts[w->kind];
	struct named_cell *cell = element;
	char *box = stoa_tx_new_(tx, named_kinds[w->kind].box);

	(void)index;
	if (c->max)
		memcpy(box + named_kinds[w->kind].object_at + c->at,
			&w->options.count, sizeof w->options.count);
	(void)stoa_tx_link_(tx, &cell->box, box);
	return 0;
}

static const void *
named_make(stoa_tx *tx, const struct named_wish *w)
{
	const struct named_kind *k = &named_kinds[w->kind];
	const struct named_cell *cell =
		stoa_object_create_with_(tx, w->name, k->cell,
			STOA_OBJECT_OPTIONS(.init = cell_init,
				.user = (void *)(uintptr_t)w));
	const struct named_box *b =
		stoa_tx_error(tx) ? NULL : cell_box(tx, cell, k);

	return b ? (const char *)b + k->object_at : NULL;
}

/* ---- opening ---- */

static int
open_there(stoa_segment *seg, const struct named_wish *w, const void **ret)
{
	char shown[STOAI_NAME_TEXT];
	const void *object = NULL;
	int kind = 0;

	STOA_READ(rd, seg, stoa_object_lock(seg));
	const struct stoai_entry *e = named_find(rd, w, &kind);
	if (e)
		object = named_object(rd, w, e, kind);
	if (stoa_tx_error(rd))
		return stoa_tx_error(rd);
	if (!object)
		return stoai_error(-ENOENT, "there is no '%s' in '%s'",
			stoai_name_text(w->name, w->size, shown),
			stoai_name(seg));
	*ret = object;
	return 0;
}

static int
open_or_make(stoa_segment *seg, const struct named_wish *w, const void **ret)
{
	const void *object = NULL;
	int kind = 0, rc;

	STOA_TX(tx, seg, stoa_object_lock(seg));
	const struct stoai_entry *e =
		w->flags & STOA_EXCL ? NULL : named_find(tx, w, &kind);
	if (e)
		object = named_object(tx, w, e, kind);
	else if (!stoa_tx_error(tx))
		object = named_make(tx, w);
	rc = stoa_tx_commit(tx);
	if (!rc)
		*ret = object;
	return rc;
}

/* Looks under the shared lock first, so that opening what is there scales. */
static int
open_named(stoa_segment *seg, const struct named_wish *w, const void **ret)
{
	int rc = -ENOENT;

	for (int i = 0; i < NAMED_TRIES; i++) {
		if (i)
			stoai_os_yield();
		if (!(w->flags & STOA_EXCL))
			rc = open_there(seg, w, ret);
		if (rc == -ENOENT && w->flags & STOA_CREATE)
			rc = open_or_make(seg, w, ret);
		if (rc != -EDEADLK)
			break;
		if (w->flags & STOA_EXCL)
			rc = -ENOENT;
	}
	return rc;
}

int
stoa_named_open(const char *name, enum stoa_named_kind kind, unsigned flags,
	const stoa_named_options *options, stoa_named **ret)
{
	struct named_wish w;
	stoa_named *n;
	int rc;

	stoai_error_clear();
	if (!ret)
		return stoai_error(-EINVAL, "stoa_named_open: ret is NULL");
	rc = wish_named(&w, name);
	if (!rc)
		rc = wish_take_options(&w, flags,
			STOA_CREATE | STOA_EXCL | STOA_FILE, options);
	if (!rc)
		rc = wish_kind(&w, kind);
	if (rc)
		return rc;
	n = calloc(1, sizeof *n);
	if (!n)
		return stoai_error(-ENOMEM, "out of memory");
	n->kind = kind;
	n->given = w.options.segment;
	rc = space_open(&w, &n->seg);
	if (!rc) {
		rc = open_named(n->seg, &w, &n->object);
		if (rc)
			space_close(&w, n->seg);
	}
	if (rc)
		free(n);
	else
		*ret = n;
	return stoai_error_left(rc);
}

stoa_named *
stoa_named_close(stoa_named *n)
{
	if (n && !n->given)
		(void)stoa_segment_close(n->seg);
	free(n);
	return NULL;
}

const void *
stoa_named_object_(const stoa_named *n, enum stoa_named_kind kind)
{
	if (n && n->kind == kind)
		return n->object;
	(void)stoai_error(-EPROTOTYPE,
		"a named lock of the kind %s is asked for as %s",
		n ? stoa_named_word(n->kind) : "(none: NULL)",
		stoa_named_word(kind));
	return NULL;
}

stoa_segment *
stoa_named_segment(const stoa_named *n)
{
	return n ? n->seg : NULL;
}

/* ---- removing ---- */

/* The head of the removed ones, made if need be. NULL: tx has failed. */
static const struct named_cell *
removed_head(stoa_tx *tx, const struct named_kind *k)
{
	const struct named_cell *head = stoa_object_find_(tx, NULL, k->removed);

	if (!head && !stoa_tx_error(tx))
		head = stoa_object_create_(tx, NULL, k->removed);
	return stoa_tx_error(tx) ? NULL : head;
}

static bool
remove_found(stoa_tx *tx, const struct stoai_entry *e, int kind)
{
	const struct named_kind *k = &named_kinds[kind];
	const struct named_cell *cell = stoai_entry_data(tx, e, k->cell, NULL);
	const struct named_box *b = cell_box(tx, cell, k);
	const struct named_cell *head = b ? removed_head(tx, k) : NULL;

	return head && stoai_set_word(tx, &b->next.off, head->box.off) &&
	       stoai_set_word(tx, &head->box.off, cell->box.off) &&
	       stoai_set_word(tx, &cell->box.off, 0) &&
	       stoai_object_remove(tx, e);
}

static int
remove_named(stoa_segment *seg, const struct named_wish *w)
{
	char shown[STOAI_NAME_TEXT];
	int kind = 0;

	STOA_TX(tx, seg, stoa_object_lock(seg));
	const struct stoai_entry *e = named_find(tx, w, &kind);
	if (e)
		(void)remove_found(tx, e, kind);
	else if (!stoa_tx_error(tx))
		return stoai_error(-ENOENT, "there is no '%s' in '%s'",
			stoai_name_text(w->name, w->size, shown),
			stoai_name(seg));
	return stoa_tx_commit(tx);
}

int
stoa_named_unlink(
	const char *name, unsigned flags, const stoa_named_options *options)
{
	struct named_wish w;
	stoa_segment *seg;
	int rc;

	stoai_error_clear();
	rc = wish_named(&w, name);
	if (!rc)
		rc = wish_take_options(&w, flags, STOA_FILE, options);
	if (!rc)
		rc = space_open(&w, &seg);
	if (rc)
		return rc;
	rc = STOA_RETRY(NAMED_TRIES, remove_named(seg, &w));
	if (!rc && !w.options.segment)
		purge(seg);
	space_close(&w, seg);
	return rc;
}

/* ---- looking ---- */

static int
each_named(stoa_segment *seg,
	int (*each)(const char *name, enum stoa_named_kind kind, void *user),
	void *user)
{
	STOA_READ(rd, seg, stoa_object_lock(seg));
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);) {
		int kind = it.kind == STOA_OBJECT_NAMED
				   ? id_kind(stoai_type_id(it.type))
				   : -1;
		int rc = kind < 0 ? 0
				  : each(it.name, (enum stoa_named_kind)kind,
					    user);

		if (rc)
			return rc;
	}
	return stoa_tx_error(rd);
}

int
stoa_named_each(unsigned flags, const stoa_named_options *options,
	int (*each)(const char *name, enum stoa_named_kind kind, void *user),
	void *user)
{
	struct named_wish w;
	stoa_segment *seg;
	int rc;

	stoai_error_clear();
	if (!each)
		return stoai_error(-EINVAL, "stoa_named_each: each is NULL");
	rc = wish_take_options(&w, flags, STOA_FILE, options);
	if (!rc)
		rc = space_open(&w, &seg);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = each_named(seg, each, user);
	space_close(&w, seg);
	return rc;
}
