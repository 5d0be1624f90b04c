/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does a value look as JSON, for a program that may never have seen its type?
 *
 *	numbers, bool      as they are; NaN and infinities as texts
 *	char, char array   text up to its NUL
 *	opaque             hexadecimal digits in a text
 *	ref                the offset, or null
 *	own                the object itself, or null
 *	lock               {"pid":,"tid":} of who holds it exclusively, or null
 *	owner              the same; "dead" when it lives no more; null for nobody
 *	containers         by their kind's class
 *
 * Structs and what they own are printed with a list of open objects in place of
 * recursion. Containers call back here for their elements, which does nest; both
 * are bounded, and what lies deeper is shown as {"ref":offset}.
 *
 * The whole is bounded too, whatever the bytes: an owned object is printed once,
 * and no more values are printed than the heap's bytes can hold.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/index.h"
#include "object/json.h"
#include "object/kind.h"
#include "object/visit.h"

enum {
	OPEN_MAX = 10000,  /* objects inside objects */
	NESTED_MAX = 32,   /* containers inside containers */
	VALUES_A_BYTE = 32 /* structs that begin at it, and what is in them */
};

struct open_object {
	const stoa_type *type;
	const char *p;
	uint32_t field, at; /* what comes next: element at `at` of this field */
};

/* Of one dump, however often containers call back. */
struct dump {
	struct stoai_offsets seen;
	uint64_t left; /* values that may still be printed */
	int nested;
};

static STOAI_THREAD struct dump *dump_of_thread;

struct printer {
	const stoa_tx *rd;
	FILE *out;
	struct dump *dump;
	struct open_object *open;
	size_t count, room;
};

static bool
dump_open(struct printer *d, const stoa_type *type, const char *p)
{
	if (d->count == d->room) {
		size_t room = d->room ? d->room * 2 : 8;
		struct open_object *open =
			realloc(d->open, room * sizeof *open);

		if (!open) {
			(void)stoai_tx_fail(
				d->rd, stoai_error(-ENOMEM, "out of memory"));
			return false;
		}
		d->open = open;
		d->room = room;
	}
	d->open[d->count++] = (struct open_object){type, p, 0, 0};
	(void)fputc('{', d->out);
	return true;
}

static void
dump_owner(struct printer *d, stoa_owner who)
{
	stoa_owner_info info;

	if (!who.slot_)
		(void)fputs("null", d->out);
	else if (stoa_owner_describe(d->rd, who, &info))
		(void)fputs("\"dead\"", d->out);
	else
		(void)fprintf(
			d->out, "{\"pid\":%u,\"tid\":%u}", info.pid, info.tid);
}

static void
dump_lock(struct printer *d, stoa_kind kind, const void *p)
{
	uint64_t off = (uint64_t)((const char *)p - d->rd->seg->base);
	stoa_owner who = {0, 0};

	if (!stoai_in_heap(d->rd->seg, off, stoai_kind_info(kind)->size))
		; /* a copy of a lock is nobody's */
	else if (kind == STOA_KIND_MUTEX)
		who = stoa_mutex_owner(d->rd, p);
	else if (kind == STOA_KIND_RWLOCK)
		who = stoa_rwlock_owner(d->rd, p);
	dump_owner(d, who);
}

/* One more value: is that still possible? */
static bool
dump_counts(struct printer *d)
{
	if (d->dump->left) {
		d->dump->left--;
		return true;
	}
	(void)stoai_tx_damaged(
		d->rd, "it holds more values than there are bytes");
	return false;
}

static bool dump_one(struct printer *d, stoa_kind kind, const stoa_type *type,
	const char *p);

/* Bytes that nobody has described: where, and how many there are. */
static bool
dump_raw(struct printer *d, uint64_t off)
{
	(void)fprintf(d->out, "{\"ref\":%llu,\"bytes\":%llu}",
		(unsigned long long)off,
		(unsigned long long)stoai_heap_usable(d->rd->seg, off));
	return true;
}

