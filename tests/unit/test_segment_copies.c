/* SPDX-License-Identifier: BSL-1.0 */
/* Copies of segments: private ones, saved ones, buffers copied with memcpy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "heap/run.h"
#include "os/os.h"
#include "segment/format.h"
#include "segment_fixture.h"
#include "stoa/stoa.h"

#define STOA_NAME words
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

typedef struct pair {
	stoa_rwlock lock;
	uint64_t a, b; /* always equal */
	words all;
} pair;
STOA_TYPE(pair, lock, a, b, (all, words));

typedef struct one {
	uint64_t n;
} one;
STOA_TYPE(one, n);

static void
fill(stoa_segment *seg, uint64_t n)
{
	const pair *p = NULL;
	char key[64];

	assert_int_equal(stoa_object_open(seg, "pair", pair, &p), 0);
	for (uint64_t i = 0; i < n; i++) {
		snprintf(key, sizeof key, "a word that is long enough: %llu",
			(unsigned long long)i);
		STOA_TX(tx, seg);
		words_put(tx, &p->all, key, i);
		STOA_ADD(tx, p->a, 1);
		STOA_ADD(tx, p->b, 1);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
}

/* Every word is there, the pair is even, and the copy is sound. */
static void
judge(stoa_segment *seg, uint64_t n)
{
	STOA_READ(rd, seg);
	const pair *p = stoa_object_find(rd, "pair", pair);

	assert_non_null(p);
	assert_int_equal(p->a, n);
	assert_int_equal(p->b, n);
	assert_int_equal(words_count(rd, &p->all), n);
	assert_int_equal(stoa_tx_error(rd), 0);
	assert_int_equal(stoa_segment_check(seg), 0);
}

static void
private_is_apart(void **state)
{
	stoa_segment *seg = NULL, *mine = NULL, *other = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("p", STOA_CREATE, NULL, &seg), 0);
	fill(seg, 500);
	assert_int_equal(stoa_segment_open("p", STOA_PRIVATE, NULL, &mine), 0);
	assert_int_equal(stoa_segment_open("p", STOA_PRIVATE, NULL, &other), 0);
	assert_ptr_not_equal(mine, other);
	judge(mine, 500);
	fill(mine, 700); /* 500 are there already */
	fill(seg, 1);
	{
		STOA_READ(rd, mine);
		const pair *p = stoa_object_find(rd, "pair", pair);

		assert_int_equal(p->a, 1200);
		assert_int_equal(words_count(rd, &p->all), 700);
	}
	{
		STOA_READ(rd, seg);
		const pair *p = stoa_object_find(rd, "pair", pair);

		assert_int_equal(p->a, 501);
		assert_int_equal(words_count(rd, &p->all), 500);
	}
	judge(other, 500);
	assert_int_equal(stoa_segment_check(mine), 0);
	assert_int_equal(stoa_segment_leaked(mine), 0);
	stoa_segment_close(mine);
	stoa_segment_close(other);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("p", 0, NULL), 0);
}

/* Who may only read may have one. */
static void
private_of_what_cannot_be_written(void **state)
{
	stoa_segment *seg = NULL, *mine = NULL;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/file", directory);
	assert_int_equal(
		stoa_segment_open(path, STOA_CREATE | STOA_FILE, NULL, &seg),
		0);
	fill(seg, 10);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd > 0);
	stoa_segment_close(seg);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(
		stoa_segment_open(path, STOA_FILE | STOA_PRIVATE, NULL, &mine),
		0);
	judge(mine, 10);
	fill(mine, 5);
	stoa_segment_close(mine);
	assert_int_equal(stoa_segment_open(NULL, STOA_PRIVATE,
				 STOA_SEGMENT_OPTIONS(.fd = fd), &mine),
		0);
	judge(mine, 10);
	stoa_segment_close(mine);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

