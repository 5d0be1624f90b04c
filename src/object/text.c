/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does a description look as text?
 *
 * Canonical, one line a field, so that equal bytes mean equal layouts:
 *
 *	struct order 72 8            name, size, alignment
 *	id u64 0 8                   field, kind, offset, size (of the whole array)
 *	account char 8 12
 *	fills in 24 24 vec(level):24 a described type inside, by name and size
 *	next own 48 8 order:72       a reference, by name and size of its target
 *
 *	opaque NAME SIZE ALIGN       vec SIZE BOXED VAL       hashmap SIZE BOXED KEY VAL|-
 *
 * The text of one type never depends on another's text, so types may refer to
 * themselves and to each other; what a name stands for is said by the ids beside
 * the text (format.h), and closure.c makes the one id of it all.
 *
 * For people: "quote (16 bytes: bid, ask)".
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "object/builtin.h"
#include "object/closure.h"
#include "object/object.h"

enum {
	DISPLAY_DEPTH = 8
}; /* containers in containers, without a struct */

void
stoai_text_add(struct stoai_text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->failed)
		return;
	for (int again = 0; again < 2; again++) {
		size_t left = t->room - t->size;

		va_start(ap, format);
		n = vsnprintf(t->p ? t->p + t->size : NULL, left, format, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < left) {
			t->size += (size_t)n;
			return;
		}
		if (n < 0)
			break;
		t->room = t->size + (size_t)n + 1 + t->room / 2 + 64;

		char *p = realloc(t->p, t->room);

		if (!p)
			break;
		t->p = p;
	}
	t->failed = true;
}

void
stoai_text_fini(struct stoai_text *t)
{
	free(t->p);
	memset(t, 0, sizeof *t);
}

/* ---- names ---- */

size_t
stoai_utf8_length(const unsigned char *p, size_t size)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = p[0];
	size_t n = c < 0x80             ? 1
		   : (c & 0xe0) == 0xc0 ? 2
		   : (c & 0xf0) == 0xe0 ? 3
		   : (c & 0xf8) == 0xf0 ? 4
					: 0;

	if (n <= 1)
		return n;
	if (n > size)
		return 0;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

bool
stoai_name_bytes_ok(const char *name, size_t size)
{
	const unsigned char *p = (const unsigned char *)name;

	for (size_t i = 0; i < size;) {
		size_t n = stoai_utf8_length(p + i, size - i);

		if (!n || p[i] < 0x20 || p[i] == 0x7f)
			return false;
		i += n;
	}
	return size > 0;
}

bool
stoai_type_name_ok(const char *name)
{
	size_t size = name ? strnlen(name, STOAI_TYPE_NAME + 1) : 0;

	return size > 0 && size <= STOAI_TYPE_NAME &&
	       stoai_name_bytes_ok(name, size) && !memchr(name, ' ', size);
}

static bool
display_name(const stoa_type *type, struct stoai_text *t, int depth)
{
	const struct stoai_kind_info *k = stoai_kind_info(type->kind);
	const char *box = type->boxed ? "boxed:" : "";

	if (k->name || !k->owns) {
		stoai_text_add(t, "%s", k->name ? k->name : type->name);
		return true;
	}
	if (!depth)
		return false;
	stoai_text_add(t, "%s(", k->word);
	if (type->key && !display_name(type->key, t, depth - 1))
		return false;
	if (type->val) {
		stoai_text_add(t, "%s%s", type->key ? "," : "", box);
		if (!display_name(type->val, t, depth - 1))
			return false;
	}
	stoai_text_add(t, ")");
	return true;
}

bool
stoai_type_display_name(const stoa_type *type, struct stoai_text *t)
{
	return display_name(type, t, DISPLAY_DEPTH);
}

/* ---- canonical ---- */

static bool
canonical_target(const stoa_type *target, struct stoai_text *t)
{
	bool ok;

	stoai_text_add(t, " ");
	ok = stoai_type_display_name(target, t);
	stoai_text_add(t, ":%u", target->size);
	return ok;
}

static bool
canonical_field(const stoa_field *f, struct stoai_text *t)
{
	bool named = stoai_field_names_type(f);
	bool inside = named && f->kind == STOA_KIND_STRUCT;
	stoa_kind kind = stoai_field_kind(f);

	stoai_text_add(t, "%s %s %u %u", f->name,
		inside ? "in" : stoai_kind_info(kind)->word, f->offset,
		f->size);
	if (named && !canonical_target(f->type, t))
		return false;
	stoai_text_add(t, "\n");
	return true;
}

