/* SPDX-License-Identifier: BSL-1.0 */
/* os: waiting, clocks and identity, between threads, processes and namespaces. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */

#include "base/atomic.h"
#include "base/base.h"
#include "os/os.h"
#include "scene.h"
#include "stoa/time.h"

enum {
	SECONDS = 55,
	WAITV = 449,
	MS = 1000000,
	LATE_MS = 5000 /* a busy machine */
};

struct words { /* in memory that children share */
	uint32_t a, b, sleeping;
};

/* Two mappings of one file: a process sleeps on one, its parent wakes the other. */
static struct words *here, *there;
static int words_fd = -1;

static int
words_make(void **state)
{
	unsigned both = STOAI_MAP_READ | STOAI_MAP_WRITE;
	size_t page = stoai_os_page_size();
	void *at[2];

	(void)state;
	words_fd = stoai_os_memfd("words");
	if (words_fd < 0 || stoai_os_truncate(words_fd, page) ||
		stoai_os_map(words_fd, 0, page, both, NULL, &at[0]) ||
		stoai_os_map(words_fd, 0, page, both, NULL, &at[1]))
		return -1;
	here = at[0];
	there = at[1];
	return 0;
}

static int
words_drop(void **state)
{
	(void)state;
	stoai_os_unmap(here, stoai_os_page_size());
	stoai_os_unmap(there, stoai_os_page_size());
	return stoai_os_close(words_fd);
}

static bool
about(uint64_t took, uint64_t ms)
{
	return took >= ms * MS && took < (ms + LATE_MS) * MS;
}

/* ---- one word ---- */

static void
test_wait_ends_by_itself(void **state)
{
	uint64_t begin = stoai_os_now();

	(void)state;
	assert_int_equal(stoai_os_futex_wait(&here->a, 1, UINT64_MAX), 0);
	assert_int_equal(stoai_os_futex_wait(&here->a, 0, 0), -ETIMEDOUT);
	assert_int_equal(stoai_os_futex_wait(&here->a, 0, begin), -ETIMEDOUT);
	assert_true(stoai_os_now() - begin < (uint64_t)LATE_MS * MS);
	begin = stoai_os_now();
	assert_int_equal(
		stoai_os_futex_wait(&here->a, 0, begin + 50 * MS), -ETIMEDOUT);
	assert_true(about(stoai_os_now() - begin, 50));
	assert_int_equal(
		stoai_os_futex_wait((uint32_t *)(void *)16, 0, begin), -EFAULT);
	assert_int_equal(stoai_os_futex_wake(&here->a, UINT32_MAX), 0);
}

static int
sleep_on_a(void *arg)
{
	uint64_t deadline = *(uint64_t *)arg;
	int rc;

	(void)a32_fetch_add_seq_cst(&here->sleeping, 1);
	do
		rc = stoai_os_futex_wait(&here->a, 0, deadline);
	while (rc == 0 && a32_load_acquire(&here->a) == 0);
	return rc ? 1 : 0;
}

/* Does the process sleep in a system call? */
static bool
sleeps(int pid)
{
	char path[64], text[512], state = 0;
	const char *end;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof text, file)) {
		end = strrchr(text, ')');
		state = end ? end[2] : 0;
	}
	if (file)
		(void)fclose(file);
	return state == 'S';
}

static void
until_asleep(int pid, uint32_t count)
{
	while (a32_load_acquire(&here->sleeping) < count || !sleeps(pid))
		stoai_os_sleep(MS);
}

static void
test_wake_across_processes(void **state)
{
	uint64_t deadline[] = {UINT64_MAX, UINT64_MAX - 1, stoa_in_ms(15000)};
	int pid[STOAI_COUNT(deadline)], woken;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(deadline); i++) {
		pid[i] = scene_fork(sleep_on_a, &deadline[i]);
		until_asleep(pid[i], (uint32_t)i + 1);
	}
	/* by another mapping, and one at a time if so wished */
	assert_int_equal(stoai_os_futex_wake(&there->b, UINT32_MAX), 0);
	a32_store_release(&there->a, 1);
	assert_int_equal(stoai_os_futex_wake(&there->a, 1), 1);
	woken = stoai_os_futex_wake(&there->a, UINT32_MAX);
	assert_int_equal(woken, 2);
	for (size_t i = 0; i < STOAI_COUNT(deadline); i++)
		assert_int_equal(scene_wait(pid[i]), 0);
}

static void
on_signal(int sig)
{
	(void)sig;
}

