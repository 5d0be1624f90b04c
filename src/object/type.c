/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Is a description right, and which layout does it mean?
 *
 *	closure    the type and everything that it leads to, in the order in which
 *	           it leads there: a queue that is its own result
 *
 *	  [0] skiplist          [1] node
 *	      text                  text
 *	      targets: 1            targets: 1        (node refers to node)
 *
 * The id of a type is the hash of its closure: each text, and which member each
 * name in it stands for. So two programs that agree on an id agree on every
 * layout that can be reached from it, also behind references.
 *
 * Invariants of a checked type:
 *  I1 its kind, name, size and alignment are possible
 *  I2 fields lie inside, aligned, do not overlap, and no gap is left that
 *     alignment does not explain: a gap is a field that was forgotten
 *  I3 no struct holds itself, structs nest at most 16 deep
 *  I4 a container that moves its values has no locks in them
 *  I5 it leads to at most 256 types
 *
 * Everything here is local. Members are compared by text, because each
 * translation unit of a program has descriptions of its own.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "base/hash.h"
#include "object/builtin.h"
#include "object/cache.h"
#include "object/closure.h"
#include "object/object.h"

/* ---- the targets of a type ---- */

bool
stoai_field_names_type(const stoa_field *f)
{
	if (!f->type)
		return false;
	return f->kind == STOA_KIND_REF || f->kind == STOA_KIND_OWN ||
	       (f->kind == STOA_KIND_STRUCT && !stoai_is_builtin(f->type));
}

const stoa_type *
stoai_type_target(const stoa_type *type, uint32_t n)
{
	const stoa_type *pair[2] = {type->key, type->val};

	for (size_t i = 0; i < 2; i++)
		if (pair[i] && n-- == 0)
			return pair[i];
	for (size_t i = 0; i < type->field_count; i++)
		if (stoai_field_names_type(&type->fields[i]) && n-- == 0)
			return type->fields[i].type;
	return NULL;
}

/* ---- one type by itself ---- */

/* I1; what others need to know before they name it. */
static int
head_check(const stoa_type *type, const char *by, const char *field)
{
	const struct stoai_kind_info *k = stoai_kind_info(type->kind);
	bool named = type->kind == STOA_KIND_STRUCT ||
		     type->kind == STOA_KIND_OPAQUE;

	if (!type->name && !type->size)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): the type of '%s' was declared and "
			"never "
			"described",
			by, field);
	if (!stoai_type_name_ok(type->name))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): a description without a proper name",
			by);
	if (!k->type)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): %s is of a kind (%u) that no type "
			"can "
			"have",
			by, type->name, (unsigned)type->kind);
	if (!stoai_is_pow2(type->align) || type->align > STOAI_TYPE_ALIGN)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): an alignment of %u is not possible; "
			"at "
			"most %d",
			type->name, type->align, STOAI_TYPE_ALIGN);
	if (!type->size || type->size > STOAI_TYPE_SIZE ||
		type->size % type->align)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): a size of %u bytes is not possible",
			type->name, type->size);
	if (!named && (type->size != k->size || type->align != k->align ||
			      type->field_count))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): a %s has %u bytes, not %u",
			type->name, k->word, k->size, type->size);
	if ((type->key || type->val || type->boxed) &&
		(named || stoai_is_builtin(type)))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): key and value are for containers",
			type->name);
	return 0;
}

static int
field_check(const stoa_type *type, const stoa_field *f)
{
	const struct stoai_kind_info *k = stoai_kind_info(f->kind);
	uint32_t size, align;

	if (!stoai_type_name_ok(f->name))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): a field without a proper name",
			type->name);
	if (!k->field ||
		(!f->type && (f->kind == STOA_KIND_STRUCT ||
				     f->kind == STOA_KIND_OWN)) ||
		(f->type && !stoai_is_pow2(f->type->align)))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): '%s' has no proper kind or type",
			type->name, f->name);
	size = stoai_field_element(f);
	align = f->kind == STOA_KIND_STRUCT ? f->type->align : k->align;
	if (!size || !f->size || f->size % size)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): '%s' has %u bytes, which is no "
			"multiple "
			"of %u",
			type->name, f->name, f->size, size);
	if (f->offset > type->size || f->size > type->size - f->offset)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): '%s' ends outside the type",
			type->name, f->name);
	if (f->offset % align || align > type->align)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): '%s' is not aligned; packed structs "
			"cannot be shared",
			type->name, f->name);
	return 0;
}

