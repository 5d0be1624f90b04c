/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named locks between processes: they exclude each other, wait for each other, make
 * and remove names at the same time and are killed doing it, fork, execute programs,
 * and are other users.
 */
#include <grp.h>
#include <sys/mman.h>
#include "os/os.h"
#include "proc.h"

enum {
	CROWD = 3,
	NAMES = 40,
	ANN = 61001 /* a user that nobody is */
};

static struct board { /* memory of all */
	uint32_t made[NAMES];
	uint32_t inside, storms;
	uint64_t blocks;
} * board;

static char *
own_space(void)
{
	static char name[32];

	snprintf(name, sizeof name, "stoa-named-%u", (unsigned)geteuid());
	return name;
}

/* The namespace with this way of being alive: all who open it later share that. */
static stoa_segment *
space_begin(void)
{
	stoa_segment *seg = NULL;

	(void)stoa_segment_unlink(own_space(), 0, NULL);
	assert_int_equal(
		stoa_segment_open(own_space(), STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 64 << 10, .threads = 255,
				.without = way->without),
			&seg),
		0);
	return seg;
}

static stoa_named *
open_as(const char *name, enum stoa_named_kind kind)
{
	stoa_named *n = NULL;
	int rc = stoa_named_open(name, kind, STOA_CREATE, NULL, &n);

	if (rc)
		fprintf(stderr, "%s: %d (%s)\n", name, rc, stoa_error_text());
	return n;
}

/* ---- excluding and waiting ---- */

static int
hold_until_killed(struct peer *me, void *user)
{
	stoa_named *n = open_as("m", STOA_NAMED_MUTEX);

	(void)user;
	MUST(n && !stoa_mutex_lock(stoa_named_mutex(n)));
	tell(me, 'l');
	hear(me);
	return 0;
}

static void
excludes_and_outlives_its_holder(void **state)
{
	stoa_segment *seg = space_begin();
	struct peer child = peer_start(hold_until_killed, NULL);
	stoa_named *n;

	(void)state;
	assert_int_equal(hear(&child), 'l');
	n = open_as("m", STOA_NAMED_MUTEX);
	assert_non_null(n);
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(n), stoa_in_ms(20)),
		-ETIMEDOUT);
	peer_kill(&child);
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(n), stoa_in_ms(5000)),
		-EOWNERDEAD);
	stoa_mutex_mend(stoa_named_mutex(n));
	stoa_mutex_unlock(stoa_named_mutex(n));
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(n)), 0);
	stoa_mutex_unlock(stoa_named_mutex(n));
	n = stoa_named_close(n);
	segment_judge(seg);
	stoa_segment_close(seg);
}

enum {
	TURNS = 200
};

/* The turn goes back and forth, by a mutex and a condition that are named. */
static int
take_turns(uint32_t mine)
{
	stoa_named *m = open_as("turn", STOA_NAMED_MUTEX);
	stoa_named *c = open_as("changed", STOA_NAMED_COND);
	int rc = m && c ? 0 : -ENOENT;

	for (int i = 0; i < TURNS && !rc; i++) {
		const uint64_t until = stoa_in_ms(HEAR_MS);

		rc = stoa_mutex_lock(stoa_named_mutex(m));
		while (!rc && board->inside != mine)
			rc = stoa_cond_wait(
				stoa_named_cond(c), stoa_named_mutex(m), until);
		board->inside = !mine;
		stoa_mutex_unlock(stoa_named_mutex(m));
		stoa_cond_signal(stoa_named_cond(c));
	}
	stoa_named_close(m);
	stoa_named_close(c);
	return rc;
}

static int
child_turns(struct peer *me, void *user)
{
	(void)me;
	(void)user;
	MUST(!take_turns(1));
	return 0;
}

static void
condition_wakes(void **state)
{
	stoa_segment *seg = space_begin();
	struct peer child;

	(void)state;
	board->inside = 0;
	child = peer_start(child_turns, NULL);
	assert_int_equal(take_turns(0), 0);
	peer_join(&child);
	segment_judge(seg);
	stoa_segment_close(seg);
}

/* ---- making and removing at the same time ---- */