/* Of an owned reference; nests as containers do. */
static bool
dump_owned_array(struct printer *d, const stoa_type *type,
	const struct stoai_entry *array)
{
	uint64_t count;
	const char *p = stoai_entry_data(d->rd, array, type, &count);
	bool ok = p != NULL;

	(void)fputc('[', d->out);
	for (uint64_t i = 0; ok && i < count; i++) {
		if (i)
			(void)fputc(',', d->out);
		ok = stoai_type_dump_value(
			d->rd, type, p + i * type->size, d->out);
	}
	(void)fputc(']', d->out);
	return ok;
}

static bool
dump_owned(struct printer *d, const stoa_type *type, const char *link)
{
	const struct stoai_entry *array;
	uint64_t off = a64_load_relaxed((const uint64_t *)(const void *)link);
	const char *p;

	if (!off) {
		(void)fputs("null", d->out);
		return true;
	}
	p = off % type->align ? NULL : stoai_tx_at(d->rd, off, type->size);
	if (!p) {
		if (!stoa_tx_error(d->rd))
			(void)stoai_tx_damaged(d->rd,
				"a reference to %s is %#llx", type->name,
				(unsigned long long)off);
		return false;
	}
	if (d->count >= OPEN_MAX || d->dump->nested >= NESTED_MAX) {
		(void)fprintf(
			d->out, "{\"ref\":%llu}", (unsigned long long)off);
		return true;
	}
	switch (stoai_offsets_add(&d->dump->seen, off)) {
	case STOAI_OFFSETS_NEW:
		array = stoai_array_of(d->rd, type, off);
		if (array)
			return dump_owned_array(d, type, array);
		return type->kind == STOA_KIND_U8
			       ? dump_raw(d, off)
			       : dump_one(d, type->kind, type, p);
	case STOAI_OFFSETS_OLD:
		(void)stoai_tx_damaged(d->rd,
			"the block at %#llx is owned twice",
			(unsigned long long)off);
		return false;
	case STOAI_OFFSETS_NOMEM:
	default:
		(void)stoai_tx_fail(
			d->rd, stoai_error(-ENOMEM, "out of memory"));
		return false;
	}
}

static bool
dump_container(struct printer *d, const stoa_type *type, const char *p)
{
	const struct stoai_kind_class *class = &stoai_kind_class[type->kind];

	if (d->dump->nested >= NESTED_MAX || !class->dump) {
		(void)fprintf(d->out, "{\"ref\":%llu}",
			(unsigned long long)stoai_off(d->rd->seg, p));
		return true;
	}
	return class->dump(d->rd, type, p, d->out);
}

/* One element. A struct is only opened: the caller goes on with it. */
static bool
dump_one(
	struct printer *d, stoa_kind kind, const stoa_type *type, const char *p)
{
	char buf[STOAI_NUMBER_TEXT];
	uint64_t word;
	stoa_owner who;

	if (!dump_counts(d))
		return false;
	switch ((unsigned)kind) {
	case STOA_KIND_STRUCT:
		return dump_open(d, type, p);
	case STOA_KIND_OWN:
		return dump_owned(d, type, p);
	case STOA_KIND_CHAR:
		return stoai_json_text(d->out, p, *p != '\0');
	case STOA_KIND_REF:
		memcpy(&word, p, sizeof word);
		if (word)
			(void)fprintf(d->out, "%llu", (unsigned long long)word);
		else
			(void)fputs("null", d->out);
		break;
	case STOA_KIND_OWNER:
		memcpy(&who, p, sizeof who);
		dump_owner(d, who);
		break;
	case STOA_KIND_MUTEX:
	case STOA_KIND_RWLOCK:
	case STOA_KIND_COND:
	case STOA_KIND_SEMAPHORE:
	case STOA_KIND_PERMITS:
	case STOA_KIND_EVENT:
	case STOA_KIND_LATCH:
	case STOA_KIND_ONCE:
	case STOA_KIND_EVENTCOUNT:
	case STOA_KIND_BARRIER:
		dump_lock(d, kind, p);
		break;
	case STOA_KIND_OPAQUE:
		stoai_json_hex(d->out, p, type->size);
		break;
	case STOA_KIND_STR:
		return dump_container(d, &stoa_type_stoa_str, p);
	default:
		if (stoai_kind_info(kind)->owns)
			return dump_container(d, type, p);
		(void)fprintf(d->out,
			stoai_json_number(kind, p, buf) ? "\"%s\"" : "%s", buf);
	}
	return true;
}

