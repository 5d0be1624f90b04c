/* SPDX-License-Identifier: BSL-1.0 */
/*
 * region: other sizes, parts given back, what is said to the system about the bytes,
 * seals, descriptors passed on, owners, placement.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/region.h>

#include "region_fixture.h"

enum {
	KIB = 1 << 10,
	MIB = 1 << 20,
	SOMEBODY = 54321,
	ANOTHER = 54322
};

/* ---- sizes ---- */

static void
grows_and_shrinks(void **state)
{
	stoa_region *a = NULL, *b = NULL;
	const size_t page = stoa_region_page(NULL);
	const size_t sizes[] = {
		100, 5000, 5001, MIB, page, page + 1, 64, 3000, 8 * MIB, 1};
	uint64_t size;
	struct stat st;

	(void)state;
	assert_int_equal(stoa_region_open("r", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 10), &a),
		0);
	assert_int_equal(stoa_region_open("r", 0, NULL, &b), 0);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const size_t before = stoa_region_size(a);
		const size_t kept = before < sizes[i] ? before : sizes[i];
		unsigned char *copy = malloc(kept);

		fill(a, (unsigned char)(i + 1));
		assert_non_null(copy);
		memcpy(copy, stoa_region_data(a), kept);
		assert_int_equal(stoa_region_resize(a, sizes[i]), 0);
		/* before a look at the pages makes them */
		assert_int_equal(fstat(stoa_region_fd(a), &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
		assert_true((size_t)st.st_blocks * 512 >= sizes[i]);
		assert_int_equal(stoa_region_size(a), sizes[i]);
		assert_memory_equal(stoa_region_data(a), copy, kept);
		for (size_t j = kept; j < sizes[i]; j++)
			if (((char *)stoa_region_data(a))[j])
				fail_msg("byte %zu of %zu is not zero", j,
					sizes[i]);
		/* another one of the same backing sees it when it wants to */
		assert_int_equal(stoa_region_follow(b), 0);
		assert_true(same_bytes(a, b));
		free(copy);
	}
	assert_int_equal(stoa_region_resize(a, 0), -EINVAL);
	assert_int_equal(stoa_region_resize(a, UINT64_MAX), -EFBIG);
	assert_int_equal(stoa_region_resize(a, INT64_MAX), -ENOMEM);
	assert_int_equal(stoa_region_backing_size(a, &size), 0);
	assert_int_equal(size, 1);
	/* what is behind the window of another goes, and the window with it */
	assert_int_equal(stoa_region_resize(a, 3 * page), 0);
	b = stoa_region_close(b);
	assert_int_equal(stoa_region_open("r", 0,
				 STOA_REGION_OPTIONS(.offset = page + 7), &b),
		0);
	assert_int_equal(stoa_region_resize(a, page), 0);
	assert_int_equal(stoa_region_follow(b), 0);
	assert_int_equal(stoa_region_size(b), 0);
	assert_null(stoa_region_data(b));
	assert_int_equal(stoa_region_resize(a, 2 * page), 0);
	fill(a, 77);
	assert_int_equal(stoa_region_follow(b), 0);
	assert_int_equal(stoa_region_size(b), page - 7);
	assert_memory_equal(stoa_region_data(b),
		(char *)stoa_region_data(a) + page + 7, page - 7);
	a = stoa_region_close(a);
	b = stoa_region_close(b);
	assert_int_equal(stoa_region_unlink("r", 0, NULL), 0);
}

/* Pages of address space that this process has. */
static size_t
address_space(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	(void)read(fd, text, sizeof text - 1);
	(void)close(fd);
	return strtoul(text, NULL, 10);
}

