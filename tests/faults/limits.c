/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Whole programs on systems that refuse something for good: a full tmpfs, little
 * address space, few descriptors, filters of system calls. What can be done
 * without it must work; the rest must be an error with a text, and nothing of what
 * was committed may be lost for those who are not limited.
 */
#include "world.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cmocka.h>

#ifndef SYS_futex_waitv
 #define SYS_futex_waitv 449
#endif

enum {
	ADDS_MAX = 100000,
	KIB = 1024,
	FCNTL_COMMAND = 1, /* index of fcntl's argument */
	ALLOWED = 4,
	IMPOSSIBLE = 77
};

struct limit {
	const char *name;
	bool (*set)(void);    /* false: it cannot be tried here */
	int allowed[ALLOWED]; /* what programs may end with; none: all work */
	unsigned fewest;      /* programs that must end with one of them */
	bool first;           /* set before anything is open */
};

/* ---- limits ---- */

static bool
own_tmpfs(const char *size)
{
	return scene_own_mounts() &&
	       !mount("small", getenv("STOA_DIRECTORY"), "tmpfs", 0, size);
}

static bool
small_tmpfs(void)
{
	return own_tmpfs("size=1m");
}

static bool
middle_tmpfs(void)
{
	return own_tmpfs("size=64m");
}

static bool
limited(int resource, rlim_t most)
{
	const struct rlimit r = {most, most};

	return !setrlimit((__rlimit_resource_t)resource, &r);
}

static bool
little_address_space(void)
{
	return limited(RLIMIT_AS, 24 << 20);
}

/* A program needs about three; one of them is there. */
static bool
few_descriptors(void)
{
	const int next = dup(0);

	return next >= 0 && !close(next) &&
	       limited(RLIMIT_NOFILE, (rlim_t)next + 1);
}

static bool
small_files(void)
{
	return signal(SIGXFSZ, SIG_IGN) != SIG_ERR &&
	       limited(RLIMIT_FSIZE, 16 * KIB);
}

static bool
no_waitv_by_old_kernel(void)
{
	return scene_filter(SYS_futex_waitv, SCENE_EVERY, 0, ENOSYS);
}

static bool
no_waitv_by_old_profile(void)
{
	return scene_filter(SYS_futex_waitv, SCENE_EVERY, 0, EPERM);
}

static bool
no_memfd(void)
{
	return scene_filter(SYS_memfd_create, SCENE_EVERY, 0, EPERM);
}

/* F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW are the largest below F_SETOWN_EX's. */
static bool
no_owner_locks(void)
{
	return scene_filter(SYS_fcntl, FCNTL_COMMAND, F_OFD_GETLK - 1, EINVAL);
}

static bool
no_robust_list(void)
{
	return scene_filter(SYS_get_robust_list, SCENE_EVERY, 0, EPERM);
}

static bool
no_random_numbers(void)
{
	return scene_filter(SYS_getrandom, SCENE_EVERY, 0, ENOSYS);
}

static bool
no_fallocate(void)
{
	return scene_filter(SYS_fallocate, SCENE_EVERY, 0, EOPNOTSUPP);
}

static const struct limit limits[] = {
	{"a tmpfs of 1 MiB", small_tmpfs, {-ENOSPC}, 1, true},
	{"a tmpfs of 64 MiB", middle_tmpfs, {0}, 0, true},
	{"24 MiB of address space", little_address_space, {-ENOMEM}, 5, false},
	{"one descriptor", few_descriptors, {-EMFILE}, 5, false},
	{"files of 16 KiB", small_files, {-EFBIG, -ENOSPC}, 1, false},
	{"no futex_waitv (ENOSYS)", no_waitv_by_old_kernel, {0}, 0, false},
	{"no futex_waitv (EPERM)", no_waitv_by_old_profile, {0}, 0, false},
	{"no memfd", no_memfd, {-EPERM}, 1, false},
	{"no locks of owners", no_owner_locks, {-ENOTSUP, -EINVAL}, 5, false},
	{"no robust list", no_robust_list, {0}, 0, false},
	{"no random numbers", no_random_numbers, {-ENOSYS}, 0, false},
	{"no fallocate", no_fallocate, {-ENOTSUP, -EOPNOTSUPP}, 1, false},
};

/* ---- programs under a limit ---- */

