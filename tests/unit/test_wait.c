/* SPDX-License-Identifier: BSL-1.0 */
/* Waiting for any of several: which, what is handed on, deaths, nothing lost. */
#include "signal_fixture.h"
#include "sync/many.h"

enum {
	CREW = 2,
	ROUNDS = 3000,
	SOON_MS = 30 /* before any tick */
};

static uint64_t
ms_since(uint64_t began)
{
	return (stoai_os_now() - began) / 1000000;
}

/* Work for one, before what is for all. */
static int
any(uint64_t deadline)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_take(&at->event), stoa_waitable_latch(&at->latch),
		stoa_waitable_eventcount(&at->count, (uint32_t)at->n)};

	return stoa_wait_any(on, 4, deadline);
}

/* Nothing of them has come about. */
static void
nothing_yet(void)
{
	uint32_t key;

	assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	assert_int_equal(stoa_eventcount_prepare(&at->count, &key), 0);
	at->n = key;
}

static void
the_first_is_taken(void **state)
{
	const struct stoai_seat *seat = own_seat();

	(void)state;
	nothing_yet();
	assert_int_equal(any(STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_semaphore_post_many(&at->sem, 2), 0);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
	assert_int_equal(stoa_eventcount_notify(&at->count), 0);
	assert_int_equal(any(STOA_FOREVER), 0);
	assert_int_equal(stoa_semaphore_value(&at->sem), 1);
	assert_int_equal(any(STOA_NOW), 0);
	assert_true(stoa_event_is_set(&at->event));
	assert_int_equal(any(STOA_NOW), 1);
	assert_false(stoa_event_is_set(&at->event));
	assert_int_equal(any(STOA_NOW), 2);
	assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	assert_int_equal(any(STOA_NOW), 3); /* it stays */
	assert_int_equal(any(1), 3);
	assert_int_equal(seat->locks, 0);
	assert_int_equal(seat->busy, 0);
}

static void
an_event_stays_set(void **state)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_event(&at->event)};

	(void)state;
	assert_int_equal(stoa_wait_any(on, 2, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_wait_any(on, 2, STOA_FOREVER), 1);
	assert_true(stoa_event_is_set(&at->event));
}

static int
post_then_set(void)
{
	int rc = stoa_semaphore_post(&at->sem);

	return rc ? rc : stoa_event_set(&at->event);
}

/* By another thread, between the look at the semaphore and that at the event. */
static int
posted_at_poll(enum stoai_os_call call)
{
	struct caller other;

	if (call == STOAI_OS_POLL) {
		stoai_os_fault = NULL;
		caller_begin(&other, post_then_set);
		assert_int_equal(caller_end(&other), 0);
	}
	return 0;
}

static void
the_first_to_come_is_taken(void **state)
{
	stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_fd(0, POLLIN), stoa_waitable_event(&at->event)};
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	on[1] = stoa_waitable_fd(pipes[0], POLLIN);
	stoai_os_fault = posted_at_poll;
	assert_int_equal(stoa_wait_any(on, 3, STOA_NOW), 0);
	assert_null(stoai_os_fault);
	assert_int_equal(stoa_wait_any(on, 3, STOA_NOW), 2);
	close(pipes[0]);
	close(pipes[1]);
}

