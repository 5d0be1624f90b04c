/* SPDX-License-Identifier: BSL-1.0 */
/* Checked mode: stores through pointers to values that have moved; its log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "stoa/stoa.h"

#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

#define STOA_NAME list
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

#define STOA_NAME words
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

typedef struct tables {
	numbers map;
	words text;
	list vec;
} tables;
STOA_TYPE(tables, (map, numbers), (text, words), (vec, list));

static const tables *
checked_tables(stoa_segment **ret)
{
	const tables *t = NULL;

	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL | STOA_CHECKED,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20), ret),
		0);
	assert_int_equal(stoa_object_open(*ret, "tables", tables, &t), 0);
	return t;
}

static void
fill_map(stoa_tx *tx, const tables *t, uint64_t from, uint64_t to)
{
	for (uint64_t k = from; k < to; k++)
		*numbers_ensure(tx, &t->map, k) = k;
}

/* A pointer into a map's old table; after_growth: the store comes too late. */
static int
store_around_growth(stoa_segment *local, const tables *t, bool after_growth)
{
	STOA_TX(tx, local);
	uint64_t *p = numbers_ensure(tx, &t->map, 1);

	if (!after_growth)
		*p = 77;
	fill_map(tx, t, 1000, 1100);
	if (after_growth)
		*p = 77;
	return stoa_tx_commit(tx);
}

static void
moved_values_are_found(void **state)
{
	stoa_segment *local = NULL;
	const tables *t = checked_tables(&local);

	(void)state;
	assert_int_equal(store_around_growth(local, t, true), -EFAULT);
	assert_non_null(strstr(stoa_error_text(), "next insertion"));
	assert_int_equal(t->map.core_.count_, 0); /* undone */
	assert_int_equal(store_around_growth(local, t, false), 0);
	{
		STOA_TX(tx, local);
		uint64_t *p = list_add(tx, &t->vec);

		for (uint64_t i = 0; i < 100; i++)
			list_push(tx, &t->vec, i);
		*p = 77;
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	assert_int_equal(t->vec.core_.count_, 0);
	assert_int_equal(stoa_segment_check(local), 0);
	stoa_segment_close(local);
}

/* A savepoint that grew the map is undone: its old table is the table again. */
static void
savepoints_are_known(void **state)
{
	stoa_segment *local = NULL;
	const tables *t = checked_tables(&local);

	(void)state;
	assert_int_equal(STOA_DO(tx, local, fill_map(tx, t, 0, 4)), 0);
	{
		STOA_TX(tx, local);
		{
			STOA_TX(inner, local);
			fill_map(inner, t, 100, 200);
			assert_int_equal(
				stoa_tx_fail(inner, -ECANCELED), -ECANCELED);
		}
		*numbers_ensure(tx, &t->map, 2) = 22;
		fill_map(tx, t, 100, 200); /* moves again, with the 22 */
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_READ(rd, local);
		assert_int_equal(*numbers_get(rd, &t->map, 2), 22);
	}
	stoa_segment_close(local);
}

/*
 * Keys with blocks of their own: so many fresh blocks that those made first are
 * saved like any other, and the log grows with the map.
 */
static int
fill_small(unsigned flags)
{
	stoa_segment *local = NULL;
	const tables *t = NULL;
	char key[64];
	int rc;

	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL | flags,
			STOA_SEGMENT_OPTIONS(.limit = 8 << 20), &local),
		0);
	assert_int_equal(stoa_object_open(local, "tables", tables, &t), 0);
	{
		STOA_TX(tx, local);
		for (int i = 0; !stoa_tx_error(tx); i++) {
			snprintf(key, sizeof key, "%040d", i);
			*words_ensure(tx, &t->text, key) = 1;
		}
		rc = stoa_tx_commit(tx);
	}
	assert_int_equal(t->text.core_.count_, 0);
	assert_int_equal(stoa_segment_check(local), 0);
	stoa_segment_close(local);
	return rc;
}

static void
long_logs_end_in_enospc(void **state)
{
	(void)state;
	assert_int_equal(fill_small(0), -ENOSPC);
	assert_int_equal(fill_small(STOA_CHECKED), -ENOSPC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved_values_are_found),
		cmocka_unit_test(savepoints_are_known),
		cmocka_unit_test(long_logs_end_in_enospc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
