/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Hash maps: exact bytes, every kind of key and value, boxed values, iteration,
 * undo, wrong types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "container/container.h"
#include "stoa/stoa.h"

typedef struct place {
	uint8_t x;
	uint32_t y; /* three bytes of padding before it */
	uint16_t z; /* and two behind */
} place;
STOA_TYPE(place, x, y, z);
typedef struct tight {
	uint32_t a, b;
} tight;
STOA_TYPE(tight, a, b);
typedef struct named {
	stoa_str name;
	uint64_t n;
} named;
STOA_TYPE(named, name, n);
typedef struct locked {
	stoa_mutex lock;
	uint64_t n;
	stoa_str note;
} locked;
STOA_TYPE(locked, lock, n, note);
typedef struct wide {
	_Alignas(64) uint64_t n[8];
} wide;
STOA_TYPE(wide, n);

#define STOA_NAME counts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#define STOA_NAME small
#define STOA_KEY  uint16_t
#define STOA_VAL  uint8_t
#include <stoa/template/hashmap.h>
#define STOA_NAME flags
#define STOA_KEY  uint8_t
#define STOA_VAL  bool
#include <stoa/template/hashmap.h>
#define STOA_NAME debts
#define STOA_KEY  int32_t
#define STOA_VAL  double
#include <stoa/template/hashmap.h>
#define STOA_NAME texts
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include <stoa/template/hashmap.h>
#define STOA_NAME seen
#define STOA_KEY  place
#include <stoa/template/hashmap.h>
#define STOA_NAME words
#define STOA_KEY  stoa_str
#include <stoa/template/hashmap.h>
#define STOA_NAME by_tight
#define STOA_KEY  tight
#define STOA_VAL  named
#include <stoa/template/hashmap.h>
#define STOA_NAME by_place
#define STOA_KEY  place
#define STOA_VAL  counts
#include <stoa/template/hashmap.h>
#define STOA_NAME wides
#define STOA_KEY  uint8_t
#define STOA_VAL  wide
#include <stoa/template/hashmap.h>
#define STOA_NAME boxes
#define STOA_KEY  uint64_t
#define STOA_VAL  named
#define STOA_BOXED
#include <stoa/template/hashmap.h>
#define STOA_NAME lockeds
#define STOA_KEY  stoa_str
#define STOA_VAL  locked
#define STOA_BOXED
#include <stoa/template/hashmap.h>
#define STOA_NAME hot
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#define STOA_INLINE
#include <stoa/template/hashmap.h>
#define STOA_NAME hot_words
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#define STOA_INLINE
#include <stoa/template/hashmap.h>
#define STOA_NAME hot_places
#define STOA_KEY  place
#define STOA_VAL  wide
#define STOA_INLINE
#include <stoa/template/hashmap.h>
#define STOA_NAME hot_boxes
#define STOA_KEY  int16_t
#define STOA_VAL  named
#define STOA_BOXED
#define STOA_INLINE
#include <stoa/template/hashmap.h>

typedef struct page {
	counts c;
	numbers n;
	small s;
	flags f;
	debts d;
	texts t;
	seen e;
	words w;
	by_tight bt;
	by_place bp;
	wides v;
	boxes b;
	lockeds l;
	hot h;
	hot_words hw;
	hot_places hp;
	hot_boxes hb;
} page;
STOA_TYPE(page, (c, counts), (n, numbers), (s, small), (f, flags), (d, debts),
	(t, texts), (e, seen), (w, words), (bt, by_tight), (bp, by_place),
	(v, wides), (b, boxes), (l, lockeds), (h, hot), (hw, hot_words),
	(hp, hot_places), (hb, hot_boxes));

static const char text_long[] = "a text longer than twenty-two characters";

struct fixture {
	stoa_segment *seg;
	const page *p;
};

static int
setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof *f);

	assert_int_equal(stoa_segment_open(
				 NULL, STOA_CREATE | STOA_LOCAL, NULL, &f->seg),
		0);
	assert_int_equal(stoa_object_open(f->seg, "page", page, &f->p), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	stoa_segment_close(f->seg);
	test_free(f);
	return 0;
}

static void
assert_sound(struct fixture *f, const stoa_type *t, const void *m)
{
	STOA_READ(rd, f->seg);
	assert_int_equal(stoai_hashmap_check(rd, t, m), 0);
}

