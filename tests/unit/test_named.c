/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named locks in one process: the contract of making and opening, kinds, names that
 * are none, removing, namespaces, and what is given back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include "object/named.h"
#include "segment_fixture.h"
#include "stoa/stoa.h"

enum {
	MAKE = STOA_CREATE | STOA_EXCL
};

static int
mutex_open(const char *name, unsigned flags, stoa_named **ret)
{
	return stoa_named_open(name, STOA_NAMED_MUTEX, flags, NULL, ret);
}

static void
assert_text(const char *words)
{
	if (!strstr(stoa_error_text(), words))
		fail_msg("'%s' is not in '%s'", words, stoa_error_text());
}

static char *
own_space(void)
{
	static char name[32];

	(void)snprintf(name, sizeof name, "stoa-named-%u", (unsigned)geteuid());
	return name;
}

/* Each test begins without a namespace. */
static int
space_gone(void **state)
{
	(void)state;
	(void)stoa_segment_unlink(own_space(), 0, NULL);
	return 0;
}

static void
space_sound(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;

	assert_int_equal(stoa_segment_open(own_space(), 0, NULL, &seg), 0);
	if (stoa_segment_check(seg))
		fail_msg("check: %s", stoa_error_text());
	assert_int_equal(stoa_segment_leaked(seg), 0);
}

static uint64_t
space_blocks(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	stoa_segment_stat s;

	assert_int_equal(stoa_segment_open(own_space(), 0, NULL, &seg), 0);
	stoa_segment_statistics(seg, &s);
	return s.blocks;
}

/* ---- the contract ---- */

static void
make_open_make_or_open(void **state)
{
	STOA_CLEANUP(stoa_named) a = NULL;
	STOA_CLEANUP(stoa_named) b = NULL;
	STOA_CLEANUP(stoa_named) c = NULL;

	(void)state;
	assert_int_equal(mutex_open("a", 0, &a), -ENOENT); /* no namespace */
	assert_null(a);
	assert_int_equal(mutex_open("a", STOA_CREATE, &a), 0);
	assert_string_equal(stoa_error_text(), "no error");
	assert_int_equal(mutex_open("b", 0, &b), -ENOENT);
	assert_text("there is no 'b' in 'stoa-named-");
	assert_int_equal(mutex_open("a", MAKE, &b), -EEXIST);
	assert_text("'a' is in");
	assert_null(b);
	assert_int_equal(mutex_open("a", 0, &b), 0);
	assert_int_equal(mutex_open("a", STOA_CREATE, &c), 0);
	assert_ptr_equal(stoa_named_mutex(a), stoa_named_mutex(b));
	assert_ptr_equal(stoa_named_mutex(a), stoa_named_mutex(c));
	c = stoa_named_close(c);
	assert_null(c);
	assert_int_equal(mutex_open("c", MAKE, &c), 0);
	assert_ptr_not_equal(stoa_named_mutex(a), stoa_named_mutex(c));
	space_sound();
}

