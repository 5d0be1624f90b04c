/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The sorted index: one array of offsets, in the order of the names.
 *
 *	state.items -> array without a name: entry, entry, ...
 *	state.count    of them that are used
 *	state.room     of them that there are
 *
 * The least memory of all, 8 bytes an object, and finding is a bisection; but
 * creating moves what is behind. Few words are moved where they are, with undo;
 * many are cheaper copied into a fresh array, which needs none.
 *
 * Invariants, under the lock of the names:
 *  S1 items is an array of `room` elements, or nothing while room is 0
 *  S2 the first `count` are offsets of entries, in strict order of their names
 */
#include <string.h>
#include "base/base.h"
#include "object/classes.h"
#include "object/index.h"

enum {
	ROOM_MIN = 16,
	MOVED_MAX = 128 /* items; above that a fresh array is made */
};

typedef struct item {
	uint64_t entry;
} item;

struct sorted {
	stoa_ref items;
	uint64_t count, room;
};

static const stoa_field item_fields[] = {{"entry", 0, 8, STOA_KIND_U64, NULL}};
static const stoa_type item_type = {"stoa_index_item", sizeof(item), 8,
	STOA_KIND_STRUCT, 0, item_fields, 1, NULL, NULL};
static const stoa_field sorted_fields[] = {
	{"items", 0, 8, STOA_KIND_OWN, &item_type},
	{"count", 8, 8, STOA_KIND_U64, NULL},
	{"room", 16, 8, STOA_KIND_U64, NULL}};
static const stoa_type sorted_type = {"stoa_index_sorted",
	sizeof(struct sorted), 8, STOA_KIND_STRUCT, 0, sorted_fields, 3, NULL,
	NULL};

struct items { /* read once, checked */
	const item *at;
	uint64_t count, room;
};

/* S1. false: damaged. */
static bool
items_read(const stoa_tx *rd, const struct sorted *s, struct items *ret)
{
	uint64_t off = a64_load_relaxed(&s->items.off);

	ret->count = a64_load_relaxed(&s->count);
	ret->room = a64_load_relaxed(&s->room);
	ret->at = NULL;
	if (ret->count <= ret->room &&
		ret->room <= rd->seg->size / sizeof(item) &&
		(off != 0) == (ret->room != 0)) {
		if (off)
			ret->at = stoai_words_at(
				rd, off, ret->room * sizeof(item));
		if (ret->at || !off)
			return true;
	}
	(void)stoai_tx_damaged(rd,
		"object S1: the sorted index has %llu of %llu items at %#llx",
		(unsigned long long)ret->count, (unsigned long long)ret->room,
		(unsigned long long)off);
	return false;
}

/* *ret: where the key is, or would be. true: it is there. */
static bool
items_seek(const stoa_tx *rd, const struct items *i, const char *key,
	size_t size, uint64_t *ret)
{
	uint64_t from = 0, to = i->count;

	while (from < to) {
		uint64_t mid = from + (to - from) / 2;
		const struct stoai_entry *e =
			stoai_entry_at(rd, a64_load_relaxed(&i->at[mid].entry));
		int order;

		if (!e) {
			if (!stoa_tx_error(rd))
				(void)stoai_tx_damaged(
					rd, "object S2: an item is null");
			return false;
		}
		order = stoai_entry_compare(e, key, size);
		if (!order) {
			*ret = mid;
			return true;
		}
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	*ret = from;
	return false;
}

static stoa_ref
sorted_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	stoa_ref ret = {0};
	struct items i;
	uint64_t at;

	if (items_read(rd, state, &i) && items_seek(rd, &i, key, size, &at))
		ret.off = a64_load_relaxed(&i.at[at].entry);
	return ret;
}

static bool
sorted_each(const stoa_tx *rd, const void *state,
	bool (*f)(void *user, stoa_ref entry), void *user)
{
	struct items i;

	if (!items_read(rd, state, &i))
		return false;
	for (uint64_t n = 0; n < i.count; n++)
		if (!f(user, (stoa_ref){a64_load_relaxed(&i.at[n].entry)}))
			return false;
	return true;
}

/*
 * A fresh array of `room` in the place of the old one, with a gap of `gap` items
 * at `at`, or without -gap of them.
 */
