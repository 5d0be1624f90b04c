/* SPDX-License-Identifier: BSL-1.0 */
/* How long names and sizes last: last-one-out, replaced, resized, trimmed, read. */
#include <setjmp.h>
#include <stdarg.h>
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
#include "heap/heap.h"
#include "os/os.h"
#include "segment/format.h"
#include "segment_fixture.h"
#include "stoa/stoa.h"

#define MIB (UINT64_C(1) << 20)

typedef struct one {
	uint64_t n;
} one;
STOA_TYPE(one, n);

typedef struct big {
	uint8_t bytes[200000];
} big;
STOA_TYPE(big, bytes);
typedef STOA_REF(big) big_ref;
typedef struct holder {
	big_ref big[64];
} holder;
STOA_TYPE(holder, (big, big, own));

static char path[128];

static int
group_setup(void **state)
{
	int rc = directory_setup(state);

	snprintf(path, sizeof path, "%s/file", directory);
	return rc;
}

static uint64_t
add(stoa_segment *seg)
{
	const one *o = NULL;

	assert_int_equal(stoa_object_open(seg, "one", one, &o), 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_ADD(tx, o->n, 1)), 0);
	return o->n;
}

static bool
named_there(const char *name)
{
	stoa_segment *seg = NULL;
	int rc = stoa_segment_open(name, STOA_RDONLY, NULL, &seg);

	assert_true(!rc || rc == -ENOENT);
	stoa_segment_close(seg);
	return !rc;
}

/* A child that opens it, says so, and stays until it is told or killed. */
static pid_t
user_start(const char *name, unsigned flags, int *tell)
{
	int up[2], down[2];
	char letter = 0;
	pid_t pid;

	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		stoa_segment *seg = NULL;

		letter = stoa_segment_open(name, flags, NULL, &seg) ? 'n' : 'y';
		close(down[1]);
		(void)!write(up[1], &letter, 1);
		(void)!read(down[0], &letter, 1);
		stoa_segment_close(seg);
		_exit(0);
	}
	assert_int_equal(read(up[0], &letter, 1), 1);
	assert_int_equal(letter, 'y');
	close(up[0]);
	close(up[1]);
	close(down[0]);
	*tell = down[1];
	return pid;
}

static void
user_end(pid_t pid, int tell, bool killed)
{
	if (killed)
		kill(pid, SIGKILL);
	close(tell);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
last_one_out(void **state)
{
	stoa_segment *seg = NULL, *again = NULL;
	int tell;
	pid_t pid;

	(void)state;
	pid = user_start("l", STOA_CREATE | STOA_LAST_OUT, &tell);
	assert_int_equal(stoa_segment_open("l", 0, NULL, &seg), 0);
	assert_int_equal(add(seg), 1);
	assert_int_equal(stoa_segment_open("l", 0, NULL, &again), 0);
	stoa_segment_close(again);
	stoa_segment_close(seg);
	assert_true(named_there("l")); /* the child has it */
	user_end(pid, tell, false);
	assert_int_equal(stoa_segment_unlink("l", 0, NULL), -ENOENT);
	/* without a name, or without making it, it means nothing */
	assert_int_equal(stoa_segment_open(
				 NULL, STOA_CREATE | STOA_LAST_OUT, NULL, &seg),
		-EINVAL);
	assert_int_equal(
		stoa_segment_open("l", STOA_LAST_OUT, NULL, &seg), -EINVAL);
}

/* Killed, it cannot remove the name: the next one does, and gets a fresh one. */
static void
last_one_killed(void **state)
{
	stoa_segment *seg = NULL;
	int tell;

	(void)state;
	for (int create = 0; create < 2; create++) {
		pid_t pid = user_start("l", STOA_CREATE | STOA_LAST_OUT, &tell);

		assert_int_equal(stoa_segment_open("l", 0, NULL, &seg), 0);
		assert_int_equal(add(seg), 1);
		user_end(pid, tell, true);
		assert_true(named_there("l")); /* we have it */
		pid = user_start("l", 0, &tell);
		stoa_segment_close(seg);
		user_end(pid, tell, true);
		if (create) {
			assert_int_equal(stoa_segment_open("l",
						 STOA_CREATE | STOA_LAST_OUT,
						 NULL, &seg),
				0);
			assert_int_equal(add(seg), 1);
			stoa_segment_close(seg);
		} else {
			assert_int_equal(
				stoa_segment_open("l", 0, NULL, &seg), -ENOENT);
			assert_non_null(
				strstr(stoa_error_text(), "the last one"));
		}
		assert_int_equal(stoa_segment_unlink("l", 0, NULL), -ENOENT);
	}
}

/* Two that leave at the same time: one of them is the last. */
static void
last_two_out(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		pid_t pid[2];
		int tell[2];

		pid[0] = user_start("l", STOA_CREATE | STOA_LAST_OUT, &tell[0]);
		pid[1] = user_start("l", 0, &tell[1]);
		close(tell[0]);
		close(tell[1]);
		assert_int_equal(waitpid(pid[0], NULL, 0), pid[0]);
		assert_int_equal(waitpid(pid[1], NULL, 0), pid[1]);
		assert_int_equal(stoa_segment_unlink("l", 0, NULL), -ENOENT);
	}
}

