/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a scope has found and inlined bodies go on with (stoa/detail/view.h): it is
 * used, and it is believed no longer than it is true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "container/container.h"
#include "stoa/stoa.h"

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

typedef struct page_line {
	uint64_t word[8];
} page_line;
STOA_TYPE(page_line, word);

#define STOA_NAME counts
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#define STOA_INLINE
#include <stoa/template/hashmap.h>

#define STOA_NAME plain
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

#define STOA_NAME others
#define STOA_VAL  page_line
#include <stoa/template/vec.h>

#define STOA_NAME lines
#define STOA_KEY  uint64_t
#define STOA_VAL  page_line
#define STOA_INLINE
#include <stoa/template/hashmap.h>

typedef struct page {
	numbers v, w;
	counts m;
	plain n;
	stoa_cond changed;
} page;
STOA_TYPE(page, (v, numbers), (w, numbers), (m, counts), (n, plain), changed);
/* without the condition, so that it may be edited as a whole */
typedef struct bare {
	numbers v;
	counts m;
} bare;
STOA_TYPE(bare, (v, numbers), (m, counts));

enum {
	KEYS = 40
};

struct fixture {
	stoa_segment *seg;
	const page *p;
	const bare *b;
};

static void
fill(stoa_tx *tx, const page *p)
{
	for (uint64_t i = 0; i < KEYS; i++) {
		(void)numbers_push(tx, &p->v, i);
		(void)counts_put(tx, &p->m, i, i);
		(void)plain_put(tx, &p->n, i, i);
	}
}

static int
setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof *f);

	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE, NULL, &f->seg), 0);
	assert_int_equal(stoa_object_open(f->seg, "page", page, &f->p), 0);
	assert_int_equal(stoa_object_open(f->seg, "bare", bare, &f->b), 0);
	assert_int_equal(STOA_DO(tx, f->seg, fill(tx, f->p)), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stoa_segment_check(f->seg), 0);
	assert_int_equal(stoa_segment_leaked(f->seg), 0);
	stoa_segment_close(f->seg);
	test_free(f);
	return 0;
}

/* What is there, by calls that do not look at any view. */
static void
assert_there(struct fixture *f, uint64_t elements, uint64_t keys)
{
	assert_int_equal(f->p->v.core_.count_, elements);
	assert_int_equal(f->p->m.core_.count_, keys);
	assert_int_equal(f->p->n.core_.count_, keys);
}

static void
test_it_is_used(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	(void)numbers_push(tx, &f->p->v, 1);
	assert_int_equal(tx->view.vec, stoa_view_key_(&f->p->v));
	const uint64_t *second = numbers_push(tx, &f->p->v, 2);
	assert_ptr_equal(second, (uint64_t *)(void *)tx->view.first + KEYS + 1);
	(void)counts_put(tx, &f->p->m, KEYS, 1);
	assert_int_equal(tx->view.map, stoa_view_key_(&f->p->m));
	assert_int_not_equal(tx->view.room, 0);
	uint64_t room = tx->view.room;
	(void)counts_put(tx, &f->p->m, KEYS + 1, 1);
	assert_int_equal(tx->view.room, room - 1);
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_int_equal(tx->view.map | tx->view.vec, 0);
	assert_int_equal(f->p->v.core_.count_, KEYS + 2);
	assert_int_equal(f->p->m.core_.count_, KEYS + 2);
	STOA_READ(rd, f->seg);
	assert_non_null(counts_get(rd, &f->p->m, 1));
	assert_int_equal(rd->view.map, stoa_view_key_(&f->p->m));
	assert_int_equal(rd->view.room, 0);
}

/* What is written over was there before the scope, and comes back with its undo. */
static void
test_pushed_over_what_was_there(void **state)
{
	struct fixture *f = *state;
	uint64_t popped;

	{
		STOA_TX(tx, f->seg);
		(void)numbers_push(tx, &f->p->v, 1);
		for (int i = 0; i < 3; i++)
			assert_true(numbers_pop(tx, &f->p->v, &popped));
		assert_int_equal(popped, KEYS - 2);
		numbers_resize(tx, &f->p->v, KEYS - 5);
		assert_true(numbers_remove(tx, &f->p->v, 0));
		assert_int_equal(tx->view.vec, stoa_view_key_(&f->p->v));
		for (uint64_t i = 0; i < 7; i++)
			(void)numbers_push(tx, &f->p->v, 1000 + i);
		assert_int_equal(*numbers_get(tx, &f->p->v, KEYS - 6), 1000);
	}
	STOA_READ(rd, f->seg);
	assert_there(f, KEYS, KEYS);
	for (uint64_t i = 0; i < KEYS; i++)
		assert_int_equal(*numbers_get(rd, &f->p->v, i), i);
}

