/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does code that is fed garbage show itself at once, in every run the same?
 *
 *	memory   a segment's mapping, or a buffer that holds one, lies between
 *	         address space where nothing is mapped: 1 TiB before it, 16 TiB
 *	         behind it, which is as far as an offset of 44 bits reaches
 *	clock    a wait ends at once with its time-out and moves the clock to it; so
 *	         a deadline of a second costs nothing, and no result depends on
 *	         how fast the machine is. A step that has waited PATIENCE_NS of
 *	         that time waits for ever: the process ends, and says so
 *	random   a fixed sequence, so that the same segment is made each time
 *
 * The library's calls come here by the linker's --wrap.
 */
#include "stage.h"
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GUARD_BEFORE (UINT64_C(1) << 40)
#define ROOM         (UINT64_C(1) << 30)
#define GUARD_BEHIND (UINT64_C(16) << 40)
#define PATIENCE_NS  (UINT64_C(120) * 1000000000)
#define PRIVATE_MAX \
 (UINT64_C(2) << 30) /* one mapping; scratch memory is 1 GiB */

enum {
	PAGE = 4096,
	WAITV_NUMBER = 449,
	YIELD_NS = 1000
};

static struct {
	char *room;            /* between the guards */
	size_t buffer, mapped; /* bytes in it; one of them is 0 */
	uint64_t random, now, began;
	bool on, random_on, aborts;
	const char *doing;
} stage;

void *__real_mmap(void *, size_t, int, int, int, off_t);
int __real_munmap(void *, size_t);
int __real_clock_gettime(clockid_t, struct timespec *);
int __real_sched_yield(void);
long __real_syscall(long, ...);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
int __wrap_munmap(void *, size_t);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __wrap_sched_yield(void);
__attribute__((no_sanitize("address"))) long __wrap_syscall(long, ...);

static void
give_up(int code, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", stage.doing ? stage.doing : "?", why);
	if (stage.aborts)
		abort();
	_exit(code);
}

/* ---- memory ---- */

void
stage_make(void)
{
	char *at = __real_mmap(NULL, GUARD_BEFORE + ROOM + GUARD_BEHIND,
		PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("17 TiB of address space");
		exit(1);
	}
	stage.room = at + GUARD_BEFORE;
}

static void
room_clear(size_t size)
{
	if (__real_mmap(stage.room, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		    0) == MAP_FAILED)
		give_up(1, "the guard cannot be put back");
}

void *
stage_buffer(size_t size)
{
	size_t whole = (size + PAGE - 1) / PAGE * PAGE;

	if (whole != stage.buffer) {
		if (stage.buffer)
			room_clear(stage.buffer);
		if (__real_mmap(stage.room, whole, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
			    0) == MAP_FAILED)
			give_up(1, "no buffer");
		stage.buffer = whole;
	} else {
		memset(stage.room, 0, whole);
	}
	return stage.room + (whole - size) / 64 * 64;
}

/* A segment's own mapping: of a descriptor, anywhere, as a whole. */
void *
__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t from)
{
	if (stage.on && fd < 0 && size > PRIVATE_MAX)
		give_up(STAGE_MEMORY, "maps absurdly much");
	if (!stage.on || fd < 0 || at || stage.mapped || size > ROOM)
		return __real_mmap(at, size, prot, flags, fd, from);
	if (stage.buffer) {
		room_clear(stage.buffer);
		stage.buffer = 0;
	}
	at = __real_mmap(stage.room, size, prot, flags | MAP_FIXED, fd, from);
	if (at != MAP_FAILED)
		stage.mapped = (size + PAGE - 1) / PAGE * PAGE;
	return at;
}

int
__wrap_munmap(void *at, size_t size)
{
	if (at != stage.room || !stage.mapped)
		return __real_munmap(at, size);
	room_clear(stage.mapped);
	stage.mapped = 0;
	return 0;
}

/* ---- time ---- */

void
stage_begin(void)
{
	struct timespec t;

	(void)__real_clock_gettime(CLOCK_MONOTONIC, &t);
	if (!stage.now)
		stage.now = UINT64_C(1000) * 1000000000;
	stage.began = stage.now;
	stage.on = true;
}

void
stage_end(void)
{
	stage.on = false;
}

void
stage_step(const char *doing)
{
	stage.doing = doing;
	stage.began = stage.now;
}

const char *
stage_doing(void)
{
	return stage.doing ? stage.doing : "?";
}

void
stage_aborts(void)
{
	stage.aborts = true;
}

static void
pass(uint64_t until)
{
	stage.now = until > stage.now ? until : stage.now + YIELD_NS;
	if (stage.now - stage.began > PATIENCE_NS)
		give_up(STAGE_STUCK, "waits for ever");
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!stage.on ||
		(clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE))
		return __real_clock_gettime(clock, t);
	t->tv_sec = (time_t)(stage.now / 1000000000);
	t->tv_nsec = (long)(stage.now % 1000000000);
	return 0;
}

int
__wrap_sched_yield(void)
{
	if (!stage.on)
		return __real_sched_yield();
	pass(0);
	return 0;
}

static uint64_t
ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

/* ---- the other calls ---- */

void
stage_random(uint64_t seed)
{
	stage.random = seed;
	stage.random_on = true;
}

static long
random_bytes(unsigned char *to, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		stage.random = stage.random * UINT64_C(6364136223846793005) +
			       UINT64_C(1442695040888963407);
		to[i] = (unsigned char)(stage.random >> 56);
	}
	return (long)size;
}

static long
fails(int error)
{
	errno = error;
	return -1;
}

/* Nobody but this thread lives: a wait ends by its time alone. */
static long
wait_for(const uint32_t *word, uint32_t value, const struct timespec *until)
{
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return fails(EAGAIN);
	if (!until)
		give_up(STAGE_STUCK, "waits without a deadline");
	pass(ns_of(until));
	return fails(ETIMEDOUT);
}

static long
wait_for_both(const uint64_t both[6], const struct timespec *until)
{
	for (int i = 0; i < 2; i++) {
		const uint32_t *word =
			(const uint32_t *)(uintptr_t)both[3 * i + 1];

		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) !=
			(uint32_t)both[3 * i])
			return fails(EAGAIN);
	}
	return wait_for(
		(const uint32_t *)(uintptr_t)both[1], (uint32_t)both[0], until);
}

long
__wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (stage.random_on && number == SYS_getrandom)
		return random_bytes((unsigned char *)a[0], (size_t)a[1]);
	if (stage.on && number == SYS_clock_nanosleep) {
		pass(stage.now + ns_of((const struct timespec *)a[2]));
		return 0;
	}
	if (stage.on && number == SYS_futex && a[1] == FUTEX_WAIT_BITSET)
		return wait_for((const uint32_t *)a[0], (uint32_t)a[2],
			(const struct timespec *)a[3]);
	if (stage.on && number == WAITV_NUMBER)
		return wait_for_both(
			(const uint64_t *)a[0], (const struct timespec *)a[3]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
