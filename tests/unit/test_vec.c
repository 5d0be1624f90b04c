/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Vectors: exact bytes, every call at every place, values that own memory, boxed
 * elements, undo, wrong types, damage.
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

typedef struct pair {
	uint32_t x, y;
} pair;
STOA_TYPE(pair, x, y);
typedef struct named {
	stoa_str name;
	uint64_t n;
} named;
STOA_TYPE(named, name, n);
typedef struct locked {
	stoa_mutex lock;
	uint64_t n;
} locked;
STOA_TYPE(locked, lock, n);

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>
#define STOA_NAME bytes
#define STOA_VAL  uint8_t
#include <stoa/template/vec.h>
#define STOA_NAME pairs
#define STOA_VAL  pair
#include <stoa/template/vec.h>
#define STOA_NAME lines
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>
#define STOA_NAME nameds
#define STOA_VAL  named
#include <stoa/template/vec.h>
#define STOA_NAME boxes
#define STOA_VAL  named
#define STOA_BOXED
#include <stoa/template/vec.h>
#define STOA_NAME lockeds
#define STOA_VAL  locked
#define STOA_BOXED
#include <stoa/template/vec.h>
#define STOA_NAME rows
#define STOA_VAL  numbers
#include <stoa/template/vec.h>

typedef struct page {
	numbers n;
	bytes b;
	pairs p;
	lines l;
	nameds s;
	boxes x;
	lockeds k;
	rows r;
} page;
STOA_TYPE(page, (n, numbers), (b, bytes), (p, pairs), (l, lines), (s, nameds),
	(x, boxes), (k, lockeds), (r, rows));

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
assert_sound(struct fixture *f, const stoa_type *t, const void *v)
{
	STOA_READ(rd, f->seg);
	assert_int_equal(stoai_vec_check(rd, t, v), 0);
}

static void
test_bytes_of_it(void **state)
{
	struct fixture *f = *state;
	const stoa_vec *v = &f->p->n.core_;
	static const stoa_vec zero;

	assert_memory_equal(v, &zero, sizeof zero);
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(numbers_count(rd, &f->p->n), 0);
		assert_null(numbers_get(rd, &f->p->n, 0));
		assert_sound(f, stoa_type_of(numbers), v);
	}
	{
		STOA_TX(tx, f->seg);
		for (uint64_t i = 0; i < 9; i++)
			assert_int_equal(*numbers_push(tx, &f->p->n, i), i);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_not_equal(v->data_, 0);
	assert_int_equal(v->count_, 9);
	assert_int_equal(v->capacity_, 16);
	assert_int_equal(v->type_, stoai_type_id(stoa_type_of(numbers)));
	assert_int_equal(v->size_, 8);
	assert_int_equal(v->boxed_, 0);
	{
		STOA_READ(rd, f->seg);
		size_t n;
		const uint64_t *data = numbers_data(rd, &f->p->n, &n);

		assert_int_equal(n, 9);
		assert_int_equal(stoai_off(f->seg, data), v->data_);
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(data[i], i);
	}
}

/* Each place of vectors of each size up to 9, undone and committed. */
static void
test_middle(void **state)
{
	struct fixture *f = *state;
	const bytes *v = &f->p->b;

	for (unsigned n = 0; n < 9; n++)
		for (unsigned i = 0; i <= n; i++) {
			uint8_t want[16];
			size_t count;

			STOA_TX(tx, f->seg);
			bytes_clear(tx, v);
			for (unsigned k = 0; k < n; k++)
				bytes_push(tx, v, (uint8_t)k);
			for (unsigned k = 0; k < 2; k++) {
				STOA_TX(inner, f->seg);
				assert_int_equal(
					*bytes_insert(inner, v, i, 99), 99);
				for (unsigned j = 0; j <= n; j++)
					want[j] = (uint8_t)(j < i    ? j
							    : j == i ? 99
								     : j - 1);
				assert_memory_equal(
					bytes_data(inner, v, &count), want,
					n + 1);
				assert_true(bytes_remove(inner, v, i));
				assert_int_equal(bytes_count(inner, v), n);
				if (n)
					assert_true(bytes_remove(inner, v, 0));
				bytes_insert(inner, v, 0, 77);
				if (!k)
					continue;
				assert_int_equal(stoa_tx_commit(inner), 0);
			}
			for (unsigned j = 0; j < n; j++)
				want[j] = (uint8_t)(j ? j : 77);
			assert_int_equal(bytes_count(tx, v), n ? n : 1);
			if (n)
				assert_memory_equal(
					bytes_data(tx, v, &count), want, n);
			assert_int_equal(stoa_tx_commit(tx), 0);
			assert_sound(f, stoa_type_of(bytes), v);
		}
}

