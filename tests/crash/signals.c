/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphores, permits, events, latches, once, event counts, barriers, and the counting
 * of waits, killed at every instruction. Each call has happened or not, and what the dead had is free
 * again. Who is woken when is not to be seen here: unit/test_semaphore.c and its like.
 */
#include "crash.h"
#include "stoa/stoa.h"
#include "sync/contention.h"

typedef struct data {
	stoa_semaphore sem;
	stoa_permits permits;
	stoa_event event;
	stoa_latch latch;
	stoa_once once;
	stoa_eventcount count;
	stoa_barrier barrier;
} data;
STOA_TYPE(data, sem, permits, event, latch, once, count, barrier);

enum {
	POSTED = 3,
	POOL = 2
};

static const data *d;

#define COVERS(text) .covers = text
/* Two handles of one mapping: the calls are to be of this one's thread. */
#define OP(name, call) \
 static int name(stoa_segment *seg, void *user) \
 { \
  int rc = stoa_segment_attach(seg); \
\
  (void)user; \
  return rc ? rc : (call); \
 }

/* ---- the data ---- */

static int
setup(stoa_segment *seg, void *user)
{
	int rc = stoa_object_open(seg, "data", data, &d);

	(void)user;
	if (!rc)
		rc = stoa_semaphore_post_many(&d->sem, POSTED);
	if (!rc)
		rc = stoa_permits_set_total(&d->permits, POOL);
	if (!rc)
		rc = stoa_latch_add(&d->latch, 9);
	return rc;
}

/* Set, and with the bits of who sleeps, though nobody does: they may stay behind. */
static int
setup_sleepers(stoa_segment *seg, void *user)
{
	int rc = setup(seg, user);
	data *at = (data *)(uintptr_t)d;

	at->sem.word_ = UINT32_C(0x80000000);
	at->event.word_ |= UINT32_C(0xc0000000);
	at->latch.word_ = UINT32_C(0x80000001);
	at->count.word_ |= 1;
	at->permits.seq_ |= 1;
	return rc;
}

static int
setup_set(stoa_segment *seg, void *user)
{
	int rc = setup(seg, user);

	return rc ? rc : stoa_event_set(&d->event);
}

static int
setup_counting(stoa_segment *seg, void *user)
{
	int rc = setup_sleepers(seg, user);

	return rc ? rc : stoa_contention_start(seg, 4);
}

/* All permits are free, nobody is a member, no lock is held. */
static int
check(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (rc)
		return rc;
	if (stoa_permits_available(&d->permits) != POOL ||
		stoa_barrier_members(&d->barrier))
		return -EBADMSG;
	if (d->permits.lock_.word_ || d->barrier.lock_.word_ ||
		d->once.lock_.word_)
		return -EBUSY;
	return 0;
}

static uint64_t
state(stoa_segment *seg, void *user)
{
	uint64_t sum = stoa_semaphore_value(&d->sem);

	(void)user;
	sum = sum * 1000 + (d->event.word_ & 0x3fffffff);
	sum = sum * 1000 + stoa_latch_count(&d->latch);
	sum = sum * 1000 + stoa_once_is_done(&d->once);
	sum = sum * 1000 + (d->count.word_ >> 1);
	sum = sum * 2 + stoa_contention_is_on(seg);
	return sum * 1000 + stoa_barrier_phase(&d->barrier);
}

/* ---- semaphore ---- */

OP(post, stoa_semaphore_post(&d->sem))
OP(post_many, stoa_semaphore_post_many(&d->sem, 2))
OP(wait_now, stoa_semaphore_wait_until(&d->sem, STOA_NOW))
OP(wait_ever, stoa_semaphore_wait(&d->sem))
OP(wait_spinning, stoa_semaphore_spin(&d->sem, STOA_FOREVER))

/* None is there; or another one posts. */
static int
wait_in_vain(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	for (int i = 0; !rc && i <= POSTED; i++)
		rc = stoa_semaphore_wait_until(&d->sem, stoa_in_ms(1));
	return rc == -ETIMEDOUT ? 0 : rc;
}

/* ---- what is counted ---- */

OP(start_counting, stoa_contention_start(seg, 4))
OP(stop_counting, stoa_contention_stop(seg))

/* What ends each wait. Stepped, no thread sleeps as long as it would, so by itself. */
static int
count_wait(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		stoai_contention_count(
			stoai_seat_of(seg), stoai_off(seg, &d->sem), 1);
	return rc;
}

/* ---- permits ---- */

static int
take(uint64_t deadline)
{
	int rc = deadline == STOA_FOREVER
			 ? stoa_permits_take(&d->permits)
			 : stoa_permits_take_until(&d->permits, deadline);

	return rc ? rc : stoa_permits_give(&d->permits);
}

OP(take_give, take(STOA_FOREVER))
OP(take_now_give, take(STOA_NOW))
OP(same_total, stoa_permits_set_total(&d->permits, POOL))