static bool
is_allowed(const struct limit *l, int rc)
{
	for (int i = 0; i < ALLOWED; i++)
		if (rc && rc == l->allowed[i])
			return true;
	return false;
}

/* All programs one after the other; each begins with what the one before left. */
static void
run_programs(const struct limit *l)
{
	unsigned refused = 0;

	for (int i = 0; i < PROGRAMS; i++) {
		const int rc = programs[i].run();

		if (!programs[i].many)
			world_told(rc);
		if (rc && !is_allowed(l, rc)) {
			(void)fprintf(stderr, "%s, %s: %s (%s)\n", l->name,
				programs[i].name, stoa_strerror(rc),
				stoa_error_text());
			scene_must_failed("an error that was not expected",
				__FILE__, __LINE__);
		}
		refused += rc != 0;
	}
	printf("%-25s %2u of %d programs refused\n", l->name, refused,
		PROGRAMS);
	(void)fflush(stdout);
	must(refused >= l->fewest);
}

/* A process that is not limited, but sees the same files, and is told the count. */
static void
looked_at_by_another(int in)
{
	if (read(in, &world_committed, sizeof world_committed) !=
		(ssize_t)sizeof world_committed)
		_exit(0); /* the limited one failed, and has told why */
	world_is_whole();
	_exit(0);
}

static int
under_limit(void *user)
{
	const struct limit *l = user;
	int fd[2], status = -1;
	pid_t other;

	if (l->first && !l->set())
		return IMPOSSIBLE;
	world_begin(&programs[1]);
	must(!pipe(fd));
	other = fork();
	if (!other) {
		(void)close(fd[1]);
		looked_at_by_another(fd[0]);
	}
	(void)close(fd[0]);
	if (!l->first && !l->set())
		return IMPOSSIBLE;
	run_programs(l);
	must(write(fd[1], &world_committed, sizeof world_committed) ==
		(ssize_t)sizeof world_committed);
	must(waitpid(other, &status, 0) == other);
	return status;
}

static void
each_limit(void **state)
{
	(void)state;
	world_way = (struct world_way){"w", 0};
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct limit l = limits[i];
		char *folder = scene_directory(false);
		int rc;

		assert_int_equal(setenv("STOA_DIRECTORY", folder, 1), 0);
		rc = scene_child(under_limit, &l);
		scene_remove(folder);
		if (rc == IMPOSSIBLE)
			scene_skipped(l.name, "this system does not allow it");
		else if (rc)
			fail_msg("%s: child: %d", l.name, rc);
	}
}

/* ---- full to the last page ---- */

static int
fill(stoa_segment *seg, const ledger *l)
{
	for (int i = 0; i < ADDS_MAX; i++) {
		int rc;

		STOA_TX(tx, seg, &l->lock);
		numbers_resize(
			tx, &l->list, numbers_count(tx, &l->list) + 8 * KIB);
		rc = stoa_tx_commit(tx);
		if (rc)
			return rc;
	}
	return 0;
}

/* Until it is full; nothing of the last step is there; room made is room. */
static int
full_disk(void *user)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	size_t many;
	int rc;

	(void)user;
	if (!small_tmpfs())
		return IMPOSSIBLE;
	must(!world_open(&seg, &l));
	for (int round = 0; round < 3; round++) {
		rc = fill(seg, l);
		must(rc == -ENOSPC);
		must(strstr(stoa_error_text(), "full") ||
			strstr(stoa_error_text(), "space"));
		must(!stoa_segment_check(seg));
		must(stoa_segment_leaked(seg) == 0);
		STOA_TX(tx, seg, &l->lock);
		many = numbers_count(tx, &l->list);
		must(many % (8 * KIB) == 0 && many >= 32 * KIB);
		numbers_clear(tx, &l->list);
		must(!stoa_tx_commit(tx));
	}
	must(stoa_segment_trim(seg) > 0);
	must(!world_add(seg, l));
	return 0;
}

static void
a_full_disk_is_an_error(void **state)
{
	char *folder = scene_directory(false);
	int rc;

	(void)state;
	assert_int_equal(setenv("STOA_DIRECTORY", folder, 1), 0);
	rc = scene_child(full_disk, NULL);
	scene_remove(folder);
	if (rc == IMPOSSIBLE)
		scene_skipped("a full disk", "mounting is not allowed");
	else
		assert_int_equal(rc, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
