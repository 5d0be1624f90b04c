/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Strings: exact bytes, growth from every size to every size, aliases, undo.
 * Each change is made once to be committed and once to be undone.
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

typedef struct page {
	stoa_str a, b;
} page;
STOA_TYPE(page, a, b);

struct fixture {
	stoa_segment *seg;
	const page *p;
};

static char text_long[8192];

static int
setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof *f);

	for (size_t i = 0; i < sizeof text_long - 1; i++)
		text_long[i] = (char)('a' + i % 26);
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
assert_text(struct fixture *f, const stoa_str *s, const char *text, size_t size)
{
	STOA_READ(rd, f->seg);
	assert_int_equal(stoa_str_size(rd, s), size);
	assert_memory_equal(stoa_str_get(rd, s), text, size + 1);
	assert_int_equal(stoai_str_check(rd, &stoa_type_stoa_str, s), 0);
}

static void
test_bytes(void **state)
{
	static const unsigned char abc[24] = {'a', 'b', 'c', [23] = 3};
	static const unsigned char full[24] = "0123456789012345678901\0\x16";
	static const unsigned char zero[24];
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;

	assert_memory_equal(s, zero, 24);
	assert_text(f, s, "", 0);
	assert_int_equal(STOA_DO(tx, f->seg, stoa_str_set(tx, s, "abc")), 0);
	assert_memory_equal(s, abc, 24);
	assert_int_equal(
		STOA_DO(tx, f->seg, stoa_str_set(tx, s, "0123456789")), 0);
	assert_int_equal(STOA_DO(tx, f->seg, stoa_str_set(tx, s, "abc")), 0);
	assert_memory_equal(s, abc, 24); /* zero behind the text again */
	assert_int_equal(STOA_DO(tx, f->seg,
				 stoa_str_set(tx, s, "0123456789012345678901")),
		0);
	assert_memory_equal(s, full, 24);
	assert_int_equal(
		STOA_DO(tx, f->seg,
			stoa_str_set(tx, s, "01234567890123456789012")),
		0);
	assert_int_equal(s->word_[1], 23);
	assert_int_equal(s->word_[2], STOAI_STR_HEAP | 32);
	assert_text(f, s, "01234567890123456789012", 23);
	assert_int_equal(STOA_DO(tx, f->seg, stoa_str_set(tx, s, "")), 0);
	assert_memory_equal(s, zero, 24);
	assert_int_equal(
		STOA_DO(tx, f->seg, stoa_str_setn(tx, s, "a\0b", 3)), 0);
	assert_text(f, s, "a\0b", 3);
}

static const size_t sizes[] = {0, 1, 21, 22, 23, 24, 31, 32, 33, 47, 48, 100,
	1000, 1023, 1024, 1025, 5000};

/* From each size to each size by set, undone and then committed. */
static void
test_set_matrix(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;

	for (size_t i = 0; i < STOAI_COUNT(sizes); i++)
		for (size_t j = 0; j < STOAI_COUNT(sizes); j++) {
			char from[8192] = {0}, to[8192] = {0};

			memcpy(from, text_long, sizes[i]);
			memcpy(to, text_long + 7, sizes[j]);
			assert_int_equal(
				STOA_DO(tx, f->seg, stoa_str_set(tx, s, from)),
				0);
			{
				STOA_TX(tx, f->seg);
				stoa_str_setn(tx, s, to, sizes[j]);
				assert_string_equal(stoa_str_get(tx, s), to);
				stoa_str_set(tx, s, "between");
				stoa_str_setn(tx, s, from, sizes[i] / 2);
				stoa_str_append(tx, s, to);
			}
			assert_text(f, s, from, sizes[i]);
			assert_int_equal(
				STOA_DO(tx, f->seg, stoa_str_set(tx, s, to)),
				0);
			assert_text(f, s, to, sizes[j]);
		}
}