/* Damage can make one address of two containers of different types. */
static void
test_another_type(void **state)
{
	struct fixture *f = *state;
	const others *o = (const void *)&f->p->v;
	const lines *l = (const void *)&f->p->m;

	{
		STOA_TX(tx, f->seg);
		(void)numbers_push(tx, &f->p->v, 1);
		assert_int_equal(tx->view.vec, stoa_view_key_(o));
		(void)others_add(tx, o);
		assert_int_equal(stoa_tx_error(tx), -EPROTOTYPE);
	}
	{
		STOA_TX(tx, f->seg);
		(void)counts_put(tx, &f->p->m, KEYS, 1);
		assert_int_equal(tx->view.map, stoa_view_key_(l));
		(void)stoa_hashmap_put_(tx, &l->core_, &stoa_type_lines,
			&(uint64_t){KEYS + 1}, 8, NULL);
		assert_int_equal(stoa_tx_error(tx), -EPROTOTYPE);
	}
	{
		STOA_TX(tx, f->seg);
		(void)counts_put(tx, &f->p->m, KEYS, 1);
		assert_int_equal(tx->view.map, stoa_view_key_(l));
		assert_null(stoa_hashmap_get_(
			tx, &l->core_, &stoa_type_lines, &(uint64_t){1}, 8));
		assert_int_equal(stoa_tx_error(tx), -EPROTOTYPE);
	}
	STOA_READ(rd, f->seg);
	assert_there(f, KEYS, KEYS);
	assert_non_null(counts_get(rd, &f->p->m, 1));
	assert_null(lines_get(rd, l, 1));
	assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
}

