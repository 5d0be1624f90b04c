/* SPDX-License-Identifier: BSL-1.0 */
#include "plain.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the word is, or belongs: open addressing, linear, never full. */
static struct plain_word *
find(struct plain_word *place, size_t places, const char *text, size_t size)
{
	uint64_t h = UINT64_C(14695981039346656037);
	size_t i;

	for (i = 0; i < size; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	for (i = (size_t)(h ^ h >> 32);; i++) {
		struct plain_word *w = &place[i & (places - 1)];

		if (!w->text ||
			(w->size == size && !memcmp(w->text, text, size)))
			return w;
	}
}

static int
grow(struct plain *p)
{
	size_t places = p->places ? p->places * 2 : 1024;
	struct plain_word *to = calloc(places, sizeof *to);

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < p->places; i++)
		if (p->place[i].text)
			*find(to, places, p->place[i].text, p->place[i].size) =
				p->place[i];
	free(p->place);
	p->place = to;
	p->places = places;
	return 0;
}

static int
end_word(struct plain *p)
{
	struct plain_word *w;

	if (!p->used)
		return 0;
	if (p->words * 2 >= p->places && grow(p))
		return -ENOMEM;
	w = find(p->place, p->places, p->buf, p->used);
	if (!w->text) {
		w->text = malloc(p->used);
		if (!w->text)
			return -ENOMEM;
		memcpy(w->text, p->buf, p->used);
		w->size = p->used;
		p->words++;
	}
	w->count++;
	p->total++;
	p->used = 0;
	return 0;
}

static int
put_byte(struct plain *p, int ch)
{
	char *more;

	if (p->used == p->room) {
		more = realloc(p->buf, p->room * 2 + 64);
		if (!more)
			return -ENOMEM;
		p->buf = more;
		p->room = p->room * 2 + 64;
	}
	p->buf[p->used++] = (char)ch;
	return 0;
}

int
plain_count(struct plain *p, const char *path)
{
	FILE *f = fopen(path, "rb");
	int ch, rc = f ? 0 : -errno;

	while (f && !rc && (ch = getc_unlocked(f)) != EOF) {
		if ((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
			(ch >= 'a' && ch <= 'z') || ch == '_' || ch > 127)
			rc = put_byte(p, ch);
		else
			rc = end_word(p);
	}
	if (!rc)
		rc = end_word(p);
	if (f)
		fclose(f);
	return rc;
}

uint64_t
plain_get(const struct plain *p, const char *text, size_t size)
{
	return p->places ? find(p->place, p->places, text, size)->count : 0;
}

void
plain_free(struct plain *p)
{
	for (size_t i = 0; i < p->places; i++)
		free(p->place[i].text);
	free(p->place);
	free(p->buf);
	memset(p, 0, sizeof *p);
}