static void
made_for_its_user_alone(void **state)
{
	STOA_CLEANUP(stoa_named) a = NULL;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(mutex_open("a", STOA_CREATE, &a), 0);
	umask(022);
	assert_string_equal(
		stoa_segment_name(stoa_named_segment(a)), own_space());
	assert_int_equal(fstat(stoa_segment_fd(stoa_named_segment(a)), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* an empty one takes less memory than a lock's name is worth a thought */
	assert_in_range(st.st_blocks * 512, 1, 512 << 10);
}

/* The first count is that of the one who makes it. */
static void
counted_kinds_work(void)
{
	STOA_CLEANUP(stoa_named) s = NULL;
	STOA_CLEANUP(stoa_named) again = NULL;
	STOA_CLEANUP(stoa_named) p = NULL;
	STOA_CLEANUP(stoa_named) e = NULL;
	STOA_CLEANUP(stoa_named) latch = NULL;
	STOA_CLEANUP(stoa_named) b = NULL;

	assert_int_equal(stoa_named_open("s", STOA_NAMED_SEMAPHORE, STOA_CREATE,
				 STOA_NAMED_OPTIONS(.count = 2), &s),
		0);
	assert_int_equal(stoa_named_open("s", STOA_NAMED_SEMAPHORE, STOA_CREATE,
				 STOA_NAMED_OPTIONS(.count = 9), &again),
		0);
	assert_int_equal(stoa_semaphore_value(stoa_named_semaphore(again)), 2);
	assert_int_equal(stoa_semaphore_wait(stoa_named_semaphore(s)), 0);
	assert_int_equal(stoa_semaphore_post(stoa_named_semaphore(again)), 0);
	assert_int_equal(stoa_semaphore_value(stoa_named_semaphore(s)), 2);

	assert_int_equal(stoa_named_open("p", STOA_NAMED_PERMITS, STOA_CREATE,
				 STOA_NAMED_OPTIONS(.count = 1), &p),
		0);
	assert_int_equal(stoa_permits_take(stoa_named_permits(p)), 0);
	assert_int_equal(
		stoa_permits_take_until(stoa_named_permits(p), STOA_NOW),
		-EAGAIN);
	assert_int_equal(stoa_permits_give(stoa_named_permits(p)), 0);

	assert_int_equal(stoa_named_open("latch", STOA_NAMED_LATCH, STOA_CREATE,
				 STOA_NAMED_OPTIONS(.count = 3), &latch),
		0);
	assert_int_equal(stoa_latch_count(stoa_named_latch(latch)), 3);
	assert_int_equal(
		stoa_named_open("e", STOA_NAMED_EVENT, STOA_CREATE, NULL, &e),
		0);
	assert_int_equal(stoa_event_set(stoa_named_event(e)), 0);
	assert_int_equal(
		stoa_named_open("b", STOA_NAMED_BARRIER, STOA_CREATE, NULL, &b),
		0);
	assert_non_null(stoa_named_barrier(b));
}

static void
every_kind_works(void **state)
{
	STOA_CLEANUP(stoa_named) m = NULL;
	STOA_CLEANUP(stoa_named) l = NULL;
	STOA_CLEANUP(stoa_named) c = NULL;

	(void)state;
	assert_int_equal(mutex_open("m", STOA_CREATE, &m), 0);
	assert_int_equal(
		stoa_named_open("l", STOA_NAMED_RWLOCK, STOA_CREATE, NULL, &l),
		0);
	assert_int_equal(
		stoa_named_open("c", STOA_NAMED_COND, STOA_CREATE, NULL, &c),
		0);
	/* recursive */
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(m)), 0);
	assert_int_equal(
		stoa_mutex_lock_again(stoa_named_mutex(m), STOA_NOW), 0);
	stoa_mutex_unlock(stoa_named_mutex(m));
	/* with a mutex, and with any other lock */
	assert_int_equal(stoa_cond_wait(stoa_named_cond(c), stoa_named_mutex(m),
				 stoa_in_ms(1)),
		-ETIMEDOUT);
	stoa_mutex_unlock(stoa_named_mutex(m));
	/* shared, upgradable, exclusive */
	assert_int_equal(stoa_rwlock_lock_as(stoa_named_rwlock(l),
				 STOA_UPGRADABLE, STOA_NOW),
		0);
	assert_int_equal(stoa_rwlock_upgrade(stoa_named_rwlock(l)), 0);
	assert_int_equal(stoa_cond_wait(stoa_named_cond(c),
				 stoa_named_rwlock(l), stoa_in_ms(1)),
		-ETIMEDOUT);
	stoa_rwlock_unlock(stoa_named_rwlock(l));
	assert_int_equal(stoa_rwlock_share(stoa_named_rwlock(l)), 0);
	stoa_rwlock_unlock(stoa_named_rwlock(l));
	counted_kinds_work();
	/* and in a transaction */
	assert_int_equal(STOA_DO(tx,
				 (stoa_named_segment(m), stoa_named_mutex(m),
					 stoa_named_rwlock(l)),
				 stoa_tx_signal(tx, stoa_named_cond(c))),
		0);
	space_sound();
}