static void
test_two_take_turns(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	for (uint64_t i = 0; i < 100; i++) {
		(void)numbers_push(tx, &f->p->v, i);
		(void)numbers_push(tx, &f->p->w, 2 * i);
		(void)counts_put(tx, &f->p->m, 1000 + i, i);
		(void)plain_put(tx, &f->p->n, 1000 + i, i);
		assert_int_equal(*counts_get(tx, &f->p->m, 1000 + i), i);
		assert_int_equal(*plain_get(tx, &f->p->n, 1000 + i), i);
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_a_failure_ends_it(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	fill(tx, f->p);
	assert_non_null(counts_get(tx, &f->p->m, 1));
	assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	assert_int_equal(tx->view.map | tx->view.vec, 0);
	/* scratch memory, and nothing found */
	assert_false(stoai_in_heap(f->seg,
		(uint64_t)((char *)numbers_push(tx, &f->p->v, 7) -
			   f->seg->base),
		8));
	assert_false(stoai_in_heap(f->seg,
		(uint64_t)((char *)counts_put(tx, &f->p->m, 500, 7) -
			   f->seg->base),
		8));
	assert_null(counts_get(tx, &f->p->m, 1));
	assert_null(plain_get(tx, &f->p->n, 1));
	assert_int_equal(stoa_tx_commit(tx), -EDOM);
	assert_there(f, KEYS, KEYS);
}

static void
test_a_finished_scope_has_none(void **state)
{
	struct fixture *f = *state;
	stoa_tx *tx = stoa_tx_begin(f->seg, NULL, 0, STOA_FOREVER);

	fill(tx, f->p);
	assert_int_equal(stoa_tx_commit(tx), 0);
	(void)numbers_push(tx, &f->p->v, 7);
	(void)counts_put(tx, &f->p->m, 500, 7);
	assert_null(counts_get(tx, &f->p->m, 1));
	stoa_tx_end(tx);
	assert_there(f, 2 * KEYS, KEYS);
}

static void
test_a_scope_inside_ends_it(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	(void)numbers_push(tx, &f->p->v, 1);
	(void)counts_put(tx, &f->p->m, 1000, 1);
	{
		STOA_TX(in, f->seg);
		assert_int_equal(tx->view.map | tx->view.vec, 0);
		for (uint64_t i = 0; i < 200; i++) {
			(void)numbers_push(in, &f->p->v, i);
			(void)counts_put(in, &f->p->m, 2000 + i, i);
		}
		/* the outer one may read, and remembers nothing of it */
		assert_int_equal(*counts_get(tx, &f->p->m, 2001), 1);
		assert_int_equal(tx->view.map | tx->view.vec, 0);
	} /* undone */
	assert_int_equal(f->p->v.core_.count_, KEYS + 1);
	(void)numbers_push(tx, &f->p->v, 2);
	(void)counts_put(tx, &f->p->m, 1001, 1);
	assert_null(counts_get(tx, &f->p->m, 2001));
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_int_equal(f->p->v.core_.count_, KEYS + 2);
	assert_int_equal(f->p->m.core_.count_, KEYS + 2);
}

static void
test_an_inner_one_is_its_own(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	(void)numbers_push(tx, &f->p->v, 1);
	{
		STOA_TX(in, f->seg);
		(void)numbers_push(in, &f->p->v, 2);
		(void)numbers_push(in, &f->p->v, 3);
		(void)counts_put(in, &f->p->m, 1000, 1);
		(void)counts_put(in, &f->p->m, 1001, 1);
	} /* undone: counts that it saved for itself */
	assert_int_equal(f->p->v.core_.count_, KEYS + 1);
	assert_int_equal(f->p->m.core_.count_, KEYS);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_changes_between(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0;

	STOA_TX(tx, f->seg);
	(void)numbers_push(tx, &f->p->v, 1);
	assert_true(numbers_pop(tx, &f->p->v, &last));
	assert_int_equal(*numbers_push(tx, &f->p->v, 2), 2);
	assert_int_equal(*numbers_get(tx, &f->p->v, KEYS), 2);
	numbers_resize(tx, &f->p->v, 3);
	(void)numbers_push(tx, &f->p->v, 3);
	assert_int_equal(*numbers_get(tx, &f->p->v, 3), 3);
	numbers_clear(tx, &f->p->v);
	(void)numbers_push(tx, &f->p->v, 4);
	assert_int_equal(numbers_count(tx, &f->p->v), 1);
	assert_int_equal(*numbers_get(tx, &f->p->v, 0), 4);

	(void)counts_put(tx, &f->p->m, 1000, 1);
	assert_true(counts_remove(tx, &f->p->m, 1000));
	assert_null(counts_get(tx, &f->p->m, 1000));
	(void)counts_put(tx, &f->p->m, 1000, 2);
	assert_int_equal(*counts_get(tx, &f->p->m, 1000), 2);
	counts_clear(tx, &f->p->m);
	assert_null(counts_get(tx, &f->p->m, 1000));
	(void)counts_put(tx, &f->p->m, 1000, 3);
	assert_int_equal(*counts_get(tx, &f->p->m, 1000), 3);
	assert_non_null(plain_get(tx, &f->p->n, 1));
	plain_clear(tx, &f->p->n);
	assert_null(plain_get(tx, &f->p->n, 1));
	(void)plain_put(tx, &f->p->n, 1, 5);
	assert_int_equal(*plain_get(tx, &f->p->n, 1), 5);
	counts_reserve(tx, &f->p->m, 1000);
	(void)counts_put(tx, &f->p->m, 1001, 3);
	assert_int_equal(counts_count(tx, &f->p->m), 2);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

/* Over its words, as no program should: what is there then is what counts. */
static void
test_emptied_by_force(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	(void)numbers_push(tx, &f->b->v, 1);
	for (uint64_t i = 0; i < 20; i++)
		(void)counts_put(tx, &f->b->m, i, i);
	bare *edit = stoa_edit(tx, bare, f->b);
	bare kept = *edit;
	memset(edit, 0, sizeof *edit);
	assert_null(counts_get(tx, &f->b->m, 1));
	(void)numbers_push(tx, &f->b->v, 2);
	assert_int_equal(numbers_count(tx, &f->b->v), 1);
	assert_int_equal(*numbers_get(tx, &f->b->v, 0), 2);
	numbers_clear(tx, &f->b->v);
	*edit = kept;
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_waiting_ends_it(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	assert_non_null(counts_get(tx, &f->p->m, 1));
	assert_int_equal(tx->view.map, stoa_view_key_(&f->p->m));
	assert_int_equal(
		stoa_tx_wait(tx, &f->p->changed, stoa_in_ms(1)), -ETIMEDOUT);
	assert_int_equal(tx->view.map | tx->view.vec, 0);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

struct stranger {
	stoa_tx *tx;
	const page *p;
};

static void *
use_it(void *arg)
{
	const struct stranger *s = arg;

	(void)numbers_push(s->tx, &s->p->v, 1);
	(void)counts_put(s->tx, &s->p->m, 1000, 1);
	return (void *)(uintptr_t)counts_get(s->tx, &s->p->m, 1);
}

static void
test_another_thread_has_none(void **state)
{
	struct fixture *f = *state;
	struct stranger s = {.p = f->p};
	pthread_t thread;
	void *found;

	STOA_TX(tx, f->seg);
	s.tx = tx;
	(void)numbers_push(tx, &f->p->v, 1);
	(void)counts_put(tx, &f->p->m, 999, 1);
	assert_int_equal(pthread_create(&thread, NULL, use_it, &s), 0);
	assert_int_equal(pthread_join(thread, &found), 0);
	assert_null(found);
	assert_int_equal(f->p->v.core_.count_, KEYS + 1);
	assert_int_equal(f->p->m.core_.count_, KEYS + 1);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_a_child_has_none(void **state)
{
	struct fixture *f = *state;
	struct stranger s = {.p = f->p};
	int status = 0;
	pid_t pid;

	STOA_TX(tx, f->seg);
	s.tx = tx;
	(void)numbers_push(tx, &f->p->v, 1);
	(void)counts_put(tx, &f->p->m, 999, 1);
	pid = fork();
	if (!pid)
		_exit(use_it(&s) != NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(f->p->v.core_.count_, KEYS + 1);
	assert_int_equal(f->p->m.core_.count_, KEYS + 1);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
test_closing_ends_it(void **state)
{
	struct fixture *f = *state;
	stoa_segment *seg = NULL;
	const page *p = NULL;
	stoa_tx *tx;

	(void)f;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &seg), 0);
	assert_int_equal(stoa_object_open(seg, "page", page, &p), 0);
	tx = stoa_tx_begin(seg, NULL, 0, STOA_FOREVER);
	fill(tx, p);
	stoa_segment_close(seg);
	(void)numbers_push(tx, &p->v, 1); /* the mapping is gone */
	assert_null(counts_get(tx, &p->m, 1));
	stoa_tx_end(tx);
}

/* A key in a full group, and the first key that makes the table grow. */
static void
test_full_groups(void **state)
{
	struct fixture *f = *state;

	STOA_TX(tx, f->seg);
	for (uint64_t i = 0; i < 5000; i++) {
		(void)counts_put(tx, &f->p->m, 1000 + 3 * i, i);
		if (i % 3 == 0)
			assert_true(counts_remove(
					    tx, &f->p->m, 1000 + 3 * (i / 2)) ||
				    i);
	}
	for (uint64_t i = 4000; i < 5000; i++) {
		const uint64_t *n = counts_get(tx, &f->p->m, 1000 + 3 * i);

		assert_non_null(n);
		assert_int_equal(*n, i);
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_it_is_used),
		TEST(test_pushed_over_what_was_there),
		TEST(test_another_type),
		TEST(test_two_take_turns),
		TEST(test_a_failure_ends_it),
		TEST(test_a_finished_scope_has_none),
		TEST(test_a_scope_inside_ends_it),
		TEST(test_an_inner_one_is_its_own),
		TEST(test_changes_between),
		TEST(test_emptied_by_force),
		TEST(test_waiting_ends_it),
		TEST(test_another_thread_has_none),
		TEST(test_a_child_has_none),
		TEST(test_closing_ends_it),
		TEST(test_full_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
