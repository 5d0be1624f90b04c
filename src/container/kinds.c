/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What deleting, dumping and checking ask of a container whose C type they do
 * not know: what it owns, what it says, whether it is sound. The table is
 * declared in object/object.h, so that nothing includes upward.
 *
 * All of it reads a value once and checked; damage fails the scope and stops.
 * Descriptions may be stored ones, decoded for this walk, so shapes are made on
 * the stack and not kept.
 */
#include "base/atomic.h"
#include "container/container.h"
#include <inttypes.h>
#include <string.h>

/* Shape and id for a description that may not live long. */
static bool
kind_shape(const stoa_tx *rd, const stoa_type *t, struct stoai_shape *ret)
{
	if (!stoai_tx_reads(rd))
		return false;
	if (stoai_shape_make(t, ret) || !(ret->id = stoai_type_id(t))) {
		stoai_tx_fail(rd, -EINVAL);
		return false;
	}
	return true;
}

/* A boxed value's block, then the value; else the value alone. */
static bool
kind_visit_value(const stoa_tx *rd, const struct stoai_shape *s,
	const void *slot, const struct stoai_visitor *v)
{
	const stoa_type *val = s->type->val;
	uint64_t off;

	if (s->type->boxed) {
		memcpy(&off, slot, sizeof off);
		slot = stoai_tx_at(rd, off, s->elem_size);
		if (!slot) {
			if (!rd->error)
				stoai_tx_damaged(rd,
					"'%s': a value without a block",
					s->type->name);
			return false;
		}
		if (!v->block(v->user, off))
			return false;
	}
	return !s->val_clears || v->value(v->user, val, slot);
}

/* ---- strings ---- */

static bool
str_visit(const stoa_tx *rd, const stoa_type *type, const void *p,
	const struct stoai_visitor *v)
{
	struct stoai_string text;

	(void)type;
	return stoai_tx_reads(rd) && stoai_str_load(rd, p, &text) &&
	       (!text.block || v->block(v->user, text.block));
}

static bool
str_dump(const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	struct stoai_string text;

	(void)type;
	if (!stoai_tx_reads(rd) || !stoai_str_load(rd, p, &text))
		return false;
	return stoai_json_text(out, text.at, text.size);
}

/* ---- vectors ---- */

static bool
vec_visit(const stoa_tx *rd, const stoa_type *type, const void *p,
	const struct stoai_visitor *v)
{
	struct stoai_shape s;
	struct stoai_vec vec;

	if (!kind_shape(rd, type, &s) || !stoai_vec_load(rd, p, &s, &vec))
		return false;
	if (vec.off && !v->block(v->user, vec.off))
		return false;
	if (!type->boxed && !s.val_clears)
		return true;
	for (uint64_t i = 0; i < vec.count; i++)
		if (!kind_visit_value(rd, &s, vec.data + i * s.slot_size, v))
			return false;
	return true;
}

static bool
vec_dump(const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	struct stoai_shape s;
	struct stoai_vec vec;

	if (!kind_shape(rd, type, &s) || !stoai_vec_load(rd, p, &s, &vec))
		return false;
	fputc('[', out);
	for (uint64_t i = 0; i < vec.count; i++) {
		const void *val = vec.data + i * s.slot_size;
		uint64_t off;

		if (type->boxed) {
			memcpy(&off, val, sizeof off);
			val = stoai_tx_at(rd, off, s.elem_size);
		}
		if (i)
			fputc(',', out);
		if (!val || !stoai_type_dump_value(rd, type->val, val, out))
			return false;
	}
	fputc(']', out);
	return !ferror(out);
}

/* ---- hash maps ---- */

/* Calls f for each live slot, in the order of the table; stops at false. */
static bool
map_each(const stoa_tx *rd, const stoa_type *type, const void *p,
	struct stoai_shape *s, struct stoai_map *map,
	bool (*f)(void *user, const unsigned char *slot), void *user)
{
	const stoa_shape_ *c = &s->core;

	if (!kind_shape(rd, type, s) || !stoai_map_load(rd, p, s, map))
		return false;
	if (!map->table)
		return true;
	for (uint64_t g = 0; g <= stoa_groups_mask_(map->log2); g++) {
		const unsigned char *group =
			map->table + g * stoa_group_stride_(c);
		unsigned live =
			stoa_group_live_(group) & stoa_group_valid_(map->log2);

		for (; live; live &= live - 1)
			if (!f(user, group + c->head +
					     stoai_ctz64(live) *
						     (uint64_t)c->slot_size))
				return false;
	}
	return true;
}

struct map_walk {
	const stoa_tx *rd;
	const stoa_type *type;
	const struct stoai_visitor *v;
	FILE *out;
	bool some;
	struct stoai_shape shape;
	struct stoai_map map;
};

static bool
map_visit_slot(void *user, const unsigned char *slot)
{
	struct map_walk *w = user;
	const struct stoai_shape *s = &w->shape;

	if (s->core.key_class == STOA_KEY_STR_ &&
		!str_visit(w->rd, w->type->key, slot, w->v))
		return false;
	return !w->type->val ||
	       kind_visit_value(w->rd, s, slot + s->core.val_off, w->v);
}

static bool
map_visit(const stoa_tx *rd, const stoa_type *type, const void *p,
	const struct stoai_visitor *v)
{
	struct map_walk w = {.rd = rd, .type = type, .v = v};
	const stoa_hashmap *m = p;
	uint64_t off = a64_load_relaxed(&m->table_) & STOAI_TABLE_OFFSET;

	/* the slots first: a visitor may free the block */
	return map_each(rd, type, p, &w.shape, &w.map, map_visit_slot, &w) &&
	       (!off || v->block(v->user, off));
}

/* Keys that are text or numbers name members of a JSON object. */
static bool
map_is_named(const stoa_type *type)
{
	return type->val && type->key &&
	       ((type->key->kind >= STOA_KIND_BOOL &&
			type->key->kind <= STOA_KIND_F64) ||
		       type->key->kind == STOA_KIND_STR);
}

static bool
map_dump_slot(void *user, const unsigned char *slot)
{
	struct map_walk *w = user;
	const struct stoai_shape *s = &w->shape;
	const stoa_type *key = w->type->key, *val = w->type->val;
	bool named = map_is_named(w->type);

	if (w->some)
		fputc(',', w->out);
	w->some = true;
	if (val && !named)
		fputc('[', w->out);
	if (!(named ? stoai_json_key(w->rd, key, slot, w->out)
		    : stoai_type_dump_value(w->rd, key, slot, w->out)))
		return false;
	if (!val)
		return true;
	fputc(named ? ':' : ',', w->out);
	slot = stoa_slot_val_(w->rd, &s->core, slot);
	if (!slot || !stoai_type_dump_value(w->rd, val, slot, w->out))
		return false;
	if (!named)
		fputc(']', w->out);
	return true;
}

static bool
map_dump(const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	struct map_walk w = {.rd = rd, .type = type, .out = out};
	bool named = map_is_named(type);

	fputc(named ? '{' : '[', out);
	if (!map_each(rd, type, p, &w.shape, &w.map, map_dump_slot, &w))
		return false;
	fputc(named ? '}' : ']', out);
	return !ferror(out);
}

const struct stoai_kind_class stoai_kind_class[STOAI_KINDS] = {
	[STOA_KIND_STR] = {str_visit, str_dump, stoai_str_check},
	[STOA_KIND_VEC] = {vec_visit, vec_dump, stoai_vec_check},
	[STOA_KIND_HASHMAP] = {map_visit, map_dump, stoai_hashmap_check},
};
