/* SPDX-License-Identifier: BSL-1.0 */
/* Locks and conditions without a transaction: modes, conversions, and what is told of a death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "scene.h"
#include "stoa/stoa.h"

typedef struct box {
	stoa_mutex m;
	stoa_rwlock l;
	stoa_cond c;
	uint64_t n;
} box;
STOA_TYPE(box, m, l, c, n);

static stoa_segment *seg;
static const box *at;

static int
setup(void **state)
{
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 8), &seg);

	(void)state;
	return rc ? rc : stoa_object_open(seg, "box", box, &at);
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

/* ---- what another thread finds; it ends with what it holds, which is a death ---- */

static void *
call(void *f)
{
	return (void *)(intptr_t)(*(int (**)(void))f)();
}

static int
another(int (*f)(void))
{
	pthread_t t;
	void *rc;

	assert_int_equal(pthread_create(&t, NULL, call, &f), 0);
	assert_int_equal(pthread_join(t, &rc), 0);
	return (int)(intptr_t)rc;
}

static int
try_mutex(void)
{
	int rc = stoa_mutex_lock_until(&at->m, STOA_NOW);

	if (!rc)
		stoa_mutex_unlock(&at->m);
	return rc;
}

static int
die_with_mutex(void)
{
	return stoa_mutex_lock(&at->m);
}

static enum stoa_mode wanted;

static int
try_lock(void)
{
	int rc = stoa_rwlock_lock_as(&at->l, wanted, STOA_NOW);

	if (!rc)
		stoa_rwlock_unlock(&at->l);
	return rc;
}

static int
die_with_lock(void)
{
	return stoa_rwlock_lock_as(&at->l, wanted, STOA_FOREVER);
}

static int
others_get(enum stoa_mode mode)
{
	wanted = mode;
	return another(try_lock);
}

/* ---- mutex ---- */

static void
mutex(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	assert_int_equal(another(try_mutex), -EAGAIN);
	assert_int_equal(stoa_mutex_lock(&at->m), -EDEADLK);
	stoa_mutex_unlock(&at->m);
	assert_int_equal(another(try_mutex), 0);
}

static int
wait_in_vain(void)
{
	return stoa_mutex_lock_until(&at->m, stoa_in_ms(20));
}

static void
deadlines(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	assert_int_equal(another(wait_in_vain), -ETIMEDOUT);
	stoa_mutex_unlock(&at->m);
	/* what is free is had, however late it is */
	assert_int_equal(stoa_mutex_lock_until(&at->m, 1), 0);
	stoa_mutex_unlock(&at->m);
}

static void
counted(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			stoa_mutex_lock_again(&at->m, STOA_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(another(try_mutex), -EAGAIN);
		stoa_mutex_unlock(&at->m);
	}
	assert_int_equal(another(try_mutex), 0);
}

static void
counted_to_an_end(void **state)
{
	int rc = 0, n = 0;

	(void)state;
	while (!rc && n < 70000) {
		rc = stoa_mutex_lock_again(&at->m, STOA_NOW);
		n += !rc;
	}
	assert_int_equal(rc, -EOVERFLOW);
	assert_int_equal(n, 65534);
	while (n--)
		stoa_mutex_unlock(&at->m);
	assert_int_equal(another(try_mutex), 0);
}

/* ---- death ---- */

static void
death_is_told(void **state)
{
	(void)state;
	assert_int_equal(another(die_with_mutex), 0);
	assert_int_equal(stoa_mutex_lock(&at->m), -EOWNERDEAD);
	assert_int_equal(another(try_mutex), -EAGAIN); /* it is held */
	stoa_mutex_unlock(&at->m);
	assert_int_equal(stoa_mutex_lock(&at->m), -EOWNERDEAD); /* not mended */
	stoa_mutex_mend(&at->m);
	stoa_mutex_unlock(&at->m);
	assert_int_equal(another(try_mutex), 0);
}