/* ---- two that leave, step by step together ---- */

enum {
	GONE = 1 << 16 /* who ends is waited for no more */
};
static uint32_t *arrived; /* shared by both */

/* Each lock and each close is made when the other one is at its own, too. */
static int
meet(enum stoai_os_call call)
{
	uint32_t mine;

	if (call != STOAI_OS_LOCK && call != STOAI_OS_CLOSE)
		return 0;
	mine = __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < mine + mine % 2)
		(void)usleep(100);
	return 0;
}

static pid_t
leave_together(const char *name, unsigned flags)
{
	pid_t pid = fork();

	if (!pid) {
		stoa_segment *seg = NULL;
		int rc = stoa_segment_open(name, flags, NULL, &seg);

		(void)__atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < 2)
			(void)usleep(100);
		stoai_os_fault = meet;
		stoa_segment_close(seg);
		(void)__atomic_add_fetch(arrived, GONE, __ATOMIC_SEQ_CST);
		_exit(rc != 0);
	}
	return pid;
}

static void
both_leave(const char *name, unsigned flags)
{
	pid_t pid[2];
	int status;

	__atomic_store_n(arrived, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++)
		pid[i] = leave_together(name, flags);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_true(*arrived > 2 * GONE + 4); /* the hook was asked */
}

/* Neither may count the other as still there: then nobody were the last. */
static void
last_two_out_in_step(void **state)
{
	uint32_t clean = 0;
	int fd;

	(void)state;
	arrived = mmap(NULL, sizeof *arrived, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(arrived != MAP_FAILED);
	for (int round = 0; round < 5; round++) {
		both_leave("l", STOA_CREATE | STOA_LAST_OUT);
		assert_int_equal(stoa_segment_unlink("l", 0, NULL), -ENOENT);

		both_leave(path, STOA_CREATE | STOA_FILE);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, &clean, sizeof clean,
					 offsetof(struct stoai_header, clean)),
			sizeof clean);
		close(fd);
		assert_int_equal(clean, 1);
		assert_int_equal(stoa_segment_unlink(path, STOA_FILE, NULL), 0);
	}
	(void)munmap(arrived, sizeof *arrived);
}

/* Who opens while the last one leaves has either that one, with its name, or none. */
static void
last_one_and_a_newcomer(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		stoa_segment *seg = NULL;
		int tell;
		pid_t pid = user_start("l", STOA_CREATE | STOA_LAST_OUT, &tell);

		close(tell);
		assert_int_equal(
			stoa_segment_open(
				"l", STOA_CREATE | STOA_LAST_OUT, NULL, &seg),
			0);
		assert_int_equal(stoa_segment_current(seg), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(stoa_segment_current(seg), 0);
		stoa_segment_close(seg);
		assert_int_equal(stoa_segment_unlink("l", 0, NULL), -ENOENT);
	}
}

