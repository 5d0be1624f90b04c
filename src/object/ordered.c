/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The ordered index: a treap in the entries' own two words.
 *
 *	state.root -> entry --word 0--> entries with lesser names
 *	                    --word 1--> entries with greater names
 *
 * A node stands above another when its priority is higher. The priority is a mix
 * of the entry's offset and the segment's seed, so it is stored nowhere, and the
 * tree is as deep as a random one whatever the names are. No step grows with the
 * number of objects: nothing is ever moved as a whole.
 *
 * Inserting walks down to where the new node's priority belongs, then cuts what
 * is below in two: lesser to its left, greater to its right. Removing is the
 * reverse. Every word is changed with undo, so a death in the middle of a cut
 * leaves the tree as it was.
 *
 * Progress: each walk is bounded by the number of objects.
 */
#include <string.h>
#include "base/base.h"
#include "object/classes.h"
#include "object/index.h"

struct ordered {
	uint64_t root;
};

static const stoa_field ordered_fields[] = {
	{"root", 0, 8, STOA_KIND_U64, NULL}};
static const stoa_type ordered_type = {"stoa_index_ordered",
	sizeof(struct ordered), 8, STOA_KIND_STRUCT, 0, ordered_fields, 1, NULL,
	NULL};

enum {
	LESSER,
	GREATER
};

static const uint64_t *
branch(const struct stoai_entry *e, int side)
{
	return side == LESSER ? &e->next : &e->hash;
}

static uint64_t
priority(const stoa_tx *rd, uint64_t off)
{
	uint64_t x = off ^ rd->seg->seed;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* No walk is longer than there are objects. */
struct descent {
	const stoa_tx *rd;
	uint64_t left;
};

static struct descent
descend(const stoa_tx *rd)
{
	const struct stoai_root *root = stoai_root(rd);
	struct descent w = {rd, 0};

	if (root && !stoai_object_count(rd, root, &w.left))
		w.left = 0;
	return w;
}

/* NULL: nothing hangs there, or rd has failed. */
static const struct stoai_entry *
descend_to(struct descent *w, uint64_t off)
{
	if (!off)
		return NULL;
	if (w->left--)
		return stoai_entry_at(w->rd, off);
	w->left = 0;
	if (!stoa_tx_error(w->rd))
		(void)stoai_tx_damaged(w->rd,
			"object I2: the ordered index goes round in a circle");
	return NULL;
}

static stoa_ref
ordered_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	const struct ordered *o = state;
	struct descent w = descend(rd);
	uint64_t off = a64_load_relaxed(&o->root);
	const struct stoai_entry *e;
	const stoa_ref null = {0};

	while ((e = descend_to(&w, off)) != NULL) {
		int order = stoai_entry_compare(e, key, size);

		if (!order)
			return (stoa_ref){off};
		off = a64_load_relaxed(branch(e, order < 0 ? GREATER : LESSER));
	}
	return null;
}

/* The first entry whose name is greater; "" is less than any. */
static stoa_ref
ordered_after(const stoa_tx *rd, const struct ordered *o, const char *key,
	size_t size)
{
	struct descent w = descend(rd);
	uint64_t off = a64_load_relaxed(&o->root);
	const struct stoai_entry *e;
	stoa_ref best = {0};

	while ((e = descend_to(&w, off)) != NULL) {
		bool greater = stoai_entry_compare(e, key, size) > 0;

		if (greater)
			best.off = off;
		off = a64_load_relaxed(branch(e, greater ? LESSER : GREATER));
	}
	return best;
}

static bool
ordered_each(const stoa_tx *rd, const void *state,
	bool (*f)(void *user, stoa_ref entry), void *user)
{
	stoa_ref at = ordered_after(rd, state, "", 0);

	while (at.off && !stoa_tx_error(rd)) {
		const struct stoai_entry *e = stoai_entry_at(rd, at.off);

		if (!e || !f(user, at))
			return false;
		at = ordered_after(rd, state, e->name,
			stoai_min(a32_load_relaxed(&e->name_size),
				STOAI_NAME_MAX));
	}
	return !stoa_tx_error(rd);
}

/* What hangs at `off`, cut at the key: lesser names to one link, others to the other. */
static void
cut(stoa_tx *tx, struct descent *w, uint64_t off,
	const struct stoai_entry *fresh)
{
	const uint64_t *lesser = branch(fresh, LESSER);
	const uint64_t *greater = branch(fresh, GREATER);
	const struct stoai_entry *e;

	while ((e = descend_to(w, off)) != NULL) {
		int side = stoai_entry_compare(
				   e, fresh->name, fresh->name_size) < 0
				   ? GREATER
				   : LESSER;
		const uint64_t **link = side == GREATER ? &lesser : &greater;

		if (!stoai_set_word(tx, *link, off))
			return;
		*link = branch(e, side);
		off = **link;
	}
	(void)(stoai_set_word(tx, lesser, 0) && stoai_set_word(tx, greater, 0));
}

static void
ordered_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const struct ordered *o = state;
	const struct stoai_entry *fresh = stoai_entry_at(tx, entry.off), *e;
	const uint64_t *link = &o->root;
	uint64_t rank = priority(tx, entry.off), off;
	struct descent w = descend(tx);

	while (fresh && (e = descend_to(&w, off = *link)) != NULL) {
		if (priority(tx, off) < rank) {
			w.left++; /* it is met once more */
			break;
		}
		link = branch(e, stoai_entry_compare(
					 e, fresh->name, fresh->name_size) < 0
					 ? GREATER
					 : LESSER);
	}
	if (!fresh || stoa_tx_error(tx))
		return;
	cut(tx, &w, *link, fresh);
	(void)stoai_set_word(tx, link, entry.off);
}

/* Two trees, all names of one less than all of the other, as one at *link. */
static void
join(stoa_tx *tx, struct descent *w, const uint64_t *link, uint64_t lesser,
	uint64_t greater)
{
	while (lesser && greater) {
		bool first = priority(tx, lesser) > priority(tx, greater);
		uint64_t *top = first ? &lesser : &greater;
		const struct stoai_entry *e = descend_to(w, *top);

		if (!e || !stoai_set_word(tx, link, *top))
			return;
		link = branch(e, first ? GREATER : LESSER);
		*top = *link;
	}
	(void)stoai_set_word(tx, link, lesser ? lesser : greater);
}

static void
ordered_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const struct ordered *o = state;
	const struct stoai_entry *gone = stoai_entry_at(tx, entry.off), *e;
	const uint64_t *link = &o->root;
	struct descent w = descend(tx);

	while (gone && *link != entry.off &&
		(e = descend_to(&w, *link)) != NULL)
		link = branch(e,
			stoai_entry_compare(e, gone->name, gone->name_size) < 0
				? GREATER
				: LESSER);
	if (!gone || stoa_tx_error(tx))
		return;
	if (*link == entry.off)
		join(tx, &w, link, *branch(gone, LESSER),
			*branch(gone, GREATER));
	else
		(void)stoai_tx_damaged(tx,
			"object I2: what is to be removed is not in the "
			"ordered index");
}

const stoa_index_class stoa_index_ordered = {.name = "ordered",
	.state = &ordered_type,
	.find = ordered_find,
	.insert = ordered_insert,
	.remove = ordered_remove,
	.each = ordered_each};