static void
a_failed_resize_changes_nothing(void **state)
{
	static const enum stoai_os_call calls[] = {
		STOAI_OS_STAT, STOAI_OS_MAP, STOAI_OS_ALLOCATE};
	stoa_region *r = NULL;
	struct stat st;
	size_t before;
	void *data;

	(void)state;
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 5000), &r),
		0);
	fill(r, 1);
	data = stoa_region_data(r);
	before = address_space();
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		fault_start();
		fault_fail(calls[i], 1, -ENOSPC);
		assert_int_equal(stoa_region_resize(r, MIB), -ENOSPC);
		assert_true(fault_hit());
		fault_stop();
		assert_ptr_equal(stoa_region_data(r), data);
		assert_int_equal(stoa_region_size(r), 5000);
		assert_int_equal(address_space(), before);
		assert_int_equal(fstat(stoa_region_fd(r), &st), 0);
		assert_int_equal(st.st_size, 5000);
	}
	fault_start();
	fault_fail(STOAI_OS_TRUNCATE, 1, -EIO);
	assert_int_equal(stoa_region_resize(r, 1), -EIO);
	fault_stop();
	assert_int_equal(stoa_region_size(r), 5000);
	fill(r, 2);
	r = stoa_region_close(r);
	/* it may not move, and cannot grow where it is */
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = MIB), &r),
		0);
	data = (char *)stoa_region_data(r) + 64 * KIB;
	r = stoa_region_close(r);
	assert_int_equal(
		stoa_region_open(NULL, STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 4096, .address = data), &r),
		0);
	assert_ptr_not_equal(
		mmap((char *)data + 4096, 4096, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			0),
		MAP_FAILED);
	assert_int_equal(stoa_region_resize(r, 8192), -EBUSY);
	assert_int_equal(stoa_region_size(r), 4096);
	(void)munmap((char *)data + 4096, 4096);
	assert_int_equal(stoa_region_resize(r, 8192), 0);
	assert_ptr_equal(stoa_region_data(r), data);
	r = stoa_region_close(r);
}

static bool
mapped(const void *p)
{
	const size_t page = stoa_region_page(NULL);
	unsigned char there;

	return !mincore((void *)((uintptr_t)p / page * page), page, &there);
}

static void
shrinks_from_both_ends(void **state)
{
	const size_t page = stoa_region_page(NULL), all = 8 * page;
	stoa_region *r = NULL;
	struct stat st;
	char *base;

	(void)state;
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = all), &r),
		0);
	fill(r, 3);
	base = stoa_region_data(r);
	assert_int_equal(stoa_region_shrink_back(r, all + 1), -EINVAL);
	assert_int_equal(stoa_region_shrink_back(r, 0), 0);
	assert_int_equal(stoa_region_shrink_back(r, page - 1), 0);
	assert_true(mapped(base + 7 * page)); /* one byte of it is left */
	assert_int_equal(stoa_region_shrink_back(r, 1), 0);
	assert_false(mapped(base + 7 * page));
	assert_int_equal(stoa_region_shrink_front(r, page + 10), 0);
	assert_false(mapped(base));
	assert_true(mapped(base + page));
	assert_ptr_equal(stoa_region_data(r), base + page + 10);
	assert_int_equal(stoa_region_size(r), 6 * page - 10);
	assert_int_equal(stoa_region_offset(r), page + 10);
	assert_int_equal(stoa_region_shrink_front(r, page - 10), 0);
	assert_false(mapped(base + page));
	assert_int_equal(stoa_region_size(r), 5 * page);
	assert_int_equal(fstat(stoa_region_fd(r), &st), 0);
	assert_int_equal(st.st_size, all); /* the backing stays */
	assert_int_equal(stoa_region_follow(r), 0);
	assert_int_equal(stoa_region_size(r), 6 * page);
	assert_int_equal(stoa_region_shrink_front(r, 6 * page), 0);
	assert_null(stoa_region_data(r));
	assert_int_equal(stoa_region_size(r), 0);
	assert_int_equal(stoa_region_flush(r, 0, 0), 0);
	r = stoa_region_close(r);
}

/* ---- bytes ---- */