static uint64_t
used_blocks(struct fixture *f)
{
	stoa_segment_stat stat;

	stoa_segment_statistics(f->seg, &stat);
	return stat.blocks;
}

/* ---- format ---- */

/* The two ways to look at a group agree, on every byte at every place. */
static void
test_groups(void **state)
{
	unsigned char group[16];

	(void)state;
	for (unsigned seed = 0; seed < 20000; seed++) {
		unsigned x = seed * 2654435761u, want = 0, live = 0;
		unsigned byte = seed % 5 ? 0x80 | (x >> 8 & 3) : seed % 2;

		for (unsigned i = 0; i < 16; i++) {
			x = x * 1103515245u + 12345u;
			group[i] =
				(unsigned char)(x >> 20 & 1
							? 0x80 | (x >> 17 & 3)
							: x >> 17 & 1);
			want |= (unsigned)(group[i] == byte) << i;
			live |= (unsigned)(group[i] >> 7) << i;
		}
		assert_int_equal(stoa_group_match_(group, byte), want);
		assert_int_equal(stoa_group_match_plain_(group, byte), want);
		assert_int_equal(stoa_group_live_(group), live);
	}
}

static void
test_bytes(void **state)
{
	struct fixture *f = *state;
	const stoa_hashmap *m = &f->p->n.core_;
	static const stoa_hashmap zero;
	const unsigned char *table;
	uint64_t hash, slot[2];
	unsigned live, home;

	assert_memory_equal(m, &zero, sizeof zero);
	assert_sound(f, stoa_type_of(numbers), m);
	assert_int_equal(
		STOA_DO(tx, f->seg, numbers_put(tx, &f->p->n, 42, 7)), 0);
	assert_int_equal(m->type_, stoai_type_id(stoa_type_of(numbers)));
	assert_int_equal(m->table_ >> 56, 2);
	assert_int_equal(m->count_, 1);
	assert_int_equal(m->used_, 1);
	assert_int_equal(m->slot_size_, 16);
	assert_int_equal(m->val_off_, 8);
	assert_int_equal(m->key_class_, STOA_KEY_8_);
	assert_int_equal(m->boxed_, 0);
	table = stoai_at(f->seg, m->table_ & STOAI_TABLE_OFFSET);
	hash = stoa_mix_(42 ^ m->seed_);
	live = stoa_group_live_(table);
	/* its home in the only group, or the first where that has no such slot */
	home = (unsigned)(hash >> 53) % 16 < 4 ? (unsigned)(hash >> 53) % 16
					       : 0;
	assert_int_equal(live, 1u << home);
	assert_int_equal(table[home], 0x80 | hash >> 57);
	memcpy(slot, table + 16 + home * sizeof slot, sizeof slot);
	assert_int_equal(slot[0], 42);
	assert_int_equal(slot[1], 7);
	assert_int_equal(
		STOA_DO(tx, f->seg, (void)numbers_remove(tx, &f->p->n, 42)), 0);
	assert_int_equal(table[home], STOA_SLOT_EMPTY_);
	assert_int_equal(m->count_, 0);
	assert_int_equal(m->used_, 0);
}

/* The mix is part of the format. */
static void
test_mix(void **state)
{
	(void)state;
	assert_int_equal(stoa_mix_(0), UINT64_C(0xca813bf4c7abf0a9));
	assert_int_equal(stoa_mix_(1), UINT64_C(0x5ed9c758b9c48de0));
}

/* ---- every kind of key and value ---- */

