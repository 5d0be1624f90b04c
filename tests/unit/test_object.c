/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named objects in a real segment: open, find, create, undo, iterate, and many
 * who do it at once.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "object_fixture.h"

/* ---- open, find, create ---- */

static void
open_creates_once(void **state)
{
	const quote *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "one", quote, &a), 0);
	assert_non_null(a);
	assert_int_equal(a->bid, 0);
	assert_int_equal(a->ask, 0);
	assert_int_equal(stoa_object_open(seg, "one", quote, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(stoa_object_open(seg, NULL, quote, &c), 0);
	assert_ptr_not_equal(a, c);
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, "quote", quote));
		assert_ptr_equal(stoa_object_find(rd, NULL, quote), c);
		assert_ptr_equal(stoa_object_find(rd, "one", quote), a);
		assert_null(stoa_object_find(rd, "two", quote));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(objects(), 2);
	assert_sound();
}

static void
wrong_type_is_told(void **state)
{
	const quotes *q = NULL;
	const quotes_new *n = NULL;
	const quote *one = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "quotes", quotes, &q), 0);
	assert_int_equal(
		stoa_object_open(seg, "quotes", quotes_new, &n), -EPROTOTYPE);
	assert_null(n);
	assert_string_equal(stoa_error_text(),
		"'quotes' in '(unnamed)' is a hashmap of uint64_t to quote (16 "
		"bytes: bid, ask); you ask for quote_new (24 bytes: bid, ask, "
		"venue); use a new name, or unlink the segment");
	assert_int_equal(
		stoa_object_open(seg, "quotes", quote, &one), -EPROTOTYPE);
	assert_text("; you ask for quote (16 bytes: bid, ask); use");
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, "quotes", quote));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
	}
	assert_sound();
}

/* Same name, same size, same fields, but not the same behind the reference. */
static void
wrong_type_behind_a_reference(void **state)
{
	static const stoa_field f[2] = {{"a", 0, 8, STOA_KIND_U64, NULL},
		{"b", 8, 8, STOA_KIND_U64, NULL}};
	static const stoa_field g[2] = {{"b", 0, 8, STOA_KIND_U64, NULL},
		{"a", 8, 8, STOA_KIND_U64, NULL}};
	static const stoa_type one = {
		"item", 16, 8, STOA_KIND_STRUCT, 0, f, 2, NULL, NULL};
	static const stoa_type two = {
		"item", 16, 8, STOA_KIND_STRUCT, 0, g, 2, NULL, NULL};
	static const stoa_field link1 = {"first", 0, 8, STOA_KIND_OWN, &one};
	static const stoa_field link2 = {"first", 0, 8, STOA_KIND_OWN, &two};
	static const stoa_type list1 = {
		"items", 8, 8, STOA_KIND_STRUCT, 0, &link1, 1, NULL, NULL};
	static const stoa_type list2 = {
		"items", 8, 8, STOA_KIND_STRUCT, 0, &link2, 1, NULL, NULL};
	const void *p = NULL;

	(void)state;
	assert_int_equal(stoa_object_open_(seg, "x", &list1, &p), 0);
	assert_int_equal(stoa_object_open_(seg, "x", &list2, &p), -EPROTOTYPE);
	assert_text("item has 'a u64 0 8' there, 'b u64 0 8' here");
	/* both can be in one segment, and each is read back as it is */
	assert_int_equal(stoa_object_open_(seg, "y", &list2, &p), 0);
	assert_sound();
}

static void
create_appears_at_commit(void **state)
{
	uint64_t before = blocks();

	(void)state;
	{
		STOA_TX(tx, seg);
		quote *q = stoa_object_create(tx, "fresh", quote);

		q->bid = 7;
		assert_ptr_equal(stoa_object_find(tx, "fresh", quote), q);
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	}
	assert_int_equal(blocks(), before);
	assert_int_equal(objects(), 0);
	{
		STOA_TX(tx, seg);
		assert_null(stoa_object_find(tx, "fresh", quote));
		stoa_object_create(tx, "fresh", quote)->bid = 8;
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		quote *q = stoa_object_create(tx, "fresh", quote);

		assert_non_null(q);
		q->bid = 9; /* scratch memory */
		assert_int_equal(stoa_tx_commit(tx), -EEXIST);
		assert_text("'fresh' is in '(unnamed)' already");
	}
	{
		STOA_READ(rd, seg);
		const quote *q = stoa_object_find(rd, "fresh", quote);

		assert_non_null(q);
		assert_int_equal(q->bid, 8);
	}
	assert_sound();
}

