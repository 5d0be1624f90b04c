/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Whole programs of users, to be run while something is refused: each opens a
 * segment, works, and tells its first error. How often a commit has said 0 is
 * counted, so that afterwards `world_is_whole` can ask for exactly that: an error
 * is nothing done, a 0 is all of it.
 *
 * One at a time in a process, with $STOA_DIRECTORY set.
 */
#ifndef TESTS_FAULTS_WORLD_H
#define TESTS_FAULTS_WORLD_H
#include "scene.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

#define STOA_NAME texts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

typedef STOA_REF(uint8_t) raw;

typedef struct ledger {
	stoa_rwlock lock;
	stoa_mutex mutex;
	stoa_cond changed;
	uint64_t count, turns;
	stoa_str text;
	numbers list;
	texts map;
	raw block;
} ledger;
STOA_TYPE(ledger, lock, mutex, changed, count, turns, text, (list, numbers),
	(map, texts), (block, uint8_t, own));

enum {
	WORLD_THREAD_ADDS = 20,
	WORLD_BIG = 60000 /* words: the heap grows for them */
};

/* How a program opens its segment. */
struct world_way {
	const char *name;
	unsigned flags;
};

static uint64_t world_committed; /* commits that said 0 */
static struct world_way world_way;

static inline int
world_open(stoa_segment **seg, const ledger **l)
{
	int rc = stoa_segment_open(world_way.name,
		STOA_CREATE | world_way.flags,
		STOA_SEGMENT_OPTIONS(.size = 64 << 10, .limit = 32 << 20), seg);

	return rc ? rc : stoa_object_open(*seg, "ledger", ledger, l);
}

/* One more, with memory allocated and memory freed. */
static inline int
world_add(stoa_segment *seg, const ledger *l)
{
	char key[64];
	int rc;

	STOA_TX(tx, seg, &l->lock);
	STOA_ADD(tx, l->count, 1);
	snprintf(key, sizeof key, "a key of a certain length, number %" PRIu64,
		l->count % 7);
	stoa_str_printf(
		tx, &l->text, "this is the text of %" PRIu64 " adds", l->count);
	numbers_push(tx, &l->list, l->count);
	if (l->count % 5 == 0)
		texts_remove(tx, &l->map, key);
	else
		*texts_ensure(tx, &l->map, key) = l->count;
	rc = stoa_tx_commit(tx);
	if (!rc)
		__atomic_add_fetch(&world_committed, 1, __ATOMIC_RELAXED);
	return rc;
}

/* No error without a text, in the thread that met it. */
static inline void
world_told(int rc)
{
	if (rc && !strcmp(stoa_error_text(), "no error")) {
		(void)fprintf(
			stderr, "%s, without a text\n", stoa_strerror(rc));
		scene_must_failed(
			"an error without a text", __FILE__, __LINE__);
	}
}

/* ---- the programs; each returns its first error ---- */

static int
program_add(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	int rc = world_open(&seg, &l), first = rc;

	for (int i = 0; i < 6 && l; i++) {
		rc = world_add(seg, l);
		first = first ? first : rc;
	}
	return first;
}

static int
program_grow(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	int rc = world_open(&seg, &l);
	int64_t trimmed;

	if (rc)
		return rc;
	for (int i = 0; i < 2; i++) {
		STOA_TX(tx, seg, &l->lock);
		numbers_resize(tx, &l->list, WORLD_BIG);
		if (i == 0)
			continue; /* undone */
		rc = stoa_tx_commit(tx);
	}
	if (!rc)
		rc = world_add(seg, l);
	STOA_TX(tx, seg, &l->lock);
	numbers_clear(tx, &l->list);
	if (stoa_tx_commit(tx))
		return rc ? rc : stoa_tx_error(tx);
	trimmed = stoa_segment_trim(seg);
	return rc ? rc : trimmed < 0 ? (int)trimmed : 0;
}