static void
test_kinds(void **state)
{
	struct fixture *f = *state;
	const page *p = f->p;
	place at, same;

	memset(&at, 0xff, sizeof at);
	memset(&same, 0, sizeof same);
	at.x = same.x = 1;
	at.y = same.y = 2;
	at.z = same.z = 3;
	{
		STOA_TX(tx, f->seg);
		for (unsigned i = 0; i < 256; i++) {
			*flags_ensure(tx, &p->f, (uint8_t)i) = i & 1;
			small_put(tx, &p->s, (uint16_t)(i * 257), (uint8_t)i);
			debts_put(tx, &p->d, -(int32_t)i, i / 2.0);
			wides_ensure(tx, &p->v, (uint8_t)i)->n[7] = i;
			stoa_str_set(tx,
				&by_tight_ensure(tx, &p->bt, (tight){i, 9})
					 ->name,
				i % 2 ? text_long : "short");
		}
		seen_put(tx, &p->e, at);
		seen_put(tx, &p->e, same); /* padding does not count */
		counts_put(tx, by_place_ensure(tx, &p->bp, at), "deep", 5);
		texts_put(tx, &p->t, "a", "b");
		texts_put(tx, &p->t, text_long, text_long);
		texts_put(tx, &p->t, "a", text_long);
		words_put(tx, &p->w, "");
		words_put(tx, &p->w, text_long);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	STOA_READ(rd, f->seg);
	assert_int_equal(flags_count(rd, &p->f), 256);
	assert_int_equal(seen_count(rd, &p->e), 1);
	assert_int_equal(words_count(rd, &p->w), 2);
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(*flags_get(rd, &p->f, (uint8_t)i), i & 1);
		assert_int_equal(*small_get(rd, &p->s, (uint16_t)(i * 257)), i);
		assert_true(*debts_get(rd, &p->d, -(int32_t)i) == i / 2.0);
		assert_int_equal(wides_get(rd, &p->v, (uint8_t)i)->n[7], i);
		assert_int_equal(
			(uintptr_t)wides_get(rd, &p->v, (uint8_t)i) % 64, 0);
		assert_string_equal(
			stoa_str_get(rd,
				&by_tight_get(rd, &p->bt, (tight){i, 9})->name),
			i % 2 ? text_long : "short");
	}
	assert_null(small_get(rd, &p->s, 1));
	assert_true(seen_has(rd, &p->e, same));
	same.z = 4;
	assert_false(seen_has(rd, &p->e, same));
	assert_int_equal(
		*counts_get(rd, by_place_get(rd, &p->bp, at), "deep"), 5);
	assert_string_equal(texts_get(rd, &p->t, "a"), text_long);
	assert_string_equal(texts_get(rd, &p->t, text_long), text_long);
	assert_null(texts_get(rd, &p->t, "b"));
	assert_true(words_has(rd, &p->w, ""));
	assert_false(words_has(rd, &p->w, "x"));
	assert_sound(f, stoa_type_of(flags), &p->f);
	assert_sound(f, stoa_type_of(wides), &p->v);
	assert_sound(f, stoa_type_of(seen), &p->e);
	assert_sound(f, stoa_type_of(by_tight), &p->bt);
	assert_sound(f, stoa_type_of(texts), &p->t);
	assert_sound(f, stoa_type_of(debts), &p->d);
}

/* Text keys of every length around the border, with a NUL inside too. */
static void
test_text_keys(void **state)
{
	struct fixture *f = *state;
	const counts *c = &f->p->c;
	char key[64];

	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		for (size_t n = 0; n < 50; n++)
			for (unsigned k = 0; k < 3; k++) {
				memset(key, 'a', sizeof key);
				if (n)
					key[n - 1] =
						k == 2 ? '\0' : (char)('x' + k);
				*counts_ensuren(tx, c, key, n) += n * 10 + k;
			}
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
		else
			assert_int_equal(counts_count(tx, c), 1 + 3 * 49);
	}
	STOA_READ(rd, f->seg);
	assert_int_equal(counts_count(rd, c), 1 + 3 * 49);
	for (size_t n = 1; n < 50; n++)
		for (unsigned k = 0; k < 3; k++) {
			memset(key, 'a', sizeof key);
			key[n - 1] = k == 2 ? '\0' : (char)('x' + k);
			assert_int_equal(
				*counts_getn(rd, c, key, n), n * 10 + k);
		}
	assert_sound(f, stoa_type_of(counts), c);
}

