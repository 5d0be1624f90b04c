/* SPDX-License-Identifier: BSL-1.0 */
/* Events, latches, once, event counts: words, waiting, deaths at the worst places. */
#include "signal_fixture.h"

#define TAKERS  UINT32_C(0x80000000)
#define WAITERS UINT32_C(0x40000000)

enum {
	THREADS = 3,
	ROUNDS = 3000
};

/* ---- event ---- */

static void
manual_and_automatic(void **state)
{
	(void)state;
	assert_false(stoa_event_is_set(&at->event));
	assert_int_equal(stoa_event_wait_until(&at->event, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_event_take_until(&at->event, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_true(stoa_event_is_set(&at->event));
	assert_int_equal(stoa_event_wait(&at->event), 0);
	assert_int_equal(stoa_event_wait(&at->event), 0);
	assert_int_equal(stoa_event_take(&at->event), 0);
	assert_false(stoa_event_is_set(&at->event));
	assert_int_equal(stoa_event_take_until(&at->event, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_event_reset(&at->event), 0);
	assert_int_equal(stoa_event_wait_until(&at->event, STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_event_wait_until(&at->event, stoa_in_ms(5)), -ETIMEDOUT);
	assert_int_equal(
		stoa_event_take_until(&at->event, stoa_in_ms(5)), -ETIMEDOUT);
	assert_int_equal(own_seat()->slot->waiting, 0);
}

static int
wait_event(void)
{
	return stoa_event_wait(&at->event);
}

static int
take_event(void)
{
	return stoa_event_take(&at->event);
}

static int
take_event_soon(void)
{
	return stoa_event_take_until(&at->event, stoa_in_ms(300));
}

/* All who wait go on, though it is reset before they have run. */
static void
set_and_reset_lets_go(void **state)
{
	struct caller c[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		caller_start(&c[i], wait_event);
	assert_int_equal(a32_load_acquire(&at->event.word_), WAITERS);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_event_reset(&at->event), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(caller_end(&c[i]), 0);
}

static void
exactly_one_takes(void **state)
{
	struct caller c[THREADS];
	int took = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		caller_start(&c[i], take_event_soon);
	assert_int_equal(a32_load_acquire(&at->event.word_), TAKERS);
	assert_int_equal(stoa_event_set(&at->event), 0);
	for (int i = 0; i < THREADS; i++)
		took += !caller_end(&c[i]);
	assert_int_equal(took, 1);
	assert_false(stoa_event_is_set(&at->event));
}

/* A taker that is not the only one leaves word of it: the next set wakes the next. */
static void
both_ways_at_once(void **state)
{
	struct caller w, t[2];

	(void)state;
	caller_start(&w, wait_event);
	for (int i = 0; i < 2; i++)
		caller_start(&t[i], take_event);
	assert_int_equal(a32_load_acquire(&at->event.word_), TAKERS | WAITERS);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(caller_end(&w), 0);
	for (int i = 0; stoa_event_is_set(&at->event) && i < 2000; i++)
		stoai_os_sleep(1000000);
	assert_int_equal(stoa_event_set(&at->event), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(caller_end(&t[i]), 0);
	assert_false(stoa_event_is_set(&at->event));
}

static int
taken_at_timeout(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	stoai_os_fault = NULL;
	a32_store_release(&at->event.word_,
		2); /* set, which cleared the bits, and taken */
	stoai_os_sleep(250000000);
	return -ETIMEDOUT;
}

static void
late_taker_marks_the_word(void **state)
{
	(void)state;
	(void)own_seat();
	stoai_os_fault = taken_at_timeout;
	assert_int_equal(
		stoa_event_take_until(&at->event, stoa_in_ms(200)), -ETIMEDOUT);
	assert_int_equal(a32_load_acquire(&at->event.word_), TAKERS | 2);
}

static int
set_at_timeout(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	stoai_os_fault = NULL;
	a32_store_release(&at->event.word_, 3);
	stoai_os_sleep(250000000);
	return -ETIMEDOUT;
}

static void
set_at_the_end_is_set(void **state)
{
	(void)state;
	(void)own_seat();
	stoai_os_fault = set_at_timeout;
	assert_int_equal(stoa_event_take_until(&at->event, stoa_in_ms(200)), 0);
	assert_int_equal(a32_load_acquire(&at->event.word_), TAKERS | 2);
}

static void
sets_and_dies(void)
{
	stoai_os_fault = die_at_wake;
	(void)stoa_event_set(&at->event);
}

static void
dead_setters_wake_up_is_made(void **state)
{
	(void)state;
	a32_store_release(&at->event.word_, TAKERS);
	wake_is_replayed(&at->event.word_, sets_and_dies);
	assert_int_equal(a32_load_acquire(&at->event.word_), 3);
}

/* ---- latch ---- */

static int
wait_latch(void)
{
	return stoa_latch_wait(&at->latch);
}

static void
counts_down(void **state)
{
	struct caller c[THREADS];

	(void)state;
	assert_int_equal(stoa_latch_wait(&at->latch), 0); /* open */
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), -EINVAL);
	assert_int_equal(stoa_latch_add(&at->latch, 3), 0);
	assert_int_equal(
		stoa_latch_add(&at->latch, UINT32_C(0x7fffffff)), -EOVERFLOW);
	assert_int_equal(stoa_latch_wait_until(&at->latch, STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_latch_wait_until(&at->latch, stoa_in_ms(5)), -ETIMEDOUT);
	for (int i = 0; i < THREADS; i++)
		caller_start(&c[i], wait_latch);
	assert_int_equal(stoa_latch_count_down(&at->latch, 2), 0);
	assert_int_equal(stoa_latch_count(&at->latch), 1);
	assert_int_equal(a32_load_acquire(&at->latch.word_), SLEEPING | 1);
	assert_int_equal(stoa_latch_count_down(&at->latch, 2), -EINVAL);
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(caller_end(&c[i]), 0);
	assert_int_equal(a32_load_acquire(&at->latch.word_), 0);
}

static void
counts_down_and_dies(void)
{
	stoai_os_fault = die_at_wake;
	(void)stoa_latch_count_down(&at->latch, 1);
}

static void
dead_ones_count_counts(void **state)
{
	(void)state;
	a32_store_release(&at->latch.word_, SLEEPING | 1);
	wake_is_replayed(&at->latch.word_, counts_down_and_dies);
	assert_int_equal(stoa_latch_count(&at->latch), 0);
}

/* ---- once ---- */

static int
begin_once(void)
{
	return stoa_once_begin(&at->once, STOA_FOREVER);
}

static void
done_once(void **state)
{
	struct caller c[THREADS];

	(void)state;
	assert_int_equal(stoa_once_end(&at->once), -EPERM);
	assert_int_equal(begin_once(), STOA_ONCE_FIRST);
	assert_int_equal(begin_once(), -EDEADLK);
	for (int i = 0; i < THREADS; i++)
		caller_start(&c[i], begin_once);
	/* what makes the thing may use transactions */
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, at->n, 1)), 0);
	assert_false(stoa_once_is_done(&at->once));
	assert_int_equal(stoa_once_end(&at->once), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(caller_end(&c[i]), STOA_ONCE_DONE);
	assert_true(stoa_once_is_done(&at->once));
	assert_int_equal(begin_once(), STOA_ONCE_DONE);
	assert_int_equal(stoa_once_undo(&at->once), -EPERM);
}

static int
begin_once_now(void)
{
	return stoa_once_begin(&at->once, STOA_NOW);
}

static void
begins_and_dies(void)
{
	must(begin_once() >= STOA_ONCE_FIRST);
}

static int
try_once(void *unused)
{
	(void)unused;
	must(begin_once_now() == -EAGAIN);
	return 0;
}

static void
the_next_one_is_told(void **state)
{
	(void)state;
	assert_int_equal(begin_once(), STOA_ONCE_FIRST);
	assert_int_equal(scene_child(try_once, NULL), 0);
	assert_int_equal(stoa_once_undo(&at->once), 0);
	assert_int_equal(begin_once(), STOA_ONCE_FIRST);
	assert_int_equal(stoa_once_undo(&at->once), 0);
	victim(begins_and_dies);
	assert_int_equal(begin_once(), STOA_ONCE_AGAIN);
	assert_int_equal(stoa_once_undo(&at->once), 0);
	assert_int_equal(begin_once(), STOA_ONCE_AGAIN);
	assert_int_equal(stoa_once_end(&at->once), 0);
	assert_int_equal(begin_once(), STOA_ONCE_DONE);
}

/* ---- event count ---- */

static void
keys(void **state)
{
	uint32_t key = 0, next = 0;

	(void)state;
	assert_int_equal(stoa_eventcount_notify(&at->count), 0);
	assert_int_equal(a32_load_acquire(&at->count.word_),
		0); /* nobody waits: nothing */
	assert_int_equal(stoa_eventcount_prepare(&at->count, &key), 0);
	assert_int_equal(
		stoa_eventcount_wait_until(&at->count, key, STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_eventcount_wait_until(&at->count, key, stoa_in_ms(5)),
		-ETIMEDOUT);
	assert_int_equal(stoa_eventcount_notify(&at->count), 0);
	assert_int_equal(a32_load_acquire(&at->count.word_),
		2); /* nobody else waits: no bit */
	assert_int_equal(
		stoa_eventcount_wait_until(&at->count, key, STOA_FOREVER), 0);
	assert_int_equal(stoa_eventcount_prepare(&at->count, &next), 0);
	assert_int_not_equal(key, next);
	assert_int_equal(own_seat()->slot->waiting, 0);
}

static int
wait_count(void)
{
	uint32_t key;
	int rc = stoa_eventcount_prepare(&at->count, &key);

	return rc ? rc
		  : stoa_eventcount_wait_until(&at->count, key, STOA_FOREVER);
}

static void
one_and_all(void **state)
{
	struct caller c[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		caller_start(&c[i], wait_count);
	assert_int_equal(stoa_eventcount_notify(&at->count), 0);
	assert_int_equal(
		a32_load_acquire(&at->count.word_), 3); /* others wait yet */
	assert_int_equal(stoa_eventcount_notify_all(&at->count), 0);
	assert_int_equal(a32_load_acquire(&at->count.word_), 4);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(caller_end(&c[i]), 0);
}

static int
two_came(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAKE)
		at->m++;
	return 0;
}

/* Who is not yet to be seen sleeps there too, perhaps: the bit goes, and all wake. */
static void
no_bit_no_sleepers(void **state)
{
	struct sleeper s[2];
	int rc, woken;

	(void)state;
	(void)own_seat();
	a32_store_release(&at->count.word_, 1);
	sleepers_start(s, 2, &at->count.word_);
	stoai_os_fault = two_came;
	rc = stoa_eventcount_notify(&at->count);
	stoai_os_fault = NULL;
	woken = sleepers_woken(s, 2); /* they end, whatever is wrong */
	assert_int_equal(rc, 0);
	assert_int_equal(a32_load_acquire(&at->count.word_), 2);
	assert_int_equal(at->m, 1);
	assert_int_equal(woken, 2);
}

static void
notifies_and_dies(void)
{
	stoai_os_fault = die_at_wake;
	(void)stoa_eventcount_notify(&at->count);
}

static void
dead_notifiers_wake_up_is_made(void **state)
{
	(void)state;
	a32_store_release(&at->count.word_, 1);
	wake_is_replayed(&at->count.word_, notifies_and_dies);
	assert_int_equal(a32_load_acquire(&at->count.word_), 2);
}

static void *
consume(void *p)
{
	(void)p;
	while (a64_load_seq_cst(&at->m) < ROUNDS) {
		uint32_t key;

		assert_int_equal(stoa_eventcount_prepare(&at->count, &key), 0);
		if (a64_load_seq_cst(&at->n) > a64_load_seq_cst(&at->m)) {
			a64_fetch_add_seq_cst(&at->m, 1);
			continue;
		}
		assert_int_equal(stoa_eventcount_wait_until(
					 &at->count, key, stoa_in_ms(10000)),
			0);
	}
	stoa_segment_detach(seg);
	return NULL;
}

/* A ping for each: as fast as wake-ups are, and not as ticks are. */
static void
no_notification_is_missed(void **state)
{
	uint64_t began = stoai_os_now();
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, consume, NULL);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		a64_fetch_add_seq_cst(&at->n, 1);
		assert_int_equal(stoa_eventcount_notify(&at->count), 0);
		while (a64_load_seq_cst(&at->m) <= i)
			stoai_os_yield();
	}
	pthread_join(t, NULL);
	assert_true(stoai_os_now() - began < UINT64_C(20000000000));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(manual_and_automatic),
		TEST(set_and_reset_lets_go),
		TEST(exactly_one_takes),
		TEST(both_ways_at_once),
		TEST(late_taker_marks_the_word),
		TEST(set_at_the_end_is_set),
		TEST(dead_setters_wake_up_is_made),
		TEST(counts_down),
		TEST(dead_ones_count_counts),
		TEST(done_once),
		TEST(the_next_one_is_told),
		TEST(keys),
		TEST(one_and_all),
		TEST(no_bit_no_sleepers),
		TEST(dead_notifiers_wake_up_is_made),
		TEST(no_notification_is_missed),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