/* Raw blocks: longer in place as the heap grows, many at once, one elsewhere. */
static int
program_memory(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	int rc = world_open(&seg, &l), first = rc;

	for (uint64_t i = 1; i < 4 && l; i++) {
		void *many[10];
		stoa_wish w = {.size = 200000, .least = 1000};

		STOA_TX(tx, seg, &l->lock);
		STOA_ADD(tx, l->count, 1);
		STOA_LINK(tx, l->block,
			stoa_resize(tx, stoa_get(tx, l->block), i * 300000, 0));
		(void)stoa_alloc_many(tx, 10, 100, 0, many);
		stoa_free_many(tx, 10, (const void *const *)many);
		if (!stoa_obtain(tx, &w))
			stoa_free(tx, w.p);
		STOA_LINK(tx, l->block,
			stoa_resize(tx, stoa_get(tx, l->block), i * 100000, 0));
		rc = stoa_tx_commit(tx);
		world_committed += rc == 0;
		first = first ? first : rc;
	}
	return first;
}

struct world_thread {
	stoa_segment *seg;
	const ledger *l;
	uint64_t mine; /* 0 or 1: whose turn it is */
	int rc;
};

/* Take turns, each waiting for the other; an error ends one, a deadline the other. */
static void *
world_turns(void *user)
{
	struct world_thread *t = user;
	int rc = 0;

	for (int i = 0; i < WORLD_THREAD_ADDS && !rc; i++) {
		STOA_TX(tx, t->seg, &t->l->mutex);
		while (!stoa_tx_error(tx) && t->l->turns % 2 != t->mine) {
			rc = stoa_tx_wait(tx, &t->l->changed, stoa_in_ms(10));
			if (rc)
				(void)stoa_tx_fail(tx, rc);
		}
		STOA_ADD(tx, t->l->turns, 1);
		stoa_tx_broadcast(tx, &t->l->changed);
		rc = stoa_tx_commit(tx);
		if (!rc && i % 4 == 0)
			rc = world_add(t->seg, t->l);
	}
	world_told(rc);
	t->rc = rc == -ETIMEDOUT ? 0 : rc; /* the other one has ended */
	return NULL;
}

static int
program_threads(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	struct world_thread t[2];
	pthread_t other;
	int rc = world_open(&seg, &l);

	if (rc)
		return rc;
	for (unsigned i = 0; i < 2; i++)
		t[i] = (struct world_thread){seg, l, i, 0};
	if (pthread_create(&other, NULL, world_turns, &t[1]))
		return -EAGAIN;
	world_turns(&t[0]);
	pthread_join(other, NULL);
	return t[0].rc ? t[0].rc : t[1].rc;
}

static int
program_fork(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	int status = -1, rc = world_open(&seg, &l);
	pid_t child;

	if (rc)
		return rc;
	rc = world_add(seg, l);
	child = fork();
	if (!child)
		_exit(world_add(seg, l) ? 1 : 0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -ECHILD;
	must(WIFEXITED(status));
	world_committed += WEXITSTATUS(status) == 0;
	return rc ? rc : world_add(seg, l);
}

/* Dies in the middle of it, with a lock, a log, blocks and a slot. */
static int
program_die(void)
{
	stoa_segment *seg = NULL;
	const ledger *l = NULL;

	must(!world_open(&seg, &l));
	STOA_TX(tx, seg, &l->lock);
	STOA_ADD(tx, l->count, 100);
	numbers_resize(tx, &l->list, 3000);
	stoa_str_printf(tx, &l->text, "%0200d", 7);
	must(!stoa_tx_error(tx));
	kill(getpid(), SIGKILL);
	return 0;
}

static int
program_recover(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	int rc = world_open(&seg, &l), n;

	if (rc)
		return rc;
	n = stoa_segment_recover(seg);
	rc = world_add(seg, l);
	return n < 0 ? n : rc;
}

static int
program_look(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	stoa_segment_stat stat;
	int64_t leaked;
	char *text = NULL;
	size_t size = 0;
	FILE *stream;
	int rc = world_open(&seg, &l);

	if (rc)
		return rc;
	rc = world_add(seg, l);
	if (!rc)
		rc = stoa_segment_check(seg);
	leaked = rc ? 0 : stoa_segment_leaked(seg);
	if (leaked)
		rc = leaked < 0 ? (int)leaked : -EBADMSG;
	stoa_segment_statistics(seg, &stat);
	if (rc)
		return rc;
	stream = open_memstream(&text, &size);
	must(stream);
	STOA_READ(rd, seg, &l->lock);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);) {
		const int dumped = stoa_type_dump(rd, it.type, it.data, stream);

		rc = rc ? rc : dumped;
	}
	(void)fclose(stream);
	free(text);
	return rc ? rc : stoa_tx_error(rd);
}