static void
a_replaced_name_is_noticed(void **state)
{
	stoa_segment *seg = NULL, *fresh = NULL, *none = NULL;

	(void)state;
	assert_int_equal(stoa_segment_open("r", STOA_CREATE, NULL, &seg), 0);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &none), 0);
	assert_int_equal(stoa_segment_current(seg), 0);
	assert_int_equal(stoa_segment_current(none), 0);
	assert_int_equal(stoa_segment_current(NULL), -EINVAL);
	assert_int_equal(stoa_segment_unlink("r", 0, NULL), 0);
	assert_int_equal(stoa_segment_current(seg), -ESTALE);
	assert_int_equal(stoa_segment_open("r", STOA_CREATE, NULL, &fresh), 0);
	assert_int_equal(stoa_segment_current(seg), -ESTALE);
	assert_non_null(strstr(stoa_error_text(), "open it again"));
	assert_int_equal(stoa_segment_current(fresh), 0);
	assert_int_equal(add(seg), 1); /* it works on */
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_current(fresh), 0);
	stoa_segment_close(fresh);
	stoa_segment_close(none);
	assert_int_equal(stoa_segment_unlink("r", 0, NULL), 0);
}

/* Names that no file can have: two that begin alike are two. */
static void
long_names(void **state)
{
	char name[2][448], file[512], other[448 + 8];
	stoa_segment *seg[2] = {NULL, NULL}, *again = NULL;
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(name[i], 'n', 447);
		memcpy(name[i] + 158, "\xc3\xa4\xc3\xa4",
			4); /* across the cut */
		name[i][446] = (char)('0' + i);
		name[i][447] = '\0';
		assert_int_equal(
			stoa_segment_open(name[i], STOA_CREATE, NULL, &seg[i]),
			0);
		assert_string_equal(stoa_segment_name(seg[i]), name[i]);
		for (int n = 0; n <= i; n++)
			(void)add(seg[i]);
	}
	for (int i = 0; i < 2; i++) {
		stoa_segment_close(seg[i]);
		assert_int_equal(
			stoa_segment_open(name[i], 0, NULL, &again), 0);
		assert_int_equal(add(again), (uint64_t)i + 2);
		assert_int_equal(stoa_segment_current(again), 0);
		assert_int_equal(fcntl(stoa_segment_fd(again), F_GETFD) < 0, 0);
		snprintf(file, sizeof file, "/proc/self/fd/%d",
			stoa_segment_fd(again));
		fd = open(file, O_RDWR | O_CLOEXEC);
		assert_true(fd > 0);
		stoa_segment_close(again);
		/* as if two names had one hash */
		assert_int_equal(pwrite(fd, "x", 1, 1024 - 448), 1);
		assert_int_equal(
			stoa_segment_open(name[i], 0, NULL, &again), -EEXIST);
		close(fd);
		assert_int_equal(stoa_segment_unlink(name[i], 0, NULL), 0);
		assert_int_equal(
			stoa_segment_open(name[i], 0, NULL, &again), -ENOENT);
	}
	memset(other, 'n', 448);
	other[448] = '\0';
	assert_int_equal(stoa_segment_open(other, STOA_CREATE, NULL, &again),
		-ENAMETOOLONG);
}

static uint64_t
heap_size(const char *name, unsigned flags)
{
	stoa_segment *seg = NULL;
	stoa_segment_stat st;

	assert_int_equal(stoa_segment_open(name, flags, NULL, &seg), 0);
	stoa_segment_statistics(seg, &st);
	assert_int_equal(stoa_segment_check(seg), 0);
	stoa_segment_close(seg);
	return st.size;
}

static void
hold(stoa_segment *seg, unsigned from, unsigned to)
{
	const holder *h = NULL;

	assert_int_equal(stoa_object_open(seg, "holder", holder, &h), 0);
	for (unsigned i = from; i < to; i++)
		assert_int_equal(
			STOA_DO(tx, seg,
				STOA_LINK(tx, h->big[i], stoa_new(tx, big))),
			0);
}

static void
drop(stoa_segment *seg, unsigned from, unsigned to)
{
	const holder *h = NULL;

	assert_int_equal(stoa_object_open(seg, "holder", holder, &h), 0);
	for (unsigned i = from; i < to; i++)
		assert_int_equal(
			STOA_DO(tx, seg,
				stoa_delete(tx, big, stoa_get(tx, h->big[i])),
				STOA_LINK(tx, h->big[i], NULL)),
			0);
}