static void
test_edges(void **state)
{
	struct fixture *f = *state;
	const pairs *v = &f->p->p;
	pair out = {7, 7};

	STOA_TX(tx, f->seg);
	assert_null(pairs_get(tx, v, 0));
	assert_null(pairs_edit(tx, v, 0));
	assert_false(pairs_remove(tx, v, 0));
	assert_false(pairs_pop(tx, v, &out));
	assert_int_equal(out.x, 7);
	pairs_push(tx, v, (pair){1, 2});
	pairs_add(tx, v)->y = 4;
	assert_null(pairs_get(tx, v, 2));
	assert_null(pairs_get(tx, v, SIZE_MAX));
	pairs_edit(tx, v, 1)->x = 3;
	assert_true(pairs_pop(tx, v, &out));
	assert_int_equal(out.x, 3);
	assert_int_equal(out.y, 4);
	assert_int_equal(stoa_tx_error(tx), 0);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_failed(void **state)
{
	struct fixture *f = *state;
	const pairs *v = &f->p->p;
	pair out = {7, 7};

	{
		STOA_TX(tx, f->seg);
		pairs_push(tx, v, out);
		pairs_insert(tx, v, 2, out)->x = 9; /* scratch */
		assert_int_equal(stoa_tx_error(tx), -EINVAL);
		assert_int_equal(pairs_count(tx, v), 0);
		assert_null(pairs_get(tx, v, 0));
		assert_null(pairs_edit(tx, v, 0));
		assert_false(pairs_pop(tx, v, &out));
		pairs_push(tx, v, out)->x = 9;
		pairs_resize(tx, v, 5);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	assert_int_equal(v->core_.type_, 0);
	assert_int_equal(v->core_.data_, 0);
}

/* Bytes behind the count may hold anything: what comes back is zero. */
static void
test_resize(void **state)
{
	struct fixture *f = *state;
	const numbers *v = &f->p->n;

	static const size_t sizes[] = {0, 1, 5, 8, 9, 100, 2000, 3000};

	for (size_t a = 0; a < STOAI_COUNT(sizes); a++)
		for (size_t b = 0; b < STOAI_COUNT(sizes); b++) {
			const size_t n = sizes[a], m = sizes[b];

			STOA_TX(tx, f->seg);
			numbers_resize(tx, v, 0);
			numbers_resize(tx, v, n);
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(*numbers_get(tx, v, i), 0);
				*numbers_edit(tx, v, i) = i + 1;
			}
			{
				STOA_TX(inner, f->seg);
				numbers_resize(inner, v, m);
				numbers_resize(inner, v, n + 1);
				for (size_t i = 0; i <= n; i++)
					assert_int_equal(
						*numbers_get(inner, v, i),
						i < m && i < n ? i + 1 : 0);
				numbers_resize(inner, v, 0);
				numbers_push(inner, v, 5);
			}
			assert_int_equal(numbers_count(tx, v), n);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(*numbers_get(tx, v, i), i + 1);
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
	assert_sound(f, stoa_type_of(numbers), v);
}

static uint64_t
used_blocks(struct fixture *f)
{
	stoa_segment_stat stat;

	stoa_segment_statistics(f->seg, &stat);
	return stat.blocks;
}

/* What elements own goes with them, at commit and not before. */
static void
test_owning(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "longer than twenty-two characters";
	uint64_t before;

	before = used_blocks(f);
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		for (int i = 0; i < 20; i++) {
			lines_push(tx, &f->p->l, text);
			stoa_str_set(tx, &nameds_add(tx, &f->p->s)->name, text);
			stoa_str_set(tx, &boxes_add(tx, &f->p->x)->name, text);
			numbers_push(tx, rows_add(tx, &f->p->r), 1);
		}
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	/* 4 vectors, 20 * (3 texts + 1 box + 1 row) */
	assert_int_equal(used_blocks(f), before + 4 + 100);
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		assert_true(lines_remove(tx, &f->p->l, 3));
		assert_true(nameds_remove(tx, &f->p->s, 0));
		assert_true(boxes_remove(tx, &f->p->x, 19));
		assert_true(rows_remove(tx, &f->p->r, 7));
		boxes_resize(tx, &f->p->x, 10);
		assert_string_equal(
			stoa_str_get(tx, &boxes_get(tx, &f->p->x, 9)->name),
			text);
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(used_blocks(f), before + 4 + 100 - 5 - 18);
	assert_sound(f, stoa_type_of(boxes), &f->p->x);
	{
		STOA_TX(tx, f->seg);
		lines_clear(tx, &f->p->l);
		nameds_clear(tx, &f->p->s);
		boxes_clear(tx, &f->p->x);
		rows_clear(tx, &f->p->r);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(used_blocks(f), before);
}

/* Clear gives the block back, also of a vector that was emptied before. */
static void
test_clear_empty(void **state)
{
	struct fixture *f = *state;
	uint64_t before = used_blocks(f), out;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_push(tx, &f->p->n, 1),
				 numbers_pop(tx, &f->p->n, &out)),
		0);
	assert_int_equal(used_blocks(f), before + 1);
	assert_int_equal(STOA_DO(tx, f->seg, numbers_clear(tx, &f->p->n)), 0);
	assert_int_equal(used_blocks(f), before);
	assert_sound(f, stoa_type_of(numbers), &f->p->n);
}

/* Boxed elements keep their address, whatever happens around them. */
static void
test_boxed(void **state)
{
	struct fixture *f = *state;
	const locked *first = NULL;
	named out;

	STOA_TX(tx, f->seg);
	lockeds_add(tx, &f->p->k)->n = 42;
	first = lockeds_get(tx, &f->p->k, 0);
	for (int i = 0; i < 100; i++)
		lockeds_add(tx, &f->p->k);
	assert_ptr_equal(lockeds_get(tx, &f->p->k, 0), first);
	assert_int_equal(first->n, 42);
	assert_true(lockeds_remove(tx, &f->p->k, 50));
	assert_int_equal(lockeds_count(tx, &f->p->k), 100);

	boxes_add(tx, &f->p->x)->n = 1;
	boxes_add(tx, &f->p->x)->n = 2;
	stoa_edit(tx, named, boxes_get(tx, &f->p->x, 1))->n = 3;
	assert_int_equal(
		stoa_vec_pop_(tx, &f->p->x.core_, stoa_type_of(boxes), &out),
		1);
	assert_int_equal(out.n, 3);
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_sound(f, stoa_type_of(lockeds), &f->p->k);
}

static void
test_wrong_type(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_push(tx, &f->p->n, 1)), 0);
	{
		STOA_READ(rd, f->seg);
		assert_null(pairs_get(
			rd, (const pairs *)(const void *)&f->p->n, 0));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
		assert_non_null(strstr(stoa_error_text(), "pair"));
	}
	assert_int_equal(
		STOA_DO(tx, f->seg,
			pairs_push(tx, (const pairs *)(const void *)&f->p->n,
				(pair){1, 1})),
		-EPROTOTYPE);
}