static bool
items_renew(stoa_tx *tx, const struct sorted *s, const struct items *i,
	uint64_t room, uint64_t at, int gap)
{
	struct stoai_entry *array = NULL;
	const struct stoai_entry *old = NULL;
	uint64_t skip = gap < 0 ? (uint64_t)-gap : 0;
	uint64_t put = at + (gap > 0 ? (uint64_t)gap : 0);
	item *to = NULL;

	if (i->at)
		old = stoai_array_of(tx, &item_type, stoai_off(tx->seg, i->at));
	if (i->at && !old) {
		(void)stoai_tx_damaged(tx, "object S1: the items of the sorted "
					   "index are no array");
		return false;
	}
	if (room) {
		array = stoai_entry_new(tx, NULL, 0, &item_type, room);
		if (!array)
			return false;
		to = (item *)(void *)stoai_entry_elements(array);
	}
	if (to && i->at) {
		memcpy(to, i->at, at * sizeof *to);
		memcpy(to + put, i->at + at + skip,
			(i->count - at - skip) * sizeof *to);
	}
	return (!old || stoai_tx_free(tx, stoai_off(tx->seg, old))) &&
	       stoai_set_word(
		       tx, &s->items.off, to ? stoai_off(tx->seg, to) : 0) &&
	       stoai_set_word(tx, &s->room, room);
}

static void
sorted_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const struct stoai_entry *e = stoai_entry_at(tx, entry.off);
	const struct sorted *s = state;
	struct items i;
	uint64_t at = 0, room, behind;
	item *to;

	if (!e || !items_read(tx, s, &i) ||
		items_seek(tx, &i, e->name, e->name_size, &at) ||
		stoa_tx_error(tx))
		return;
	behind = i.count - at;
	room = i.count < i.room ? i.room
	       : i.room         ? i.room * 2
				: (uint64_t)ROOM_MIN;
	if (room != i.room || behind > MOVED_MAX) {
		if (!items_renew(tx, s, &i, room, at, 1) ||
			!items_read(tx, s, &i))
			return;
	} else if (stoai_tx_save(tx, i.at + at, (behind + 1) * sizeof *i.at)) {
		to = (item *)(uintptr_t)(i.at + at);
		memmove(to + 1, to, behind * sizeof *to);
	} else {
		return;
	}
	(void)(stoai_set_word(tx, &i.at[at].entry, entry.off) &&
		stoai_set_word(tx, &s->count, i.count + 1));
}

static void
sorted_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const struct stoai_entry *e = stoai_entry_at(tx, entry.off);
	const struct sorted *s = state;
	struct items i;
	uint64_t at, behind;
	item *to;

	if (!e || !items_read(tx, s, &i))
		return;
	if (!items_seek(tx, &i, e->name, e->name_size, &at) ||
		i.at[at].entry != entry.off) {
		if (!stoa_tx_error(tx))
			(void)stoai_tx_damaged(tx,
				"object S2: what is to be removed is not in "
				"the sorted index");
		return;
	}
	behind = i.count - at - 1;
	if (behind > MOVED_MAX) {
		if (!items_renew(tx, s, &i, i.room, at, -1))
			return;
	} else if (stoai_tx_save(tx, i.at + at, (behind + 1) * sizeof *i.at)) {
		to = (item *)(uintptr_t)(i.at + at);
		memmove(to, to + 1, behind * sizeof *to);
	} else {
		return;
	}
	(void)stoai_set_word(tx, &s->count, i.count - 1);
}

static void
sorted_reserve(stoa_tx *tx, const void *state, uint64_t count)
{
	struct items i;

	if (items_read(tx, state, &i) && i.room < count)
		(void)items_renew(tx, state, &i, count, i.count, 0);
}

static void
sorted_shrink(stoa_tx *tx, const void *state)
{
	struct items i;

	if (items_read(tx, state, &i) && i.room > i.count)
		(void)items_renew(tx, state, &i, i.count, i.count, 0);
}

/* S1: that they are a block of their own is what only a check asks. */
static int
sorted_check(const stoa_tx *rd, const void *state)
{
	const struct stoai_entry *array;
	uint64_t count = 0;
	struct items i;

	if (!items_read(rd, state, &i))
		return stoa_tx_error(rd);
	if (!i.room)
		return 0;
	array = stoai_array_of(rd, &item_type, stoai_off(rd->seg, i.at));
	return array && stoai_entry_data(rd, array, &item_type, &count) &&
			       count == i.room
		       ? 0
		       : stoai_tx_damaged(rd,
				 "object S1: the items of the sorted index are "
				 "no array of %llu",
				 (unsigned long long)i.room);
}

const stoa_index_class stoa_index_sorted = {.name = "sorted",
	.state = &sorted_type,
	.find = sorted_find,
	.insert = sorted_insert,
	.remove = sorted_remove,
	.each = sorted_each,
	.reserve = sorted_reserve,
	.shrink = sorted_shrink,
	.check = sorted_check};