static void
poisoned(void **state)
{
	(void)state;
	stoa_mutex_poison(&at->m); /* by one who has it not: nothing */
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	stoa_mutex_poison(&at->m);
	stoa_mutex_unlock(&at->m);
	assert_int_equal(another(try_mutex), -ENOTRECOVERABLE);
	assert_int_equal(stoa_mutex_lock(&at->m), -ENOTRECOVERABLE);
	stoa_mutex_mend(&at->m);
	assert_int_equal(another(try_mutex), 0);
}

static void
mended_by_its_holder_only(void **state)
{
	(void)state;
	assert_int_equal(another(die_with_mutex), 0);
	stoa_mutex_mend(&at->m);
	assert_int_equal(stoa_mutex_lock(&at->m), -EOWNERDEAD);
	stoa_mutex_mend(&at->m);
	stoa_mutex_unlock(&at->m);
}

static void
modes_of_the_dead(void **state)
{
	static const int told[] = {
		[STOA_SHARED] = 0,
		[STOA_UPGRADABLE] = 0,
		[STOA_EXCLUSIVE] = -EOWNERDEAD,
	};

	(void)state;
	for (wanted = STOA_SHARED; wanted <= STOA_EXCLUSIVE; wanted++) {
		assert_int_equal(another(die_with_lock), 0);
		assert_int_equal(stoa_rwlock_lock(&at->l), told[wanted]);
		stoa_rwlock_mend(&at->l);
		stoa_rwlock_unlock(&at->l);
	}
	wanted = STOA_EXCLUSIVE;
	assert_int_equal(another(die_with_lock), 0);
	assert_int_equal(stoa_rwlock_share(&at->l), -EOWNERDEAD);
	stoa_rwlock_mend(&at->l); /* a reader cannot */
	stoa_rwlock_unlock(&at->l);
	assert_int_equal(stoa_rwlock_share(&at->l), -EOWNERDEAD);
	stoa_rwlock_unlock(&at->l);
	assert_int_equal(stoa_rwlock_lock(&at->l), -EOWNERDEAD);
	stoa_rwlock_mend(&at->l);
	stoa_rwlock_unlock(&at->l);
}

static void
a_transaction_is_told(void **state)
{
	stoa_tx *tx;

	(void)state;
	assert_int_equal(another(die_with_mutex), 0);
	tx = stoa_tx_begin(seg, (const stoa_hold[]){stoa_hold_of(&at->m)}, 1,
		STOA_FOREVER);
	assert_int_equal(stoa_tx_error(tx), -EOWNERDEAD);
	stoa_tx_end(tx);
	assert_int_equal(stoa_mutex_lock_until(&at->m, STOA_NOW), -EOWNERDEAD);
	stoa_mutex_mend(&at->m);
	stoa_mutex_unlock(&at->m);
	assert_int_equal(STOA_DO(ok, (seg, &at->m), STOA_ADD(ok, at->n, 1)), 0);
}

/* ---- beside transactions ---- */