static void
flushes_any_range(void **state)
{
	stoa_region *r = NULL;
	char *disk = scene_directory(true);
	static const size_t ranges[][2] = {{0, 0}, {0, 1}, {1, 1}, {4095, 2},
		{4097, 1}, {9998, 1}, {9999, 0}, {100, 9000}};

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		assert_int_equal(
			stoa_region_open(kind ? scene_path(disk, "f") : NULL,
				STOA_CREATE | (kind ? STOA_FILE : 0u),
				STOA_REGION_OPTIONS(.size = 9999), &r),
			0);
		fill(r, 4);
		for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
			assert_int_equal(stoa_region_flush_start(
						 r, ranges[i][0], ranges[i][1]),
				0);
			assert_int_equal(stoa_region_flush(
						 r, ranges[i][0], ranges[i][1]),
				0);
		}
		assert_int_equal(stoa_region_flush(r, 10000, 0), -EINVAL);
		assert_int_equal(stoa_region_flush(r, 9999, 1), -EINVAL);
		assert_int_equal(stoa_region_flush(r, 1, SIZE_MAX), -EINVAL);
		fault_start();
		fault_fail(STOAI_OS_SYNC, 1, -EIO);
		assert_int_equal(stoa_region_flush(r, 0, 0), -EIO);
		assert_true(text_has("disk"));
		fault_stop();
		r = stoa_region_close(r);
	}
	scene_remove(disk);
}

static void
advice_loses_nothing(void **state)
{
	static const unsigned flags[] = {STOA_CREATE, STOA_CREATE | STOA_LOCAL,
		STOA_CREATE | STOA_LOCAL | STOA_PRIVATE};
	stoa_region *r = NULL, *same = NULL;

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(
			stoa_region_open(NULL, flags[k],
				STOA_REGION_OPTIONS(.size = 20000), &r),
			0);
		assert_int_equal(
			stoa_region_open(NULL, STOA_CREATE,
				STOA_REGION_OPTIONS(.size = 20000), &same),
			0);
		fill(r, 6);
		fill(same, 6);
		for (int i = 0; i <= STOA_ADVICE_NODUMP; i++) {
			assert_int_equal(stoa_region_advise(
						 r, 0, 0, (enum stoa_advice)i),
				0);
			assert_int_equal(stoa_region_advise(r, 4000, 5000,
						 (enum stoa_advice)i),
				0);
			assert_true(same_bytes(r, same));
		}
		assert_int_equal(
			stoa_region_advise(r, 0, 0, (enum stoa_advice)99),
			-EINVAL);
		r = stoa_region_close(r);
		same = stoa_region_close(same);
	}
}