/* Signals all the time, and still it ends when it should: not earlier or later. */
static int
wait_under_signals(void *arg)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec fast = {{0, 2 * MS}, {0, 2 * MS}};
	uint64_t begin;
	timer_t timer;

	(void)arg;
	must(!sigaction(SIGUSR1, &action, NULL));
	must(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	must(!timer_settime(timer, 0, &fast, NULL));
	begin = stoai_os_now();
	must(stoai_os_futex_wait(&here->a, 0, begin + 100 * MS) == -ETIMEDOUT);
	must(about(stoai_os_now() - begin, 100));
	begin = stoai_os_now();
	must(stoai_os_futex_wait2(&here->a, 0, &here->b, 0, begin + 100 * MS) ==
			-ETIMEDOUT ||
		stoai_os_now() - begin < 50 * MS /* no futex_waitv */);
	/* but a sleep ends with the first signal */
	begin = stoai_os_now();
	stoai_os_sleep(10000 * (uint64_t)MS);
	must(stoai_os_now() - begin < LATE_MS * (uint64_t)MS);
	return 0;
}

static void
test_wait_is_repeated(void **state)
{
	(void)state;
	assert_int_equal(scene_child(wait_under_signals, NULL), 0);
}

/* ---- two words ---- */

static bool
waitv_missing(const char *test)
{
	if (stoai_os_futex_wait2(&here->a, 0, &here->b, 0, 0) != -ENOSYS)
		return false;
	scene_skipped(test, "this kernel has no futex_waitv");
	return true;
}

static int
sleep_on_both(void *arg)
{
	(void)arg;
	(void)a32_fetch_add_seq_cst(&here->sleeping, 1);
	return stoai_os_futex_wait2(&here->a, 0, &here->b, 0, UINT64_MAX);
}

static void
test_wait2(void **state)
{
	uint64_t begin;
	int pid;

	(void)state;
	if (waitv_missing("waiting on two words"))
		skip();
	begin = stoai_os_now();
	assert_int_equal(
		stoai_os_futex_wait2(&here->a, 1, &here->b, 0, UINT64_MAX), 0);
	assert_int_equal(
		stoai_os_futex_wait2(&here->a, 0, &here->b, 1, UINT64_MAX), 0);
	assert_int_equal(
		stoai_os_futex_wait2(&here->a, 0, &here->b, 0, begin + 50 * MS),
		-ETIMEDOUT);
	assert_true(about(stoai_os_now() - begin, 50));
	for (uint32_t i = 0; i < 2; i++) {
		pid = scene_fork(sleep_on_both, NULL);
		until_asleep(pid, i + 1);
		assert_int_equal(
			stoai_os_futex_wake(i ? &there->b : &there->a, 1), 1);
		assert_int_equal(scene_wait(pid), i);
	}
}

static int
waitv_filtered(void *arg)
{
	int error = *(int *)arg;

	if (!scene_filter(WAITV, SCENE_EVERY, 0, error))
		return 1;
	must(stoai_os_futex_wait2(&here->a, 0, &here->b, 0, UINT64_MAX) ==
		-ENOSYS);
	/* It is not asked again: that would be the end of this process. */
	must(scene_filter(WAITV, SCENE_EVERY, 0, 0));
	must(stoai_os_futex_wait2(&here->a, 0, &here->b, 0, UINT64_MAX) ==
		-ENOSYS);
	return 0;
}

static void
test_wait2_absent(void **state)
{
	int errors[] = {ENOSYS, EPERM};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(errors); i++) {
		int rc = scene_child(waitv_filtered, &errors[i]);

		if (rc == 1) {
			scene_skipped("futex_waitv that is filtered",
				"no system call can be filtered here");
			skip();
		}
		assert_int_equal(rc, 0);
	}
	/* by a caller's wish, and only as long as it is wished */
	stoai_os_without_waitv = true;
	assert_int_equal(
		stoai_os_futex_wait2(&here->a, 0, &here->b, 0, UINT64_MAX),
		-ENOSYS);
	stoai_os_without_waitv = false;
	if (!waitv_missing("futex_waitv again"))
		assert_int_equal(stoai_os_futex_wait2(&here->a, 0, &here->b, 0,
					 stoai_os_now()),
			-ETIMEDOUT);
}

/* ---- clocks ---- */