/* Nobody has made the namespace yet either. */
static int
make_all(struct peer *me, void *user)
{
	char name[16];

	(void)user;
	tell(me, 'r');
	hear(me);
	for (int i = 0; i < NAMES; i++) {
		stoa_named *n = NULL;
		int rc;

		snprintf(name, sizeof name, "name %d", i);
		rc = stoa_named_open(name,
			(enum stoa_named_kind)(i % STOA_NAMED_KINDS),
			STOA_CREATE | STOA_EXCL, NULL, &n);
		MUST(!rc || rc == -EEXIST);
		if (!rc)
			__atomic_add_fetch(
				&board->made[i], 1, __ATOMIC_SEQ_CST);
		stoa_named_close(n);
	}
	return 0;
}

static void
one_of_many_makes_it(void **state)
{
	struct peer child[CROWD];

	(void)state;
	for (int round = 0; round < 5; round++) {
		(void)stoa_segment_unlink(own_space(), 0, NULL);
		memset(board, 0, sizeof *board);
		for (int i = 0; i < CROWD; i++)
			child[i] = peer_start(make_all, NULL);
		for (int i = 0; i < CROWD; i++)
			assert_int_equal(hear(&child[i]), 'r');
		for (int i = 0; i < CROWD; i++)
			tell(&child[i], 'g');
		for (int i = 0; i < CROWD; i++)
			peer_join(&child[i]);
		for (int i = 0; i < NAMES; i++)
			assert_int_equal(board->made[i], 1);
	}
}

enum {
	TOKENS = 50
};

/* Made with a first count by whoever comes first, and by nobody else. */
static int
take_tokens(struct peer *me, void *user)
{
	stoa_named *n = NULL;

	(void)user;
	tell(me, 'r');
	hear(me);
	MUST(!stoa_named_open("tokens", STOA_NAMED_SEMAPHORE, STOA_CREATE,
		STOA_NAMED_OPTIONS(.count = TOKENS), &n));
	while (!stoa_semaphore_wait_until(stoa_named_semaphore(n), STOA_NOW))
		__atomic_add_fetch(&board->made[0], 1, __ATOMIC_SEQ_CST);
	stoa_named_close(n);
	return 0;
}

static void
counts_once(void **state)
{
	struct peer child[CROWD];

	(void)state;
	for (int round = 0; round < 10; round++) {
		(void)stoa_segment_unlink(own_space(), 0, NULL);
		board->made[0] = 0;
		for (int i = 0; i < CROWD; i++)
			child[i] = peer_start(take_tokens, NULL);
		for (int i = 0; i < CROWD; i++)
			assert_int_equal(hear(&child[i]), 'r');
		for (int i = 0; i < CROWD; i++)
			tell(&child[i], 'g');
		for (int i = 0; i < CROWD; i++)
			peer_join(&child[i]);
		assert_int_equal(board->made[0], TOKENS);
	}
}

