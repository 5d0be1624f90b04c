/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a worker does. It may be killed at any instruction:
 *	in take     nothing has happened
 *	in count    the chunk bears the name of a dead worker, so it is free again
 *	in finish   all of the chunk's words and its mark "done" are there, or none
 */
#include "wordcount.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 128 * 1024
};

/* What is taken, out of shared memory: counting it needs no lock. */
struct work {
	size_t index;
	uint64_t from;
	size_t size;
	char path[4096];
};

struct word {
	const char *p;
	size_t n;
};

bool
is_word(int ch)
{
	return isalnum(ch) || ch == '_' || ch >= 0x80;
}

/* A chunk that nobody alive works on. */
static const chunk *
pick(const stoa_tx *rd, const job *j, size_t *ret_index)
{
	const size_t n = chunks_count(rd, &j->list);

	for (size_t i = (size_t)j->first; i < n; i++) {
		const chunk *c = chunks_get(rd, &j->list, i);

		if (c && !c->done && !stoa_owner_alive(rd, c->worker)) {
			*ret_index = i;
			return c;
		}
	}
	return NULL;
}

/* 0: took one; -ENODATA: all is done. */
static int
take(stoa_segment *seg, const job *j, struct work *ret)
{
	const chunk *c;

	STOA_TX(tx, seg);
	while (!(c = pick(tx, j, &ret->index))) {
		if (!j->left)
			return stoa_tx_fail(tx, -ENODATA);
		/* Until somebody finishes, or dies, which nobody announces. */
		int rc = stoa_tx_wait(tx, &j->changed, stoa_in_ms(100));
		if (rc && rc != -ETIMEDOUT)
			return rc;
	}
	STOA_SET(tx, c->worker, stoa_owner_self(tx));
	STOA_ADD(tx, c->tries, 1);
	ret->from = c->from;
	ret->size = (size_t)c->size;
	snprintf(ret->path, sizeof ret->path, "%s", stoa_str_get(tx, &c->path));
	return stoa_tx_commit(tx);
}

static int
compare(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int d = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return d ? d : (x->n > y->n) - (x->n < y->n);
}

/* All the counts and the mark are one transaction. The words are sorted. */
static int
finish(stoa_segment *seg, const job *j, const struct work *w,
	const struct word *word, size_t n)
{
	STOA_TX(tx, seg);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1;
			i + run < n && !compare(&word[i], &word[i + run]);)
			run++;
		*counts_ensuren(tx, &j->words, word[i].p, word[i].n) += run;
	}
	chunk *c = chunks_edit(tx, &j->list, w->index);
	if (!c)
		return stoa_tx_fail(tx, -ENOENT);
	c->done = true;
	STOA_ADD(tx, j->left, -1);

	uint64_t first = j->first;
	const chunk *next;
	while ((next = chunks_get(tx, &j->list, (size_t)first)) && next->done)
		first++;
	STOA_SET(tx, j->first, first);
	stoa_tx_broadcast(tx, &j->changed);
	return stoa_tx_commit(tx);
}

static size_t
split(const char *text, size_t size, struct word *word)
{
	size_t n = 0;

	for (size_t i = 0; i < size;) {
		size_t from = i;

		while (i < size && is_word((unsigned char)text[i]))
			i++;
		if (i > from)
			word[n++] = (struct word){text + from, i - from};
		else
			i++;
	}
	return n;
}

/* The long part, without a lock: read, split, sort. */
static int
count(stoa_segment *seg, const job *j, const struct work *w)
{
	char *text = malloc(w->size);
	struct word *word = malloc((w->size / 2 + 1) * sizeof *word);
	FILE *f = fopen(w->path, "rb");
	int rc = -EIO;

	if (text && word && f && !fseek(f, (long)w->from, SEEK_SET) &&
		fread(text, 1, w->size, f) == w->size) {
		size_t n = split(text, w->size, word);

		qsort(word, n, sizeof *word, compare);
		rc = finish(seg, j, w, word, n);
	}
	if (f)
		fclose(f);
	free(word);
	free(text);
	return rc;
}

int
work(stoa_segment *seg, const job *j)
{
	struct work w;
	int rc;

	while (!(rc = take(seg, j, &w)) && !(rc = count(seg, j, &w)))
		;
	return rc == -ENODATA ? 0 : rc;
}

/* Where the chunk that should end at `to` ends: not within a word. */
static uint64_t
word_end(FILE *f, uint64_t to)
{
	int ch;

	if (fseek(f, (long)to, SEEK_SET))
		return to;
	while ((ch = fgetc(f)) != EOF && is_word(ch))
		to++;
	return to;
}

int
add(stoa_segment *seg, const job *j, const char *path)
{
	FILE *f = fopen(path, "rb");
	long end = f && !fseek(f, 0, SEEK_END) ? ftell(f) : -1;
	const uint64_t size = end > 0 ? (uint64_t)end : 0;
	int rc = end < 0 ? -errno : 0;

	for (uint64_t from = 0, to; !rc && from < size; from = to) {
		to = size - from > CHUNK ? word_end(f, from + CHUNK) : size;

		STOA_TX(tx, seg); /* a scope may stand anywhere */
		chunk *c = chunks_add(tx, &j->list);
		c->from = from;
		c->size = to - from;
		stoa_str_set(tx, &c->path, path);
		STOA_ADD(tx, j->left, 1);
		stoa_tx_broadcast(tx, &j->changed);
		rc = stoa_tx_commit(tx);
	}
	if (f)
		fclose(f);
	return rc;
}