/* The inlined core finds what the library stores, and the other way round. */
static void
test_inline(void **state)
{
	struct fixture *f = *state;
	const page *p = f->p;
	char key[64];

	{
		STOA_TX(tx, f->seg);
		for (unsigned i = 0; i < 300; i++) {
			place at = {(uint8_t)i, i, 7};

			snprintf(key, sizeof key, "%0*u", (int)(i % 40), i);
			hot_put(tx, &p->h, i, i);
			*hot_words_ensure(tx, &p->hw, key) += i;
			hot_places_ensure(tx, &p->hp, at)->n[0] = i;
			hot_boxes_ensure(tx, &p->hb, (int16_t)-i)->n = i;
			hot_boxes_ensure(tx, &p->hb, (int16_t)-i)->n++;
			*hot_edit(tx, &p->h, i) += 1;
		}
		assert_null(hot_edit(tx, &p->h, 300));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	STOA_READ(rd, f->seg);
	for (unsigned i = 0; i < 300; i++) {
		place at = {(uint8_t)i, i, 7};
		uint64_t k = i;
		int16_t b = (int16_t)-i;

		snprintf(key, sizeof key, "%0*u", (int)(i % 40), i);
		assert_int_equal(*(const uint64_t *)stoa_hashmap_get_(rd,
					 &p->h.core_, stoa_type_of(hot), &k, 8),
			i + 1);
		assert_int_equal(*hot_get(rd, &p->h, i), i + 1);
		assert_non_null(stoa_hashmap_get_(rd, &p->hw.core_,
			stoa_type_of(hot_words), key, strlen(key)));
		assert_non_null(hot_words_get(rd, &p->hw, key));
		assert_ptr_equal(hot_places_get(rd, &p->hp, at),
			stoa_hashmap_get_(rd, &p->hp.core_,
				stoa_type_of(hot_places), &at, sizeof at));
		assert_int_equal(hot_places_get(rd, &p->hp, at)->n[0], i);
		assert_int_equal(hot_boxes_get(rd, &p->hb, b)->n, i + 1);
		assert_ptr_equal(hot_boxes_get(rd, &p->hb, b),
			stoa_hashmap_get_(rd, &p->hb.core_,
				stoa_type_of(hot_boxes), &b, 2));
	}
	assert_sound(f, stoa_type_of(hot), &p->h);
	assert_sound(f, stoa_type_of(hot_words), &p->hw);
	assert_sound(f, stoa_type_of(hot_places), &p->hp);
	assert_sound(f, stoa_type_of(hot_boxes), &p->hb);
}

/* ---- ownership and undo ---- */

static void
test_owning(void **state)
{
	struct fixture *f = *state;
	const page *p = f->p;
	uint64_t before = used_blocks(f);
	char key[64];

	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		for (unsigned i = 0; i < 20; i++) {
			snprintf(key, sizeof key, "%s %u", text_long, i);
			texts_put(tx, &p->t, key, text_long);
			stoa_str_set(tx, &boxes_ensure(tx, &p->b, i)->name,
				text_long);
			counts_put(tx,
				by_place_ensure(tx, &p->bp, (place){1, i, 2}),
				text_long, 1);
		}
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	/* 3 tables; 2 texts; box and text; table and text */
	assert_int_equal(used_blocks(f), before + 3 + 20 * 6);
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		snprintf(key, sizeof key, "%s %u", text_long, 3);
		assert_true(texts_remove(tx, &p->t, key));
		assert_false(texts_remove(tx, &p->t, key));
		assert_true(boxes_remove(tx, &p->b, 4));
		assert_true(by_place_remove(tx, &p->bp, (place){1, 5, 2}));
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(used_blocks(f), before + 3 + 20 * 6 - 6);
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		texts_clear(tx, &p->t);
		boxes_clear(tx, &p->b);
		by_place_clear(tx, &p->bp);
		assert_int_equal(boxes_count(tx, &p->b), 0);
		boxes_ensure(tx, &p->b, 1);
		assert_true(boxes_remove(tx, &p->b, 1));
		boxes_clear(tx, &p->b);
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
		else
			assert_int_equal(stoa_tx_error(tx), 0);
	}
	assert_int_equal(used_blocks(f), before);
	assert_sound(f, stoa_type_of(boxes), &p->b);
}

