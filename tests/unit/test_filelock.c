/* SPDX-License-Identifier: BSL-1.0 */
/* Locks on files, between two holds in one thread, threads and processes. */
#include "proc/proc.h"

#include <pthread.h>
#include <sched.h>
#include <stoa/filelock.h>

#include "base/atomic.h"
#include "fault.h"

enum {
	SECONDS = 60,
	THREADS = 4,
	ROUNDS = 300
};

static char path[96];

static stoa_filelock *
opened(unsigned flags)
{
	stoa_filelock *file = NULL;

	if (stoa_filelock_open(path, flags, &file)) {
		fprintf(stderr, "%s\n", stoa_error_text());
		return NULL;
	}
	return file;
}

static int
lock(stoa_filelock *file, uint64_t from, uint64_t size, stoa_filelock_hold **h)
{
	return stoa_filelock_lock(file, from, size, STOA_NOW, h);
}

static int
share(stoa_filelock *file, uint64_t from, uint64_t size, stoa_filelock_hold **h)
{
	return stoa_filelock_share(file, from, size, STOA_NOW, h);
}

static int
setup(void **state)
{
	FILE *made;

	if (folder_setup(state))
		return -1;
	(void)snprintf(path, sizeof path, "%s/locked", test_folder);
	made = fopen(path, "w");
	return !made || fputs("0", made) < 0 || fclose(made) ? -1 : 0;
}

static void
two_holds_of_one_thread_exclude(void **state)
{
	STOA_CLEANUP(stoa_filelock) one = opened(0);
	STOA_CLEANUP(stoa_filelock) two = opened(0);
	STOA_CLEANUP(stoa_filelock_hold) a = NULL;
	STOA_CLEANUP(stoa_filelock_hold) b = NULL;
	STOA_CLEANUP(stoa_filelock_hold) c = NULL;

	(void)state;
	assert_int_equal(lock(one, 0, 0, &a), 0);
	assert_true(stoa_filelock_is_exclusive(a));
	assert_int_equal(lock(one, 0, 0, &b), -EAGAIN);
	assert_int_equal(lock(two, 0, 0, &b), -EAGAIN);
	assert_int_equal(share(two, 0, 0, &b), -EAGAIN);
	assert_null(b);
	two = stoa_filelock_close(two); /* drops nothing of one's */
	two = opened(0);
	assert_int_equal(lock(two, 0, 0, &b), -EAGAIN);
	one = stoa_filelock_close(one); /* a hold outlives its file */
	assert_int_equal(lock(two, 0, 0, &b), -EAGAIN);
	a = stoa_filelock_release(a);
	assert_int_equal(share(two, 0, 0, &a), 0);
	assert_int_equal(share(two, 0, 0, &b), 0);
	assert_int_equal(lock(two, 0, 0, &c), -EAGAIN);
	a = stoa_filelock_release(a);
	assert_int_equal(lock(two, 0, 0, &c), -EAGAIN);
	b = stoa_filelock_release(b);
	assert_int_equal(lock(two, 0, 0, &c), 0);
}

static void
ranges_are_apart(void **state)
{
	STOA_CLEANUP(stoa_filelock) file = opened(0);
	STOA_CLEANUP(stoa_filelock_hold) a = NULL;
	STOA_CLEANUP(stoa_filelock_hold) b = NULL;
	STOA_CLEANUP(stoa_filelock_hold) c = NULL;
	const uint64_t far = UINT64_C(1) << 40; /* beyond the end */

	(void)state;
	assert_int_equal(lock(file, far, 10, &a), 0);
	assert_int_equal(lock(file, far + 10, 5, &b), 0);
	assert_int_equal(lock(file, far + 9, 1, &c), -EAGAIN);
	assert_int_equal(lock(file, 0, 0, &c), -EAGAIN);
	assert_int_equal(lock(file, 0, far + 1, &c), -EAGAIN);
	assert_int_equal(lock(file, 0, far, &c), 0);
	c = stoa_filelock_release(c);
	/* One's release leaves its neighbour. */
	b = stoa_filelock_release(b);
	assert_int_equal(lock(file, far + 10, 0, &b), 0);
	assert_int_equal(lock(file, far, 1, &c), -EAGAIN);
	assert_int_equal(lock(file, INT64_MAX, 1, &c), -EINVAL);
	assert_int_equal(lock(file, 2, INT64_MAX, &c), -EINVAL);
	assert_int_equal(lock(file, UINT64_MAX, 0, &c), -EINVAL);
}

