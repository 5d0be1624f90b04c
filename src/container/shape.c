/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What follows from a container's description: sizes of its slots, what its
 * values need when they are removed, and which bytes of a struct key count.
 *
 *	buckets   description -> shape, one list a bucket; shapes are made once
 *	          and never freed or changed, so readers need no lock
 *
 * Invariants
 *	I1  a shape follows from the description alone: two processes that agree
 *	    on the description agree on every slot
 *	I2  parts of a key lie in it, in order, without overlap
 *
 * Progress: lock-free; two threads that make one shape at the same time both
 * do, and the later one finds the earlier one's.
 */
#include "base/atomic.h"
#include "base/hash.h"
#include "container/container.h"
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 16
};

uint64_t stoai_shape_buckets[STOAI_SHAPE_BUCKETS];

/* ---- the plain fields inside a description ---- */

struct shape_leaf {
	uint32_t off, size;
	stoa_kind kind;
};

struct shape_frame {
	const stoa_type *type;
	uint32_t base;
	uint32_t field, element;
};

/* A field's own kind: containers inside are written as structs of their type. */
static stoa_kind
shape_kind_of(const stoa_field *f)
{
	return f->kind == STOA_KIND_STRUCT && f->type ? f->type->kind : f->kind;
}

/*
 * Calls f for each plain field, arrays as one; stops at < 0 and returns it.
 * Arrays of structs: each element, or with once the first one only.
 */
static int
shape_each_leaf(const stoa_type *type, bool once,
	int (*f)(void *user, const struct shape_leaf *leaf), void *user)
{
	struct shape_frame stack[DEPTH_MAX];
	struct shape_leaf leaf = {0, type->size, type->kind};
	unsigned depth = 0;
	int rc = 0;

	if (type->kind != STOA_KIND_STRUCT)
		return f(user, &leaf);
	stack[depth++] = (struct shape_frame){type, 0, 0, 0};
	while (depth && rc >= 0) {
		struct shape_frame *at = &stack[depth - 1];
		const stoa_field *field;

		if (at->field == at->type->field_count) {
			depth--;
			continue;
		}
		field = &at->type->fields[at->field];
		if (shape_kind_of(field) != STOA_KIND_STRUCT) {
			leaf.off = at->base + field->offset;
			leaf.size = field->size;
			leaf.kind = shape_kind_of(field);
			at->field++;
			rc = f(user, &leaf);
		} else if (!field->type->size ||
			   at->element == field->size / field->type->size ||
			   (once && at->element)) {
			at->field++;
			at->element = 0;
		} else if (depth == DEPTH_MAX) {
			rc = stoai_error(-EINVAL,
				"type '%s' nests more than %d structs",
				type->name, DEPTH_MAX);
		} else {
			stack[depth++] = (struct shape_frame){field->type,
				at->base + field->offset +
					at->element++ * field->type->size,
				0, 0};
		}
	}
	return rc;
}

static int
shape_see_value(void *user, const struct shape_leaf *leaf)
{
	struct stoai_shape *s = user;

	switch (leaf->kind) {
	case STOA_KIND_MUTEX:
	case STOA_KIND_RWLOCK:
	case STOA_KIND_COND:
		s->val_pinned = true;
		s->val_clears = true;
		break;
	case STOA_KIND_STR:
	case STOA_KIND_OWN:
	case STOA_KIND_VEC:
	case STOA_KIND_HASHMAP:
		s->val_clears = true;
		break;
	default:
		break;
	}
	return 0;
}

/* ---- keys ---- */

static bool
shape_is_word(stoa_kind kind)
{
	return kind >= STOA_KIND_BOOL && kind <= STOA_KIND_F64;
}