static void
pages_come_before_they_are_touched(void **state)
{
	stoa_region *r = NULL;
	stoa_placed placed;
	int fd = open(in_room("holes"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0 && !ftruncate(fd, MIB) && !close(fd));
	assert_int_equal(
		stoa_region_open(in_room("holes"), STOA_FILE, NULL, &r), 0);
	assert_int_equal(
		stoa_place(stoa_region_data(r), MIB, NULL, &placed), 0);
	assert_int_equal(placed.resident, 0);
	assert_int_equal(stoa_region_prefault(r, 4096, 8192), 0);
	assert_int_equal(
		stoa_place(stoa_region_data(r), MIB, NULL, &placed), 0);
	assert_int_equal(placed.resident, 8192);
	assert_int_equal(stoa_region_prefault(r, 0, 0), 0);
	assert_int_equal(stoa_region_lock(r, 0, 65536), 0);
	assert_int_equal(
		stoa_place(stoa_region_data(r), MIB, NULL, &placed), 0);
	assert_int_equal(placed.resident, MIB);
	assert_int_equal(placed.locked, 65536);
	assert_int_equal(stoa_region_unlock(r, 0, 0), 0);
	assert_int_equal(
		stoa_place(stoa_region_data(r), MIB, NULL, &placed), 0);
	assert_int_equal(placed.locked, 0);
	/* cut short: an error, never a signal */
	assert_int_equal(truncate(in_room("holes"), 100), 0);
	assert_int_equal(stoa_region_prefault(r, 0, 0), -ENOSPC);
	assert_true(text_has("cut short"));
	r = stoa_region_close(r);
}

/* ---- passing on ---- */

static int
receiver(void *arg)
{
	const int *s = arg, socket = s[1];
	stoa_region *r = NULL;
	char path[40];
	int fd, again;

	(void)close(s[0]);
	fd = stoa_fd_receive(socket);
	must(fd >= 0);
	must(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	/* by no way: the seal holds for everybody, and for what is opened anew */
	must(stoa_region_open(NULL, 0, STOA_REGION_OPTIONS(.fd = fd), &r) ==
		-EPERM);
	must(strstr(stoa_error_text(), "STOA_RDONLY") != NULL);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	must(again >= 0); /* its owner may; it is of no use */
	must(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
	must(pwrite(again, "x", 1, 0) < 0);
	must(!stoa_region_open(
		NULL, STOA_RDONLY, STOA_REGION_OPTIONS(.fd = fd), &r));
	must(*(char *)stoa_region_data(r) == 5);
	must(mprotect(stoa_region_data(r), 4096, PROT_READ | PROT_WRITE) < 0);
	must(write(socket, "x", 1) == 1);
	must(stoa_fd_receive(socket) == -EBADMSG);
	must(stoa_fd_receive(socket) == -ENODATA);
	return 0;
}

static void
sealed_and_passed_on(void **state)
{
	stoa_region *r = NULL;
	int s[2], child, fd;
	char byte;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(
		stoa_region_open(NULL, STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 4096,
				.seal = STOA_SEAL_FUTURE_WRITE |
					STOA_SEAL_SHRINK | STOA_SEAL_GROW),
			&r),
		0);
	fill(r, 5); /* the mapping that was there writes on */
	assert_int_equal(stoa_region_resize(r, 8192), -EPERM);
	assert_int_equal(stoa_region_resize(r, 1), -EPERM);
	assert_true(text_has("sealed"));
	assert_int_equal(stoa_region_seal(r, STOA_SEAL_WRITE), -EBUSY);
	child = scene_fork(receiver, s);
	(void)close(s[1]);
	assert_int_equal(stoa_fd_send(s[0], stoa_region_fd(r)), 0);
	assert_int_equal(read(s[0], &byte, 1), 1);
	assert_int_equal(write(s[0], "y", 1), 1);
	(void)close(s[0]);
	assert_int_equal(scene_wait(child), 0);
	assert_int_equal(stoa_region_seal(r, STOA_SEAL_SEAL), 0);
	assert_int_equal(stoa_region_seal(r, STOA_SEAL_SEAL), -EPERM);
	r = stoa_region_close(r);
	/* a read-only descriptor of memory that is not sealed */
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 4096), &r),
		0);
	fd = stoa_region_export(r, STOA_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_ptr_equal(
		mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	(void)close(fd);
	fd = stoa_region_export(r, 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(stoa_fd_send(fd, fd), -ENOTSOCK);
	(void)close(fd);
	r = stoa_region_close(r);
	assert_int_equal(stoa_region_open(in_room("f"), STOA_FILE | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 1), &r),
		0);
	assert_int_equal(stoa_region_seal(r, STOA_SEAL_GROW), -EINVAL);
	assert_true(text_has("only a memfd"));
	r = stoa_region_close(r);
}

static void
a_message_with_many_descriptors_leaks_none(void **state)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(5 * sizeof(int))];
	} control;
	char letter = 'd';
	struct iovec bytes = {&letter, 1};
	struct msghdr m = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	int s[2], many[5], before, fd;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	memset(&control, 0, sizeof control);
	for (int i = 0; i < 5; i++)
		many[i] = s[0];
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof many);
	memcpy(CMSG_DATA(&control.head), many, sizeof many);
	assert_int_equal(sendmsg(s[0], &m, 0), 1);
	before = scene_fds();
	fd = stoa_fd_receive(s[1]);
	assert_true(fd > 2);
	assert_int_equal(scene_fds(), before + 1);
	(void)close(fd);
	(void)close(s[0]);
	assert_int_equal(stoa_fd_receive(s[1]), -ENODATA);
	assert_true(text_has("closed"));
	(void)close(s[1]);
}

