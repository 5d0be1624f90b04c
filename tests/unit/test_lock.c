/* SPDX-License-Identifier: BSL-1.0 */
/* Locks and conditions by seat: states of the words, re-entry, death, fini. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/os.h"
#include "scene.h"
#include "stoa/stoa.h"
#include "sync/lock.h"

typedef struct locks {
	stoa_rwlock rw;
	stoa_mutex m;
	stoa_cond c;
	uint64_t n;
} locks;
STOA_TYPE(locks, rw, m, c, n);

static stoa_segment *seg;
static locks *at;
static struct stoai_seat *seat;
static uint32_t without;

static int
setup(void **state)
{
	const locks *found = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 8,
			.without = without),
		&seg);

	(void)state;
	if (!rc)
		rc = stoa_object_open(seg, "locks", locks, &found);
	if (!rc)
		rc = stoai_attach(seg, STOA_NOW, &seat);
	at = (locks *)(uintptr_t)found;
	return rc;
}

static int
teardown(void **state)
{
	int rc = stoa_segment_check(seg);

	(void)state;
	if (rc)
		print_error("%s\n", stoa_error_text());
	seg = stoa_segment_close(seg);
	return rc;
}

static int
lock(void *l, enum stoai_lock_mode mode)
{
	return stoai_lock(seat, l, mode, STOA_NOW, false);
}

static void
words(void **state)
{
	uint32_t me = stoai_lock_word(seat->index, seat->slot->generation);

	(void)state;
	assert_int_equal(lock(&at->m, STOAI_MODE_MUTEX), 0);
	assert_int_equal(at->m.word_, me);
	assert_int_equal(
		seat->lane->held[0], stoai_off(seg, &at->m) | STOAI_HELD_MUTEX);
	stoai_unlock(seat, &at->m);
	assert_int_equal(at->m.word_, 0);
	assert_int_equal(seat->lane->held[0], 0);

	assert_int_equal(lock(&at->rw, STOAI_MODE_EXCLUSIVE), 0);
	assert_int_equal(at->rw.word_, me);
	assert_int_equal(at->rw.seq_, 1);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(at->rw.word_, 0);
	assert_int_equal(at->rw.seq_, 2);

	assert_int_equal(lock(&at->rw, STOAI_MODE_SHARED), 0);
	assert_int_equal(at->rw.word_, 0);
	assert_int_equal(at->rw.readers_[0], UINT64_C(1) << seat->index);
	assert_int_equal(seat->lane->held[0],
		stoai_off(seg, &at->rw) | STOAI_HELD_SHARED);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(seat->lane->held[0], 0);
	assert_int_equal(at->rw.seq_, 2);
}

static void
taken_again(void **state)
{
	(void)state;
	assert_int_equal(lock(&at->rw, STOAI_MODE_SHARED), 0);
	assert_int_equal(lock(&at->rw, STOAI_MODE_SHARED), 0);
	assert_int_equal(lock(&at->rw, STOAI_MODE_EXCLUSIVE), -EDEADLK);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(stoai_lock_held(seat, &at->rw), STOAI_HELD_SHARED);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(stoai_lock_held(seat, &at->rw), 0);

	assert_int_equal(lock(&at->rw, STOAI_MODE_EXCLUSIVE), 0);
	assert_int_equal(lock(&at->rw, STOAI_MODE_SHARED), 0);
	assert_int_equal(lock(&at->rw, STOAI_MODE_EXCLUSIVE), 0);
	stoai_unlock(seat, &at->rw);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(stoai_lock_held(seat, &at->rw), STOAI_HELD_EXCLUSIVE);
	stoai_unlock(seat, &at->rw);
	assert_int_equal(at->rw.word_, 0);
}

static void
too_many(void **state)
{
	static char many[64 * sizeof(stoa_mutex)];
	stoa_mutex *m;
	int rc = 0, n = 0;

	(void)state;
	(void)many;
	/* any words of the heap will do: the object's own data */
	m = (stoa_mutex *)(void *)&at->n;
	at->n = 0;
	assert_int_equal(lock(m, STOAI_MODE_MUTEX), 0);
	for (n = 1; n < 30 && !rc; n++)
		rc = lock((char *)stoai_header(seg) + 512 + 8 * n,
			STOAI_MODE_MUTEX);
	assert_int_equal(rc, -EOVERFLOW);
	assert_int_equal(n, STOAI_HELD_USER + 1);
	/* the library's own still fit */
	assert_int_equal(
		stoai_lock(seat, &at->m, STOAI_MODE_MUTEX, STOA_NOW, true), 0);
	stoai_unlock_all(seat);
	assert_int_equal(seat->locks, 0);
	assert_int_equal(at->n, 0);
}