static void
test_append_matrix(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;

	for (size_t i = 0; i < STOAI_COUNT(sizes); i++)
		for (size_t j = 0; j < STOAI_COUNT(sizes); j++) {
			char from[16384] = {0}, more[8192] = {0};

			memcpy(from, text_long, sizes[i]);
			memcpy(more, text_long + 7, sizes[j]);
			assert_int_equal(
				STOA_DO(tx, f->seg, stoa_str_set(tx, s, from)),
				0);
			{
				STOA_TX(tx, f->seg);
				stoa_str_append(tx, s, more);
				stoa_str_append(tx, s, "!");
				stoa_str_setn(tx, s, "", 0);
				stoa_str_append(tx, s, more);
			}
			assert_text(f, s, from, sizes[i]);
			{
				STOA_TX(tx, f->seg);
				stoa_str_append(tx, s, more);
				stoa_str_append(tx, s, "!");
				assert_int_equal(stoa_tx_commit(tx), 0);
			}
			strcat(strcat(from, more), "!");
			assert_text(f, s, from, sizes[i] + sizes[j] + 1);
		}
}

/* A text that is part of the string itself. */
static void
test_alias(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;

	for (size_t i = 2; i < STOAI_COUNT(sizes); i++) {
		char from[16384] = {0}, twice[16384] = {0};

		memcpy(from, text_long, sizes[i]);
		assert_int_equal(
			STOA_DO(tx, f->seg, stoa_str_set(tx, s, from)), 0);
		assert_int_equal(
			STOA_DO(tx, f->seg,
				stoa_str_append(tx, s, stoa_str_get(tx, s))),
			0);
		strcat(strcpy(twice, from), from);
		assert_text(f, s, twice, 2 * sizes[i]);
		assert_int_equal(
			STOA_DO(tx, f->seg,
				stoa_str_set(tx, s,
					stoa_str_get(tx, s) + sizes[i] - 1)),
			0);
		assert_text(f, s, twice + sizes[i] - 1, sizes[i] + 1);
		assert_int_equal(STOA_DO(tx, f->seg,
					 stoa_str_printf(tx, s, "<%s>",
						 stoa_str_get(tx, s))),
			0);
		snprintf(from, sizeof from, "%s<%s>", twice + sizes[i] - 1,
			twice + sizes[i] - 1);
		assert_text(f, s, from, strlen(from));
	}
}

static void
test_printf(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;

	STOA_TX(tx, f->seg);
	stoa_str_printf(tx, s, "%d", 42);
	stoa_str_printf(tx, s, "%s", "");
	stoa_str_printf(tx, s, " and %.300s", text_long);
	assert_int_equal(stoa_str_size(tx, s), 307);
	assert_memory_equal(stoa_str_get(tx, s), "42 and abc", 10);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

/* Each scope undoes what it has appended, to the end that it found. */
static void
test_append_is_undone(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;
	char begun[41] = {0};

	memset(begun, 'a', 40);
	{
		STOA_TX(tx, f->seg);
		stoa_str_setn(tx, s, begun, 40);
		stoa_str_append(tx, s, "b"); /* there is room for more */
		stoa_str_setn(tx, s, begun, 40);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, f->seg);
		stoa_str_append(tx, s, "1");
		stoa_str_append(tx, s, "2");
		{
			STOA_TX(in, f->seg);
			stoa_str_append(in, s, "x");
			stoa_str_append(in, s, "y");
		}
		assert_int_equal(stoa_str_size(tx, s), 42);
		assert_string_equal(stoa_str_get(tx, s) + 40, "12");
		stoa_str_append(tx, s, "3");
		{
			STOA_TX(in, f->seg);
			stoa_str_append(in, s, "4");
			assert_int_equal(stoa_tx_commit(in), 0);
		}
		stoa_str_append(tx, s, "5");
		assert_string_equal(stoa_str_get(tx, s) + 40, "12345");
	}
	STOA_READ(rd, f->seg);
	assert_string_equal(stoa_str_get(rd, s), begun);
}

/* Many appends cost few blocks: capacity grows by halves. */
static void
test_growth(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;
	uint64_t block = 0, blocks = 0;

	for (int i = 0; i < 4000; i++) {
		assert_int_equal(
			STOA_DO(tx, f->seg, stoa_str_append(tx, s, "x")), 0);
		if (i >= 22 && s->word_[0] != block) {
			block = s->word_[0];
			blocks++;
		}
	}
	assert_int_equal(s->word_[1], 4000);
	assert_in_range(blocks, 5, 20);
}

