/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a debugger is shown: every kind of value, in a small segment, by name and in
 * a buffer. It stops three times, in functions that do nothing: dead() when a
 * process that held a lock was killed, all() when threads hold, read and wait, and
 * buffer() with a segment in memory of its own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stoa/stoa.h"

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t n;
	node_ref next;
};
STOA_TYPE(node, n, (next, node, own));

typedef struct pair {
	uint32_t x, y;
} pair;
STOA_TYPE(pair, x, y);

typedef struct locked {
	stoa_mutex lock;
	uint64_t n;
} locked;
STOA_TYPE(locked, lock, n);

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>
#define STOA_NAME pairs
#define STOA_VAL  pair
#include <stoa/template/vec.h>
#define STOA_NAME lines
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>
#define STOA_NAME boxes
#define STOA_VAL  locked
#define STOA_BOXED
#include <stoa/template/vec.h>
#define STOA_NAME counts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint32_t
#include <stoa/template/hashmap.h>
#define STOA_NAME squares
#define STOA_KEY  uint16_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#define STOA_NAME seen
#define STOA_KEY  pair
#include <stoa/template/hashmap.h>
#define STOA_NAME by_name
#define STOA_KEY  stoa_str
#define STOA_VAL  locked
#define STOA_BOXED
#include <stoa/template/hashmap.h>
#define STOA_NAME rows
#define STOA_KEY  bool
#define STOA_VAL  numbers
#include <stoa/template/hashmap.h>

typedef struct page {
	stoa_mutex free, held, wanted;
	stoa_rwlock written, read;
	stoa_cond changed, quiet;
	stoa_owner nobody, me, thread, gone;
	node_ref null, first;
	stoa_str empty, brief, full, tall;
	numbers no, some;
	pairs p;
	lines l;
	boxes b;
	counts c;
	squares s;
	seen e;
	by_name n;
	rows r;
} page;
STOA_TYPE(page, free, held, wanted, written, read, changed, quiet, nobody, me,
	thread, gone, (null, node, ref), (first, node, own), empty, brief, full,
	tall, (no, numbers), (some, numbers), (p, pairs), (l, lines),
	(b, boxes), (c, counts), (s, squares), (e, seen), (n, by_name),
	(r, rows));

/* in plain memory */
static struct {
	STOA_PTR(page) null, tagged;
	STOA_PTR(uint64_t) number;
	stoa_ptr32 near;
	uint64_t n;
} plain = {.n = 77};

static stoa_segment *seg;
static const page *at;
static atomic_int ready, over;

static void
must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "scene: %s: %s\n", what, stoa_error_text());
	_exit(1);
}

__attribute__((noinline)) static void
dead(const page *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

__attribute__((noinline)) static void
all(const page *p, stoa_segment *handle, node_ref ref)
{
	__asm__ volatile(""
			 :
			 : "r"(p), "r"(handle), "r"(ref.ref.off)
			 : "memory");
}

__attribute__((noinline)) static void
buffer(const page *p, stoa_segment *handle)
{
	__asm__ volatile("" : : "r"(p), "r"(handle) : "memory");
}

static void
fill_maps(stoa_tx *tx, const page *p)
{
	char key[32];

	for (unsigned i = 0; i < 40; i++)
		squares_put(tx, &p->s, (uint16_t)i, i * i);
	counts_put(tx, &p->c, "one", 1);
	counts_put(tx, &p->c, "a key that is longer than twenty-two", 36);
	seen_put(tx, &p->e, (pair){5, 6});
	for (unsigned i = 0; i < 3; i++) {
		snprintf(key, sizeof key, "number %u", i);
		STOA_SET(tx, by_name_ensure(tx, &p->n, key)->n, i);
	}
	numbers_push(tx, rows_ensure(tx, &p->r, true), 77);
}

static void
fill(stoa_segment *s, const page *p)
{
	STOA_TX(tx, s);
	for (uint64_t i = 3; i > 0; i--) {
		node *n = stoa_new(tx, node);

		n->n = i;
		n->next = p->first;
		STOA_LINK(tx, p->first, n);
	}
	STOA_SET(tx, p->me, stoa_owner_self(tx));
	stoa_str_set(tx, &p->brief, "brief \"text\"");
	stoa_str_set(tx, &p->full, "0123456789012345678901");
	stoa_str_set(tx, &p->tall,
		"a text that needs a block of its own, 2 \xc3\xa4");
	for (uint64_t i = 0; i < 5; i++)
		numbers_push(tx, &p->some, i * 11);
	pairs_push(tx, &p->p, (pair){1, 2});
	lines_push(tx, &p->l, "first");
	lines_push(tx, &p->l, "second, which is longer than the first one");
	for (uint64_t i = 0; i < 2; i++)
		STOA_SET(tx, boxes_add(tx, &p->b)->n, 40 + i);
	fill_maps(tx, p);
	must(stoa_tx_commit(tx), "fill");
}

/* A process that holds two locks, and is no more. */
static void
kill_a_holder(void)
{
	int pipes[2], status;
	char byte;
	pid_t pid;

	must(pipe(pipes), "pipe");
	pid = fork();
	if (!pid) {
		must(STOA_DO(tx, (seg, &at->free),
			     STOA_SET(tx, at->gone, stoa_owner_self(tx))),
			"gone");
		STOA_TX(tx, seg, &at->held, &at->written);
		must(stoa_tx_error(tx), "hold");
		must(write(pipes[1], "x", 1) != 1, "write");
		pause();
	}
	must(read(pipes[0], &byte, 1) != 1, "read");
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0) != pid, "waitpid");
}