static void
beside_a_transaction(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	assert_int_equal(STOA_DO(tx, (seg, &at->l), STOA_ADD(tx, at->n, 1)), 0);
	assert_int_equal(another(try_mutex), -EAGAIN); /* its end left it */
	assert_int_equal(
		STOA_DO(no, (seg, &at->m), STOA_ADD(no, at->n, 1)), -EDEADLK);
	{
		STOA_TX(tx, seg, &at->l);

		assert_int_equal(
			stoa_rwlock_lock_as(&at->l, STOA_SHARED, STOA_NOW),
			-EDEADLK);
		STOA_ADD(tx, at->n, 1);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	stoa_mutex_unlock(&at->m);
	assert_int_equal(another(try_mutex), 0);
}

/* ---- reader/writer lock ---- */

static void
who_may_beside_whom(void **state)
{
	static const int may[4][4] = {
		[STOA_SHARED] = {[STOA_SHARED] = 1, [STOA_UPGRADABLE] = 1},
		[STOA_UPGRADABLE] = {[STOA_SHARED] = 1},
	};

	(void)state;
	for (enum stoa_mode has = STOA_SHARED; has <= STOA_EXCLUSIVE; has++) {
		assert_int_equal(
			stoa_rwlock_lock_as(&at->l, has, STOA_FOREVER), 0);
		assert_int_equal(stoa_rwlock_mode(&at->l), has);
		for (enum stoa_mode get = STOA_SHARED; get <= STOA_EXCLUSIVE;
			get++)
			assert_int_equal(
				others_get(get), may[has][get] ? 0 : -EAGAIN);
		stoa_rwlock_unlock(&at->l);
		assert_int_equal(stoa_rwlock_mode(&at->l), STOA_UNLOCKED);
	}
	assert_int_equal(others_get(STOA_EXCLUSIVE), 0);
}

static void
converted(void **state)
{
	(void)state;
	for (enum stoa_mode from = STOA_SHARED; from <= STOA_EXCLUSIVE; from++)
		for (enum stoa_mode to = STOA_SHARED; to <= STOA_EXCLUSIVE;
			to++) {
			assert_int_equal(
				stoa_rwlock_lock_as(&at->l, from, STOA_NOW), 0);
			assert_int_equal(
				stoa_rwlock_convert(&at->l, to, STOA_NOW), 0);
			assert_int_equal(stoa_rwlock_mode(&at->l), to);
			assert_int_equal(at->l.seq_ % 2, to == STOA_EXCLUSIVE);
			assert_int_equal(others_get(STOA_SHARED),
				to == STOA_EXCLUSIVE ? -EAGAIN : 0);
			assert_int_equal(others_get(STOA_UPGRADABLE),
				to == STOA_SHARED ? 0 : -EAGAIN);
			assert_int_equal(others_get(STOA_EXCLUSIVE), -EAGAIN);
			stoa_rwlock_unlock(&at->l);
			assert_int_equal(others_get(STOA_EXCLUSIVE), 0);
			assert_int_equal(at->l.seq_ % 2, 0);
		}
}

static void
refused(void **state)
{
	(void)state;
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_SHARED, STOA_NOW), -EPERM);
	assert_int_equal(stoa_rwlock_share(&at->l), 0);
	assert_int_equal(stoa_rwlock_upgrade(&at->l), -EINVAL);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_UPGRADABLE, stoa_in_ms(10)),
		-EINVAL);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_UNLOCKED, STOA_NOW), -EINVAL);
	assert_int_equal(stoa_rwlock_share(&at->l), 0);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_EXCLUSIVE, STOA_NOW), -EBUSY);
	stoa_rwlock_unlock(&at->l);
	assert_int_equal(stoa_rwlock_lock(&at->l), -EDEADLK);
	assert_int_equal(stoa_rwlock_mode(&at->l), STOA_SHARED);
	stoa_rwlock_unlock(&at->l);
	assert_int_equal(
		stoa_rwlock_lock_as(&at->l, STOA_UNLOCKED, STOA_NOW), -EINVAL);
}

static void
where_no_lock_is(void **state)
{
	stoa_mutex local = {0, 0};

	(void)state;
	assert_int_equal(stoa_mutex_lock(&local), -EXDEV);
	assert_int_equal(
		stoa_mutex_lock((
			const stoa_mutex *)(const void *)((const char *)&at->m +
							  4)),
		-EXDEV);
	assert_int_equal(stoa_cond_signal((const stoa_cond *)&local), -EXDEV);
}

