/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa dump: what is in it? Objects by their stored descriptions, so their C types
 * need not be known here.
 *
 * The library writes each value as JSON; it is passed on as it is, not taken
 * apart, because numbers up to 2^64 and equal keys must come out unchanged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "object/index.h"
#include "object/kind.h"
#include "object/text.h"
#include "os/os.h"
#include "out.h"
#include "place.h"
#include "thread.h"
#include "tx/tx.h"
#include "view.h"

static const struct out_column columns[] = {{"NAME", "name", OUT_TEXT},
	{"TYPE", "type", OUT_TEXT}, {"SIZE", "size", OUT_NUMBER},
	{"COUNT", "count", OUT_NUMBER}, {"AT", "offset", OUT_HEX}};

enum {
	LINE = 60 /* what is no longer stays on one */
};

struct one { /* object */
	const char *name;
	const char *key; /* NULL: a named one of that name, or a unique one */
	uint64_t count;  /* elements */
	bool unique;     /* found by its type */
	const stoa_type *type; /* NULL: it is not there any more */
	char *text;
	size_t size;
	char *before; /* what was read the last time, if that must be the same */
	bool mutexes; /* it holds some */
};

/*
 * Its own locks, beside the segment's: the answer of the scope then says whether a
 * writer came between. A mutex has nothing that could be compared: it must be free,
 * and what it may guard must read the same twice.
 */
static int
watch_lock(const stoa_tx *rd, stoa_kind kind, const void *lock, struct one *o)
{
	const stoa_mutex *mutex = lock;
	uint64_t until = stoa_in_ms(VIEW_WAIT_MS);

	if (kind == STOA_KIND_RWLOCK)
		return stoa_tx_lock_until(rd, lock, until);
	if (kind != STOA_KIND_MUTEX)
		return 0;
	if (rd->seat)
		return stoa_tx_lock_mutex_until(rd, mutex, until);
	o->mutexes = true;
	while (a32_load_acquire(&mutex->word_) & ~STOAI_WORD_WAITERS) {
		if (stoai_os_now() > until)
			return -ETIMEDOUT;
		stoai_os_yield();
	}
	return 0;
}

static void
watch_locks(
	const stoa_tx *rd, const stoa_type *type, const char *p, struct one *o)
{
	for (size_t i = 0; i < type->field_count && !stoa_tx_error(rd); i++) {
		const stoa_field *f = &type->fields[i];
		uint32_t size = stoai_field_element(f);

		for (uint32_t at = 0; size && at < f->size; at += size) {
			const char *q = p + f->offset + at;
			int rc = 0;

			if (rd->watched_count >= STOAI_TX_WATCH_MAX - 1)
				return;
			if (f->kind == STOA_KIND_STRUCT)
				watch_locks(rd, f->type, q, o);
			else
				rc = watch_lock(rd, f->kind, q, o);
			if (rc)
				(void)stoa_tx_fail(rd, rc);
		}
	}
}

/* 0: there is none. */
static uint64_t
find_name(const stoa_tx *rd, const struct one *o)
{
	char unique[STOAI_UNIQUE_MAX + 1] = {STOAI_UNIQUE};
	const char *key = o->key ? o->key : o->name;
	uint64_t off = stoai_index_find(rd, key, strlen(key));

	if (off || o->key || strlen(o->name) >= STOAI_UNIQUE_MAX)
		return off;
	memcpy(unique + 1, o->name, strlen(o->name) + 1);
	return stoai_index_find(rd, unique, strlen(unique));
}

static const void *
find(const stoa_tx *rd, struct one *o)
{
	uint64_t off = find_name(rd, o);
	const struct stoai_entry *e = off ? stoai_entry_at(rd, off) : NULL;
	const char *data;

	o->unique = e && e->name[0] == STOAI_UNIQUE;
	o->type = e ? stoai_type_find(rd, a64_load_relaxed(&e->type_id)) : NULL;
	if (!o->type)
		return NULL;
	data = stoai_entry_data(rd, e, o->type, &o->count);
	for (uint64_t i = 0; data && i < o->count; i++) {
		if (i && stoai_type_is_plain(o->type))
			break;
		watch_locks(rd, o->type, data + i * o->type->size, o);
	}
	return data;
}

