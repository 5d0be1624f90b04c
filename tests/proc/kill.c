/* SPDX-License-Identifier: BSL-1.0 */
/*
 * SIGKILL of a holder, of waiters, of a reader, of everybody: the others go on
 * within the promised time, and what was half done is undone.
 */
#include "proc.h"

enum {
	STUCK_MS = 2500,
	LINGER_MS = 5,
	HALF_A_TICK_MS = 25,
	ROUNDS = 20,
	LUMPS = 400,
	RECOVERERS = 12,
	SPIN_US = 300
};

typedef struct pair {
	stoa_rwlock lock;
	stoa_mutex mutex;
	stoa_cond changed;
	uint64_t a, b, round;
} pair;
STOA_TYPE(pair, lock, mutex, changed, a, b, round);

typedef struct lump { /* a span of its own */
	uint8_t bytes[40000];
} lump;
STOA_TYPE(lump, bytes);

static stoa_segment *seg;
static const pair *p;

static void
open_pair(void)
{
	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "pair", pair, &p), 0);
}

static void
close_pair(void)
{
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

/* The lock within the promise; what the dead one changed is as it was. */
static void
take_within_promise(void)
{
	const uint64_t from = ms_now();

	STOA_TX_UNTIL(tx, stoa_in_ms(STUCK_MS * 2), seg, &p->lock, &p->mutex);
	assert_int_equal(stoa_tx_error(tx), 0);
	assert_true(ms_now() - from < STUCK_MS);
	assert_int_equal(p->a, p->b);
	STOA_ADD(tx, p->round, 1);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static int
hold(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const pair *q = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "pair", pair, &q));
	STOA_TX(tx, own, &q->lock, &q->mutex);
	STOA_ADD(tx, q->a, 1);
	MUST(!stoa_tx_error(tx));
	tell(me, 'h');
	hear(me);
	return 1;
}

static void
holder_dies(void **state)
{
	(void)state;
	open_pair();
	for (int i = 0; i < ROUNDS; i++) {
		struct peer child = peer_start(hold, NULL);

		assert_int_equal(hear(&child), 'h');
		peer_kill(&child);
		take_within_promise();
	}
	close_pair();
}

/* As hold; but a child that it leaves behind keeps its owner byte a little longer. */
static int
hold_and_linger(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const pair *q = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "pair", pair, &q));
	linger(LINGER_MS);
	STOA_TX(tx, own, &q->lock, &q->mutex);
	STOA_ADD(tx, q->a, 1);
	MUST(!stoa_tx_error(tx));
	tell(me, 'h');
	hear(me);
	return 1;
}

/*
 * The kernel marks the token of the dying before it closes their files, and nobody
 * may recover them before that. Who comes between must not sleep for a whole tick,
 * since nothing will wake it. Without tokens the tick alone tells of the death.
 */
static void
holder_is_dying_yet(void **state)
{
	int slow = 0;

	(void)state;
	open_pair();
	for (int i = 0; i < ROUNDS; i++) {
		struct peer child = peer_start(hold_and_linger, NULL);
		uint64_t from;

		assert_int_equal(hear(&child), 'h');
		peer_kill(&child);
		from = ms_now();
		take_within_promise();
		slow += ms_now() - from > HALF_A_TICK_MS;
	}
	if (!(way->without & STOA_WITHOUT_TOKENS))
		assert_true(slow < ROUNDS / 2);
	close_pair();
}

static int
wait_for_lock(struct peer *me, void *user)
{
	(void)user;
	tell(me, 'w');
	STOA_TX(tx, seg, &p->lock);
	STOA_ADD(tx, p->round, 1);
	MUST(!stoa_tx_commit(tx));
	return 0;
}

/* Three wait; the holder dies; all three get it, one after the other. */
static void
holder_dies_while_others_wait(void **state)
{
	struct peer waiter[3], child;
	uint64_t from, before;

	(void)state;
	open_pair();
	for (int i = 0; i < 5; i++) {
		before = p->round;
		child = peer_start(hold, NULL);
		assert_int_equal(hear(&child), 'h');
		for (int k = 0; k < 3; k++) {
			waiter[k] = peer_start(wait_for_lock, NULL);
			assert_int_equal(hear(&waiter[k]), 'w');
		}
		ms_sleep(30);
		from = ms_now();
		peer_kill(&child);
		for (int k = 0; k < 3; k++)
			peer_join(&waiter[k]);
		assert_true(ms_now() - from < STUCK_MS);
		assert_int_equal(p->round, before + 3);
	}
	close_pair();
}