/* ---- owners ---- */

struct as {
	uid_t uid;
	const char *name;
	unsigned flags;
	uint32_t trusted;
	int want;
};

static int
opens_as(void *arg)
{
	const struct as *a = arg;
	stoa_region *r = NULL;
	int rc;

	must(!setgroups(0, NULL) && !setgid(a->uid) && !setuid(a->uid));
	rc = stoa_region_open(a->name, a->flags,
		STOA_REGION_OPTIONS(.owner = a->trusted,
			.size = a->flags & STOA_CREATE ? 4096u : 0u,
			.mode = STOA_UNRESTRICTED),
		&r);
	if (rc != a->want)
		(void)fprintf(stderr, "uid %u: %d, not %d: %s\n", a->uid, rc,
			a->want, stoa_error_text());
	must(rc == a->want);
	if (!rc && !(a->flags & STOA_RDONLY))
		*(char *)stoa_region_data(r) = 9;
	r = stoa_region_close(r);
	return 0;
}

static void tried(struct as a)
{
	assert_int_equal(scene_child(opens_as, &a), 0);
}

static void
other_users(void **state)
{
	const char *names[] = {"u", in_room("file"), "/stoa-users", room};
	const unsigned flags[] = {0, STOA_FILE, STOA_POSIX, STOA_XSI};
	stoa_region *r = NULL;
	const mode_t mask = umask(0077);

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("other_users", "only root can be somebody else");
		(void)umask(mask);
		return;
	}
	assert_int_equal(chmod(room, 01777), 0);
	for (int i = 0; i < 4; i++) {
		const unsigned f = flags[i];

		/* open to all, whatever the umask; by root, so trusted */
		assert_int_equal(stoa_region_open(names[i], f | STOA_CREATE,
					 STOA_REGION_OPTIONS(.size = 4096,
						 .mode = STOA_UNRESTRICTED),
					 &r),
			0);
		assert_int_equal(stoa_region_mode(r), 0666);
		if (i == 0) /* the domain of root's is root's alone */
			assert_int_equal(chmod(in_room("default"), 0755), 0);
		tried((struct as){SOMEBODY, names[i], f, 0, 0});
		assert_int_equal(*(char *)stoa_region_data(r), 9);
		r = stoa_region_close(r);
		assert_int_equal(stoa_region_unlink(names[i], f, NULL), 0);
		/* for reading only */
		assert_int_equal(
			stoa_region_open(names[i], f | STOA_CREATE,
				STOA_REGION_OPTIONS(.size = 4096, .mode = 0644),
				&r),
			0);
		tried((struct as){SOMEBODY, names[i], f, 0, -EACCES});
		tried((struct as){SOMEBODY, names[i], f | STOA_RDONLY, 0, 0});
		r = stoa_region_close(r);
		assert_int_equal(stoa_region_unlink(names[i], f, NULL), 0);
		/* given away: its mode is for its new owner */
		assert_int_equal(
			stoa_region_open(names[i], f | STOA_CREATE,
				STOA_REGION_OPTIONS(.size = 4096, .mode = 0600,
					.owner = STOA_ID(SOMEBODY),
					.group = STOA_ID(SOMEBODY)),
				&r),
			0);
		assert_int_equal(stoa_region_mode(r), 0600);
		tried((struct as){SOMEBODY, names[i], f, 0, 0});
		tried((struct as){ANOTHER, names[i], f, STOA_ANYBODY, -EACCES});
		r = stoa_region_close(r);
		assert_int_equal(stoa_region_unlink(names[i], f, NULL), 0);
	}
	(void)umask(mask);
}