/* What other languages may do: a value with memory put over another one. */
static void
test_put_over(void **state)
{
	struct fixture *f = *state;
	const by_tight *m = &f->p->bt;
	tight key = {1, 2};
	named none = {{{0}}, 7};
	uint64_t before;

	assert_int_equal(
		STOA_DO(tx, f->seg,
			stoa_str_set(tx, &by_tight_ensure(tx, m, key)->name,
				text_long)),
		0);
	before = used_blocks(f);
	assert_int_equal(STOA_DO(tx, f->seg,
				 (void)stoa_hashmap_put_(tx, &m->core_,
					 stoa_type_of(by_tight), &key,
					 sizeof key, &none)),
		0);
	assert_int_equal(used_blocks(f), before - 1);
	assert_int_equal(STOA_DO(tx, f->seg,
				 (void)stoa_hashmap_put_(tx, &m->core_,
					 stoa_type_of(by_tight), &key,
					 sizeof key, NULL)),
		0);
	STOA_READ(rd, f->seg);
	assert_int_equal(by_tight_get(rd, m, key)->n, 0);
}

/*
 * A slot that was emptied and filled again in one transaction is what it was
 * when the transaction is undone, and so in savepoints.
 */
static void
test_reuse(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_put(tx, n, 1, 10)), 0);
	for (int deep = 0; deep < 2; deep++) {
		STOA_TX(tx, f->seg);
		assert_true(numbers_remove(tx, n, 1));
		numbers_put(tx, n, 2, 20); /* the same slot */
		{
			STOA_TX(inner, f->seg);
			assert_true(numbers_remove(inner, n, 2));
			numbers_put(inner, n, 3, 30);
			if (deep) {
				assert_int_equal(stoa_tx_commit(inner), 0);
			}
		}
		assert_int_equal(
			*numbers_get(tx, n, deep ? 3 : 2), deep ? 30 : 20);
		assert_null(numbers_get(tx, n, deep ? 2 : 3));
	}
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(numbers_count(rd, n), 1);
		assert_int_equal(*numbers_get(rd, n, 1), 10);
	}
	assert_sound(f, stoa_type_of(numbers), n);
}