static void
test_damage(void **state)
{
	struct fixture *f = *state;
	stoa_vec *v = (stoa_vec *)(uintptr_t)&f->p->n.core_;
	stoa_vec good;

	assert_int_equal(STOA_DO(tx, f->seg, numbers_push(tx, &f->p->n, 1)), 0);
	good = *v;
	for (int i = 0; i < 6; i++) {
		switch (i) {
		case 0:
			v->count_ = UINT64_MAX;
			break;
		case 1:
			v->capacity_ = v->count_ = UINT64_C(1) << 60;
			break;
		case 2:
			v->data_ = 0;
			break;
		case 3:
			v->data_ = UINT64_C(1) << 43;
			break;
		case 4:
			v->data_ += 4;
			break;
		default:
			v->capacity_ = v->count_ = UINT64_C(1) << 40;
			break;
		}
		{
			STOA_READ(rd, f->seg);
			assert_null(numbers_get(rd, &f->p->n, 0));
			assert_int_equal(stoa_tx_error(rd), -EBADMSG);
		}
		{
			STOA_READ(rd, f->seg);
			assert_int_equal(
				stoai_vec_check(rd, stoa_type_of(numbers), v),
				-EBADMSG);
		}
		assert_int_equal(
			STOA_DO(tx, f->seg, numbers_push(tx, &f->p->n, 1)),
			-EBADMSG);
		assert_int_equal(
			STOA_DO(tx, f->seg, numbers_resize(tx, &f->p->n, 3)),
			-EBADMSG);
		*v = good;
	}
	v->size_ = 4;
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(stoai_vec_check(rd, stoa_type_of(numbers), v),
			-EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "V5"));
	}
	*v = good;
	v->capacity_ = 1000;
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(stoai_vec_check(rd, stoa_type_of(numbers), v),
			-EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "V3"));
	}
	*v = good;
	assert_sound(f, stoa_type_of(numbers), v);
}

