/* SPDX-License-Identifier: BSL-1.0 */
/* os: files, memory and owner bytes do what os.h says, and can be made to fail. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */

#include "base/base.h"
#include "os/os.h"
#include "room.h"

enum {
	SECONDS = 55,
	NOBODY = 65534,
	MIB = 1 << 20
};

static int
make_file(const char *name)
{
	int fd = stoai_os_open(
		in_room(name), STOAI_OPEN_WRITE | STOAI_OPEN_CREATE, 0600);

	assert_true(fd > 2);
	return fd;
}

/* ---- open ---- */

static void
test_open(void **state)
{
	int fd = make_file("f");

	(void)state;
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(stoai_os_close(fd), -EBADF);
	assert_int_equal(stoai_os_open(in_room("f"),
				 STOAI_OPEN_WRITE | STOAI_OPEN_CREATE, 0600),
		-EEXIST);
	fd = stoai_os_open(in_room("f"), 0, 0);
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(stoai_os_open(in_room("none"), 0, 0), -ENOENT);
	fd = stoai_os_open(in_room("f"), STOAI_OPEN_WRITE, 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(stoai_os_close(fd), 0);
}

static void
test_open_follows_no_link(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stoai_os_close(make_file("f")), 0);
	assert_int_equal(symlink("f", in_room("link")), 0);
	assert_int_equal(stoai_os_open(in_room("link"), 0, 0), -ELOOP);
	assert_int_equal(
		stoai_os_open(in_room("link"), STOAI_OPEN_WRITE, 0), -ELOOP);
	assert_int_equal(stoai_os_stat(in_room("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void
test_open_waits_for_nobody(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkfifo(in_room("fifo"), 0600), 0);
	fd = stoai_os_open(in_room("fifo"), 0, 0); /* else: the alarm */
	assert_true(fd > 2);
	assert_int_equal(stoai_os_close(fd), 0);
}

static int
without_standard_streams(void *arg)
{
	int fd[4];

	(void)arg;
	for (int i = 0; i < 3; i++)
		(void)close(i);
	fd[0] = stoai_os_open(
		in_room("f"), STOAI_OPEN_WRITE | STOAI_OPEN_CREATE, 0600);
	fd[1] = stoai_os_open(room, STOAI_OPEN_UNNAMED, 0600);
	fd[2] = stoai_os_memfd("m");
	fd[3] = fd[0] < 0 ? -1 : stoai_os_reopen(fd[0], true);
	for (int i = 0; i < 4; i++)
		if (fd[i] <= 2 || fcntl(fd[i], F_GETFD) != FD_CLOEXEC)
			return 10 + i;
	for (int i = 0; i < 3; i++)
		if (fcntl(i, F_GETFD) != -1)
			return 20 + i; /* left open on the way */
	return 0;
}

static void
test_never_a_standard_stream(void **state)
{
	(void)state;
	assert_int_equal(scene_child(without_standard_streams, NULL), 0);
}

static void
test_unnamed(void **state)
{
	int fd = stoai_os_open(room, STOAI_OPEN_UNNAMED, 0600);
	struct stat st, named;

	(void)state;
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(scene_entries(room), 0);
	assert_int_equal(stoai_os_link_fd(fd, in_room("a")), 0);
	assert_int_equal(scene_entries(room), 1);
	assert_int_equal(stoai_os_stat_fd(fd, &st), 0);
	assert_int_equal(stoai_os_stat(in_room("a"), &named), 0);
	assert_true(st.st_ino == named.st_ino && st.st_nlink == 1);
	assert_int_equal(stoai_os_link_fd(fd, in_room("a")), -EEXIST);
	assert_int_equal(
		stoai_os_link_fd(fd, in_room("no/such/directory")), -ENOENT);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(
		stoai_os_open(in_room("none"), STOAI_OPEN_UNNAMED, 0600),
		-ENOENT);
	/* a file system that knows no unnamed files */
	fd = stoai_os_open("/proc", STOAI_OPEN_UNNAMED, 0600);
	assert_true(fd == -EOPNOTSUPP || (fd == -EACCES && geteuid() != 0));
}

static void
test_names(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stoai_os_close(make_file("a")), 0);
	assert_int_equal(stoai_os_link(in_room("a"), in_room("b")), 0);
	assert_int_equal(stoai_os_link(in_room("a"), in_room("b")), -EEXIST);
	assert_int_equal(stoai_os_link(in_room("x"), in_room("y")), -ENOENT);
	assert_int_equal(stoai_os_unlink(in_room("a")), 0);
	assert_int_equal(stoai_os_unlink(in_room("a")), -ENOENT);
	assert_int_equal(stoai_os_stat(in_room("b"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(stoai_os_mkdir(in_room("d"), 0700), 0);
	assert_int_equal(stoai_os_mkdir(in_room("d"), 0700), -EEXIST);
}

/* Two descriptions of one file have two positions. */
static void
test_reopen(void **state)
{
	int fd = stoai_os_memfd("m"), own, dup_of;

	(void)state;
	assert_true(fd > 2);
	assert_int_equal(write(fd, "abc", 3), 3);
	own = stoai_os_reopen(fd, false);
	assert_true(own > 2 && own != fd);
	assert_int_equal(fcntl(own, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(own, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(lseek(own, 0, SEEK_CUR), 0);
	assert_int_equal(stoai_os_reopen(-1, false), -EBADF);
	/* replace: the number stays, the description is the other one */
	dup_of = dup(own);
	assert_int_equal(stoai_os_replace(fd, own), 0);
	assert_int_equal(fcntl(own, F_GETFD), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(dup_of, 2, SEEK_SET), 2);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 2);
	assert_int_equal(stoai_os_replace(fd, fd), -EINVAL);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(stoai_os_close(dup_of), 0);
}

static void *
after_the_first_thread(void *arg)
{
	int fd, own;

	(void)arg;
	(void)usleep(100000); /* the first thread is a zombie by now */
	fd = stoai_os_open(room, STOAI_OPEN_UNNAMED, 0600);
	if (fd < 0)
		_exit(10);
	own = stoai_os_reopen(fd, true);
	if (own < 0)
		_exit(11);
	if (stoai_os_link_fd(own, in_room("late")))
		_exit(12);
	if (stoai_os_mkdir(in_room("lated"), 01700) ||
		stoai_os_chmod_directory(in_room("lated"), 0700))
		_exit(13);
	_exit(stoai_os_pid_namespace() ? 0 : 14);
}

static int
end_first_thread(void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, after_the_first_thread, arg))
		return 1;
	pthread_exit(NULL);
}

static void
test_first_thread_gone(void **state)
{
	(void)state;
	assert_int_equal(scene_child(end_first_thread, NULL), 0);
	assert_int_equal(scene_entries(room), 2);
}

/* ---- size and content ---- */

static void
test_sizes(void **state)
{
	int fd = make_file("f");
	struct stat st;
	char byte = 1;

	(void)state;
	assert_int_equal(stoai_os_truncate(fd, 3 * MIB), 0);
	assert_int_equal(stoai_os_stat_fd(fd, &st), 0);
	assert_true(st.st_size == 3 * MIB && st.st_blocks == 0);
	assert_int_equal(stoai_os_allocate(fd, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(stoai_os_stat_fd(fd, &st), 0);
	assert_true(st.st_size == 4 * MIB && st.st_blocks == 2 * MIB / 512);
	assert_int_equal(pwrite(fd, "\7", 1, 3 * MIB), 1);
	assert_int_equal(stoai_os_punch(fd, 3 * MIB, MIB), 0);
	assert_int_equal(stoai_os_stat_fd(fd, &st), 0);
	assert_true(st.st_size == 4 * MIB && st.st_blocks == MIB / 512);
	assert_int_equal(stoai_os_pread(fd, &byte, 1, 3 * MIB), 1);
	assert_int_equal(byte, 0);
	/* nothing, and too much */
	assert_int_equal(stoai_os_allocate(fd, 0, 0), 0);
	assert_int_equal(stoai_os_punch(fd, 0, 0), 0);
	assert_int_equal(stoai_os_allocate(fd, UINT64_MAX, 1), -EFBIG);
	assert_int_equal(stoai_os_allocate(fd, INT64_MAX, 1), -EFBIG);
	assert_int_equal(stoai_os_punch(fd, UINT64_MAX - 1, 2), -EFBIG);
	assert_int_equal(stoai_os_truncate(fd, UINT64_C(1) << 63), -EFBIG);
	assert_int_equal(stoai_os_close(fd), 0);
}

static void
test_pread(void **state)
{
	int fd = make_file("f");
	char bytes[8] = "xxxxxxx";

	(void)state;
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(stoai_os_pread(fd, bytes, 8, 1), 4);
	assert_memory_equal(bytes, "elloxxx", 8);
	assert_int_equal(stoai_os_pread(fd, bytes, 8, 5), 0);
	assert_int_equal(stoai_os_pread(fd, bytes, 8, 1 << 20), 0);
	assert_int_equal(stoai_os_pread(fd, bytes, 0, 0), 0);
	assert_int_equal(
		stoai_os_pread(fd, bytes, (size_t)1 << 32, 0), -EINVAL);
	assert_int_equal(stoai_os_pread(fd, bytes, 8, UINT64_MAX), -EINVAL);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(stoai_os_pread(fd, bytes, 8, 0), -EBADF);
}

/*
 * Older kernels undo a whole allocation on tmpfs when a signal comes. Under a fast
 * timer a large one never ends, unless it is asked for in smaller pieces.
 */
static int
allocate_interrupted(void *arg)
{
	int fd = stoai_os_memfd("m");
	struct stat st;

	must(fd > 2);
	if (!scene_filter(SYS_fallocate, 3, MIB, EINTR))
		return 1;
	must(syscall(SYS_fallocate, fd, 0, 0L, 2L * MIB) == -1 &&
		errno == EINTR);
	must(!stoai_os_allocate(fd, 4096, *(uint64_t *)arg));
	must(!stoai_os_stat_fd(fd, &st));
	must((uint64_t)st.st_size == 4096 + *(uint64_t *)arg);
	must((uint64_t)st.st_blocks == *(uint64_t *)arg / 512);
	return 0;
}

static void
test_allocate_ends(void **state)
{
	uint64_t sizes[] = {4096, MIB, 64 * MIB, 65 * MIB + 4096};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(sizes); i++) {
		int rc = scene_child(allocate_interrupted, &sizes[i]);

		if (rc == 1) {
			scene_skipped("interrupted allocation",
				"no system call can be filtered here");
			skip();
		}
		assert_int_equal(rc, 0);
	}
}

static void
test_seal(void **state)
{
	int fd = stoai_os_memfd("m");

	(void)state;
	assert_int_equal(stoai_os_truncate(fd, MIB), 0);
	assert_int_equal(stoai_os_memfd_seal_shrink(fd), 0);
	assert_int_equal(stoai_os_truncate(fd, 1), -EPERM);
	assert_int_equal(stoai_os_allocate(fd, MIB, MIB), 0); /* may grow */
	assert_int_equal(stoai_os_close(fd), 0);
	fd = make_file("f");
	assert_true(stoai_os_memfd_seal_shrink(fd) < 0);
	assert_int_equal(stoai_os_close(fd), 0);
}

static int
forbidden_directory(void *arg)
{
	struct stat st;

	(void)arg;
	if (geteuid() == 0) {
		must(!chown(room, NOBODY, NOBODY));
		must(!setgid(NOBODY));
		must(!setuid(NOBODY));
	}
	(void)umask(0777);
	must(!stoai_os_mkdir(in_room("d"), 01700));
	must(!stoai_os_stat(in_room("d"), &st));
	must((st.st_mode & 07777) == 01000);
	must(!stoai_os_chmod_directory(in_room("d"), 0750));
	must(!stoai_os_stat(in_room("d"), &st));
	must((st.st_mode & 07777) == 0750);
	must(!symlink("d", in_room("link")));
	must(stoai_os_chmod_directory(in_room("link"), 0700) == -ENOTDIR);
	return 0;
}

static void
test_modes(void **state)
{
	int fd = make_file("f");
	struct stat st;

	(void)state;
	assert_int_equal(stoai_os_chmod_fd(fd, 0646), 0);
	assert_int_equal(stoai_os_stat_fd(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0646);
	assert_int_equal(stoai_os_close(fd), 0);
	assert_int_equal(stoai_os_euid(), geteuid());
	assert_int_equal(scene_child(forbidden_directory, NULL), 0);
}

/* ---- list ---- */

static int
list_one(const char *name, void *user)
{
	unsigned *seen = user;

	assert_int_equal(strlen(name), 1);
	assert_true(name[0] >= 'a' && name[0] <= 'c');
	assert_false(*seen & 1u << (name[0] - 'a'));
	*seen |= 1u << (name[0] - 'a');
	return 0;
}

static int
list_stop(const char *name, void *user)
{
	(void)name;
	++*(unsigned *)user;
	return -EXDEV;
}

static void
test_list(void **state)
{
	unsigned seen = 0, calls = 0;

	(void)state;
	assert_int_equal(stoai_os_list(room, list_one, &seen), 0);
	assert_int_equal(seen, 0);
	(void)stoai_os_close(make_file("a"));
	(void)stoai_os_close(make_file("b"));
	assert_int_equal(stoai_os_mkdir(in_room("c"), 0700), 0);
	assert_int_equal(stoai_os_list(room, list_one, &seen), 0);
	assert_int_equal(seen, 7);
	assert_int_equal(stoai_os_list(room, list_stop, &calls), -EXDEV);
	assert_int_equal(calls, 1);
	assert_int_equal(
		stoai_os_list(in_room("none"), list_one, &seen), -ENOENT);
	assert_int_equal(
		stoai_os_list(in_room("a"), list_one, &seen), -ENOTDIR);
}

/* ---- memory ---- */

/* Does the kernel's line of flags for the mapping at `at` have this one? */
static bool
has_vm_flag(const void *at, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;
	char line[512], wanted[32];

	assert_non_null(maps);
	(void)snprintf(wanted, sizeof wanted, "%08lx-", (unsigned long)at);
	while (fgets(line, sizeof line, maps)) {
		if (strncmp(line, wanted, strlen(wanted)) == 0)
			here = true;
		if (!here || strncmp(line, "VmFlags:", 8))
			continue;
		(void)snprintf(wanted, sizeof wanted, " %s ", flag);
		found = strstr(line, wanted);
		break;
	}
	(void)fclose(maps);
	return found;
}

static void
test_map(void **state)
{
	size_t page = stoai_os_page_size();
	int fd = stoai_os_memfd("m");
	unsigned both = STOAI_MAP_READ | STOAI_MAP_WRITE;
	void *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	assert_int_equal(page, (size_t)sysconf(_SC_PAGESIZE));
	assert_int_equal(stoai_os_allocate(fd, 0, 2 * page), 0);
	/* far beyond the file's end */
	assert_int_equal(
		stoai_os_map(fd, 0, (size_t)1 << 32, both, NULL, &a), 0);
	assert_int_equal(
		stoai_os_map(fd, page, page, STOAI_MAP_READ, NULL, &b), 0);
	((char *)a)[page] = 'x';
	assert_int_equal(*(char *)b, 'x');
	assert_true(has_vm_flag(a, "dd") && has_vm_flag(a, "nr"));
	assert_true(has_vm_flag(b, "dd") && has_vm_flag(b, "sh"));
	/* in place of another one */
	assert_int_equal(
		stoai_os_map(fd, 0, page, both | STOAI_MAP_FIXED, b, &c), 0);
	assert_ptr_equal(b, c);
	((char *)a)[0] = 'y';
	assert_int_equal(*(char *)b, 'y');
	c = NULL;
	assert_int_equal(
		stoai_os_map(fd, 0, page, both | STOAI_MAP_FIXED, NULL, &c),
		-EINVAL);
	assert_int_equal(stoai_os_map(fd, 1, page, both, NULL, &c), -EINVAL);
	assert_int_equal(
		stoai_os_map(fd, UINT64_MAX, page, both, NULL, &c), -EINVAL);
	assert_int_equal(stoai_os_map(-1, 0, page, both, NULL, &c), -EBADF);
	assert_null(c); /* untouched on failure */
	assert_int_equal(stoai_os_sync(a, page), 0);
	assert_int_equal(stoai_os_sync((char *)a + 1, page), -EINVAL);
	stoai_os_unmap(a, (size_t)1 << 32);
	stoai_os_unmap(b, page);
	assert_int_equal(stoai_os_close(fd), 0);
}

static int
read_byte(void *at)
{
	return *(volatile unsigned char *)at;
}

static int
write_byte(void *at)
{
	*(volatile unsigned char *)at = 1;
	return 0;
}

static void
test_map_private(void **state)
{
	size_t page = stoai_os_page_size();
	unsigned both = STOAI_MAP_READ | STOAI_MAP_WRITE;
	void *at = NULL, *kept = NULL;
	pid_t raw;

	(void)state;
	assert_int_equal(stoai_os_map_private(page, both, NULL, &at), 0);
	assert_int_equal(stoai_os_map_private(page, both, NULL, &kept), 0);
	assert_int_equal(read_byte(at), 0);
	memset(at, 7, page);
	memset(kept, 7, page);
	assert_int_equal(stoai_os_wipe_on_fork(at, page), 0);
	assert_int_equal(scene_child(read_byte, kept), 7);
	assert_int_equal(scene_child(read_byte, at), 0);
	/* and without any of libc's handlers */
	raw = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (raw == 0)
		_exit(read_byte(at));
	assert_int_equal(scene_wait((int)raw), 0);
	assert_int_equal(read_byte(at), 7);
	/* protection */
	assert_int_equal(stoai_os_protect(kept, page, STOAI_MAP_READ), 0);
	assert_int_equal(read_byte(kept), 7);
	assert_int_equal(scene_child(write_byte, kept), -SIGSEGV);
	assert_int_equal(stoai_os_protect(kept, page, both), 0);
	assert_int_equal(scene_child(write_byte, kept), 0);
	stoai_os_unmap(at, page);
	stoai_os_unmap(kept, page);
}

/* ---- owner bytes ---- */

#define OWNER (UINT64_C(1) << 62)

static void
test_owner_bytes(void **state)
{
	int a = make_file("f"), b = stoai_os_reopen(a, true);
	int reader = stoai_os_reopen(a, false);

	(void)state;
	assert_int_equal(stoai_os_lock_byte(a, OWNER, STOAI_LOCK_EXCLUSIVE), 0);
	/* again, on the same description: nobody in the way */
	assert_int_equal(stoai_os_lock_byte(a, OWNER, STOAI_LOCK_EXCLUSIVE), 0);
	assert_int_equal(stoai_os_probe_byte(a, OWNER), STOAI_LOCK_NONE);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_EXCLUSIVE);
	assert_int_equal(
		stoai_os_probe_byte(reader, OWNER), STOAI_LOCK_EXCLUSIVE);
	assert_int_equal(
		stoai_os_lock_byte(b, OWNER, STOAI_LOCK_EXCLUSIVE), -EAGAIN);
	assert_int_equal(
		stoai_os_lock_byte(b, OWNER, STOAI_LOCK_SHARED), -EAGAIN);
	/* one byte, not its neighbours */
	assert_int_equal(stoai_os_probe_byte(b, OWNER + 1), STOAI_LOCK_NONE);
	assert_int_equal(stoai_os_probe_byte(b, OWNER - 1), STOAI_LOCK_NONE);
	/* closing another descriptor of the file drops nothing */
	assert_int_equal(stoai_os_close(stoai_os_reopen(a, true)), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_EXCLUSIVE);
	assert_int_equal(stoai_os_lock_byte(a, OWNER, STOAI_LOCK_SHARED), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_SHARED);
	assert_int_equal(
		stoai_os_lock_byte(reader, OWNER, STOAI_LOCK_SHARED), 0);
	assert_int_equal(
		stoai_os_lock_byte(reader, OWNER, STOAI_LOCK_EXCLUSIVE),
		-EBADF);
	assert_int_equal(stoai_os_lock_byte(a, OWNER, STOAI_LOCK_NONE), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_SHARED);
	assert_int_equal(stoai_os_close(reader), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_NONE);
	/* beyond what a file can have */
	assert_int_equal(
		stoai_os_lock_byte(a, INT64_MAX, STOAI_LOCK_SHARED), -EINVAL);
	assert_int_equal(stoai_os_probe_byte(a, UINT64_MAX), -EINVAL);
	assert_int_equal(
		stoai_os_lock_byte(a, INT64_MAX - 1, STOAI_LOCK_EXCLUSIVE), 0);
	assert_int_equal(stoai_os_close(a), 0);
	assert_int_equal(stoai_os_close(b), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), -EBADF);
}

/* A mapping holds the description that it was made through. */
static void
test_owner_mapped(void **state)
{
	int a = make_file("f"), b = stoai_os_reopen(a, true);
	size_t page = stoai_os_page_size();
	void *at = NULL;

	(void)state;
	assert_int_equal(stoai_os_lock_byte(a, OWNER, STOAI_LOCK_EXCLUSIVE), 0);
	assert_int_equal(
		stoai_os_map(a, 0, page, STOAI_MAP_READ, NULL, &at), 0);
	assert_int_equal(stoai_os_close(a), 0);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_EXCLUSIVE);
	stoai_os_unmap(at, page);
	assert_int_equal(stoai_os_probe_byte(b, OWNER), STOAI_LOCK_NONE);
	assert_int_equal(stoai_os_close(b), 0);
}

struct holder {
	int fd, told[2];
};

static int
hold_and_die(void *arg)
{
	struct holder *h = arg;
	int own = stoai_os_reopen(h->fd, true);

	must(own > 2);
	must(!stoai_os_lock_byte(own, OWNER, STOAI_LOCK_EXCLUSIVE));
	must(write(h->told[1], "x", 1) == 1);
	for (;;)
		(void)pause();
}

static void
test_owner_dies(void **state)
{
	struct holder h = {.fd = make_file("f")};
	char letter;
	int pid;

	(void)state;
	assert_int_equal(pipe(h.told), 0);
	pid = scene_fork(hold_and_die, &h);
	assert_int_equal(read(h.told[0], &letter, 1), 1);
	assert_int_equal(
		stoai_os_probe_byte(h.fd, OWNER), STOAI_LOCK_EXCLUSIVE);
	assert_int_equal(
		stoai_os_lock_byte(h.fd, OWNER, STOAI_LOCK_EXCLUSIVE), -EAGAIN);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(scene_wait(pid), -SIGKILL);
	assert_int_equal(
		stoai_os_lock_byte(h.fd, OWNER, STOAI_LOCK_EXCLUSIVE), 0);
	(void)close(h.told[0]);
	(void)close(h.told[1]);
	assert_int_equal(stoai_os_close(h.fd), 0);
}

/* ---- the test double ---- */

static int
fail_all(enum stoai_os_call call)
{
	(void)call;
	return -EREMOTEIO;
}

static int
no_name(const char *name, void *user)
{
	(void)name;
	(void)user;
	return 0;
}

/* Every function that can fail asks first, and then does nothing. */
static void
test_fault_reaches_all(void **state)
{
	int fd = make_file("f"), other = dup(fd);
	struct stoai_robust_head *head = NULL;
	uint8_t id[16] = {0};
	uint32_t word = 1;
	struct stat st;
	void *at = NULL;
	int rc[40], n = 0;

	(void)state;
	stoai_os_fault = fail_all;
	rc[n++] = stoai_os_open(in_room("f"), 0, 0);
	rc[n++] = stoai_os_open(
		in_room("g"), STOAI_OPEN_CREATE | STOAI_OPEN_WRITE, 0600);
	rc[n++] = stoai_os_open(room, STOAI_OPEN_UNNAMED, 0600);
	rc[n++] = stoai_os_memfd("m");
	rc[n++] = stoai_os_memfd_seal_shrink(fd);
	rc[n++] = stoai_os_reopen(fd, true);
	rc[n++] = stoai_os_replace(fd, other); /* closes `other` all the same */
	rc[n++] = stoai_os_link_fd(fd, in_room("g"));
	rc[n++] = stoai_os_link(in_room("f"), in_room("g"));
	rc[n++] = stoai_os_unlink(in_room("f"));
	rc[n++] = stoai_os_mkdir(in_room("g"), 0700);
	rc[n++] = stoai_os_stat_fd(fd, &st);
	rc[n++] = stoai_os_stat(in_room("f"), &st);
	rc[n++] = stoai_os_chmod_fd(fd, 0);
	rc[n++] = stoai_os_chmod_directory(room, 0);
	rc[n++] = stoai_os_truncate(fd, 1);
	rc[n++] = stoai_os_allocate(fd, 0, 1);
	rc[n++] = stoai_os_punch(fd, 0, 1);
	rc[n++] = stoai_os_pread(fd, id, 1, 0);
	rc[n++] = stoai_os_list(room, no_name, NULL);
	rc[n++] = stoai_os_map(fd, 0, 4096, STOAI_MAP_READ, NULL, &at);
	rc[n++] = stoai_os_map_private(4096, STOAI_MAP_READ, NULL, &at);
	rc[n++] = stoai_os_wipe_on_fork(&word, 4096);
	rc[n++] = stoai_os_protect(&word, 4096, 0);
	rc[n++] = stoai_os_sync(&word, 4096);
	rc[n++] = stoai_os_lock_byte(fd, 0, STOAI_LOCK_EXCLUSIVE);
	rc[n++] = stoai_os_probe_byte(fd, 0);
	rc[n++] = stoai_os_futex_wait(&word, 1, 0);
	rc[n++] = stoai_os_futex_wait2(&word, 1, &word, 1, 0);
	rc[n++] = stoai_os_futex_wake(&word, 1);
	rc[n++] = stoai_os_random(id, sizeof id);
	rc[n++] = stoai_os_boot_id(id);
	rc[n++] = stoai_os_robust_list(&head);
	rc[n++] = stoai_os_close(fd); /* closes all the same */
	stoai_os_fault = NULL;
	for (int i = 0; i < n; i++)
		if (rc[i] != -EREMOTEIO)
			fail_msg("the call of index %d returned %d", i, rc[i]);
	assert_int_equal(scene_entries(room), 1);
	assert_int_equal(stoai_os_stat(in_room("f"), &st), 0);
	assert_true(st.st_size == 0 && (st.st_mode & 0777) == 0600);
	assert_int_equal(stoai_os_stat(room, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(!at && !head);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fcntl(other, F_GETFD), -1);
}

static int
die_at_second_stat(void *arg)
{
	struct stat st;

	(void)arg;
	fault_start();
	fault_kill(STOAI_OS_STAT, 2);
	must(!stoai_os_stat(room, &st));
	must(!fault_hit());
	(void)stoai_os_stat(room, &st);
	return 0;
}

static void
test_fault_rules(void **state)
{
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		assert_non_null(fault_name(i));
	fault_start();
	fault_fail(STOAI_OS_STAT, 2, -EIO);
	fault_always(STOAI_OS_MKDIR, -EROFS);
	assert_int_equal(stoai_os_stat(room, &st), 0);
	assert_int_equal(stoai_os_mkdir(in_room("d"), 0700), -EROFS);
	assert_false(fault_hit());
	assert_int_equal(fault_hit_kind(), FAULT_ANY);
	assert_int_equal(stoai_os_stat(room, &st), -EIO);
	assert_true(fault_hit());
	assert_int_equal(fault_hit_kind(), STOAI_OS_STAT);
	assert_int_equal(stoai_os_stat(room, &st), 0); /* once */
	assert_int_equal(stoai_os_mkdir(in_room("d"), 0700), -EROFS);
	assert_int_equal(fault_count(STOAI_OS_STAT), 3);
	assert_int_equal(fault_count(STOAI_OS_MKDIR), 2);
	assert_int_equal(fault_count(FAULT_ANY), 5);
	fault_stop();
	assert_int_equal(stoai_os_mkdir(in_room("d"), 0700), 0);
	assert_int_equal(fault_count(FAULT_ANY), 5);
	fault_start();
	assert_int_equal(fault_count(FAULT_ANY), 0);
	fault_fail(FAULT_ANY, 1, -EIO);
	assert_int_equal(stoai_os_unlink(in_room("d")), -EIO);
	fault_stop();
	assert_int_equal(scene_child(die_at_second_stat, NULL), -SIGKILL);
}

/* ---- a thread that is being cancelled ---- */

static void *
call_all(void *arg)
{
	size_t page = stoai_os_page_size();
	uint32_t word = 0;
	uint8_t id[16];
	struct stat st;
	void *at = NULL;
	int fd;

	/* From here on each cancellation point would end this thread. */
	(void)pthread_cancel(pthread_self());
	fd = stoai_os_open(
		in_room("f"), STOAI_OPEN_WRITE | STOAI_OPEN_CREATE, 0600);
	(void)stoai_os_close(stoai_os_reopen(fd, true));
	(void)stoai_os_close(stoai_os_memfd("m"));
	(void)stoai_os_close(stoai_os_open(room, STOAI_OPEN_UNNAMED, 0600));
	(void)stoai_os_replace(fd, stoai_os_reopen(fd, true));
	(void)stoai_os_stat_fd(fd, &st);
	(void)stoai_os_stat(room, &st);
	(void)stoai_os_chmod_fd(fd, 0600);
	(void)stoai_os_mkdir(in_room("d"), 0700);
	(void)stoai_os_chmod_directory(in_room("d"), 0700);
	(void)stoai_os_link(in_room("f"), in_room("g"));
	(void)stoai_os_unlink(in_room("g"));
	(void)stoai_os_link_fd(fd, in_room("g"));
	(void)stoai_os_list(room, no_name, NULL);
	(void)stoai_os_truncate(fd, page);
	(void)stoai_os_allocate(fd, 0, page);
	(void)stoai_os_punch(fd, 0, page);
	(void)stoai_os_pread(fd, id, 1, 0);
	(void)stoai_os_lock_byte(fd, 0, STOAI_LOCK_EXCLUSIVE);
	(void)stoai_os_probe_byte(fd, 0);
	(void)stoai_os_map(fd, 0, page, STOAI_MAP_READ, NULL, &at);
	(void)stoai_os_sync(at, page);
	(void)stoai_os_protect(at, page, 0);
	stoai_os_unmap(at, page);
	(void)stoai_os_futex_wait(&word, 0, 0);
	(void)stoai_os_futex_wait2(&word, 0, &word, 0, 0);
	(void)stoai_os_futex_wake(&word, 1);
	(void)stoai_os_random(id, sizeof id);
	(void)stoai_os_boot_id(id);
	(void)stoai_os_pid_namespace();
	(void)stoai_os_tid();
	stoai_os_sleep(1);
	stoai_os_yield();
	(void)stoai_os_close(fd);
	*(bool *)arg = true;
	pthread_testcancel();
	return NULL;
}

static void
test_no_cancellation_point(void **state)
{
	bool all_made = false;
	pthread_t thread;
	void *result = NULL;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, call_all, &all_made), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_true(all_made);
	assert_ptr_equal(result, PTHREAD_CANCELED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_make, room_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_open_follows_no_link),
		TEST(test_open_waits_for_nobody),
		TEST(test_never_a_standard_stream),
		TEST(test_unnamed),
		TEST(test_names),
		TEST(test_reopen),
		TEST(test_first_thread_gone),
		TEST(test_sizes),
		TEST(test_pread),
		TEST(test_allocate_ends),
		TEST(test_seal),
		TEST(test_modes),
		TEST(test_list),
		TEST(test_map),
		TEST(test_map_private),
		TEST(test_owner_bytes),
		TEST(test_owner_mapped),
		TEST(test_owner_dies),
		TEST(test_fault_reaches_all),
		TEST(test_fault_rules),
		TEST(test_no_cancellation_point),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