static void
resized(void **state)
{
	const char *const name[] = {"z", path};

	(void)state;
	for (unsigned file = 0; file < 2; file++) {
		unsigned flags = file ? STOA_FILE : 0;
		stoa_segment *seg = NULL;
		struct stat before, after;
		char where[256];
		int64_t now;
		int tell;
		pid_t pid;

		snprintf(where, sizeof where, file ? "%s" : "%s/default/z",
			file ? path : directory);
		assert_int_equal(
			stoa_segment_resize(name[file], flags, NULL, 0),
			-ENOENT);
		assert_int_equal(
			stoa_segment_open(name[file], flags | STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.size = MIB,
					.limit = 64 * MIB),
				&seg),
			0);
		assert_int_equal(
			stoa_segment_resize(name[file], flags, NULL, 4 * MIB),
			-EBUSY);
		pid = user_start(name[file], flags, &tell);
		hold(seg, 0, 20);
		stoa_segment_close(seg);
		assert_int_equal(
			stoa_segment_resize(name[file], flags, NULL, 0),
			-EBUSY);
		user_end(pid, tell, true);
		pid = user_start(name[file], flags | STOA_RDONLY, &tell);
		assert_int_equal(
			stoa_segment_resize(name[file], flags, NULL, 0),
			-EBUSY);
		user_end(pid, tell, false);
		/* grown */
		now = stoa_segment_resize(name[file], flags, NULL, 32 * MIB);
		assert_int_equal(now, 32 * MIB);
		assert_int_equal(heap_size(name[file], flags), now);
		assert_int_equal(stat(where, &before), 0);
		assert_true((uint64_t)before.st_blocks * 512 > 32 * MIB);
		assert_int_equal(
			stoa_segment_resize(name[file], flags, NULL, 65 * MIB),
			-ENOSPC);
		/* to fit: 20 of 200000 bytes, each in 13 spans of 16 KiB */
		now = stoa_segment_resize(name[file], flags, NULL, 0);
		assert_in_range(now, 4 * MIB, 5 * MIB);
		assert_int_equal(heap_size(name[file], flags), now);
		assert_int_equal(stat(where, &after), 0);
		assert_true(after.st_size < before.st_size - (off_t)(26 * MIB));
		assert_true(after.st_blocks < before.st_blocks - 26 * 2048);
		/* what was in it is there, and it grows by itself again */
		assert_int_equal(
			stoa_segment_open(name[file], flags, NULL, &seg), 0);
		hold(seg, 20, 40);
		assert_int_equal(stoa_segment_check(seg), 0);
		assert_int_equal(stoa_segment_leaked(seg), 0);
		stoa_segment_close(seg);
		assert_int_equal(
			stoa_segment_unlink(name[file], flags, NULL), 0);
	}
}

/* Live: a process that knew the old end works on, and the heap grows again. */
static void
shorter_under_others(void **state)
{
	stoa_segment *seg = NULL;
	stoa_segment_stat st;
	uint64_t full;
	int status, up[2], down[2];
	char letter = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &seg), 0);
	hold(seg, 0, 40);
	stoa_segment_statistics(seg, &st);
	full = st.size;
	pid = fork();
	if (!pid) {
		const holder *h = NULL;
		int rc = stoa_object_open(seg, "holder", holder, &h);

		/* sees the long heap, and then waits */
		for (unsigned i = 0; i < 5 && !rc; i++)
			rc = STOA_DO(tx, seg,
				STOA_LINK(
					tx, h->big[40 + i], stoa_new(tx, big)));
		(void)!write(up[1], "x", 1);
		(void)!read(down[0], &letter, 1);
		for (unsigned i = 5; i < 24 && !rc; i++)
			rc = STOA_DO(tx, seg,
				STOA_LINK(
					tx, h->big[40 + i], stoa_new(tx, big)));
		_exit(rc != 0 || stoa_segment_check(seg) != 0);
	}
	assert_int_equal(read(up[0], &letter, 1), 1);
	drop(seg, 3, 40);
	drop(seg, 40, 45);
	assert_true(stoa_segment_trim(seg) > (int64_t)(4 * MIB));
	stoa_segment_statistics(seg, &st);
	assert_true(st.size < full / 2);
	assert_int_equal(stoa_segment_check(seg), 0);
	(void)!write(down[1], "x", 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	hold(seg, 10, 40);
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
	stoa_segment_close(seg);
}

static void
fill_needs(stoa_segment *seg, const stoa_segment_need need[2])
{
	struct stoai_seat *seat;
	struct stoai_cached block;

	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	for (int k = 0; k < 2; k++)
		for (uint64_t i = 0; i < need[k].count; i++)
			assert_int_equal(stoai_heap_alloc(seat, need[k].size,
						 16, &block),
				0);
}

