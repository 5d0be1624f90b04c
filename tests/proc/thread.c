/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Threads come and go: one that ends has left, whatever it had open; a mapping
 * stays until the last thread that needs it has ended.
 */
#include "proc.h"
#include <pthread.h>

typedef struct box {
	stoa_rwlock lock;
	uint64_t value;
	stoa_str text;
} box;
STOA_TYPE(box, lock, value, text);

static stoa_segment *seg;
static const box *b;

static uint32_t
attached(void)
{
	stoa_segment_stat stat;

	stoa_segment_statistics(seg, &stat);
	return stat.threads;
}

static void
open_box(void)
{
	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "box", box, &b), 0);
}

static void
close_box(void)
{
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

static void
run_thread(void *(*body)(void *), void *user)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, body, user), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void *
change_and_end(void *user)
{
	(void)user;
	return (void *)(intptr_t)STOA_DO(
		tx, (seg, &b->lock), STOA_ADD(tx, b->value, 1));
}

static void
thread_that_ends_has_left(void **state)
{
	uint32_t before;
	uint64_t value;

	(void)state;
	open_box();
	before = attached();
	value = b->value;
	for (int i = 0; i < 600; i++) /* more than there are slots */
		run_thread(change_and_end, NULL);
	assert_int_equal(b->value, value + 600);
	assert_int_equal(attached(), before);
	close_box();
}

static void *
open_and_exit(void *user)
{
	stoa_tx *tx;

	(void)user;
	tx = stoa_tx_begin(seg, (const stoa_hold[]){stoa_hold_of(&b->lock)}, 1,
		STOA_FOREVER);
	STOA_ADD(tx, b->value, 1);
	stoa_str_set(tx, &b->text, "longer than what fits into the string");
	pthread_exit(NULL);
}

static void
thread_that_ends_within_a_transaction_is_undone(void **state)
{
	uint64_t value;
	uint32_t before;

	(void)state;
	open_box();
	before = attached();
	value = b->value;
	for (int i = 0; i < 50; i++)
		run_thread(open_and_exit, NULL);
	assert_int_equal(attached(), before);
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(2500), seg, &b->lock);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(b->value, value);
		assert_string_equal(stoa_str_get(tx, &b->text), "");
	}
	close_box();
}

static void *
detach_twice(void *user)
{
	uint32_t *before = user;
	bool good = true;

	stoa_segment_detach(seg); /* not attached: nothing */
	good &= !stoa_segment_attach(seg) && !stoa_segment_attach(seg);
	good &= attached() == *before + 1;
	{
		STOA_TX(tx, seg, &b->lock);
		STOA_ADD(tx, b->value, 1);
		stoa_segment_detach(seg); /* undoes what is open */
		good &= stoa_tx_commit(tx) != 0;
	}
	stoa_segment_detach(seg);
	good &= attached() == *before;
	good &= !STOA_DO(tx, (seg, &b->lock), STOA_ADD(tx, b->value, 0));
	return good ? NULL : before;
}

static void
detach_undoes_and_may_be_repeated(void **state)
{
	uint32_t before;
	uint64_t value;
	pthread_t t;
	void *result = &before;

	(void)state;
	open_box();
	before = attached();
	value = b->value;
	assert_int_equal(pthread_create(&t, NULL, detach_twice, &before), 0);
	pthread_join(t, &result);
	assert_null(result);
	assert_int_equal(b->value, value);
	close_box();
}

static pthread_barrier_t turn;
static pthread_mutex_t robust;

/* Attached when the segment is closed by the main thread; uses its memory on. */
static void *
outlive_close(void *user)
{
	uint64_t *ret = user;
	const box *mine = b;

	if (STOA_DO(tx, (seg, &mine->lock), STOA_ADD(tx, mine->value, 1)))
		return NULL;
	pthread_barrier_wait(&turn); /* attached */
	pthread_barrier_wait(&turn); /* closed */
	*ret = mine->value;
	pthread_mutex_lock(
		&robust); /* never unlocked: is my list still whole? */
	return NULL;
}

static void
close_while_another_thread_is_attached(void **state)
{
	pthread_mutexattr_t attr;
	uint64_t value, seen = 0;
	pthread_t t;

	(void)state;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_barrier_init(&turn, NULL, 2);
	open_box();
	value = b->value;
	assert_int_equal(pthread_create(&t, NULL, outlive_close, &seen), 0);
	pthread_barrier_wait(&turn);
	seg = stoa_segment_close(seg);
	pthread_barrier_wait(&turn);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(seen, value + 1);
	/* The kernel could walk past our token to libc's own robust mutex. */
	assert_int_equal(pthread_mutex_lock(&robust), EOWNERDEAD);
	pthread_mutex_consistent(&robust);
	pthread_mutex_unlock(&robust);

	open_box();
	assert_int_equal(b->value, value + 1);
	assert_int_equal(attached(), 1);
	close_box();
}

static void *
close_second_handle(void *user)
{
	(void)user;
	stoa_segment_close(seg);
	return NULL;
}

static void
one_mapping_for_all_handles(void **state)
{
	stoa_segment *again;
	const box *same = NULL;

	(void)state;
	open_box();
	again = segment_open();
	assert_ptr_equal(again, seg);
	assert_int_equal(stoa_object_open(again, "box", box, &same), 0);
	assert_ptr_equal(same, b);
	run_thread(close_second_handle, NULL);
	assert_int_equal(
		STOA_DO(tx, (seg, &b->lock), STOA_ADD(tx, b->value, 1)), 0);
	close_box();
}

static void *
wait_in_transaction(void *user)
{
	(void)user;
	STOA_TX(tx, seg, &b->lock);
	STOA_ADD(tx, b->value, 1);
	pthread_barrier_wait(&turn);
	pause();
	return NULL;
}

static int
two_threads_and_die(struct peer *me, void *user)
{
	pthread_t t;

	(void)user;
	pthread_barrier_init(&turn, NULL, 2);
	MUST(!pthread_create(&t, NULL, wait_in_transaction, NULL));
	pthread_barrier_wait(&turn);
	STOA_TX(tx, seg);
	STOA_ADD(tx, b->value, 1);
	tell(me, 'r');
	pause();
	return 1;
}

/* A process dies with two threads in two transactions: both are undone. */
static void
all_threads_of_a_dead_process_are_undone(void **state)
{
	struct peer child;
	uint64_t value;

	(void)state;
	open_box();
	value = b->value;
	for (int i = 0; i < 10; i++) {
		child = peer_start(two_threads_and_die, NULL);
		assert_int_equal(hear(&child), 'r');
		peer_kill(&child);
		STOA_TX_UNTIL(tx, stoa_in_ms(2500), seg, &b->lock,
			stoa_segment_lock(seg));
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(b->value, value);
	}
	close_box();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread_that_ends_has_left),
		cmocka_unit_test(
			thread_that_ends_within_a_transaction_is_undone),
		cmocka_unit_test(detach_undoes_and_may_be_repeated),
		cmocka_unit_test(close_while_another_thread_is_attached),
		cmocka_unit_test(one_mapping_for_all_handles),
		cmocka_unit_test(all_threads_of_a_dead_process_are_undone),
	};

	return RUN_IN_ALL_WAYS("thread", tests);
}