/* A child that dies, or stands still, in the middle of a change. */
static pid_t
child_inside(stoa_segment *seg)
{
	int up[2];
	char letter = 0;
	pid_t pid;

	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		const pair *p = NULL;
		int rc = stoa_object_open(seg, "pair", pair, &p);
		STOA_TX(tx, seg, stoa_segment_lock(seg), &p->lock);

		STOA_ADD(tx, p->a, 1);
		words_put(tx, &p->all, "half", 1);
		letter = rc || stoa_tx_error(tx) ? 'n' : 'y';
		(void)!write(up[1], &letter, 1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(up[0], &letter, 1), 1);
	assert_int_equal(letter, 'y');
	close(up[0]);
	close(up[1]);
	return pid;
}

/* The living one keeps its locks; the copy is without them, and without its change. */
static void
private_does_not_wait(void **state)
{
	stoa_segment *seg = NULL, *mine = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("p", STOA_CREATE, NULL, &seg), 0);
	fill(seg, 50);
	for (int dead = 0; dead < 2; dead++) {
		pid_t pid = child_inside(seg);

		if (dead) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		assert_int_equal(
			stoa_segment_open("p", STOA_PRIVATE, NULL, &mine), 0);
		judge(mine, 50);
		fill(mine, 60);
		assert_int_equal(stoa_segment_leaked(mine), 0);
		stoa_segment_close(mine);
		assert_int_equal(stoa_segment_save(seg, "q", 0, NULL), 0);
		if (!dead) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		assert_int_equal(stoa_segment_open("q", 0, NULL, &mine), 0);
		judge(mine, 50);
		assert_int_equal(stoa_segment_leaked(mine), 0);
		stoa_segment_close(mine);
		assert_int_equal(stoa_segment_unlink("q", 0, NULL), 0);
	}
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("p", 0, NULL), 0);
}

static atomic_int stop_hammer;

static void
spin(void)
{
	for (volatile int n = 0; n < 40000; n++)
		;
}

static void *
hammer(void *user)
{
	const pair *p = NULL;

	if (stoa_object_open(user, "pair", pair, &p))
		return user;
	for (uint64_t i = 0; !stop_hammer; i++) {
		spin();
		if (i % 16 == 0)
			usleep(2000);
		STOA_TX(tx, (stoa_segment *)user);
		STOA_ADD(tx, p->a, 1);
		spin(); /* long enough for a copy to fall into it */
		if (i % 3 == 0)
			continue; /* undone */
		STOA_ADD(tx, p->b, 1);
		words_put(tx, &p->all, i % 2 ? "one" : "the other", i);
		if (stoa_tx_commit(tx))
			return user;
	}
	return NULL;
}

/* With a living writer: a consistent copy, or an honest -EAGAIN. */
static void
private_among_writers(void **state)
{
	stoa_segment *seg = NULL, *mine = NULL;
	pthread_t thread;
	void *failed;
	int done = 0;

	(void)state;
	assert_int_equal(stoa_segment_open("p", STOA_CREATE, NULL, &seg), 0);
	fill(seg, 1);
	stop_hammer = 0;
	assert_int_equal(pthread_create(&thread, NULL, hammer, seg), 0);
	for (int i = 0; i < 100; i++) {
		int rc = stoa_segment_open("p", STOA_PRIVATE, NULL, &mine);

		if (rc == -EAGAIN)
			continue;
		assert_int_equal(rc, 0);
		{
			STOA_READ(rd, mine);
			const pair *p = stoa_object_find(rd, "pair", pair);

			assert_int_equal(p->a, p->b);
			assert_int_equal(stoa_tx_error(rd), 0);
		}
		assert_int_equal(stoa_segment_check(mine), 0);
		assert_int_equal(stoa_segment_leaked(mine), 0);
		stoa_segment_close(mine);
		done++;
	}
	/* holding its lock, one cannot miss */
	{
		STOA_READ(rd, seg);
		assert_int_equal(
			stoa_segment_open("p", STOA_PRIVATE, NULL, &mine), 0);
		stoa_segment_close(mine);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	stop_hammer = 1;
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_true(done > 50);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("p", 0, NULL), 0);
}