/* Why there was no memory, in numbers. */
static void
shortages(void **state)
{
	_Alignas(64) static char buffer[128 << 10];
	stoa_segment_shortage what;
	struct stoai_seat *seat;
	stoa_segment *seg = NULL;
	struct stoai_cached block, run[8];

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = MIB, .limit = MIB), &seg),
		0);
	stoa_segment_last_shortage(seg, &what);
	assert_int_equal(what.hit, STOA_LIMIT_NONE);
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	assert_int_equal(stoai_heap_alloc(seat, 2 * MIB, 16, &block), -ENOSPC);
	stoa_segment_last_shortage(seg, &what);
	assert_int_equal(what.hit, STOA_LIMIT_SEGMENT);
	assert_int_equal(what.wanted, 2 * MIB);
	assert_int_equal(what.limit, MIB);
	assert_int_equal(what.error, 0);
	assert_true(what.used > 0 && what.used < MIB);
	/* every other piece free: enough in all, not in one */
	for (int i = 0; i < 8; i++)
		assert_int_equal(
			stoai_heap_alloc(seat, 100 << 10, 16, &run[i]), 0);
	for (int i = 0; i < 8; i += 2)
		assert_int_equal(stoai_heap_free(seat, run[i].off), 0);
	assert_int_equal(
		stoai_heap_alloc(seat, 250 << 10, 16, &block), -ENOSPC);
	stoa_segment_last_shortage(seg, &what);
	assert_int_equal(what.hit, STOA_LIMIT_PIECES);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.buffer = buffer,
					 .size = sizeof buffer, .limit = MIB,
					 .threads = 2),
				 &seg),
		0);
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	assert_int_equal(
		stoai_heap_alloc(seat, 500 << 10, 16, &block), -ENOSPC);
	stoa_segment_last_shortage(seg, &what);
	assert_int_equal(what.hit, STOA_LIMIT_BUFFER);
	stoa_segment_close(seg);
}

/* What is said to be enough is, and not ten times too much. */
static void
required_is_enough(void **state)
{
	static const stoa_segment_need need[][2] = {{{8, 1000}, {0, 0}},
		{{64, 5000}, {200000, 3}}, {{200, 100}, {1024, 100}},
		{{200000, 40}, {16, 1}}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		uint64_t buffer_size = 0, sum = 0;
		int64_t size = stoa_segment_required(need[i], 2, &buffer_size);

		assert_true(size > 0 && buffer_size > (uint64_t)size);
		for (int k = 0; k < 2; k++)
			sum += need[i][k].size * need[i][k].count;
		assert_true((uint64_t)size < 2 * sum + 512 * 1024);
		for (int kind = 0; kind < 2; kind++) {
			void *buffer = aligned_alloc(64, buffer_size + 64);
			stoa_segment *seg = NULL;
			const stoa_segment_options *o =
				kind ? STOA_SEGMENT_OPTIONS(.buffer = buffer,
					       .size = buffer_size)
				     : STOA_SEGMENT_OPTIONS(.size = (uint64_t)
								    size,
					       .limit = (uint64_t)size);

			assert_int_equal(
				stoa_segment_open(NULL, STOA_CREATE, o, &seg),
				0);
			fill_needs(seg, need[i]);
			stoa_segment_close(seg);
			free(buffer);
		}
	}
	assert_int_equal(stoa_segment_required(NULL, 1, NULL), -EINVAL);
	assert_int_equal(
		stoa_segment_required(
			(stoa_segment_need[]){{UINT64_MAX, 2}}, 1, NULL),
		-EOVERFLOW);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_one_out),
		cmocka_unit_test(last_one_killed),
		cmocka_unit_test(last_two_out),
		cmocka_unit_test(last_two_out_in_step),
		cmocka_unit_test(last_one_and_a_newcomer),
		cmocka_unit_test(a_replaced_name_is_noticed),
		cmocka_unit_test(long_names),
		cmocka_unit_test(resized),
		cmocka_unit_test(shorter_under_others),
		cmocka_unit_test(shortages),
		cmocka_unit_test(required_is_enough),
	};

	return cmocka_run_group_tests(tests, group_setup, directory_teardown);
}
