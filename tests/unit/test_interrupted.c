/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A signal handler that takes and gives back locks of its own between any two
 * instructions of a raw call: both have what they asked for, and nothing is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <cmocka.h>
#include "explore/trap.h"
#include "segment/seat.h"
#include "stoa/stoa.h"

typedef struct box {
	stoa_mutex mine, handlers;
	stoa_rwlock shared;
} box;
STOA_TYPE(box, mine, handlers, shared);

static stoa_segment *seg;
static const box *at;

enum {
	INSTRUCTIONS_MAX = 2000
};

/* What the handler finds and does at its instruction. */
static struct {
	int due;    /* instructions to go; < 0: it is over */
	bool quick; /* its own lock */
	int got, mine;
} interrupt;

static int
setup(void **state)
{
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 8), &seg);

	(void)state;
	return rc ? rc : stoa_object_open(seg, "box", box, &at);
}

static int
teardown(void **state)
{
	int rc = stoa_segment_check(seg);

	(void)state;
	seg = stoa_segment_close(seg);
	return rc;
}

static void
interrupted(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	(void)number;
	(void)info;
	if (interrupt.due-- > 0)
		return;
	c->uc_mcontext.gregs[REG_EFL] &= ~STOAI_TRAP_FLAG;
	interrupt.got = interrupt.quick ? stoa_mutex_lock(&at->handlers)
					: stoa_mutex_lock_until(
						  &at->handlers, STOA_NOW);
	interrupt.mine = stoa_mutex_lock_until(&at->mine, STOA_NOW);
	if (!interrupt.mine)
		stoa_mutex_unlock(&at->mine);
	if (!interrupt.got)
		stoa_mutex_unlock(&at->handlers);
}

static int
lock_mutex(void)
{
	return stoa_mutex_lock(&at->mine);
}

static int
unlock_mutex(void)
{
	stoa_mutex_unlock(&at->mine);
	return 0;
}

static int
lock_shared(void)
{
	return stoa_rwlock_lock_as(&at->shared, STOA_SHARED, STOA_FOREVER);
}

static int
unlock_shared(void)
{
	stoa_rwlock_unlock(&at->shared);
	return 0;
}

/* One call, interrupted behind its nth instruction; false: it has not so many. */
static bool
run(int (*call)(void), int nth)
{
	int rc;

	interrupt.due = nth;
	stoai_trap_on();
	rc = call();
	stoai_trap_off();
	assert_int_equal(rc, 0);
	return interrupt.due < 0;
}

/* The lock is listed, once, and nothing else. */
static void
is_listed(const void *lock)
{
	struct stoai_seat *seat = stoai_seat_of(seg);
	int n = 0;

	for (int k = 0; k < STOAI_HELD_MAX; k++)
		n += seat->lane->held[k] >> 3 == stoai_off(seg, lock) >> 3;
	assert_int_equal(n, 1);
}

/* Nothing is listed, and all can be had the quick way. */
static void
nothing_is_left(void)
{
	struct stoai_seat *seat = stoai_seat_of(seg);

	assert_non_null(seat);
	for (int k = 0; k < STOAI_HELD_MAX; k++)
		assert_int_equal(seat->lane->held[k], 0);
	/* the general way finds a bit that was set meanwhile */
	assert_int_equal(stoa_mutex_lock_until(&at->mine, STOA_NOW), 0);
	stoa_mutex_unlock(&at->mine);
	assert_int_equal(seat->taken, 0);
	assert_null(seat->quick);
	assert_int_equal(seat->busy, 0);
	assert_int_equal(at->mine.word_ | at->handlers.word_, 0);
}

/* Its own, or the one that is being taken or given back. */
static void
handler_was_answered(void)
{
	assert_true(interrupt.got == 0 || interrupt.got == -EDEADLK);
	assert_true(interrupt.mine == 0 || interrupt.mine == -EDEADLK);
}

static void
sweep(const void *what, int (*lock)(void), int (*unlock)(void))
{
	unsigned got = 0;
	int n = 0;

	/* attached, and the reader's bit set */
	assert_int_equal(lock(), 0);
	(void)unlock();
	for (; n < INSTRUCTIONS_MAX && run(lock, n); n++) {
		handler_was_answered();
		got += !interrupt.got;
		is_listed(what);
		(void)unlock();
		nothing_is_left();
	}
	(void)unlock(); /* the whole call was not interrupted */
	assert_in_range(n, 10, INSTRUCTIONS_MAX - 1);
	assert_in_range(got, 10, INSTRUCTIONS_MAX);
	for (n = 0, got = 0; n < INSTRUCTIONS_MAX; n++) {
		assert_int_equal(lock(), 0);
		if (!run(unlock, n))
			break;
		handler_was_answered();
		got += !interrupt.got;
		nothing_is_left();
		/* whoever interrupts again finds it as it was */
		assert_int_equal(lock(), 0);
		(void)unlock();
		nothing_is_left();
	}
	assert_in_range(n, 10, INSTRUCTIONS_MAX - 1);
	assert_in_range(got, 10, INSTRUCTIONS_MAX);
	nothing_is_left();
}

static void
mutex(void **state)
{
	(void)state;
	for (int quick = 0; quick < 2; quick++) {
		interrupt.quick = quick;
		sweep(&at->mine, lock_mutex, unlock_mutex);
	}
}

static void
shared(void **state)
{
	(void)state;
	for (int quick = 0; quick < 2; quick++) {
		interrupt.quick = quick;
		sweep(&at->shared, lock_shared, unlock_shared);
	}
}

int
main(void)
{
	struct sigaction action = {
		.sa_sigaction = interrupted, .sa_flags = SA_SIGINFO};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutex),
		cmocka_unit_test(shared),
	};

	sigaction(SIGTRAP, &action, NULL);
	return cmocka_run_group_tests_name(
		"interrupted", tests, setup, teardown);
}
