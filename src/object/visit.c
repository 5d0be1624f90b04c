/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does a value own? Its description says: fields, arrays and structs inside
 * it are walked where they lie; a container is asked by its kind's class; what an
 * owned reference leads to waits in a list, so that a chain of a million objects
 * takes memory, and not stack.
 *
 *	value ---- struct in struct     at once; descriptions nest 16 deep at most
 *	      ---- element of container at once, up to 8 containers deep; then waits
 *	      ---- owned reference      waits
 *
 * Every block is met once. A second time it is damage (two owners, or a circle),
 * which also bounds the walk by the number of blocks.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "object/index.h"
#include "object/kind.h"
#include "object/visit.h"
#include "sync/lock.h"

enum {
	CONTAINER_DEPTH = 8,
	SEEN_MIN = 64
};

/* ---- the set ---- */

static bool
offsets_put(uint64_t *slot, size_t room, uint64_t off)
{
	size_t i = (size_t)((off >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
		   (room - 1);

	while (slot[i] && slot[i] != off)
		i = (i + 1) & (room - 1);
	if (slot[i])
		return false;
	slot[i] = off;
	return true;
}

static bool
offsets_grow(struct stoai_offsets *s)
{
	size_t room = s->room ? s->room * 2 : SEEN_MIN;
	uint64_t *slot = calloc(room, sizeof *slot);

	if (!slot)
		return false;
	for (size_t i = 0; i < s->room; i++)
		if (s->slot[i])
			(void)offsets_put(slot, room, s->slot[i]);
	free(s->slot);
	s->slot = slot;
	s->room = room;
	return true;
}

enum stoai_offsets_result
stoai_offsets_add(struct stoai_offsets *s, uint64_t off)
{
	if (s->count * 2 >= s->room && !offsets_grow(s))
		return STOAI_OFFSETS_NOMEM;
	if (!offsets_put(s->slot, s->room, off))
		return STOAI_OFFSETS_OLD;
	s->count++;
	return STOAI_OFFSETS_NEW;
}

void
stoai_offsets_fini(struct stoai_offsets *s)
{
	free(s->slot);
	memset(s, 0, sizeof *s);
}

/* ---- the walk ---- */

bool
stoai_value_aligned(const stoa_tx *rd, const stoa_type *type, const void *p)
{
	if (stoai_likely((uintptr_t)p % stoai_min(type->align, 64) == 0))
		return true;
	(void)stoai_tx_damaged(rd, "%.80s lies at %#llx, not aligned",
		type->name, (unsigned long long)stoai_off(rd->seg, p));
	return false;
}

struct waiting {
	const stoa_type *type;
	const void *p;
};

struct walking {
	const struct stoai_walk *w;
	struct stoai_visitor visitor; /* what containers call */
	struct waiting *list;
	size_t count, room;
	int depth;                  /* containers that are being visited, */
	const stoa_type *container; /* the innermost */
};

static bool walk_value(struct walking *k, const stoa_type *type, const void *p);

static bool
walk_is_out_of_memory(const struct walking *k)
{
	(void)stoai_tx_fail(k->w->rd, stoai_error(-ENOMEM, "out of memory"));
	return false;
}

static bool
walk_later(struct walking *k, const stoa_type *type, const void *p)
{
	if (k->count == k->room) {
		size_t room = k->room ? k->room * 2 : 32;
		struct waiting *list = realloc(k->list, room * sizeof *list);

		if (!list)
			return walk_is_out_of_memory(k);
		k->list = list;
		k->room = room;
	}
	k->list[k->count].type = type;
	k->list[k->count].p = p;
	k->count++;
	return true;
}

static bool
walk_block(
	struct walking *k, uint64_t off, const stoa_type *whose, uint64_t need)
{
	switch (stoai_offsets_add(k->w->seen, off)) {
	case STOAI_OFFSETS_NEW:
		return !k->w->block ||
		       k->w->block(k->w->user, off, whose, need);
	case STOAI_OFFSETS_OLD:
		(void)stoai_tx_damaged(k->w->rd,
			"the block at %#llx is owned twice",
			(unsigned long long)off);
		return false;
	case STOAI_OFFSETS_NOMEM:
	default:
		return walk_is_out_of_memory(k);
	}
}

/* What a container tells. */
static bool
walk_inner_block(void *user, uint64_t off)
{
	struct walking *k = user;

	return walk_block(k, off, k->container, 0);
}

/* What the user wants with a value inside an owned block. */
static enum stoai_walk_on
walk_asks(struct walking *k, const stoa_type *type, const void *p)
{
	enum stoai_walk_on on = STOAI_WALK_INTO;

	if (k->w->value)
		on = k->w->value(k->w->user, type, p);
	return on == STOAI_WALK_INTO && stoai_type_is_plain(type)
		       ? STOAI_WALK_SKIP
		       : on;
}

static bool
walk_inner(void *user, const stoa_type *type, const void *p)
{
	struct walking *k = user;
	enum stoai_walk_on on;

	if (!stoai_value_aligned(k->w->rd, type, p))
		return false;
	on = walk_asks(k, type, p);
	if (on != STOAI_WALK_INTO)
		return on == STOAI_WALK_SKIP;
	return k->depth < CONTAINER_DEPTH ? walk_value(k, type, p)
					  : walk_later(k, type, p);
}

/* An owned value: walked later, if somebody wants to know what is in it. */
static bool
walk_wanted(struct walking *k, const stoa_type *type, const char *p)
{
	enum stoai_walk_on on = walk_asks(k, type, p);

	return on == STOAI_WALK_INTO ? walk_later(k, type, p)
				     : on == STOAI_WALK_SKIP;
}

/* The block is the entry's, and its elements are owned with it. */
static bool
walk_owned_array(
	struct walking *k, const stoa_type *type, const struct stoai_entry *e)
{
	const stoa_tx *rd = k->w->rd;
	uint64_t count;
	const char *p = stoai_entry_data(rd, e, type, &count);
	bool ok = p &&
		  walk_block(k, stoai_off(rd->seg, e), type,
			  (uint64_t)(p - (const char *)e) + count * type->size);

	if (ok && stoai_type_is_plain(type) && !k->w->value)
		return true;
	for (uint64_t i = 0; ok && i < count; i++)
		ok = walk_wanted(k, type, p + i * type->size);
	return ok;
}

static bool
walk_owned(struct walking *k, const stoa_type *type, const void *link)
{
	const stoa_tx *rd = k->w->rd;
	const struct stoai_entry *array;
	uint64_t off;
	const void *p;

	off = a64_load_relaxed(link);
	if (!off)
		return true;
	p = off % type->align ? NULL : stoai_tx_at(rd, off, type->size);
	if (!p) {
		if (!stoa_tx_error(rd))
			(void)stoai_tx_damaged(rd, "a reference to %s is %#llx",
				type->name, (unsigned long long)off);
		return false;
	}
	array = stoai_array_of(rd, type, off);
	if (array)
		return walk_owned_array(k, type, array);
	return walk_block(k, off, type, type->size) && walk_wanted(k, type, p);
}

static bool
walk_container(struct walking *k, const stoa_type *type, const void *p)
{
	const struct stoai_kind_class *class = &stoai_kind_class[type->kind];
	const stoa_type *outer = k->container;
	bool ok;

	if (k->w->container && !k->w->container(k->w->user, type, p))
		return false;
	if (!class->visit)
		return true;
	k->depth++;
	k->container = type;
	ok = class->visit(k->w->rd, type, p, &k->visitor);
	k->container = outer;
	k->depth--;
	return ok && !stoa_tx_error(k->w->rd);
}

static bool
walk_field(struct walking *k, const stoa_field *f, const char *p)
{
	uint32_t size = stoai_field_element(f);
	bool ok = true;

	for (uint32_t at = 0; ok && size && size <= f->size - at; at += size) {
		if (f->kind == STOA_KIND_STRUCT)
			ok = walk_value(k, f->type, p + at);
		else if (f->kind == STOA_KIND_OWN)
			ok = walk_owned(k, f->type, p + at);
		else if (f->kind == STOA_KIND_STR)
			ok = walk_container(k, &stoa_type_stoa_str, p + at);
	}
	return ok;
}

static bool
walk_value(struct walking *k, const stoa_type *type, const void *p)
{
	bool ok = true;

	if (stoai_kind_info(type->kind)->owns)
		return walk_container(k, type, p);
	for (size_t i = 0; ok && i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];

		if (f->kind == STOA_KIND_STRUCT
				? !stoai_type_is_plain(f->type)
				: stoai_kind_info(f->kind)->owns)
			ok = walk_field(k, f, (const char *)p + f->offset);
	}
	return ok;
}

bool
stoai_walk(const struct stoai_walk *w, const stoa_type *type, const void *p)
{
	struct walking k = {.w = w};
	bool ok = stoai_tx_reads(w->rd);

	k.visitor.block = walk_inner_block;
	k.visitor.value = walk_inner;
	k.visitor.user = &k;
	if (ok)
		ok = walk_value(&k, type, p);
	while (ok && k.count) {
		struct waiting next = k.list[--k.count];

		ok = walk_value(&k, next.type, next.p);
	}
	free(k.list);
	return ok && !stoa_tx_error(w->rd);
}

static bool
visitor_block(void *user, uint64_t off, const stoa_type *whose, uint64_t need)
{
	const struct stoai_visitor *v = user;

	(void)whose;
	(void)need;
	return !v->block || v->block(v->user, off);
}

static enum stoai_walk_on
visitor_value(void *user, const stoa_type *type, const void *p)
{
	const struct stoai_visitor *v = user;

	return !v->value || v->value(v->user, type, p) ? STOAI_WALK_INTO
						       : STOAI_WALK_STOP;
}

bool
stoai_type_visit(const stoa_tx *rd, const stoa_type *type, const void *p,
	const struct stoai_visitor *v)
{
	struct stoai_offsets seen = {0};
	struct stoai_walk w = {.rd = rd,
		.block = visitor_block,
		.value = visitor_value,
		.user = (void *)(uintptr_t)v,
		.seen = &seen};
	bool ok = stoai_walk(&w, type, p);

	stoai_offsets_fini(&seen);
	return ok;
}

/* ---- clearing ---- */

/* The locks that lie in a value, by itself: their memory is given up. */
static bool
locks_fini(stoa_tx *tx, const stoa_type *type, const char *p)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];
		uint32_t size = stoai_field_element(f);
		int rc = 0;

		if (stoai_kind_info(f->kind)->lock)
			rc = stoai_lock_fini(tx->seat, p + f->offset, f->size);
		if (rc) {
			rc = stoai_error_in(rc, "'%s' of %s in '%s'", f->name,
				type->name, stoai_name(tx->seg));
			(void)stoai_tx_fail(tx, rc);
			return false;
		}
		if (f->kind != STOA_KIND_STRUCT || stoai_type_is_plain(f->type))
			continue;
		for (uint32_t at = 0; size && size <= f->size - at; at += size)
			if (!locks_fini(tx, f->type, p + f->offset + at))
				return false;
	}
	return true;
}

static bool
clear_block(void *user, uint64_t off)
{
	return stoai_tx_free(user, off);
}

static bool
clear_value(void *user, const stoa_type *type, const void *p)
{
	return stoai_type_is_plain(type) || locks_fini(user, type, p);
}

bool
stoai_type_clear_array(
	stoa_tx *tx, const stoa_type *type, const void *p, uint64_t count)
{
	struct stoai_visitor v = {clear_block, clear_value, tx};
	struct stoai_offsets seen = {0};
	struct stoai_walk w = {.rd = tx,
		.block = visitor_block,
		.value = visitor_value,
		.user = &v,
		.seen = &seen};
	const char *at = p;
	bool ok = stoai_tx_writes(tx);

	if (!ok || stoai_type_is_plain(type))
		return ok;
	for (uint64_t i = 0; ok && i < count; i++)
		ok = locks_fini(tx, type, at + i * type->size);
	for (uint64_t i = 0; ok && i < count; i++)
		ok = stoai_walk(&w, type, at + i * type->size);
	stoai_offsets_fini(&seen);
	return ok;
}

bool
stoai_type_clear(stoa_tx *tx, const stoa_type *type, const void *p)
{
	return stoai_type_clear_array(tx, type, p, 1);
}