/* Without a name; a second handle through its descriptor. */
static int
program_unnamed(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	STOA_CLEANUP(stoa_segment) again = NULL;
	const ledger *l = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE, NULL, &seg);

	if (rc)
		return rc;
	rc = stoa_object_open(seg, "ledger", ledger, &l);
	if (rc)
		return rc;
	rc = stoa_segment_open(NULL, 0,
		STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)), &again);
	if (!rc)
		rc = world_add(again, l);
	world_committed -= rc == 0; /* it goes with its segment */
	return rc;
}

/* A saved copy and a private one; then resized, with nobody in it. */
static int
program_copies(void)
{
	const unsigned file = world_way.flags & STOA_FILE;
	stoa_segment *seg = NULL, *mine = NULL;
	const ledger *l = NULL;
	int rc = world_open(&seg, &l);

	if (!rc)
		rc = world_add(seg, l);
	(void)stoa_segment_unlink("copy", 0, NULL);
	if (!rc)
		rc = stoa_segment_save(seg, "copy", 0, NULL);
	if (!rc)
		rc = stoa_segment_open("copy", STOA_PRIVATE, NULL, &mine);
	stoa_segment_close(mine);
	stoa_segment_close(seg);
	if (!rc && world_way.name) {
		int64_t now =
			stoa_segment_resize(world_way.name, file, NULL, 0);

		rc = now < 0 ? (int)now : 0;
	}
	world_told(rc);
	return rc;
}

static int
program_unlink(void)
{
	int rc = program_add();
	const int gone =
		stoa_segment_unlink(world_way.name, world_way.flags, NULL);

	if (!gone)
		world_committed = 0;
	return rc ? rc : gone;
}

static int
program_checked(void)
{
	world_way.flags |= STOA_CHECKED;
	return program_add();
}

struct program {
	const char *name;
	int (*run)(void);
	bool dead; /* somebody has died in the segment before */
	bool many; /* threads, each with its own error text */
};

static const struct program programs[] = {
	{"add", program_add, false, false},
	{"add after a death", program_add, true, false},
	{"grow", program_grow, false, false},
	{"raw memory", program_memory, false, false},
	{"threads", program_threads, false, true},
	{"fork", program_fork, false, false},
	{"recover", program_recover, true, false},
	{"look", program_look, false, false},
	{"unnamed", program_unnamed, false, false},
	{"unlink", program_unlink, false, false},
	{"copies", program_copies, false, false},
	{"checked", program_checked, false, false},
};

enum {
	PROGRAMS = sizeof programs / sizeof programs[0]
};

/* ---- before and after ---- */

static int
world_die(void *user)
{
	(void)user;
	return program_die();
}

/* What a program finds: a segment with some adds in it, and perhaps a dead slot. */
static inline void
world_begin(const struct program *p)
{
	world_committed = 0;
	must(!program_add());
	if (p->dead)
		must(scene_child(world_die, NULL) == -SIGKILL);
}

/* Nothing is refused any more: all that was committed is there, and nothing else. */
static inline void
world_is_whole(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ledger *l = NULL;
	uint64_t count;

	must(!world_open(&seg, &l));
	must(!world_add(seg, l));
	{
		STOA_READ(rd, seg, &l->lock);
		count = l->count;
		must(!stoa_tx_error(rd));
	}
	if (count != world_committed) {
		(void)fprintf(stderr, "%" PRIu64 " are there of %" PRIu64 "\n",
			count, world_committed);
		must(count == world_committed);
	}
	must(stoa_segment_recover(seg) >= 0);
	must(!stoa_segment_check(seg));
	must(stoa_segment_leaked(seg) == 0);
}

#endif
