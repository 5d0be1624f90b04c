/* SPDX-License-Identifier: BSL-1.0 */
/* Semaphores and permits: words, waiting, deaths at the worst places. */
#include "signal_fixture.h"

enum {
	THREADS = 4,
	ROUNDS = 4000,
	POOL = 3
};

/* ---- semaphore ---- */

static void
counts(void **state)
{
	(void)state;
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	assert_int_equal(stoa_semaphore_post_many(&at->sem, 2), 0);
	assert_int_equal(stoa_semaphore_post_many(&at->sem, 0), 0);
	assert_int_equal(stoa_semaphore_value(&at->sem), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stoa_semaphore_wait(&at->sem), 0);
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, STOA_NOW), -EAGAIN);
	assert_int_equal(a32_load_acquire(&at->sem.word_), 0);
	assert_int_equal(
		stoa_semaphore_post_many(&at->sem, STOA_SEMAPHORE_MAX), 0);
	assert_int_equal(stoa_semaphore_post(&at->sem), -EOVERFLOW);
	assert_int_equal(
		stoa_semaphore_post_many(&at->sem, UINT32_MAX), -EOVERFLOW);
	assert_int_equal(stoa_semaphore_value(&at->sem), STOA_SEMAPHORE_MAX);
	assert_int_equal(own_seat()->slot->waiting, 0);
}

static void
refusals(void **state)
{
	stoa_semaphore outside = {0, 0};
	stoa_permits pool = {.total_ = 1};
	struct stoai_seat *seat;

	(void)state;
	assert_int_equal(stoa_semaphore_post(&outside), -EXDEV);
	assert_int_equal(stoa_semaphore_wait_until(&outside, STOA_NOW), -EXDEV);
	assert_int_equal(stoa_permits_take(&pool), -EXDEV);
	assert_int_equal(stoa_permits_give(&pool), -EPERM);
	assert_int_equal(stoa_permits_available(&pool), -EXDEV);
	seat = own_seat();
	seat->busy = 1; /* as in a signal handler that interrupts a call */
	assert_int_equal(stoa_semaphore_post(&at->sem), -EDEADLK);
	assert_int_equal(stoa_permits_take(&at->permits), -EDEADLK);
	seat->busy = 0;
}

static void
times_out(void **state)
{
	uint64_t began = stoai_os_now();

	(void)state;
	assert_int_equal(stoa_semaphore_wait_until(&at->sem, stoa_in_ms(30)),
		-ETIMEDOUT);
	assert_in_range((stoai_os_now() - began) / 1000000, 29, 500);
	assert_non_null(strstr(stoa_error_text(), "not posted in time"));
	assert_int_equal(a32_load_acquire(&at->sem.word_),
		SLEEPING); /* others may sleep */
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	assert_int_equal(a32_load_acquire(&at->sem.word_), 1);
	/* a deadline that is over, but there is one */
	assert_int_equal(stoa_semaphore_wait_until(&at->sem, 1), 0);
	assert_int_equal(own_seat()->slot->waiting, 0);
}

static int
wait_one(void)
{
	return stoa_semaphore_wait(&at->sem);
}

static int
post_at_timeout(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	stoai_os_fault = NULL;
	a32_fetch_add_seq_cst(&at->sem.word_, 1);
	stoai_os_sleep(250000000); /* and the deadline is over */
	return -ETIMEDOUT;
}

/* Posted as its time ran out: it has one, and reports no time-out. */
static void
woken_at_the_end_is_woken(void **state)
{
	(void)state;
	(void)own_seat();
	stoai_os_fault = post_at_timeout;
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, stoa_in_ms(200)), 0);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING);
}

static int
taken_at_timeout(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	stoai_os_fault = NULL;
	at->sem.word_ =
		0; /* posted, which cleared the bit, and taken by another */
	stoai_os_sleep(250000000);
	return -ETIMEDOUT;
}

/* Who was woken and leaves empty-handed says that others may sleep. */
static void
late_waiter_marks_the_word(void **state)
{
	(void)state;
	(void)own_seat();
	stoai_os_fault = taken_at_timeout;
	assert_int_equal(stoa_semaphore_wait_until(&at->sem, stoa_in_ms(200)),
		-ETIMEDOUT);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING);
}

