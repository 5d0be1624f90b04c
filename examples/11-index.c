/* SPDX-License-Identifier: BSL-1.0 */
/*
 * An index of one's own: a list that moves nothing and needs no memory beside the
 * entries, for segments with a handful of objects. It changes its state and the
 * entries' words with STOA_SET, so a process killed in it does no harm.
 *	11-index SEGMENT [without]
 */
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

typedef struct few {
	uint64_t first, count;
} few;
STOA_TYPE(few, first, count);

/* The first of an entry's two words leads to the next one. */
static const uint64_t *
next_of(const stoa_tx *rd, uint64_t entry)
{
	return stoa_index_words(rd, (stoa_ref){entry});
}

static stoa_ref
few_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	const few *f = state;
	stoa_ref at = {f->first};

	for (uint64_t left = f->count; at.off && left > 0; left--) {
		size_t n;
		const char *k = stoa_index_key(rd, at, &n);

		if (!k)
			break;
		if (n == size && !memcmp(k, key, n))
			return at;
		at.off = *next_of(rd, at.off);
	}
	return (stoa_ref){0};
}

static void
few_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const uint64_t *next = next_of(tx, entry.off);
	const few *f = state;

	if (!next)
		return;
	STOA_SET(tx, *next, f->first);
	STOA_SET(tx, f->first, entry.off);
	STOA_ADD(tx, f->count, 1);
}

static void
few_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const few *f = state;
	const uint64_t *link = &f->first, *next = next_of(tx, entry.off);

	while (link && *link && *link != entry.off)
		link = next_of(tx, *link);
	if (!link || !next)
		return;
	STOA_SET(tx, *link, *next);
	STOA_ADD(tx, f->count, -1);
}

static bool
few_each(const stoa_tx *rd, const void *state,
	bool (*show)(void *user, stoa_ref entry), void *user)
{
	const few *f = state;
	stoa_ref at = {f->first};

	for (uint64_t left = f->count; at.off && left > 0; left--) {
		const uint64_t *next = next_of(rd, at.off);

		if (!next || !show(user, at))
			return false;
		at.off = *next;
	}
	return true;
}

static const stoa_index_class few_index = {.name = "few",
	.state = &stoa_type_few,
	.find = few_find,
	.insert = few_insert,
	.remove = few_remove,
	.each = few_each};

static int
use(stoa_segment *seg)
{
	STOA_TX(tx, seg);
	*stoa_object_create(tx, "one", uint64_t) = 1;
	*stoa_object_create(tx, "two", uint64_t) = 2;
	*stoa_object_create(tx, "three", uint64_t) = 3;
	stoa_object_destroy(tx, "two");
	for (stoa_object it = stoa_object_begin(tx); stoa_object_next(&it);)
		printf("%s is %d\n", it.name, (int)*(const uint64_t *)it.data);
	return stoa_tx_commit(tx);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = argc < 2;

	if (!rc)
		rc = stoa_segment_open(argv[1], STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.index = argc > 2 ? NULL
							       : &few_index),
			&seg);
	if (!rc)
		rc = use(seg);
	if (rc)
		fprintf(stderr, "11-index: %s\n", stoa_error_text());
	return rc != 0;
}
