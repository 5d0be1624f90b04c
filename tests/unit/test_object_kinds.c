/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Objects of every kind: arrays, unique ones, those without a name; made with
 * something in them, found by address, counted, deleted by address.
 */
#include <pthread.h>
#include <unistd.h>
#include "object_fixture.h"

typedef struct page {
	_Alignas(4096) unsigned char byte[4096];
} page;
STOA_TYPE_OPAQUE(page);

typedef struct line {
	_Alignas(64) uint64_t n;
	uint64_t pad[7];
} line;
STOA_TYPE(line, n, pad);

/* Owns an array. */
typedef struct holder {
	node_ref nodes;
} holder;
STOA_TYPE(holder, (nodes, node, own));

/* ---- arrays ---- */

static void
arrays_know_their_count(void **state)
{
	const quote *q = NULL, *again = NULL;
	uint64_t count = 7;

	(void)state;
	{
		STOA_TX(tx, seg);
		quote *fresh = stoa_object_create_array(tx, "ten", quote, 10);

		for (int i = 0; i < 10; i++) {
			assert_int_equal(fresh[i].bid, 0);
			fresh[i] = (quote){i, -i};
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_object_open(seg, "ten", quote, &q), 0);
	assert_int_equal(q[9].ask, -9);
	assert_int_equal(
		stoa_object_open_array(seg, "ten", quote, 10, &again), 0);
	assert_ptr_equal(q, again);
	assert_int_equal(stoa_object_open_array(seg, "ten", quote, 11, &again),
		-EPROTOTYPE);
	assert_text("'ten' in '(unnamed)' is 10 of quote; you ask for 11");
	{
		STOA_READ(rd, seg);
		assert_ptr_equal(
			stoa_object_find_array(rd, "ten", quote, &count), q);
		assert_int_equal(count, 10);
		assert_null(stoa_object_find_array(rd, "no", quote, &count));
		assert_int_equal(count, 0);
	}
	assert_sound();
}

static void
counts_are_checked(void **state)
{
	static const uint64_t bad[] = {
		0, UINT64_MAX, UINT64_MAX / sizeof(quote) + 2};
	const quote *q = NULL;
	uint64_t before = blocks();

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(bad); i++) {
		assert_int_equal(
			stoa_object_open_array(seg, "a", quote, bad[i], &q),
			-EINVAL);
		STOA_TX(tx, seg);
		quote *p = bad[i] ? NULL
				  : stoa_object_create_array(
					    tx, "a", quote, bad[i]);
		if (p)
			p->bid = 1; /* scratch memory */
		if (bad[i])
			(void)stoa_new_array(tx, quote, bad[i]);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	/* what could be counted, and is not there */
	assert_int_equal(
		stoa_object_open_array(seg, "a", quote, UINT64_C(1) << 40, &q),
		-ENOSPC);
	assert_null(q);
	assert_int_equal(blocks(), before);
	assert_sound();
}

static int
init_text(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	node *n = element;

	n->n = index;
	stoa_str_printf(tx, &n->text, "element %d, and a long text behind it",
		(int)index);
	return user && index == *(const uint64_t *)user ? -EDOM : 0;
}

static void
elements_are_initialised(void **state)
{
	const quote value = {5, 6};
	const quote *q = NULL;
	const node *n = NULL;
	uint64_t stop = 2, before;

	(void)state;
	assert_int_equal(
		stoa_object_open_with(seg, "same", quote,
			STOA_OBJECT_OPTIONS(.count = 3, .value = &value), &q),
		0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(q[i].ask, 6);
	before = blocks();
	assert_int_equal(stoa_object_open_with(seg, "nodes", node,
				 STOA_OBJECT_OPTIONS(.count = 4,
					 .init = init_text, .user = &stop),
				 &n),
		-EDOM);
	assert_null(n);
	assert_int_equal(blocks(), before);
	assert_int_equal(
		stoa_object_open_with(seg, "nodes", node,
			STOA_OBJECT_OPTIONS(.count = 4, .init = init_text), &n),
		0);
	{
		STOA_READ(rd, seg);
		assert_string_equal(stoa_str_get(rd, &n[3].text),
			"element 3, and a long text behind it");
	}
	/* it is there: nothing is run */
	assert_int_equal(
		stoa_object_open_with(seg, "nodes", node,
			STOA_OBJECT_OPTIONS(.init = init_text, .user = &stop),
			&n),
		0);
	/* what owns memory cannot be copied */
	assert_int_equal(stoa_object_open_with(seg, "x", node,
				 STOA_OBJECT_OPTIONS(.value = n), &n),
		-EINVAL);
	assert_text("options.value: node owns memory");
	assert_int_equal(stoa_object_open_with(seg, "x", quote,
				 &(const stoa_object_options){.count = 1}, &q),
		-EINVAL);
	assert_sound();
	before = blocks();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "nodes")), 0);
	assert_int_equal(blocks(), before - 5); /* 4 texts with it */
	assert_sound();
}