/* I2: parts come in the order of the fields, and neighbours become one. */
static int
shape_see_key(void *user, const struct shape_leaf *leaf)
{
	struct stoai_shape *s = user;
	struct stoai_part *last =
		s->part_count ? &s->part[s->part_count - 1] : NULL;

	if (!shape_is_word(leaf->kind) && leaf->kind != STOA_KIND_OPAQUE &&
		leaf->kind != STOA_KIND_REF && leaf->kind != STOA_KIND_OWNER)
		return stoai_error(-EINVAL,
			"type '%s' cannot be a key: it holds memory or a lock",
			s->type->key->name);
	if (last && last->off + last->size == leaf->off) {
		last->size += leaf->size;
		return 0;
	}
	if (s->part_count == STOAI_PARTS_MAX)
		return stoai_error(-EINVAL,
			"type '%s' cannot be a key: padding cuts it into more "
			"than %d parts",
			s->type->key->name, STOAI_PARTS_MAX);
	s->part[s->part_count++] = (struct stoai_part){leaf->off, leaf->size};
	return 0;
}

static int
shape_set_key(struct stoai_shape *s, const stoa_type *key)
{
	stoa_shape_ *c = &s->core;
	int rc;

	c->key_size = key->size;
	if (key->kind == STOA_KIND_STR) {
		c->key_class = STOA_KEY_STR_;
		return 0;
	}
	if (shape_is_word(key->kind)) {
		c->key_class = key->size == 1   ? STOA_KEY_1_
			       : key->size == 2 ? STOA_KEY_2_
			       : key->size == 4 ? STOA_KEY_4_
						: STOA_KEY_8_;
		return 0;
	}
	rc = shape_each_leaf(key, false, shape_see_key, s);
	if (rc)
		return rc;
	c->key_class = s->part_count == 1 && s->part[0].size == key->size
			       ? STOA_KEY_BYTES_
			       : STOA_KEY_STRUCT_;
	return 0;
}

/* ---- shapes ---- */

static int
shape_set_map(struct stoai_shape *s, const stoa_type *t)
{
	stoa_shape_ *c = &s->core;
	uint32_t val_align = t->boxed ? 8 : s->elem_align;
	uint64_t off, size;
	int rc =
		t->key && t->key->size
			? shape_set_key(s, t->key)
			: stoai_error(-EINVAL, "type '%s' has no key", t->name);

	if (rc)
		return rc;
	s->slot_align = t->key->align > val_align ? t->key->align : val_align;
	c->val_size = t->boxed && t->val ? 8 : s->elem_size;
	c->box_size = t->boxed && t->val ? s->elem_size : 0;
	off = stoai_align_up(c->key_size, val_align);
	size = stoai_align_up(off + c->val_size, s->slot_align);
	if (size > UINT32_MAX / 32)
		return stoai_error(-EINVAL,
			"type '%s' has slots of %llu bytes; use STOA_BOXED",
			t->name, (unsigned long long)size);
	c->val_off = (uint32_t)off;
	c->slot_size = (uint32_t)size;
	c->head = s->slot_align > STOA_GROUP_ ? s->slot_align : STOA_GROUP_;
	for (s->log2_max = STOAI_TABLE_LOG2_MIN;
		s->log2_max < STOAI_TABLE_LOG2_MAX &&
		stoai_table_bytes(c, s->log2_max + 1) <= STOAI_BYTES_MAX;)
		s->log2_max++;
	s->quick = c->key_class == STOA_KEY_8_ && t->val && !c->box_size &&
		   !s->val_clears;
	return 0;
}

/* I1: nothing but t goes in, and no address, time or machine. */
int
stoai_shape_make(const stoa_type *t, struct stoai_shape *ret) /* I1 */
{
	int rc = 0;

	memset(ret, 0, offsetof(struct stoai_shape, part));
	ret->type = t;
	ret->core.whole = 1;
	ret->elem_align = 1;
	if (t->val) {
		ret->elem_size = t->val->size;
		ret->elem_align = t->val->align;
		rc = shape_each_leaf(t->val, true, shape_see_value, ret);
	}
	if (rc)
		return rc;
	if (!stoai_is_pow2(ret->elem_align) || (t->val && !t->val->size) ||
		(t->key && !stoai_is_pow2(t->key->align)))
		return stoai_error(-EINVAL,
			"type '%s' has elements of no size or alignment",
			t->name);
	if (t->kind == STOA_KIND_HASHMAP)
		return shape_set_map(ret, t);
	if (t->kind != STOA_KIND_VEC || !t->val)
		return stoai_error(
			-EINVAL, "type '%s' is no container", t->name);
	ret->slot_size = t->boxed ? 8 : ret->elem_size;
	ret->slot_align = t->boxed ? 8 : ret->elem_align;
	return 0;
}