static void
another_kind_says_both(void **state)
{
	STOA_CLEANUP(stoa_named) a = NULL;
	STOA_CLEANUP(stoa_named) b = NULL;
	const uint64_t *n = NULL;

	(void)state;
	assert_int_equal(mutex_open("jobs", STOA_CREATE, &a), 0);
	assert_int_equal(stoa_named_open("jobs", STOA_NAMED_RWLOCK, STOA_CREATE,
				 NULL, &b),
		-EPROTOTYPE);
	assert_text("'jobs' in 'stoa-named-");
	assert_text("of the kind mutex; you ask for the kind rwlock");
	assert_int_equal(stoa_named_open("jobs", STOA_NAMED_COND, 0, NULL, &b),
		-EPROTOTYPE);
	assert_text("of the kind mutex; you ask for the kind cond");
	assert_int_equal(
		stoa_named_open("jobs", STOA_NAMED_COND, MAKE, NULL, &b),
		-EEXIST);
	assert_null(b);
	/* a handle is not to be had as another kind either */
	assert_null(stoa_named_rwlock(a));
	assert_text("the kind mutex is asked for as rwlock");
	assert_null(stoa_named_cond(NULL));
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(NULL)), -EXDEV);
	assert_null(stoa_named_segment(NULL));
	/* no lock at all */
	assert_int_equal(
		stoa_object_open(stoa_named_segment(a), "n", uint64_t, &n), 0);
	assert_int_equal(mutex_open("n", STOA_CREATE, &b), -EPROTOTYPE);
	assert_text("'n' in");
	assert_text("uint64_t, and no named lock");
	assert_int_equal(stoa_named_unlink("n", 0, NULL), -EPROTOTYPE);
	assert_int_equal(mutex_open("n", STOA_CREATE, &b), -EPROTOTYPE);
}

/* ---- what is refused ---- */

static void
hostile_names(void **state)
{
	STOA_CLEANUP(stoa_named) n = NULL;
	static char name[65537];
	static const char *const bad[] = {
		NULL, "", "a\nb", "\001named_mutex", "\xff\xfe", "a\x7f"};

	(void)state;
	assert_int_equal(mutex_open("there", STOA_CREATE, &n), 0);
	n = stoa_named_close(n);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(mutex_open(bad[i], STOA_CREATE, &n), -EINVAL);
		assert_int_equal(mutex_open(bad[i], 0, &n), -EINVAL);
		assert_int_equal(stoa_named_unlink(bad[i], 0, NULL), -EINVAL);
	}
	memset(name, 'x', 65536);
	assert_int_equal(mutex_open(name, STOA_CREATE, &n), -ENAMETOOLONG);
	assert_int_equal(stoa_named_unlink(name, 0, NULL), -ENAMETOOLONG);
	name[65535] = '\0';
	assert_int_equal(mutex_open(name, STOA_CREATE, &n), 0);
	n = stoa_named_close(n);
	assert_int_equal(stoa_named_unlink(name, 0, NULL), 0);
	/* these are names as any other */
	assert_int_equal(mutex_open("../%s/.. /", STOA_CREATE, &n), 0);
	n = stoa_named_close(n);
	space_sound();
}

