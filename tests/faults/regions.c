/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Regions on systems that refuse something for good: a tmpfs of 1 MiB, little address
 * space, few descriptors, no memory to lock, filters of mbind, memfd and fallocate.
 * An error says so and leaves nothing; what can be done without it is done; nobody
 * gets a signal. And each call of the system in turn fails, with every error.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/region.h>

#include "fault.h"
#include "scene.h"

enum {
	KIB = 1 << 10,
	MIB = 1 << 20,
	IMPOSSIBLE = 77,
	CALLS_MAX = 200
};

static char *folder;

static int
make(const char *name, uint64_t size, stoa_region **ret)
{
	return stoa_region_open(
		name, STOA_CREATE, STOA_REGION_OPTIONS(.size = size), ret);
}

static bool
says(const char *words)
{
	if (strstr(stoa_error_text(), words))
		return true;
	(void)fprintf(
		stderr, "'%s' is not in '%s'\n", words, stoa_error_text());
	return false;
}

static void
touch(stoa_region *r)
{
	memset(stoa_region_data(r), 1, stoa_region_size(r));
}

static int
names(void)
{
	return scene_entries(scene_path(folder, "default"));
}

/* ---- limits ---- */

static int
small_tmpfs(void *user)
{
	stoa_region *a = NULL, *b = NULL;

	(void)user;
	if (!scene_own_mounts() ||
		mount("small", folder, "tmpfs", 0, "size=1m"))
		return IMPOSSIBLE;
	must(make("large", 2 * MIB, &a) == -ENOSPC);
	must(says("large"));
	must(names() == 0);
	must(!make("a", 600 * KIB, &a));
	must(make("b", 600 * KIB, &b) == -ENOSPC);
	must(names() == 1);
	must(stoa_region_resize(a, 1200 * KIB) == -ENOSPC);
	must(says("full"));
	must(stoa_region_size(a) == 600 * KIB);
	touch(a); /* all its pages are there */
	must(!stoa_region_resize(a, 100 * KIB));
	must(!make("b", 600 * KIB, &b));
	touch(b);
	/* holes that somebody else made, and no room for them */
	must(!truncate(scene_path(folder, "default/a"), 900 * KIB));
	must(!stoa_region_follow(a));
	must(stoa_region_size(a) == 900 * KIB);
	must(stoa_region_prefault(a, 0, 0) == -ENOSPC);
	must(says("full"));
	a = stoa_region_close(a);
	b = stoa_region_close(b);
	must(!stoa_region_unlink("a", 0, NULL));
	must(!make("a", 300 * KIB, &a));
	touch(a);
	return 0;
}

static bool
limited(int resource, rlim_t most)
{
	const struct rlimit r = {most, most};

	return !setrlimit((__rlimit_resource_t)resource, &r);
}

static int
little_address_space(void *user)
{
	stoa_region *a = NULL, *b = NULL;

	(void)user;
#ifdef __SANITIZE_ADDRESS__
	return IMPOSSIBLE; /* its own memory does not fit */
#endif
	if (!limited(RLIMIT_AS, 64 * MIB))
		return IMPOSSIBLE;
	must(make("a", 128 * MIB, &a) == -ENOMEM);
	must(says("ulimit -v"));
	must(names() == 0); /* not mapped, so not made */
	must(!make("a", MIB, &a));
	must(stoa_region_resize(a, 128 * MIB) == -ENOMEM);
	must(stoa_region_size(a) == MIB);
	must(!stoa_region_open("a", 0, NULL, &b));
	must(stoa_region_size(b) == MIB);
	touch(b);
	must(stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
		     STOA_REGION_OPTIONS(.size = 128 * MIB), &b) == -ENOMEM);
	return 0;
}