/* As many segments as a process may have: each lock is found, and given back. */
static void
in_every_segment(void **state)
{
	enum {
		SEGMENTS = 64
	};
	stoa_segment *s[SEGMENTS];
	const box *b[SEGMENTS];
	int n = 0;

	(void)state;
	for (; n < SEGMENTS; n++) {
		int rc = stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.limit = 1 << 20, .threads = 2),
			&s[n]);

		if (rc == -EMFILE)
			break; /* with the one that all cases share */
		assert_int_equal(rc, 0);
		assert_int_equal(stoa_object_open(s[n], "box", box, &b[n]), 0);
		assert_int_equal(stoa_mutex_lock(&b[n]->m), 0);
	}
	assert_int_equal(n, SEGMENTS - 1);
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	stoa_mutex_unlock(&at->m);
	for (int i = 0; i < n; i++) { /* none is the one used last */
		assert_int_equal(stoa_mutex_mode(&b[i]->m), STOA_EXCLUSIVE);
		stoa_mutex_unlock(&b[i]->m);
		assert_int_equal(b[i]->m.word_, 0);
		assert_int_equal(stoa_mutex_mode(&b[i]->m), STOA_UNLOCKED);
	}
	for (int i = 0; i < n; i++)
		stoa_segment_close(s[i]);
}

/* ---- two threads in turn: `step` says how far the other one is ---- */

static int step;

static void
step_set(int to)
{
	__atomic_store_n(&step, to, __ATOMIC_SEQ_CST);
}

static void
step_await(int at_least)
{
	while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) < at_least)
		sched_yield();
}

static void *
read_in_steps(void *unused)
{
	(void)unused;
	if (stoa_rwlock_share(&at->l))
		return NULL;
	step_set(1);
	step_await(2);
	stoa_rwlock_unlock(&at->l);
	return &step;
}

/* Beside a reader: an upgrade fails at its deadline, and is had when he leaves. */
static void
upgrade_waits_for_readers(void **state)
{
	pthread_t t;
	void *ok;

	(void)state;
	step_set(0);
	assert_int_equal(pthread_create(&t, NULL, read_in_steps, NULL), 0);
	step_await(1);
	assert_int_equal(
		stoa_rwlock_lock_as(&at->l, STOA_UPGRADABLE, STOA_NOW), 0);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_EXCLUSIVE, STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_EXCLUSIVE, stoa_in_ms(20)),
		-ETIMEDOUT);
	assert_int_equal(stoa_rwlock_mode(&at->l), STOA_UPGRADABLE);
	assert_int_equal(others_get(STOA_SHARED), 0);
	assert_int_equal(others_get(STOA_UPGRADABLE), -EAGAIN);
	step_set(2);
	assert_int_equal(stoa_rwlock_upgrade(&at->l), 0);
	assert_int_equal(pthread_join(t, &ok), 0);
	assert_non_null(ok);
	assert_int_equal(others_get(STOA_SHARED), -EAGAIN);
	stoa_rwlock_unlock(&at->l);
}

/* One of two that share cannot become more, and goes on sharing. */
static void
shared_becomes_more_alone(void **state)
{
	pthread_t t;
	void *ok;

	(void)state;
	step_set(0);
	assert_int_equal(pthread_create(&t, NULL, read_in_steps, NULL), 0);
	step_await(1);
	assert_int_equal(stoa_rwlock_share(&at->l), 0);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_EXCLUSIVE, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_rwlock_mode(&at->l), STOA_SHARED);
	step_set(2);
	assert_int_equal(pthread_join(t, &ok), 0);
	assert_int_equal(others_get(STOA_EXCLUSIVE), -EAGAIN);
	assert_int_equal(
		stoa_rwlock_convert(&at->l, STOA_EXCLUSIVE, STOA_NOW), 0);
	stoa_rwlock_unlock(&at->l);
}