static void
hostile_requests(void **state)
{
	STOA_CLEANUP(stoa_named) n = NULL;
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const stoa_named_options no_size = {.space = "x"};

	(void)state;
#define REFUSED(rc, kind, flags, options) \
 assert_int_equal(stoa_named_open("a", (enum stoa_named_kind)(kind), (flags), \
			  (options), &n), \
	 (rc)); \
 assert_null(n)
	REFUSED(-EINVAL, STOA_NAMED_KINDS, STOA_CREATE, NULL);
	REFUSED(-EINVAL, -1, STOA_CREATE, NULL);
	REFUSED(-EINVAL, 0, STOA_EXCL, NULL);
	REFUSED(-EINVAL, 0, STOA_RDONLY, NULL);
	REFUSED(-EINVAL, 0, STOA_LOCAL | STOA_CREATE, NULL);
	REFUSED(-EINVAL, 0, STOA_FILE | STOA_CREATE, NULL);
	REFUSED(-EINVAL, 0, STOA_CREATE, &no_size);
	REFUSED(-EINVAL, 0, STOA_CREATE, STOA_NAMED_OPTIONS(.space = "a/b"));
	REFUSED(-EINVAL, 0, STOA_CREATE, STOA_NAMED_OPTIONS(.space = ""));
	REFUSED(-EINVAL, 0, STOA_CREATE, STOA_NAMED_OPTIONS(.mode = 010000));
	REFUSED(-EINVAL, 0, STOA_CREATE, STOA_NAMED_OPTIONS(.count = 1));
	assert_text("a mutex has 0 at most");
	assert_int_equal(mutex_open("a", STOA_CREATE, NULL), -EINVAL);
	assert_int_equal(stoa_named_unlink("a", STOA_CREATE, NULL), -EINVAL);
	assert_int_equal(stoa_named_each(0, NULL, NULL, NULL), -EINVAL);
	/* what it names was never made */
	assert_int_equal(mutex_open("a", 0, &n), -ENOENT);
	assert_int_equal(stoa_named_unlink("a", 0, NULL), -ENOENT);

	assert_int_equal(stoa_segment_open("s", STOA_CREATE, NULL, &seg), 0);
	REFUSED(-EINVAL, 0, STOA_CREATE,
		STOA_NAMED_OPTIONS(.segment = seg, .space = "s"));
	seg = stoa_segment_close(seg);
	assert_int_equal(stoa_segment_open("s", STOA_RDONLY, NULL, &seg), 0);
	REFUSED(-EROFS, 0, 0, STOA_NAMED_OPTIONS(.segment = seg));
	assert_null(stoa_named_close(NULL));
#undef REFUSED
}

static int
open_in_each(const char *name, enum stoa_named_kind kind, void *user)
{
	stoa_named *n = NULL;

	(void)user;
	return stoa_named_open(name, kind, 0, NULL, &n);
}

static void
not_inside_a_scope(void **state)
{
	STOA_CLEANUP(stoa_named) a = NULL;
	STOA_CLEANUP(stoa_named) b = NULL;

	(void)state;
	assert_int_equal(mutex_open("a", STOA_CREATE, &a), 0);
	{
		STOA_READ(rd, stoa_named_segment(a));
		assert_int_equal(mutex_open("a", 0, &b), -EBUSY);
		assert_text("inside a transaction or read scope");
		assert_int_equal(stoa_named_unlink("a", 0, NULL), -EBUSY);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(stoa_named_each(0, NULL, open_in_each, NULL), -EBUSY);
	/* a lock that is held is no scope */
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(a)), 0);
	assert_int_equal(mutex_open("b", STOA_CREATE, &b), 0);
	stoa_mutex_unlock(stoa_named_mutex(a));
}

