/* SPDX-License-Identifier: BSL-1.0 */
/* Who waits for what, counted: which waits, in which row, and what else must not change. */
#include "signal_fixture.h"
#include "stoa/contention.h"
#include "sync/contention.h"

enum {
	WAIT_MS = 20,
	PLACES = 8
};

typedef struct locks {
	stoa_mutex mutex, next;
	stoa_rwlock lock;
	stoa_cond changed;
	stoa_mutex many[200];
} locks;
STOA_TYPE(locks, mutex, next, lock, changed, many);

static const locks *l;

static int
setup_counting(void **state)
{
	int rc = setup(state);

	if (!rc)
		rc = stoa_object_open(seg, "locks", locks, &l);
	return rc ? rc : stoa_contention_start(seg, PLACES);
}

/* Its row; waits is 0: it has none. NULL: that of all others. */
static stoa_contention
row_of(const void *place)
{
	stoa_contention it = stoa_contention_begin(seg);

	while (stoa_contention_next(&it))
		if (it.place == place)
			return it;
	return (stoa_contention){0};
}

static uint64_t
rows(void)
{
	stoa_contention it = stoa_contention_begin(seg);
	uint64_t n = 0;

	while (stoa_contention_next(&it))
		n++;
	return n;
}

static uint64_t
since_of(uint32_t slot, uint32_t k)
{
	struct stoai_contention c;

	assert_true(
		stoai_contention_at(seg, stoai_header(seg)->contention, &c));
	return a64_load_relaxed(&c.since[slot * STOAI_HELD_MAX + k]);
}

/* ---- who waits, and is let go after WAIT_MS ---- */

static int
mutex_once(void)
{
	int rc = stoa_mutex_lock(&l->mutex);

	if (!rc)
		stoa_mutex_unlock(&l->mutex);
	return rc;
}

static int
exclusive_once(void)
{
	int rc = stoa_rwlock_lock_as(&l->lock, STOA_EXCLUSIVE, STOA_FOREVER);

	if (!rc)
		stoa_rwlock_unlock(&l->lock);
	return rc;
}

static int
shared_once(void)
{
	int rc = stoa_rwlock_lock_as(&l->lock, STOA_SHARED, STOA_FOREVER);

	if (!rc)
		stoa_rwlock_unlock(&l->lock);
	return rc;
}

static int
wait_post(void)
{
	return stoa_semaphore_wait(&at->sem);
}

static int
wait_permit(void)
{
	int rc = stoa_permits_take(&at->permits);

	return rc ? rc : stoa_permits_give(&at->permits);
}

static int
wait_event(void)
{
	return stoa_event_wait(&at->event);
}

static int
wait_latch(void)
{
	return stoa_latch_wait(&at->latch);
}

static int
wait_two(void)
{
	int rc = stoa_barrier_wait_for(&at->barrier, 2, STOA_FOREVER);

	return rc < 0 ? rc : 0;
}

static int
wait_notify(void)
{
	uint32_t key;
	int rc = stoa_eventcount_prepare(&at->count, &key);

	return rc ? rc
		  : stoa_eventcount_wait_until(&at->count, key, STOA_FOREVER);
}

static int
wait_changed(void)
{
	int rc = stoa_mutex_lock(&l->next);

	if (!rc)
		rc = stoa_cond_wait(&l->changed, &l->next, stoa_in_ms(2000));
	stoa_mutex_unlock(&l->next);
	return rc;
}

static void
waited_once(const void *place)
{
	const stoa_contention row = row_of(place);
	uint64_t now = stoai_os_realtime();

	assert_int_equal(row.waits, 1);
	assert_int_equal(row.offset, stoai_off(seg, place));
	assert_in_range(row.waited_ns / 1000000, WAIT_MS - 1, 900);
	assert_int_equal(row.longest_ns, row.waited_ns);
	assert_in_range(now - row.last_ns, 0, UINT64_C(1000000000));
}

/* A thread calls and sleeps for WAIT_MS; then `let` ends its wait. */
static void
one_waits(int (*call)(void), void (*let)(void), const void *place)
{
	uint64_t before = rows();
	struct caller c;

	caller_start(&c, call);
	stoai_os_sleep(WAIT_MS * 1000000);
	let();
	assert_int_equal(caller_end(&c), 0);
	waited_once(place);
	assert_int_equal(rows(), before + 1);
}

static void
let_mutex(void)
{
	stoa_mutex_unlock(&l->mutex);
}

static void
let_lock(void)
{
	stoa_rwlock_unlock(&l->lock);
}

static void
let_post(void)
{
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
}

static void
let_permit(void)
{
	assert_int_equal(stoa_permits_give(&at->permits), 0);
}

