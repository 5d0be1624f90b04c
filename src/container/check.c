/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Are a container's own words and blocks as the heads of str.c, vec.c and
 * hashmap.c say? The values inside are checked by whoever walks the
 * description. Reads only; needs the lock under which the container changes.
 *
 * Cost: O(size of the container); each loop is bounded by a capacity whose
 * block the heap has confirmed.
 */
#include "base/atomic.h"
#include "container/container.h"
#include "heap/heap.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* -EBADMSG: rd fails with "kind at offset: text". */
static int check_failed(const stoa_tx *rd, const char *kind, const void *p,
	const char *format, ...) STOA_PRINTF_(4, 5);

static int
check_failed(const stoa_tx *rd, const char *kind, const void *p,
	const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	stoai_tx_damaged(rd, "%s at offset %llu: %s", kind,
		(unsigned long long)stoai_off(rd->seg, p), text);
	return -EBADMSG;
}

/* A block of the heap begins at off and has room. */
static bool
check_memory(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	return stoai_heap_usable(rd->seg, off) >= size;
}

int
stoai_str_check(const stoa_tx *rd, const stoa_type *t, const void *p)
{
	struct stoai_string text;
	unsigned char bytes[sizeof(stoa_str)];

	(void)t;
	if (!stoai_tx_reads(rd) || !stoai_str_load(rd, p, &text)) /* S2, S3 */
		return stoa_tx_error(rd);
	if (text.block)
		return check_memory(rd, text.block, text.capacity)
			       ? 0
			       : check_failed(rd, "string", p,
					 "S2: no block of %llu bytes at %llu",
					 (unsigned long long)text.capacity,
					 (unsigned long long)text.block);
	memcpy(bytes, text.word, sizeof bytes);
	for (uint64_t i = text.size; i < STOA_STR_INLINE_ + 1; i++)
		if (bytes[i])
			return check_failed(rd, "string", p,
				"S1: byte %llu behind the text is not zero",
				(unsigned long long)i);
	return 0;
}

static bool
is_zero(const void *p, size_t size)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < size; i++)
		if (b[i])
			return false;
	return true;
}

/* Shape and id; the load that follows finds the words that disagree. */
static int
check_shape(const stoa_tx *rd, const stoa_type *t, struct stoai_shape *ret)
{
	int rc = stoai_tx_reads(rd) ? stoai_shape_make(t, ret)
				    : stoa_tx_error(rd);

	if (!rc && !(ret->id = stoai_type_id(t)))
		rc = -EINVAL;
	return rc ? stoai_tx_fail(rd, rc) : 0;
}

int
stoai_vec_check(const stoa_tx *rd, const stoa_type *t, const void *p)
{
	const stoa_vec *v = p;
	struct stoai_shape s = {0};
	struct stoai_vec vec;
	int rc = check_shape(rd, t, &s);

	if (rc)
		return rc;
	if (!stoai_vec_load(rd, v, &s, &vec)) /* V2 */
		return stoa_tx_error(rd);
	if (!v->type_)
		return is_zero(v, sizeof *v)
			       ? 0
			       : check_failed(rd, "vector", v,
					 "V1: without a type, but not zero");
	if (v->size_ != s.slot_size || v->boxed_ != (t->boxed != 0))
		return check_failed(rd, "vector", v,
			"V5: slots of %u bytes, should be %u", v->size_,
			s.slot_size);
	if (vec.off && !check_memory(rd, vec.off, vec.capacity * s.slot_size))
		return check_failed(rd, "vector", v,
			"V3: its block has no room for %llu slots",
			(unsigned long long)vec.capacity);
	for (uint64_t i = 0; t->boxed && i < vec.count; i++) {
		uint64_t off;

		memcpy(&off, vec.data + i * 8, sizeof off);
		if (!check_memory(rd, off, s.elem_size))
			return check_failed(rd, "vector", v,
				"V4: element %llu has no block",
				(unsigned long long)i);
	}
	return 0;
}