/* A million pushes fill the log with one record a growth, not one a push. */
static void
test_log(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	for (uint64_t i = 0; i < 200000; i++)
		numbers_push(tx, &f->p->n, i);
	assert_int_equal(*numbers_get(tx, &f->p->n, 199999), 199999);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_dump(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof text, "w");

	{
		STOA_TX(tx, f->seg);
		numbers_push(tx, &f->p->n, 1);
		numbers_push(tx, &f->p->n, 2);
		numbers_push(tx, rows_add(tx, &f->p->r), 3);
		rows_add(tx, &f->p->r);
		boxes_add(tx, &f->p->x)->n = 4;
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	STOA_READ(rd, f->seg);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(numbers), &f->p->n, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(rows), &f->p->r, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(boxes), &f->p->x, out), 0);
	assert_int_equal(
		stoa_type_dump(rd, stoa_type_of(bytes), &f->p->b, out), 0);
	fclose(out);
	assert_string_equal(
		text, "[1,2]\n[[3],[]]\n[{\"name\":\"\",\"n\":4}]\n[]\n");
}

/* A large one grows where it is while nothing is behind it, and back if it is undone. */
static void
test_longer_in_place(void **state)
{
	struct fixture *f = *state;
	const stoa_vec *v = &f->p->n.core_;
	uint64_t at, capacity, blocks = used_blocks(f);
	const void *wall = NULL;

	assert_int_equal(
		STOA_DO(tx, f->seg, numbers_resize(tx, &f->p->n, 20000)), 0);
	at = v->data_;
	capacity = v->capacity_;
	for (int round = 0; round < 2; round++) {
		STOA_TX(tx, f->seg);
		for (uint64_t i = v->count_; i <= capacity; i++)
			numbers_push(tx, &f->p->n, i);
		assert_int_equal(v->data_, at);
		assert_in_range(v->capacity_, capacity + 1, UINT32_MAX);
		numbers_insert(tx, &f->p->n, 0, 77);
		if (round)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_check(f->seg), 0);
	assert_sound(f, stoa_type_of(numbers), &f->p->n);
	{
		STOA_READ(rd, f->seg);
		assert_int_equal(
			*numbers_get(rd, &f->p->n, capacity + 1), capacity);
	}
	{ /* something is behind it: it moves */
		STOA_TX(tx, f->seg);
		wall = stoa_alloc(tx, 1 << 20, 16);
		numbers_resize(tx, &f->p->n, v->capacity_ + 1);
		assert_int_not_equal(v->data_, at);
		stoa_free(tx, wall);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_sound(f, stoa_type_of(numbers), &f->p->n);
	assert_int_equal(STOA_DO(tx, f->seg, numbers_clear(tx, &f->p->n)), 0);
	assert_int_equal(used_blocks(f), blocks);
}

#define TEST_(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_(test_bytes_of_it),
		TEST_(test_middle),
		TEST_(test_edges),
		TEST_(test_failed),
		TEST_(test_resize),
		TEST_(test_owning),
		TEST_(test_clear_empty),
		TEST_(test_longer_in_place),
		TEST_(test_boxed),
		TEST_(test_wrong_type),
		TEST_(test_damage),
		TEST_(test_log),
		TEST_(test_dump),
	};

	return cmocka_run_group_tests_name("vec", tests, NULL, NULL);
}