static uint32_t
field_align(const stoa_field *f)
{
	return f->kind == STOA_KIND_STRUCT ? f->type->align
					   : stoai_kind_info(f->kind)->align;
}

/*
 * Does padding explain that the next thing begins at `to` and not at `from`? A
 * member with an alignment of its own (_Alignas) shows in the type's, which is
 * then more than any field's.
 */
static bool
gap_is_padding(
	const stoa_type *type, uint32_t from, uint32_t to, uint32_t align)
{
	uint32_t natural = 1;

	if (to == stoai_align_up(from, align))
		return true;
	for (size_t i = 0; i < type->field_count; i++)
		natural = (uint32_t)stoai_max(
			natural, field_align(&type->fields[i]));
	for (uint32_t a = natural * 2; a <= type->align; a *= 2)
		if (to == stoai_align_up(from, a))
			return true;
	return false;
}

/* I2, by offset and not in the order in which they are described. */
static int
layout_check(const stoa_type *type)
{
	const stoa_field *order[STOAI_TYPE_FIELDS], *last = NULL;
	uint32_t end = 0;

	for (size_t i = 0; i < type->field_count; i++) {
		size_t at = i;

		for (; at && order[at - 1]->offset > type->fields[i].offset;
			at--)
			order[at] = order[at - 1];
		order[at] = &type->fields[i];
	}
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = order[i];

		if (f->offset < end)
			return stoai_error(-EINVAL,
				"STOA_TYPE(%.80s): '%s' and '%s' overlap",
				type->name, last->name, f->name);
		if (!gap_is_padding(type, end, f->offset, field_align(f)))
			return stoai_error(-EINVAL,
				"STOA_TYPE(%.80s): bytes %u to %u, before "
				"'%s', "
				"belong to no field: name it",
				type->name, end, f->offset - 1, f->name);
		end = f->offset + f->size;
		last = f;
	}
	if (!gap_is_padding(type, end, type->size, type->align))
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): bytes %u to %u, after '%s', belong "
			"to no "
			"field: name it",
			type->name, end, type->size - 1, last->name);
	return 0;
}

static int
names_check(const stoa_type *type)
{
	for (size_t i = 0; i < type->field_count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(type->fields[i].name, type->fields[j].name))
				return stoai_error(-EINVAL,
					"STOA_TYPE(%.80s): '%s' stands there "
					"twice",
					type->name, type->fields[i].name);
	return 0;
}

static int
struct_check(const stoa_type *type)
{
	int rc = 0;

	if (!type->fields || !type->field_count ||
		type->field_count > STOAI_TYPE_FIELDS)
		return stoai_error(-EINVAL,
			"STOA_TYPE(%.80s): a struct has 1 to %d fields",
			type->name, STOAI_TYPE_FIELDS);
	for (size_t i = 0; i < type->field_count && !rc; i++) {
		const stoa_field *f = &type->fields[i];

		if (f->type)
			rc = head_check(
				f->type, type->name, f->name ? f->name : "");
		if (!rc)
			rc = field_check(type, f);
	}
	if (!rc)
		rc = names_check(type);
	if (!rc)
		rc = layout_check(type);
	return rc;
}

static int
container_check(const stoa_type *type)
{
	bool needs_key = type->kind != STOA_KIND_VEC;
	int rc = 0;

	if (needs_key != (type->key != NULL) || (!needs_key && !type->val) ||
		type->boxed > 1 || (type->boxed && !type->val))
		return stoai_error(-EINVAL, "%s: a %s needs %s", type->name,
			stoai_kind_info(type->kind)->word,
			needs_key ? "a key" : "a value and no key");
	if (type->key)
		rc = head_check(type->key, type->name, "key");
	if (!rc && type->val)
		rc = head_check(type->val, type->name, "value");
	return rc;
}