/* Makes, holds and removes until it is killed; also the namespace is not there yet. */
static int
storm(struct peer *me, void *user)
{
	unsigned seed = (unsigned)getpid();

	(void)user;
	while (getppid() == me->pid) {
		int which = rand_r(&seed) % 8, rc;
		enum stoa_named_kind kind = (enum stoa_named_kind)(which % 2);
		stoa_named *n = NULL;
		char name[16];

		snprintf(name, sizeof name, "storm %d", which);
		rc = stoa_named_open(name, kind, STOA_CREATE, NULL, &n);
		MUST(!rc);
		if (kind == STOA_NAMED_MUTEX) {
			rc = stoa_mutex_lock(stoa_named_mutex(n));
			MUST(!rc || rc == -EOWNERDEAD);
			stoa_mutex_mend(stoa_named_mutex(n));
			stoa_mutex_unlock(stoa_named_mutex(n));
		} else {
			rc = stoa_rwlock_lock(stoa_named_rwlock(n));
			MUST(!rc || rc == -EOWNERDEAD);
			stoa_rwlock_mend(stoa_named_rwlock(n));
			stoa_rwlock_unlock(stoa_named_rwlock(n));
		}
		if (rand_r(&seed) % 2) {
			rc = stoa_named_unlink(name, 0, NULL);
			MUST(!rc || rc == -ENOENT);
		}
		stoa_named_close(n);
		__atomic_add_fetch(&board->storms, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static int
count_names(const char *name, enum stoa_named_kind kind, void *user)
{
	(void)kind;
	*(int *)user += !strncmp(name, "storm ", 6);
	return 0;
}

static void
killed_while_they_make_and_remove(void **state)
{
	struct peer child[CROWD];
	stoa_segment *seg = NULL;
	unsigned seed = 3;
	int names = 0;

	(void)state;
	(void)stoa_segment_unlink(own_space(), 0, NULL);
	board->storms = 0;
	for (int i = 0; i < CROWD; i++)
		child[i] = peer_start(storm, NULL);
	for (int i = 0; i < 120; i++) {
		int who = rand_r(&seed) % CROWD;

		usleep((useconds_t)(rand_r(&seed) % 8000));
		if (i % 40 == 20) /* the first opening is killed as well */
			(void)stoa_segment_unlink(own_space(), 0, NULL);
		peer_kill(&child[who]);
		child[who] = peer_start(storm, NULL);
	}
	for (int i = 0; i < CROWD; i++)
		peer_kill(&child[i]);
	assert_true(board->storms > 100);
	print_message("%u rounds\n", board->storms);
	assert_int_equal(
		stoa_segment_open(own_space(), STOA_CREATE, NULL, &seg), 0);
	segment_judge(seg);
	assert_int_equal(stoa_named_each(0, NULL, count_names, &names), 0);
	assert_in_range(names, 0, 8);
	for (int i = 0; i < 8; i++) {
		char name[16];
		stoa_named *n;

		snprintf(name, sizeof name, "storm %d", i);
		n = open_as(name, (enum stoa_named_kind)(i % 2));
		assert_non_null(n);
		n = stoa_named_close(n);
		assert_int_equal(stoa_named_unlink(name, 0, NULL), 0);
	}
	segment_judge(seg);
	stoa_segment_close(seg);
}

/* ---- removed while another process has it ---- */

static int
keeps_it(struct peer *me, void *user)
{
	stoa_named *n = open_as("kept", STOA_NAMED_MUTEX);

	(void)user;
	MUST(n);
	tell(me, 'o');
	hear(me);
	for (int i = 0; i < 100; i++) {
		MUST(!stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW));
		stoa_mutex_unlock(stoa_named_mutex(n));
	}
	MUST(!stoa_mutex_lock(stoa_named_mutex(n)));
	tell(me, 'l');
	hear(me); /* killed with it */
	return 0;
}

static uint64_t
blocks(void)
{
	stoa_segment_stat s;
	stoa_segment *seg = NULL;

	assert_int_equal(stoa_segment_open(own_space(), 0, NULL, &seg), 0);
	stoa_segment_statistics(seg, &s);
	stoa_segment_close(seg);
	return s.blocks;
}

static void
make_and_remove(int times)
{
	for (int i = 0; i < times; i++) {
		stoa_named *n = open_as("other", STOA_NAMED_MUTEX);

		assert_non_null(n);
		/* not the memory of what somebody has */
		assert_int_equal(
			stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW),
			0);
		stoa_mutex_unlock(stoa_named_mutex(n));
		n = stoa_named_close(n);
		assert_int_equal(stoa_named_unlink("other", 0, NULL), 0);
	}
}

/*
 * Memory comes back to a process that has not forked, which this one has: to a child,
 * which tells how many blocks are left.
 */
static int
give_back(struct peer *me, void *user)
{
	(void)me;
	make_and_remove(2);
	*(uint64_t *)user = blocks();
	return 0;
}

static uint64_t
blocks_at_rest(void)
{
	struct peer child = peer_start(give_back, &board->blocks);

	peer_join(&child);
	return board->blocks;
}

static void
removed_while_another_has_it(void **state)
{
	stoa_segment *seg = space_begin();
	struct peer child;
	uint64_t before;

	(void)state;
	stoa_segment_close(seg);
	before = blocks_at_rest();
	child = peer_start(keeps_it, NULL);
	assert_int_equal(hear(&child), 'o');
	assert_int_equal(stoa_named_unlink("kept", 0, NULL), 0);
	make_and_remove(50);
	assert_true(blocks() >= before + 50); /* nothing was given back */
	tell(&child, 'g');
	assert_int_equal(hear(&child), 'l');
	make_and_remove(50);
	peer_kill(&child);
	/* now nobody has anything: the next one that comes gives all back */
	(void)blocks_at_rest();
	seg = NULL;
	assert_int_equal(stoa_segment_open(own_space(), 0, NULL, &seg), 0);
	segment_judge(seg);
	stoa_segment_close(seg);
	assert_int_equal(blocks_at_rest(), before);
}

/* ---- fork and exec ---- */

static int
with_parents_handle(struct peer *me, void *user)
{
	stoa_named *n = user;

	MUST(stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW) == -EAGAIN);
	MUST(stoa_mutex_mode(stoa_named_mutex(n)) == STOA_UNLOCKED);
	stoa_mutex_unlock(stoa_named_mutex(n)); /* it is not the child's */
	MUST(stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW) == -EAGAIN);
	tell(me, 'w');
	MUST(!stoa_mutex_lock_until(stoa_named_mutex(n), stoa_in_ms(HEAR_MS)));
	stoa_mutex_unlock(stoa_named_mutex(n));
	MUST(!stoa_named_close(n));
	/* what it opens by itself is the same */
	n = open_as("m", STOA_NAMED_MUTEX);
	MUST(n && !stoa_mutex_lock(stoa_named_mutex(n)));
	stoa_mutex_unlock(stoa_named_mutex(n));
	stoa_named_close(n);
	return 0;
}

