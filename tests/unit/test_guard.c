/* SPDX-License-Identifier: BSL-1.0 */
/* Guards: every way in and out of them, and the nine transfers with their failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>
#include "stoa/stoa.h"

typedef struct box {
	stoa_mutex m;
	stoa_rwlock l, other;
	stoa_cond c;
	uint64_t n;
} box;
STOA_TYPE(box, m, l, other, c, n);

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
	(void)state;
	seg = stoa_segment_close(seg);
	return 0;
}

static void *
run(void *f)
{
	(*(void (**)(void))f)();
	return NULL;
}

/* In another thread, which ends with what it holds. */
static void
another(void (*f)(void))
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, run, &f), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void
die_with_mutex(void)
{
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
}

static void
nobody_has_them(void)
{
	assert_int_equal(stoa_mutex_mode(&at->m), STOA_UNLOCKED);
	assert_int_equal(stoa_rwlock_mode(&at->l), STOA_UNLOCKED);
	assert_int_equal(stoa_rwlock_mode(&at->other), STOA_UNLOCKED);
}

/* ---- blocks ---- */

static int
leaves_by_return(void)
{
	STOA_LOCKED(&at->m)
	{
		return stoa_mutex_mode(&at->m) == STOA_EXCLUSIVE;
	}
	return -1;
}

static void
blocks(void **state)
{
	int times = 0, rc = 1;

	(void)state;
	STOA_LOCKED(&at->m)
	{
		times++;
		assert_int_equal(stoa_mutex_mode(&at->m), STOA_EXCLUSIVE);
	}
	STOA_LOCKED(&at->m)
	{
		STOA_LOCKED(&at->l)
		{
			times++;
			break;
		}
		assert_int_equal(stoa_rwlock_mode(&at->l), STOA_UNLOCKED);
	}
	STOA_LOCKED_AS(rc, &at->l, STOA_SHARED, STOA_NOW)
	{
		times++;
		assert_int_equal(rc, 0);
		assert_int_equal(stoa_rwlock_mode(&at->l), STOA_SHARED);
	}
	assert_int_equal(leaves_by_return(), 1);
	assert_int_equal(times, 3);
	nobody_has_them();
}

static void
blocks_that_are_skipped(void **state)
{
	int times = 0, rc = 0;

	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->m), 0);
	STOA_LOCKED(&at->m)
	{
		times++;
	}
	STOA_LOCKED_AS(rc, &at->m, STOA_EXCLUSIVE, STOA_NOW)
	{
		times++;
	}
	assert_int_equal(rc, -EDEADLK);
	stoa_mutex_unlock(&at->m);
	assert_int_equal(times, 0);
}

static void
blocks_after_a_death(void **state)
{
	int times = 0, rc = 0;

	(void)state;
	another(die_with_mutex);
	STOA_LOCKED(&at->m)
	{
		times++;
	}
	assert_int_equal(times, 0);
	nobody_has_them();
	STOA_LOCKED_AS(rc, &at->m, STOA_EXCLUSIVE, STOA_FOREVER)
	{
		assert_int_equal(rc, -EOWNERDEAD);
		stoa_mutex_mend(&at->m);
		times++;
	}
	STOA_LOCKED(&at->m)
	{
		times++;
	}
	assert_int_equal(times, 2);
}

/* ---- guards ---- */

static void
locked_adopted_released(void **state)
{
	(void)state;
	{
		STOA_GUARD(g, &at->l);
		assert_int_equal(stoa_guard_mode(&g), STOA_UNLOCKED);
		assert_int_equal(stoa_guard_unlock(&g), -EPERM);
		assert_int_equal(stoa_guard_adopt(&g), -EPERM);
		assert_int_equal(stoa_guard_lock(&g, STOA_SHARED, STOA_NOW), 0);
		assert_int_equal(
			stoa_guard_lock(&g, STOA_SHARED, STOA_NOW), -EBUSY);
		assert_int_equal(stoa_guard_adopt(&g), -EBUSY);
		assert_int_equal(stoa_guard_unlock(&g), 0);
		assert_int_equal(stoa_guard_unlock(&g), -EPERM);
		assert_int_equal(
			stoa_guard_lock(&g, STOA_UPGRADABLE, STOA_NOW), 0);
		assert_ptr_equal(stoa_guard_release(&g), &at->l);
		assert_int_equal(
			stoa_guard_lock(&g, STOA_SHARED, STOA_NOW), -EINVAL);
	}
	assert_int_equal(stoa_rwlock_mode(&at->l), STOA_UPGRADABLE);
	{
		STOA_GUARD(g, &at->l);
		assert_int_equal(stoa_guard_adopt(&g), 0);
		assert_int_equal(stoa_guard_mode(&g), STOA_UPGRADABLE);
	}
	nobody_has_them();
}

static void
mutexes_are_exclusive(void **state)
{
	STOA_GUARD(g, &at->m);

	(void)state;
	assert_int_equal(stoa_guard_lock(&g, STOA_SHARED, STOA_NOW), -EINVAL);
	assert_int_equal(stoa_guard_lock(&g, STOA_EXCLUSIVE, STOA_NOW), 0);
	assert_int_equal(
		stoa_guard_move(&g, &g, STOA_UPGRADABLE, STOA_NOW), -EINVAL);
	assert_int_equal(stoa_guard_mode(&g), STOA_EXCLUSIVE);
	assert_int_equal(
		stoa_guard_wait(&g, &at->c, stoa_in_ms(1)), -ETIMEDOUT);
}

