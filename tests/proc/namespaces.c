/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Processes in different PID namespaces with the same number: each is pid 1 and
 * tid 1 in its own. Neither may be taken for the other, alive or dead. Skipped
 * where making a namespace is not allowed.
 */
#include "namespace.h"
#include "segment/seat.h"

enum {
	ATTACHES = 60
};

typedef struct box {
	stoa_rwlock lock;
	uint64_t value, attached;
} box;
STOA_TYPE(box, lock, value, attached);

static const box *
open_box(stoa_segment **seg)
{
	const box *b = NULL;

	*seg = segment_open();
	MUST(*seg && !stoa_object_open(*seg, "box", box, &b));
	return b;
}

static int
hold(struct peer *me)
{
	stoa_segment *seg;
	const box *b = open_box(&seg);

	STOA_TX(tx, seg, &b->lock);
	STOA_SET(tx, b->value, 1);
	MUST(!stoa_tx_error(tx));
	tell(me, 'h');
	hear(me);
	MUST(b->value == 1);
	STOA_SET(tx, b->value, 2);
	MUST(!stoa_tx_commit(tx));
	return 0;
}

static int
try_then_wait(struct peer *me)
{
	stoa_segment *seg;
	const box *b = open_box(&seg);

	{
		STOA_TX_UNTIL(tx, stoa_in_ms(2200), seg, &b->lock);
		MUST(stoa_tx_error(tx) == -ETIMEDOUT);
	}
	tell(me, 't');
	STOA_TX(tx, seg, &b->lock);
	MUST(!stoa_tx_error(tx));
	STOA_ADD(tx, b->value, 10);
	MUST(!stoa_tx_commit(tx));
	tell(me, 'g');
	return 0;
}

static void
equal_numbers_are_told_apart(void **state)
{
	struct part a = {hold}, b = {try_then_wait};
	struct peer holder, other;
	stoa_segment *seg;
	const box *box_;

	(void)state;
	if (!namespaces_allowed())
		skip();
	box_ = open_box(&seg);
	holder = peer_start(in_namespace, &a);
	assert_int_equal(hear(&holder), 'h');
	other = peer_start(in_namespace, &b);
	assert_int_equal(hear(&other), 't'); /* it did not get it */
	peer_kill(&holder);                  /* and its namespace with it */
	assert_int_equal(hear_within(&other, 2500), 'g');
	peer_join(&other);
	assert_int_equal(box_->value, 10); /* what the dead one set is undone */
	assert_int_equal(
		STOA_DO(tx, (seg, &box_->lock), STOA_SET(tx, box_->value, 0)),
		0);
	segment_judge(seg);
	stoa_segment_close(seg);
}

static int
attach_and_work(struct peer *me)
{
	stoa_segment *seg;
	const box *b;

	tell(me, 'a');
	b = open_box(&seg);
	while (seg) {
		STOA_TX_UNTIL(tx, stoa_in_ms(2), seg, &b->lock);
		MUST(stoa_tx_error(tx) == -ETIMEDOUT);
	}
	return 1;
}

/* A twin's process in its namespace dies a moment after the one that was killed. */
static void
wait_for_twins(stoa_segment *seg)
{
	uint32_t live = 2;

	for (int i = 0; i < 5000 && live > 1; i++) {
		usleep(1000);
		(void)stoa_segment_recover(seg);
		live = 0;
		for (uint32_t s = 0; s < seg->slot_count; s++)
			live += a32_load_relaxed(
					&stoai_slot_at(seg, s)->state) ==
				STOAI_SLOT_LIVE;
	}
	assert_int_equal(live, 1);
}

/*
 * While the holder lives, others with its number die at every moment of attach
 * and of waiting: the kernel's walk over their lists must not mark the holder.
 */
static void
dying_twins_do_not_kill_the_living(void **state)
{
	struct part a = {hold}, b = {attach_and_work};
	struct peer holder;
	stoa_segment *seg;
	const box *box_;

	(void)state;
	if (!namespaces_allowed())
		skip();
	box_ = open_box(&seg);
	holder = peer_start(in_namespace, &a);
	assert_int_equal(hear(&holder), 'h');
	for (unsigned i = 0; i < ATTACHES; i++) {
		struct peer twin = peer_start(in_namespace, &b);
		struct timespec t = {0, (long)(i * 37 % 40) * 100000};

		assert_int_equal(hear(&twin), 'a');
		nanosleep(&t, NULL);
		peer_kill(&twin);
		stoa_segment_recover(seg);
		STOA_TX_UNTIL(tx, STOA_NOW, seg, &box_->lock);
		assert_int_equal(stoa_tx_error(tx), -EAGAIN);
	}
	tell(&holder, 'e');
	peer_join(&holder);
	wait_for_twins(seg);
	assert_int_equal(box_->value, 2);
	assert_int_equal(
		STOA_DO(tx, (seg, &box_->lock), STOA_SET(tx, box_->value, 0)),
		0);
	segment_judge(seg);
	stoa_segment_close(seg);
}

static int
attach_and_leave(struct peer *me)
{
	stoa_segment *seg;

	(void)open_box(&seg);
	stoa_segment_detach(seg);
	tell(me, 'l');
	hear(me);
	return 0; /* the kernel walks its list */
}

/*
 * Who has left has nothing there any more: when it ends, the kernel must not find
 * on its list the token of the one who has its slot and its number now.
 */
static void
who_left_does_not_mark_its_successor(void **state)
{
	struct part a = {attach_and_leave}, b = {hold};
	struct peer first, holder;
	stoa_segment *seg;
	const box *box_;

	(void)state;
	if (!namespaces_allowed())
		skip();
	first = peer_start(in_namespace, &a);
	assert_int_equal(hear(&first), 'l');
	holder = peer_start(in_namespace, &b);
	assert_int_equal(hear(&holder), 'h');
	tell(&first, 'e');
	peer_join(&first);
	box_ = open_box(&seg);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stoa_segment_recover(seg), 0);
		STOA_TX_UNTIL(tx, stoa_in_ms(20), seg, &box_->lock);
		assert_int_equal(stoa_tx_error(tx), -ETIMEDOUT);
	}
	for (uint32_t i = 0; i < seg->slot_count; i++)
		assert_true(!a32_load_relaxed(&stoai_slot_at(seg, i)->paged) ||
			    !stoai_token_dead(
				    a32_load_relaxed(stoai_token_at(seg, i))));
	tell(&holder, 'e');
	peer_join(&holder);
	assert_int_equal(
		STOA_DO(tx, (seg, &box_->lock), STOA_SET(tx, box_->value, 0)),
		0);
	segment_judge(seg);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_numbers_are_told_apart),
		cmocka_unit_test(dying_twins_do_not_kill_the_living),
		cmocka_unit_test(who_left_does_not_mark_its_successor),
	};

	return RUN_IN_ALL_WAYS("namespaces", tests);
}
