/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Opening in a crowd: many create at once, one grows while others open, one is
 * killed in the middle of creating; and deleting an object whose lock others have
 * only just given up.
 */
#include <sched.h>
#include "os/os.h"
#include "proc.h"

enum {
	CROWD = 8,
	GROW_ROUNDS = 200,
	KILLS = 40,
	DELETE_MS = 400
};

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

typedef struct counter {
	stoa_rwlock lock;
	uint64_t value;
	numbers list;
} counter;
STOA_TYPE(counter, lock, value, (list, numbers));

#define STOA_NAME counters
#define STOA_KEY  uint64_t
#define STOA_VAL  counter
#define STOA_BOXED
#include <stoa/template/hashmap.h>

typedef struct directory {
	stoa_rwlock lock;
	counters all;
} directory;
STOA_TYPE(directory, lock, (all, counters));

static int
open_and_count(struct peer *me, void *user)
{
	const counter *c = NULL;
	stoa_segment *seg;

	(void)user;
	MUST(hear(me) == 'g');
	seg = segment_open();
	MUST(seg && !stoa_object_open(seg, "counter", counter, &c));
	MUST(!STOA_DO(tx, (seg, &c->lock), STOA_ADD(tx, c->value, 1)));
	return 0;
}

/* One of them makes it, the others find it, and the object in it as well. */
static void
a_crowd_creates_one(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		struct peer child[CROWD];
		const counter *c = NULL;
		stoa_segment *seg;

		for (int i = 0; i < CROWD; i++)
			child[i] = peer_start(open_and_count, NULL);
		for (int i = 0; i < CROWD; i++)
			tell(&child[i], 'g');
		for (int i = 0; i < CROWD; i++)
			peer_join(&child[i]);
		seg = segment_open();
		assert_non_null(seg);
		assert_int_equal(
			stoa_object_open(seg, "counter", counter, &c), 0);
		assert_int_equal(c->value, CROWD);
		segment_judge(seg);
		stoa_segment_close(seg);
		assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
	}
}

static int
grow_when_told(struct peer *me, void *user)
{
	const counter *c = NULL;
	stoa_segment *seg = segment_open();

	(void)user;
	MUST(seg && !stoa_object_open(seg, "counter", counter, &c));
	tell(me, 'r');
	MUST(hear(me) == 'g');
	MUST(!STOA_DO(
		tx, (seg, &c->lock), numbers_resize(tx, &c->list, 2 << 20)));
	tell(me, 'd');
	hear(me);
	return 0;
}

static struct peer grower;

/* Asked before each system call: just before the header is read, it grows. */
static int
grow_before_read(enum stoai_os_call call)
{
	if (call == STOAI_OS_PREAD && grower.pid) {
		stoai_os_fault = NULL;
		tell(&grower, 'g');
		assert_int_equal(hear(&grower), 'd');
	}
	return 0;
}

