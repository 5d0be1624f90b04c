/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Mistakes that AddressSanitizer and memcheck must find in a library built with
 * STOA_ANNOTATE; and what is right, in which they must find nothing. What the tool
 * says of a mistake is counted here, so the status is 0 when it has found them all.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/annotate.h"
#include "segment/seat.h"

enum {
	SIZE = 64,
	OTHER = 320, /* of a class that nobody else uses: its slab is fresh */
	MANY = 400,
	LARGE = 200000, /* bytes: whole spans */
	BUFFER = 1 << 20,
	FOUND = 42 /* status of a child in which the mistake was found */
};

#define CHECK(what) \
 ((what) ? (void)0 \
	 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what), \
		   exit(3)))

static stoa_segment *seg;
static volatile char seen;

/* ---- the tool ---- */

#ifdef STOAI_ANNOTATE_ASAN
/* It ends the process, so that is a child's. */
static void
report(const char *text)
{
	_exit(strstr(text, "use-after-poison") ? FOUND : 4);
}

static bool
is_found(void (*make)(void))
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(freopen("/dev/null", "w", stderr));
		__asan_set_error_report_callback(report);
		make();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == FOUND;
}

static unsigned
found_in_all(void)
{
	return 0; /* it would not have come here */
}
#else
static unsigned
found_in_all(void)
{
	CHECK(RUNNING_ON_VALGRIND);
	return VALGRIND_COUNT_ERRORS;
}

static bool
is_found(void (*make)(void))
{
	unsigned before = found_in_all();

	make();
	return found_in_all() > before;
}
#endif

/* ---- blocks ---- */

static char *
block_of(size_t size)
{
	STOA_TX(tx, seg);
	char *p = stoa_alloc(tx, size, 16);

	memset(p, 1, size);
	CHECK(!stoa_tx_commit(tx));
	return p;
}

static char *
block_new(void)
{
	return block_of(SIZE);
}

static void
block_delete(const char *p)
{
	STOA_TX(tx, seg);
	stoa_free(tx, p);
	CHECK(!stoa_tx_commit(tx));
}

static char *
block_undone(void)
{
	STOA_TX(tx, seg);
	char *p = stoa_alloc(tx, SIZE, 16);

	memset(p, 1, SIZE);
	return p;
}

/* What frees is the commit; a block that is free already stays as it is. */
static char *
free_twice(void)
{
	char *p = block_undone();

	block_delete(p);
	return p;
}

/* ---- mistakes ---- */

static void
freed(void)
{
	char *p = block_new();

	block_delete(p);
	seen = p[0];
}

static void
freed_write(void)
{
	char *p = block_new();

	block_delete(p);
	p[40] = 2;
}

/* The library looks at its mark in a free block, and it is closed again. */
static void
freed_twice(void)
{
	seen = *free_twice();
}

static void
undone(void)
{
	seen = block_undone()[8];
}

/* Behind the last of a fresh slab's blocks is one that nobody has had yet. */
static void
overflow(void)
{
	char *p = block_of(OTHER), *q = block_of(OTHER);

	q = q > p ? q : p;
	q[OTHER] = 2;
}

/* ---- right ---- */

static void *
thread_of_its_own(void *p)
{
	char *block[MANY];

	for (int i = 0; i < MANY; i++)
		block[i] = block_new();
	for (int i = 0; i < MANY; i++)
		if (i % 5)
			block_delete(block[i]);
	return p;
}

/* What its slabs were belongs to whoever comes: a child, which hands blocks to us. */
static void
after_a_thread(void)
{
	pthread_t thread;
	int from[2], status;
	pid_t pid;
	char *p;

	CHECK(!pthread_create(&thread, NULL, thread_of_its_own, NULL));
	CHECK(!pthread_join(thread, NULL));
	CHECK(!pipe(from));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		for (int i = 0; i < MANY; i++) {
			p = block_new();
			CHECK(write(from[1], &p, sizeof p) == sizeof p);
		}
		_exit((int)found_in_all());
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	for (int i = 0; i < MANY; i++) {
		CHECK(read(from[0], &p, sizeof p) == sizeof p);
		CHECK(p[SIZE - 1] == 1);
		block_delete(p);
	}
	CHECK(!close(from[0]) && !close(from[1]));
}

