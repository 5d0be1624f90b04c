/* SPDX-License-Identifier: BSL-1.0 */
/*
 * region: backings are whole or not there, whichever call fails, wherever their
 * maker is killed, and however many make one at the same time.
 */
#include <sys/mman.h>

#include "backing_fixture.h"

enum {
	RACERS = 8,
	ROUNDS = 20
};

/* ---- several makers ---- */

struct race {
	uint32_t go, winners;
};

static struct race *race;

static int
run_race(void *arg)
{
	int rc;

	start();
	while (__atomic_load_n(&race->go, __ATOMIC_ACQUIRE) <= *(uint32_t *)arg)
		stoai_os_yield();
	rc = make_named(in_room("n"), 0600);
	must(rc == 0 || rc == -EEXIST);
	must(is_whole(in_room("n"), 0600) ||
		no_unnamed /* the winner's two names, for an instant */);
	if (rc == 0)
		(void)__atomic_add_fetch(&race->winners, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void
test_race(void **state)
{
	int pid[RACERS];

	(void)state;
	race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(race != MAP_FAILED);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		no_unnamed = round % 2;
		race->winners = 0;
		for (int i = 0; i < RACERS; i++)
			pid[i] = scene_fork(run_race, &round);
		__atomic_store_n(&race->go, round + 1, __ATOMIC_RELEASE);
		for (int i = 0; i < RACERS; i++)
			assert_int_equal(scene_wait(pid[i]), 0);
		assert_int_equal(race->winners, 1);
		assert_int_equal(scene_entries(room), 1);
		assert_true(is_whole(in_room("n"), 0600));
		assert_int_equal(unlink(in_room("n")), 0);
	}
	(void)munmap(race, sizeof *race);
}

/* ---- failing ---- */

static int
fail_create(void)
{
	return make_named(in_room("n"), 0600);
}

static int
fail_open(void)
{
	struct stoai_backing b;
	int rc = stoai_backing_open(
		STOAI_BACKING_NAMED, in_room("there"), false, &b);

	if (!rc)
		rc = stoai_backing_current(&b);
	stoai_backing_close(&b); /* also one that failed */
	return rc;
}

static int
fail_memfd(void)
{
	struct stoai_backing b, given = {.fd = -1};
	int rc = stoai_backing_create(STOAI_BACKING_MEMFD, NULL, &b);

	if (!rc)
		rc = stoai_backing_allocate(&b, 0, KIB);
	if (!rc)
		rc = stoai_backing_given(b.fd, false, &given);
	if (!rc)
		rc = stoai_backing_publish(&b, 0640, 0, 0);
	stoai_backing_close(&given);
	stoai_backing_close(&b);
	return rc;
}

/* May this failure be of no consequence? */
static bool
is_harmless(unsigned kind, int error)
{
	switch (kind) {
	case STOAI_OS_CLOSE: /* it is closed */
	case STOAI_OS_LIST:  /* rubbish is removed another time */
		return true;
	case STOAI_OS_UNNAMED: /* the other way is taken */
		return error == -EOPNOTSUPP;
	case STOAI_OS_LOCK: /* not locked, and so never removed */
		return error == -ENOTSUP;
	case STOAI_OS_OPEN: /* another name is tried */
		return error == -EEXIST && no_unnamed;
	case STOAI_OS_STAT:   /* the same */
	case STOAI_OS_UNLINK: /* and removed when closed */
		return no_unnamed;
	default:
		return false;
	}
}

static unsigned
fail_each_call(int (*scenario)(void), int error)
{
	int rc, fds = scene_fds();
	unsigned n;

	for (n = 1;; n++) {
		start();
		fault_fail(FAULT_ANY, n, error);
		stoai_error_clear();
		rc = scenario();
		fault_stop();
		assert_int_equal(scene_fds(), fds);
		if (!fault_hit()) {
			assert_int_equal(rc, 0);
			(void)unlink(in_room("n"));
			return n - 1;
		}
		if (rc == 0 && is_harmless(fault_hit_kind(), error)) {
			if (scenario == fail_create) {
				assert_true(is_whole(in_room("n"), 0600));
				assert_int_equal(unlink(in_room("n")), 0);
			}
		} else if (rc == 0) {
			fail_msg("call %u (%s): its failure is ignored", n,
				fault_name(fault_hit_kind()));
		} else {
			if (rc != error && rc != -ESTALE)
				fail_msg("call %u (%s): %d for %d", n,
					fault_name(fault_hit_kind()), rc,
					error);
			assert_string_not_equal(stoa_error_text(), "no error");
		}
		/* only "there" */
		assert_int_equal(scene_entries(room), 1);
	}
}

static void
test_each_call_fails(void **state)
{
	static const int errors[] = {
		-EIO, -ENOSPC, -EMFILE, -EACCES, -ENOTSUP, -ENOMEM, -EEXIST};
	static int (*const scenarios[])(void) = {
		fail_create, fail_open, fail_memfd};
	unsigned calls = 0;

	(void)state;
	assert_int_equal(make_named(in_room("there"), 0600), 0);
	for (int way = 0; way < 2; way++)
		for (size_t s = 0; s < STOAI_COUNT(scenarios); s++)
			for (size_t e = 0; e < STOAI_COUNT(errors); e++) {
				no_unnamed = way == 1;
				calls +=
					fail_each_call(scenarios[s], errors[e]);
			}
	/* so that a double that fails nothing is found */
	assert_true(calls > 2 * STOAI_COUNT(errors) * 15);
}

/* ---- dying ---- */

static int
create_and_die(void *arg)
{
	start();
	fault_kill(FAULT_ANY, *(unsigned *)arg);
	return make_named(in_room("n"), 0640) ? 1 : 0;
}

/* After each death: nothing under the name or all of it, and the next maker works. */
static void
test_killed_at_each_call(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++)
		for (unsigned n = 1;; n++) {
			int rc, left;

			no_unnamed = way == 1;
			rc = scene_child(create_and_die, &n);
			left = scene_entries(room);
			if (rc == 0) {
				assert_true(n > (way ? 12u : 5u));
				assert_int_equal(left, 1);
				assert_int_equal(unlink(in_room("n")), 0);
				break;
			}
			assert_int_equal(rc, -SIGKILL);
			assert_true(left <= (way ? 2 : 1));
			if (access(in_room("n"), F_OK)) {
				/* no name: without temporaries, nothing at all */
				assert_true(left <= way);
				start();
				assert_int_equal(
					make_named(in_room("n"), 0640), 0);
				fault_stop();
			} else {
				/* another maker, of another name, cleans */
				start();
				assert_int_equal(
					make_named(in_room("m"), 0640), 0);
				fault_stop();
				assert_int_equal(unlink(in_room("m")), 0);
			}
			assert_true(is_whole(in_room("n"), 0640));
			assert_int_equal(scene_entries(room), 1);
			assert_int_equal(unlink(in_room("n")), 0);
		}
}

