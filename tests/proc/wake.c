/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who waits is woken, and does not merely find out at the next tick: the lock
 * handed over, the last reader gone, a condition signalled. Each is measured some
 * times, and the median must be well below the first tick (37 ms or more), which
 * holds on a busy machine too.
 */
#include "proc.h"

enum {
	ROUNDS = 5,
	MEDIAN_US = 20000,
	/*
	 * Ticks end 37 to 63, 112 to 188, 262 to 438 and 562 to 938 ms after the
	 * first: who is let go here does not find out by a tick.
	 */
	BETWEEN_TICKS_MS = 480
};

typedef struct box {
	stoa_rwlock lock;
	stoa_mutex mutex;
	stoa_cond changed;
	uint64_t round;
	uint64_t got_us;
} box;
STOA_TYPE(box, lock, mutex, changed, round, got_us);

static stoa_segment *seg;
static const box *b;
static uint64_t let_go_us;

static int
take_lock(struct peer *me, void *user)
{
	(void)user;
	MUST(hear(me) == 'w');
	STOA_TX(tx, seg, &b->lock);
	STOA_SET(tx, b->got_us, us_now());
	MUST(!stoa_tx_commit(tx));
	return 0;
}

static int
take_mutex(struct peer *me, void *user)
{
	(void)user;
	MUST(hear(me) == 'w');
	STOA_TX(tx, seg, &b->mutex);
	STOA_SET(tx, b->got_us, us_now());
	MUST(!stoa_tx_commit(tx));
	return 0;
}

static int
wait_for_change(struct peer *me, void *user)
{
	(void)user;
	STOA_TX(tx, seg, &b->lock);
	const uint64_t seen = b->round;

	tell(me, 's');
	while (b->round == seen)
		MUST(!stoa_tx_wait(tx, &b->changed, STOA_FOREVER));
	STOA_SET(tx, b->got_us, us_now());
	MUST(!stoa_tx_commit(tx));
	return 0;
}

static void
hand_over_lock(struct peer *child)
{
	STOA_TX(tx, seg, &b->lock);
	STOA_ADD(tx, b->round, 1);
	tell(child, 'w');
	ms_sleep(10);
	let_go_us = us_now();
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
hand_over_mutex(struct peer *child)
{
	STOA_TX(tx, seg, &b->mutex);
	STOA_ADD(tx, b->round, 1);
	tell(child, 'w');
	ms_sleep(10);
	let_go_us = us_now();
	assert_int_equal(stoa_tx_commit(tx), 0);
}

/* The writer waits for us, the reader. */
static void
leave_as_reader(struct peer *child)
{
	STOA_READ(rd, seg, &b->lock);
	tell(child, 'w');
	ms_sleep(10);
	let_go_us = us_now();
}

static void
signal_change(struct peer *child)
{
	assert_int_equal(hear(child), 's');
	ms_sleep(BETWEEN_TICKS_MS);
	STOA_TX(tx, seg, &b->lock);
	STOA_ADD(tx, b->round, 1);
	let_go_us = us_now();
	stoa_tx_signal(tx, &b->changed);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

/* It holds the lock until it is killed. */
static int
hold(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const box *own_b = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "wake", box, &own_b));
	STOA_TX(tx, own, &own_b->lock);
	MUST(!stoa_tx_error(tx));
	tell(me, 'h');
	hear(me);
	return 1;
}

static void
die_as_holder(struct peer *child)
{
	struct peer holder = peer_start(hold, NULL);

	assert_int_equal(hear(&holder), 'h');
	tell(child, 'w');
	ms_sleep(BETWEEN_TICKS_MS);
	let_go_us = us_now();
	peer_kill(&holder);
}

/* Two more sleep before the one that is measured; each hands it on. */
static void
hand_on_in_a_row(struct peer *child)
{
	struct peer more[2];

	for (int i = 0; i < 2; i++)
		more[i] = peer_start(take_mutex, NULL);
	{
		STOA_TX(tx, seg, &b->mutex);
		for (int i = 0; i < 2; i++) {
			tell(&more[i], 'w');
			ms_sleep(i ? 100 : 5);
		}
		tell(child, 'w');
		ms_sleep(300); /* all are far from their next tick */
		let_go_us = us_now();
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	for (int i = 0; i < 2; i++)
		peer_join(&more[i]);
}

static int
by_size(const void *a, const void *c)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)c;

	return (x > y) - (x < y);
}

static void
measure(int (*waits)(struct peer *me, void *user),
	void (*lets_go)(struct peer *child))
{
	uint64_t us[ROUNDS];

	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "wake", box, &b), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct peer child = peer_start(waits, NULL);

		lets_go(&child);
		peer_join(&child);
		us[i] = b->got_us > let_go_us ? b->got_us - let_go_us : 0;
	}
	qsort(us, ROUNDS, sizeof us[0], by_size);
	if (us[ROUNDS / 2] > MEDIAN_US)
		fail_msg("woken after %llu us, median of %d",
			(unsigned long long)us[ROUNDS / 2], ROUNDS);
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

static void
lock_is_handed_over(void **state)
{
	(void)state;
	measure(take_lock, hand_over_lock);
}

static void
mutex_is_handed_over(void **state)
{
	(void)state;
	measure(take_mutex, hand_over_mutex);
}

static void
writer_is_woken_by_the_last_reader(void **state)
{
	(void)state;
	measure(take_lock, leave_as_reader);
}

static void
signal_wakes(void **state)
{
	(void)state;
	measure(wait_for_change, signal_change);
}

/* All three: b->got_us is what the last one says. */
static void
handed_on_in_a_row(void **state)
{
	(void)state;
	measure(take_mutex, hand_on_in_a_row);
}

/* The kernel wakes who sleeps on the holder's token, where there is one. */
static void
holders_death_wakes(void **state)
{
	(void)state;
	if (way->without)
		skip();
	measure(take_lock, die_as_holder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_is_handed_over),
		cmocka_unit_test(mutex_is_handed_over),
		cmocka_unit_test(writer_is_woken_by_the_last_reader),
		cmocka_unit_test(signal_wakes),
		cmocka_unit_test(handed_on_in_a_row),
		cmocka_unit_test(holders_death_wakes),
	};

	return RUN_IN_ALL_WAYS("wake", tests);
}