static void
flags_that_do_not_go_together(void **state)
{
	stoa_segment *seg = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open("p", STOA_PRIVATE, NULL, &seg), -ENOENT);
	assert_int_equal(
		stoa_segment_open("p", STOA_PRIVATE | STOA_CREATE, NULL, &seg),
		-EINVAL);
	assert_int_equal(
		stoa_segment_open("p", STOA_PRIVATE | STOA_RDONLY, NULL, &seg),
		-EINVAL);
	assert_int_equal(
		stoa_segment_open(NULL, STOA_PRIVATE, NULL, &seg), -EINVAL);
	assert_null(seg);
}

/* Of any kind to any kind, and the same bytes of data in it. */
static void
saved_of_every_kind(void **state)
{
	void *buffer = aligned_alloc(4096, 1 << 20);

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		stoa_segment *seg = NULL, *again = NULL;
		char path[128];
		int fd = memfd_create("saved", MFD_CLOEXEC), rc;

		rc = kind == 0 ? stoa_segment_open("s", STOA_CREATE, NULL, &seg)
		     : kind == 1
			     ? stoa_segment_open(NULL, STOA_CREATE, NULL, &seg)
		     : kind == 2
			     ? stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
				       NULL, &seg)
			     : stoa_segment_open(NULL, STOA_CREATE,
				       STOA_SEGMENT_OPTIONS(.buffer = buffer,
					       .size = 1 << 20),
				       &seg);
		assert_int_equal(rc, 0);
		fill(seg, 300);
		snprintf(path, sizeof path, "%s/saved", directory);
		assert_int_equal(stoa_segment_save(seg, path, STOA_FILE,
					 STOA_SEGMENT_OPTIONS(.mode = 0640)),
			0);
		assert_int_equal(
			stoa_segment_save(seg, path, STOA_FILE, NULL), -EEXIST);
		assert_int_equal(stoa_segment_save(seg, "copy", 0, NULL), 0);
		assert_int_equal(stoa_segment_save(seg, NULL, 0,
					 STOA_SEGMENT_OPTIONS(.fd = fd)),
			0);
		assert_int_equal(stoa_segment_save(seg, NULL, 0,
					 STOA_SEGMENT_OPTIONS(.fd = fd)),
			-EEXIST);
		assert_int_equal(
			stoa_segment_save(seg, NULL, 0, NULL), -EINVAL);
		stoa_segment_close(seg);
		for (int to = 0; to < 3; to++) {
			rc = to == 0 ? stoa_segment_open(
					       path, STOA_FILE, NULL, &again)
			     : to == 1 ? stoa_segment_open(
						 "copy", 0, NULL, &again)
				       : stoa_segment_open(NULL, 0,
						 STOA_SEGMENT_OPTIONS(.fd = fd),
						 &again);
			assert_int_equal(rc, 0);
			judge(again, 300);
			fill(again, 301);
			assert_int_equal(stoa_segment_leaked(again), 0);
			stoa_segment_close(again);
		}
		close(fd);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(stoa_segment_unlink("copy", 0, NULL), 0);
		(void)stoa_segment_unlink("s", 0, NULL);
	}
	free(buffer);
}

/* memcpy while its owner is attached: the copy is opened where it lies. */
static void
buffer_by_memcpy(void **state)
{
	static const size_t size[] = {32768, 65536, 1 << 20};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		void *buffer = aligned_alloc(4096, size[i]);
		void *copy = aligned_alloc(4096, size[i]);
		stoa_segment *seg = NULL, *other = NULL;
		uint64_t n = i ? 20 : 2;

		assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
					 STOA_SEGMENT_OPTIONS(.buffer = buffer,
						 .size = size[i]),
					 &seg),
			0);
		fill(seg, n);
		memcpy(copy, buffer, size[i]);
		assert_int_equal(stoa_segment_open(NULL, 0,
					 STOA_SEGMENT_OPTIONS(.buffer = copy,
						 .size = size[i]),
					 &other),
			0);
		assert_ptr_not_equal(seg, other);
		judge(other, n);
		fill(other, 1);
		judge(seg, n);
		assert_int_equal(stoa_segment_leaked(other), 0);
		stoa_segment_close(seg);
		stoa_segment_close(other);
		free(buffer);
		free(copy);
	}
}

