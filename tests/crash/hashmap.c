/* SPDX-License-Identifier: BSL-1.0 */
/* Killed at every instruction: hash maps with every kind of key and value. */
#include <stdio.h>
#include "data.h"

#ifdef DATA_INLINE
 #define SUITE "hashmap_inline"
#else
 #define SUITE "hashmap"
#endif

static void
three(stoa_tx *tx, const data *d)
{
	static const char *const keys[] = {"one", "two", long_text};

	for (uint64_t i = 0; i < 3; i++) {
		counts_put(tx, &d->counts, keys[i], i);
		ids_put(tx, &d->ids, i, (pair){i, 2 * i});
		notes_put(tx, &d->notes, i, i == 1 ? long_text : "note");
		marks_put(tx, &d->marks, i);
		STOA_SET(tx, tallies_ensure(tx, &d->tallies, keys[i])->n, i);
	}
}

/* As many as fill the table: the next new key makes it grow. */
static void
full(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 14; i++) {
		char key[16];

		snprintf(key, sizeof key, "key %u", (unsigned)i);
		counts_put(tx, &d->counts, key, i);
		ids_put(tx, &d->ids, i, (pair){i, 2 * i});
	}
}

/* A table of more than one group, with room. */
static void
roomy(stoa_tx *tx, const data *d)
{
	full(tx, d);
	for (uint64_t i = 14; i < 18; i++)
		ids_put(tx, &d->ids, i, (pair){i, 2 * i});
}

static void
put_new(stoa_tx *tx, const data *d)
{
	(void)ids_put(tx, &d->ids, 42, (pair){4, 2});
}

static void
put_again(stoa_tx *tx, const data *d)
{
	(void)ids_put(tx, &d->ids, 1, (pair){4, 2});
}

/* One after the other until it has grown at least once. */
static void
put_growing(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 100; i < 103; i++)
		(void)ids_put(tx, &d->ids, i, (pair){i, i});
}

/* In a table with room, where the scope has inserted before. */
static void
put_more(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 100; i < 105; i++)
		(void)ids_put(tx, &d->ids, i, (pair){i, i});
	(void)ids_put(tx, &d->ids, 3, (pair){3, 3});
	if (ids_remove(tx, &d->ids, 5))
		ids_ensure(tx, &d->ids, 105)->a = 5;
	(void)ids_put(tx, &d->ids, 106, (pair){6, 6});
	ids_ensure(tx, &d->ids, 107)->b = 7;
}

static void
ensure(stoa_tx *tx, const data *d)
{
	ids_ensure(tx, &d->ids, 42)->a += 1;
}

static void
edit(stoa_tx *tx, const data *d)
{
	pair *p = ids_edit(tx, &d->ids, 1);

	if (p)
		p->a += 1;
}

static void
take(stoa_tx *tx, const data *d)
{
	(void)ids_remove(tx, &d->ids, 1);
}

static void
remove_at(stoa_tx *tx, const data *d)
{
	for (ids_iter it = ids_begin(tx, &d->ids); ids_next(&it);)
		if (it.key != 1)
			ids_remove_at(tx, &it);
}

static void
clear(stoa_tx *tx, const data *d)
{
	ids_clear(tx, &d->ids);
}

static void
reserve(stoa_tx *tx, const data *d)
{
	ids_reserve(tx, &d->ids, 100);
	STOA_SET(
		tx, d->word[0], 1); /* so that there is a before and an after */
}

static void
text_put(stoa_tx *tx, const data *d)
{
	(void)counts_put(tx, &d->counts, "a new and long key, not inline", 5);
}

static void
text_put_growing(stoa_tx *tx, const data *d)
{
	(void)counts_put(tx, &d->counts, "new one", 5);
	(void)counts_put(tx, &d->counts, "new two", 5);
}

static void
text_ensure(stoa_tx *tx, const data *d)
{
	*counts_ensure(tx, &d->counts, "two") += 1;
}

