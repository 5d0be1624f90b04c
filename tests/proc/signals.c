/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphores, permits, events, event counts and barriers, whose users are killed at
 * random, one after the other, and replaced. After each death all others must go on;
 * at the end nothing is taken, nobody is a member, and what was posted is consumed.
 * STOA_KILLS=N: so many deaths each; in the slow ways fewer.
 *
 * And who waits is woken by the call that ends its wait, and not by a tick (wake.c).
 */
#include <sched.h>
#include "base/atomic.h"
#include "proc.h"
#include "scene.h"

enum {
	CREW = 4,
	KILLS = 60,
	KILLS_SLOW = 4, /* where deaths are found at ticks */
	STUCK_MS = 4000,
	PILE = 4,
	POOL = 2,
	ROUNDS = 7,
	MEDIAN_US = 20000,
	LINGER_MS = 100
};

typedef struct place {
	stoa_semaphore sem;
	stoa_permits pool;
	stoa_event event;
	stoa_latch latch;
	stoa_once once;
	stoa_eventcount count;
	stoa_barrier barrier;
	uint64_t made, used, inside, too_many;
	uint64_t beat[CREW];
	uint64_t got_us;
} place;
STOA_TYPE(place, sem, pool, event, latch, once, count, barrier, made, used,
	inside, too_many, beat, got_us);

static stoa_segment *seg;
static place *p;
static unsigned dice = 12345;

static void
us_spin(uint64_t us)
{
	const uint64_t until = us_now() + us;

	while (us_now() < until)
		;
}

static void
place_open(void)
{
	const place *found = NULL;

	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "place", place, &found), 0);
	p = (place *)(uintptr_t)found;
	memset(p->beat, 0, sizeof p->beat);
	p->made = p->used = p->inside = p->too_many = 0;
}