static void
fork_child_goes_on(void **state)
{
	stoa_segment *seg = space_begin();
	stoa_named *n = open_as("m", STOA_NAMED_MUTEX);
	struct peer child;

	(void)state;
	assert_int_equal(stoa_mutex_lock(stoa_named_mutex(n)), 0);
	child = peer_start(with_parents_handle, n);
	assert_int_equal(hear(&child), 'w');
	stoa_mutex_unlock(stoa_named_mutex(n));
	peer_join(&child);
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW), 0);
	stoa_mutex_unlock(stoa_named_mutex(n));
	n = stoa_named_close(n);
	segment_judge(seg);
	stoa_segment_close(seg);
}

/*
 * A child that has not come out of fork() yet has its parent's handles, and no lock of
 * its own by which others could see it.
 */
static pid_t parent;
static int to_parent[2], to_child[2];

static int
newborn_waits(enum stoai_os_call call)
{
	char letter = 'b';

	if (getpid() == parent || call != STOAI_OS_LOCK)
		return 0;
	stoai_os_fault = NULL;
	if (write(to_parent[1], &letter, 1) != 1 ||
		read(to_child[0], &letter, 1) != 1)
		_exit(1);
	return 0;
}

static int
newborn(stoa_named *n)
{
	for (int i = 0; i < 100; i++) {
		MUST(!stoa_mutex_lock_until(stoa_named_mutex(n), STOA_NOW));
		stoa_mutex_unlock(stoa_named_mutex(n));
	}
	return 0;
}

/* The one below, in a process that has never forked before. */
static int
overlook(struct peer *me, void *user)
{
	stoa_named *n = open_as("kept", STOA_NAMED_MUTEX);
	uint64_t before;
	int status = -1;
	char letter;
	pid_t child;

	(void)me;
	(void)user;
	MUST(n && !pipe(to_parent) && !pipe(to_child));
	parent = getpid();
	stoai_os_fault = newborn_waits;
	child = fork();
	if (!child)
		_exit(newborn(n));
	stoai_os_fault = NULL;
	MUST(read(to_parent[0], &letter, 1) == 1);
	MUST(!stoa_named_unlink("kept", 0, NULL));
	before = blocks();
	n = stoa_named_close(n);
	make_and_remove(5);
	MUST(blocks() >= before + 5);
	MUST(write(to_child[1], &letter, 1) == 1);
	MUST(waitpid(child, &status, 0) == child && !status);
	return 0;
}

static void
nobody_overlooks_a_newborn_child(void **state)
{
	struct peer child;
	stoa_segment *seg = space_begin();

	(void)state;
	stoa_segment_close(seg);
	make_and_remove(1);
	child = peer_start(overlook, NULL);
	peer_join(&child);
}

static int
hold_and_exec(struct peer *me, void *user)
{
	stoa_named *n = open_as("m", STOA_NAMED_MUTEX);

	(void)user;
	MUST(n && !stoa_mutex_lock(stoa_named_mutex(n)));
	tell(me, 'l');
	execlp("sleep", "sleep", "30", (char *)NULL);
	return 1;
}

static void
exec_lets_go(void **state)
{
	stoa_segment *seg = space_begin();
	stoa_named *n = open_as("m", STOA_NAMED_MUTEX);
	struct peer child = peer_start(hold_and_exec, NULL);
	uint64_t before;

	(void)state;
	assert_int_equal(hear(&child), 'l');
	assert_int_equal(
		stoa_mutex_lock_until(stoa_named_mutex(n), stoa_in_ms(5000)),
		-EOWNERDEAD);
	stoa_mutex_mend(stoa_named_mutex(n));
	stoa_mutex_unlock(stoa_named_mutex(n));
	assert_int_equal(kill(child.pid, 0), 0); /* it runs, as sleep */
	/* and it has the namespace open no more */
	n = stoa_named_close(n);
	stoa_segment_close(seg);
	before = blocks_at_rest();
	make_and_remove(20); /* kept: this process has forked */
	assert_int_equal(blocks_at_rest(), before);
	peer_kill(&child);
}