/* A type that was stored and undone is not taken for stored. */
static void
types_are_undone_too(void **state)
{
	const quotes *q = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		STOA_TX(tx, seg);
		(void)stoa_object_create(tx, "a", quotes);
		(void)stoa_object_create(tx, "b", quotes);
		assert_non_null(stoa_object_find(tx, "a", quotes));
		assert_non_null(
			stoai_type_find(tx, stoai_type_id(&stoa_type_quotes)));
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	}
	assert_sound();
	{
		STOA_READ(rd, seg);
		const struct stoai_root *root = stoai_root(rd);

		assert_non_null(root);
		assert_int_equal(root->type_count, 0);
	}
	assert_int_equal(stoa_object_open(seg, "a", quotes, &q), 0);
	{
		STOA_READ(rd, seg);
		assert_int_equal(stoai_root(rd)->type_count, 2);
	}
	assert_sound();
}

static void
open_in_a_transaction(void **state)
{
	const quote *q = NULL, *again = NULL;

	(void)state;
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_object_open(seg, "in", quote, &q), 0);
		assert_int_equal(stoa_object_open(seg, "in", quote, &again), 0);
		assert_ptr_equal(q, again);
		STOA_SET(tx, q->bid, 5);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_int_equal(objects(), 0);
	{
		STOA_TX(tx, seg);
		{
			/* what a reader looks at may be created later on */
			STOA_READ(rd, seg);
			assert_int_equal(
				stoa_object_open(seg, "on", quote, &q), -EBUSY);
			assert_int_equal(stoa_tx_error(rd), 0);
		}
		assert_int_equal(stoa_object_open(seg, "on", quote, &q), 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_READ(rd, seg);
		assert_int_equal(stoa_object_open(seg, "on", quote, &again), 0);
		assert_ptr_equal(again, q);
		assert_int_equal(
			stoa_object_open(seg, "in", quote, &again), -EBUSY);
		assert_text("inside a read scope");
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(objects(), 1);
	assert_sound();
}

static void
names(void **state)
{
	static const char *const bad[] = {
		"", "a\nb", "\x7f", "\xff", "a\xc3", "\xed\xa0\x80"};
	static const char *const good[] = {
		"a", " ", "\xc3\xa9", "a/b", "..", "\"", "%s"};
	static char long_name[65537];
	const quote *q = NULL;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(bad); i++)
		assert_int_equal(
			stoa_object_open(seg, bad[i], quote, &q), -EINVAL);
	for (size_t i = 0; i < STOAI_COUNT(good); i++)
		assert_int_equal(stoa_object_open(seg, good[i], quote, &q), 0);
	memset(long_name, 'n', sizeof long_name);
	long_name[65536] = '\0';
	assert_int_equal(
		stoa_object_open(seg, long_name, quote, &q), -ENAMETOOLONG);
	assert_text("at most 65535 bytes; this one is 'nnn");
	assert_text("nnn...'");
	long_name[65535] = '\0';
	assert_int_equal(stoa_object_open(seg, long_name, quote, &q), 0);
	assert_sound();
	{
		STOA_TX(tx, seg);
		(void)stoa_object_create(tx, "", quote);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
}

static void
wrong_descriptions_are_refused(void **state)
{
	static const stoa_field f = {"a", 8, 8, STOA_KIND_U64, NULL};
	static const stoa_type gap = {
		"gap", 16, 8, STOA_KIND_STRUCT, 0, &f, 1, NULL, NULL};
	const void *p = NULL;

	(void)state;
	assert_int_equal(stoa_object_open_(seg, "gap", &gap, &p), -EINVAL);
	assert_text("bytes 0 to 7");
	{
		STOA_TX(tx, seg);
		assert_non_null(stoa_tx_new_(tx, &gap));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
		assert_text("bytes 0 to 7");
	}
	{
		STOA_TX(tx, seg);
		assert_non_null(stoa_object_create_(tx, "gap", &gap));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find_(rd, "gap", &gap));
		assert_int_equal(stoa_tx_error(rd), -EINVAL);
	}
	assert_int_equal(stoa_object_open_(NULL, "x", &gap, &p), -EINVAL);
}

/* ---- many ---- */

