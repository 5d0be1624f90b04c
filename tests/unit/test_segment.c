/* SPDX-License-Identifier: BSL-1.0 */
/* Segments: made, opened, refused, attached to, grown, closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/os.h"
#include "segment/geometry.h"
#include "segment/log.h"
#include "segment_fixture.h"
#include "stoa/stoa.h"

#ifndef STOA_LIMIT_SHIFT
 #define STOA_LIMIT_SHIFT 36 /* as the library; less for what has less room */
#endif

typedef struct big {
	uint8_t bytes[100000];
} big;
STOA_TYPE(big, bytes);

typedef struct one {
	uint64_t n;
} one;
STOA_TYPE(one, n);

static void
add(stoa_segment *seg, uint64_t n, uint64_t want)
{
	const one *o = NULL;

	assert_int_equal(stoa_object_open(seg, "one", one, &o), 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_ADD(tx, o->n, n)), 0);
	assert_int_equal(o->n, want);
}

static void
named(void **state)
{
	stoa_segment *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("n", 0, NULL, &a), -ENOENT);
	assert_int_equal(stoa_segment_open("n", STOA_CREATE, NULL, &a), 0);
	add(a, 1, 1);
	assert_int_equal(
		stoa_segment_open("n", STOA_CREATE | STOA_EXCL, NULL, &b),
		-EEXIST);
	assert_int_equal(stoa_segment_open("n", 0, NULL, &b), 0);
	assert_ptr_equal(a, b); /* one mapping a process and segment */
	add(b, 1, 2);
	assert_null(stoa_segment_close(a));
	add(b, 1, 3);
	stoa_segment_close(b);
	assert_int_equal(stoa_segment_open("n", 0, NULL, &b), 0);
	add(b, 1, 4);
	assert_int_equal(stoa_segment_unlink("n", 0, NULL), 0);
	assert_int_equal(stoa_segment_unlink("n", 0, NULL), -ENOENT);
	assert_int_equal(stoa_segment_open("n", 0, NULL, &c), -ENOENT);
	add(b, 1, 5);
	assert_int_equal(stoa_segment_open("n", STOA_CREATE, NULL, &c), 0);
	add(c, 1, 1);
	stoa_segment_close(b);
	stoa_segment_close(c);
	assert_int_equal(stoa_segment_unlink("n", 0, NULL), 0);
}

/* Of either kind: made once, opened or made, opened; each wrong wish is refused. */
static void
each_way_to_open(void **state)
{
	char path[64];
	const char *const name[] = {"ways", path};

	(void)state;
	snprintf(path, sizeof path, "%s/ways", directory);
	for (unsigned file = 0; file < 2; file++) {
		const unsigned flags = file ? STOA_FILE : 0;
		stoa_segment *seg = NULL, *moved;

		for (unsigned way = 0; way < 3; way++) {
			static const unsigned wish[] = {
				0, STOA_RDONLY, STOA_PRIVATE};

			assert_int_equal(stoa_segment_open(name[file],
						 flags | wish[way], NULL, &seg),
				-ENOENT);
		}
		assert_int_equal(
			stoa_segment_open(name[file],
				flags | STOA_CREATE | STOA_EXCL, NULL, &seg),
			0);
		add(seg, 1, 1);
		moved = seg; /* a handle is a pointer */
		seg = stoa_segment_close(moved);
		assert_null(seg); /* and none is NULL */
		assert_null(stoa_segment_close(seg));
		assert_int_equal(
			stoa_segment_open(name[file],
				flags | STOA_CREATE | STOA_EXCL, NULL, &seg),
			-EEXIST);
		assert_null(seg);
		for (unsigned create = 0; create < 2; create++) {
			assert_int_equal(
				stoa_segment_open(name[file],
					create ? flags | STOA_CREATE : flags,
					NULL, &seg),
				0);
			add(seg, 1, create + 2);
			seg = stoa_segment_close(seg);
		}
		for (unsigned way = 0; way < 2; way++) {
			assert_int_equal(stoa_segment_open(name[file],
						 flags | (way ? STOA_PRIVATE
							      : STOA_RDONLY),
						 NULL, &seg),
				0);
			{
				STOA_READ(rd, seg);
				const one *o = stoa_object_find(rd, "one", one);

				assert_non_null(o);
				assert_int_equal(o->n, 3);
				assert_int_equal(stoa_tx_error(rd), 0);
			}
			if (way)
				add(seg, 1, 4); /* for itself alone */
			seg = stoa_segment_close(seg);
		}
		assert_int_equal(
			stoa_segment_unlink(name[file], flags, NULL), 0);
	}
}

