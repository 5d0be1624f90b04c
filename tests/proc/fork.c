/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A fork child inherits every pointer of its parent and must find itself
 * detached: what it does with the parent's transaction is refused, what it opens
 * itself works, and its end changes nothing for the parent.
 */
#include "proc.h"

typedef struct pair {
	stoa_rwlock lock;
	uint64_t a, b;
} pair;
STOA_TYPE(pair, lock, a, b);

struct share {
	stoa_segment *seg;
	const pair *p;
	stoa_tx *tx;
	const stoa_tx *rd;
};

static int
misuse_tx(struct peer *me, void *user)
{
	struct share *s = user;

	(void)me;
	MUST(!STOA_SET(s->tx, s->p->b, 99));
	MUST(stoa_tx_commit(s->tx) == -EPERM);
	stoa_tx_end(s->tx);
	MUST(s->p->a == 1 && s->p->b == 0);
	return 0;
}

static void
parents_transaction_is_refused_to_the_child(void **state)
{
	struct share s = {segment_open(), NULL, NULL, NULL};
	struct peer child;

	(void)state;
	assert_non_null(s.seg);
	assert_int_equal(stoa_object_open(s.seg, "fork1", pair, &s.p), 0);
	{
		STOA_TX(tx, s.seg, &s.p->lock);
		STOA_SET(tx, s.p->a, 1);
		s.tx = tx;
		child = peer_start(misuse_tx, &s);
		peer_join(&child);
		STOA_SET(tx, s.p->b, 1);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(s.p->a, 1);
	assert_int_equal(s.p->b, 1);
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
}

static int
misuse_read(struct peer *me, void *user)
{
	struct share *s = user;

	(void)me;
	MUST(stoa_tx_error(s->rd) == -EPERM);
	stoa_tx_end(s->rd);
	return 0;
}

static void
parents_read_scope_is_refused_to_the_child(void **state)
{
	struct share s = {segment_open(), NULL, NULL, NULL};
	struct peer child;

	(void)state;
	assert_non_null(s.seg);
	assert_int_equal(stoa_object_open(s.seg, "fork2", pair, &s.p), 0);
	{
		STOA_READ(rd, s.seg, &s.p->lock);
		s.rd = rd;
		child = peer_start(misuse_read, &s);
		peer_join(&child);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	/* The child gave nothing up: the read lock came back once, not twice. */
	assert_int_equal(
		STOA_DO(tx, (s.seg, &s.p->lock), STOA_SET(tx, s.p->a, 5)), 0);
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
}

static int
work_on(struct peer *me, void *user)
{
	struct share *s = user;
	stoa_segment_stat before, after;

	(void)me;
	stoa_segment_statistics(s->seg, &before);
	for (int i = 0; i < 100; i++)
		MUST(!STOA_DO(
			tx, (s->seg, &s->p->lock), STOA_ADD(tx, s->p->a, 1)));
	stoa_segment_statistics(s->seg, &after);
	MUST(after.threads == before.threads + 1);
	return 0;
}

static void
child_has_a_seat_of_its_own(void **state)
{
	struct share s = {segment_open(), NULL, NULL, NULL};
	struct peer child[3];

	(void)state;
	assert_non_null(s.seg);
	assert_int_equal(stoa_object_open(s.seg, "fork3", pair, &s.p), 0);
	for (int i = 0; i < 3; i++) {
		child[i] = peer_start(work_on, &s);
		peer_join(&child[i]); /* it ended without a goodbye */
		stoa_segment_recover(s.seg);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(STOA_DO(tx, (s.seg, &s.p->lock),
					 STOA_ADD(tx, s.p->a, 1)),
			0);
	assert_int_equal(s.p->a, 400);
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
}

static int
sleep_on(struct peer *me, void *user)
{
	(void)user;
	MUST(tell(me, 'r'));
	hear(me);
	return 0;
}

static int
lock_fork_and_wait(struct peer *me, void *user)
{
	struct share s = {segment_open(), NULL, NULL, NULL};
	pid_t pid;

	(void)user;
	MUST(s.seg && !stoa_object_open(s.seg, "fork4", pair, &s.p));
	STOA_TX(tx, s.seg, &s.p->lock);
	STOA_SET(tx, s.p->a, 7);
	pid = fork();
	if (!pid)
		return sleep_on(me, NULL);
	hear(me);
	return 1;
}

/*
 * The parent dies with the lock while its child lives on, with every descriptor
 * and mapping of the parent's: no proof that the parent lives.
 */
static void
living_child_does_not_keep_a_dead_parents_lock(void **state)
{
	struct share s = {NULL, NULL, NULL, NULL};
	struct peer parent = peer_start(lock_fork_and_wait, NULL);
	uint64_t from;

	(void)state;
	assert_int_equal(hear(&parent), 'r'); /* it opened by itself */
	s.seg = segment_open();
	assert_non_null(s.seg);
	assert_int_equal(stoa_object_open(s.seg, "fork4", pair, &s.p), 0);
	kill(parent.pid, SIGKILL);
	waitpid(parent.pid, NULL, 0);
	from = ms_now();
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(5000), s.seg, &s.p->lock);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(s.p->a, 0);
	}
	assert_true(ms_now() - from < 2500);
	tell(&parent, 'e');
	peer_forget(&parent);
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
}

static int
child_of_the_dead(const struct share *s, struct peer *me)
{
	uint64_t from;

	MUST(tell(me, 'r') && hear(me) == 'd'); /* the parent is dead */
	from = ms_now();
	STOA_TX_UNTIL(tx, stoa_in_ms(5000), s->seg, &s->p->lock);
	MUST(!stoa_tx_error(tx) && !s->p->a);
	MUST(ms_now() - from < 2500);
	MUST(tell(me, 'g'));
	return 0;
}

static int
lock_and_fork(struct peer *me, void *user)
{
	struct share s = {segment_open(), NULL, NULL, NULL};
	pid_t pid;

	(void)user;
	MUST(s.seg && !stoa_object_open(s.seg, "fork5", pair, &s.p));
	STOA_TX(tx, s.seg, &s.p->lock);
	STOA_SET(tx, s.p->a, 7);
	pid = fork();
	if (!pid)
		_exit(child_of_the_dead(&s, me));
	pause();
	return 1;
}

/* A child takes over what its parent held: the parent's slots are not its own. */
static void
child_takes_its_dead_parents_lock(void **state)
{
	struct peer parent = peer_start(lock_and_fork, NULL);
	stoa_segment *seg;

	(void)state;
	assert_int_equal(hear(&parent), 'r');
	kill(parent.pid, SIGKILL);
	waitpid(parent.pid, NULL, 0);
	tell(&parent, 'd');
	assert_int_equal(hear(&parent), 'g');
	peer_forget(&parent);
	seg = segment_open();
	segment_judge(seg);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parents_transaction_is_refused_to_the_child),
		cmocka_unit_test(parents_read_scope_is_refused_to_the_child),
		cmocka_unit_test(child_has_a_seat_of_its_own),
		cmocka_unit_test(
			living_child_does_not_keep_a_dead_parents_lock),
		cmocka_unit_test(child_takes_its_dead_parents_lock),
	};

	return RUN_IN_ALL_WAYS("fork", tests);
}
