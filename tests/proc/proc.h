/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Processes for tests. A child runs a function and ends with its result; parent
 * and child tell each other single letters, and whoever waits too long gives up,
 * so that a hang is a failure and not a hang.
 */
#ifndef TESTS_PROC_PROC_H
#define TESTS_PROC_PROC_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/stoa.h>

enum {
	HEAR_MS = 15000
};

struct peer {
	pid_t pid;
	int in, out;
};

static inline void
must_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: child: %s (%s)\n", file, line, what,
		stoa_error_text());
	_exit(1);
}

/* In a child: cmocka's assertions would jump into the parent's frames. */
#define MUST(x) ((x) ? (void)0 : must_failed(#x, __FILE__, __LINE__))

static inline uint64_t
us_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t
ms_now(void)
{
	return us_now() / 1000;
}

static inline void
ms_sleep(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/*
 * Leaves a child behind that shares the open file descriptions of this process, and so
 * keeps its owner bytes, until so long after its death. By _Fork, whose children run no
 * handlers: the library's would give the child descriptions of its own.
 */
static inline void
linger(unsigned ms)
{
	const pid_t self = getpid();

	if (_Fork())
		return;
	while (getppid() == self)
		ms_sleep(1);
	ms_sleep(ms);
	_exit(0);
}

/* A child that runs body(me, user) and exits with its result. */
static inline struct peer
peer_start(int (*body)(struct peer *me, void *user), void *user)
{
	struct peer p, me;
	int down[2], up[2];

	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	fflush(NULL);
	p.pid = fork();
	assert_true(p.pid >= 0);
	if (!p.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(down[1]);
		close(up[0]);
		me.pid = getppid();
		me.in = down[0];
		me.out = up[1];
		_exit(body(&me, user));
	}
	close(down[0]);
	close(up[1]);
	p.in = up[0];
	p.out = down[1];
	return p;
}

static inline bool
tell(const struct peer *p, char letter)
{
	return write(p->out, &letter, 1) == 1;
}

/* The next letter; 0: the other side ended, or said nothing for too long. */
static inline char
hear_within(const struct peer *p, int ms)
{
	struct pollfd fd = {p->in, POLLIN, 0};
	char letter = 0;

	if (poll(&fd, 1, ms) == 1 && read(p->in, &letter, 1) == 1)
		return letter;
	return 0;
}

static inline char
hear(const struct peer *p)
{
	return hear_within(p, HEAR_MS);
}

static inline void
peer_forget(struct peer *p)
{
	close(p->in);
	close(p->out);
	p->pid = 0;
}

/* It was killed, or had ended well before: no child fails unseen. */
static inline void
peer_kill(struct peer *p)
{
	int status = -1;

	kill(p->pid, SIGKILL);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	peer_forget(p);
	assert_true(!status ||
		    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

/* It must end by itself, well and in time. */
static inline void
peer_join(struct peer *p)
{
	const uint64_t until = ms_now() + HEAR_MS;
	int status = -1;

	while (!waitpid(p->pid, &status, WNOHANG)) {
		if (ms_now() > until) {
			kill(p->pid, SIGKILL);
			waitpid(p->pid, &status, 0);
			fail_msg("a child hangs");
		}
		ms_sleep(1);
	}
	peer_forget(p);
	assert_int_equal(status, 0);
}

/* ---- a folder for segments that nobody else sees ---- */

static char test_folder[64];

static inline int
folder_setup(void **state)
{
	const char *in = getenv("STOA_FOLDERS"); /* where they go with it */

	(void)state;
	snprintf(test_folder, sizeof test_folder, "%s/stoa-test-XXXXXX",
		in && *in ? in : "/dev/shm");
	if (!mkdtemp(test_folder))
		return -1;
	return setenv("STOA_DIRECTORY", test_folder, 1);
}

static inline int
folder_teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
	return system(command);
}

/*
 * The ways of being alive and of waiting: each program's tests run in all of
 * them, each way in a process of its own, since one of them is process-wide.
 * STOA_WAY=N: in the Nth alone.
 */
struct way {
	const char *name;
	uint32_t without;
};

static const struct way ways[] = {
	{"", 0},
	{" without tokens", STOA_WITHOUT_TOKENS},
	{" without waitv", STOA_WITHOUT_WAITV},
	{" without both", STOA_WITHOUT_TOKENS | STOA_WITHOUT_WAITV},
};
static const struct way *way = ways;

static inline int
run_in_all_ways(const char *name, const struct CMUnitTest *tests, size_t n)
{
	const char *only = getenv("STOA_WAY");
	int failed = 0;

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		char group[64];
		int status = -1;
		pid_t pid;

		if (only && *only && strtoul(only, NULL, 10) != i)
			continue;

		fflush(NULL);
		pid = fork();
		if (!pid) {
			way = &ways[i];
			snprintf(group, sizeof group, "%s%s", name, way->name);
			exit(_cmocka_run_group_tests(group, tests, n,
				     folder_setup, folder_teardown) != 0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			failed = 1;
	}
	return failed;
}

static inline stoa_segment *
segment_open(void)
{
	stoa_segment *seg = NULL;
	int rc = stoa_segment_open("test", STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.without = way->without), &seg);

	if (rc)
		fprintf(stderr, "open: %s (%s)\n", stoa_strerror(rc),
			stoa_error_text());
	return seg;
}

/* Nothing may be broken, and nothing lost. */
static inline void
segment_judge(stoa_segment *seg)
{
	int64_t leaked;

	stoa_segment_recover(seg);
	if (stoa_segment_check(seg))
		fail_msg("check: %s", stoa_error_text());
	leaked = stoa_segment_leaked(seg);
	if (leaked)
		fail_msg("%lld blocks leaked (%s)", (long long)leaked,
			stoa_error_text());
}

#define RUN_IN_ALL_WAYS(name, tests) \
 run_in_all_ways(name, tests, sizeof(tests) / sizeof(tests)[0])

#endif