static uint64_t
clock_of(clockid_t clock)
{
	struct timespec t;

	assert_int_equal(clock_gettime(clock, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
test_clocks(void **state)
{
	uint64_t before = clock_of(CLOCK_MONOTONIC), now = stoai_os_now();
	uint64_t after = clock_of(CLOCK_MONOTONIC), coarse;

	(void)state;
	assert_true(before <= now && now <= after);
	coarse = stoai_os_now_coarse();
	assert_true(coarse + 100 * MS > now && coarse <= stoai_os_now());
	before = clock_of(CLOCK_REALTIME);
	now = stoai_os_realtime();
	assert_true(before <= now && now <= clock_of(CLOCK_REALTIME));
	before = stoai_os_now();
	stoai_os_sleep(20 * MS);
	assert_true(about(stoai_os_now() - before, 20));
	stoai_os_yield();
}

static void
test_in_ms(void **state)
{
	uint64_t now = stoai_os_now(), soon = stoa_in_ms(1000);
	uint64_t last = stoa_in_ms(UINT32_MAX);

	(void)state;
	assert_true(soon >= now + 1000 * (uint64_t)MS &&
		    soon < now + (1000 + LATE_MS) * (uint64_t)MS);
	assert_true(
		last >= now + UINT32_MAX * (uint64_t)MS && last < STOA_FOREVER);
	assert_true(stoa_in_ms(0) >= now);
}

/* ---- identity ---- */

static uint32_t
real_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

static void *
tid_in_thread(void *arg)
{
	uint32_t *ret = arg;

	*ret = stoai_os_tid() == real_tid() ? stoai_os_tid() : 0;
	return NULL;
}

static int
tid_in_child(void *arg)
{
	int depth = *(int *)arg - 1;
	pthread_t thread;
	uint32_t tid = 0;
	pid_t raw;

	if (depth == 1) { /* another thread is the first to ask */
		must(!pthread_create(&thread, NULL, tid_in_thread, &tid));
		must(!pthread_join(thread, NULL));
		must(tid != 0);
	}
	must(stoai_os_tid() == real_tid());
	must(stoai_os_pid() == (uint32_t)getpid());
	must(stoai_os_tid() == real_tid());
	if (depth == 0)
		return 0;
	must(scene_child(tid_in_child, &depth) == 0);
	/* a child without any of libc's handlers, and its child */
	raw = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (raw == 0)
		_exit(tid_in_child(&depth));
	must(scene_wait((int)raw) == 0);
	must(stoai_os_tid() == real_tid());
	return 0;
}

/* A system call would end this process. */
static int
tid_is_remembered(void *arg)
{
	uint32_t tid = stoai_os_tid();

	(void)arg;
	if (!scene_filter(SYS_gettid, SCENE_EVERY, 0, 0))
		return 1;
	for (int i = 0; i < 1000; i++)
		must(stoai_os_tid() == tid);
	return 0;
}

static void
test_tid(void **state)
{
	uint32_t tid[4] = {0};
	pthread_t thread;
	int depth = 4, rc;

	(void)state;
	assert_int_equal(stoai_os_tid(), real_tid());
	for (int i = 0; i < 4; i++) {
		assert_int_equal(
			pthread_create(&thread, NULL, tid_in_thread, &tid[i]),
			0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(tid[i] && tid[i] != real_tid());
	}
	assert_int_equal(scene_child(tid_in_child, &depth), 0);
	if (scene_valgrind_cannot("remembered tid",
		    "valgrind itself makes the call that is filtered"))
		return;
	rc = scene_child(tid_is_remembered, NULL);
	if (rc == 1)
		scene_skipped("remembered tid",
			"no system call can be filtered here");
	else
		assert_int_equal(rc, 0);
}

static int
print_namespace(void *arg)
{
	*(uint64_t *)(void *)here = stoai_os_pid_namespace();
	(void)arg;
	return 0;
}

static int
other_namespace(void *arg)
{
	return unshare(CLONE_NEWPID) ? 1 : scene_child(print_namespace, arg);
}

static void
test_pid_namespace(void **state)
{
	uint64_t mine = stoai_os_pid_namespace(), *seen = (void *)here;

	(void)state;
	assert_true(mine != 0);
	assert_int_equal(scene_child(print_namespace, NULL), 0);
	assert_true(*seen == mine);
	if (scene_child(other_namespace, NULL)) {
		scene_skipped("a pid namespace of its own", "not allowed");
		skip();
	}
	/* /proc is still the old one, and shows nothing of who is not in it */
	assert_true(*seen != 0 && *seen != mine);
}

static void
test_random(void **state)
{
	uint8_t *a = calloc(1, 1 << 20), *b = calloc(1, 1 << 20);
	size_t zeros = 0;

	(void)state;
	assert_int_equal(stoai_os_random(a, 1 << 20), 0);
	assert_int_equal(stoai_os_random(b, 16), 0);
	assert_memory_not_equal(a, b, 16);
	for (size_t i = 0; i < 1 << 20; i++)
		zeros += a[i] == 0;
	assert_in_range(zeros, 3000, 6000); /* 4096 */
	assert_int_equal(b[16], 0);
	assert_int_equal(stoai_os_random(NULL, 0), 0);
	free(a);
	free(b);
}

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static const struct {
	const char *text;
	int rc;
} boot_ids[] = {
	{"01234567-89ab-cdef-FEDC-BA9876543210\n", 0},
	{"00000000-0000-0000-0000-000000000000\n", -ENODATA},
	{"00000000-0000-0000-0000-00000000000\n", -EBADMSG},
	{"01234567-89ab-cdef-FEDC-BA987654321g\n", -EBADMSG},
	{"", -EBADMSG},
};

/* With a file of ours in place of the kernel's. */
static int
boot_id_replaced(void *arg)
{
	static const uint8_t expected[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
		0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
	const char *path = arg;

	if (!scene_own_mounts() || mount(path, BOOT_ID, "none", MS_BIND, NULL))
		return 1;
	for (size_t i = 0; i < STOAI_COUNT(boot_ids); i++) {
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		size_t size = strlen(boot_ids[i].text);
		uint8_t id[16] = {7};

		must(fd > 2);
		must(write(fd, boot_ids[i].text, size) == (ssize_t)size);
		must(close(fd) == 0);
		must(stoai_os_boot_id(id) == boot_ids[i].rc);
		must(boot_ids[i].rc ? id[0] == 7
				    : !memcmp(id, expected, sizeof id));
	}
	return 0;
}

static void
test_boot_id(void **state)
{
	uint8_t a[16] = {0}, b[16] = {0};
	char text[64] = "", ours[64];
	char *room = scene_directory(false);
	char path[256];
	FILE *file = fopen(BOOT_ID, "re");
	int n = 0, rc;

	(void)state;
	(void)snprintf(path, sizeof path, "%s", scene_path(room, "id"));
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	(void)fclose(file);
	assert_int_equal(stoai_os_boot_id(a), 0);
	assert_int_equal(stoai_os_boot_id(b), 0);
	assert_memory_equal(a, b, 16);
	for (int i = 0; i < 16; i++)
		n += snprintf(ours + n, sizeof ours - (size_t)n, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", a[i]);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, ours);
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fclose(file);
	rc = scene_child(boot_id_replaced, path);
	scene_remove(room);
	if (rc == 1) {
		scene_skipped("broken boot ids", "nothing can be mounted here");
		skip();
	}
	assert_int_equal(rc, 0);
}

static void
test_environment(void **state)
{
	(void)state;
	assert_int_equal(setenv("STOA_TEST", "x", 1), 0);
	assert_string_equal(stoai_os_environment("STOA_TEST"), "x");
	assert_int_equal(unsetenv("STOA_TEST"), 0);
	assert_null(stoai_os_environment("STOA_TEST"));
}

/* ---- the robust list ---- */

static void *
robust_of_thread(void *arg)
{
	(void)stoai_os_robust_list(arg);
	return NULL;
}

static void
test_robust_list(void **state)
{
	struct stoai_robust_head *mine = NULL, *other = NULL, *again = NULL;
	pthread_mutexattr_t robust;
	pthread_mutex_t mutex;
	pthread_t thread;
	void *empty;

	(void)state;
	assert_int_equal(stoai_os_robust_list(&mine), 0);
	assert_int_equal(
		pthread_create(&thread, NULL, robust_of_thread, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(mine && other && mine != other);
	assert_int_equal(stoai_os_robust_list(&again), 0);
	assert_ptr_equal(mine, again);
	/* It is the list on which libc puts what it locks. */
	empty = mine->next;
	assert_ptr_equal(empty, mine); /* an empty list is its own end */
	assert_int_equal(pthread_mutexattr_init(&robust), 0);
	assert_int_equal(
		pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST), 0);
	assert_int_equal(pthread_mutex_init(&mutex, &robust), 0);
	assert_int_equal(pthread_mutex_lock(&mutex), 0);
	assert_in_range((uintptr_t)mine->next, (uintptr_t)&mutex,
		(uintptr_t)(&mutex + 1));
	assert_ptr_equal((char *)mine->next + mine->futex_offset, &mutex);
	assert_int_equal(pthread_mutex_unlock(&mutex), 0);
	assert_ptr_equal(mine->next, empty);
	(void)pthread_mutex_destroy(&mutex);
	(void)pthread_mutexattr_destroy(&robust);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, words_make, words_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wait_ends_by_itself),
		TEST(test_wake_across_processes),
		TEST(test_wait_is_repeated),
		TEST(test_wait2),
		TEST(test_wait2_absent),
		TEST(test_clocks),
		TEST(test_in_ms),
		TEST(test_tid),
		TEST(test_pid_namespace),
		TEST(test_random),
		TEST(test_boot_id),
		TEST(test_environment),
		TEST(test_robust_list),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name("os_wait", tests, NULL, NULL);
}