static void
conversions_and_their_failures(void **state)
{
	STOA_CLEANUP(stoa_filelock) file = opened(0);
	STOA_CLEANUP(stoa_filelock_hold) a = NULL;
	STOA_CLEANUP(stoa_filelock_hold) b = NULL;
	STOA_CLEANUP(stoa_filelock_hold) c = NULL;

	(void)state;
	assert_int_equal(stoa_filelock_upgrade(NULL, STOA_NOW), -EINVAL);
	assert_int_equal(stoa_filelock_downgrade(NULL), -EINVAL);
	assert_false(stoa_filelock_is_exclusive(NULL));
	assert_int_equal(share(file, 0, 0, &a), 0);
	assert_int_equal(share(file, 0, 0, &b), 0);
	assert_int_equal(stoa_filelock_upgrade(a, STOA_NOW), -EAGAIN);
	assert_int_equal(stoa_filelock_upgrade(a, stoa_in_ms(20)), -ETIMEDOUT);
	assert_false(stoa_filelock_is_exclusive(a));
	/* It is shared still: keeps others out, lets sharers in. */
	b = stoa_filelock_release(b);
	assert_int_equal(lock(file, 0, 0, &c), -EAGAIN);
	assert_int_equal(share(file, 0, 0, &c), 0);
	c = stoa_filelock_release(c);
	assert_int_equal(stoa_filelock_upgrade(a, STOA_FOREVER), 0);
	assert_int_equal(stoa_filelock_upgrade(a, STOA_NOW), 0);
	assert_true(stoa_filelock_is_exclusive(a));
	assert_int_equal(share(file, 0, 0, &c), -EAGAIN);
	assert_int_equal(stoa_filelock_downgrade(a), 0);
	assert_int_equal(stoa_filelock_downgrade(a), 0);
	assert_int_equal(share(file, 0, 0, &c), 0);
	assert_int_equal(stoa_filelock_upgrade(a, STOA_NOW), -EAGAIN);
	b = a; /* a move */
	a = NULL;
	c = stoa_filelock_release(c);
	assert_int_equal(stoa_filelock_upgrade(b, STOA_NOW), 0);
}

static void
read_only_is_for_sharing(void **state)
{
	STOA_CLEANUP(stoa_filelock) reads = NULL;
	STOA_CLEANUP(stoa_filelock) writes = opened(0);
	STOA_CLEANUP(stoa_filelock_hold) a = NULL;
	STOA_CLEANUP(stoa_filelock_hold) b = NULL;

	(void)state;
	assert_int_equal(chmod(path, 0444), 0);
	reads = opened(STOA_RDONLY);
	assert_int_equal(lock(reads, 0, 0, &a), -EROFS);
	assert_null(a);
	assert_int_equal(share(reads, 0, 0, &a), 0);
	assert_int_equal(stoa_filelock_upgrade(a, STOA_NOW), -EROFS);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(lock(writes, 0, 0, &b), -EAGAIN);
	assert_int_equal(share(writes, 0, 0, &b), 0);
}

static void
what_cannot_be_opened(void **state)
{
	char link[128];
	stoa_filelock *file = NULL;

	(void)state;
	(void)snprintf(link, sizeof link, "%s/link", test_folder);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(stoa_filelock_open(link, 0, &file), -ELOOP);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(stoa_filelock_open(link, 0, &file), -ENOENT);
	assert_int_equal(
		stoa_filelock_open(test_folder, STOA_RDONLY, &file), -EINVAL);
	assert_int_equal(stoa_filelock_open(path, STOA_CREATE, &file), -EINVAL);
	assert_int_equal(stoa_filelock_open(NULL, 0, &file), -EINVAL);
	assert_null(file);
	assert_null(stoa_filelock_close(NULL));
	assert_null(stoa_filelock_release(NULL));
}

static void
deadlines_are_kept(void **state)
{
	STOA_CLEANUP(stoa_filelock) file = opened(0);
	STOA_CLEANUP(stoa_filelock_hold) a = NULL;
	STOA_CLEANUP(stoa_filelock_hold) b = NULL;
	uint64_t begin = ms_now();

	(void)state;
	assert_int_equal(share(file, 0, 0, &a), 0);
	assert_int_equal(
		stoa_filelock_lock(file, 0, 0, stoa_in_ms(60), &b), -ETIMEDOUT);
	assert_in_range(ms_now() - begin, 59, 5000);
	assert_int_equal(stoa_filelock_lock(file, 0, 0, 1, &b), -ETIMEDOUT);
	assert_int_equal(stoa_filelock_share(file, 0, 0, 1, &b), 0);
}