/* A waiter dies, perhaps just when it is woken: the next one must not sleep on. */
static void
woken_waiter_dies(void **state)
{
	(void)state;
	open_pair();
	for (int i = 0; i < ROUNDS; i++) {
		struct peer first, second;
		uint64_t from;

		{
			STOA_TX(tx, seg, &p->lock);
			first = peer_start(wait_for_lock, NULL);
			assert_int_equal(hear(&first), 'w');
			ms_sleep(5);
			second = peer_start(wait_for_lock, NULL);
			assert_int_equal(hear(&second), 'w');
			ms_sleep(5);
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		from = ms_now();
		peer_kill(&first);
		peer_join(&second);
		assert_true(ms_now() - from < STUCK_MS);
	}
	take_within_promise();
	close_pair();
}

static int
hold_shared(struct peer *me, void *user)
{
	(void)user;
	STOA_READ(rd, seg, &p->lock);
	MUST(!stoa_tx_error(rd));
	tell(me, 'h');
	hear(me);
	return 1;
}

static void
readers_die(void **state)
{
	(void)state;
	open_pair();
	for (int i = 0; i < ROUNDS / 2; i++) {
		struct peer reader[3];

		for (int k = 0; k < 3; k++) {
			reader[k] = peer_start(hold_shared, NULL);
			assert_int_equal(hear(&reader[k]), 'h');
		}
		for (int k = 0; k < 3; k++)
			peer_kill(&reader[k]);
		take_within_promise();
	}
	close_pair();
}

static int
wait_for_change(struct peer *me, void *user)
{
	(void)user;
	STOA_TX(tx, seg, &p->lock);
	const uint64_t seen = p->round;

	tell(me, 'w');
	while (p->round == seen)
		MUST(!stoa_tx_wait(tx, &p->changed, STOA_FOREVER));
	MUST(!stoa_tx_commit(tx));
	return 0;
}

/* One of two waiters on a condition dies; the signal reaches the other one. */
static void
waiter_on_a_condition_dies(void **state)
{
	(void)state;
	open_pair();
	for (int i = 0; i < ROUNDS / 2; i++) {
		struct peer waiter[2];
		uint64_t from;

		for (int k = 0; k < 2; k++) {
			waiter[k] = peer_start(wait_for_change, NULL);
			assert_int_equal(hear(&waiter[k]), 'w');
		}
		take_within_promise(); /* both wait now: they gave up the lock */
		{
			STOA_TX(tx, seg, &p->lock);
			STOA_ADD(tx, p->round, 1);
			stoa_tx_signal(tx, &p->changed);
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		from = ms_now();
		peer_kill(&waiter[i & 1]);
		peer_join(&waiter[!(i & 1)]);
		assert_true(ms_now() - from < STUCK_MS);
	}
	close_pair();
}

/* Leaves much to undo. */
static int
hold_much(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const pair *q = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "pair", pair, &q));
	STOA_TX(tx, own, &q->lock);
	for (int i = 0; i < LUMPS; i++)
		MUST(stoa_new(tx, lump));
	tell(me, 'h');
	hear(me);
	return 1;
}

static int
recover(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();

	(void)user;
	tell(me, 'r');
	return !own || stoa_segment_recover(own) < 0;
}

/* To the microsecond, as no sleep is. */
static void
spin_us(unsigned us)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000 +
			(now.tv_nsec - from.tv_nsec) / 1000 <
		(long)us);
}

/*
 * Recoverers are killed, one after the other, at random moments of one recovery.
 * None of them died of what it found there, so nothing may be quarantined.
 */
static void
recoverers_die(void **state)
{
	unsigned random = 1;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct peer child = peer_start(hold_much, NULL);

		assert_int_equal(hear(&child), 'h');
		peer_kill(&child);
		for (int k = 0; k < RECOVERERS; k++) {
			random = random * 1103515245u + 12345u;
			child = peer_start(recover, NULL);
			assert_int_equal(hear(&child), 'r');
			spin_us((random >> 16) % SPIN_US);
			peer_kill(&child);
		}
		open_pair();
		take_within_promise();
		close_pair();
	}
}

static int
hammer(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const pair *q = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "pair", pair, &q));
	tell(me, 'h');
	while (own) {
		STOA_TX(tx, own, &q->lock);
		MUST(q->a == q->b);
		STOA_ADD(tx, q->a, 1);
		STOA_ADD(tx, q->b, 1);
		MUST(!stoa_tx_commit(tx));
	}
	return 1;
}

/* All are killed at once, at random moments; who opens it next finds it whole. */
static void
all_die_and_it_is_opened_again(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct peer child[4];

		for (int k = 0; k < 4; k++)
			child[k] = peer_start(hammer, NULL);
		for (int k = 0; k < 4; k++)
			assert_int_equal(hear(&child[k]), 'h');
		ms_sleep((unsigned)i % 7);
		for (int k = 0; k < 4; k++)
			kill(child[k].pid, SIGKILL);
		for (int k = 0; k < 4; k++)
			peer_kill(&child[k]);
		open_pair();
		take_within_promise();
		assert_true(p->a >= before);
		before = p->a;
		close_pair();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holder_dies),
		cmocka_unit_test(holder_is_dying_yet),
		cmocka_unit_test(holder_dies_while_others_wait),
		cmocka_unit_test(woken_waiter_dies),
		cmocka_unit_test(readers_die),
		cmocka_unit_test(waiter_on_a_condition_dies),
		cmocka_unit_test(recoverers_die),
		cmocka_unit_test(all_die_and_it_is_opened_again),
	};

	return RUN_IN_ALL_WAYS("kill", tests);
}