static const struct stoai_shape *
shape_find(const uint64_t *bucket, const stoa_type *t)
{
	const struct stoai_shape *s =
		(const void *)(uintptr_t)a64_load_acquire(bucket);

	while (s && s->type != t)
		s = (const void *)(uintptr_t)s->next;
	return s;
}

static const struct stoai_shape *
shape_add(uint64_t *bucket, const stoa_type *t)
{
	struct stoai_shape *s = malloc(sizeof *s);
	uint64_t first = a64_load_acquire(bucket);
	const struct stoai_shape *other;

	if (!s) {
		stoai_error(
			-ENOMEM, "no memory for the shape of '%s'", t->name);
		return NULL;
	}
	if (stoai_shape_make(t, s) || !(s->id = stoai_type_id(t))) {
		free(s);
		return NULL;
	}
	do {
		/* somebody else's, made meanwhile, is as good */
		other = shape_find(bucket, t);
		if (other) {
			free(s);
			return other;
		}
		s->next = first;
		/* pairs with: shape_find's load; publishes *s */
	} while (!a64_cas_seq_cst(bucket, &first, (uint64_t)(uintptr_t)s));
	return s;
}

const struct stoai_shape *
stoai_shape_search(const stoa_tx *rd, const stoa_type *t)
{
	uint64_t *bucket = stoai_shape_bucket(t);
	const struct stoai_shape *s = shape_find(bucket, t);

	if (!s) {
		s = shape_add(bucket, t);
		if (!s && rd)
			stoai_tx_fail(rd, -EINVAL);
	}
	return s;
}

void
stoai_shape_differs(
	const stoa_tx *rd, const struct stoai_shape *s, uint64_t stored_id)
{
	char asked[256], stored[256] = "something of another type";
	const stoa_type *other;

	if (stoa_tx_error(rd)) /* torn, in a read-only mapping */
		return;
	other = stoai_type_find(rd, stored_id);
	stoai_type_text(s->type, asked, sizeof asked);
	if (other)
		stoai_type_text(other, stored, sizeof stored);
	stoai_tx_fail(rd, stoai_error(-EPROTOTYPE,
				  "the container is a %s; you ask for %s",
				  stored, asked));
}

/* ---- struct keys, part by part ---- */

/* The inlined code has the sizes as constants, but not the parts. */
static const struct stoai_shape *
shape_whole(const stoa_shape_ *s, const stoa_type *t)
{
	return s->whole ? (const struct stoai_shape *)(const void *)s
			: stoai_shape_of(NULL, t);
}

uint64_t
stoa_key_hash_(const stoa_shape_ *shape, const stoa_type *t, const void *key,
	uint64_t seed)
{
	/* NULL cannot be: whoever opened the map has asked for its shape */
	const struct stoai_shape *s = shape_whole(shape, t);
	unsigned char together[512];
	uint64_t hash = seed;
	uint32_t n = 0;

	for (uint32_t i = 0; s && i < s->part_count; i++) {
		const unsigned char *p =
			(const unsigned char *)key + s->part[i].off;
		uint32_t size = s->part[i].size;

		if (n && size > sizeof together - n) {
			hash = stoai_hash(together, n, hash);
			n = 0;
		}
		if (size > sizeof together) {
			hash = stoai_hash(p, size, hash);
		} else {
			memcpy(together + n, p, size);
			n += size;
		}
	}
	return n ? stoai_hash(together, n, hash) : hash;
}

bool
stoa_key_equal_(const stoa_shape_ *shape, const stoa_type *t, const void *a,
	const void *b)
{
	const struct stoai_shape *s = shape_whole(shape, t);

	for (uint32_t i = 0; s && i < s->part_count; i++)
		if (memcmp((const char *)a + s->part[i].off,
			    (const char *)b + s->part[i].off,
			    s->part[i].size) != 0)
			return false;
	return s != NULL;
}