/* The next element of the innermost open object, or its end. */
static bool
dump_step(struct printer *d)
{
	struct open_object *o = &d->open[d->count - 1];
	const stoa_field *f = &o->type->fields[o->field];
	uint32_t size, at = o->at;

	if (o->field == o->type->field_count) {
		(void)fputc('}', d->out);
		d->count--;
		return true;
	}
	size = stoai_field_element(f);
	if (at == 0) {
		if (o->field)
			(void)fputc(',', d->out);
		(void)stoai_json_text(d->out, f->name, strlen(f->name));
		(void)fputc(':', d->out);
	}
	if (f->kind == STOA_KIND_CHAR && f->size > 1) {
		o->field++;
		return dump_counts(d) &&
		       stoai_json_text(d->out, o->p + f->offset,
			       strnlen(o->p + f->offset, f->size));
	}
	if (at >= f->size) { /* behind the last element */
		if (f->size > size)
			(void)fputc(']', d->out);
		o->field++;
		o->at = 0;
		return true;
	}
	if (f->size > size)
		(void)fputc(at ? ',' : '[', d->out);
	o->at += size;
	return dump_one(d, stoai_field_kind(f), f->type, o->p + f->offset + at);
}

/* Printed by itself, with all that hangs on it. */
static bool
dump_whole(const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	struct printer d = {.rd = rd, .out = out, .dump = dump_of_thread};
	bool ok;

	d.dump->nested++;
	ok = dump_one(&d, type->kind, type, p);
	while (ok && d.count)
		ok = dump_step(&d);
	free(d.open);
	d.dump->nested--;
	return ok;
}

bool
stoai_type_dump_value(
	const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	return stoai_type_dump_array(rd, type, p, 1, out);
}

bool
stoai_type_dump_array(const stoa_tx *rd, const stoa_type *type, const void *p,
	uint64_t count, FILE *out)
{
	struct dump whole = {0};
	bool outermost = !dump_of_thread, several = count != 1;
	const char *at = p;
	bool ok = true;

	if (!stoai_tx_reads(rd) || !stoai_value_aligned(rd, type, p))
		return false;
	if (outermost) {
		whole.left =
			VALUES_A_BYTE * (a64_load_relaxed(&rd->seg->committed) +
						type->size * count);
		dump_of_thread = &whole;
	}
	if (several)
		(void)fputc('[', out);
	for (uint64_t i = 0; ok && i < count; i++) {
		if (i)
			(void)fputc(',', out);
		ok = dump_whole(rd, type, at + i * type->size, out);
	}
	if (several)
		(void)fputc(']', out);
	if (outermost) {
		stoai_offsets_fini(&whole.seen);
		dump_of_thread = NULL;
	}
	return ok && !ferror(out);
}

int
stoa_type_dump(
	const stoa_tx *rd, const stoa_type *type, const void *data, FILE *out)
{
	uint64_t id;
	int rc;

	if (!stoai_tx_reads(rd))
		return stoa_tx_error(rd);
	rc = out ? stoai_type_identify(type, &id)
		 : stoai_error(-EINVAL, "stoa_type_dump: out is NULL");
	if (rc)
		return stoai_tx_fail(rd, rc);
	if (!data)
		(void)fputs("null", out);
	else if (!stoai_type_dump_value(rd, type, data, out) &&
		 stoa_tx_error(rd))
		return stoa_tx_error(rd);
	(void)fputc('\n', out);
	return ferror(out) ? stoai_error(-EIO, "the dump cannot be written")
			   : stoa_tx_error(rd);
}