static int
few_descriptors(void *user)
{
	stoa_region *a = NULL, *b = NULL;
	const int next = dup(0);

	(void)user;
	must(!make("there", KIB, &a));
	if (next < 0 || close(next) || !limited(RLIMIT_NOFILE, (rlim_t)next))
		return IMPOSSIBLE;
	must(make("b", KIB, &b) == -EMFILE);
	must(stoa_region_open("there", 0, NULL, &b) == -EMFILE);
	must(make(NULL, KIB, &b) == -EMFILE);
	must(stoa_region_export(a, 0) == -EMFILE ||
		stoa_region_export(a, 0) == -EINVAL);
	must(!stoa_region_resize(a, 2 * KIB)); /* needs none */
	must(!stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_REGION_OPTIONS(.size = KIB), &b)); /* nor does this */
	touch(b);
	must(access(scene_path(folder, "default/b"), F_OK) < 0);
	return 0;
}

/* CAP_IPC_LOCK makes the limit void. */
static int
no_memory_to_lock(void *user)
{
	stoa_region *r = NULL;
	stoa_placed p;

	(void)user;
	must(!make(NULL, MIB, &r));
	if (!limited(RLIMIT_MEMLOCK, 4 * KIB) || setgid(54321) || setuid(54321))
		return IMPOSSIBLE;
	must(stoa_region_lock(r, 0, 0) == -ENOMEM);
	must(says("ulimit -l"));
	must(!stoa_place(stoa_region_data(r), MIB,
		STOA_PLACEMENT(.want = STOA_PLACE_LOCK), &p));
	must(p.lock == -ENOMEM && !p.got && !p.locked);
	must(stoa_place(stoa_region_data(r), MIB,
		     STOA_PLACEMENT(.must = STOA_PLACE_LOCK), NULL) == -ENOMEM);
	must(says("ulimit -l"));
	return 0;
}

static int
no_mbind(void *user)
{
	stoa_region *r = NULL;
	stoa_placed p;

	(void)user;
	if (!scene_filter(SYS_mbind, SCENE_EVERY, 0, EPERM))
		return IMPOSSIBLE;
	must(!stoa_region_open(NULL, STOA_CREATE,
		STOA_REGION_OPTIONS(.size = MIB,
			.placement = STOA_PLACEMENT(.want = STOA_PLACE_NUMA |
							    STOA_PLACE_POPULATE,
				.numa = STOA_NUMA_BIND, .nodes = 1),
			.placed = &p),
		&r));
	must(p.numa == -EPERM && p.got == STOA_PLACE_POPULATE);
	must(p.resident == MIB);
	r = stoa_region_close(r);
	must(stoa_region_open("must", STOA_CREATE,
		     STOA_REGION_OPTIONS(.size = MIB,
			     .placement =
				     STOA_PLACEMENT(.must = STOA_PLACE_NUMA,
					     .numa = STOA_NUMA_BIND,
					     .nodes = 1)),
		     &r) == -EPERM);
	must(says("mbind"));
	must(names() == 0); /* what must be and is not leaves nothing */
	return 0;
}

static int
no_memfd(void *user)
{
	stoa_region *r = NULL;

	(void)user;
	if (!scene_filter(SYS_memfd_create, SCENE_EVERY, 0, EPERM))
		return IMPOSSIBLE;
	must(make(NULL, MIB, &r) == -EPERM);
	must(says("memfd"));
	must(!make("named", MIB, &r));
	touch(r);
	r = stoa_region_close(r);
	must(!stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_REGION_OPTIONS(.size = MIB), &r));
	touch(r);
	return 0;
}

static int
no_fallocate(void *user)
{
	stoa_region *r = NULL;

	(void)user;
	if (!scene_filter(SYS_fallocate, SCENE_EVERY, 0, EOPNOTSUPP))
		return IMPOSSIBLE;
	must(make("n", MIB, &r) == -ENOTSUP);
	must(says("tmpfs, ext4 or xfs"));
	must(names() == 0);
	return 0;
}