static int
take_two_and_detach(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	for (int i = 0; !rc && i < POOL; i++)
		rc = stoa_permits_take(&d->permits);
	stoa_segment_detach(seg);
	return rc;
}

/* Two are taken, and there is no third. */
static int
take_too_many(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg), third;

	(void)user;
	for (int i = 0; !rc && i < POOL; i++)
		rc = stoa_permits_take(&d->permits);
	if (rc)
		return rc;
	third = stoa_permits_take_until(&d->permits, stoa_in_ms(1));
	for (int i = 0; !rc && i < POOL; i++)
		rc = stoa_permits_give(&d->permits);
	return rc ? rc : third == -ETIMEDOUT ? 0 : -EBADMSG;
}

/* ---- events and latches ---- */

OP(set, stoa_event_set(&d->event))
OP(reset, stoa_event_reset(&d->event))
OP(event_take_now, stoa_event_take_until(&d->event, STOA_NOW))
OP(event_wait, stoa_event_wait(&d->event))
OP(event_wait_soon, stoa_event_wait_until(&d->event, stoa_in_ms(1)))
OP(latch_add, stoa_latch_add(&d->latch, 1))
OP(latch_down, stoa_latch_count_down(&d->latch, 1))
OP(latch_wait_soon, stoa_latch_wait_until(&d->latch, stoa_in_ms(1)))

static int
event_take(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc && !stoa_event_is_set(&d->event))
		rc = stoa_event_set(&d->event);
	return rc ? rc : stoa_event_take(&d->event);
}

static int
latch_wait(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc && stoa_latch_count(&d->latch))
		rc = stoa_latch_count_down(
			&d->latch, stoa_latch_count(&d->latch));
	return rc ? rc : stoa_latch_wait(&d->latch);
}

/* ---- once ---- */

static int
once(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_once_begin(&d->once, STOA_FOREVER);
	return rc > 0 ? stoa_once_end(&d->once) : rc;
}

static int
once_undone(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_once_begin(&d->once, STOA_FOREVER);
	return rc > 0 ? stoa_once_undo(&d->once) : rc;
}

/* ---- event count ---- */

static int
prepare_and_wait(stoa_segment *seg, void *user)
{
	uint32_t key;
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_eventcount_prepare(&d->count, &key);
	if (!rc)
		rc = stoa_eventcount_wait_until(&d->count, key, stoa_in_ms(1));
	return rc == -ETIMEDOUT ? 0 : rc;
}

OP(notify, stoa_eventcount_notify(&d->count))
OP(notify_all, stoa_eventcount_notify_all(&d->count))

/* ---- barrier ---- */

static int
join_and_leave(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_barrier_join(&d->barrier);
	return rc ? rc : stoa_barrier_leave(&d->barrier);
}

static int
meet(stoa_segment *seg, int (*wait)(void))
{
	int rc = stoa_segment_attach(seg), left;

	if (!rc)
		rc = stoa_barrier_join(&d->barrier);
	if (rc)
		return rc;
	rc = wait();
	left = stoa_barrier_leave(&d->barrier);
	return rc < 0 ? rc : left;
}

static int
wait_ever_there(void)
{
	return stoa_barrier_wait(&d->barrier);
}

static int
wait_soon_there(void)
{
	return stoa_barrier_wait_until(&d->barrier, stoa_in_ms(1));
}

static int
members_meet(stoa_segment *seg, void *user)
{
	(void)user;
	return meet(seg, wait_ever_there);
}

static int
members_meet_soon(stoa_segment *seg, void *user)
{
	(void)user;
	return meet(seg, wait_soon_there);
}

static int
meet_one(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_barrier_wait_for(&d->barrier, 1, STOA_FOREVER);
	return rc < 0 ? rc : 0;
}

static int
meet_two_in_vain(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_barrier_wait_for(&d->barrier, 2, stoa_in_ms(1));
	return rc == -ETIMEDOUT || rc > 0 ? 0 : rc;
}

/* ---- any of several ---- */

static int
any_of_two(uint64_t deadline)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&d->sem),
		stoa_waitable_take(&d->event)};

	return stoa_wait_any(on, 2, deadline);
}

/* The semaphore is there: nobody sleeps. */
static int
any_is_there(stoa_segment *seg, void *user)
{
	const stoa_waitable on[] = {stoa_waitable_latch(&d->latch),
		stoa_waitable_semaphore(&d->sem),
		stoa_waitable_take(&d->event)};
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_wait_any(on, 3, STOA_FOREVER);
	return rc > 0 ? 0 : rc;
}

/* None is there; or another one posts. */
static int
any_in_vain(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = any_of_two(stoa_in_ms(1));
	return rc == -ETIMEDOUT || rc > 0 ? 0 : rc;
}

/* ---- the cases ---- */

static const stoa_explore_op others[] = {{"posts", post, false},
	{"waits", wait_now, false}, {"borrows", take_now_give, false},
	{"sets", set, false}, {"notifies", notify, false},
	{"joins and leaves", join_and_leave, false}};