/* A reader sleeps behind a writer, who then lets readers in: now, not at a tick. */
static void
readers_are_let_in(void **state)
{
	static const enum stoa_mode to[] = {STOA_UPGRADABLE, STOA_SHARED};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pthread_t t;
		void *ok;

		step_set(0);
		assert_int_equal(stoa_rwlock_lock(&at->l), 0);
		assert_int_equal(
			pthread_create(&t, NULL, read_in_steps, NULL), 0);
		while (!(__atomic_load_n(&at->l.word_, __ATOMIC_SEQ_CST) >> 31))
			sched_yield();
		assert_int_equal(
			stoa_rwlock_convert(&at->l, to[i], STOA_FOREVER), 0);
		step_await(1);
		step_set(2);
		assert_int_equal(pthread_join(t, &ok), 0);
		assert_non_null(ok);
		stoa_rwlock_unlock(&at->l);
	}
}

/* ---- conditions ---- */

static uint64_t *
number(void)
{
	return (uint64_t *)(uintptr_t)&at->n;
}

static void *
wait_for_three(void *with_rwlock)
{
	int rc = with_rwlock ? stoa_rwlock_lock(&at->l)
			     : stoa_mutex_lock_again(&at->m, STOA_FOREVER);

	if (!with_rwlock && !rc) /* given up whole, and had again whole */
		rc = stoa_mutex_lock_again(&at->m, STOA_FOREVER);
	step_set(1);
	while (!rc && at->n < 3)
		rc = with_rwlock ? stoa_cond_wait(&at->c, &at->l, STOA_FOREVER)
				 : stoa_cond_wait(&at->c, &at->m, STOA_FOREVER);
	if (with_rwlock) {
		stoa_rwlock_unlock(&at->l);
	} else {
		stoa_mutex_unlock(&at->m);
		if (another(try_mutex) != -EAGAIN)
			rc = -1;
		stoa_mutex_unlock(&at->m);
	}
	return rc ? NULL : &step;
}

static void
conditions(void **state)
{
	(void)state;
	for (int with_rwlock = 0; with_rwlock < 2; with_rwlock++) {
		pthread_t t;
		void *ok;

		step_set(0);
		*number() = 0;
		assert_int_equal(pthread_create(&t, NULL, wait_for_three,
					 with_rwlock ? &step : NULL),
			0);
		step_await(1);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(with_rwlock ? stoa_rwlock_lock(&at->l)
						     : stoa_mutex_lock(&at->m),
				0);
			++*number();
			if (with_rwlock)
				stoa_rwlock_unlock(&at->l);
			else
				stoa_mutex_unlock(&at->m);
			assert_int_equal(with_rwlock
						 ? stoa_cond_broadcast(&at->c)
						 : stoa_cond_signal(&at->c),
				0);
		}
		assert_int_equal(pthread_join(t, &ok), 0);
		assert_non_null(ok);
	}
}

static void
waits_that_fail(void **state)
{
	(void)state;
	assert_int_equal(stoa_cond_wait(&at->c, &at->m, STOA_NOW), -EPERM);
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	assert_int_equal(
		stoa_cond_wait(&at->c, &at->m, stoa_in_ms(10)), -ETIMEDOUT);
	assert_int_equal(another(try_mutex), -EAGAIN); /* it has it again */
	stoa_mutex_unlock(&at->m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutex),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(counted),
		cmocka_unit_test(counted_to_an_end),
		cmocka_unit_test(death_is_told),
		cmocka_unit_test(poisoned),
		cmocka_unit_test(mended_by_its_holder_only),
		cmocka_unit_test(modes_of_the_dead),
		cmocka_unit_test(a_transaction_is_told),
		cmocka_unit_test(beside_a_transaction),
		cmocka_unit_test(who_may_beside_whom),
		cmocka_unit_test(converted),
		cmocka_unit_test(refused),
		cmocka_unit_test(where_no_lock_is),
		cmocka_unit_test(in_every_segment),
		cmocka_unit_test(upgrade_waits_for_readers),
		cmocka_unit_test(shared_becomes_more_alone),
		cmocka_unit_test(readers_are_let_in),
		cmocka_unit_test(conditions),
		cmocka_unit_test(waits_that_fail),
	};

	return cmocka_run_group_tests_name("raw", tests, setup, teardown);
}