/* Of somebody who is neither root nor oneself: only by one's own wish. */
static void
strangers_are_trusted_by_wish_alone(void **state)
{
	const mode_t mask = umask(0077);

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("strangers", "only root can be somebody else");
		(void)umask(mask);
		return;
	}
	assert_int_equal(chmod(room, 01777), 0);
	tried((struct as){
		SOMEBODY, in_room("s"), STOA_FILE | STOA_CREATE, 0, 0});
	/* whom one trusts is not whom one gives it to */
	tried((struct as){SOMEBODY, in_room("any"), STOA_FILE | STOA_CREATE,
		STOA_ANYBODY, 0});
	tried((struct as){ANOTHER, in_room("s"), STOA_FILE, 0, -EPERM});
	tried((struct as){ANOTHER, in_room("s"), STOA_FILE, STOA_ANYBODY, 0});
	tried((struct as){
		ANOTHER, in_room("s"), STOA_FILE, STOA_ID(SOMEBODY), 0});
	(void)umask(mask);
}

static int
gives_away(void *arg)
{
	stoa_region *r = NULL;

	must(!setgroups(0, NULL) && !setgid(SOMEBODY) && !setuid(SOMEBODY));
	must(stoa_region_open(arg, STOA_FILE | STOA_CREATE,
		     STOA_REGION_OPTIONS(.size = 1, .owner = STOA_ID(ANOTHER)),
		     &r) == -EPERM);
	must(strstr(stoa_error_text(), "54322") != NULL);
	must(access(arg, F_OK) < 0); /* not made, then */
	return 0;
}

static void
who_may_not_give_makes_nothing(void **state)
{
	char path[256];

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("giving", "only root can be somebody else");
		return;
	}
	assert_int_equal(chmod(room, 01777), 0);
	(void)snprintf(path, sizeof path, "%s", in_room("g"));
	assert_int_equal(scene_child(gives_away, path), 0);
}

/* ---- placement ---- */

static void
placement_says_what_it_got(void **state)
{
	stoa_region *r = NULL;
	stoa_placed p;
	char text[400];

	(void)state;
	assert_int_equal(
		stoa_region_open(NULL, STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 4 * MIB,
				.placement = STOA_PLACEMENT(
						.want = STOA_PLACE_HUGE |
							STOA_PLACE_NUMA |
							STOA_PLACE_POPULATE,
					.numa = STOA_NUMA_PREFERRED,
					.nodes = 1),
				.placed = &p),
			&r),
		0);
	assert_int_equal(p.size, 4 * MIB);
	assert_int_equal(p.resident, 4 * MIB);
	assert_true(p.got & STOA_PLACE_POPULATE);
	assert_true(!(p.got & STOA_PLACE_HUGE) == (p.huge != 0));
	assert_true(!(p.got & STOA_PLACE_HUGE) ==
		    (!p.in_huge && p.page == stoa_region_page(NULL)));
	if (p.numa)
		scene_skipped("NUMA", stoa_strerror(p.numa));
	else
		assert_true(p.policy == STOA_NUMA_PREFERRED && p.nodes == 1);
	(void)fprintf(stderr, "%s\n", stoa_placed_text(&p, text, sizeof text));
	assert_non_null(strstr(text, "4.0 MiB"));
	/* whatever pages it has: it grows and shrinks by them */
	fill(r, 1);
	assert_int_equal(stoa_region_shrink_back(r, 1), 0);
	assert_int_equal(stoa_region_page(r) % stoa_region_page(NULL), 0);
	r = stoa_region_close(r);
}