static void
refusals(void **state)
{
	stoa_semaphore outside = {1, 0};
	stoa_waitable on[STOA_WAIT_MAX + 1];
	struct stoai_seat *seat = own_seat();

	(void)state;
	for (unsigned i = 0; i <= STOA_WAIT_MAX; i++)
		on[i] = stoa_waitable_semaphore(&at->sem);
	assert_int_equal(stoa_wait_any(on, 0, STOA_NOW), -EINVAL);
	assert_int_equal(
		stoa_wait_any(on, STOA_WAIT_MAX + 1, STOA_NOW), -EINVAL);
	assert_int_equal(
		stoa_wait_any(on, STOA_WAIT_MAX, stoa_in_ms(1)), -ETIMEDOUT);
	assert_non_null(strstr(stoa_error_text(), "come about in time"));
	/* a permit takes one place of the lane */
	assert_int_equal(stoa_permits_set_total(&at->permits, 1), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(
		stoa_wait_any(on, STOA_WAIT_MAX, stoa_in_ms(1)), -EOVERFLOW);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	assert_int_equal(seat->locks, 0);
	on[1] = stoa_waitable_semaphore(&outside);
	assert_int_equal(stoa_wait_any(on, 2, STOA_NOW), -EXDEV);
	on[1] = stoa_waitable_semaphore(NULL);
	assert_int_equal(stoa_wait_any(on, 2, STOA_NOW), -EINVAL);
	on[1].object_ = &at->sem;
	on[1].kind_ = 99;
	assert_int_equal(stoa_wait_any(on, 2, STOA_NOW), -EINVAL);
	assert_int_equal(seat->busy, 0);
	seat->busy = 1; /* as in a signal handler that interrupts a call */
	assert_int_equal(stoa_wait_any(on, 1, STOA_NOW), -EDEADLK);
	on[0] = stoa_waitable_owner(seg, (stoa_owner){1, 0});
	assert_int_equal(stoa_wait_any(on, 1, STOA_NOW), -EDEADLK);
	seat->busy = 0;
}

static void
times_out(void **state)
{
	const struct stoai_seat *seat = own_seat();
	uint64_t began = stoai_os_now();

	(void)state;
	nothing_yet();
	assert_int_equal(any(stoa_in_ms(30)), -ETIMEDOUT);
	assert_in_range(ms_since(began), 29, 500);
	/* others may sleep */
	assert_int_equal(at->sem.word_, SLEEPING);
	assert_int_equal(at->event.word_, SLEEPING);
	assert_int_equal(at->latch.word_, SLEEPING | 1);
	assert_int_equal(seat->locks, 0);
	assert_int_equal(seat->lane->held[0], 0);
	assert_int_equal(seat->slot->waiting_since_ns, 0);
}

/* ---- each wakes ---- */

static int
any_ever(void)
{
	return any(STOA_FOREVER);
}

static int
post(void)
{
	return stoa_semaphore_post(&at->sem);
}

static int
set(void)
{
	return stoa_event_set(&at->event);
}

static int
count_down(void)
{
	return stoa_latch_count_down(&at->latch, 1);
}

static int
notify(void)
{
	return stoa_eventcount_notify(&at->count);
}

static void
each_one_wakes(void **state)
{
	int (*const call[])(void) = {post, set, count_down, notify};

	(void)state;
	nothing_yet();
	for (int i = 0; i < 4; i++) {
		struct caller c;
		uint64_t began;

		caller_start(&c, any_ever);
		began = stoai_os_now();
		assert_int_equal(call[i](), 0);
		assert_int_equal(caller_end(&c), i);
		assert_in_range(ms_since(began), 0, SOON_MS);
		if (call[i] == count_down)
			assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	}
}

/* ---- what comes to one who leaves with something else ---- */

static void (*meanwhile)(void);

static int
comes_while_it_sleeps(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAITV)
		return 0;
	stoai_os_fault = NULL;
	meanwhile();
	return 0; /* the words have changed: it does not sleep */
}

/* One sleeper at the word; is it woken when the waiter leaves with `which`? */
static int
handed_on_at(const uint32_t *word, void (*what)(void), int which)
{
	struct sleeper s;
	int rc;

	sleepers_start(&s, 1, word);
	meanwhile = what;
	stoai_os_fault = comes_while_it_sleeps;
	rc = any(STOA_FOREVER);
	stoai_os_fault = NULL;
	/* it ends, whatever is wrong */
	return sleepers_woken(&s, 1) && rc == which;
}

/* As by those who have woken this thread alone, which has the semaphore first. */
static void
two_posts(void)
{
	a32_store_release(&at->sem.word_, 2);
}

static void
post_and_set(void)
{
	a32_store_release(&at->sem.word_, 1);
	a32_store_release(&at->event.word_, 3);
}

static void
post_and_notify(void)
{
	a32_store_release(&at->sem.word_, 1);
	a32_fetch_add_seq_cst(&at->count.word_, 2);
}

static void
latch_and_notify(void)
{
	a32_store_release(&at->latch.word_, 0);
	a32_fetch_add_seq_cst(&at->count.word_, 2);
}

static void
handed_on(void **state)
{
	(void)state;
	(void)own_seat();
	nothing_yet();
	assert_true(handed_on_at(&at->sem.word_, two_posts, 0));
	assert_int_equal(at->sem.word_, SLEEPING | 1);
	at->sem.word_ = 0;
	assert_true(handed_on_at(&at->event.word_, post_and_set, 0));
	assert_int_equal(at->event.word_, SLEEPING | 3);
	assert_int_equal(stoa_event_reset(&at->event), 0);
	assert_true(handed_on_at(&at->count.word_, post_and_notify, 0));
	at->n = at->count.word_;
	assert_true(handed_on_at(&at->count.word_, latch_and_notify, 2));
}