static void
sizes(void **state)
{
	static const struct {
		uint64_t size, limit;
	} want[] = {{4096, 4096}, {65536, 65536}, {1 << 20, 1 << 20},
		{1 << 20, UINT64_C(1) << STOA_LIMIT_SHIFT}, {64 << 20, 0},
		{0, 4096}, {0, 100000}};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(want); i++) {
		stoa_segment *seg = NULL;

		assert_int_equal(
			stoa_segment_open(NULL, STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.size = want[i].size,
					.limit = want[i].limit),
				&seg),
			0);
		add(seg, 1, 1);
		assert_int_equal(stoa_segment_check(seg), 0);
		assert_int_equal(stoa_segment_leaked(seg), 0);
		stoa_segment_close(seg);
	}
}

static void
grows(void **state)
{
	stoa_segment *seg = NULL;
	stoa_segment_stat before, after;

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.size = 1 << 20), &seg),
		0);
	stoa_segment_statistics(seg, &before);
	{
		STOA_TX(tx, seg);
		for (int i = 0; i < 100; i++)
			stoa_new(tx, big)->bytes[99999] = 1;
		assert_int_equal(stoa_tx_error(tx), 0);
	} /* undone: the memory stays */
	stoa_segment_statistics(seg, &after);
	assert_true(after.size > before.size + 9000000);
	assert_int_equal(after.blocks, before.blocks);
	assert_int_equal(stoa_segment_check(seg), 0);
	stoa_segment_close(seg);
}

static void
full_is_an_error(void **state)
{
	stoa_segment *seg = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20),
			&seg),
		0);
	for (int round = 0; round < 3; round++) {
		STOA_TX(tx, seg);
		for (int i = 0; i < 100; i++)
			stoa_new(tx, big)->bytes[99999] = 1;
		assert_int_equal(stoa_tx_commit(tx), -ENOSPC);
		assert_non_null(strstr(stoa_error_text(), "limit"));
	}
	add(seg, 1, 1);
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	stoa_segment_close(seg);
}

static void
buffers(void **state)
{
	static const size_t size[] = {4096, 65536, 1 << 20};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		stoa_segment *seg = NULL, *again = NULL;
		void *buffer = aligned_alloc(4096, size[i]);

		memset(buffer, 0xaa, size[i]);
		assert_int_equal(stoa_segment_open(NULL, 0,
					 STOA_SEGMENT_OPTIONS(.buffer = buffer,
						 .size = size[i]),
					 &seg),
			-EPROTO);
		assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
					 STOA_SEGMENT_OPTIONS(.buffer = buffer,
						 .size = size[i]),
					 &seg),
			0);
		add(seg, 2, 2);
		assert_int_equal(stoa_segment_open(NULL, 0,
					 STOA_SEGMENT_OPTIONS(.buffer = buffer,
						 .size = size[i]),
					 &again),
			0);
		add(again, 2, 4);
		stoa_segment_close(again);
		assert_int_equal(stoa_segment_check(seg), 0);
		stoa_segment_close(seg);
		assert_int_equal(stoa_segment_open(NULL, 0,
					 STOA_SEGMENT_OPTIONS(.buffer = buffer,
						 .size = size[i]),
					 &again),
			0);
		add(again, 2, 6);
		stoa_segment_close(again);
		free(buffer);
	}
}

static void
given_descriptor(void **state)
{
	int fd = memfd_create("given", MFD_CLOEXEC);
	stoa_segment *seg = NULL;
	int status;

	(void)state;
	assert_int_equal(stoa_segment_open(
				 NULL, 0, STOA_SEGMENT_OPTIONS(.fd = fd), &seg),
		-EPROTO);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.fd = fd), &seg),
		0);
	add(seg, 1, 1);
	if (!fork()) { /* the mapping is there in a child; its slot is not */
		const one *o = NULL;
		int rc = stoa_object_open(seg, "one", one, &o);

		if (!rc)
			rc = STOA_DO(tx, seg, STOA_ADD(tx, o->n, 1));
		_exit(rc != 0);
	}
	wait(&status);
	assert_int_equal(status, 0);
	add(seg, 1, 3);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_open(
				 NULL, 0, STOA_SEGMENT_OPTIONS(.fd = fd), &seg),
		0);
	add(seg, 1, 4);
	stoa_segment_close(seg);
	close(fd);
}