/* ---- kinds ---- */

static void
unique_is_beside_named(void **state)
{
	const quote *u = NULL, *n = NULL, *p = NULL;
	stoa_object it;

	(void)state;
	assert_int_equal(stoa_object_open(seg, NULL, quote, &u), 0);
	assert_int_equal(stoa_object_open(seg, "quote", quote, &n), 0);
	assert_ptr_not_equal(u, n);
	assert_int_equal(stoa_object_open(seg, NULL, quote, &p), 0);
	assert_ptr_equal(u, p);
	{
		STOA_READ(rd, seg);
		assert_int_equal(stoa_object_count(rd, STOA_OBJECT_UNIQUE), 1);
		assert_int_equal(stoa_object_count(rd, STOA_OBJECT_NAMED), 1);
		assert_int_equal(
			stoa_object_count(rd, STOA_OBJECT_ANONYMOUS), 0);
		it = stoa_object_begin(rd);
		assert_true(stoa_object_next(&it));
		assert_int_equal(it.kind, STOA_OBJECT_UNIQUE);
		assert_string_equal(it.name, "quote");
		assert_ptr_equal(it.data, u);
		assert_true(stoa_object_next(&it));
		assert_int_equal(it.kind, STOA_OBJECT_NAMED);
		assert_ptr_equal(it.data, n);
		assert_false(stoa_object_next(&it));
	}
	{
		STOA_TX(tx, seg);
		(void)stoa_object_create(tx, NULL, quote);
		assert_int_equal(stoa_tx_commit(tx), -EEXIST);
	}
	assert_int_equal(
		STOA_DO(tx, seg, stoa_object_destroy_unique(tx, quote)), 0);
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, NULL, quote));
		assert_ptr_equal(stoa_object_find(rd, "quote", quote), n);
		assert_int_equal(stoa_object_count(rd, STOA_OBJECT_UNIQUE), 0);
	}
	{
		STOA_TX(tx, seg);
		assert_false(stoa_object_destroy_unique(tx, quote));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_sound();
}

/* No program can say the name of a unique one. */
static void
unique_has_no_name(void **state)
{
	const quote *q = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, NULL, quote, &q), 0);
	assert_int_equal(
		stoa_object_open(seg, "\001quote", quote, &q), -EINVAL);
	{
		STOA_TX(tx, seg);
		assert_false(stoa_object_destroy(tx, "quote"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		assert_false(stoa_object_destroy(tx, NULL));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	assert_sound();
}

/* ---- by address ---- */

static void
assert_is(const void *p, stoa_object_kind kind, const char *name,
	const char *type, uint64_t count)
{
	stoa_object o;

	STOA_READ(rd, seg);
	assert_true(stoa_object_of(rd, p, &o));
	assert_int_equal(o.kind, kind);
	assert_int_equal(o.count, count);
	assert_ptr_equal(o.data, p);
	if (name)
		assert_string_equal(o.name, name);
	else
		assert_null(o.name);
	if (type)
		assert_string_equal(o.type->name, type);
	else
		assert_null(o.type);
}

static void
an_address_tells(void **state)
{
	const quote *named = NULL, *unique = NULL;
	const holder *h = NULL;
	const node *one, *five;
	stoa_object o;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "n", quote, 3, &named), 0);
	assert_int_equal(stoa_object_open(seg, NULL, quote, &unique), 0);
	assert_int_equal(stoa_object_open(seg, "h", holder, &h), 0);
	{
		STOA_TX(tx, seg);
		node *fresh = stoa_new_array(tx, node, 5);

		for (int i = 0; i < 5; i++)
			stoa_str_set(tx, &fresh[i].text,
				"a text that is longer than a stoa_str");
		STOA_LINK(tx, h->nodes, fresh);
		five = fresh;
		one = stoa_new(tx, node);
		STOA_LINK(tx, five[4].next, one);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_sound();
	assert_is(named, STOA_OBJECT_NAMED, "n", "quote", 3);
	assert_is(unique, STOA_OBJECT_UNIQUE, "quote", "quote", 1);
	assert_is(five, STOA_OBJECT_ANONYMOUS, NULL, "node", 5);
	assert_is(one, STOA_OBJECT_ANONYMOUS, NULL, NULL, 1);
	{
		STOA_READ(rd, seg);
		assert_false(stoa_object_of(rd, named + 1, &o));
		assert_false(stoa_object_of(rd, five + 1, &o));
		assert_false(stoa_object_of(rd, NULL, &o));
		assert_int_equal(stoa_tx_error(rd), 0);
		assert_false(stoa_object_of(rd, &o, &o));
		assert_int_equal(stoa_tx_error(rd), -EFAULT);
	}
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "h")), 0);
	assert_sound();
}