/* H6, H7 for the live slot i. */
static int
check_pair(const stoa_tx *rd, const struct stoai_map *m, uint64_t i)
{
	const stoa_shape_ *c = &m->shape->core;
	const unsigned char *slot = stoa_slot_at_(m->table, c, i);
	unsigned control = *stoa_control_at_(m->table, c, i);
	stoa_key_ k;
	uint64_t box, at;
	int rc = 0;

	if (c->key_class == STOA_KEY_STR_)
		rc = stoai_str_check(rd, m->shape->type->key, slot);
	if (rc)
		return rc;
	if (!stoai_map_slot_key(rd, m, slot, &k))
		return stoa_tx_error(rd);
	if (stoa_tag_(k.hash) != control)
		return check_failed(rd, "hash map", m->shared,
			"H6: slot %llu: control byte %02x, its key has %02x",
			(unsigned long long)i, control, stoa_tag_(k.hash));
	if (!stoa_hashmap_find_(rd, m->table, m->log2, c, c->key_class,
		    m->shape->type, &k, &at) ||
		at != i)
		return check_failed(rd, "hash map", m->shared,
			"H6: the key of slot %llu is not found there",
			(unsigned long long)i);
	if (c->box_size) {
		memcpy(&box, slot + c->val_off, sizeof box);
		if (!check_memory(rd, box, c->box_size))
			return check_failed(rd, "hash map", m->shared,
				"H7: the value of slot %llu has no block",
				(unsigned long long)i);
	}
	return 0;
}

static int
check_table(const stoa_tx *rd, const struct stoai_map *m)
{
	const stoa_hashmap *shared = m->shared;
	uint64_t live = 0, used = 0, slots = stoai_table_capacity(m->log2);
	int rc = 0;

	if (!check_memory(
		    rd, m->off, stoai_table_bytes(&m->shape->core, m->log2)))
		return check_failed(rd, "hash map", shared,
			"H3: its block has no room for 2^%u slots", m->log2);
	for (uint64_t i = 0; i < slots && !rc; i++) {
		unsigned control =
			*stoa_control_at_(m->table, &m->shape->core, i);

		used += control != STOA_SLOT_EMPTY_;
		live += control >= STOA_SLOT_LIVE_;
		if (control >= STOA_SLOT_LIVE_)
			rc = check_pair(rd, m, i);
		else if (control > STOA_SLOT_ERASED_)
			rc = check_failed(rd, "hash map", shared,
				"H4: slot %llu has control byte %02x",
				(unsigned long long)i, control);
	}
	if (!rc && (live != shared->count_ || used != shared->used_))
		rc = check_failed(rd, "hash map", shared,
			"H4: counts %llu live and %llu used slots, has %llu "
			"and %llu",
			(unsigned long long)shared->count_,
			(unsigned long long)shared->used_,
			(unsigned long long)live, (unsigned long long)used);
	if (!rc && used > stoai_table_limit(m->log2))
		rc = check_failed(rd, "hash map", shared,
			"H5: %llu of %llu slots are used",
			(unsigned long long)used, (unsigned long long)slots);
	return rc;
}

int
stoai_hashmap_check(const stoa_tx *rd, const stoa_type *t, const void *p)
{
	const stoa_hashmap *m = p;
	struct stoai_shape s = {0};
	struct stoai_map map;
	int rc = check_shape(rd, t, &s);

	if (rc)
		return rc;
	if (!stoai_map_load(rd, m, &s, &map)) /* H2, H3 */
		return stoa_tx_error(rd);
	if (!m->type_)
		return is_zero(m, sizeof *m)
			       ? 0
			       : check_failed(rd, "hash map", m,
					 "H1: without a type, but not zero");
	if (m->slot_size_ != s.core.slot_size ||
		m->val_off_ != s.core.val_off ||
		m->key_class_ != s.core.key_class ||
		m->boxed_ != (s.core.box_size != 0))
		return check_failed(rd, "hash map", m,
			"H8: slots of %u bytes, should be %u", m->slot_size_,
			s.core.slot_size);
	if (!map.table)
		return !m->count_ && !m->used_
			       ? 0
			       : check_failed(rd, "hash map", m,
					 "H2: counts without a table");
	return check_table(rd, &map);
}