static void
bad_options(void **state)
{
	stoa_segment *seg = NULL;
	struct {
		stoa_segment_options o;
		char newer[8];
	} large = {.newer = {1}};
	_Alignas(64) static char small[4032];
	stoa_segment_options none = {0};
	char path[64];

	(void)state;
	large.o.struct_size = sizeof large;
	assert_int_equal(
		stoa_segment_open("x", STOA_CREATE, &large.o, &seg), -E2BIG);
	assert_int_equal(
		stoa_segment_open("x", STOA_CREATE, &none, &seg), -EINVAL);
	assert_int_equal(stoa_segment_open("x", 1u << 20, NULL, &seg), -EINVAL);
	assert_int_equal(stoa_segment_open(NULL, 0, NULL, &seg), -EINVAL);
	assert_int_equal(stoa_segment_open("x", STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.threads = 256), &seg),
		-EINVAL);
	assert_non_null(strstr(stoa_error_text(), "at most 255"));
	assert_int_equal(
		stoa_segment_open("x", STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 2 << 20, .limit = 1 << 20),
			&seg),
		-EINVAL);
	assert_int_equal(
		stoa_segment_open("a/b", STOA_CREATE, NULL, &seg), -EINVAL);
	assert_int_equal(
		stoa_segment_open("..", STOA_CREATE, NULL, &seg), -EINVAL);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.buffer = small,
					 .size = sizeof small),
				 &seg),
		-EINVAL);
	assert_non_null(
		strstr(stoa_error_text(), "is too small; 4096 is the least"));
	assert_null(seg);
	/* an empty file is nobody's segment, and says what to do */
	snprintf(path, sizeof path, "%s/empty", directory);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
	assert_int_equal(
		stoa_segment_open(path, STOA_FILE | STOA_CREATE, NULL, &seg),
		-EPROTO);
	assert_non_null(strstr(stoa_error_text(), "remove the empty file"));
	assert_int_equal(unlink(path), 0);
}

/* What a call looked for inside and did without is not the last failure. */
static void
success_leaves_no_text(void **state)
{
	stoa_segment *seg = NULL, *again = NULL;
	const uint64_t *n = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("quiet", 0, NULL, &seg), -ENOENT);
	assert_non_null(strstr(stoa_error_text(), "STOA_CREATE makes it"));
	assert_int_equal(
		stoa_segment_open("quiet", STOA_CREATE, NULL, &seg), 0);
	assert_string_equal(stoa_error_text(), "no error");
	assert_int_equal(stoa_object_open(seg, "n", uint64_t, &n), 0);
	assert_string_equal(stoa_error_text(), "no error");
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	assert_string_equal(stoa_error_text(), "no error");
	assert_int_equal(stoa_segment_open("quiet", STOA_CREATE | STOA_EXCL,
				 NULL, &again),
		-EEXIST);
	assert_non_null(strstr(stoa_error_text(), "is there already"));
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("quiet", 0, NULL), 0);
}

/* One number: what can be asked for, what the numbers say, what fits. */
static void
threads_max_is_what_fits(void **state)
{
	static const uint32_t want[] = {0, 1, 4, 255};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		stoa_segment *seg = NULL;
		stoa_segment_stat st;

		assert_int_equal(
			stoa_segment_open(NULL, STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.threads = want[i]), &seg),
			0);
		stoa_segment_statistics(seg, &st);
		assert_int_equal(st.threads_max, want[i] == 1 ? 2
						 : want[i]    ? want[i]
							      : 255);
		stoa_segment_close(seg);
	}
}

/* Writes one word into the header of a file and opens it. */
static int
open_with(const char *path, off_t at, uint64_t value, size_t size)
{
	int fd = open(path, O_RDWR);
	uint64_t old = 0;
	stoa_segment *seg = NULL;
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &old, size, at), (ssize_t)size);
	assert_int_equal(pwrite(fd, &value, size, at), (ssize_t)size);
	rc = stoa_segment_open(path, STOA_FILE, NULL, &seg);
	stoa_segment_close(seg);
	assert_int_equal(pwrite(fd, &old, size, at), (ssize_t)size);
	close(fd);
	return rc;
}