static void
iterate_in_order(void **state)
{
	char last[16] = "";
	unsigned n = 0;

	(void)state;
	many_make();
	assert_int_equal(objects(), MANY);
	assert_sound();
	{
		STOA_READ(rd, seg);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it); n++) {
			char name[16];

			assert_true(strcmp(last, it.name) < 0);
			(void)snprintf(last, sizeof last, "%s", it.name);
			assert_string_equal(it.type->name, "quote");
			many_name(
				name, (unsigned)((const quote *)it.data)->bid);
			assert_string_equal(name, it.name);
		}
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(n, MANY);
}

/* Destroying what was shown, and what comes next, while iterating. */
static void
iterate_and_destroy(void **state)
{
	unsigned n = 0;

	(void)state;
	many_make();
	{
		STOA_TX(tx, seg);
		stoa_object peek = stoa_object_begin(tx);

		for (stoa_object it = stoa_object_begin(tx);
			stoa_object_next(&it); n++) {
			assert_true(stoa_object_next(&peek));
			if (n == 0)
				assert_string_equal(peek.name, it.name);
			assert_true(stoa_object_destroy(tx, it.name));
			if (stoa_object_next(&peek))
				assert_true(stoa_object_destroy(tx, peek.name));
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(n, MANY / 2);
	assert_int_equal(objects(), 0);
	assert_sound();
}

static void
growth_is_undone(void **state)
{
	char name[16];
	uint64_t before;
	const quote *q = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "stays", quote, &q), 0);
	before = blocks();
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < MANY; i++) {
			many_name(name, i);
			stoa_object_create(tx, name, quote)->bid = i;
		}
		assert_int_equal(stoa_tx_error(tx), 0);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_int_equal(blocks(), before);
	assert_sound();
	{
		STOA_READ(rd, seg);
		assert_ptr_equal(stoa_object_find(rd, "stays", quote), q);
		many_name(name, 3);
		assert_null(stoa_object_find(rd, name, quote));
	}
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < MANY; i++) {
			many_name(name, i);
			stoa_object_create(tx, name, quote)->bid = i;
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(objects(), MANY + 1);
	assert_sound();
}

/* ---- races ---- */

enum {
	RACERS = 8,
	RACES = 50
};

static void *
race(void *p)
{
	const quote **found = p;
	char name[16];

	for (int i = 0; i < RACES; i++) {
		(void)snprintf(name, sizeof name, "race %d", i);
		if (stoa_object_open(seg, name, quote, &found[i]))
			return NULL;
	}
	return p;
}

static void
open_race_of_threads(void **state)
{
	static const quote *found[RACERS][RACES];
	pthread_t thread[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, race, found[i]), 0);
	for (int i = 0; i < RACERS; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		assert_non_null(ok);
		assert_memory_equal(found[i], found[0], sizeof found[0]);
	}
	assert_int_equal(objects(), RACES);
	assert_sound();
}

static void
open_race_of_processes(void **state)
{
	static const quote *found[RACES];
	pid_t pid[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			bool ok = race(found) != NULL;

			for (int k = 0; ok && k < RACES; k++)
				ok = !STOA_DO(tx, seg,
					STOA_ADD(tx, found[k]->bid, 1));
			_exit(!ok);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(objects(), RACES);
	assert_non_null(race(found));
	for (int k = 0; k < RACES; k++)
		assert_int_equal(found[k]->bid, RACERS);
	assert_sound();
}

/* Who finds nothing in a transaction may create: no upgrade stands in the way. */
static void *
find_or_create(void *p)
{
	for (int i = 0; i < RACES; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "foc %d", i);
		STOA_TX(tx, seg);
		const quote *q = stoa_object_find(tx, name, quote);

		if (!q)
			q = stoa_object_create(tx, name, quote);
		STOA_ADD(tx, q->bid, 1);
		if (stoa_tx_commit(tx))
			return NULL;
	}
	return p;
}

static void
find_or_create_race(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, find_or_create, &seg),
			0);
	for (int i = 0; i < 4; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		assert_non_null(ok);
	}
	assert_int_equal(objects(), RACES);
	assert_sound();
}

int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(open_creates_once),
		TEST(wrong_type_is_told),
		TEST(wrong_type_behind_a_reference),
		TEST(create_appears_at_commit),
		TEST(types_are_undone_too),
		TEST(open_in_a_transaction),
		TEST(names),
		TEST(wrong_descriptions_are_refused),
		TEST(iterate_in_order),
		TEST(iterate_and_destroy),
		TEST(growth_is_undone),
		TEST(open_race_of_threads),
		TEST(open_race_of_processes),
		TEST(find_or_create_race),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