/* The smallest one, too. */
static void
small_buffer_by_memcpy(void **state)
{
	_Alignas(64) static char buffer[4096], copy[4096];
	stoa_segment *seg = NULL, *other = NULL;
	const one *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = 4096),
			&seg),
		0);
	assert_int_equal(stoa_object_open(seg, "one", one, &a), 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, a->n, 7)), 0);
	memcpy(copy, buffer, sizeof copy);
	assert_int_equal(
		stoa_segment_open(NULL, 0,
			STOA_SEGMENT_OPTIONS(.buffer = copy, .size = 4096),
			&other),
		0);
	assert_int_equal(stoa_object_open(other, "one", one, &b), 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(b->n, 7);
	assert_int_equal(STOA_DO(tx, other, STOA_SET(tx, b->n, 8)), 0);
	assert_int_equal(a->n, 7);
	stoa_segment_close(seg);
	stoa_segment_close(other);
}

/* Through a pipe, and opened at the other end. */
static void
buffer_through_a_pipe(void **state)
{
	enum {
		SIZE = 1 << 18
	};
	void *buffer = aligned_alloc(4096, SIZE);
	stoa_segment *seg = NULL;
	int way[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(way), 0);
	pid = fork();
	if (!pid) {
		char *here = aligned_alloc(4096, SIZE);
		const pair *p;
		size_t got = 0;
		ssize_t n;

		close(way[1]);
		while ((n = read(way[0], here + got, SIZE - got)) > 0)
			got += (size_t)n;
		if (got != SIZE ||
			stoa_segment_open(NULL, 0,
				STOA_SEGMENT_OPTIONS(.buffer = here,
					.size = SIZE),
				&seg) ||
			stoa_object_open(seg, "pair", pair, &p))
			_exit(1);
		_exit(p->a != 100 || p->b != 100 || stoa_segment_check(seg));
	}
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = SIZE),
			&seg),
		0);
	fill(seg, 100);
	close(way[0]);
	for (size_t sent = 0; sent < SIZE;) {
		ssize_t n = write(way[1], (char *)buffer + sent, SIZE - sent);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	close(way[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	stoa_segment_close(seg);
	free(buffer);
}

static stoa_segment *trimmed;
static unsigned reads, change_at;

/* Who trims joins two free runs, all the time under one lock. */
static int
joins_at_a_read(enum stoai_os_call call)
{
	if (call == STOAI_OS_PREAD && ++reads == change_at) {
		uint64_t last = stoai_span_count(trimmed) - 1;

		a64_store_relaxed(stoai_span_at(trimmed, last),
			stoai_span_load(trimmed, last) ^ 1);
	}
	return 0;
}

static void
not_copied_amid_a_trim(void **state)
{
	stoa_segment *seg = NULL, *mine = NULL;
	struct stoai_seat *seat;
	unsigned quiet;

	(void)state;
	assert_int_equal(stoa_segment_open("t", STOA_CREATE, NULL, &seg), 0);
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	assert_int_equal(stoai_heap_lock(seat), 0);
	trimmed = seg;
	stoai_os_fault = joins_at_a_read;
	reads = change_at = 0;
	assert_int_equal(stoa_segment_open("t", STOA_PRIVATE, NULL, &mine), 0);
	mine = stoa_segment_close(mine);
	quiet = reads;
	/* just before the second look reads the table */
	change_at = quiet;
	reads = 0;
	assert_int_equal(stoa_segment_open("t", STOA_PRIVATE, NULL, &mine), 0);
	mine = stoa_segment_close(mine);
	assert_true(reads > quiet + 3); /* so it was copied again */
	stoai_os_fault = NULL;
	stoai_heap_unlock(seat);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("t", 0, NULL), 0);
}

/* Made with a limit beyond its size: opened again with more, it has more. */
static void
buffer_grows_in_place(void **state)
{
	enum {
		SMALL = 192 << 10,
		LARGE = 2 << 20
	};
	char *buffer = aligned_alloc(4096, LARGE), *copy;
	stoa_segment *seg = NULL, *again = NULL;
	stoa_segment_stat before, after;
	const pair *p = NULL;
	uint64_t n = 0;
	char key[32];
	int rc = 0;

	(void)state;
	memset(buffer, 0x5a, LARGE);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.buffer = buffer,
					 .size = 4096, .limit = LARGE),
				 &seg),
		-EINVAL);
	assert_non_null(strstr(stoa_error_text(), "too small for a .limit"));
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = SMALL,
				.limit = LARGE, .threads = 2),
			&seg),
		0);
	stoa_segment_statistics(seg, &before);
	assert_int_equal(stoa_object_open(seg, "pair", pair, &p), 0);
	for (; !rc; n++) {
		snprintf(key, sizeof key, "key %llu, as long as it is",
			(unsigned long long)n);
		rc = STOA_DO(tx, seg, words_put(tx, &p->all, key, n));
	}
	assert_int_equal(rc, -ENOSPC);
	for (size_t i = SMALL; i < LARGE; i++)
		assert_int_equal(buffer[i], 0x5a); /* not ours yet */
	assert_int_equal(
		stoa_segment_open(NULL, 0,
			STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = LARGE),
			&again),
		0);
	assert_ptr_equal(seg, again);
	fill(seg, 2000);
	stoa_segment_statistics(seg, &after);
	assert_true(after.size > 2 * before.size);
	assert_int_equal(stoa_segment_check(seg), 0);
	/* longer than what one says it is */
	copy = aligned_alloc(4096, LARGE);
	memcpy(copy, buffer, LARGE);
	assert_int_equal(
		stoa_segment_open(NULL, 0,
			STOA_SEGMENT_OPTIONS(.buffer = copy, .size = SMALL),
			&again),
		-EBADMSG);
	stoa_segment_close(seg);
	stoa_segment_close(seg);
	free(buffer);
	free(copy);
}