static void
opening_while_another_grows_it(void **state)
{
	stoa_segment_stat before, after;
	stoa_segment *seg;

	(void)state;
	grower = peer_start(grow_when_told, NULL);
	assert_int_equal(hear(&grower), 'r');
	seg = segment_open();
	assert_non_null(seg);
	stoa_segment_statistics(seg, &before);
	stoa_segment_close(seg);

	stoai_os_fault = grow_before_read;
	seg = segment_open();
	assert_null(stoai_os_fault); /* it was asked */
	assert_non_null(seg);
	stoa_segment_statistics(seg, &after);
	assert_true(after.size > before.size);
	tell(&grower, 'e');
	peer_join(&grower);
	segment_judge(seg);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

static int
create_and_stay(struct peer *me, void *user)
{
	const counter *c = NULL;
	stoa_segment *seg;

	(void)user;
	tell(me, 'b');
	seg = segment_open();
	MUST(seg && !stoa_object_open(seg, "counter", counter, &c));
	MUST(!STOA_DO(tx, (seg, &c->lock), STOA_ADD(tx, c->value, 1)));
	hear(me);
	return 0;
}

/* What a killed creator leaves has no name, or is whole. */
static void
killed_creator_leaves_nothing_half_made(void **state)
{
	(void)state;
	for (int i = 0; i < KILLS; i++) {
		struct timespec t = {0, i * 40000L};
		struct peer child = peer_start(create_and_stay, NULL);
		const counter *c = NULL;
		stoa_segment *seg;

		assert_int_equal(hear(&child), 'b');
		nanosleep(&t, NULL);
		peer_kill(&child);
		seg = segment_open();
		assert_non_null(seg);
		assert_int_equal(
			stoa_object_open(seg, "counter", counter, &c), 0);
		assert_true(c->value <= 1);
		segment_judge(seg);
		stoa_segment_close(seg);
		assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
	}
}

/*
 * All on one processor, and the one that deletes before all others: it is running
 * in the instant in which it can have the directory, with the others still on
 * their way out.
 */
static void
one_processor(bool first)
{
	const struct sched_param priority = {.sched_priority = 1};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
	if (first) /* not allowed to everybody: then it is a matter of luck */
		(void)sched_setscheduler(0, SCHED_FIFO, &priority);
}

static int
use(stoa_segment *seg, const directory *d, uint64_t key)
{
	STOA_TX(tx, seg, stoa_shared(&d->lock));
	const counter *c = counters_get(tx, &d->all, key);

	if (!c)
		return stoa_tx_error(tx);
	if (stoa_tx_lock(tx, &c->lock))
		return stoa_tx_error(tx);
	STOA_ADD(tx, c->value, 1);
	return stoa_tx_commit(tx);
}

static int
use_for_long(struct peer *me, void *user)
{
	const directory *d = NULL;
	stoa_segment *seg = segment_open();

	(void)user;
	MUST(seg && !stoa_object_open(seg, "directory", directory, &d));
	one_processor(false);
	tell(me, 'r');
	while (!hear_within(me, 0))
		for (uint64_t i = 0; i < 100; i++)
			MUST(!use(seg, d, i % 2));
	return 0;
}

/*
 * Who has the directory alone may delete what is in it: whoever used it gave up
 * the counter's lock before the directory's.
 */
static int
delete_for_long(struct peer *me, void *user)
{
	const directory *d = NULL;
	stoa_segment *seg = segment_open();
	const uint64_t until = ms_now() + DELETE_MS;

	(void)me;
	(void)user;
	MUST(seg && !stoa_object_open(seg, "directory", directory, &d));
	one_processor(true);
	for (uint64_t i = 0; ms_now() < until; i++) {
		MUST(!STOA_DO(tx, (seg, &d->lock),
			counters_remove(tx, &d->all, i % 2),
			counters_ensure(tx, &d->all, i % 2)));
		usleep(50 + (unsigned)i % 100);
	}
	return 0;
}

static void
deleting_what_others_have_just_let_go(void **state)
{
	const directory *d = NULL;
	struct peer child[3], deleter;
	stoa_segment *seg = segment_open();

	(void)state;
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "directory", directory, &d), 0);
	for (int i = 0; i < 3; i++) {
		child[i] = peer_start(use_for_long, NULL);
		assert_int_equal(hear(&child[i]), 'r');
	}
	deleter = peer_start(delete_for_long, NULL);
	peer_join(&deleter);
	for (int i = 0; i < 3; i++) {
		tell(&child[i], 'e');
		peer_join(&child[i]);
	}
	segment_judge(seg);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_creates_one),
		cmocka_unit_test(opening_while_another_grows_it),
		cmocka_unit_test(killed_creator_leaves_nothing_half_made),
		cmocka_unit_test(deleting_what_others_have_just_let_go),
	};

	return RUN_IN_ALL_WAYS("open", tests);
}
