/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Users of each primitive with the same numbers: both are pid 1 and tid 1, each in a PID
 * namespace of its own. One holds what the other waits for, and dies; or both wait, and
 * the one that was woken dies. The other goes on within a tick, and is not taken for the
 * dead one. Locks held in each mode: raw.c; by transactions: namespaces.c. Skipped where
 * making a namespace is not allowed.
 */
#include "base/atomic.h"
#include "namespace.h"

enum {
	STUCK_MS = 2500
};

typedef struct place {
	stoa_mutex mutex;
	stoa_rwlock lock;
	stoa_cond changed;
	stoa_semaphore sem;
	stoa_permits pool;
	stoa_event event;
	stoa_latch latch;
	stoa_once once;
	stoa_eventcount count;
	stoa_barrier barrier;
	uint64_t
		ready; /* of the predicate that condition and event count are for */
} place;
STOA_TYPE(place, mutex, lock, changed, sem, pool, event, latch, once, count,
	barrier, ready);

static stoa_segment *seg;
static place *p;

static void
place_open(void)
{
	const place *found = NULL;

	seg = segment_open();
	MUST(seg && !stoa_object_open(seg, "place", place, &found));
	p = (place *)(uintptr_t)found;
}

/*
 * hold: what one does before the other comes; then it is killed, or, with let_go, lets go
 * first. wait: what the other one does meanwhile; 0 when it is as it should be.
 */
struct meeting {
	const char *name;
	int (*hold)(void), (*wait)(void), (*let_go)(void);
	bool (*taken)(
		void); /* nothing of what was given is left; NULL: it stays */
};

static const struct meeting *meeting;

static int
holder(struct peer *me)
{
	place_open();
	MUST(!meeting->hold());
	tell(me, 'h');
	hear(me);
	return 1;
}

static int
waiter(struct peer *me)
{
	place_open();
	tell(me, 'w');
	MUST(!meeting->wait());
	tell(me, 'g');
	hear(me);
	return 0;
}

/* ---- who holds it dies ---- */

static int
hold_upgradable(void)
{
	return stoa_rwlock_lock_as(&p->lock, STOA_UPGRADABLE, STOA_FOREVER);
}

/* The only upgradable one, and then alone. */
static int
upgrade(void)
{
	int rc = stoa_rwlock_lock_as(&p->lock, STOA_UPGRADABLE, STOA_FOREVER);

	rc = rc ? rc : stoa_rwlock_upgrade(&p->lock);
	stoa_rwlock_unlock(&p->lock);
	return rc;
}

static int
hold_shared(void)
{
	return stoa_rwlock_share(&p->lock);
}

static int
take_permit(void)
{
	return stoa_permits_take(&p->pool);
}

static int
take_permit_too(void)
{
	const int rc = stoa_permits_take(&p->pool);

	if (rc || stoa_permits_held(&p->pool) != 1)
		return -EINVAL;
	return stoa_permits_give(&p->pool);
}

static int
begin(void)
{
	return stoa_once_begin(&p->once, STOA_FOREVER) != STOA_ONCE_FIRST;
}

static int
begin_again(void)
{
	if (stoa_once_begin(&p->once, STOA_FOREVER) != STOA_ONCE_AGAIN)
		return -EINVAL;
	return stoa_once_end(&p->once);
}

static int
join(void)
{
	return stoa_barrier_join(&p->barrier);
}

static int
join_and_meet(void)
{
	const int rc = stoa_barrier_join(&p->barrier);

	if (rc)
		return rc;
	return stoa_barrier_wait(&p->barrier) < 0 ||
	       stoa_barrier_members(&p->barrier) != 1;
}

/* ---- who signals lives; of two that wait the one that was woken dies ---- */

static int
take_one(void)
{
	return stoa_semaphore_wait(&p->sem);
}

static int
post_one(void)
{
	return stoa_semaphore_post(&p->sem);
}

static bool
none_left(void)
{
	return !stoa_semaphore_value(&p->sem);
}

static int
take_event(void)
{
	return stoa_event_take(&p->event);
}

static bool
not_set(void)
{
	return !stoa_event_is_set(&p->event);
}

static int
see_event(void)
{
	return stoa_event_wait(&p->event);
}

static int
set_event(void)
{
	return stoa_event_set(&p->event);
}

static int
await_latch(void)
{
	return stoa_latch_wait(&p->latch);
}

static int
count_down(void)
{
	return stoa_latch_count_down(&p->latch, 1);
}

static int
await_count(void)
{
	uint32_t key;
	int rc = 0;

	while (!rc && !a64_load_seq_cst(&p->ready)) {
		rc = stoa_eventcount_prepare(&p->count, &key);
		if (!rc && !a64_load_seq_cst(&p->ready))
			rc = stoa_eventcount_wait_until(
				&p->count, key, STOA_FOREVER);
	}
	return rc;
}

static int
notify(void)
{
	a64_fetch_add_seq_cst(&p->ready, 1);
	return stoa_eventcount_notify(&p->count);
}