static void
full(void **state)
{
	STOA_CLEANUP(stoa_named) n = NULL;
	const stoa_named_options *small =
		STOA_NAMED_OPTIONS(.space = "small", .limit = 64 << 10);
	char name[2000];
	int rc = 0, made = 0;

	(void)state;
	memset(name, 'n', sizeof name);
	for (; !rc && made < 1000; made += !rc) {
		(void)snprintf(name + sizeof name - 8, 8, "%d", made);
		rc = stoa_named_open(
			name, STOA_NAMED_MUTEX, STOA_CREATE, small, &n);
		n = stoa_named_close(n);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_in_range(made, 5, 100);
	/* the one that had no room is not there, the others are */
	assert_int_equal(
		stoa_named_open(name, STOA_NAMED_MUTEX, 0, small, &n), -ENOENT);
	(void)snprintf(name + sizeof name - 8, 8, "%d", made / 2);
	assert_int_equal(
		stoa_named_open(name, STOA_NAMED_MUTEX, 0, small, &n), 0);
	n = stoa_named_close(n);
	/* room again */
	assert_int_equal(stoa_named_unlink(name, 0, small), 0);
	(void)snprintf(name + sizeof name - 8, 8, "%d", made);
	assert_int_equal(
		stoa_named_open(name, STOA_NAMED_MUTEX, MAKE, small, &n), 0);
}

/* ---- removing ---- */

static void
removed_while_in_use(void **state)
{
	STOA_CLEANUP(stoa_named) old = NULL;
	STOA_CLEANUP(stoa_named) same = NULL;
	STOA_CLEANUP(stoa_named) new = NULL;

	(void)state;
	assert_int_equal(mutex_open("a", STOA_CREATE, &old), 0);
	assert_int_equal(mutex_open("a", 0, &same), 0);
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(old)), 0);
	assert_int_equal(stoa_named_unlink("a", 0, NULL), 0);
	assert_int_equal(stoa_named_unlink("a", 0, NULL), -ENOENT);
	assert_int_equal(mutex_open("a", 0, &new), -ENOENT);
	/* the name may be of another kind now */
	assert_int_equal(
		stoa_named_open("a", STOA_NAMED_COND, STOA_CREATE, NULL, &new),
		0);
	new = stoa_named_close(new);
	assert_int_equal(stoa_named_unlink("a", 0, NULL), 0);
	assert_int_equal(mutex_open("a", STOA_CREATE, &new), 0);
	assert_ptr_not_equal(stoa_named_mutex(new), stoa_named_mutex(old));
	/* who had it has it, and it is another one than the new */
	assert_int_equal(
		stoa_mutex_mode(stoa_named_mutex(same)), STOA_EXCLUSIVE);
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(new), STOA_NOW), 0);
	stoa_mutex_unlock(stoa_named_mutex(old));
	stoa_mutex_unlock(stoa_named_mutex(new));
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(same), STOA_NOW), 0);
	stoa_mutex_unlock(stoa_named_mutex(same));
	space_sound();
}

static void
make_and_remove(int times)
{
	stoa_named *n = NULL;

	for (int i = 0; i < times; i++) {
		assert_int_equal(
			stoa_named_open("tmp", (enum stoa_named_kind)(i % 3),
				MAKE, NULL, &n),
			0);
		n = stoa_named_close(n);
		assert_int_equal(stoa_named_unlink("tmp", 0, NULL), 0);
	}
}

static void
memory_comes_back(void **state)
{
	STOA_CLEANUP(stoa_named) stays = NULL;
	uint64_t before;

	(void)state;
	make_and_remove(3); /* the heads of the removed ones are made */
	before = space_blocks();
	make_and_remove(30);
	assert_int_equal(space_blocks(), before);
	/* while a handle is open here, what is removed stays */
	assert_int_equal(mutex_open("stays", STOA_CREATE, &stays), 0);
	make_and_remove(150);
	assert_true(space_blocks() >= before + 150);
	space_sound();
	stays = stoa_named_close(stays);
	assert_int_equal(stoa_named_unlink("stays", 0, NULL), 0);
	assert_int_equal(space_blocks(), before);
	space_sound();
}

/* ---- closing ---- */

static void
closed_while_held(void **state)
{
	STOA_CLEANUP(stoa_named) a = NULL;
	stoa_named *b = NULL;

	(void)state;
	assert_int_equal(mutex_open("a", STOA_CREATE, &a), 0);
	assert_int_equal(mutex_open("a", 0, &b), 0);
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(b)), 0);
	b = stoa_named_close(b);
	assert_int_equal(stoa_mutex_mode(stoa_named_mutex(a)), STOA_EXCLUSIVE);
	a = stoa_named_close(a); /* the last one */
	assert_int_equal(mutex_open("a", 0, &a), 0);
	assert_int_equal(stoa_mutex_lock_until(stoa_named_mutex(a), STOA_NOW),
		-EOWNERDEAD);
	stoa_mutex_mend(stoa_named_mutex(a));
	stoa_mutex_unlock(stoa_named_mutex(a));
}