/* Memory of the process: it grows by itself, and nothing moves. */
static void
local_grows(void **state)
{
	stoa_segment *seg = NULL;
	stoa_segment_stat before, after;
	const pair *p = NULL, *q = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
			STOA_SEGMENT_OPTIONS(.size = 4096, .limit = 64 << 20),
			&seg),
		0);
	assert_int_equal(stoa_object_open(seg, "pair", pair, &p), 0);
	stoa_segment_statistics(seg, &before);
	fill(seg, 3000);
	stoa_segment_statistics(seg, &after);
	assert_true(after.size > 10 * before.size);
	assert_int_equal(stoa_object_open(seg, "pair", pair, &q), 0);
	assert_ptr_equal(p, q);
	judge(seg, 3000);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_is_apart),
		cmocka_unit_test(private_of_what_cannot_be_written),
		cmocka_unit_test(private_does_not_wait),
		cmocka_unit_test(private_among_writers),
		cmocka_unit_test(flags_that_do_not_go_together),
		cmocka_unit_test(saved_of_every_kind),
		cmocka_unit_test(buffer_by_memcpy),
		cmocka_unit_test(small_buffer_by_memcpy),
		cmocka_unit_test(buffer_through_a_pipe),
		cmocka_unit_test(not_copied_amid_a_trim),
		cmocka_unit_test(buffer_grows_in_place),
		cmocka_unit_test(local_grows),
	};

	return cmocka_run_group_tests(
		tests, directory_setup, directory_teardown);
}