/* A barrier is used in one of its two ways at a time: these come before the last. */
#define CASE_IN(title, calls, setup_, op_, flags_) \
 CASE_WITH(title, calls, 6, setup_, op_, flags_)
#define CASE_WITH(title, calls, count, setup_, op_, flags_) \
 { \
  .explore = {.name = title, \
	  .setup = setup_, \
	  .op = op_, \
	  .check = check, \
	  .state = state, \
	  .others = others, \
	  .other_count = (count)}, \
  COVERS(calls), .flags = flags_ \
 }
#define CASE(title, calls, op_) CASE_IN(title, calls, setup, op_, 0)

/* Results that say who came first, or that nobody did. */
enum {
	EITHER = STOA_EXPLORE_LOOSE | STOA_EXPLORE_NO_INTERLEAVE
};

static const struct crash_case cases[] = {
	CASE("count waits", "stoa_contention_start", start_counting),
	CASE_IN("count anew", "stoa_contention_start", setup_counting,
		start_counting, EITHER),
	CASE_IN("count no more", "stoa_contention_stop", setup_counting,
		stop_counting, 0),
	CASE_IN("a wait counted", "", setup_counting, count_wait, 0),
	CASE_IN("take and give, counted", "", setup_counting, take_now_give,
		EITHER),
	CASE("post", "stoa_semaphore_post", post),
	CASE("post two", "stoa_semaphore_post_many", post_many),
	CASE_IN("post to sleepers", "stoa_semaphore_post", setup_sleepers, post,
		0),
	CASE("wait", "stoa_semaphore_wait", wait_ever),
	CASE("wait, spinning", "stoa_semaphore_spin", wait_spinning),
	CASE("wait, now", "stoa_semaphore_wait_until", wait_now),
	CASE_IN("wait in vain", "stoa_semaphore_wait_until", setup_sleepers,
		wait_in_vain, EITHER),
	CASE("take and give", "stoa_permits_take stoa_permits_give", take_give),
	CASE_IN("take and give, sleepers", "stoa_permits_take_until",
		setup_sleepers, take_now_give, EITHER),
	CASE_IN("take, and detach", "", setup, take_two_and_detach, EITHER),
	CASE_IN("take too many", "", setup, take_too_many, EITHER),
	CASE_IN("total", "stoa_permits_set_total", setup_sleepers, same_total,
		0),
	CASE("set", "stoa_event_set", set),
	CASE_IN("set for sleepers", "stoa_event_set", setup_sleepers, set, 0),
	CASE_IN("reset", "stoa_event_reset", setup_set, reset, 0),
	CASE_IN("take", "stoa_event_take", setup_set, event_take, EITHER),
	CASE_IN("take, now", "stoa_event_take_until", setup_set, event_take_now,
		0),
	CASE_IN("wait, set", "stoa_event_wait", setup_set, event_wait, EITHER),
	CASE_IN("wait, not set", "stoa_event_wait_until", setup,
		event_wait_soon, EITHER),
	CASE("latch, more", "stoa_latch_add", latch_add),
	CASE("latch, less", "stoa_latch_count_down", latch_down),
	CASE_IN("latch, zero", "stoa_latch_wait", setup_sleepers, latch_wait,
		EITHER),
	CASE_IN("latch, wait in vain", "stoa_latch_wait_until", setup,
		latch_wait_soon, EITHER),
	CASE("once", "stoa_once_begin stoa_once_end", once),
	CASE("once, undone", "stoa_once_undo", once_undone),
	CASE_IN("event count, wait in vain",
		"stoa_eventcount_prepare stoa_eventcount_wait_until", setup,
		prepare_and_wait, EITHER),
	CASE_IN("notify", "stoa_eventcount_notify", setup_sleepers, notify,
		EITHER),
	CASE_IN("notify all", "stoa_eventcount_notify_all", setup_sleepers,
		notify_all, EITHER),
	CASE_IN("any, one is there", "stoa_wait_any", setup_set, any_is_there,
		EITHER),
	CASE_IN("any, in vain", "stoa_wait_any", setup_sleepers, any_in_vain,
		EITHER),
	CASE("join and leave", "stoa_barrier_join stoa_barrier_leave",
		join_and_leave),
	CASE_IN("members meet", "stoa_barrier_wait", setup, members_meet,
		EITHER),
	CASE_IN("members meet, soon", "stoa_barrier_wait_until", setup,
		members_meet_soon, EITHER),
	CASE_WITH("one meets", "stoa_barrier_wait_for", 5, setup, meet_one,
		EITHER),
	CASE_WITH("two meet in vain", "stoa_barrier_wait_for", 5, setup,
		meet_two_in_vain, EITHER),
};

int
main(int argc, char **argv)
{
	return crash_main(
		"signals", cases, sizeof cases / sizeof *cases, argc, argv);
}
