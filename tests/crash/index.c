/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: creating and destroying with every kind of index
 * but the hash, which is in object.c. One of them is a program's own.
 */
#include <stdio.h>
#include "data.h"

/* ---- an index of a program's own: a list ---- */

typedef struct chain {
	uint64_t first, count;
} chain;
STOA_TYPE(chain, first, count);

static stoa_ref
chain_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	const chain *c = state;
	stoa_ref at = {c->first};

	for (uint64_t left = c->count; at.off && left; left--) {
		const uint64_t *next = stoa_index_words(rd, at);
		size_t n;
		const char *k = stoa_index_key(rd, at, &n);

		if (k && n == size && !memcmp(k, key, size))
			return at;
		at.off = k ? *next : 0;
	}
	return (stoa_ref){0};
}

static void
chain_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const uint64_t *next = stoa_index_words(tx, entry);
	const chain *c = state;

	if (next && STOA_SET(tx, *next, c->first) &&
		STOA_SET(tx, c->first, entry.off))
		STOA_ADD(tx, c->count, 1);
}

static void
chain_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const chain *c = state;
	const uint64_t *link = &c->first;

	while (link && *link != entry.off)
		link = stoa_index_words(tx, (stoa_ref){*link});
	if (link && STOA_SET(tx, *link, *stoa_index_words(tx, entry)))
		STOA_ADD(tx, c->count, -1);
}

static bool
chain_each(const stoa_tx *rd, const void *state,
	bool (*f)(void *user, stoa_ref entry), void *user)
{
	stoa_ref at = {((const chain *)state)->first};

	while (at.off) {
		const uint64_t *next = stoa_index_words(rd, at);
		stoa_ref after = {next ? *next : 0};

		if (!next || !f(user, at))
			return false;
		at = after;
	}
	return true;
}

static const stoa_index_class chain_index = {.name = "chain",
	.state = &stoa_type_chain,
	.find = chain_find,
	.insert = chain_insert,
	.remove = chain_remove,
	.each = chain_each};

/* ---- what is done ---- */

enum {
	BEFORE = 16, /* a sorted array is full with "data" and the first 15 */
	FULL = 15
};

static void
some(stoa_tx *tx, unsigned count)
{
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%02u", i * 7 % BEFORE);
		(void)stoa_object_create(tx, name, pair);
	}
}

static void
few(stoa_tx *tx, const data *d)
{
	(void)d;
	some(tx, 9);
}

static void
full(stoa_tx *tx, const data *d)
{
	(void)d;
	some(tx, FULL);
}

/* Before and behind what is there. */
static void
create(stoa_tx *tx, const data *d)
{
	stoa_object_create(tx, "01a", pair)->a = 1;
	stoa_object_create(tx, "zz", pair)->a = 2;
	STOA_ADD(tx, d->word[0], 1);
}

/* As a tree, at every height: what is below is cut in two. */
static void
create_some(stoa_tx *tx, const data *d)
{
	static const char *const fresh[] = {"00a", "03a", "05a", "06a", "10a"};

	for (size_t i = 0; i < COUNT(fresh); i++)
		stoa_object_create(tx, fresh[i], pair)->a = i;
	STOA_ADD(tx, d->word[0], 1);
}

static void
destroy(stoa_tx *tx, const data *d)
{
	(void)stoa_object_destroy(tx, "07");
	(void)stoa_object_destroy(tx, "00");
	STOA_ADD(tx, d->word[0], 1);
}

static void
reserve(stoa_tx *tx, const data *d)
{
	(void)stoa_object_reserve(tx, 40);
	STOA_ADD(tx, d->word[0], 1);
}

static void
shrink(stoa_tx *tx, const data *d)
{
	(void)stoa_object_shrink(tx);
	STOA_ADD(tx, d->word[0], 1);
}

/* A case in a segment whose names stand in an index of that class. */
#define INDEX(class, title, calls, fill_, body_) \
 { \
  .explore = {SCOPE(title, fill_, body_), \
	  .options = STOA_SEGMENT_OPTIONS(.index = &(class))}, \
  COVERS(calls) \
 }

static const struct crash_case cases[] = {
	INDEX(stoa_index_ordered, "ordered, create", "stoa_object_create", few,
		create_some),
	INDEX(stoa_index_ordered, "ordered, destroy", "stoa_object_destroy",
		few, destroy),
	INDEX(stoa_index_sorted, "sorted, create", "stoa_object_create", few,
		create),
	INDEX(stoa_index_sorted, "sorted, create, grows", "stoa_object_create",
		full, create),
	INDEX(stoa_index_sorted, "sorted, destroy", "stoa_object_destroy", few,
		destroy),
	INDEX(stoa_index_sorted, "sorted, reserve", "stoa_object_reserve", few,
		reserve),
	INDEX(stoa_index_sorted, "sorted, shrink", "stoa_object_shrink", few,
		shrink),
	INDEX(chain_index, "own, create", "stoa_object_create", few, create),
	INDEX(chain_index, "own, destroy", "stoa_object_destroy", few, destroy),
};

int
main(int argc, char **argv)
{
	return crash_main("index", cases, COUNT(cases), argc, argv);
}