static int
member_check(const stoa_type *type)
{
	int rc = head_check(type, type->name ? type->name : "?", "");

	if (rc || type->kind == STOA_KIND_OPAQUE || stoai_is_builtin(type)) {
		if (!rc && type->field_count)
			rc = stoai_error(-EINVAL,
				"STOA_TYPE(%.80s): only structs have fields",
				type->name);
		return rc;
	}
	return type->kind == STOA_KIND_STRUCT ? struct_check(type)
					      : container_check(type);
}

/* ---- the closure ---- */

/* The member that is this type, made if there is none. */
static int
member_find(struct stoai_closure *c, const stoa_type *type, uint16_t *ret)
{
	struct stoai_text t = {0};
	struct stoai_member *m;
	int rc;

	for (uint32_t i = 0; i < c->count; i++)
		if (c->member[i].type == type) {
			*ret = (uint16_t)i;
			return 0;
		}
	rc = member_check(type);
	if (!rc && !stoai_type_canonical(type, &t))
		rc = stoai_error(-EINVAL,
			"%.80s: containers nest too deep; put a struct between "
			"them",
			type->name);
	if (!rc && t.failed)
		rc = stoai_error(-ENOMEM, "out of memory");
	for (uint32_t i = 0; i < c->count && !rc; i++)
		if (c->member[i].text_size == t.size &&
			!memcmp(c->member[i].text, t.p, t.size)) {
			stoai_text_fini(&t);
			*ret = (uint16_t)i;
			return 0;
		}
	if (!rc && c->count == c->room) {
		uint32_t room = c->room ? c->room * 4 : 4;

		m = c->room < STOAI_CLOSURE_MAX
			    ? realloc(c->member, room * sizeof *m)
			    : NULL;
		if (c->room >= STOAI_CLOSURE_MAX)
			rc = stoai_error(-EINVAL,
				"%s: one type leads to more than %d others",
				c->member[0].type->name, STOAI_CLOSURE_MAX);
		else if (!m)
			rc = stoai_error(-ENOMEM, "out of memory");
		if (!rc) {
			c->member = m;
			c->room = room;
		}
	}
	if (rc) {
		stoai_text_fini(&t);
		return rc;
	}
	m = &c->member[c->count];
	memset(m, 0, sizeof *m);
	m->type = type;
	m->text = t.p;
	m->text_size = t.size;
	*ret = (uint16_t)c->count++;
	return 0;
}

static int
targets_find(struct stoai_closure *c, uint32_t i)
{
	const stoa_type *type = c->member[i].type, *target;
	int rc = 0;

	for (uint32_t n = 0; !rc && (target = stoai_type_target(type, n));
		n++) {
		uint16_t at = STOAI_BUILTIN;

		if (!stoai_is_builtin(target))
			rc = member_find(c, target, &at);
		c->member[i].targets[n] = at; /* member may have moved */
		c->member[i].target_count = n + 1;
	}
	return rc;
}

/* How deep structs lie in this one, as far as it is known; 0: not yet. */
static uint32_t
member_depth(const struct stoai_closure *c, const struct stoai_member *m)
{
	const stoa_type *type = m->type;
	uint32_t depth = 1, n = type->key != NULL;

	n += type->val != NULL;
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];
		uint32_t inner;

		if (!stoai_field_names_type(f))
			continue;
		n++;
		if (f->kind != STOA_KIND_STRUCT)
			continue;
		inner = c->member[m->targets[n - 1]].depth;
		if (!inner)
			return 0;
		depth = (uint32_t)stoai_max(depth, inner + 1);
	}
	return depth;
}