static void
text_ensuren(stoa_tx *tx, const data *d)
{
	*counts_ensuren(tx, &d->counts, "twofold", 4) += 1;
}

static void
text_remove(stoa_tx *tx, const data *d)
{
	(void)counts_remove(tx, &d->counts, long_text);
}

static void
text_clear(stoa_tx *tx, const data *d)
{
	counts_clear(tx, &d->counts);
}

static void
note_put(stoa_tx *tx, const data *d)
{
	notes_put(tx, &d->notes, 42, long_text);
}

static void
note_put_again(stoa_tx *tx, const data *d)
{
	notes_put(tx, &d->notes, 1, "short");
}

static void
note_ensure(stoa_tx *tx, const data *d)
{
	stoa_str_append(tx, notes_ensure(tx, &d->notes, 0), long_text);
}

static void
note_remove(stoa_tx *tx, const data *d)
{
	(void)notes_remove(tx, &d->notes, 1);
}

static void
set_put(stoa_tx *tx, const data *d)
{
	marks_put(tx, &d->marks, 42);
}

static void
set_remove(stoa_tx *tx, const data *d)
{
	(void)marks_remove(tx, &d->marks, 1);
}

static void
boxed_ensure(stoa_tx *tx, const data *d)
{
	const counter *c = tallies_ensure(tx, &d->tallies, "four");

	STOA_ADD(tx, c->n, 1);
}

static void
boxed_remove(stoa_tx *tx, const data *d)
{
	(void)tallies_remove(tx, &d->tallies, "two");
}

static void
boxed_clear(stoa_tx *tx, const data *d)
{
	tallies_clear(tx, &d->tallies);
}

static const struct crash_case cases[] = {
	CASE("map put, first", "hashmap_put stoa_hashmap_put_", NULL, put_new),
	CASE("map put, new", "hashmap_put", three, put_new),
	CASE("map put, again", "hashmap_put", three, put_again),
	CASE("map put, growing", "hashmap_put", full, put_growing),
	CASE("map put, more", "hashmap_put hashmap_ensure", roomy, put_more),
	CASE("map ensure",
		"hashmap_ensure stoa_hashmap_ensure_ "
		"stoa_hashmap_ensure_core_ stoa_hashmap_add_",
		three, ensure),
	CASE("map edit",
		"hashmap_edit stoa_hashmap_edit_ "
		"stoa_hashmap_edit_core_ stoa_tx_save_",
		three, edit),
	CASE("map remove", "hashmap_remove stoa_hashmap_remove_", three, take),
	CASE("map remove_at", "hashmap_remove_at stoa_hashmap_remove_at_",
		three, remove_at),
	CASE("map clear", "hashmap_clear stoa_hashmap_clear_", three, clear),
	CASE("map reserve", "hashmap_reserve stoa_hashmap_reserve_", three,
		reserve),
	CASE("map of str put, new", "hashmap_put", three, text_put),
	CASE("map of str put, growing", "hashmap_put", full, text_put_growing),
	CASE("map of str ensure", "hashmap_ensure", three, text_ensure),
	CASE("map of str ensuren", "hashmap_ensuren", three, text_ensuren),
	CASE("map of str remove", "hashmap_remove", three, text_remove),
	CASE("map of str clear", "hashmap_clear", three, text_clear),
	CASE("map to str put, new", "hashmap_put", three, note_put),
	CASE("map to str put, again", "hashmap_put", three, note_put_again),
	CASE("map to str ensure", "hashmap_ensure", three, note_ensure),
	CASE("map to str remove", "hashmap_remove", three, note_remove),
	CASE("set put", "hashmap_put", three, set_put),
	CASE("set remove", "hashmap_remove", three, set_remove),
	CASE("boxed map ensure, new", "hashmap_ensure", three, boxed_ensure),
	CASE("boxed map remove", "hashmap_remove", three, boxed_remove),
	CASE("boxed map clear", "hashmap_clear", three, boxed_clear),
};

int
main(int argc, char **argv)
{
	return crash_main(SUITE, cases, COUNT(cases), argc, argv);
}
