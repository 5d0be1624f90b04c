/* SPDX-License-Identifier: BSL-1.0 */
/* Hash maps whose bytes are damaged, one by one: errors, no crash and no hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "container/container.h"
#include "stoa/stoa.h"

#define STOA_NAME counts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

typedef struct page {
	counts c;
	numbers n;
} page;
STOA_TYPE(page, (c, counts), (n, numbers));

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

/* Any call on a map with this damage: an error or a wrong answer, no more. */
static void
use_damaged(struct fixture *f)
{
	const counts *c = &f->p->c;

	{
		STOA_READ(rd, f->seg);
		(void)counts_get(rd, c, "one");
		(void)counts_get(rd, c, text_long);
		(void)counts_get(rd, c, "nothing");
		(void)counts_count(rd, c);
		for (counts_iter it = counts_begin(rd, c); counts_next(&it);)
			(void)strlen(it.key);
	}
	{
		STOA_TX(tx, f->seg);
		for (unsigned i = 0; i < 40; i++) {
			char key[40];

			snprintf(key, sizeof key, "%30u", i);
			counts_put(tx, c, key, i);
		}
		(void)counts_remove(tx, c, "one");
		(void)counts_remove(tx, c, text_long);
		counts_clear(tx, c);
	}
	{
		STOA_READ(rd, f->seg);
		FILE *out = fopen("/dev/null", "w");

		(void)!stoa_type_dump(rd, stoa_type_of(counts), c, out);
		fclose(out);
	}
	{
		STOA_READ(rd, f->seg);
		(void)stoai_hashmap_check(rd, stoa_type_of(counts), c);
	}
}

/* Where the long key lies: outside of the table. */
static char *
long_key(struct fixture *f)
{
	const char *key = NULL;

	STOA_READ(rd, f->seg);
	for (counts_iter it = counts_begin(rd, &f->p->c); counts_next(&it);)
		if (!strcmp(it.key, text_long))
			key = it.key;
	assert_non_null(key);
	return (char *)(uintptr_t)key;
}

/*
 * Each byte of the map and of its table takes each value that matters. A table
 * that is somewhere else has free slots in somebody else's memory, and what is put
 * into a free slot is not undone: the long key is put right again like the table.
 */
static void
test_damage(void **state)
{
	struct fixture *f = *state;
	unsigned char *m = (unsigned char *)(uintptr_t)&f->p->c.core_, *table;
	unsigned char map_was[64], table_was[16 + 4 * 32];
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0x93, 0xff};
	unsigned caught = 0, tried = 0;
	char *key;

	assert_int_equal(STOA_DO(tx, f->seg, counts_put(tx, &f->p->c, "one", 1),
				 counts_put(tx, &f->p->c, text_long, 2)),
		0);
	assert_sound(f, stoa_type_of(counts), m);
	table = stoai_at(f->seg, f->p->c.core_.table_ & STOAI_TABLE_OFFSET);
	key = long_key(f);
	memcpy(map_was, m, sizeof map_was);
	memcpy(table_was, table, sizeof table_was);
	for (size_t i = 0; i < sizeof map_was + sizeof table_was; i++)
		for (size_t k = 0; k < sizeof values; k++) {
			unsigned char *byte =
				i < sizeof map_was ? m + i
						   : table + i - sizeof map_was;

			if (*byte == values[k])
				continue;
			*byte = values[k];
			use_damaged(f);
			memcpy(key, text_long, sizeof text_long);
			memcpy(m, map_was, sizeof map_was);
			memcpy(table, table_was, sizeof table_was);
			*byte = values[k];
			{
				STOA_READ(rd, f->seg);
				tried++;
				caught += stoai_hashmap_check(rd,
						  stoa_type_of(counts), m) != 0;
			}
			memcpy(m, map_was, sizeof map_was);
			memcpy(table, table_was, sizeof table_was);
		}
	assert_sound(f, stoa_type_of(counts), m);
	/* stamp, values and empty slots may be anything: the rest is noticed */
	assert_true(caught > tried / 3);
}

static void
test_check_texts(void **state)
{
	struct fixture *f = *state;
	stoa_hashmap *m = (stoa_hashmap *)(uintptr_t)&f->p->n.core_;
	unsigned char *table, old;
	unsigned live, taken, free_;
	struct {
		const char *text;
		uint64_t *word, value;
	} bad[] = {
		{"H1", &m->type_, 0},
		{"H3", &m->table_, 0},
		{"H4", &m->count_, 1},
		{"H4", &m->used_, 3},
		{"H6", &m->seed_, 0},
	};

	assert_int_equal(STOA_DO(tx, f->seg, numbers_put(tx, &f->p->n, 1, 1),
				 numbers_put(tx, &f->p->n, 2, 2)),
		0);
	bad[1].value = m->table_ + (UINT64_C(4) << 56);
	for (size_t i = 0; i < STOAI_COUNT(bad); i++) {
		uint64_t good = *bad[i].word;
		STOA_READ(rd, f->seg);

		*bad[i].word = bad[i].value;
		assert_int_equal(
			stoai_hashmap_check(rd, stoa_type_of(numbers), m),
			-EBADMSG);
		if (!strstr(stoa_error_text(), bad[i].text))
			fail_msg("%s: %s", bad[i].text, stoa_error_text());
		*bad[i].word = good;
	}
	table = stoai_at(f->seg, m->table_ & STOAI_TABLE_OFFSET);
	live = stoa_group_live_(table);
	taken = (unsigned)__builtin_ctz(live);
	free_ = (unsigned)__builtin_ctz(~live);
	old = table[taken];
	table[taken] ^= 1;
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(
			stoai_hashmap_check(rd, stoa_type_of(numbers), m),
			-EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "H6"));
	}
	table[taken] = old;
	table[free_] = 5;
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(
			stoai_hashmap_check(rd, stoa_type_of(numbers), m),
			-EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "H4"));
	}
	table[free_] = 0;
	assert_sound(f, stoa_type_of(numbers), m);
}

#define TEST_(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_(test_damage),
		TEST_(test_check_texts),
	};

	return cmocka_run_group_tests_name("hashmap damage", tests, NULL, NULL);
}
