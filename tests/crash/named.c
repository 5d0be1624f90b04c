/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: making, finding and removing named locks, and deleting
 * those that were removed. The namespace is the segment that is explored.
 */
#include "data.h"
#include "object/named.h"

static const char *const names_there[] = {"alpha", "beta", "gamma"};

/* Three of each sort, so that some are there and some removed. */
static int
made(stoa_segment *seg, void *user)
{
	const stoa_named_options *in = STOA_NAMED_OPTIONS(.segment = seg);
	stoa_named *n = NULL;
	int rc = data_setup(seg, user);

	for (size_t i = 0; i < COUNT(names_there) && !rc; i++) {
		rc = stoa_named_open(names_there[i], (enum stoa_named_kind)i,
			STOA_CREATE, in, &n);
		n = stoa_named_close(n);
	}
	return rc;
}

static int
removed(stoa_segment *seg, void *user)
{
	const stoa_named_options *in = STOA_NAMED_OPTIONS(.segment = seg);
	stoa_named *n = NULL;
	int rc = made(seg, user);

	for (int i = 0; i < 5 && !rc; i++) {
		rc = stoa_named_open("gone", (enum stoa_named_kind)(i % 2),
			STOA_CREATE, in, &n);
		n = stoa_named_close(n);
		if (!rc)
			rc = stoa_named_unlink("gone", 0, in);
	}
	return rc;
}

/* What has the name is whole: it can be opened, as what it is, and be locked. */
static int
check(stoa_segment *seg, void *user)
{
	const stoa_named_options *in = STOA_NAMED_OPTIONS(.segment = seg);
	stoa_named *n = NULL;
	int rc = data_check(seg, user);

	if (!rc)
		rc = stoa_named_open("new", STOA_NAMED_RWLOCK, 0, in, &n);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = stoa_rwlock_lock_as(
		stoa_named_rwlock(n), STOA_EXCLUSIVE, STOA_NOW);
	if (!rc)
		stoa_rwlock_unlock(stoa_named_rwlock(n));
	n = stoa_named_close(n);
	return rc;
}

static int
open_as(stoa_segment *seg, const char *name, unsigned flags)
{
	stoa_named *n = NULL;
	int rc = stoa_named_open(name, STOA_NAMED_RWLOCK, flags,
		STOA_NAMED_OPTIONS(.segment = seg), &n);

	n = stoa_named_close(n);
	return rc;
}

static int
open_new(stoa_segment *seg, void *user)
{
	(void)user;
	return open_as(seg, "new", STOA_CREATE);
}

static int
open_new_alone(stoa_segment *seg, void *user)
{
	int rc = open_as(seg, "new", STOA_CREATE | STOA_EXCL);

	(void)user;
	return rc == -EEXIST ? 0 : rc;
}

static int
open_there(stoa_segment *seg, void *user)
{
	(void)user;
	return open_as(seg, "beta", 0);
}

/* Its count is there with it. */
static int
check_count(stoa_segment *seg, void *user)
{
	stoa_named *n = NULL;
	int rc = check(seg, user);

	if (!rc)
		rc = stoa_named_open("count", STOA_NAMED_SEMAPHORE, 0,
			STOA_NAMED_OPTIONS(.segment = seg), &n);
	if (!rc && stoa_semaphore_value(stoa_named_semaphore(n)) != 7)
		rc = -EDOM;
	n = stoa_named_close(n);
	return rc == -ENOENT ? 0 : rc;
}

static int
open_count(stoa_segment *seg, void *user)
{
	stoa_named *n = NULL;
	int rc = stoa_named_open("count", STOA_NAMED_SEMAPHORE, STOA_CREATE,
		STOA_NAMED_OPTIONS(.segment = seg, .count = 7), &n);

	(void)user;
	n = stoa_named_close(n);
	return rc;
}

static int
remove_name(stoa_segment *seg, const char *name)
{
	int rc = stoa_named_unlink(name, 0, STOA_NAMED_OPTIONS(.segment = seg));

	return rc == -ENOENT ? 0 : rc;
}

static int
remove_first(stoa_segment *seg, void *user)
{
	(void)user;
	return remove_name(seg, "alpha");
}

/* Its kind has no removed ones yet. */
static int
remove_third(stoa_segment *seg, void *user)
{
	(void)user;
	return remove_name(seg, "gamma");
}

static int
purge(stoa_segment *seg, void *user)
{
	(void)user;
	STOA_TX(tx, seg, stoa_object_lock(seg));
	(void)stoai_named_purge(tx);
	return stoa_tx_commit(tx);
}

/* Beside another who makes, and one who removes. */
static const stoa_explore_op others[] = {{"make", open_new, false},
	{"remove", remove_first, false}, {"free and link", data_side, false}};

#define NAMED(title, calls, setup_, op_, check_) \
 { \
  .explore = {.name = title, \
	  .setup = setup_, \
	  .op = op_, \
	  .check = check_, \
	  .state = data_state, \
	  .others = others, \
	  .other_count = COUNT(others), \
	  .user = &(struct test){.fill = NULL}}, \
  COVERS(calls) \
 }

static const struct crash_case cases[] = {
	NAMED("stoa_named_open, new", "stoa_named_open", made, open_new, check),
	NAMED("stoa_named_open, new, alone", "stoa_named_open", made,
		open_new_alone, check),
	NAMED("stoa_named_open, the first", "stoa_named_open", data_setup,
		open_new, check),
	NAMED("stoa_named_open, with a count", "stoa_named_open", made,
		open_count, check_count),
	NAMED("stoa_named_open, there", "stoa_named_open", made, open_there,
		check),
	NAMED("stoa_named_unlink", "stoa_named_unlink", removed, remove_first,
		check),
	NAMED("stoa_named_unlink, the first", "stoa_named_unlink", removed,
		remove_third, check),
	NAMED("deleting what was removed", "stoa_named_unlink stoa_named_open",
		removed, purge, check),
};

int
main(int argc, char **argv)
{
	return crash_main("named", cases, COUNT(cases), argc, argv);
}
