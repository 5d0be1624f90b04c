/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Waiting: sleep until a word of shared memory is woken, and what time is it?
 *
 * Words are known to the kernel by the page they lie in, never by address (no
 * PRIVATE flag anywhere): two processes, or two mappings in one, meet.
 *
 * Invariants:
 *   I1  A deadline is an absolute CLOCK_MONOTONIC time, so a repeated wait ends
 *       when the first would have.
 *   I2  futex_waitv that is absent once is absent for ever: a filter that says
 *       EPERM and a kernel that says ENOSYS are the same answer, and are asked
 *       once.
 *
 * Progress: a wait whose word has another value does not sleep. A sleeper can
 * miss a wake-up that went to a waiter that was then killed; callers wait with a
 * tick for that reason.
 */
#include "base/atomic.h"
#include "os/ask.h"
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	WAITV_NUMBER = 449, /* the same on every architecture */
	WAITV_SIZE_U32 = 2
};
#define NS_PER_S UINT64_C(1000000000)

struct waitv { /* the kernel's struct futex_waitv; headers may be too old */
	uint64_t value;
	uint64_t address;
	uint32_t flags;
	uint32_t reserved;
};
STOA_STATIC_ASSERT(sizeof(struct waitv) == 24, "the kernel's layout");

static uint32_t waitv_absent; /* I2: 1: never ask again */
uint32_t stoai_os_without_waitv;

static struct timespec
time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S)};
}

int
stoai_os_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline)
{
	struct timespec until = time_of(deadline); /* I1 */
	int rc = stoai_os_ask(STOAI_OS_FUTEX_WAIT);
	long done;

	if (rc)
		return rc;
	do
		done = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value,
			deadline == UINT64_MAX ? NULL : &until, NULL,
			FUTEX_BITSET_MATCH_ANY);
	while (stoai_os_interrupted(done));
	return done < 0 && errno == EAGAIN ? 0 : stoai_os_result(done);
}

int
stoai_os_futex_wait_any(
	const struct stoai_os_word *on, unsigned n, uint64_t deadline)
{
	struct timespec until = time_of(deadline);
	struct waitv all[STOAI_OS_WORDS_MAX];
	int rc = stoai_os_ask(STOAI_OS_FUTEX_WAITV);
	long done;

	if (rc)
		return rc;
	if (a32_load_relaxed(&waitv_absent) ||
		a32_load_relaxed(&stoai_os_without_waitv))
		return -ENOSYS;
	for (unsigned i = 0; i < n; i++)
		all[i] = (struct waitv){
			on[i].value, (uintptr_t)on[i].word, WAITV_SIZE_U32, 0};
	do
		done = syscall(WAITV_NUMBER, all, n, 0u,
			deadline == UINT64_MAX ? NULL : &until,
			CLOCK_MONOTONIC);
	while (stoai_os_interrupted(done));
	if (done < 0 && (errno == ENOSYS || errno == EPERM)) {
		a32_store_relaxed(&waitv_absent, 1);
		return -ENOSYS;
	}
	return done < 0 && errno == EAGAIN ? 0 : stoai_os_result(done);
}

int
stoai_os_futex_wait2(const uint32_t *word, uint32_t value,
	const uint32_t *word2, uint32_t value2, uint64_t deadline)
{
	const struct stoai_os_word both[2] = {{word, value}, {word2, value2}};

	return stoai_os_futex_wait_any(both, 2, deadline);
}

int
stoai_os_futex_wake(const uint32_t *word, uint32_t count)
{
	int rc = stoai_os_ask(STOAI_OS_FUTEX_WAKE);

	if (rc)
		return rc;
	return stoai_os_result(syscall(SYS_futex, word, FUTEX_WAKE,
		count > INT_MAX ? INT_MAX : count, NULL, NULL, 0));
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t
stoai_os_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
stoai_os_now_coarse(void)
{
	return clock_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t
stoai_os_realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void (*stoai_os_idle)(void);

void
stoai_os_sleep(uint64_t ns)
{
	struct timespec t = time_of(ns);

	if (stoai_unlikely(stoai_os_idle != NULL))
		stoai_os_idle();
	/* the bare call: glibc's can be cancelled in */
	(void)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
}

void
stoai_os_yield(void)
{
	if (stoai_unlikely(stoai_os_idle != NULL))
		stoai_os_idle();
	(void)sched_yield();
}