/* ---- namespaces ---- */

static void
one_segment_one_namespace(void **state)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	STOA_CLEANUP(stoa_named) by_name = NULL;
	STOA_CLEANUP(stoa_named) by_segment = NULL;
	STOA_CLEANUP(stoa_named) other = NULL;
	STOA_CLEANUP(stoa_named) file = NULL;
	char *path = strdup(scene_path(directory, "locks"));

	(void)state;
	assert_int_equal(stoa_segment_open("data", STOA_CREATE, NULL, &seg), 0);
	assert_int_equal(
		stoa_named_open("a", STOA_NAMED_MUTEX, STOA_CREATE,
			STOA_NAMED_OPTIONS(.segment = seg), &by_segment),
		0);
	assert_ptr_equal(stoa_named_segment(by_segment), seg);
	assert_int_equal(stoa_named_open("a", STOA_NAMED_MUTEX, 0,
				 STOA_NAMED_OPTIONS(.space = "data"), &by_name),
		0);
	assert_ptr_equal(
		stoa_named_mutex(by_name), stoa_named_mutex(by_segment));
	assert_int_equal(
		stoa_named_open("a", STOA_NAMED_MUTEX, 0,
			STOA_NAMED_OPTIONS(.space = "data", .domain = "other"),
			&other),
		-ENOENT);
	assert_int_equal(
		stoa_named_open("a", STOA_NAMED_COND, STOA_CREATE,
			STOA_NAMED_OPTIONS(.space = "data", .domain = "other"),
			&other),
		0);
	assert_int_equal(
		stoa_named_open("a", STOA_NAMED_RWLOCK, STOA_CREATE | STOA_FILE,
			STOA_NAMED_OPTIONS(.space = path), &file),
		0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(stoa_named_unlink("a", STOA_FILE,
				 STOA_NAMED_OPTIONS(.space = path)),
		0);
	assert_int_equal(
		stoa_named_unlink("a", 0, STOA_NAMED_OPTIONS(.segment = seg)),
		0);
	free(path);
}

static int
note(const char *name, enum stoa_named_kind kind, void *user)
{
	char *all = user;
	size_t n = strlen(all);

	(void)snprintf(all + n, 200 - n, "%s=%s ", name, stoa_named_word(kind));
	return strcmp(name, "stop") ? 0 : 42;
}

static void
looking(void **state)
{
	STOA_CLEANUP(stoa_named) n = NULL;
	const uint64_t *other = NULL;
	char all[200] = "";

	(void)state;
	assert_int_equal(stoa_named_each(0, NULL, note, all), 0);
	assert_string_equal(all, "");
	for (int k = STOA_NAMED_KINDS - 1; k >= 0; k--) {
		char name[2] = {(char)('a' + k), 0};

		assert_int_equal(stoa_named_open(name, (enum stoa_named_kind)k,
					 STOA_CREATE, NULL, &n),
			0);
		assert_int_equal(stoa_object_open(stoa_named_segment(n), "0",
					 uint64_t, &other),
			0);
		n = stoa_named_close(n);
	}
	assert_int_equal(mutex_open("gone", STOA_CREATE, &n), 0);
	assert_int_equal(stoa_named_unlink("gone", 0, NULL), 0);
	assert_int_equal(stoa_named_each(0, NULL, note, all), 0);
	assert_memory_equal(all, "a=mutex b=rwlock c=cond ", 24);
	assert_null(strstr(all, "gone"));
	n = stoa_named_close(n);
	assert_int_equal(mutex_open("stop", STOA_CREATE, &n), 0);
	assert_int_equal(stoa_named_each(0, NULL, note, all), 42);
	assert_string_equal(stoa_named_word(STOA_NAMED_KINDS), "(unknown)");
}

