/* SPDX-License-Identifier: BSL-1.0 */
/*
 * For semaphores, events and barriers: a segment with one of each, threads that wait,
 * sleepers that only a wake-up ends (the library's own look again at each tick), and
 * a victim that is killed where it would wake somebody.
 */
#ifndef TESTS_UNIT_SIGNAL_FIXTURE_H
#define TESTS_UNIT_SIGNAL_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "os/os.h"
#include "scene.h"
#include "stoa/stoa.h"
#include "sync/roll.h"

#pragma GCC diagnostic ignored "-Wunused-function"

#define SLEEPING UINT32_C(0x80000000) /* the bit of most words */

typedef struct signals {
	stoa_semaphore sem;
	stoa_permits permits;
	stoa_event event;
	stoa_latch latch;
	stoa_once once;
	stoa_eventcount count;
	stoa_barrier barrier;
	uint64_t n, m;
} signals;
STOA_TYPE(signals, sem, permits, event, latch, once, count, barrier, n, m);

static stoa_segment *seg;
static signals *at;

static int
setup(void **state)
{
	const signals *found = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 16), &seg);

	(void)state;
	if (!rc)
		rc = stoa_object_open(seg, "signals", signals, &found);
	at = (signals *)(uintptr_t)found;
	return rc;
}

static int
teardown(void **state)
{
	int rc = stoa_segment_check(seg);

	(void)state;
	stoai_os_fault = NULL;
	if (rc)
		print_error("%s\n", stoa_error_text());
	seg = stoa_segment_close(seg);
	return rc;
}

static struct stoai_seat *
own_seat(void)
{
	struct stoai_seat *seat = NULL;

	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	return seat;
}

/* ---- threads that call something, and end attached no more ---- */

struct caller {
	int (*call)(void);
	pthread_t thread;
	int rc, tid;
};

static void *
caller_run(void *p)
{
	struct caller *c = p;

	__atomic_store_n(&c->tid, gettid(), __ATOMIC_RELEASE);
	c->rc = c->call();
	stoa_segment_detach(seg);
	return NULL;
}

static void
caller_begin(struct caller *c, int (*call)(void))
{
	*c = (struct caller){.call = call};
	pthread_create(&c->thread, NULL, caller_run, c);
}

/* It sleeps by the time this returns. */
static void
caller_start(struct caller *c, int (*call)(void))
{
	caller_begin(c, call);
	scene_until_asleep(&c->tid);
}

static int
caller_end(struct caller *c)
{
	pthread_join(c->thread, NULL);
	return c->rc;
}

/* ---- sleepers without ticks ---- */

struct sleeper {
	const uint32_t *word;
	pthread_t thread;
	int rc, tid;
};

/* By the kernel's own call: the faults that a case arms are not for it. */
static void *
sleep_on(void *p)
{
	const struct timespec patience = {2, 0};
	struct sleeper *s = p;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->rc = syscall(SYS_futex, s->word, FUTEX_WAIT,
			a32_load_relaxed(s->word), &patience, NULL, 0)
			? -errno
			: 0;
	return NULL;
}

static void
sleepers_start(struct sleeper *s, int n, const uint32_t *word)
{
	for (int i = 0; i < n; i++) {
		s[i] = (struct sleeper){.word = word};
		pthread_create(&s[i].thread, NULL, sleep_on, &s[i]);
		scene_until_asleep(&s[i].tid);
	}
}

/* How many of them were woken, and did not merely run out of time. */
static int
sleepers_woken(struct sleeper *s, int n)
{
	int woken = 0;

	for (int i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		woken += !s[i].rc;
	}
	return woken;
}

/* ---- who dies ---- */

static int
die_at_wake(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAKE)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

/* Runs body in a child until it is killed, at the latest when it has returned. */
static void
victim(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct stoai_seat *seat = NULL;

		must(!stoai_attach(seg, STOA_NOW, &seat));
		body();
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/*
 * body wakes sleepers at the word and is killed just before; recovery does it instead,
 * for as many as there are.
 */
static void
wake_is_replayed(const uint32_t *word, void (*body)(void))
{
	struct sleeper s[2];
	int recovered, woken;

	sleepers_start(s, 2, word);
	victim(body);
	recovered = stoa_segment_recover(seg);
	woken = sleepers_woken(s, 2); /* they end, whatever is wrong */
	assert_int_equal(recovered, 1);
	assert_int_equal(woken, 2);
}

#endif