struct other {
	enum stoai_lock_mode mode;
	void *lock;
	int stage; /* 1: holds; 2: told to give up */
};

static void *
hold(void *p)
{
	struct other *o = p;
	struct stoai_seat *mine;

	assert_int_equal(stoai_attach(seg, STOA_NOW, &mine), 0);
	assert_int_equal(
		stoai_lock(mine, o->lock, o->mode, STOA_FOREVER, false), 0);
	__atomic_store_n(&o->stage, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&o->stage, __ATOMIC_SEQ_CST) == 1)
		usleep(500);
	stoai_unlock(mine, o->lock);
	return NULL;
}

static pthread_t
start(struct other *o)
{
	pthread_t t;

	pthread_create(&t, NULL, hold, o);
	while (!__atomic_load_n(&o->stage, __ATOMIC_SEQ_CST))
		usleep(500);
	return t;
}

static void
stop(struct other *o, pthread_t t)
{
	__atomic_store_n(&o->stage, 2, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
}

static void
exclusion(void **state)
{
	static const struct {
		enum stoai_lock_mode has, wants;
		int rc;
	} want[] = {
		{STOAI_MODE_SHARED, STOAI_MODE_SHARED, 0},
		{STOAI_MODE_SHARED, STOAI_MODE_EXCLUSIVE, -EAGAIN},
		{STOAI_MODE_EXCLUSIVE, STOAI_MODE_SHARED, -EAGAIN},
		{STOAI_MODE_EXCLUSIVE, STOAI_MODE_EXCLUSIVE, -EAGAIN},
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct other o = {want[i].has, &at->rw, 0};
		pthread_t t = start(&o);

		assert_int_equal(lock(&at->rw, want[i].wants), want[i].rc);
		if (want[i].rc) {
			assert_int_equal(
				stoai_lock(seat, &at->rw, want[i].wants,
					stoa_in_ms(20), false),
				-ETIMEDOUT);
			assert_int_equal(seat->slot->waiting, 0);
		} else {
			stoai_unlock(seat, &at->rw);
		}
		stop(&o, t);
		assert_int_equal(lock(&at->rw, STOAI_MODE_EXCLUSIVE), 0);
		stoai_unlock(seat, &at->rw);
	}
}

static void *
stop_soon(void *p)
{
	struct other *o = p;

	usleep(20000);
	__atomic_store_n(&o->stage, 2, __ATOMIC_SEQ_CST);
	return NULL;
}

static void
hand_over(void **state)
{
	static const enum stoai_lock_mode mode[][2] = {
		{STOAI_MODE_SHARED, STOAI_MODE_EXCLUSIVE},
		{STOAI_MODE_EXCLUSIVE, STOAI_MODE_SHARED},
		{STOAI_MODE_EXCLUSIVE, STOAI_MODE_EXCLUSIVE},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct other o = {mode[i][0], &at->rw, 0};
		pthread_t t = start(&o), s;
		uint64_t began = stoai_os_now();

		pthread_create(&s, NULL, stop_soon, &o);
		assert_int_equal(stoai_lock(seat, &at->rw, mode[i][1],
					 STOA_FOREVER, false),
			0);
		/* woken, not ticked */
		assert_true(stoai_os_now() - began < 1000000000);
		stoai_unlock(seat, &at->rw);
		pthread_join(t, NULL);
		pthread_join(s, NULL);
	}
}

/* A child takes the lock and is killed; we must get it within about a second. */
static void
death(void **state)
{
	static const enum stoai_lock_mode mode[] = {
		STOAI_MODE_SHARED, STOAI_MODE_EXCLUSIVE, STOAI_MODE_MUTEX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		void *l = mode[i] == STOAI_MODE_MUTEX ? (void *)&at->m
						      : (void *)&at->rw;
		int fd[2], status;
		uint64_t began;
		pid_t pid;
		char byte;

		assert_int_equal(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			struct stoai_seat *mine;

			if (stoai_attach(seg, STOA_NOW, &mine) ||
				stoai_lock(mine, l, mode[i], STOA_FOREVER,
					false) ||
				write(fd[1], "x", 1) != 1)
				_exit(1);
			pause();
		}
		assert_int_equal(read(fd[0], &byte, 1), 1);
		assert_int_equal(stoai_lock(seat, l,
					 mode[i] == STOAI_MODE_SHARED
						 ? STOAI_MODE_EXCLUSIVE
						 : mode[i],
					 STOA_NOW, false),
			-EAGAIN);
		kill(pid, SIGKILL);
		began = stoai_os_now();
		assert_int_equal(stoai_lock(seat, l,
					 mode[i] == STOAI_MODE_SHARED
						 ? STOAI_MODE_EXCLUSIVE
						 : mode[i],
					 stoa_in_ms(3000), false),
			0);
		assert_true(stoai_os_now() - began < 1500000000);
		stoai_unlock(seat, l);
		waitpid(pid, &status, 0);
		close(fd[0]);
		close(fd[1]);
	}
	assert_true(stoai_header(seg)->recovered >= 3);
}

static void
damaged_words(void **state)
{
	(void)state;
	/* nobody has that generation */
	at->m.word_ = stoai_lock_word(1, 777);
	assert_int_equal(lock(&at->m, STOAI_MODE_MUTEX), -EBADMSG);
	/* a living slot's, of its life before */
	at->m.word_ = stoai_lock_word(seat->index, seat->slot->generation - 1);
	assert_int_equal(lock(&at->m, STOAI_MODE_MUTEX), -EBADMSG);
	/* no such slot */
	at->m.word_ = 0x1ff;
	assert_int_equal(lock(&at->m, STOAI_MODE_MUTEX), -EBADMSG);
	/* a living slot that does not hold it: found after the first tick */
	{
		struct other o = {STOAI_MODE_EXCLUSIVE, &at->rw, 0};
		pthread_t t = start(&o);

		at->m.word_ = at->rw.word_;
		assert_int_equal(stoai_lock(seat, &at->m, STOAI_MODE_MUTEX,
					 stoa_in_ms(2000), false),
			-EBADMSG);
		at->m.word_ = 0;
		stop(&o, t);
	}
}

static void
fini_waits(void **state)
{
	struct other o = {STOAI_MODE_SHARED, &at->rw, 0};
	pthread_t t;

	(void)state;
	assert_int_equal(stoai_lock_fini(seat, at, sizeof *at), 0);
	t = start(&o);
	assert_int_equal(stoai_lock_fini(seat, at, sizeof *at), -EBUSY);
	stop(&o, t);
	assert_int_equal(stoai_lock_fini(seat, at, sizeof *at), 0);
}

/* Who waits there, or was woken there and has not yet gone on, uses it as well. */
static void
fini_waits_for_waiters(void **state)
{
	struct other o = {STOAI_MODE_MUTEX, &at->m, 0};
	pthread_t t = start(&o);
	struct stoai_slot *slot =
		stoai_slot_at(seg, stoai_word_slot(seg, at->m.word_));

	(void)state;
	slot->waiting = stoai_off(seg, &at->rw) | STOAI_HELD_EXCLUSIVE;
	assert_int_equal(stoai_lock_fini(seat, &at->rw, sizeof at->rw), -EBUSY);
	slot->waiting = 0;
	slot->woken = stoai_off(seg, &at->c);
	assert_int_equal(stoai_lock_fini(seat, &at->c, sizeof at->c), -EBUSY);
	slot->woken = 0;
	assert_int_equal(stoai_lock_fini(seat, &at->rw, sizeof at->rw), 0);
	assert_int_equal(stoai_lock_fini(seat, &at->c, sizeof at->c), 0);
	stop(&o, t);
}

static void
condition_words(void **state)
{
	uint32_t ticket;

	(void)state;
	stoai_cond_mark(seg, &at->c, true);
	assert_int_equal(at->c.seq_, 0); /* nobody: not touched */
	ticket = stoai_cond_arrive(seat, &at->c);
	assert_int_equal(ticket, 3);
	assert_int_equal(seat->slot->woken, stoai_off(seg, &at->c));
	stoai_cond_mark(seg, &at->c, false);
	assert_int_equal(at->c.seq_, 5); /* somebody says that he waits */
	assert_int_equal(
		stoai_cond_sleep(seat, &at->c, ticket, STOA_FOREVER), 0);
	stoai_cond_settle(seat, false);
	assert_int_equal(seat->slot->woken, 0);
	stoai_cond_mark(seg, &at->c, false);
	assert_int_equal(at->c.seq_, 6); /* nobody does: the bit is gone */
	ticket = stoai_cond_arrive(seat, &at->c);
	assert_int_equal(stoai_cond_sleep(seat, &at->c, ticket, stoa_in_ms(10)),
		-ETIMEDOUT);
	stoai_cond_mark(seg, &at->c, true);
	stoai_cond_wake(seg, stoai_off(seg, &at->c), true);
	assert_int_equal(at->c.seq_ & 1, 0);
}

/* ---- wake-ups that were consumed, or came late ---- */

struct sleeper {
	const uint32_t *word;
	pthread_t thread;
	int rc, tid;
};

static void *
sleep_on(void *p)
{
	struct sleeper *s = p;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->rc = stoai_os_futex_wait(
		s->word, a32_load_relaxed(s->word), stoa_in_ms(2000));
	return NULL;
}

static void
sleeper_start(struct sleeper *s)
{
	pthread_create(&s->thread, NULL, sleep_on, s);
	scene_until_asleep(&s->tid);
}

/* It was woken, and its time did not merely run out. */
static void
sleeper_join(struct sleeper *s)
{
	pthread_join(s->thread, NULL);
	assert_int_equal(s->rc, 0);
}

/* Who goes on to another condition has not used the first one's wake-up. */
static void
second_condition_wakes_the_first(void **state)
{
	struct sleeper s = {&at->c.seq_, 0, 0, 0};
	stoa_cond *second = (stoa_cond *)(void *)&at->n;

	(void)state;
	(void)stoai_cond_arrive(seat, &at->c);
	sleeper_start(&s);
	(void)stoai_cond_arrive(seat, second);
	sleeper_join(&s);
	stoai_cond_settle(seat, false);
	at->n = 0;
}

/* Nor has who gave up what it waited for. */
static void
undone_waiter_wakes_another(void **state)
{
	struct sleeper s = {&at->c.seq_, 0, 0, 0};

	(void)state;
	(void)stoai_cond_arrive(seat, &at->c);
	sleeper_start(&s);
	stoai_cond_settle(seat, true);
	sleeper_join(&s);
}

static uint64_t late; /* the deadline that passes while it sleeps */

static void
be_late(void)
{
	while (stoai_os_now() < late)
		usleep(1000);
}

/*
 * While we sleep the lock is given up, and we are woken; another takes it, without
 * a mark, since nobody sleeps; and our time is over.
 */
static int
lock_changes_hands(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT && call != STOAI_OS_FUTEX_WAITV)
		return 0;
	be_late();
	(void)a32_fetch_and_seq_cst(&at->m.word_, ~STOAI_WORD_WAITERS);
	return -ETIMEDOUT;
}