/* How many of 2 MiB are free on this system. */
static long
huge_pages(void)
{
	char text[32] = "";
	int fd = open("/sys/kernel/mm/hugepages/hugepages-2048kB/"
		      "free_hugepages",
		O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	(void)read(fd, text, sizeof text - 1);
	(void)close(fd);
	return strtol(text, NULL, 10);
}

static void
huge_pages_are_pages(void **state)
{
	stoa_region *r = NULL, *part = NULL;
	stoa_placed p;

	(void)state;
	if (huge_pages() < 3) {
		scene_skipped(
			"huge pages", "sysctl vm.nr_hugepages=3 has them");
		return;
	}
	assert_int_equal(
		stoa_region_open(NULL, STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 3 * MIB,
				.placement =
					STOA_PLACEMENT(.must = STOA_PLACE_HUGE),
				.placed = &p),
			&r),
		0);
	assert_int_equal(p.got, STOA_PLACE_HUGE);
	assert_int_equal(p.page, 2 * MIB);
	assert_int_equal(p.in_huge, 4 * MIB);
	assert_int_equal(stoa_region_page(r), 2 * MIB);
	assert_int_equal(stoa_region_size(r), 3 * MIB);
	fill(r, 1);
	assert_int_equal(stoa_region_open(NULL, STOA_RDONLY,
				 STOA_REGION_OPTIONS(.fd = stoa_region_fd(r),
					 .offset = 2 * MIB + 5),
				 &part),
		0);
	assert_memory_equal(stoa_region_data(part),
		(char *)stoa_region_data(r) + 2 * MIB + 5, MIB - 5);
	assert_int_equal(stoa_region_resize(r, 5 * MIB), 0);
	fill(r, 2);
	assert_int_equal(stoa_region_resize(r, MIB), 0);
	fill(r, 3);
	assert_int_equal(stoa_region_shrink_front(r, 77), 0);
	part = stoa_region_close(part);
	r = stoa_region_close(r);
	assert_true(huge_pages() >= 3);
}

/* Done without, and the report says so; a must is an error. */
static void
placement_refused(void **state)
{
	stoa_region *r = NULL;
	stoa_placed p;

	(void)state;
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
				 STOA_REGION_OPTIONS(.size = MIB), &r),
		0);
	fault_start();
	fault_always(STOAI_OS_ADVISE, -EINVAL);
	fault_always(STOAI_OS_MBIND, -EPERM);
	fault_always(STOAI_OS_RESIDE, -ENOMEM);
	assert_int_equal(
		stoa_place(stoa_region_data(r), MIB,
			STOA_PLACEMENT(.want = 15, .numa = STOA_NUMA_LOCAL),
			&p),
		0);
	assert_int_equal(p.got, 0);
	assert_int_equal(p.huge, -EINVAL);
	assert_int_equal(p.numa, -EPERM);
	assert_int_equal(p.populate, -EINVAL);
	assert_int_equal(p.lock, -ENOMEM);
	for (uint32_t bit = 1; bit < 16; bit *= 2) {
		int rc = stoa_place(stoa_region_data(r), MIB,
			STOA_PLACEMENT(.must = bit, .numa = STOA_NUMA_LOCAL),
			NULL);

		assert_true(rc < 0);
		assert_true(text_has("must be"));
	}
	fault_stop();
	assert_int_equal(stoa_place(stoa_region_data(r), MIB,
				 STOA_PLACEMENT(.want = STOA_PLACE_NUMA,
					 .numa = STOA_NUMA_BIND),
				 &p),
		-EINVAL);
	assert_int_equal(stoa_place(stoa_region_data(r), MIB,
				 STOA_PLACEMENT(.want = 16), &p),
		-EINVAL);
	r = stoa_region_close(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grows_and_shrinks),
		TEST(a_failed_resize_changes_nothing),
		TEST(shrinks_from_both_ends),
		TEST(flushes_any_range),
		TEST(advice_loses_nothing),
		TEST(pages_come_before_they_are_touched),
		TEST(sealed_and_passed_on),
		TEST(a_message_with_many_descriptors_leaks_none),
		TEST(other_users),
		TEST(strangers_are_trusted_by_wish_alone),
		TEST(who_may_not_give_makes_nothing),
		TEST(placement_says_what_it_got),
		TEST(placement_refused),
		TEST(huge_pages_are_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