/* ---- temporary names ---- */

static void
touch(const char *name)
{
	int fd = open(in_room(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

#define RUBBISH ".x.0123456789abcdef.stoa-new"

/* Only what has the form, is a file, and is ours goes. */
static void
test_only_rubbish_is_removed(void **state)
{
	static const char *const kept[] = {"x.0123456789abcdef.stoa-new",
		".x.0123456789abcde.stoa-new", ".x.0123456789abcdeg.stoa-new",
		".x.0123456789ABCDEF.stoa-new", ".x0123456789abcdef.stoa-new",
		".x.0123456789abcdef.stoa-ne", ".0123456789abcdef.stoa-new",
		".stoa-new", ".x.0123456789abcdef.stoa-new2"};
	struct stoai_backing alive;
	int count;

	(void)state;
	no_unnamed = true;
	start();
	for (size_t i = 0; i < STOAI_COUNT(kept); i++)
		touch(kept[i]);
	assert_int_equal(
		mkdir(in_room(".d.0123456789abcdef.stoa-new"), 0700), 0);
	assert_int_equal(
		mkfifo(in_room(".f.0123456789abcdef.stoa-new"), 0600), 0);
	assert_int_equal(
		symlink(kept[0], in_room(".l.0123456789abcdef.stoa-new")), 0);
	count = (int)STOAI_COUNT(kept) + 3;
	if (geteuid() == 0) {
		touch(".o.0123456789abcdef.stoa-new");
		assert_int_equal(chown(in_room(".o.0123456789abcdef.stoa-new"),
					 SOMEBODY, SOMEBODY),
			0);
		count++;
	}
	/* one whose maker lives */
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_NAMED, in_room("a"), &alive),
		0);
	touch(RUBBISH);
	touch("..fedcba9876543210.stoa-new"); /* of an empty name: also ours */
	assert_int_equal(scene_entries(room), count + 3);
	assert_int_equal(make_named(in_room("n"), 0600), 0);
	assert_int_equal(scene_entries(room), count + 2);
	assert_int_equal(access(in_room(RUBBISH), F_OK), -1);
	assert_int_equal(stoai_backing_publish(&alive, 0600, 0, 0), 0);
	assert_int_equal(stoai_backing_current(&alive), 0);
	stoai_backing_close(&alive);
	assert_int_equal(scene_entries(room), count + 2);
	fault_stop();
}

/* One that may not be written any more, but has two names. */
static void
test_second_name_is_removed(void **state)
{
	(void)state;
	assert_int_equal(make_named(in_room("n"), 0440), 0);
	assert_int_equal(link(in_room("n"), in_room(RUBBISH)), 0);
	no_unnamed = true;
	start();
	assert_int_equal(make_named(in_room("m"), 0600), 0);
	fault_stop();
	assert_int_equal(scene_entries(room), 2);
	assert_true(is_whole(in_room("n"), 0440));
}

static int
create_many(void *arg)
{
	(void)arg;
	start();
	for (int i = 0; i < 100; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "%d-%d", (int)getpid(), i);
		must(make_named(in_room(name), 0600) == 0);
		must(is_whole(in_room(name), 0600));
		must(unlink(in_room(name)) == 0);
	}
	return 0;
}

/* Makers that clean all the time never remove what another one is making. */
static void
test_makers_and_cleaners(void **state)
{
	int pid[RACERS];

	(void)state;
	no_unnamed = true;
	for (int i = 0; i < RACERS; i++)
		pid[i] = scene_fork(create_many, NULL);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(scene_wait(pid[i]), 0);
	assert_int_equal(scene_entries(room), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_race),
		TEST(test_each_call_fails),
		TEST(test_killed_at_each_call),
		TEST(test_only_rubbish_is_removed),
		TEST(test_second_name_is_removed),
		TEST(test_makers_and_cleaners),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name("backing_faults", tests, NULL, NULL);
}
