/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks are offsets; people know objects and fields. Which field of which named
 * object lies there? Those of the header have names of their own; what lies in
 * blocks that objects own (list nodes, elements) is shown as an offset.
 */
#include "place.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "object/index.h"
#include "object/kind.h"

static bool
place_add(struct places *p, const stoa_object *it, uint64_t off)
{
	struct place *list = realloc(p->list, (p->count + 1) * sizeof *p->list);
	bool unique = it->kind == STOA_OBJECT_UNIQUE;
	size_t size = strlen(it->name) + 1;
	char *key = malloc(size + 1);
	struct place *fresh;

	if (!list || !key) {
		free(key);
		if (list)
			p->list = list;
		return false;
	}
	p->list = list;
	key[0] = STOAI_UNIQUE;
	memcpy(key + unique, it->name, size);
	fresh = &list[p->count++];
	fresh->key = key;
	fresh->name = key + unique;
	fresh->type = it->type;
	fresh->off = off;
	fresh->count = it->count;
	fresh->kind = unique ? "unique" : "named";
	return true;
}

static int
collect(struct view *v, void *user)
{
	const stoa_hold hold = stoa_shared(&stoai_header(v->seg)->names);
	const stoa_tx *rd =
		stoa_read_begin(v->seg, &hold, 1, stoa_in_ms(VIEW_WAIT_MS));
	struct places *p = user;
	int rc;

	place_free(p);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);)
		if (!place_add(p, &it, stoai_off(v->seg, it.data)))
			(void)stoa_tx_fail(rd, -ENOMEM);
	rc = stoa_tx_error(rd);
	stoa_tx_end(rd);
	return rc;
}

int
place_read_all(struct view *v, struct places *ret)
{
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = view_read(v, collect, ret);
	if (rc)
		place_free(ret);
	return rc;
}

void
place_free(struct places *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].key);
	free(p->list);
	memset(p, 0, sizeof *p);
}

/* ".field[3].inner" behind what is in buf. Types are at most 16 deep. */
static void
place_field(const stoa_type *type, uint64_t off, char buf[PLACE_NAME])
{
	for (size_t i = 0; i < type->field_count; i++) {
		const stoa_field *f = &type->fields[i];
		uint32_t size = stoai_field_element(f);
		size_t used = strlen(buf);

		if (!size || off < f->offset || off - f->offset >= f->size)
			continue;
		off -= f->offset;
		(void)snprintf(buf + used, PLACE_NAME - used, ".%s", f->name);
		used = strlen(buf);
		if (f->size > size)
			(void)snprintf(buf + used, PLACE_NAME - used, "[%u]",
				(unsigned)(off / size));
		if (f->kind == STOA_KIND_STRUCT && f->type->field_count)
			place_field(f->type, off % size, buf);
		return;
	}
}

const char *
place_of(const struct places *p, uint64_t off, char buf[PLACE_NAME])
{
	if (off == offsetof(struct stoai_header, lock))
		return "segment";
	if (off == offsetof(struct stoai_header, names))
		return "names";
	if (off == offsetof(struct stoai_header, heap_lock))
		return "heap";
	for (size_t i = 0; i < p->count; i++) {
		const struct place *o = &p->list[i];

		if (off < o->off || off - o->off >= o->type->size * o->count)
			continue;
		if (o->count > 1)
			(void)snprintf(buf, PLACE_NAME, "%.200s[%llu]", o->name,
				(unsigned long long)((off - o->off) /
						     o->type->size));
		else
			(void)snprintf(buf, PLACE_NAME, "%.200s", o->name);
		place_field(o->type, (off - o->off) % o->type->size, buf);
		return buf;
	}
	(void)snprintf(buf, PLACE_NAME, "@%#llx", (unsigned long long)off);
	return buf;
}