/* Each thread adds to a number that nothing but the lock protects. */
static stoa_filelock *common;
static uint32_t sum;

static void *
add(void *timed)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		STOA_CLEANUP(stoa_filelock_hold) h = NULL;
		uint64_t deadline = timed ? stoa_in_ms(50000) : STOA_FOREVER;
		uint32_t was;

		if (stoa_filelock_lock(common, 5, 1, deadline, &h))
			return common;
		was = a32_load_relaxed(&sum); /* no sanitizer sees the lock */
		sched_yield();
		a32_store_relaxed(&sum, was + 1);
	}
	return NULL;
}

static void
threads_exclude_each_other(void **state)
{
	pthread_t t[THREADS];
	void *failed;

	(void)state;
	common = opened(0);
	sum = 0;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, add, i ? NULL : common), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(sum, THREADS * ROUNDS);
	common = stoa_filelock_close(common);
}

/* Locks, says so, and does what it is told. */
static int
holder(struct peer *me, void *unused)
{
	stoa_filelock_hold *h = NULL;
	char todo;

	(void)unused;
	MUST(!stoa_filelock_lock(opened(0), 0, 0, STOA_FOREVER, &h));
	MUST(tell(me, 'h'));
	todo = hear(me);
	if (todo == 'e')
		execlp("sleep", "sleep", "30", (char *)NULL);
	if (todo == 'r')
		stoa_filelock_release(h);
	return 0;
}

static volatile sig_atomic_t signals;

static void
count_signal(int signal)
{
	(void)signal;
	signals++;
}

/* Waits while signals come; 'w' before, 'g' with the lock. */
static int
waiter(struct peer *me, void *user)
{
	const struct sigaction action = {.sa_handler = count_signal};
	stoa_filelock_hold *h = NULL;
	uint64_t ms = *(const uint64_t *)user;

	MUST(!sigaction(SIGUSR1, &action, NULL)); /* no SA_RESTART */
	MUST(tell(me, 'w'));
	fault_start(); /* to count */
	MUST(!stoa_filelock_lock(opened(0), 0, 0,
		ms ? stoa_in_ms((uint32_t)ms) : STOA_FOREVER, &h));
	MUST(ms || fault_count(STOAI_OS_LOCK) == 1); /* the kernel waits */
	MUST(tell(me, 'g'));
	MUST(signals > 0); /* a sanitizer may have kept them until that call */
	return 0;
}

static void
check_waiter(uint64_t ms, char end)
{
	struct peer has = peer_start(holder, NULL), waits;

	assert_int_equal(hear(&has), 'h');
	waits = peer_start(waiter, &ms);
	assert_int_equal(hear(&waits), 'w');
	for (unsigned i = 0; i < 20; i++) { /* signals end no wait */
		assert_int_equal(kill(waits.pid, SIGUSR1), 0);
		assert_int_equal(hear_within(&waits, 5), 0);
	}
	if (end == 'k')
		peer_kill(&has);
	else
		assert_true(tell(&has, end));
	assert_int_equal(hear(&waits), 'g');
	peer_join(&waits);
	if (end == 'r')
		peer_join(&has);
	else if (end == 'e')
		peer_kill(&has);
}

static void
a_killed_holders_waiter_goes_on(void **state)
{
	(void)state;
	check_waiter(0, 'k');
	check_waiter(40000, 'k');
}

static void
release_and_exec_wake_as_well(void **state)
{
	(void)state;
	check_waiter(0, 'r');
	check_waiter(40000, 'r');
	check_waiter(0, 'e');
}

static int
child_of_holder(struct peer *me, void *user)
{
	stoa_filelock_hold *h = user, *mine = NULL;
	stoa_filelock *file = opened(0);

	MUST(!stoa_filelock_is_exclusive(h));
	MUST(stoa_filelock_downgrade(h) == -EPERM);
	MUST(lock(file, 0, 0, &mine) == -EAGAIN);
	if (hear(me) == 'r')
		stoa_filelock_release(h); /* only its copy */
	MUST(lock(file, 0, 0, &mine) == -EAGAIN);
	MUST(tell(me, 'd'));
	MUST(hear(me) == 'l');
	MUST(!lock(file, 0, 0, &mine)); /* though a copy may be left */
	return 0;
}

