/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The same count by one process in ordinary memory, to compare with. It shares
 * no code with the other: it reads whole files byte by byte, and keeps an
 * ordinary hash table.
 */
#ifndef WORDCOUNT_PLAIN_H
#define WORDCOUNT_PLAIN_H
#include <stddef.h>
#include <stdint.h>

struct plain_word {
	char *text; /* NULL: a free place */
	size_t size;
	uint64_t count;
};

struct plain {
	struct plain_word *place;
	size_t places; /* a power of two */
	size_t words;  /* different ones */
	uint64_t total;
	char *buf; /* the word being read */
	size_t used, room;
};

/* 0 or a negative errno. */
int plain_count(struct plain *p, const char *path);
/* 0: there is no such word. */
uint64_t plain_get(const struct plain *p, const char *text, size_t size);
void plain_free(struct plain *p);

#endif