/* I3: give depths from the inside out; who gets none holds itself. */
static int
depth_check(struct stoai_closure *c)
{
	uint32_t left = c->count, before = 0;

	while (left && left != before) {
		before = left;
		for (uint32_t i = 0; i < c->count; i++) {
			struct stoai_member *m = &c->member[i];

			if (m->depth)
				continue;
			m->depth = member_depth(c, m);
			if (m->depth > STOAI_TYPE_DEPTH)
				return stoai_error(-EINVAL,
					"STOA_TYPE(%.80s): structs nest more "
					"than %d "
					"deep",
					m->type->name, STOAI_TYPE_DEPTH);
			left -= m->depth != 0;
		}
	}
	for (uint32_t i = 0; left && i < c->count; i++)
		if (!c->member[i].depth)
			return stoai_error(-EINVAL,
				"STOA_TYPE(%.80s): it holds itself; use a "
				"STOA_REF",
				c->member[i].type->name);
	return 0;
}

/* Has it a lock that lies in it? Its nesting was checked. */
static bool
holds_lock(const stoa_type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];

		if (stoai_kind_info(f->kind)->lock ||
			(f->kind == STOA_KIND_STRUCT && holds_lock(f->type)))
			return true;
	}
	return false;
}

/* I4 */
static int
moving_check(const struct stoai_closure *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		const stoa_type *type = c->member[i].type;

		if ((type->key && holds_lock(type->key)) ||
			(type->val && !type->boxed && holds_lock(type->val)))
			return stoai_error(-EINVAL,
				"%.80s: its elements hold a lock, so they must "
				"not "
				"move: STOA_BOXED",
				type->name);
	}
	return 0;
}

int
stoai_closure_init(struct stoai_closure *c, const stoa_type *type)
{
	uint16_t first;
	int rc;

	memset(c, 0, sizeof *c);
	if (!type)
		return stoai_error(-EINVAL, "a description is NULL");
	rc = member_find(c, type, &first);
	for (uint32_t i = 0; i < c->count && !rc; i++)
		rc = targets_find(c, i);
	if (!rc)
		rc = depth_check(c);
	if (!rc)
		rc = moving_check(c);
	return rc;
}

void
stoai_closure_fini(struct stoai_closure *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		free(c->member[i].text);
	free(c->member);
	memset(c, 0, sizeof *c);
}

int
stoai_closure_id(const struct stoai_closure *c, uint64_t *ret)
{
	struct stoai_text t = {0};
	bool failed;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct stoai_member *m = &c->member[i];

		stoai_text_add(&t, "%s>", m->text);
		for (uint32_t n = 0; n < m->target_count; n++)
			stoai_text_add(&t, " %u", (unsigned)m->targets[n]);
		stoai_text_add(&t, "\n");
	}
	failed = t.failed;
	if (!failed) {
		*ret = stoai_hash_sum(t.p, t.size);
		if (*ret < STOAI_BUILTIN_IDS) /* and never 0 */
			*ret += STOAI_BUILTIN_IDS;
	}
	stoai_text_fini(&t);
	return failed ? stoai_error(-ENOMEM, "out of memory") : 0;
}

int
stoa_type_check(const stoa_type *type)
{
	struct stoai_closure c;
	int rc;

	stoai_error_clear();
	rc = stoai_closure_init(&c, type);
	stoai_closure_fini(&c);
	return rc;
}

/* ---- identity ---- */

int
stoai_type_identify(const stoa_type *type, uint64_t *ret)
{
	struct stoai_closure c;
	int rc;

	if (stoai_likely(type != NULL)) {
		*ret = stoai_ids_find(type);
		if (stoai_likely(*ret))
			return 0;
	}
	rc = stoai_closure_init(&c, type);
	if (!rc && stoai_is_builtin(type))
		*ret = stoai_builtin_id(type);
	else if (!rc)
		rc = stoai_closure_id(&c, ret);
	stoai_closure_fini(&c);
	if (!rc)
		stoai_ids_add(type, *ret);
	return rc;
}

uint64_t
stoai_type_id(const stoa_type *type)
{
	uint64_t id = 0;

	return stoai_type_identify(type, &id) ? 0 : id;
}

bool
stoai_type_is_plain(const stoa_type *type)
{
	if (stoai_kind_info(type->kind)->owns)
		return false;
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];
		const struct stoai_kind_info *k = stoai_kind_info(f->kind);

		if (k->owns || k->lock ||
			(f->kind == STOA_KIND_STRUCT &&
				!stoai_type_is_plain(f->type)))
			return false;
	}
	return true;
}