static void
place_close(void)
{
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

/* ---- a crew of which one after the other is killed ---- */

struct post {
	unsigned k;              /* whose beat */
	int (*step)(unsigned k); /* again and again, until killed */
};

static int
keep_on(struct peer *me, void *user)
{
	struct post post = *(struct post *)user;

	tell(me, 's');
	for (;;) {
		MUST(post.step(post.k) >= 0);
		a64_fetch_add_seq_cst(&p->beat[post.k], 1);
	}
	return 0;
}

static struct peer
hire(unsigned k, int (*step)(unsigned k))
{
	struct post post = {k, step};
	struct peer it = peer_start(keep_on, &post);

	assert_int_equal(hear(&it), 's');
	return it;
}

/*
 * How long until the others have gone on, which they must: each of them, or at least one
 * of those who do the same. What may be taken by who comes first need not come to all.
 */
static uint64_t
others_go_on(int (*const step[CREW])(unsigned k), unsigned dead, bool each)
{
	const uint64_t from = ms_now();
	uint64_t seen[CREW];

	for (unsigned k = 0; k < CREW; k++)
		seen[k] = a64_load_seq_cst(&p->beat[k]);
	for (unsigned k = 0; k < CREW; k++)
		for (bool on = k == dead; !on; us_spin(20)) {
			for (unsigned i = 0; i < CREW; i++)
				on |= (i == k ||
					      (!each && step[i] == step[k])) &&
				      a64_load_seq_cst(&p->beat[i]) != seen[i];
			if (!on && ms_now() - from > STUCK_MS)
				fail_msg("worker %u is stuck behind the death "
					 "of %u",
					k, dead);
		}
	return ms_now() - from;
}

static void
kill_at_random(int (*const step[CREW])(unsigned k), bool each)
{
	const char *wanted = getenv("STOA_KILLS");
	int kills = wanted && *wanted ? atoi(wanted) : KILLS, late = 0;
	uint64_t longest = 0;
	struct peer crew[CREW];

	if (way->without & STOA_WITHOUT_TOKENS)
		kills = KILLS_SLOW;
	for (unsigned k = 0; k < CREW; k++)
		crew[k] = hire(k, step[k]);
	for (int i = 0; i < kills; i++) {
		unsigned k = (unsigned)rand_r(&dice) % CREW;
		uint64_t ms;

		us_spin((unsigned)rand_r(&dice) % 300);
		peer_kill(&crew[k]);
		ms = others_go_on(step, k, each);
		longest = ms > longest ? ms : longest;
		late += ms > 30;
		crew[k] = hire(k, step[k]);
	}
	for (unsigned k = 0; k < CREW; k++)
		peer_kill(&crew[k]);
	print_message("%d kills, the longest pause %llu ms, %d over 30 ms\n",
		kills, (unsigned long long)longest, late);
	(void)stoa_segment_recover(seg);
}

/* ---- semaphore ---- */

static int
post_some(unsigned k)
{
	(void)k;
	if (stoa_semaphore_value(&p->sem) < PILE)
		return stoa_semaphore_post(&p->sem);
	sched_yield();
	return 0;
}

static int
consume_one(unsigned k)
{
	(void)k;
	return stoa_semaphore_wait(&p->sem);
}

static void
semaphore_users_die(void **state)
{
	int (*const step[])(unsigned) = {
		post_some, post_some, consume_one, consume_one};

	(void)state;
	place_open();
	kill_at_random(step, false);
	while (!stoa_semaphore_wait_until(&p->sem, STOA_NOW))
		;
	assert_int_equal(stoa_semaphore_value(&p->sem), 0);
	place_close();
}

/* ---- permits ---- */

static int
borrow(unsigned k)
{
	int rc = stoa_permits_take(&p->pool);

	(void)k;
	if (rc)
		return rc;
	us_spin(5);
	return stoa_permits_give(&p->pool);
}

static void
holders_of_permits_die(void **state)
{
	int (*const step[])(unsigned) = {borrow, borrow, borrow, borrow};

	(void)state;
	place_open();
	assert_int_equal(stoa_permits_set_total(&p->pool, POOL), 0);
	kill_at_random(step, true);
	/* each was given back, and each once */
	assert_int_equal(stoa_permits_available(&p->pool), POOL);
	place_close();
}

/* ---- event ---- */

static int
set_it(unsigned k)
{
	(void)k;
	us_spin(3);
	return stoa_event_set(&p->event);
}

static int
take_it(unsigned k)
{
	(void)k;
	return stoa_event_take(&p->event);
}

static int
see_it(unsigned k)
{
	(void)k;
	return stoa_event_wait(&p->event);
}

static void
users_of_an_event_die(void **state)
{
	int (*const takers[])(unsigned) = {set_it, set_it, take_it, take_it};
	int (*const both[])(unsigned) = {set_it, set_it, take_it, see_it};

	(void)state;
	place_open();
	kill_at_random(takers, false);
	kill_at_random(both, false);
	place_close();
}

/* ---- any of several ---- */

/* Both are made by each of two; whoever is woken for both hands one on. */
static int
post_and_set(unsigned k)
{
	int rc = post_some(k);

	return rc ? rc : set_it(k);
}

static int
any_of_both(unsigned k)
{
	const stoa_waitable both[] = {stoa_waitable_semaphore(&p->sem),
		stoa_waitable_take(&p->event)};

	(void)k;
	return stoa_wait_any(both, 2, STOA_FOREVER);
}

static void
who_waits_for_any_dies(void **state)
{
	int (*const step[])(unsigned) = {
		post_and_set, post_and_set, any_of_both, any_of_both};
	int (*const beside[])(unsigned) = {
		post_and_set, post_and_set, any_of_both, consume_one};

	(void)state;
	place_open();
	kill_at_random(step, false);
	kill_at_random(beside, false);
	while (!stoa_semaphore_wait_until(&p->sem, STOA_NOW))
		;
	assert_int_equal(stoa_semaphore_value(&p->sem), 0);
	place_close();
}

/* ---- event count ---- */

static int
make_one(unsigned k)
{
	(void)k;
	if (a64_load_seq_cst(&p->made) - a64_load_seq_cst(&p->used) > PILE) {
		sched_yield();
		return 0;
	}
	a64_fetch_add_seq_cst(&p->made, 1);
	return stoa_eventcount_notify_all(&p->count);
}

static bool
use_one(void)
{
	uint64_t used = a64_load_seq_cst(&p->used);

	return used < a64_load_seq_cst(&p->made) &&
	       a64_cas_seq_cst(&p->used, &used, used + 1);
}

static int
await_one(unsigned k)
{
	uint32_t key;
	int rc = 0;

	(void)k;
	while (!rc && !use_one()) {
		rc = stoa_eventcount_prepare(&p->count, &key);
		if (!rc && use_one())
			break;
		if (!rc)
			rc = stoa_eventcount_wait_until(
				&p->count, key, STOA_FOREVER);
	}
	return rc;
}

static void
users_of_an_event_count_die(void **state)
{
	int (*const step[])(unsigned) = {
		make_one, make_one, await_one, await_one};

	(void)state;
	place_open();
	kill_at_random(step, false);
	place_close();
}

/* ---- barrier ---- */

static int
meet_as_member(unsigned k)
{
	int rc = 0;

	(void)k;
	if (!stoa_segment_attach(seg))
		rc = stoa_barrier_wait(&p->barrier);
	if (rc == -EPERM) {
		rc = stoa_barrier_join(&p->barrier);
		if (!rc)
			rc = stoa_barrier_wait(&p->barrier);
	}
	return rc;
}

static void
members_die(void **state)
{
	int (*const step[])(unsigned) = {
		meet_as_member, meet_as_member, meet_as_member, meet_as_member};

	(void)state;
	place_open();
	kill_at_random(step, true);
	assert_int_equal(stoa_barrier_members(&p->barrier), 0);
	place_close();
}

static int
meet_two(unsigned k)
{
	(void)k;
	return stoa_barrier_wait_for(&p->barrier, 2, STOA_FOREVER);
}

static void
those_who_meet_die(void **state)
{
	int (*const step[])(unsigned) = {
		meet_two, meet_two, meet_two, meet_two};

	(void)state;
	place_open();
	kill_at_random(step, true);
	assert_int_equal(stoa_barrier_members(&p->barrier), 0);
	place_close();
}

/* Waits; and a child that it leaves behind keeps its owner byte a little longer. */
static int
meet_and_linger(struct peer *me, void *user)
{
	stoa_segment *own = segment_open();
	const place *q = NULL;

	(void)user;
	MUST(own && !stoa_object_open(own, "place", place, &q));
	linger(LINGER_MS);
	tell(me, 'w');
	MUST(stoa_barrier_wait_for(&q->barrier, 2, STOA_FOREVER) >= 0);
	return 1;
}

/*
 * The kernel has marked it dead, and it cannot be recovered yet: it is not there any
 * more. Without tokens nobody can know that.
 */
static void
the_dying_is_not_met(void **state)
{
	struct peer it;

	(void)state;
	if (way->without & STOA_WITHOUT_TOKENS) {
		scene_skipped("the_dying_is_not_met", "it is for tokens");
		return;
	}
	place_open();
	it = peer_start(meet_and_linger, NULL);
	assert_int_equal(hear(&it), 'w');
	ms_sleep(LINGER_MS / 4); /* it sleeps, most likely */
	peer_kill(&it);
	assert_int_equal(stoa_barrier_wait_for(
				 &p->barrier, 2, stoa_in_ms(LINGER_MS / 4)),
		-ETIMEDOUT);
	ms_sleep(LINGER_MS);
	assert_int_equal(stoa_barrier_members(&p->barrier), 0);
	place_close();
}

/* ---- once ---- */

static int
begin_and_stay(struct peer *me, void *user)
{
	(void)user;
	MUST(stoa_once_begin(&p->once, STOA_FOREVER) >= STOA_ONCE_FIRST);
	tell(me, 'b');
	hear(me);
	return 1;
}

static int
await_once(struct peer *me, void *user)
{
	(void)user;
	tell(me, 'w');
	MUST(stoa_once_begin(&p->once, STOA_FOREVER) == STOA_ONCE_AGAIN);
	MUST(!stoa_once_end(&p->once));
	return 0;
}

static void
who_does_it_dies(void **state)
{
	struct peer first, second;

	(void)state;
	place_open();
	if (stoa_once_is_done(&p->once))
		p->once.done_ = 0;
	first = peer_start(begin_and_stay, NULL);
	assert_int_equal(hear(&first), 'b');
	second = peer_start(await_once, NULL);
	assert_int_equal(hear(&second), 'w');
	ms_sleep(5);
	peer_kill(&first);
	peer_join(&second);
	assert_true(stoa_once_is_done(&p->once));
	place_close();
}

/* ---- woken, not ticked ---- */

static int
wait_and_say(struct peer *me, void *user)
{
	int (*const wait)(unsigned) = *(int (**)(unsigned))user;

	tell(me, 'w');
	MUST(wait(0) >= 0);
	a64_store_release(&p->got_us, us_now());
	return 0;
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* prepare: so that there is something to wait for; or NULL. */
static void
measure(const char *what, int (*prepare)(unsigned), int (*wait)(unsigned),
	int (*let_go)(unsigned))
{
	uint64_t us[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		struct peer child;
		uint64_t from;

		assert_true(!prepare || !prepare(0));
		child = peer_start(wait_and_say, &wait);
		assert_int_equal(hear(&child), 'w');
		ms_sleep(10);
		from = us_now();
		assert_true(let_go(0) >= 0);
		peer_join(&child);
		us[i] = p->got_us > from ? p->got_us - from : 0;
	}
	qsort(us, ROUNDS, sizeof us[0], by_size);
	if (us[ROUNDS / 2] > MEDIAN_US)
		fail_msg("%s: woken after %llu us, median of %d", what,
			(unsigned long long)us[ROUNDS / 2], ROUNDS);
}

static int
post_one(unsigned k)
{
	(void)k;
	return stoa_semaphore_post(&p->sem);
}

static int
set_and_reset(unsigned k)
{
	(void)k;
	return stoa_event_set(&p->event) ? -1 : stoa_event_reset(&p->event);
}

static int
latch_down(unsigned k)
{
	(void)k;
	return stoa_latch_count_down(&p->latch, 1);
}

static int
latch_wait(unsigned k)
{
	(void)k;
	return stoa_latch_wait(&p->latch);
}

static int
give_back(unsigned k)
{
	(void)k;
	return stoa_permits_give(&p->pool);
}

/* The pool's only permit, which the parent has. */
static int
take_back(unsigned k)
{
	int rc = stoa_permits_take(&p->pool);

	(void)k;
	return rc ? rc : stoa_permits_give(&p->pool);
}

static int
latch_up(unsigned k)
{
	(void)k;
	return stoa_latch_add(&p->latch, 1);
}

static int
have_it(unsigned k)
{
	(void)k;
	return stoa_permits_take(&p->pool);
}

static void
each_call_wakes(void **state)
{
	(void)state;
	place_open();
	measure("post", NULL, consume_one, post_one);
	measure("set, take", NULL, take_it, set_it);
	measure("set, wait", NULL, see_it, set_and_reset);
	measure("notify", NULL, await_one, make_one);
	measure("meet", NULL, meet_two, meet_two);
	measure("count down", latch_up, latch_wait, latch_down);
	assert_int_equal(stoa_permits_set_total(&p->pool, 1), 0);
	measure("give", have_it, take_back, give_back);
	place_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_wakes),
		cmocka_unit_test(semaphore_users_die),
		cmocka_unit_test(holders_of_permits_die),
		cmocka_unit_test(users_of_an_event_die),
		cmocka_unit_test(users_of_an_event_count_die),
		cmocka_unit_test(who_waits_for_any_dies),
		cmocka_unit_test(members_die),
		cmocka_unit_test(those_who_meet_die),
		cmocka_unit_test(the_dying_is_not_met),
		cmocka_unit_test(who_does_it_dies),
	};

	return RUN_IN_ALL_WAYS("signals", tests);
}