static void
a_fork_child_has_nothing(void **state)
{
	STOA_CLEANUP(stoa_filelock) file = opened(0);
	stoa_filelock_hold *h;
	struct peer child;

	(void)state;
	for (const char *what = "rk"; *what; what++) {
		h = NULL;
		assert_int_equal(lock(file, 0, 0, &h), 0);
		child = peer_start(child_of_holder, h);
		assert_true(tell(&child, *what));
		assert_int_equal(hear(&child), 'd');
		h = stoa_filelock_release(h);
		assert_true(tell(&child, 'l'));
		peer_join(&child);
	}
}

/* PID 1 of a namespace, whose child is PID 1 of another. */
static int
first_of_both(void)
{
	STOA_CLEANUP(stoa_filelock) file = opened(0);
	stoa_filelock_hold *h = NULL, *other = NULL;
	int status = -1;
	pid_t pid;

	MUST(getpid() == 1);
	MUST(!lock(file, 0, 0, &h));
	MUST(!unshare(CLONE_NEWPID));
	pid = fork();
	if (!pid) {
		MUST(getpid() == 1);
		MUST(stoa_filelock_downgrade(h) == -EPERM);
		stoa_filelock_release(h);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid && !status);
	MUST(lock(file, 0, 0, &other) == -EAGAIN);
	stoa_filelock_release(h);
	MUST(!lock(file, 0, 0, &other));
	stoa_filelock_release(other);
	return 0;
}

static int
in_a_namespace(struct peer *me, void *unused)
{
	int status = -1;
	pid_t pid;

	(void)unused;
	if (unshare(CLONE_NEWPID)) {
		tell(me, 'n');
		return 0;
	}
	tell(me, 'y');
	pid = fork();
	if (!pid)
		_exit(first_of_both());
	MUST(waitpid(pid, &status, 0) == pid && !status);
	return 0;
}

static void
a_child_with_its_parents_pid(void **state)
{
	struct peer outer = peer_start(in_a_namespace, NULL);
	char may = hear(&outer);

	(void)state;
	peer_join(&outer);
	if (may == 'n') {
		print_message("no PID namespaces for us: not tested\n");
		skip();
	}
}

static unsigned
descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* One call of the system after the other fails: an error, nothing held or open. */
static void
each_refused_call_leaves_nothing(void **state)
{
	static const int errors[] = {-EIO, -EMFILE, -ENOTSUP};
	unsigned before = descriptors(), nth, hits = 0;

	(void)state;
	for (unsigned e = 0; e < sizeof errors / sizeof *errors; e++) {
		for (nth = 1;; nth++) {
			STOA_CLEANUP(stoa_filelock) file = NULL;
			STOA_CLEANUP(stoa_filelock_hold) h = NULL;
			int rc;

			fault_start();
			fault_fail(FAULT_ANY, nth, errors[e]);
			rc = stoa_filelock_open(path, 0, &file);
			if (!rc)
				rc = share(file, 0, 0, &h);
			if (!rc && (rc = stoa_filelock_upgrade(h, STOA_NOW)))
				assert_false(stoa_filelock_is_exclusive(h));
			fault_stop();
			if (!fault_hit())
				break;
			hits++;
			assert_int_equal(rc, errors[e]);
		}
		assert_int_equal(descriptors(), before);
	}
	assert_true(hits >= 3 * 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_holds_of_one_thread_exclude),
		cmocka_unit_test(ranges_are_apart),
		cmocka_unit_test(conversions_and_their_failures),
		cmocka_unit_test(read_only_is_for_sharing),
		cmocka_unit_test(what_cannot_be_opened),
		cmocka_unit_test(deadlines_are_kept),
		cmocka_unit_test(threads_exclude_each_other),
		cmocka_unit_test(a_killed_holders_waiter_goes_on),
		cmocka_unit_test(release_and_exec_wake_as_well),
		cmocka_unit_test(a_fork_child_has_nothing),
		cmocka_unit_test(a_child_with_its_parents_pid),
		cmocka_unit_test(each_refused_call_leaves_nothing),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name(
		"filelock", tests, setup, folder_teardown);
}