/* It had the wake-up of somebody who sleeps yet: the word must say so. */
static void
late_waiter_marks_the_word(void **state)
{
	struct other o = {STOAI_MODE_MUTEX, &at->m, 0};
	pthread_t t = start(&o);

	(void)state;
	late = stoa_in_ms(20);
	stoai_os_fault = lock_changes_hands;
	assert_int_equal(
		stoai_lock(seat, &at->m, STOAI_MODE_MUTEX, late, false),
		-ETIMEDOUT);
	stoai_os_fault = NULL;
	assert_true(at->m.word_ & STOAI_WORD_WAITERS);
	stop(&o, t);
}

static int
signalled_at_the_end(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT)
		return 0;
	be_late();
	stoai_cond_mark(seg, &at->c, true);
	return -ETIMEDOUT;
}

static void
woken_at_the_end_is_woken(void **state)
{
	uint32_t ticket = stoai_cond_arrive(seat, &at->c);

	(void)state;
	late = stoa_in_ms(20);
	stoai_os_fault = signalled_at_the_end;
	assert_int_equal(stoai_cond_sleep(seat, &at->c, ticket, late), 0);
	stoai_os_fault = NULL;
	stoai_cond_settle(seat, false);
}

/* Whom we wait for has left meanwhile: his token is nobody's, and stays so. */
static void
free_token_is_let_alone(void **state)
{
	struct other o = {STOAI_MODE_MUTEX, &at->m, 0};
	pthread_t t = start(&o);
	uint32_t slot = stoai_word_slot(seg, at->m.word_);
	uint64_t tick = 0;

	(void)state;
	stop(&o, t);
	assert_true(stoai_slot_at(seg, slot)->paged);
	(void)stoai_sleep(seat, &at->m.word_, 0, slot, stoa_in_ms(5), &tick);
	assert_int_equal(*stoai_token_at(seg, slot), 0);
}