/* A post that came and was taken by another: the word is marked all the same. */
static void
marked_again(void **state)
{
	(void)state;
	(void)own_seat();
	nothing_yet();
	meanwhile = latch_and_notify;
	stoai_os_fault = comes_while_it_sleeps;
	at->event.word_ = 0;
	assert_int_equal(any(STOA_FOREVER), 2);
	assert_int_equal(at->sem.word_, SLEEPING);
	assert_int_equal(at->event.word_, SLEEPING);
}

/* ---- deaths ---- */

static int
die_asleep(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAITV)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static void
sleeps_and_dies(void)
{
	stoai_os_fault = die_asleep;
	must(any(STOA_FOREVER) < 0);
}

/* Wherever it slept: it may have been woken there. */
static void
dead_waiters_wake_ups_are_handed_on(void **state)
{
	(void)state;
	nothing_yet();
	wake_is_replayed(&at->sem.word_, sleeps_and_dies);
	wake_is_replayed(&at->event.word_, sleeps_and_dies);
	wake_is_replayed(&at->latch.word_, sleeps_and_dies);
	wake_is_replayed(&at->count.word_, sleeps_and_dies);
}

static stoa_owner peer;

static int
until_it_is_gone(void)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_owner(seg, peer)};

	return stoa_wait_any(on, 2, STOA_FOREVER);
}

static stoa_owner
owner_self(void)
{
	STOA_READ(rd, seg);

	return stoa_owner_self(rd);
}

/* A child attaches, is watched by two, and dies. */
static void
an_owners_death_wakes_all(void **state)
{
	struct caller c[CREW];
	uint64_t began;
	pid_t pid;
	int up[2];

	(void)state;
	assert_int_equal(until_it_is_gone(), 1); /* nobody */
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (!pid) {
		stoa_owner me = owner_self();

		must(write(up[1], &me, sizeof me) == sizeof me);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &peer, sizeof peer), sizeof peer);
	for (int i = 0; i < CREW; i++)
		caller_start(&c[i], until_it_is_gone);
	began = stoai_os_now();
	(void)kill(pid, SIGKILL);
	for (int i = 0; i < CREW; i++)
		assert_int_equal(caller_end(&c[i]), 1);
	assert_in_range(ms_since(began), 0, SOON_MS);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(until_it_is_gone(), 1);
	close(up[0]);
	close(up[1]);
}

static int
attach_until_posted(void)
{
	const stoa_owner me = owner_self();
	uint64_t word;

	memcpy(&word, &me, sizeof word);
	a64_store_release(&at->m, word);
	return stoa_latch_wait(&at->latch);
}

static void
an_owner_that_detaches_is_gone(void **state)
{
	struct caller watched, watching;
	uint64_t word;

	(void)state;
	nothing_yet();
	caller_start(&watched, attach_until_posted);
	word = a64_load_acquire(&at->m);
	memcpy(&peer, &word, sizeof peer);
	caller_start(&watching, until_it_is_gone);
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
	assert_int_equal(caller_end(&watched), 0);
	assert_int_equal(caller_end(&watching), 1);
}

/* ---- two segments ---- */

static stoa_segment *other;
static const signals *there;

static int
here_or_there(void)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_semaphore(&there->sem)};
	int rc = stoa_wait_any(on, 2, STOA_FOREVER);

	stoa_segment_detach(other);
	return rc;
}

static void
in_two_segments(void **state)
{
	struct caller c;

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &other), 0);
	assert_int_equal(
		stoa_object_open(other, "signals", signals, &there), 0);
	caller_start(&c, here_or_there);
	assert_int_equal(stoa_semaphore_post(&there->sem), 0);
	assert_int_equal(caller_end(&c), 1);
	caller_start(&c, here_or_there);
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	assert_int_equal(caller_end(&c), 0);
	other = stoa_segment_close(other);
}

/* ---- without futex_waitv ---- */

static void
woken_at_the_second_without_waitv(void **state)
{
	struct caller c;
	uint64_t began;

	(void)state;
	nothing_yet();
	stoai_os_without_waitv = 1;
	caller_start(&c, any_ever);
	began = stoai_os_now();
	assert_int_equal(set(), 0);
	assert_int_equal(caller_end(&c), 1);
	stoai_os_without_waitv = 0;
	assert_in_range(ms_since(began), 0, SOON_MS);
}