/* ---- other users ---- */

struct visit {
	const stoa_named_options *options;
	unsigned flags;
	int want;
};

static int
visitor(struct peer *me, void *user)
{
	const struct visit *v = user;
	stoa_named *n = NULL;
	int rc;

	(void)me;
	MUST(!setgroups(0, NULL) && !setresgid(ANN, ANN, ANN) &&
		!setresuid(ANN, ANN, ANN));
	rc = stoa_named_open("m", STOA_NAMED_MUTEX, v->flags, v->options, &n);
	if (rc != v->want)
		fprintf(stderr, "%d, not %d (%s)\n", rc, v->want,
			stoa_error_text());
	MUST(rc == v->want);
	if (!rc) {
		MUST(!stoa_mutex_lock(stoa_named_mutex(n)));
		stoa_mutex_unlock(stoa_named_mutex(n));
	}
	stoa_named_close(n);
	return 0;
}

static void
visit(const stoa_named_options *options, unsigned flags, int want)
{
	struct visit v = {options, flags, want};
	struct peer p = peer_start(visitor, &v);

	peer_join(&p);
}

static void
permissions(void **state)
{
	char mine[128], all[128], given[128], path[128];
	stoa_named *a = NULL, *b = NULL, *c = NULL;
	struct stat st;

	(void)state;
	if (geteuid()) {
		puts("proc/named: permissions: SKIPPED: not root, so there are "
		     "no other users to be");
		return;
	}
	assert_int_equal(chmod(test_folder, 01777), 0);
	snprintf(mine, sizeof mine, "%s/mine", test_folder);
	snprintf(all, sizeof all, "%s/all", test_folder);
	snprintf(given, sizeof given, "%s/given", test_folder);
	assert_int_equal(
		stoa_named_open("m", STOA_NAMED_MUTEX, STOA_CREATE | STOA_FILE,
			STOA_NAMED_OPTIONS(.space = mine), &a),
		0);
	assert_int_equal(
		stoa_named_open("m", STOA_NAMED_MUTEX, STOA_CREATE | STOA_FILE,
			STOA_NAMED_OPTIONS(.space = all, .mode = 0666), &b),
		0);
	assert_int_equal(
		stoa_named_open("m", STOA_NAMED_MUTEX, STOA_CREATE | STOA_FILE,
			STOA_NAMED_OPTIONS(.space = given,
				.owner = STOA_ID(ANN), .group = STOA_ID(ANN),
				.mode = 0640),
			&c),
		0);
	assert_int_equal(stat(given, &st), 0);
	assert_int_equal(st.st_uid, ANN);
	assert_int_equal(st.st_gid, ANN);
	assert_int_equal(st.st_mode & 07777, 0640);
	visit(STOA_NAMED_OPTIONS(.space = mine), STOA_FILE, -EACCES);
	visit(STOA_NAMED_OPTIONS(.space = mine), STOA_FILE | STOA_CREATE,
		-EACCES);
	visit(STOA_NAMED_OPTIONS(.space = all), STOA_FILE, 0);
	visit(STOA_NAMED_OPTIONS(.space = given), STOA_FILE, 0);
	/* each user has an own one, also in a directory of all */
	snprintf(path, sizeof path, "%s/every", test_folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, ANN, ANN), 0);
	setenv("STOA_DIRECTORY", path, 1);
	visit(NULL, STOA_CREATE, 0);
	setenv("STOA_DIRECTORY", test_folder, 1);
	snprintf(path, sizeof path, "%s/every/default/stoa-named-%d",
		test_folder, ANN);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	a = stoa_named_close(a);
	b = stoa_named_close(b);
	c = stoa_named_close(c);
	unlink(mine);
	unlink(all);
	unlink(given);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excludes_and_outlives_its_holder),
		cmocka_unit_test(condition_wakes),
		cmocka_unit_test(one_of_many_makes_it),
		cmocka_unit_test(counts_once),
		cmocka_unit_test(killed_while_they_make_and_remove),
		cmocka_unit_test(removed_while_another_has_it),
		cmocka_unit_test(fork_child_goes_on),
		cmocka_unit_test(nobody_overlooks_a_newborn_child),
		cmocka_unit_test(exec_lets_go),
		cmocka_unit_test(permissions),
	};

	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	return RUN_IN_ALL_WAYS("named", tests);
}
