/* SPDX-License-Identifier: BSL-1.0 */
/* A stopped process is not dead: nobody may take what it holds. */
#include "proc.h"

typedef struct box {
	stoa_rwlock lock;
	uint64_t value;
} box;
STOA_TYPE(box, lock, value);

static int
hold(struct peer *me, void *user)
{
	stoa_segment *seg = segment_open();
	const box *b = NULL;

	(void)user;
	MUST(seg && !stoa_object_open(seg, "stop", box, &b));
	STOA_TX(tx, seg, &b->lock);
	STOA_SET(tx, b->value, 1);
	tell(me, 'h');
	hear(me);
	STOA_ADD(tx, b->value, 1);
	MUST(!stoa_tx_commit(tx));
	return 0;
}

static void
stopped_holder_keeps_its_lock(void **state)
{
	stoa_segment *seg = segment_open();
	const box *b = NULL;
	struct peer child;
	int status;

	(void)state;
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "stop", box, &b), 0);
	child = peer_start(hold, NULL);
	assert_int_equal(hear(&child), 'h');
	kill(child.pid, SIGSTOP);
	assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
	assert_true(WIFSTOPPED(status));
	{ /* longer than every tick */
		STOA_TX_UNTIL(tx, stoa_in_ms(2500), seg, &b->lock);
		assert_int_equal(stoa_tx_error(tx), -ETIMEDOUT);
	}
	assert_int_equal(stoa_segment_recover(seg), 0);
	{
		STOA_TX_UNTIL(tx, STOA_NOW, seg, &b->lock);
		assert_int_equal(stoa_tx_error(tx), -EAGAIN);
	}
	kill(child.pid, SIGCONT);
	tell(&child, 'g');
	peer_join(&child);
	{
		STOA_READ(rd, seg, &b->lock);
		assert_int_equal(b->value, 2);
	}
	assert_int_equal(
		STOA_DO(tx, (seg, &b->lock), STOA_SET(tx, b->value, 0)), 0);
	segment_judge(seg);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_holder_keeps_its_lock),
	};

	return RUN_IN_ALL_WAYS("stop", tests);
}