/* What slabs were becomes large blocks. */
static void
after_slabs(void)
{
	static char *block[20 * MANY];
	size_t count = sizeof block / sizeof *block;

	for (size_t i = 0; i < count; i++)
		block[i] = block_new();
	for (size_t i = 0; i < count; i++)
		block_delete(block[i]);
	for (size_t i = 0; i < 20; i++)
		block[i] = block_of(LARGE);
	for (size_t i = 0; i < 20; i++)
		block_delete(block[i]);
}

/* The child was told that they are free, and the parent hands them out now. */
static void
in_a_child(void)
{
	char *block[MANY], word;
	int to[2], status;
	pid_t pid;

	for (int i = 0; i < MANY; i++)
		block[i] = block_new();
	for (int i = 0; i < MANY; i++)
		block_delete(block[i]);
	CHECK(!pipe(to));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		for (int i = 0; i < MANY; i++) {
			char *p;

			CHECK(read(to[0], &p, sizeof p) == sizeof p);
			CHECK(p[SIZE - 1] == 1);
			p[0] = 3;
		}
		_exit((int)found_in_all());
	}
	for (int i = 0; i < MANY; i++) {
		block[i] = block_new();
		CHECK(write(to[1], &block[i], sizeof block[i]) ==
			sizeof block[i]);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(block[0][0] == 3);
	word = block[MANY - 1][0];
	CHECK(word == 3);
	for (int i = 0; i < MANY; i++)
		block_delete(block[i]);
}

/* All of it is written by the library. */
static void
zeroed(void)
{
	(void)free_twice();
	block_delete(block_new());
	CHECK(stoa_memory_zero(seg) >= 0);
	CHECK(!stoa_segment_check(seg));
}

/* All of it is read by the library; and then it is ours again. */
static void
in_a_buffer(void)
{
	static _Alignas(4096) char buffer[BUFFER];
	stoa_segment *outer = seg;
	int fd = memfd_create("saved", MFD_CLOEXEC);

	CHECK(!stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = BUFFER), &seg));
	block_delete(block_new());
	CHECK(!stoa_segment_save(
		seg, "annotate", 0, STOA_SEGMENT_OPTIONS(.fd = fd)));
	CHECK(!close(fd));
	block_delete(block_new());
	(void)stoa_segment_close(seg);
	memset(buffer, 0, sizeof buffer);
	seg = outer;
}

/* Checked mode reads all of it. */
static void
checked(void)
{
	stoa_segment *outer = seg;

	CHECK(!stoa_segment_open(NULL, STOA_CREATE | STOA_CHECKED, NULL, &seg));
	block_delete(block_new());
	block_delete(block_new());
	(void)stoa_segment_close(seg);
	seg = outer;
}

/* What libstoa-explore does: this thread died, and another begins in its place. */
static void
forgotten(void)
{
	pid_t pid = fork();
	int status;
	char *p;

	CHECK(pid >= 0);
	if (!pid) {
		p = block_new();
		block_delete(p);
		stoai_segment_forget(seg);
		seen = p[0];
		_exit((int)found_in_all());
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void
right(void)
{
	after_a_thread();
	after_slabs();
	in_a_child();
	zeroed();
	in_a_buffer();
	checked();
	forgotten();
	puts("nothing wrong");
}

int
main(void)
{
	static const struct {
		const char *name;
		void (*make)(void);
	} mistakes[] = {{"freed", freed}, {"freed_write", freed_write},
		{"freed_twice", freed_twice}, {"undone", undone},
		{"overflow", overflow}};
	int missed = 0;

	CHECK(!stoa_segment_open(NULL, STOA_CREATE, NULL, &seg));
	right();
	CHECK(!found_in_all());
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		bool found = is_found(mistakes[i].make);

		printf("%s: %s\n", mistakes[i].name,
			found ? "found" : "MISSED");
		missed += !found;
	}
	seg = stoa_segment_close(seg);
	return missed;
}