/* Its text; what was there becomes `before`. */
static int
write_one(const stoa_tx *rd, struct one *o)
{
	const void *data;
	FILE *to;
	int rc = 0;

	free(o->before);
	o->before = o->text;
	o->text = NULL;
	o->mutexes = false;
	to = open_memstream(&o->text, &o->size);
	data = to ? find(rd, o) : NULL;
	if (data && !stoai_type_dump_array(rd, o->type, data, o->count, to))
		rc = stoa_tx_error(rd);
	if (data && !rc) /* its newline, taken off below */
		(void)fputc('\n', to);
	if (!rc)
		rc = stoa_tx_error(rd);
	if (!to || fclose(to))
		rc = stoai_error(-ENOMEM, "out of memory");
	if (!rc && o->size) /* its newline */
		o->text[o->size - 1] = '\0';
	return rc;
}

static int
read_one(struct view *v, void *user)
{
	const stoa_hold holds[] = {stoa_shared(stoa_segment_lock(v->seg)),
		stoa_shared(&stoai_header(v->seg)->names)};
	const stoa_tx *rd = stoa_read_begin(
		v->seg, holds, STOAI_COUNT(holds), stoa_in_ms(VIEW_WAIT_MS));
	struct one *o = user;
	int rc = write_one(rd, o);

	stoa_tx_end(rd);
	if (!rc && o->mutexes && !v->settled &&
		(!o->before || strcmp(o->before, o->text) != 0))
		rc = -EAGAIN;
	return rc;
}

/* ---- as text ---- */

/* p opens an array or object: its end if it is short; else p. */
static const char *
short_end(const char *p)
{
	bool text = false;
	int depth = 0;

	for (const char *q = p; *q && q - p < LINE; q++) {
		if (text && *q == '\\')
			q++;
		else if (*q == '"')
			text = !text;
		else if (!text && (*q == '{' || *q == '['))
			depth++;
		else if (!text && (*q == '}' || *q == ']') && !--depth)
			return q;
	}
	return p;
}

static void
new_line(unsigned depth)
{
	(void)printf("\n%*s", (int)depth * 2, "");
}

/* One character outside of texts. */
static void
show_structure(const char *p, unsigned *depth, const char *inline_to)
{
	switch (*p) {
	case '{':
	case '[':
		(void)putchar(*p);
		++*depth;
		if (p[1] != '}' && p[1] != ']' && p >= inline_to)
			new_line(*depth);
		break;
	case '}':
	case ']':
		--*depth;
		if (p[-1] != '{' && p[-1] != '[' && p > inline_to)
			new_line(*depth);
		(void)putchar(*p);
		break;
	case ',':
		(void)putchar(',');
		if (p < inline_to)
			(void)putchar(' ');
		else
			new_line(*depth);
		break;
	case ':':
		(void)fputs(": ", stdout);
		break;
	default:
		(void)putchar(*p);
	}
}

/* JSON with line breaks; the bytes of its texts and numbers are not touched. */
static void
show_value(const char *json)
{
	const char *inline_to = json;
	unsigned depth = 1;
	bool text = false;

	(void)fputs("  ", stdout);
	for (const char *p = json; *p; p++) {
		if (text || *p == '"') {
			(void)putchar(*p);
			if (text && *p == '\\')
				(void)putchar(*++p);
			else if (*p == '"')
				text = !text;
			continue;
		}
		if (p >= inline_to && (*p == '[' || *p == '{'))
			inline_to = short_end(p);
		show_structure(p, &depth, inline_to);
	}
	(void)putchar('\n');
}

/* ---- the command ---- */