/* ---- what should not be there ---- */

struct cell {
	stoa_ref box;
};

static struct cell *
cell_of(const stoa_named *n, const char *name)
{
	STOA_READ(rd, stoa_named_segment(n));
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);)
		if (!strcmp(it.name, name))
			return (struct cell *)(uintptr_t)it.data;
	fail();
	return NULL;
}

static void
damaged(void **state)
{
	STOA_CLEANUP(stoa_named) n = NULL;
	STOA_CLEANUP(stoa_named) again = NULL;
	static const uint64_t wrong[] = {0, 1, UINT64_MAX, UINT64_MAX - 7};
	struct cell *cell;

	(void)state;
	assert_int_equal(mutex_open("a", STOA_CREATE, &n), 0);
	cell = cell_of(n, "a");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const uint64_t right = cell->box.off;

		cell->box.off = wrong[i];
		assert_int_equal(mutex_open("a", 0, &again), -EBADMSG);
		assert_int_equal(
			mutex_open("a", STOA_CREATE, &again), -EBADMSG);
		assert_int_equal(stoa_named_unlink("a", 0, NULL), -EBADMSG);
		cell->box.off = right;
	}
	assert_int_equal(mutex_open("a", 0, &again), 0);
	again = stoa_named_close(again);
	/* a damaged list of removed ones spoils no opening */
	assert_int_equal(mutex_open("b", STOA_CREATE, &again), 0);
	assert_int_equal(stoa_named_unlink("b", 0, NULL), 0);
	cell = cell_of(n, "removed_mutex");
	assert_true(cell->box.off != 0);
	cell->box.off = UINT64_MAX - 7;
	again = stoa_named_close(again);
	n = stoa_named_close(n);
	assert_int_equal(mutex_open("a", 0, &n), 0);
}

/* ---- threads ---- */

enum {
	THREADS = 6,
	ROUNDS = 40
};
static pthread_barrier_t gate;
static unsigned made[ROUNDS];

static void *
make_all(void *unused)
{
	char name[16];

	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		stoa_named *n = NULL;
		int rc;

		(void)snprintf(name, sizeof name, "%d", i);
		pthread_barrier_wait(&gate);
		rc = mutex_open(name, MAKE, &n);
		if (!rc)
			__atomic_add_fetch(&made[i], 1, __ATOMIC_SEQ_CST);
		else if (rc != -EEXIST)
			__atomic_add_fetch(&made[i], 100, __ATOMIC_SEQ_CST);
		n = stoa_named_close(n);
		if (i % 2) /* whoever comes later finds nothing */
			(void)stoa_named_unlink(name, 0, NULL);
		else if (mutex_open(name, STOA_CREATE, &n))
			__atomic_add_fetch(&made[i], 100, __ATOMIC_SEQ_CST);
		n = stoa_named_close(n);
	}
	return NULL;
}

static void
one_of_many_makes_it(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	memset(made, 0, sizeof made);
	pthread_barrier_init(&gate, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, make_all, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < ROUNDS; i += 2)
		assert_int_equal(made[i], 1);
	for (int i = 1; i < ROUNDS; i += 2)
		assert_in_range(made[i], 1, THREADS);
	pthread_barrier_destroy(&gate);
	space_sound();
}

#define TEST(f) cmocka_unit_test_setup(f, space_gone)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(make_open_make_or_open),
		TEST(made_for_its_user_alone),
		TEST(every_kind_works),
		TEST(another_kind_says_both),
		TEST(hostile_names),
		TEST(hostile_requests),
		TEST(not_inside_a_scope),
		TEST(full),
		TEST(removed_while_in_use),
		TEST(memory_comes_back),
		TEST(closed_while_held),
		TEST(one_segment_one_namespace),
		TEST(looking),
		TEST(damaged),
		TEST(one_of_many_makes_it),
	};

	return cmocka_run_group_tests(
		tests, directory_setup, directory_teardown);
}