static int
two_at_once(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	stoai_os_fault = NULL;
	a32_store_release(&at->sem.word_,
		2); /* one post has woken us, the next one nobody */
	return 0;
}

/* The post that found no bit is handed on by who was woken for the one before. */
static void
handed_on(void **state)
{
	struct sleeper s;
	int rc, woken;

	(void)state;
	(void)own_seat();
	a32_store_release(&at->sem.word_, SLEEPING);
	sleepers_start(&s, 1, &at->sem.word_);
	stoai_os_fault = two_at_once;
	rc = stoa_semaphore_wait(&at->sem);
	woken = sleepers_woken(&s, 1); /* it ends, whatever is wrong */
	assert_int_equal(rc, 0);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING | 1);
	assert_int_equal(woken, 1);
}

static void
wakes_as_many(void **state)
{
	struct caller c[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		caller_start(&c[i], wait_one);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING);
	assert_int_equal(stoa_semaphore_post_many(&at->sem, 3), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(caller_end(&c[i]), 0);
	assert_int_equal(stoa_semaphore_value(&at->sem), 0);
}

static void
posts_and_dies(void)
{
	stoai_os_fault = die_at_wake;
	(void)stoa_semaphore_post(&at->sem);
}

static void
dead_posters_wake_up_is_made(void **state)
{
	(void)state;
	a32_store_release(&at->sem.word_, SLEEPING);
	wake_is_replayed(&at->sem.word_, posts_and_dies);
	assert_int_equal(
		a32_load_acquire(&at->sem.word_), 1); /* it was posted, once */
}

static int
two_then_die(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAIT) {
		a32_store_release(&at->sem.word_, 2);
		return -EAGAIN;
	}
	return die_at_wake(call);
}

static void
is_woken_and_dies(void)
{
	struct stoai_seat *seat = stoai_seat_of(seg);

	seat->slot->waiting =
		stoai_off(seg, &at->sem); /* woken, not yet awake */
}

static void
takes_and_dies(void)
{
	stoai_os_fault = two_then_die;
	must(!stoa_semaphore_wait(&at->sem));
}

static void
dead_waiters_wake_up_is_handed_on(void **state)
{
	(void)state;
	a32_store_release(&at->sem.word_, SLEEPING);
	wake_is_replayed(&at->sem.word_, is_woken_and_dies);
	wake_is_replayed(&at->sem.word_, takes_and_dies);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING | 1);
}

static void *
pass_round(void *p)
{
	(void)p;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(
			stoa_semaphore_wait_until(&at->sem, stoa_in_ms(10000)),
			0);
		a64_fetch_add_seq_cst(&at->n, 1);
		assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	}
	stoa_segment_detach(seg);
	return NULL;
}

static void
nothing_is_lost(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	assert_int_equal(stoa_semaphore_post_many(&at->sem, 2), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, pass_round, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(at->n, THREADS * ROUNDS);
	assert_int_equal(stoa_semaphore_value(&at->sem), 2);
}

/* ---- permits ---- */

static void
owned(void **state)
{
	struct stoai_seat *seat = own_seat();

	(void)state;
	assert_int_equal(
		stoa_permits_take_until(&at->permits, STOA_NOW), -EAGAIN);
	assert_int_equal(seat->locks, 0);
	assert_int_equal(stoa_permits_give(&at->permits), -EPERM);
	assert_int_equal(stoa_permits_set_total(&at->permits, 2), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 2);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_held(&at->permits), 2);
	assert_int_equal(
		stoa_permits_take_until(&at->permits, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_permits_available(&at->permits), 0);
	/* fewer than are taken: nobody gets one until enough are back */
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 0);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	assert_int_equal(
		stoa_permits_take_until(&at->permits, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_permits_held(&at->permits), 1);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	assert_int_equal(stoa_permits_held(&at->permits), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
	assert_int_equal(seat->locks, 0);
	assert_int_equal(seat->raw, 0);
}

/* A transaction gives up its own locks at its end, and no permit. */
static void
outlive_transactions(void **state)
{
	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 2), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, at->n, 1)), 0);
	assert_int_equal(stoa_permits_held(&at->permits), 1);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
	stoa_segment_detach(seg); /* as death: it is given back */
	assert_int_equal(stoa_permits_held(&at->permits), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 2);
}