static void
until_over(void)
{
	ready++;
	while (!over)
		usleep(1000);
}

static void *
hold(void *unused)
{
	{
		STOA_READ(rd, seg, &at->read); /* its bit stays set */
		must(stoa_tx_error(rd), "read");
	}
	STOA_TX(tx, seg, &at->held, &at->written);
	STOA_SET(tx, at->thread, stoa_owner_self(tx));
	until_over();
	must(stoa_tx_commit(tx), "hold");
	return unused;
}

static void *
look(void *unused)
{
	STOA_READ(rd, seg, &at->read);
	until_over();
	return unused;
}

static void *
want(void *unused)
{
	ready++;
	STOA_TX(tx, seg, &at->held);
	must(stoa_tx_commit(tx), "want");
	return unused;
}

static void *
await(void *unused)
{
	STOA_TX(tx, seg, &at->wanted);
	ready++;
	while (!over && !stoa_tx_wait(tx, &at->changed, stoa_in_ms(20000)))
		;
	return unused;
}

static void
threads(void)
{
	void *(*const run[])(void *) = {hold, look, await, want};
	pthread_t t[4];
	node_ref copy;

	for (int i = 0; i < 4; i++) {
		must(pthread_create(&t[i], NULL, run[i], NULL), "thread");
		while (ready <= i)
			usleep(1000);
	}
	usleep(300000); /* the two that wait are asleep */
	copy = at->first;
	stoa_ptr_set_tag(plain.tagged, 3);
	stoa_ptr_set(plain.number, &plain.n);
	must(stoa_ptr32_set(&plain.near, &plain.n) ? 0 : -1, "near");
	all(at, seg, copy);
	over = 1;
	must(STOA_DO(tx, (seg, &at->wanted), stoa_tx_signal(tx, &at->changed)),
		"signal");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int
main(void)
{
	static char memory[256 << 10] __attribute__((aligned(64)));
	stoa_segment *own = NULL;
	const page *p = NULL;

	(void)stoa_segment_unlink(
		"scene", 0, NULL); /* of one that was killed */
	must(stoa_segment_open("scene", STOA_CREATE,
		     STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20,
			     .threads = 8),
		     &seg),
		"open");
	must(stoa_object_open(seg, "page", page, &at), "object");
	fill(seg, at);
	kill_a_holder();
	dead(at);
	threads();
	must(stoa_segment_open(NULL, STOA_CREATE,
		     STOA_SEGMENT_OPTIONS(.buffer = memory + 64,
			     .size = sizeof memory - 64, .threads = 4),
		     &own),
		"buffer");
	must(stoa_object_open(own, "page", page, &p), "object");
	fill(own, p);
	buffer(p, own);
	stoa_segment_close(own);
	stoa_segment_close(seg);
	return 0;
}