static void
show_one(const struct one *o, bool first)
{
	char type[PLACE_NAME];

	stoai_type_text(o->type, type, sizeof type);
	if (!out_is_json()) {
		(void)printf("%s%s: %s\n", first ? "" : "\n", o->name, type);
		show_value(o->text);
		return;
	}
	(void)fputs(first ? "\n    {\"name\": " : ",\n    {\"name\": ", stdout);
	(void)stoai_json_text(stdout, o->name, strlen(o->name));
	(void)fputs(", \"type\": ", stdout);
	(void)stoai_json_text(stdout, o->type->name, strlen(o->type->name));
	(void)printf(", \"kind\": \"%s\", \"size\": %u, \"count\": %llu, "
		     "\"value\": %s}",
		o->unique ? "unique" : "named", (unsigned)o->type->size,
		(unsigned long long)o->count, o->text);
}

/* The objects whose names were read, or the one that was asked for. */
static int
dump_all(const struct call *c, struct view *v, const struct places *places)
{
	const char *wanted = c->count > 1 ? c->args[1] : NULL;
	size_t count = wanted ? 1 : places->count;
	bool first = true;
	int status = 0;

	if (out_is_json()) {
		(void)fputs("{\n  \"segment\": ", stdout);
		(void)stoai_json_text(stdout, c->args[0], strlen(c->args[0]));
		(void)fputs(",\n  \"objects\": [", stdout);
	}
	for (size_t i = 0; i < count; i++) {
		struct one o = {.name = wanted ? wanted : places->list[i].name,
			.key = wanted ? NULL : places->list[i].key};
		int rc = view_read(v, read_one, &o);

		if (rc)
			status |= view_error(o.name, rc);
		else if (!o.type && wanted)
			status |= out_error(STATUS_OPERATION,
				"%s: there is no object '%s': stoa dump "
				"--list shows what is there",
				c->args[0], wanted);
		else if (o.type) /* else destroyed meanwhile */
			show_one(&o, first);
		first = first && (rc || !o.type);
		free(o.text);
		free(o.before);
	}
	if (out_is_json())
		(void)printf(
			"\n  ],\n  \"picture\": \"%s\"\n}\n", view_picture(v));
	return status;
}

static void
list_all(const struct call *c, const struct places *places)
{
	json_t *document = json_object(), *rows;

	out_set_text(document, "segment", c->args[0]);
	rows = out_set_array(document, "objects");
	for (size_t i = 0; i < places->count; i++) {
		const struct place *o = &places->list[i];
		json_t *row = out_add(rows);

		out_set_text(row, "name", o->name);
		out_set_text(row, "type", o->type->name);
		out_set_number(row, "size", o->type->size);
		out_set_number(row, "count", o->count);
		out_set_text(row, "kind", o->kind);
		out_set_number(row, "offset", o->off);
	}
	out_table(rows, columns, STOAI_COUNT(columns), NULL);
	out_document(document);
}

static int
run(struct call *c)
{
	struct places places = {0};
	struct view v;
	int status = STATUS_OK, rc = view_open(c, c->args[0], &v);

	if (rc)
		return view_error(c->args[0], rc);
	rc = place_read_all(&v, &places);
	if (rc)
		status = view_error(c->args[0], rc);
	else if (command_given(c, 'l'))
		list_all(c, &places);
	else
		status = dump_all(c, &v, &places);
	place_free(&places);
	view_close(&v);
	return status;
}

const struct command cmd_dump = {.name = "dump",
	.args = "NAME [OBJECT]",
	.summary = "Print objects, of any described type.",
	.about = "What a thread has changed and not committed is not shown. "
		 "References are offsets. Changes nothing.",
	.options = (const struct argp_option[]){VIEW_ATTACH_OPTION,
		{"list", 'l', NULL, 0,
			"Names, types and "
			"sizes only",
			0},
		{0}},
	.args_min = 1,
	.args_max = 2,
	.run = run};