static void
let_event(void)
{
	assert_int_equal(stoa_event_set(&at->event), 0);
}

static void
let_latch(void)
{
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
}

static void
let_two(void)
{
	assert_int_equal(wait_two(), 0);
}

static void
let_notify(void)
{
	assert_int_equal(stoa_eventcount_notify(&at->count), 0);
}

static void
let_changed(void)
{
	assert_int_equal(stoa_cond_signal(&l->changed), 0);
}

/* ---- cases ---- */

static void
mutex(void **state)
{
	(void)state;
	assert_int_equal(mutex_once(), 0);
	assert_int_equal(rows(), 0);
	assert_int_equal(stoa_mutex_lock(&l->mutex), 0);
	one_waits(mutex_once, let_mutex, &l->mutex);
}

static void
writer_waits_for_reader(void **state)
{
	(void)state;
	assert_int_equal(
		stoa_rwlock_lock_as(&l->lock, STOA_SHARED, STOA_FOREVER), 0);
	one_waits(exclusive_once, let_lock, &l->lock);
}

static void
reader_waits_for_writer(void **state)
{
	(void)state;
	assert_int_equal(
		stoa_rwlock_lock_as(&l->lock, STOA_EXCLUSIVE, STOA_FOREVER), 0);
	one_waits(shared_once, let_lock, &l->lock);
}

static void
signals_of_all_kinds(void **state)
{
	(void)state;
	one_waits(wait_post, let_post, &at->sem);
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	one_waits(wait_permit, let_permit, &at->permits.seq_);
	one_waits(wait_event, let_event, &at->event);
	assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	one_waits(wait_latch, let_latch, &at->latch);
	one_waits(wait_two, let_two, &at->barrier.phase_);
	one_waits(wait_notify, let_notify, &at->count);
	one_waits(wait_changed, let_changed, &l->changed);
}

/* A wait that was given up is one; a try is none. */
static void
given_up(void **state)
{
	struct caller c;

	(void)state;
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, STOA_NOW), -EAGAIN);
	assert_int_equal(rows(), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stoa_semaphore_wait_until(&at->sem,
					 stoa_in_ms(2 + (uint32_t)i * 10)),
			-ETIMEDOUT);
	assert_int_equal(row_of(&at->sem).waits, 3);
	assert_in_range(row_of(&at->sem).longest_ns / 1000000, 21, 400);
	assert_true(row_of(&at->sem).waited_ns >
		    row_of(&at->sem).longest_ns + 12000000);
	/* what begins as it ends is not counted as part of it */
	caller_start(&c, wait_post);
	assert_int_equal(row_of(&at->sem).waits, 3);
	let_post();
	assert_int_equal(caller_end(&c), 0);
	assert_int_equal(row_of(&at->sem).waits, 4);
}

static void
off_and_on(void **state)
{
	uint64_t table;

	(void)state;
	assert_true(stoa_contention_is_on(seg));
	table = stoai_header(seg)->contention;
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, stoa_in_ms(1)), -ETIMEDOUT);
	assert_int_equal(stoa_contention_stop(seg), 0);
	assert_false(stoa_contention_is_on(seg));
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, stoa_in_ms(1)), -ETIMEDOUT);
	assert_int_equal(row_of(&at->sem).waits, 1); /* is still to be read */
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	assert_int_equal(stoa_contention_start(seg, 3), 0);
	assert_int_equal(stoai_header(seg)->contention, table);
	assert_int_equal(rows(), 0);
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
}

/* More places than rows: no wait is lost. */
static void
full(void **state)
{
	const uint64_t all = STOAI_COUNT(l->many);
	struct stoai_seat *seat = own_seat();
	stoa_contention it;
	uint64_t waits = 0;

	(void)state;
	for (uint64_t i = 0; i < all; i++)
		stoai_contention_count(seat, stoai_off(seg, &l->many[i]), 1);
	assert_int_equal(rows(), PLACES + 1);
	assert_int_equal(row_of(NULL).waits, all - PLACES);
	assert_int_equal(row_of(NULL).offset, 0);
	it = stoa_contention_begin(seg);
	while (stoa_contention_next(&it))
		waits += it.waits;
	assert_int_equal(waits, all);
}

static void *
count_many(void *user)
{
	struct stoai_seat *seat = own_seat();

	for (int i = 0; i < 20000; i++)
		stoai_contention_count(
			seat, stoai_off(seg, &l->many[i % 4]), 1);
	stoa_segment_detach(seg);
	return user;
}