/* ---- descriptors ---- */

static int pipe_of[2];

static int
sem_or_pipe(uint64_t deadline)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_event(&at->event),
		stoa_waitable_fd(pipe_of[0], POLLIN)};

	return stoa_wait_any(on, 3, deadline);
}

static int
sem_or_pipe_ever(void)
{
	return sem_or_pipe(STOA_FOREVER);
}

static int
fill_pipe(void)
{
	return write(pipe_of[1], "x", 1) == 1 ? 0 : -1;
}

static int
set_and_reset(void)
{
	return stoa_event_set(&at->event) || stoa_event_reset(&at->event);
}

static void
a_descriptor_among_them(void **state)
{
	int (*const call[])(void) = {post, set_and_reset, fill_pipe};
	const int fds = scene_fds();
	stoa_waitable on;
	char c;

	(void)state;
	assert_int_equal(pipe(pipe_of), 0);
	assert_int_equal(sem_or_pipe(STOA_NOW), -EAGAIN);
	assert_int_equal(sem_or_pipe(stoa_in_ms(5)), -ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		struct caller waiter;
		uint64_t began;

		caller_start(&waiter, sem_or_pipe_ever);
		stoai_os_sleep(5000000); /* its helper sleeps too */
		began = stoai_os_now();
		assert_int_equal(call[i](), 0);
		assert_int_equal(caller_end(&waiter), i);
		assert_in_range(ms_since(began), 0, SOON_MS);
	}
	assert_int_equal(sem_or_pipe(STOA_NOW), 2);
	on = stoa_waitable_fd(pipe_of[0], POLLIN);
	assert_int_equal(stoa_wait_any(&on, 1, STOA_FOREVER), 0);
	assert_int_equal(read(pipe_of[0], &c, 1), 1);
	assert_int_equal(stoa_wait_any(&on, 1, stoa_in_ms(5)), -ETIMEDOUT);
	on = stoa_waitable_fd(-1, POLLIN);
	assert_int_equal(stoa_wait_any(&on, 1, STOA_NOW), -EBADF);
	close(pipe_of[0]);
	close(pipe_of[1]);
	assert_int_equal(scene_fds(), fds);
}

static bool
readable(const stoa_pollable *p, int ms)
{
	struct pollfd fd = {stoa_pollable_fd(p), POLLIN, 0};

	return poll(&fd, 1, ms) == 1;
}

/* Readable when one has come about since it was armed, which takes nothing. */
static void
pollable(void **state)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_take(&at->event),
		stoa_waitable_event(&at->event)};
	const int fds = scene_fds();
	stoa_pollable *p = NULL;

	(void)state;
	assert_int_equal(stoa_pollable_open(on, 3, &p), 0);
	assert_int_equal(post(), 0);
	assert_false(readable(p, 5)); /* not armed */
	assert_int_equal(at->sem.word_, 1);
	assert_int_equal(stoa_pollable_arm(p), 0);
	assert_true(readable(p, 1000));
	assert_int_equal(stoa_wait_any(on, 3, STOA_NOW), 0);
	assert_int_equal(stoa_pollable_arm(p), 0);
	assert_false(readable(p, 5));
	assert_int_equal(stoa_pollable_arm(p), 0); /* armed already */
	assert_int_equal(post(), 0);
	assert_true(readable(p, SOON_MS));
	assert_int_equal(stoa_semaphore_value(&at->sem), 1);
	assert_int_equal(stoa_wait_any(on, 3, STOA_NOW), 0);
	assert_int_equal(stoa_pollable_arm(p), 0);
	assert_int_equal(set_and_reset(), 0);
	assert_true(readable(p, SOON_MS));
	assert_int_equal(stoa_wait_any(on, 3, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_pollable_arm(p), 0);
	assert_null(stoa_pollable_close(p)); /* armed */
	assert_null(stoa_pollable_close(NULL));
	assert_int_equal(scene_fds(), fds);
}

static int
no_thread(enum stoai_os_call call)
{
	return call == STOAI_OS_THREAD ? -EAGAIN : 0;
}

static int
no_eventfd(enum stoai_os_call call)
{
	return call == STOAI_OS_EVENT ? -EMFILE : 0;
}