static void
null_locks(void **state)
{
	static const stoa_null_lock null;
	int times = 0;

	(void)state;
	STOA_LOCKED(&null)
	{
		STOA_LOCKED(&null)
		{
			times++;
		}
	}
	assert_int_equal(times, 1);
	{
		STOA_GUARD(g, &null);
		assert_int_equal(stoa_guard_adopt(&g), 0);
		assert_int_equal(
			stoa_guard_move(&g, &g, STOA_SHARED, STOA_NOW), 0);
		assert_int_equal(stoa_guard_wait(&g, &at->c, STOA_NOW), -EPERM);
	}
}

/* ---- transfers ---- */

/* Every pair of modes, alone: the target has it in the wished mode, the source nothing. */
static void
transfers(void **state)
{
	(void)state;
	for (enum stoa_mode from = STOA_SHARED; from <= STOA_EXCLUSIVE; from++)
		for (enum stoa_mode to = STOA_SHARED; to <= STOA_EXCLUSIVE;
			to++) {
			STOA_GUARD(source, &at->l);
			STOA_GUARD(target, &at->other);

			assert_int_equal(
				stoa_guard_lock(&source, from, STOA_NOW), 0);
			assert_int_equal(stoa_guard_lock(&target,
						 STOA_EXCLUSIVE, STOA_NOW),
				0);
			assert_int_equal(
				stoa_guard_move(&target, &source, to, STOA_NOW),
				0);
			assert_int_equal(stoa_rwlock_mode(&at->l), to);
			assert_int_equal(stoa_guard_mode(&target), to);
			assert_null(stoa_guard_release(&source));
			/* what the target had before is free */
			assert_int_equal(
				stoa_rwlock_mode(&at->other), STOA_UNLOCKED);
		}
	nobody_has_them();
}

/* Beside a reader neither can become exclusive at once. */
static void
transfers_that_fail(void)
{
	static const enum stoa_mode from[] = {STOA_SHARED, STOA_UPGRADABLE};

	for (size_t i = 0; i < 2; i++) {
		STOA_GUARD(source, &at->l);
		STOA_GUARD(target, &at->other);

		assert_int_equal(
			stoa_guard_lock(&source, from[i], STOA_NOW), 0);
		assert_int_equal(stoa_guard_move(&target, &source,
					 STOA_EXCLUSIVE, STOA_NOW),
			-EAGAIN);
		if (from[i] == STOA_UPGRADABLE)
			assert_int_equal(stoa_guard_move(&target, &source,
						 STOA_EXCLUSIVE, stoa_in_ms(5)),
				-ETIMEDOUT);
		assert_int_equal(stoa_guard_mode(&source), from[i]);
		assert_int_equal(stoa_rwlock_mode(&at->l), from[i]);
		assert_null(stoa_guard_release(&target));
	}
}

static void
upgradable_is_taken(void)
{
	STOA_GUARD(source, &at->l);
	STOA_GUARD(target, &at->other);

	assert_int_equal(stoa_guard_lock(&source, STOA_SHARED, STOA_NOW), 0);
	assert_int_equal(
		stoa_guard_move(&target, &source, STOA_UPGRADABLE, STOA_NOW),
		-EAGAIN);
	assert_int_equal(
		stoa_guard_move(&target, &source, STOA_EXCLUSIVE, STOA_NOW),
		-EAGAIN);
	assert_int_equal(stoa_guard_mode(&source), STOA_SHARED);
	/* never offered: two of them would wait for each other */
	assert_int_equal(
		stoa_guard_move(&target, &source, STOA_EXCLUSIVE, STOA_FOREVER),
		-EINVAL);
	assert_int_equal(stoa_guard_mode(&source), STOA_SHARED);
}

static void
failures_change_nothing(void **state)
{
	(void)state;
	{
		STOA_GUARD(g, &at->l);
		assert_int_equal(stoa_guard_lock(&g, STOA_SHARED, STOA_NOW), 0);
		another(transfers_that_fail);
	}
	{
		STOA_GUARD(g, &at->l);
		assert_int_equal(
			stoa_guard_lock(&g, STOA_UPGRADABLE, STOA_NOW), 0);
		another(upgradable_is_taken);
	}
	nobody_has_them();
}

/* Also by the forms that may fail: the target has the lock, unlocked. */
static void
unlocked_is_handed_on(void **state)
{
	static const uint64_t deadline[] = {STOA_NOW, 1, STOA_FOREVER};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		STOA_GUARD(source, &at->l);
		STOA_GUARD(target, &at->other);

		assert_int_equal(stoa_guard_move(&target, &source,
					 STOA_EXCLUSIVE, deadline[i]),
			0);
		assert_int_equal(stoa_guard_mode(&target), STOA_UNLOCKED);
		assert_null(stoa_guard_release(&source));
		assert_ptr_equal(stoa_guard_release(&target), &at->l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks),
		cmocka_unit_test(blocks_that_are_skipped),
		cmocka_unit_test(blocks_after_a_death),
		cmocka_unit_test(locked_adopted_released),
		cmocka_unit_test(mutexes_are_exclusive),
		cmocka_unit_test(null_locks),
		cmocka_unit_test(transfers),
		cmocka_unit_test(failures_change_nothing),
		cmocka_unit_test(unlocked_is_handed_on),
	};

	return cmocka_run_group_tests_name("guard", tests, setup, teardown);
}