static void
counted_by_many(void **state)
{
	pthread_t thread[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, count_many, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(rows(), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(row_of(&l->many[i]).waits, 15000);
}

static void
held_since(void **state)
{
	uint32_t slot = own_seat()->index;
	uint64_t began = stoai_os_now();

	(void)state;
	assert_int_equal(stoa_mutex_lock(&l->mutex), 0);
	assert_in_range(since_of(slot, 0), began, stoai_os_now());
	assert_int_equal(
		stoa_rwlock_lock_as(&l->lock, STOA_SHARED, STOA_FOREVER), 0);
	assert_in_range(since_of(slot, 1), since_of(slot, 0), stoai_os_now());
	stoa_rwlock_unlock(&l->lock);
	stoa_mutex_unlock(&l->mutex);
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	began = stoai_os_now();
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_in_range(since_of(slot, 0), began, stoai_os_now());
	assert_int_equal(stoa_contention_start(seg, 0), 0);
	assert_int_equal(since_of(slot, 0), 0); /* it was taken before */
	assert_int_equal(stoa_permits_give(&at->permits), 0);
}

static void
since_of_transactions(void **state)
{
	uint32_t slot = own_seat()->index;
	uint64_t began = stoai_os_now();

	(void)state;
	STOA_TX(tx, seg, &l->mutex);
	assert_in_range(since_of(slot, 0), began, stoai_os_now());
	assert_int_equal(stoa_contention_start(seg, 0), -EBUSY);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

/* Counting inside a transaction is none of its changes. */
static void
checked_mode(void **state)
{
	stoa_segment *own = seg;
	int rc = stoa_segment_open(NULL, STOA_CREATE | STOA_CHECKED,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 4), &seg);

	(void)state;
	assert_int_equal(rc, 0);
	assert_int_equal(stoa_object_open(seg, "locks", locks, &l), 0);
	assert_int_equal(stoa_contention_start(seg, PLACES), 0);
	{
		STOA_TX(tx, seg, &l->mutex);
		assert_int_equal(stoa_tx_lock_mutex(tx, &l->next), 0);
		stoai_contention_count(own_seat(), stoai_off(seg, &l->next), 1);
		rc = stoa_tx_commit(tx);
	}
	assert_int_equal(rc, 0);
	seg = stoa_segment_close(seg);
	seg = own;
}

/* What is not the table is not counted in, and check says so. */
static void
damaged(void **state)
{
	struct stoai_header *h = stoai_header(seg);
	uint64_t off = h->contention;
	struct stoai_contention_table *t = stoai_at(seg, off);

	(void)state;
	h->contention = stoai_off(seg, &l->many[0]);
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, stoa_in_ms(1)), -ETIMEDOUT);
	assert_int_equal(mutex_once(), 0);
	assert_int_equal(stoa_segment_check(seg), -EBADMSG);
	assert_non_null(strstr(stoa_error_text(), "object I6"));
	h->contention = UINT64_MAX - 7;
	assert_int_equal(mutex_once(), 0);
	h->contention = off;
	t->rows = UINT64_MAX / 8;
	assert_int_equal(
		stoa_semaphore_wait_until(&at->sem, stoa_in_ms(1)), -ETIMEDOUT);
	assert_int_equal(rows(), 0);
	assert_int_equal(stoa_segment_check(seg), -EBADMSG);
	assert_int_equal(stoa_contention_start(seg, 0), -EBADMSG);
	t->rows = PLACES;
	assert_int_equal(stoa_segment_check(seg), 0);
}

static void
refusals(void **state)
{
	(void)state;
	assert_int_equal(stoa_contention_start(NULL, 0), -EINVAL);
	assert_int_equal(stoa_contention_start(seg, 65537), -EINVAL);
	assert_int_equal(stoa_contention_stop(NULL), -EINVAL);
	assert_false(stoa_contention_is_on(NULL));
	seg->readonly = true;
	assert_int_equal(stoa_contention_start(seg, 0), -EROFS);
	assert_int_equal(stoa_contention_stop(seg), -EROFS);
	seg->readonly = false;
}

/* It is the library's own block: nothing of the program's is left over. */
static void
no_block_of_the_program(void **state)
{
	(void)state;
	assert_int_equal(stoa_segment_leaked(seg), 0);
	{
		STOA_TX(tx, seg);
		(void)stoa_object_destroy(tx, "signals");
		(void)stoa_object_destroy(tx, "locks");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_memory_unused(seg), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_counting, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mutex),
		CASE(writer_waits_for_reader),
		CASE(reader_waits_for_writer),
		CASE(signals_of_all_kinds),
		CASE(given_up),
		CASE(off_and_on),
		CASE(full),
		CASE(counted_by_many),
		CASE(held_since),
		CASE(since_of_transactions),
		CASE(checked_mode),
		CASE(damaged),
		CASE(refusals),
		CASE(no_block_of_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
