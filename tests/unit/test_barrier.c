/* SPDX-License-Identifier: BSL-1.0 */
/* Barriers: members and marks, waiting, deaths of who is missing and who is there. */
#include "signal_fixture.h"

enum {
	THREADS = 4,
	ROUNDS = 600
};

static void
members(void **state)
{
	(void)state;
	assert_int_equal(
		stoa_barrier_wait_until(&at->barrier, STOA_NOW), -EPERM);
	assert_int_equal(stoa_barrier_leave(&at->barrier), -EPERM);
	assert_int_equal(
		stoa_barrier_wait_for(&at->barrier, 0, STOA_NOW), -EINVAL);
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	assert_int_equal(stoa_barrier_join(&at->barrier), -EALREADY);
	assert_int_equal(
		stoa_barrier_wait_for(&at->barrier, 1, STOA_NOW), -EALREADY);
	assert_int_equal(stoa_barrier_members(&at->barrier), 1);
	for (uint32_t i = 0; i < 600; i++) { /* the marks go round */
		assert_int_equal(stoa_barrier_phase(&at->barrier), i);
		assert_int_equal(stoa_barrier_wait(&at->barrier), 1);
	}
	assert_int_equal(stoa_barrier_leave(&at->barrier), 0);
	assert_int_equal(stoa_barrier_members(&at->barrier), 0);
	assert_int_equal(own_seat()->locks, 0);
	assert_int_equal(own_seat()->raw, 0);
	assert_int_equal(own_seat()->slot->waiting, 0);
}

static void
so_many(void **state)
{
	(void)state;
	assert_int_equal(stoa_barrier_wait_for(&at->barrier, 1, STOA_NOW), 1);
	assert_int_equal(
		stoa_barrier_wait_for(&at->barrier, 2, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_barrier_wait_for(&at->barrier, 2, stoa_in_ms(5)),
		-ETIMEDOUT);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
	assert_int_equal(stoa_barrier_members(&at->barrier), 0);
	assert_int_equal(own_seat()->raw, 0);
}

/* ---- who is missing ---- */

static int
join_and_wait(void)
{
	int rc = stoa_barrier_join(&at->barrier);

	return rc ? rc : stoa_barrier_wait(&at->barrier);
}

static void
all_must_come(void **state)
{
	struct caller c[2];
	int told = 0;

	(void)state;
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	for (int i = 0; i < 2; i++)
		caller_start(&c[i], join_and_wait);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 0);
	assert_int_equal(stoa_barrier_wait_until(&at->barrier, STOA_NOW), 1);
	for (int i = 0; i < 2; i++)
		told += caller_end(&c[i]);
	assert_int_equal(told, 0);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
}

static void
who_leaves_lets_go(void **state)
{
	struct caller c[2];

	(void)state;
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	for (int i = 0; i < 2; i++)
		caller_start(&c[i], join_and_wait);
	assert_int_equal(stoa_barrier_leave(&at->barrier), 0);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(caller_end(&c[i]), 0);
}

static int
give_up_then_wait(void)
{
	int rc = stoa_barrier_join(&at->barrier);

	if (!rc)
		rc = stoa_barrier_wait_until(&at->barrier, stoa_in_ms(20));
	(void)stoa_semaphore_post(&at->sem);
	if (rc != -ETIMEDOUT || stoa_event_wait(&at->event))
		return -EDOM;
	return stoa_barrier_wait(&at->barrier);
}