static void
test_locked(void **state)
{
	struct fixture *f = *state;
	const lockeds *l = &f->p->l;
	const locked *a, *b;

	{
		STOA_TX(tx, f->seg);
		a = lockeds_ensure(tx, l, "a");
		STOA_SET(tx, a->n, 1);
		stoa_str_set(tx, &a->note, text_long);
		for (int i = 0; i < 100; i++) {
			char key[16];

			snprintf(key, sizeof key, "%d", i);
			lockeds_ensure(tx, l, key);
		}
		assert_ptr_equal(lockeds_get(tx, l, "a"), a);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, f->seg);
		b = lockeds_ensure(tx, l, "a");
		assert_ptr_equal(a, b);
		STOA_SET(tx, b->n, 2);
	}
	assert_int_equal(a->n, 1);
	assert_sound(f, stoa_type_of(lockeds), l);
	{
		STOA_TX(tx, f->seg);
		assert_true(lockeds_remove(tx, l, "a"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
}

/*
 * Erased slots count as used; when too many are, they are swept away by a table
 * of the same size. Four groups are filled and emptied, then the other four filled.
 */
static void
test_erased(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;
	const stoa_hashmap *m = &n->core_;
	unsigned in_group[8] = {0};
	uint64_t table, k, added = 0;

	STOA_TX(tx, f->seg);
	numbers_reserve(tx, n, 112);
	table = m->table_;
	assert_int_equal(table >> 56, 7);
	for (k = 0; m->count_ < 64; k++) {
		unsigned g = stoa_mix_(k ^ m->seed_) & 7;

		if (g < 4 && in_group[g]++ < 16)
			numbers_put(tx, n, k, k);
	}
	numbers_iter it = numbers_begin(tx, n);
	while (numbers_next(&it))
		numbers_remove_at(tx, &it);
	assert_int_equal(m->count_, 0);
	assert_int_equal(m->used_, 64);
	for (; m->table_ == table; k++)
		if ((stoa_mix_(k ^ m->seed_) & 7) >= 4) {
			numbers_put(tx, n, k, k);
			added++;
		}
	assert_int_equal(added, 112 - 64 + 1);
	assert_int_equal(m->table_ >> 56, 7);
	assert_int_equal(m->count_, added);
	assert_int_equal(m->used_, added);
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_sound(f, stoa_type_of(numbers), n);
}

/* Coming and going at a constant number never makes the table larger. */
static void
test_churn(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;

	for (uint64_t i = 0; i < 20000; i++) {
		STOA_TX(tx, f->seg);
		numbers_put(tx, n, i, i);
		if (i >= 80)
			assert_true(numbers_remove(tx, n, i - 80));
		assert_int_equal(stoa_tx_commit(tx), 0);
		assert_true(n->core_.table_ >> 56 <= 7);
	}
	assert_int_equal(n->core_.count_, 80);
	assert_sound(f, stoa_type_of(numbers), n);
}

static void
test_reserve(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;
	uint64_t table;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_reserve(tx, n, 1000)), 0);
	assert_int_equal(n->core_.table_ >> 56, 11);
	table = n->core_.table_;
	{
		STOA_TX(tx, f->seg);
		numbers_reserve(tx, n, 10);
		for (uint64_t i = 0; i < 1792; i++)
			numbers_put(tx, n, i, i);
		assert_int_equal(n->core_.table_, table);
		numbers_put(tx, n, 5000, 0);
		assert_int_equal(n->core_.table_ >> 56, 12);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(STOA_DO(tx, f->seg, numbers_clear(tx, n)), 0);
	assert_int_equal(n->core_.table_, UINT64_C(10) << 56);
	assert_sound(f, stoa_type_of(numbers), n);
	assert_int_equal(STOA_DO(tx, f->seg, numbers_put(tx, n, 1, 1)), 0);
	assert_int_equal(n->core_.table_ >> 56, 10);
	assert_int_equal(
		STOA_DO(tx, f->seg, numbers_reserve(tx, n, SIZE_MAX)), -E2BIG);
}

/* ---- iteration ---- */

static void
test_iterate(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;
	uint64_t sum = 0, left = 0;

	STOA_TX(tx, f->seg);
	for (numbers_iter it = numbers_begin(tx, n); numbers_next(&it);)
		fail();
	for (uint64_t i = 1; i <= 100; i++)
		numbers_put(tx, n, i, 2 * i);
	for (numbers_iter it = numbers_begin(tx, n); numbers_next(&it);) {
		assert_int_equal(*it.val, 2 * it.key);
		sum += it.key;
		if (it.key % 2)
			numbers_remove_at(tx, &it);
		else
			STOA_SET(tx, *it.val, 0);
	}
	assert_int_equal(sum, 5050);
	assert_int_equal(numbers_count(tx, n), 50);
	for (numbers_iter it = numbers_begin(tx, n); numbers_next(&it);)
		left += it.key % 2 == 0 && *it.val == 0;
	assert_int_equal(left, 50);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_iterate_texts(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	STOA_TX(tx, f->seg);
	texts_put(tx, &f->p->t, "a", text_long);
	texts_put(tx, &f->p->t, text_long, "b");
	for (texts_iter it = texts_begin(tx, &f->p->t); texts_next(&it); n++) {
		bool first = !strcmp(it.key, "a");

		assert_string_equal(it.key, first ? "a" : text_long);
		assert_string_equal(it.val, first ? text_long : "b");
		texts_remove_at(tx, &it);
		assert_string_equal(it.key, first ? "a" : text_long);
	}
	assert_int_equal(n, 2);
	assert_int_equal(texts_count(tx, &f->p->t), 0);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_iterate_stale(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_put(tx, n, 1, 1),
				 numbers_put(tx, n, 2, 1)),
		0);
	{
		STOA_TX(tx, f->seg);
		numbers_iter it = numbers_begin(tx, n);

		assert_true(numbers_next(&it));
		numbers_put(tx, n, 1, 3); /* no new key */
		assert_true(numbers_next(&it));
		numbers_put(tx, n, 3, 3);
		assert_false(numbers_next(&it));
		assert_int_equal(stoa_tx_error(tx), -ESTALE);
		assert_false(numbers_next(&it));
	}
	{
		STOA_TX(tx, f->seg);
		numbers_iter it = numbers_begin(tx, n);

		assert_true(numbers_next(&it));
		numbers_clear(tx, n);
		assert_false(numbers_next(&it));
		assert_int_equal(stoa_tx_error(tx), -ESTALE);
	}
	{
		STOA_TX(tx, f->seg);
		numbers_iter it = numbers_begin(tx, n);

		assert_true(numbers_next(&it));
		numbers_remove_at(tx, &it);
		numbers_remove_at(tx, &it);
		assert_int_equal(stoa_tx_error(tx), -ESTALE);
	}
	{
		STOA_TX(tx, f->seg);
		numbers_iter it = numbers_begin(tx, n);

		assert_true(numbers_next(&it));
		(void)stoa_tx_fail(tx, -EDOM);
		assert_false(numbers_next(&it));
	}
}

/* ---- errors ---- */

static void
test_failed(void **state)
{
	struct fixture *f = *state;
	const numbers *n = &f->p->n;

	{
		STOA_TX(tx, f->seg);
		numbers_put(tx, n, 1, 1);
		(void)stoa_tx_fail(tx, -EDOM);
		assert_null(numbers_get(tx, n, 1));
		assert_null(numbers_edit(tx, n, 1));
		assert_false(numbers_remove(tx, n, 1));
		assert_int_equal(numbers_count(tx, n), 0);
		assert_int_equal(*numbers_ensure(tx, n, 1), 0);
		*numbers_ensure(tx, n, 1) = 5;
		assert_int_equal(*numbers_put(tx, n, 1, 8), 8);
		seen_put(tx, &f->p->e, (place){1, 2, 3});
		lockeds_ensure(tx, &f->p->l, "x");
		stoa_str_set(tx, &boxes_ensure(tx, &f->p->b, 2)->name, "y");
		assert_int_equal(stoa_tx_commit(tx), -EDOM);
	}
	assert_int_equal(n->core_.type_, 0);
	assert_int_equal(n->core_.table_, 0);
}

static void
test_wrong_type(void **state)
{
	struct fixture *f = *state;
	const debts *d = (const debts *)(const void *)&f->p->n;
	const hot_words *h = (const hot_words *)(const void *)&f->p->n;

	assert_int_equal(
		STOA_DO(tx, f->seg, numbers_put(tx, &f->p->n, 1, 1)), 0);
	{
		STOA_READ(rd, f->seg);
		assert_null(debts_get(rd, d, 1));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
		assert_non_null(strstr(stoa_error_text(), "you ask for"));
	}
	{
		STOA_READ(rd, f->seg);
		assert_null(hot_words_get(rd, h, "x"));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
	}
	assert_int_equal(
		STOA_DO(tx, f->seg, debts_put(tx, d, 1, 1)), -EPROTOTYPE);
	assert_int_equal(STOA_DO(tx, f->seg, debts_clear(tx, d)), -EPROTOTYPE);
}

static void
test_dump(void **state)
{
	struct fixture *f = *state;
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof text, "w");

	{
		STOA_TX(tx, f->seg);
		counts_put(tx, &f->p->c, "one", 1);
		numbers_put(tx, &f->p->n, 42, 7);
		boxes_ensure(tx, &f->p->b, 3)->n = 4;
		by_tight_ensure(tx, &f->p->bt, (tight){1, 2})->n = 3;
		words_put(tx, &f->p->w, "word");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	STOA_READ(rd, f->seg);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(counts), &f->p->c, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(numbers), &f->p->n, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(boxes), &f->p->b, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(by_tight), &f->p->bt, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(words), &f->p->w, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(seen), &f->p->e, out), 0);
	fclose(out);
	assert_string_equal(text,
		"{\"one\":1}\n{\"42\":7}\n{\"3\":{\"name\":\"\",\"n\":4}}\n"
		"[[{\"a\":1,\"b\":2},{\"name\":\"\",\"n\":3}]]\n"
		"[\"word\"]\n[]\n");
}

#define TEST_(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_mix),
		TEST_(test_bytes),
		TEST_(test_kinds),
		TEST_(test_text_keys),
		TEST_(test_inline),
		TEST_(test_owning),
		TEST_(test_put_over),
		TEST_(test_reuse),
		TEST_(test_locked),
		TEST_(test_erased),
		TEST_(test_churn),
		TEST_(test_reserve),
		TEST_(test_iterate),
		TEST_(test_iterate_texts),
		TEST_(test_iterate_stale),
		TEST_(test_failed),
		TEST_(test_wrong_type),
		TEST_(test_dump),
	};

	return cmocka_run_group_tests_name("hashmap", tests, NULL, NULL);
}