static int
delete_quote(const void *p)
{
	STOA_TX(tx, seg);
	stoa_delete(tx, quote, (const quote *)p);
	return stoa_tx_commit(tx);
}

static void
any_is_deleted_by_address(void **state)
{
	const quote *named = NULL, *unique = NULL;
	const node *n = NULL;
	uint64_t before = blocks();
	const quote *array, *one;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "n", quote, 3, &named), 0);
	assert_int_equal(stoa_object_open(seg, NULL, quote, &unique), 0);
	assert_int_equal(stoa_object_open(seg, "node", node, &n), 0);
	{
		STOA_TX(tx, seg);
		array = stoa_new_array(tx, quote, 5);
		one = stoa_new(tx, quote);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(delete_quote(named + 1), -EFAULT);
	assert_int_equal(delete_quote(array + 1), -EFAULT);
	assert_int_equal(delete_quote(n), -EPROTOTYPE);
	assert_text("but another type");
	assert_int_equal(delete_quote(named), 0);
	assert_int_equal(delete_quote(unique), 0);
	assert_int_equal(delete_quote(array), 0);
	assert_int_equal(delete_quote(one), 0);
	assert_int_equal(delete_quote(named), -EFAULT);
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, "n", quote));
		assert_null(stoa_object_find(rd, NULL, quote));
	}
	assert_int_equal(objects(), 1);
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, node, n)), 0);
	/* buckets, and the types quote and node */
	assert_int_equal(blocks(), before + 3);
	assert_sound();
}

static void
free_locks_go_with_their_array(void **state)
{
	const guarded *g = NULL;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "g", guarded, 3, &g), 0);
	{
		STOA_TX(tx, seg, &g[2].lock);
		stoa_str_set(tx, &g[2].note,
			"a note that needs a block of "
			"its own");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, guarded, g)), 0);
	assert_int_equal(objects(), 0);
	assert_sound();
}

static pthread_barrier_t barrier;

static void *
hold_last(void *p)
{
	const guarded *g = p;
	{
		STOA_TX(tx, seg, &g[2].lock);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void
a_lock_that_is_held_keeps_the_array(void **state)
{
	const guarded *g = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "g", guarded, 3, &g), 0);
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(
		pthread_create(&thread, NULL, hold_last, (void *)(uintptr_t)g),
		0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_object_destroy(tx, "g")), -EBUSY);
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, guarded, g)), -EBUSY);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	assert_int_equal(objects(), 1);
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "g")), 0);
	assert_sound();
}

/* ---- limits ---- */

static void
over_aligned(void **state)
{
	const page *p = NULL;
	const line *l = NULL, *anonymous;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "page", page, 2, &p), 0);
	assert_int_equal((uintptr_t)p % 4096, 0);
	assert_int_equal(stoa_object_open(seg, NULL, line, &l), 0);
	assert_int_equal((uintptr_t)l % 64, 0);
	{
		STOA_TX(tx, seg);
		anonymous = stoa_new_array(tx, line, 3);
		assert_int_equal((uintptr_t)anonymous % 64, 0);
		assert_int_equal((uintptr_t)stoa_new(tx, page) % 4096, 0);
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	}
	assert_is(p, STOA_OBJECT_NAMED, "page", "page", 2);
	assert_is(l, STOA_OBJECT_UNIQUE, "line", "line", 1);
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, page, p),
				 stoa_delete(tx, line, l)),
		0);
	assert_sound();
}

static void
out_of_memory_leaves_all_whole(void **state)
{
	stoa_segment_stat s;
	const node *n = NULL;
	uint64_t before;

	(void)state;
	seg = stoa_segment_close(seg);
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20),
			&seg),
		0);
	assert_int_equal(stoa_object_open(seg, "first", node, &n), 0);
	before = blocks();
	for (uint64_t count = 100; count < 100000; count = count * 3 / 2) {
		int rc = stoa_object_open_with(seg, "many", node,
			STOA_OBJECT_OPTIONS(.count = count, .init = init_text),
			&n);

		if (!rc) {
			assert_int_equal(
				STOA_DO(tx, seg,
					stoa_object_destroy(tx, "many")),
				0);
			continue;
		}
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(objects(), 1);
		assert_int_equal(blocks(), before);
		assert_sound();
	}
	stoa_segment_statistics(seg, &s);
	assert_in_range(s.limit, 1, 1 << 20);
}