/* Who has given up is not there any more: the others wait for it again. */
static void
taken_back(void **state)
{
	struct caller c;

	(void)state;
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	caller_begin(&c, give_up_then_wait);
	assert_int_equal(stoa_semaphore_wait(&at->sem), 0);
	assert_int_equal(stoa_barrier_members(&at->barrier), 2);
	assert_int_equal(
		stoa_barrier_wait_until(&at->barrier, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_in_range(stoa_barrier_wait(&at->barrier) + caller_end(&c), 1, 1);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
}

static int
join_and_stay(void *unused)
{
	(void)unused;
	must(!stoa_barrier_join(&at->barrier));
	a64_store_release(&at->n, 1);
	for (;;)
		(void)pause();
}

/* It is a member, not there, and is killed: the others go on, and not at a tick. */
static void
who_dies_lets_go(void **state)
{
	uint64_t began;
	struct caller c[2];
	int child = scene_fork(join_and_stay, NULL);

	(void)state;
	while (!a64_load_acquire(&at->n))
		stoai_os_sleep(100000);
	for (int i = 0; i < 2; i++)
		caller_start(&c[i], join_and_wait);
	/* the third tick ends 262 to 438 ms after the first, the fourth from 562 on */
	stoai_os_sleep(450000000);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 0);
	began = stoai_os_now();
	(void)kill(child, SIGKILL);
	assert_int_equal(scene_wait(child), -SIGKILL);
	for (int i = 0; i < 2; i++)
		assert_true(caller_end(&c[i]) >= 0);
	assert_true(stoai_os_now() - began < 100000000);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
}

static int
die_at_wait(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAIT || call == STOAI_OS_FUTEX_WAITV)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static void
arrives_and_dies(void)
{
	stoai_os_fault = die_at_wait;
	must(stoa_barrier_wait_for(&at->barrier, 2, STOA_FOREVER) >= 0);
}

/* Who died there is not there: another one must come. */
static void
dead_do_not_count(void **state)
{
	(void)state;
	victim(arrives_and_dies);
	assert_int_equal(
		stoa_barrier_wait_for(&at->barrier, 2, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_barrier_wait_for(&at->barrier, 1, STOA_NOW), 1);
}

static void
moves_on_and_dies(void)
{
	stoai_os_fault = die_at_wake;
	must(stoa_barrier_wait_for(&at->barrier, 1, STOA_NOW) >= 0);
}

static void
dead_ones_wake_up_is_made(void **state)
{
	(void)state;
	wake_is_replayed(&at->barrier.phase_, moves_on_and_dies);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
}

static void
joins_and_dies(void)
{
	must(!stoa_barrier_join(&at->barrier));
}

static void
leaves_and_dies(void)
{
	must(!stoa_barrier_join(&at->barrier));
	stoai_os_fault = die_at_wake;
	must(!stoa_barrier_leave(&at->barrier));
}

/* Its entry is gone by then. One is there, and is let go by that. */
static void
dead_leavers_wake_up_is_made(void **state)
{
	uint64_t *entry, held = stoai_roll_held(
				 seg, &at->barrier.phase_, STOAI_HELD_MEMBER);

	(void)state;
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	entry = stoai_roll_find(own_seat(), held);
	stoai_roll_set(entry, held, 1); /* arrived in phase 0 */
	wake_is_replayed(&at->barrier.phase_, leaves_and_dies);
	assert_int_equal(stoa_barrier_phase(&at->barrier), 1);
}

static void
dead_members_waiters_look_again(void **state)
{
	(void)state;
	wake_is_replayed(&at->barrier.phase_, joins_and_dies);
	assert_int_equal(stoa_barrier_members(&at->barrier), 0);
}

/* ---- marks ---- */

static int
one_alone(void)
{
	return stoa_barrier_wait_for(&at->barrier, 1, STOA_NOW);
}

/*
 * One who was let go long ago and has not run since still has its mark: the phase in
 * which that mark would count is left out.
 */
static void
stale_marks_do_not_count(void **state)
{
	struct stoai_seat *seat = own_seat();
	uint64_t held =
		stoai_roll_held(seg, &at->barrier.phase_, STOAI_HELD_MEMBER);
	uint64_t *entry = stoai_roll_add(seat, held);
	struct caller c;

	(void)state;
	stoai_roll_mark(seat, at->barrier.members_);
	stoai_roll_set(entry, held, 1 + 3); /* arrived in phase 3 */
	at->barrier.phase_ = 3 + STOAI_ROLL_MAX - 1;
	caller_begin(&c, one_alone);
	assert_int_equal(caller_end(&c), 1);
	assert_int_equal(
		stoa_barrier_phase(&at->barrier), 3 + STOAI_ROLL_MAX + 1);
	stoai_roll_drop(seat, entry);
}

/* ---- all together ---- */

static void *
walk(void *p)
{
	bool joined = p != NULL;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		int rc;

		a64_fetch_add_seq_cst(&at->n, 1);
		rc = joined ? stoa_barrier_wait(&at->barrier)
			    : stoa_barrier_wait_for(
				      &at->barrier, THREADS, STOA_FOREVER);
		assert_true(rc >= 0);
		if (rc)
			a64_fetch_add_seq_cst(&at->m, 1);
		/* nobody is here before all have come, or a round further */
		assert_in_range(a64_load_seq_cst(&at->n), (i + 1) * THREADS,
			(i + 2) * THREADS);
		rc = joined ? stoa_barrier_wait(&at->barrier)
			    : stoa_barrier_wait_for(
				      &at->barrier, THREADS, STOA_FOREVER);
		assert_true(rc >= 0);
	}
	stoa_segment_detach(seg);
	return NULL;
}

static int joining;

static void *
join_then_walk(void *p)
{
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	__atomic_add_fetch(&joining, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&joining, __ATOMIC_SEQ_CST) < THREADS)
		stoai_os_yield();
	return walk(p);
}

static void
walk_together(void *(*f)(void *), void *arg)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, f, arg);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(at->n, THREADS * ROUNDS);
	assert_int_equal(at->m, ROUNDS); /* one in each was told */
}

static void
nobody_before_all(void **state)
{
	(void)state;
	walk_together(walk, NULL);
}

static void
no_member_before_all(void **state)
{
	(void)state;
	joining = 0;
	walk_together(join_then_walk, &joining);
	assert_int_equal(stoa_barrier_members(&at->barrier), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members),
		TEST(so_many),
		TEST(all_must_come),
		TEST(who_leaves_lets_go),
		TEST(taken_back),
		TEST(who_dies_lets_go),
		TEST(dead_do_not_count),
		TEST(dead_ones_wake_up_is_made),
		TEST(dead_leavers_wake_up_is_made),
		TEST(dead_members_waiters_look_again),
		TEST(stale_marks_do_not_count),
		TEST(nobody_before_all),
		TEST(no_member_before_all),
	};

	return cmocka_run_group_tests_name("barrier", tests, NULL, NULL);
}