/* A signal between arrival and sleep: no sleep, so no tick has passed either. */
static void
signalled_before_it_sleeps(void **state)
{
	uint64_t least = UINT64_MAX;

	(void)state;
	for (int i = 0; i < 5; i++) {
		uint32_t ticket = stoai_cond_arrive(seat, &at->c);
		uint64_t began;

		{
			STOA_TX(tx, seg, &at->rw);
			stoa_tx_signal(tx, &at->c);
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		began = stoai_os_now();
		assert_int_equal(
			stoai_cond_sleep(seat, &at->c, ticket, STOA_FOREVER),
			0);
		least = stoai_min(least, stoai_os_now() - began);
		stoai_cond_settle(seat, false);
	}
	assert_true(least < 20000000);
}

enum {
	ROUNDS = 20000,
	WORKERS = 4
};

static void *
contend(void *p)
{
	struct stoai_seat *mine;
	unsigned seed = (unsigned)(uintptr_t)p;

	assert_int_equal(stoai_attach(seg, STOA_NOW, &mine), 0);
	for (int i = 0; i < ROUNDS; i++) {
		enum stoai_lock_mode mode = rand_r(&seed) % 4
						    ? STOAI_MODE_SHARED
						    : STOAI_MODE_EXCLUSIVE;
		uint64_t n;

		assert_int_equal(
			stoai_lock(mine, &at->rw, mode, STOA_FOREVER, false),
			0);
		n = a64_load_relaxed(&at->n);
		if (mode == STOAI_MODE_EXCLUSIVE) {
			a64_store_relaxed(&at->n, n + 1);
			if (i % 512 == 0)
				sched_yield();
			assert_int_equal(a64_load_relaxed(&at->n), n + 1);
			a64_store_relaxed(&at->n, n + 2);
		} else {
			assert_int_equal(n % 2, 0);
			assert_int_equal(a64_load_relaxed(&at->n), n);
		}
		stoai_unlock(mine, &at->rw);
	}
	return NULL;
}

static void
contention(void **state)
{
	pthread_t t[WORKERS];

	(void)state;
	for (size_t i = 0; i < WORKERS; i++)
		pthread_create(&t[i], NULL, contend, (void *)(i + 1));
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(at->rw.word_ & ~STOAI_WORD_WAITERS, 0);
	assert_int_equal(at->rw.seq_ % 2, 0);
}

#define ALL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(words),
		ALL(taken_again),
		ALL(too_many),
		ALL(exclusion),
		ALL(hand_over),
		ALL(death),
		ALL(damaged_words),
		ALL(fini_waits),
		ALL(fini_waits_for_waiters),
		ALL(condition_words),
		ALL(second_condition_wakes_the_first),
		ALL(undone_waiter_wakes_another),
		ALL(late_waiter_marks_the_word),
		ALL(woken_at_the_end_is_woken),
		ALL(free_token_is_let_alone),
		ALL(signalled_before_it_sleeps),
		ALL(contention),
	};
	int failed = 0;

	for (without = 0; without < 4; without++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