static void
long_names(void **state)
{
	static char name[65536];
	const quote *q = NULL, *again = NULL;

	(void)state;
	memset(name, 'x', sizeof name - 1);
	assert_int_equal(stoa_object_open(seg, name, quote, &q), 0);
	memcpy(name, "\xc3\xa4", 2);
	assert_int_equal(stoa_object_open(seg, name, quote, &again), 0);
	assert_ptr_not_equal(q, again);
	name[1] = 'x'; /* half a character */
	assert_int_equal(stoa_object_open(seg, name, quote, &q), -EINVAL);
	name[0] = 'x';
	{
		STOA_READ(rd, seg);
		stoa_object it = stoa_object_begin(rd);

		assert_true(stoa_object_next(&it));
		assert_string_equal(it.name, name);
		assert_null(stoa_object_find(rd, name, node));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
		assert_text("xxx...' in '(unnamed)' is quote (16 bytes");
	}
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, name)), 0);
	assert_int_equal(objects(), 1);
	assert_sound();
}

/* ---- the table ---- */

static void
room_and_back(void **state)
{
	stoa_segment_stat small, large;

	(void)state;
	many_make();
	stoa_segment_statistics(seg, &small);
	assert_int_equal(STOA_DO(tx, seg, stoa_object_reserve(tx, 100000)), 0);
	stoa_segment_statistics(seg, &large);
	assert_true(large.used >= small.used + 500000);
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_shrink(tx)), 0);
	stoa_segment_statistics(seg, &large);
	assert_int_equal(large.used, small.used);
	assert_sound();
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];

		many_name(name, i);
		assert_int_equal(
			STOA_DO(tx, seg, stoa_object_destroy(tx, name)), 0);
	}
	assert_int_equal(STOA_DO(tx, seg, stoa_object_shrink(tx)), 0);
	assert_sound();
	assert_int_equal(
		STOA_DO(tx, seg, stoa_object_reserve(tx, UINT64_MAX)), -ENOSPC);
	many_make();
	assert_sound();
}

static void *
tries_the_table(void *unused)
{
	const quote *q = NULL;
	int *rc = unused;

	{
		STOA_TX_UNTIL(tx, STOA_NOW, seg, stoa_object_lock(seg));
		rc[0] = stoa_tx_error(tx);
	}
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(10), seg, stoa_object_lock(seg));
		rc[1] = stoa_tx_error(tx);
	}
	rc[2] = stoa_object_open(seg, "a", quote, &q); /* waits */
	rc[3] = q ? (int)q->bid : -1;
	return NULL;
}

/* A function over the whole table: nobody sees half of it. */
static void
table_is_locked_first(void **state)
{
	pthread_t thread;
	int rc[4] = {0};

	(void)state;
	{
		STOA_TX(tx, seg, stoa_segment_lock(seg), stoa_object_lock(seg));
		assert_int_equal(
			pthread_create(&thread, NULL, tries_the_table, rc), 0);
		usleep(50000);
		stoa_object_create(tx, "a", quote)->bid = 1;
		(void)stoa_object_destroy(tx, "a");
		stoa_object_create(tx, "a", quote)->bid = 2;
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(rc[0], -EAGAIN);
	assert_int_equal(rc[1], -ETIMEDOUT);
	assert_int_equal(rc[2], 0);
	assert_int_equal(rc[3], 2);
	assert_sound();
}

static void
arrays_are_printed(void **state)
{
	const holder *h = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	stoa_object o;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "h", holder, &h), 0);
	{
		STOA_TX(tx, seg);
		quote *q = stoa_object_create_array(tx, "q", quote, 2);

		q[1].bid = 3;
		node *n = stoa_new_array(tx, node, 2);
		n[1].n = 7;
		STOA_LINK(tx, h->nodes, n);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_READ(rd, seg);
		assert_true(stoa_object_of(
			rd, stoa_object_find(rd, "q", quote), &o));
		assert_int_equal(stoa_object_dump(rd, &o, out), 0);
		assert_true(stoa_object_of(rd, h, &o));
		assert_int_equal(stoa_object_dump(rd, &o, out), 0);
	}
	fclose(out);
	assert_string_equal(text,
		"[{\"bid\":0,\"ask\":0},{\"bid\":3,\"ask\":0}]\n"
		"{\"nodes\":[{\"n\":0,\"text\":\"\",\"next\":null,\"back\":"
		"null}"
		",{\"n\":7,\"text\":\"\",\"next\":null,\"back\":null}]}\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(arrays_know_their_count),
		T(counts_are_checked),
		T(elements_are_initialised),
		T(unique_is_beside_named),
		T(unique_has_no_name),
		T(an_address_tells),
		T(any_is_deleted_by_address),
		T(free_locks_go_with_their_array),
		T(a_lock_that_is_held_keeps_the_array),
		T(over_aligned),
		T(out_of_memory_leaves_all_whole),
		T(long_names),
		T(room_and_back),
		T(table_is_locked_first),
		T(arrays_are_printed),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
