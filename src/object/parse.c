/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does a program learn a type that it was not compiled with? From the
 * canonical text (text.c) that the segment holds.
 *
 * The text may be anything: bounds are checked here, sense is not. When the types
 * that it names are linked to it, the description goes through the same checks as
 * a program's own (type.c), its canonical text is made again and must be this
 * text, and its id must be that id (store.c). So nothing is believed.
 */
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "object/object.h"
#include "object/parse.h"

struct cursor {
	char *at, *end;
	bool failed;
};

/* The next word of the line; stays at the line's end. */
static char *
next_word(struct cursor *c)
{
	char *word = c->at;

	while (c->at < c->end && *c->at != ' ' && *c->at != '\n')
		c->at++;
	if (c->at == word || c->at == c->end) {
		c->failed = true;
		return word;
	}
	return word;
}

/* Ends the word that was read, by a NUL over the blank or the line's end. */
static bool
end_word(struct cursor *c, char with)
{
	if (c->failed || c->at >= c->end || *c->at != with) {
		c->failed = true;
		return false;
	}
	*c->at++ = '\0';
	return true;
}

static uint32_t
next_number(struct cursor *c)
{
	char *word = next_word(c);
	uint64_t n = 0;

	for (; word < c->at && !c->failed; word++) {
		if (*word < '0' || *word > '9' || n > UINT32_MAX)
			c->failed = true;
		else
			n = n * 10 + (uint64_t)(*word - '0');
	}
	if (n > UINT32_MAX)
		c->failed = true;
	return (uint32_t)n;
}

static bool
at_line_end(const struct cursor *c)
{
	return !c->failed && *c->at == '\n';
}

static void
want_target(struct stoai_parsed *p, struct cursor *c, const stoa_type **where)
{
	(void)next_word(c); /* its name; seen when the text is made again */
	if (p->target_count < STOAI_COUNT(p->target))
		p->target[p->target_count++] = where;
	else
		c->failed = true;
}

static void
parse_field(struct stoai_parsed *p, struct cursor *c, stoa_field *f)
{
	char *word;

	f->name = next_word(c);
	if (!end_word(c, ' '))
		return;
	word = next_word(c);
	f->kind = c->at - word == 2 && !memcmp(word, "in", 2)
			  ? STOA_KIND_STRUCT
			  : stoai_kind_of_word(word, (size_t)(c->at - word));
	if (!end_word(c, ' '))
		return;
	f->offset = next_number(c);
	if (!end_word(c, ' '))
		return;
	f->size = next_number(c);
	if (at_line_end(c)) {
		c->at++;
		return;
	}
	if (end_word(c, ' '))
		want_target(p, c, &f->type);
	(void)end_word(c, '\n');
}

static void
parse_struct(struct stoai_parsed *p, struct cursor *c, size_t lines)
{
	p->type.name = next_word(c);
	if (!end_word(c, ' '))
		return;
	p->type.size = next_number(c);
	if (!end_word(c, ' '))
		return;
	p->type.align = next_number(c);
	if (!end_word(c, '\n'))
		return;
	p->type.fields = lines > 1 ? p->field : NULL;
	p->type.field_count = lines - 1;
	for (size_t i = 0; i + 1 < lines && !c->failed; i++)
		parse_field(p, c, &p->field[i]);
}

static void
parse_container(struct stoai_parsed *p, struct cursor *c)
{
	p->type.name = p->name;
	p->type.size = next_number(c);
	p->type.align = 8;
	if (!end_word(c, ' '))
		return;
	p->type.boxed = next_number(c);
	if (p->type.kind != STOA_KIND_VEC) {
		if (!end_word(c, ' '))
			return;
		want_target(p, c, &p->type.key);
	}
	if (!end_word(c, ' '))
		return;
	if (c->end - c->at == 2 && *c->at == '-')
		(void)next_word(c);
	else
		want_target(p, c, &p->type.val);
	(void)end_word(c, '\n');
}

int
stoai_parse(const char *text, size_t size, struct stoai_parsed **ret)
{
	struct stoai_parsed *p;
	struct cursor c;
	size_t lines = 0;
	char *word;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	if (size > STOAI_PARSE_TEXT || !lines || text[size - 1] != '\n' ||
		lines > STOAI_TYPE_FIELDS + 1 || memchr(text, '\0', size))
		return stoai_error(-EBADMSG, "a stored type is no text");
	p = calloc(1, sizeof *p + (lines - 1) * sizeof p->field[0] + size);
	if (!p)
		return stoai_error(-ENOMEM, "out of memory");
	c.at = (char *)&p->field[lines - 1];
	c.end = c.at + size;
	c.failed = false;
	memcpy(c.at, text, size);
	word = next_word(&c);
	p->type.kind = stoai_kind_of_word(word, (size_t)(c.at - word));
	(void)end_word(&c, ' ');
	if (p->type.kind == STOA_KIND_STRUCT ||
		p->type.kind == STOA_KIND_OPAQUE)
		parse_struct(p, &c, lines);
	else if (stoai_kind_info(p->type.kind)->owns && lines == 1 &&
		 !stoai_kind_info(p->type.kind)->field)
		parse_container(p, &c);
	else
		c.failed = true;
	if (c.failed || c.at != c.end) {
		free(p);
		return stoai_error(-EBADMSG,
			"a stored type cannot be read: %.*s",
			(int)stoai_min(size, 80), text);
	}
	*ret = p;
	return 0;
}

int
stoai_parsed_name(struct stoai_parsed *p)
{
	struct stoai_text t = {0};
	int rc = 0;

	if (p->type.name != p->name)
		return 0;
	if (!stoai_type_display_name(&p->type, &t))
		rc = stoai_error(-EBADMSG, "it nests too deep");
	else if (t.failed)
		rc = stoai_error(-ENOMEM, "out of memory");
	if (!rc) {
		size_t n = t.size < STOAI_TYPE_NAME ? t.size : STOAI_TYPE_NAME;

		memcpy(p->name, t.p, n);
		while (n && !stoai_name_bytes_ok(p->name, n))
			n--; /* not in the middle of a character */
		p->name[n] = '\0';
	}
	stoai_text_fini(&t);
	return rc;
}