bool
stoai_type_canonical(const stoa_type *type, struct stoai_text *t)
{
	const char *word = stoai_kind_info(type->kind)->word;
	bool ok = true;

	if (type->kind == STOA_KIND_STRUCT || type->kind == STOA_KIND_OPAQUE) {
		stoai_text_add(t, "%s %s %u %u\n", word, type->name, type->size,
			type->align);
		for (size_t i = 0; i < type->field_count && ok; i++)
			ok = canonical_field(&type->fields[i], t);
		return ok;
	}
	stoai_text_add(t, "%s %u %u", word, type->size, type->boxed);
	if (type->key)
		ok = canonical_target(type->key, t);
	if (ok && type->val)
		ok = canonical_target(type->val, t);
	else if (ok && type->kind != STOA_KIND_VEC)
		stoai_text_add(t, " -");
	stoai_text_add(t, "\n");
	return ok;
}

/* ---- for people ---- */

static void
people_text(const stoa_type *type, struct stoai_text *t)
{
	if (type->kind == STOA_KIND_STRUCT || type->kind == STOA_KIND_OPAQUE) {
		stoai_text_add(t, "%s (%u bytes", type->name, type->size);
		for (size_t i = 0; i < type->field_count; i++)
			stoai_text_add(t, "%s%s", i ? ", " : ": ",
				type->fields[i].name);
		stoai_text_add(t, type->field_count ? ")" : ", opaque)");
		return;
	}
	if (stoai_is_builtin(type)) {
		stoai_text_add(t, "%s", stoai_kind_info(type->kind)->name);
		return;
	}
	stoai_text_add(t, "%s of ", stoai_kind_info(type->kind)->word);
	if (type->key)
		(void)stoai_type_display_name(type->key, t);
	if (type->key && type->val)
		stoai_text_add(t, " to ");
	if (type->val && type->boxed)
		stoai_text_add(t, "boxed ");
	if (type->val && stoai_kind_info(type->val->kind)->owns)
		(void)stoai_type_display_name(type->val, t);
	else if (type->val)
		people_text(type->val, t); /* a word or a struct: no deeper */
}

/* Into buf, with "..." where it does not fit. */
static void
text_into(struct stoai_text *t, char *buf, size_t size)
{
	const char *from = t->p && !t->failed ? t->p : "(out of memory)";
	int n = snprintf(buf, size, "%s", from);

	if (n >= 0 && (size_t)n >= size && size > 4)
		memcpy(buf + size - 4, "...", 4);
	stoai_text_fini(t);
}

void
stoai_type_text(const stoa_type *type, char *buf, size_t size)
{
	struct stoai_text t = {0};

	people_text(type, &t);
	text_into(&t, buf, size);
}

/* Two structs of one name: the first field that is not the same. */
static void
field_difference(
	const stoa_type *there, const stoa_type *here, struct stoai_text *t)
{
	struct stoai_text a = {0}, b = {0};

	for (size_t i = 0; i < there->field_count || i < here->field_count;
		i++) {
		a.size = b.size = 0;
		stoai_text_add(&a, i < there->field_count ? "" : "nothing ");
		stoai_text_add(&b, i < here->field_count ? "" : "nothing ");
		if (i < there->field_count)
			(void)canonical_field(&there->fields[i], &a);
		if (i < here->field_count)
			(void)canonical_field(&here->fields[i], &b);
		if (a.failed || b.failed)
			break;
		if (strcmp(a.p, b.p) != 0) {
			stoai_text_add(t, "%s has '%.*s' there, '%.*s' here",
				there->name, (int)a.size - 1, a.p,
				(int)b.size - 1, b.p);
			break;
		}
	}
	stoai_text_fini(&a);
	stoai_text_fini(&b);
}

static void
member_difference(
	const stoa_type *there, const stoa_type *here, struct stoai_text *t)
{
	if (there->kind == here->kind && there->kind == STOA_KIND_STRUCT &&
		!strcmp(there->name, here->name) && there->size == here->size &&
		there->align == here->align) {
		field_difference(there, here, t);
		return;
	}
	people_text(there, t);
	stoai_text_add(t, " there, ");
	people_text(here, t);
	stoai_text_add(t, " here");
}

void
stoai_type_difference(
	const stoa_type *there, const stoa_type *here, char *buf, size_t size)
{
	struct stoai_closure a, b;
	struct stoai_text t = {0};

	buf[0] = '\0';
	if (!stoai_closure_init(&a, there) && !stoai_closure_init(&b, here)) {
		for (uint32_t i = 0; i < a.count && i < b.count; i++)
			if (strcmp(a.member[i].text, b.member[i].text) != 0) {
				member_difference(
					a.member[i].type, b.member[i].type, &t);
				text_into(&t, buf, size);
				break;
			}
		stoai_closure_fini(&b);
	}
	stoai_closure_fini(&a);
}