static int
no_populate(void *user)
{
	stoa_region *r = NULL;

	(void)user;
	if (!scene_filter(SYS_madvise, 2, 21, EINVAL)) /* an older kernel */
		return IMPOSSIBLE;
	must(!make(NULL, MIB, &r));
	must(stoa_region_prefault(r, 0, 0) == -EINVAL);
	must(says("5.14"));
	touch(r);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void *user);
} limits[] = {
	{"a tmpfs of 1 MiB", small_tmpfs},
	{"64 MiB of address space", little_address_space},
	{"no descriptor", few_descriptors},
	{"4 KiB to lock", no_memory_to_lock},
	{"no mbind", no_mbind},
	{"no memfd", no_memfd},
	{"no fallocate", no_fallocate},
	{"no MADV_POPULATE", no_populate},
};

static void
each_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		int rc;

		folder = scene_directory(false);
		assert_int_equal(setenv("STOA_DIRECTORY", folder, 1), 0);
		rc = scene_child(limits[i].run, NULL);
		scene_remove(folder);
		if (rc == IMPOSSIBLE)
			scene_skipped(limits[i].name,
				"this system does not allow it");
		else if (rc)
			fail_msg("%s: child: %d", limits[i].name, rc);
	}
}

/* ---- the nth call fails ---- */

/* Everything once; the first error, and where there is one, a text. */
static int
all_of_it(unsigned kind)
{
	static const unsigned flags[] = {0, STOA_FILE, STOA_XSI, STOA_LOCAL};
	const char *const name[] = {"n", scene_path(folder, "f"), folder, NULL};
	stoa_region *r = NULL;
	int rc = stoa_region_open(name[kind], flags[kind] | STOA_CREATE,
		STOA_REGION_OPTIONS(.size = 10000), &r);

	if (rc)
		return rc;
	touch(r);
	if (kind < 2) {
		rc = stoa_region_resize(r, 50000);
		touch(r);
		rc = rc ? rc : stoa_region_resize(r, 4000);
		touch(r);
		rc = rc ? rc : stoa_region_flush(r, 1, 2);
		rc = rc ? rc : stoa_region_follow(r);
	}
	rc = rc ? rc : stoa_region_advise(r, 0, 0, STOA_ADVICE_RANDOM);
	rc = rc ? rc : stoa_region_prefault(r, 0, 0);
	r = stoa_region_close(r);
	for (int i = 0; kind < 3 && i < 2; i++) { /* the other may fail */
		int removed = stoa_region_unlink(name[kind], flags[kind], NULL);

		if (!removed)
			break;
		rc = rc ? rc : removed;
	}
	return rc;
}

static void
each_call_fails(void **state)
{
	static const int errors[] = {-EIO, -ENOMEM, -EMFILE, -ENOSPC, -EACCES};
	const int fds = scene_fds();
	unsigned n, failed = 0;
	int rc;

	(void)state;
	folder = scene_directory(false);
	assert_int_equal(setenv("STOA_DIRECTORY", folder, 1), 0);
	for (unsigned kind = 0; kind < 4; kind++)
		for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++)
			for (n = 1; n < CALLS_MAX; n++) {
				fault_start();
				fault_fail(FAULT_ANY, n, errors[e]);
				rc = all_of_it(kind);
				fault_stop();
				if (!fault_hit())
					break;
				failed += rc != 0;
				if (rc &&
					!strcmp(stoa_error_text(), "no error"))
					fail_msg("%d without a text", rc);
				assert_int_equal(scene_fds(), fds);
				/* it can be had right afterwards */
				assert_int_equal(all_of_it(kind), 0);
				assert_int_equal(scene_entries(folder),
					kind == 0     ? 1
					: names() < 0 ? 0
						      : 1);
			}
	printf("%u calls that failed were told\n", failed);
	scene_remove(folder);
	assert_true(failed > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit),
		cmocka_unit_test(each_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