static void
files_refuse_damage(void **state)
{
	char path[128];
	stoa_segment *seg = NULL;
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/file.stoa", directory);
	umask(077);
	assert_int_equal(stoa_segment_open(path, STOA_CREATE | STOA_FILE,
				 STOA_SEGMENT_OPTIONS(.mode = 0644), &seg),
		0);
	add(seg, 1, 1);
	stoa_segment_close(seg);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(open_with(path, 0, 1, 8), -EPROTO);
	assert_int_equal(open_with(path, 8, 99, 4), -ENOTSUP);
	assert_int_equal(open_with(path, 12, 0x04030201, 4), -ENOTSUP);
	assert_int_equal(open_with(path, 40, 99, 4), -EBADMSG);
	assert_int_equal(
		open_with(path, offsetof(struct stoai_header, heap_off), 1, 8),
		-EBADMSG);
	assert_int_equal(
		open_with(path, offsetof(struct stoai_header, committed),
			UINT64_C(1) << 60, 8),
		-EBADMSG);
	/* used when another boot stopped */
	assert_int_equal(
		open_with(path, offsetof(struct stoai_header, clean), 0, 4), 0);
	assert_int_equal(
		open_with(path, offsetof(struct stoai_header, boot_id), 1, 8),
		0); /* clean: it was closed and flushed */
	assert_int_equal(stoa_segment_open(path, STOA_FILE, NULL, &seg), 0);
	add(seg, 1, 2);
	assert_int_equal(truncate(path, 100000), 0);
	stoai_header(seg); /* mapping stays; nobody touches it any more */
	_Exit(0 * stoa_segment_unlink(path, STOA_FILE, NULL));
}

static void
files_in_a_child(void **state)
{
	int status;

	/* its last step cuts the file under a mapping: only in a child */
	if (!fork())
		files_refuse_damage(state);
	wait(&status);
	assert_int_equal(status, 0);
}

static void
stale_boot(void **state)
{
	char path[128];
	int fd, status;
	uint8_t other[16] = {1};
	stoa_segment *seg = NULL;

	(void)state;
	snprintf(path, sizeof path, "%s/stale.stoa", directory);
	if (!fork()) {
		if (stoa_segment_open(
			    path, STOA_CREATE | STOA_FILE, NULL, &seg) ||
			stoa_segment_attach(seg))
			_exit(1);
		_exit(0); /* without closing: it was in use */
	}
	wait(&status);
	assert_int_equal(status, 0);
	fd = open(path, O_RDWR);
	assert_int_equal(
		pwrite(fd, other, 16, offsetof(struct stoai_header, boot_id)),
		16);
	close(fd);
	assert_int_equal(
		stoa_segment_open(path, STOA_FILE, NULL, &seg), -ESTALE);
	assert_non_null(strstr(stoa_error_text(), "torn"));
}

static stoa_segment *flushed;
static uint32_t clean_at_sync[8], syncs;

static int
note_clean(enum stoai_os_call call)
{
	if (call == STOAI_OS_SYNC && syncs < 8)
		clean_at_sync[syncs++] = stoai_header(flushed)->clean;
	return 0;
}

/*
 * A file says that it is clean only after all of it was written, and says so no
 * more before anything of it is changed.
 */
static void
clean_is_said_last(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/clean.stoa", directory);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			stoa_segment_open(
				path, STOA_CREATE | STOA_FILE, NULL, &flushed),
			0);
		assert_int_equal(stoai_header(flushed)->clean, 0);
		add(flushed, 1, (uint64_t)i + 1);
		syncs = 0;
		stoai_os_fault = note_clean;
		stoa_segment_close(flushed);
		stoai_os_fault = NULL;
		assert_int_equal(syncs, 2);
		assert_int_equal(clean_at_sync[0], 0);
		assert_int_equal(clean_at_sync[1], 1);
	}
	assert_int_equal(stoa_segment_unlink(path, STOA_FILE, NULL), 0);
}

/* While it is open: everything is written, and nothing is said of its being whole. */
static void
flushed_while_open(void **state)
{
	char path[128];

	(void)state;
	assert_int_equal(stoa_segment_flush(NULL), -EINVAL);
	snprintf(path, sizeof path, "%s/flush.stoa", directory);
	assert_int_equal(stoa_segment_open(
				 path, STOA_CREATE | STOA_FILE, NULL, &flushed),
		0);
	add(flushed, 1, 1);
	syncs = 0;
	stoai_os_fault = note_clean;
	assert_int_equal(stoa_segment_flush(flushed), 0);
	stoai_os_fault = NULL;
	assert_int_equal(syncs, 1);
	assert_int_equal(clean_at_sync[0], 0);
	assert_int_equal(stoai_header(flushed)->clean, 0);
	stoa_segment_close(flushed);
	assert_int_equal(stoa_segment_unlink(path, STOA_FILE, NULL), 0);
}

