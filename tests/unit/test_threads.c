/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Threads of one process in one mapping: the flavour of locks, conditions, heap
 * and containers that ThreadSanitizer can see. What is behind a lock is read by
 * plain loads, so a lock that orders less than it must is a reported race.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <pthread.h>
#include <cmocka.h>
#include "stoa/stoa.h"

#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

enum {
	THREADS = 4,
	ROUNDS = 2000,
	TEXTS = 8,
	KEYS = 64
};

typedef struct text {
	stoa_mutex lock;
	stoa_str s;
} text;
STOA_TYPE(text, lock, s);

typedef struct world {
	stoa_mutex m;
	stoa_rwlock rw;
	stoa_cond filled, emptied;
	uint64_t n, a, b;   /* behind m; behind rw: a == b */
	uint64_t held, sum; /* behind m: a buffer of one, and what came out */
	text texts[TEXTS];
	numbers map; /* behind rw: value == 3 * key */
} world;
STOA_TYPE(world, m, rw, filled, emptied, n, a, b, held, sum, (texts, text),
	(map, numbers));

static stoa_segment *seg;
static const world *w;
static uint32_t without;

static int
setup(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		       STOA_SEGMENT_OPTIONS(.size = 4 << 20, .threads = 8,
			       .without = without),
		       &seg) ||
	       stoa_object_open(seg, "world", world, &w);
}

static int
teardown(void **state)
{
	int rc = stoa_segment_check(seg);

	(void)state;
	if (rc)
		print_error("%s\n", stoa_error_text());
	seg = stoa_segment_close(seg);
	return rc;
}

/* All at once; each returns how often something was not as it must be. */
static void
together(void *(*body)(void *))
{
	pthread_t t[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, body, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong = NULL;

		assert_int_equal(pthread_join(t[i], &wrong), 0);
		assert_null(wrong);
	}
}

static uint64_t
next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *seed >> 33;
}

/* ---- mutex ---- */

static void *
count(void *arg)
{
	intptr_t wrong = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		wrong += STOA_DO(tx, (seg, &w->m), STOA_ADD(tx, w->n, 1)) != 0;
	return (void *)wrong;
}

static void
mutex(void **state)
{
	(void)state;
	together(count);
	assert_int_equal(w->n, THREADS * ROUNDS);
}

/* ---- readers and writers ---- */

static intptr_t
write_both(void)
{
	STOA_TX(tx, seg, &w->rw);
	STOA_ADD(tx, w->a, 1);
	STOA_SET(tx, w->b, w->a);
	return stoa_tx_commit(tx) != 0;
}

static intptr_t
read_both(void)
{
	STOA_READ(rd, seg, &w->rw);
	return w->a != w->b || stoa_tx_error(rd);
}

static void *
read_and_write(void *arg)
{
	uint64_t seed = (uint64_t)(intptr_t)arg;
	intptr_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++)
		wrong += next(&seed) % 4 ? read_both() : write_both();
	return (void *)wrong;
}

static void
rwlock(void **state)
{
	(void)state;
	together(read_and_write);
	assert_int_equal(w->a, w->b);
}

/* ---- condition ---- */

static intptr_t
put(uint64_t n)
{
	STOA_TX(tx, seg, &w->m);
	while (w->held && !stoa_tx_error(tx))
		if (stoa_tx_wait(tx, &w->emptied, STOA_FOREVER))
			break;
	STOA_SET(tx, w->held, n);
	stoa_tx_signal(tx, &w->filled);
	return stoa_tx_commit(tx) != 0;
}

static intptr_t
get(void)
{
	STOA_TX(tx, seg, &w->m);
	while (!w->held && !stoa_tx_error(tx))
		if (stoa_tx_wait(tx, &w->filled, STOA_FOREVER))
			break;
	STOA_ADD(tx, w->sum, w->held);
	STOA_SET(tx, w->held, 0);
	stoa_tx_signal(tx, &w->emptied);
	return stoa_tx_commit(tx) != 0;
}

static void *
put_or_get(void *arg)
{
	intptr_t me = (intptr_t)arg, wrong = 0;

	for (int i = 0; i < ROUNDS / 10; i++)
		wrong += me % 2 ? put((uint64_t)i + 1) : get();
	return (void *)wrong;
}

static void
condition(void **state)
{
	uint64_t each = ROUNDS / 10;

	(void)state;
	together(put_or_get);
	assert_int_equal(w->sum, THREADS / 2 * each * (each + 1) / 2);
	assert_int_equal(w->held, 0);
}

/* ---- heap: what one thread allocated, another frees ---- */

static intptr_t
text_set(const text *t, uint64_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijkl"
				      "mnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
				      "abcdefghijklmnopqrstuvwxyz";

	STOA_TX(tx, seg, &t->lock);
	stoa_str_set(tx, &t->s, letters + sizeof letters - 1 - size);
	return stoa_tx_commit(tx) != 0;
}

static void *
allocate_and_free(void *arg)
{
	uint64_t seed = (uint64_t)(intptr_t)arg;
	intptr_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++)
		wrong += text_set(
			&w->texts[next(&seed) % TEXTS], next(&seed) % 100);
	return (void *)wrong;
}

static void
heap(void **state)
{
	(void)state;
	together(allocate_and_free);
	for (int i = 0; i < TEXTS; i++)
		assert_int_equal(text_set(&w->texts[i], 0), 0);
}

/* ---- a hash map with readers and a writer ---- */

static intptr_t
map_change(uint64_t key, bool put)
{
	STOA_TX(tx, seg, &w->rw);
	if (put)
		(void)numbers_put(tx, &w->map, key, 3 * key);
	else
		(void)numbers_remove(tx, &w->map, key);
	return stoa_tx_commit(tx) != 0;
}

static intptr_t
map_look(uint64_t key)
{
	const uint64_t *found;

	STOA_READ(rd, seg, &w->rw);
	found = numbers_get(rd, &w->map, key);
	return (found && *found != 3 * key) || stoa_tx_error(rd);
}

static void *
look_or_change(void *arg)
{
	uint64_t seed = (uint64_t)(intptr_t)arg;
	intptr_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t key = next(&seed) % KEYS;

		wrong += arg ? map_look(key)
			     : map_change(key, next(&seed) % 3 != 0);
	}
	return (void *)wrong;
}

static void
hashmap(void **state)
{
	(void)state;
	together(look_or_change);
}

#define ALL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(mutex),
		ALL(rwlock),
		ALL(condition),
		ALL(heap),
		ALL(hashmap),
	};
	int failed = 0;

	for (without = 0; without < 4; without++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