static void
pollable_refusals(void **state)
{
	stoa_semaphore outside = {0, 0};
	stoa_waitable on = stoa_waitable_semaphore(&outside);
	const int fds = scene_fds();
	stoa_pollable *p = NULL;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(stoa_pollable_open(&on, 1, &p), -EXDEV);
	on = stoa_waitable_fd(0, POLLIN);
	assert_int_equal(stoa_pollable_open(&on, 1, &p), -EINVAL);
	on = stoa_waitable_semaphore(&at->sem);
	stoai_os_fault = no_thread;
	assert_int_equal(stoa_pollable_open(&on, 1, &p), -EAGAIN);
	stoai_os_fault = no_eventfd;
	assert_int_equal(stoa_pollable_open(&on, 1, &p), -EMFILE);
	stoai_os_fault = NULL;
	assert_null(p);
	assert_int_equal(scene_fds(), fds);
	assert_int_equal(stoa_pollable_open(&on, 1, &p), 0);
	pid = fork();
	if (!pid) { /* its thread is in the parent */
		must(stoa_pollable_arm(p) == -EPERM);
		must(!stoa_pollable_close(p));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stoa_pollable_arm(p), 0);
	assert_int_equal(post(), 0);
	assert_true(readable(p, 1000));
	p = stoa_pollable_close(p);
}

static int
wait_sem(void)
{
	return stoa_semaphore_wait(&at->sem);
}

/* A program that does not come is woken first, and another one has it. */
static void
a_pollable_passes_on(void **state)
{
	const stoa_waitable on = stoa_waitable_semaphore(&at->sem);
	stoa_pollable *p = NULL;
	struct caller c;
	uint64_t began;

	(void)state;
	assert_int_equal(stoa_pollable_open(&on, 1, &p), 0);
	assert_int_equal(stoa_pollable_arm(p), 0);
	stoai_os_sleep(5000000);
	caller_start(&c, wait_sem);
	began = stoai_os_now();
	assert_int_equal(post(), 0);
	assert_int_equal(caller_end(&c), 0);
	assert_in_range(ms_since(began), 0, SOON_MS);
	assert_true(readable(p, 1000));
	p = stoa_pollable_close(p);
}

/* ---- all together ---- */

static uint64_t got[2];

/* Ends with the latch. */
static void *
consume(void *p)
{
	const stoa_waitable on[] = {stoa_waitable_semaphore(&at->sem),
		stoa_waitable_take(&at->event),
		stoa_waitable_latch(&at->latch)};
	int which;

	(void)p;
	while ((which = stoa_wait_any(on, 3, stoa_in_ms(10000))) != 2) {
		assert_in_range(which, 0, 1);
		__atomic_add_fetch(&got[which], 1, __ATOMIC_SEQ_CST);
		/* the one that makes them waits for the last one to come */
		a64_fetch_add_seq_cst(&at->m, 1);
	}
	stoa_segment_detach(seg);
	return NULL;
}

/*
 * One of each at a time, for two who wait for both: the one that is woken twice and takes
 * one has to hand the other one on. Waiting for a tick would take minutes.
 */
static void
nothing_is_lost(void **state)
{
	const uint64_t until = stoai_os_now() + UINT64_C(10000000000);
	pthread_t t[CREW];

	(void)state;
	got[0] = got[1] = 0;
	assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	for (int i = 0; i < CREW; i++)
		pthread_create(&t[i], NULL, consume, NULL);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		assert_int_equal(stoa_semaphore_post(&at->sem), 0);
		assert_int_equal(stoa_event_set(&at->event), 0);
		while (a64_load_seq_cst(&at->m) != 2 * (i + 1) &&
			stoai_os_now() < until)
			sched_yield();
	}
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
	for (int i = 0; i < CREW; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(got[0], ROUNDS);
	assert_int_equal(got[1], ROUNDS);
	assert_true(stoai_os_now() < until);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_first_is_taken),
		TEST(an_event_stays_set),
		TEST(the_first_to_come_is_taken),
		TEST(refusals),
		TEST(times_out),
		TEST(each_one_wakes),
		TEST(handed_on),
		TEST(marked_again),
		TEST(dead_waiters_wake_ups_are_handed_on),
		TEST(an_owners_death_wakes_all),
		TEST(an_owner_that_detaches_is_gone),
		TEST(in_two_segments),
		TEST(woken_at_the_second_without_waitv),
		TEST(a_descriptor_among_them),
		TEST(pollable),
		TEST(pollable_refusals),
		TEST(a_pollable_passes_on),
		TEST(nothing_is_lost),
	};

	return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