static int
await_change(void)
{
	int rc = stoa_mutex_lock(&p->mutex);

	while ((!rc || rc == -EOWNERDEAD) && !p->ready)
		rc = stoa_cond_wait(&p->changed, &p->mutex, STOA_FOREVER);
	if (rc == -EOWNERDEAD) {
		stoa_mutex_mend(&p->mutex);
		rc = 0;
	}
	stoa_mutex_unlock(&p->mutex);
	return rc;
}

static int
change(void)
{
	int rc = stoa_mutex_lock(&p->mutex);

	if (rc == -EOWNERDEAD) {
		stoa_mutex_mend(&p->mutex);
		rc = 0;
	}
	p->ready = 1;
	rc = rc ? rc : stoa_cond_signal(&p->changed);
	stoa_mutex_unlock(&p->mutex);
	return rc;
}

/* ---- */

/*
 * It is killed by the death of its parent, which we are told of earlier than its own
 * takes place: until nobody has its end of the pipe any more.
 */
static void
kill_and_see(struct peer *one)
{
	kill(one->pid, SIGKILL);
	while (hear(one))
		;
	peer_kill(one);
}

static int
meet_two(void)
{
	return stoa_barrier_wait_for(&p->barrier, 2, STOA_FOREVER) < 0;
}

static const struct meeting holders[] = {
	{"upgradable lock", hold_upgradable, upgrade, NULL, NULL},
	{"upgrade over a reader", hold_shared, upgrade, NULL, NULL},
	{"permits", take_permit, take_permit_too, NULL, NULL},
	{"once", begin, begin_again, NULL, NULL},
	{"barrier", join, join_and_meet, NULL, NULL},
};

static const struct meeting signals[] = {
	{"semaphore", NULL, take_one, post_one, none_left},
	{"event, taken", NULL, take_event, set_event, not_set},
	{"event, seen", NULL, see_event, set_event, NULL},
	{"latch", NULL, await_latch, count_down, NULL},
	{"event count", NULL, await_count, notify, NULL},
	{"condition", NULL, await_change, change, NULL},
};

static void
begin_meeting(const struct meeting *it)
{
	meeting = it;
	place_open();
	memset(p, 0, sizeof *p);
	assert_int_equal(stoa_permits_set_total(&p->pool, 1), 0);
	assert_int_equal(stoa_latch_add(&p->latch, 1), 0);
}

static void
must_go_on(struct peer *other)
{
	if (hear_within(other, STUCK_MS) != 'g')
		fail_msg("%s: the other one does not go on", meeting->name);
	tell(other, 'e');
	peer_join(other);
}

static void
end_meeting(void)
{
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

static void
equal_holders_die(void **state)
{
	struct part one = {holder}, two = {waiter};

	(void)state;
	if (!namespaces_allowed())
		skip();
	for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++) {
		struct peer first, second;

		begin_meeting(&holders[i]);
		first = peer_start(in_namespace, &one);
		assert_int_equal(hear(&first), 'h');
		second = peer_start(in_namespace, &two);
		assert_int_equal(hear(&second), 'w');
		/* it waits, as the first one lives */
		assert_int_equal(hear_within(&second, 20), 0);
		peer_kill(&first); /* and its namespace with it */
		must_go_on(&second);
		end_meeting();
	}
}

/* Both wait. One is killed as what they wait for comes: the other has it. */
static void
equal_waiters_die(void **state)
{
	struct part both = {waiter};

	(void)state;
	if (!namespaces_allowed())
		skip();
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct peer first, second;

		begin_meeting(&signals[i]);
		first = peer_start(in_namespace, &both);
		assert_int_equal(hear(&first), 'w');
		second = peer_start(in_namespace, &both);
		assert_int_equal(hear(&second), 'w');
		ms_sleep(10);
		assert_int_equal(meeting->let_go(), 0);
		kill_and_see(&first);
		/* it may have taken it in time, and then it is gone: once more */
		if (meeting->taken && meeting->taken())
			assert_int_equal(meeting->let_go(), 0);
		must_go_on(&second);
		end_meeting();
	}
}

/* Of two that meet one dies: the other one waits for a third, and meets it. */
static void
equals_meet(void **state)
{
	static const struct meeting two = {
		"barrier of two", NULL, meet_two, NULL, NULL};
	struct part each = {waiter};
	struct peer first, second, third;

	(void)state;
	if (!namespaces_allowed())
		skip();
	begin_meeting(&two);
	first = peer_start(in_namespace, &each);
	assert_int_equal(hear(&first), 'w');
	assert_int_equal(hear_within(&first, 20), 0);
	kill_and_see(&first);
	for (int ms = 0; stoa_barrier_members(&p->barrier) > 0; ms++) {
		assert_true(ms < STUCK_MS);
		stoa_segment_recover(seg);
		ms_sleep(1);
	}
	second = peer_start(in_namespace, &each);
	assert_int_equal(hear(&second), 'w');
	assert_int_equal(hear_within(&second, 50), 0); /* not with a dead one */
	third = peer_start(in_namespace, &each);
	assert_int_equal(hear(&third), 'w');
	must_go_on(&second);
	must_go_on(&third);
	end_meeting();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_holders_die),
		cmocka_unit_test(equal_waiters_die),
		cmocka_unit_test(equals_meet),
	};

	return RUN_IN_ALL_WAYS("equals", tests);
}