static void
at_most(void **state)
{
	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 1000), 0);
	for (int i = 0; i < STOAI_ROLL_MAX; i++)
		assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_take(&at->permits), -EOVERFLOW);
	assert_int_equal(stoa_permits_available(&at->permits), 745);
	stoa_segment_detach(seg);
	assert_int_equal(stoa_permits_available(&at->permits), 1000);
}

static void
takes_two_and_dies(void)
{
	must(!stoa_permits_take(&at->permits));
	must(!stoa_permits_take(&at->permits));
}

/* Nobody recovers it but who asks for one. */
static void
dead_give_back(void **state)
{
	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 2), 0);
	victim(takes_two_and_dies);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	victim(takes_two_and_dies);
	assert_int_equal(stoa_permits_available(&at->permits), 2);
	assert_int_equal(at->permits.lock_.word_, 0);
}

static void
dead_ones_waiters_are_woken(void **state)
{
	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 2), 0);
	a32_store_release(&at->permits.seq_, 1);
	wake_is_replayed(&at->permits.seq_, takes_two_and_dies);
	assert_int_equal(stoa_permits_available(&at->permits), 2);
}

static void
gives_and_dies(void)
{
	must(!stoa_permits_take(&at->permits));
	stoai_os_fault = die_at_wake;
	(void)stoa_permits_give(&at->permits);
}

static void
dead_givers_wake_up_is_made(void **state)
{
	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	a32_store_release(&at->permits.seq_, 1);
	wake_is_replayed(&at->permits.seq_, gives_and_dies);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
}

static int
die_at_wait(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAIT || call == STOAI_OS_FUTEX_WAITV)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static void
wants_one_and_dies(void)
{
	stoai_os_fault = die_at_wait;
	must(!stoa_permits_take(&at->permits));
}

/* It may have been woken: the others look again. */
static void
dead_waiters_look_is_handed_on(void **state)
{
	(void)state;
	a32_store_release(&at->permits.seq_, 1);
	wake_is_replayed(&at->permits.seq_, wants_one_and_dies);
}

static int
take_one(void)
{
	int rc = stoa_permits_take(&at->permits);

	return rc ? rc : stoa_permits_give(&at->permits);
}

static void
given_to_who_waits(void **state)
{
	struct caller c[3];

	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	for (int i = 0; i < 3; i++)
		caller_start(&c[i], take_one);
	assert_int_equal(a32_load_acquire(&at->permits.seq_) & 1, 1);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(caller_end(&c[i]), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
}

static void *
borrow(void *p)
{
	(void)p;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(stoa_permits_take_until(
					 &at->permits, stoa_in_ms(10000)),
			0);
		if (a64_fetch_add_seq_cst(&at->n, 1) >= POOL)
			a64_fetch_add_seq_cst(&at->m, 1);
		a64_fetch_add_seq_cst(&at->n, (uint64_t)-1);
		assert_int_equal(stoa_permits_give(&at->permits), 0);
	}
	stoa_segment_detach(seg);
	return NULL;
}

static void
never_too_many(void **state)
{
	pthread_t t[THREADS + 1];

	(void)state;
	assert_int_equal(stoa_permits_set_total(&at->permits, POOL), 0);
	for (int i = 0; i < THREADS + 1; i++)
		pthread_create(&t[i], NULL, borrow, NULL);
	for (int i = 0; i < THREADS + 1; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(at->m, 0);
	assert_int_equal(stoa_permits_available(&at->permits), POOL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts),
		TEST(refusals),
		TEST(times_out),
		TEST(woken_at_the_end_is_woken),
		TEST(late_waiter_marks_the_word),
		TEST(handed_on),
		TEST(wakes_as_many),
		TEST(dead_posters_wake_up_is_made),
		TEST(dead_waiters_wake_up_is_handed_on),
		TEST(nothing_is_lost),
		TEST(owned),
		TEST(outlive_transactions),
		TEST(at_most),
		TEST(dead_give_back),
		TEST(dead_ones_waiters_are_woken),
		TEST(dead_givers_wake_up_is_made),
		TEST(dead_waiters_look_is_handed_on),
		TEST(given_to_who_waits),
		TEST(never_too_many),
	};

	return cmocka_run_group_tests_name("semaphore", tests, NULL, NULL);
}