/* Nor while anybody else has it open for writing. */
static void
clean_is_said_by_the_last(void **state)
{
	uint32_t clean = 1;
	stoa_segment *seg = NULL;
	char path[128], c;
	int up[2], down[2], fd, status;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof path, "%s/last.stoa", directory);
	assert_int_equal(pipe(up) | pipe(down), 0);
	pid = fork();
	if (!pid) {
		int rc = stoa_segment_open(
			path, STOA_CREATE | STOA_FILE, NULL, &seg);

		_exit(rc || write(up[1], "o", 1) != 1 ||
			read(down[0], &c, 1) != 1);
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	assert_int_equal(stoa_segment_open(path, STOA_FILE, NULL, &seg), 0);
	stoa_segment_close(seg);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, &clean, sizeof clean,
				 offsetof(struct stoai_header, clean)),
		sizeof clean);
	close(fd);
	assert_int_equal(clean, 0);
	assert_int_equal(write(down[1], "e", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
	assert_int_equal(stoa_segment_unlink(path, STOA_FILE, NULL), 0);
}

struct sitter {
	stoa_segment *seg;
	pthread_barrier_t attached, leave;
};

static void *
attach_and_wait(void *p)
{
	struct sitter *s = p;

	assert_int_equal(stoa_segment_attach(s->seg), 0);
	pthread_barrier_wait(&s->attached);
	pthread_barrier_wait(&s->leave);
	return NULL; /* detached by the end of the thread */
}

static void
slots_run_out(void **state)
{
	static struct sitter s; /* its threads outlive a failure */
	stoa_segment *seg = NULL;
	stoa_segment_stat st;
	pthread_t t[4];

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.threads = 4), &seg),
		0);
	s.seg = seg;
	pthread_barrier_init(&s.attached, NULL, 5);
	pthread_barrier_init(&s.leave, NULL, 5);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, attach_and_wait, &s);
	pthread_barrier_wait(&s.attached);
	assert_int_equal(stoa_segment_attach(seg), -EUSERS);
	assert_int_equal(
		stoa_segment_attach_until(seg, stoa_in_ms(10)), -ETIMEDOUT);
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_tx_commit(tx), -EUSERS);
	}
	pthread_barrier_wait(&s.leave);
	assert_int_equal(stoa_segment_attach_until(seg, stoa_in_ms(5000)), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	stoa_segment_statistics(seg, &st);
	assert_int_equal(st.threads, 1);
	assert_int_equal(stoa_segment_check(seg), 0);
	stoa_segment_close(seg);
}

static void
closing_under_others(void **state)
{
	struct sitter s;
	stoa_segment *seg = NULL;
	pthread_t t;

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &seg), 0);
	s.seg = seg;
	pthread_barrier_init(&s.attached, NULL, 2);
	pthread_barrier_init(&s.leave, NULL, 2);
	pthread_create(&t, NULL, attach_and_wait, &s);
	pthread_barrier_wait(&s.attached);
	stoa_segment_close(seg);
	pthread_barrier_wait(&s.leave);
	pthread_join(t, NULL); /* its token lies in the mapping until now */
}

static void
dead_slots_are_taken(void **state)
{
	stoa_segment *seg = NULL;
	stoa_segment_stat st;

	(void)state;
	for (uint32_t without = 0; without < 2; without++) {
		assert_int_equal(
			stoa_segment_open(NULL, STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.threads = 3,
					.without = without ? STOA_WITHOUT_TOKENS
							   : 0),
				&seg),
			0);
		for (int i = 0; i < 20; i++) {
			int status;

			if (!fork()) {
				const one *o = NULL;

				if (stoa_object_open(seg, "one", one, &o))
					_exit(1);
				STOA_TX(tx, seg);
				STOA_ADD(tx, o->n, 1);
				kill(getpid(), SIGKILL);
			}
			wait(&status);
			assert_true(WIFSIGNALED(status));
		}
		add(seg, 1, 1);
		stoa_segment_recover(seg);
		stoa_segment_statistics(seg, &st);
		assert_int_equal(st.threads, 1);
		assert_int_equal(st.recovered, 20);
		assert_int_equal(stoa_segment_check(seg), 0);
		assert_int_equal(stoa_segment_leaked(seg), 0);
		stoa_segment_close(seg);
	}
}

