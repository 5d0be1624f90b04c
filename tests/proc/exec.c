/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A process that executes another program has given up all it held here, also
 * when the thread that calls exec is not the leader: its TID then becomes the
 * leader's before the kernel looks at what it held, so the kernel marks nothing.
 */
#include "proc.h"
#include <pthread.h>

typedef struct box {
	stoa_rwlock lock;
	uint64_t value;
} box;
STOA_TYPE(box, lock, value);

static struct peer *to_parent;
static bool from_other_thread;

static void *
lock_and_exec(void *unused)
{
	stoa_segment *seg = segment_open();
	const box *b = NULL;

	(void)unused;
	MUST(seg && !stoa_object_open(seg, "exec", box, &b));
	STOA_TX(tx, seg, &b->lock);
	STOA_SET(tx, b->value, 13);
	MUST(!stoa_tx_error(tx));
	tell(to_parent, 'l');
	execlp("sleep", "sleep", "30", (char *)NULL);
	_exit(1);
}

static int
body(struct peer *me, void *user)
{
	pthread_t t;

	(void)user;
	to_parent = me;
	if (!from_other_thread)
		lock_and_exec(NULL);
	MUST(!pthread_create(&t, NULL, lock_and_exec, NULL));
	pthread_join(t, NULL);
	return 1;
}

static void
check_exec(bool other_thread)
{
	stoa_segment *seg = segment_open();
	const box *b = NULL;
	struct peer child;
	uint64_t from;

	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "exec", box, &b), 0);
	from_other_thread = other_thread;
	child = peer_start(body, NULL);
	assert_int_equal(hear(&child), 'l');
	from = ms_now();
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(5000), seg, &b->lock);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(b->value, 0);
		STOA_SET(tx, b->value, 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_true(ms_now() - from < 2500);
	assert_int_equal(kill(child.pid, 0), 0); /* it runs, as sleep */
	peer_kill(&child);
	segment_judge(seg);
	stoa_segment_close(seg);
}

static void
exec_of_the_leader_gives_up(void **state)
{
	(void)state;
	check_exec(false);
}

static void
exec_of_another_thread_gives_up(void **state)
{
	(void)state;
	check_exec(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_of_the_leader_gives_up),
		cmocka_unit_test(exec_of_another_thread_gives_up),
	};

	return RUN_IN_ALL_WAYS("exec", tests);
}