/* A large one grows where it is while nothing is behind it. */
static void
test_longer_in_place(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;
	static char full[300000];
	uint64_t block;

	memset(full, 'x', sizeof full - 1);
	assert_int_equal(STOA_DO(tx, f->seg, stoa_str_set(tx, s, full)), 0);
	block = s->word_[0];
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		stoa_str_append(tx, s, full);
		assert_int_equal(s->word_[0], block);
		assert_int_equal(s->word_[1], 2 * (sizeof full - 1));
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_check(f->seg), 0);
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(strlen(stoa_str_get(rd, s)), 599998);
	}
}

static void
test_savepoint(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;
	char before[102];

	snprintf(before, 101, "%.100s", text_long);
	STOA_TX(tx, f->seg);
	stoa_str_set(tx, s, before);
	stoa_str_append(tx, s, "");
	{
		STOA_TX(inner, f->seg);
		stoa_str_set(inner, s, "short");
		stoa_str_append(inner, s, text_long);
	}
	assert_string_equal(stoa_str_get(tx, s), before);
	{
		STOA_TX(inner, f->seg);
		stoa_str_append(inner, s, "!");
		assert_int_equal(stoa_tx_commit(inner), 0);
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_text(f, s, strcat(before, "!"), 101);
}

/* Words that cannot be are an error, not a crash. */
static void
test_damage(void **state)
{
	struct fixture *f = *state;
	stoa_str *s = (stoa_str *)(uintptr_t)&f->p->a;
	static const stoa_str bad[] = {
		{{0, 0, UINT64_C(23) << 56}},
		{{0, 0, UINT64_C(0xfe) << 56}},
		{{0x6161616161616161, 0x6161616161616161, UINT64_C(3) << 56}},
		{{0, 5, STOAI_STR_HEAP | 32}},
		{{UINT64_C(1) << 50, 5, STOAI_STR_HEAP | 32}},
		{{8, 5, STOAI_STR_HEAP | 32}},
		{{UINT64_MAX, UINT64_MAX, UINT64_MAX}},
		{{65536, 32, STOAI_STR_HEAP | 32}},
		{{65536, UINT64_C(1) << 48,
			STOAI_STR_HEAP | UINT64_C(1) << 49}},
	};

	for (size_t i = 0; i < STOAI_COUNT(bad); i++) {
		*s = bad[i];
		{
			STOA_READ(rd, f->seg);
			assert_string_equal(stoa_str_get(rd, s), "");
			assert_int_equal(stoa_tx_error(rd), -EBADMSG);
		}
		{
			STOA_READ(rd, f->seg);
			assert_int_equal(
				stoai_str_check(rd, &stoa_type_stoa_str, s),
				-EBADMSG);
		}
		assert_int_equal(
			STOA_DO(tx, f->seg, stoa_str_append(tx, s, "x")),
			-EBADMSG);
		assert_memory_equal(s, &bad[i], sizeof *s);
	}
	memset(s, 0, sizeof *s);
	s->word_[1] = 1; /* a byte behind the text */
	{
		STOA_READ(rd, f->seg);
		assert_string_equal(stoa_str_get(rd, s), "");
		assert_int_equal(
			stoai_str_check(rd, &stoa_type_stoa_str, s), -EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "S1"));
	}
	memset(s, 0, sizeof *s);
}

static void
test_failed(void **state)
{
	struct fixture *f = *state;
	const stoa_str *s = &f->p->a;
	stoa_str outside = {{0}};

	assert_int_equal(STOA_DO(tx, f->seg, stoa_str_set(tx, s, "kept")), 0);
	{
		STOA_TX(tx, f->seg);
		stoa_str_set(tx, s, "lost");
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
		stoa_str_append(tx, s, "more");
		stoa_str_printf(tx, s, "%d", 1);
		assert_string_equal(stoa_str_get(tx, s), "");
		assert_int_equal(stoa_str_size(tx, s), 0);
		assert_int_equal(stoa_tx_commit(tx), -EDOM);
	}
	assert_text(f, s, "kept", 4);
	assert_int_equal(
		STOA_DO(tx, f->seg, stoa_str_set(tx, &outside, "x")), -EFAULT);
	{
		STOA_READ(rd, f->seg);
		stoa_str_set((stoa_tx *)(uintptr_t)rd, s, "x");
		assert_int_equal(stoa_tx_error(rd), -EROFS);
	}
	assert_text(f, s, "kept", 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_set_matrix, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_append_matrix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alias, setup, teardown),
		cmocka_unit_test_setup_teardown(test_printf, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_append_is_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_longer_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_savepoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