static void
read_only(void **state)
{
	stoa_segment *w = NULL, *r = NULL;
	const one *o = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("ro", STOA_CREATE, NULL, &w), 0);
	add(w, 7, 7);
	assert_int_equal(stoa_segment_open("ro", STOA_RDONLY, NULL, &r), 0);
	assert_ptr_not_equal(w, r);
	{
		STOA_READ(rd, r);
		o = stoa_object_find(rd, "one", one);
		assert_non_null(o);
		assert_int_equal(o->n, 7);
		assert_int_equal(stoa_tx_error(rd), 0);
		add(w, 1, 8);
		assert_int_equal(stoa_tx_error(rd), -EAGAIN);
	}
	{
		STOA_TX(tx, r);
		assert_int_equal(stoa_tx_commit(tx), -EROFS);
	}
	assert_int_equal(stoa_segment_attach(r), -EROFS);
	stoa_segment_close(r);
	stoa_segment_close(w);
	assert_int_equal(stoa_segment_unlink("ro", 0, NULL), 0);
}

static void
pages_are_placed(void **state)
{
	stoa_segment *seg = NULL;
	stoa_placed placed;
	char text[256];

	(void)state;
	assert_int_equal(stoa_segment_place(NULL, NULL, NULL), -EINVAL);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.size = 4 << 20), &seg),
		0);
	assert_int_equal(stoa_segment_place(seg, NULL, &placed), 0);
	assert_true(placed.resident < placed.size);
	assert_int_equal(
		stoa_segment_place(seg,
			STOA_PLACEMENT(.must = STOA_PLACE_POPULATE), &placed),
		0);
	assert_true(placed.size >= 4 << 20);
	assert_true(placed.got & STOA_PLACE_POPULATE);
	assert_int_equal(placed.resident, placed.size);
	assert_non_null(strstr(
		stoa_placed_text(&placed, text, sizeof text), "resident"));
	assert_int_equal(stoa_segment_place(seg,
				 STOA_PLACEMENT(.want = 1u << 31), &placed),
		-EINVAL);
	assert_int_equal(stoa_segment_check(seg), 0);
	stoa_segment_close(seg);
}

static void
geometry(void **state)
{
	static const uint64_t size[] = {1, 4096, 65536, 1 << 20, 1 << 26};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct stoai_header h = {.magic = STOAI_MAGIC,
			.layout_version = STOAI_LAYOUT_VERSION,
			.byte_order = STOAI_BYTE_ORDER};
		struct stoai_wish wish = {.size = size[i], .shared = true};

		assert_int_equal(stoai_geometry(&wish, &h), 0);
		h.root_off = h.heap_off + 64;
		h.sum = stoai_geometry_sum(&h);
		assert_int_equal(stoai_geometry_check(&h, "t", true), 0);
		assert_int_equal(h.lanes_off % h.page_size, 0);
		assert_int_equal(h.heap_off % h.page_size, 0);
		/* every word of the layout is bound to the others */
		for (size_t at = 72; at < 144; at += 4) {
			struct stoai_header bad = h;

			((uint8_t *)&bad)[at] ^= 1;
			bad.sum = stoai_geometry_sum(&bad);
			if (at == 92) /* padding */
				continue;
			assert_int_equal(stoai_geometry_check(&bad, "t", true),
				-EBADMSG);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named),
		cmocka_unit_test(each_way_to_open),
		cmocka_unit_test(sizes),
		cmocka_unit_test(grows),
		cmocka_unit_test(full_is_an_error),
		cmocka_unit_test(buffers),
		cmocka_unit_test(given_descriptor),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(success_leaves_no_text),
		cmocka_unit_test(threads_max_is_what_fits),
		cmocka_unit_test(files_in_a_child),
		cmocka_unit_test(stale_boot),
		cmocka_unit_test(clean_is_said_last),
		cmocka_unit_test(flushed_while_open),
		cmocka_unit_test(clean_is_said_by_the_last),
		cmocka_unit_test(slots_run_out),
		cmocka_unit_test(closing_under_others),
		cmocka_unit_test(dead_slots_are_taken),
		cmocka_unit_test(read_only),
		cmocka_unit_test(pages_are_placed),
		cmocka_unit_test(geometry),
	};

	return cmocka_run_group_tests(
		tests, directory_setup, directory_teardown);
}
