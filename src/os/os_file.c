/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Files: how bytes that processes share get a descriptor, a name and a size.
 *
 * Invariants:
 *   I1  Every descriptor made here is close-on-exec from its first moment.
 *   I2  No open waits (a fifo, a tty) and none follows a symlink in the last
 *       component of its path.
 *   I3  No call here is a point at which a thread can be cancelled: a caller
 *       holds mutexes and descriptors that nobody would give back. Where glibc's
 *       wrapper is such a point, the bare system call is made.
 *   I4  No descriptor made here is one of the standard streams.
 *   I5  An interrupted call is repeated, and a repetition makes progress: see
 *       stoai_os_allocate.
 *
 * Our own descriptors are reached by path through /proc/thread-self/fd: unlike
 * /proc/self it works after the process's first thread has ended.
 */
#include "os/ask.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
 #define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
	FD_PATH_SIZE = 48,
	CREATE_FLAGS = O_CREAT | O_EXCL,
	/* I1, I2 */
	OPEN_FLAGS = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK
};

/* A piece that an interrupt may cost us again; see stoai_os_allocate. */
#define PIECE_MIN (UINT64_C(1) << 16)

/* The one variable of the test double; see os.h. */
int (*stoai_os_fault)(enum stoai_os_call call);

/*
 * I4: a program that has closed its standard streams must not print into shared
 * memory: no descriptor of ours is 0, 1 or 2.
 */
static int
above_standard(int fd)
{
	int higher;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	higher = stoai_os_result(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
	(void)syscall(SYS_close, fd);
	return higher;
}

static int
open_raw(const char *path, int flags, uint32_t mode)
{
	long fd;

	do /* I3: the bare call */
		fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	while (stoai_os_interrupted(fd));
	return above_standard(stoai_os_result(fd));
}

static void
fd_path(char ret[FD_PATH_SIZE], const char *self, int fd)
{
	(void)snprintf(ret, FD_PATH_SIZE, "/proc/%s/fd/%d", self, fd);
}

/* Is there a /proc that can name our descriptors? */
static bool
proc_names(int fd)
{
	char path[FD_PATH_SIZE];
	struct stat there, here;

	fd_path(path, "thread-self", fd);
	if (stat(path, &there)) {
		fd_path(path, "self", fd);
		if (stat(path, &there))
			return false;
	}
	return !fstat(fd, &here) && here.st_ino == there.st_ino &&
	       here.st_dev == there.st_dev;
}

static int
open_unnamed(const char *directory, uint32_t mode)
{
	int fd = stoai_os_ask(STOAI_OS_UNNAMED);

	if (fd)
		return fd;
	fd = open_raw(directory,
		O_TMPFILE | O_RDWR | (OPEN_FLAGS & ~O_NOFOLLOW), mode);
	/* Kernels and file systems that do not know the flag see a directory. */
	if (fd == -EISDIR || fd == -EINVAL || fd == -ENOSYS)
		return -EOPNOTSUPP;
	if (fd >= 0 && !proc_names(fd)) {
		(void)syscall(SYS_close, fd);
		return -EOPNOTSUPP;
	}
	return fd;
}

int
stoai_os_open(const char *path, unsigned flags, uint32_t mode)
{
	int rc;

	if (flags & STOAI_OPEN_UNNAMED)
		return open_unnamed(path, mode);
	rc = stoai_os_ask(STOAI_OS_OPEN);
	if (rc)
		return rc;
	return open_raw(path,
		OPEN_FLAGS | (flags & STOAI_OPEN_WRITE ? O_RDWR : O_RDONLY) |
			(flags & STOAI_OPEN_CREATE ? CREATE_FLAGS : 0),
		mode);
}

int
stoai_os_memfd(const char *name)
{
	int fd = stoai_os_ask(STOAI_OS_OPEN);

	if (fd)
		return fd;
	/* Memory that holds data is not for executing; 6.3 can be told so. */
	fd = memfd_create(
		name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return above_standard(stoai_os_result(fd));
}

int
stoai_os_memfd_huge(const char *name)
{
	int fd = stoai_os_ask(STOAI_OS_OPEN);

	if (fd)
		return fd;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	return above_standard(stoai_os_result(fd));
}

int
stoai_os_seal(int fd, unsigned seals)
{
	int rc = stoai_os_ask(STOAI_OS_SEAL);

	return rc ? rc : stoai_os_result(fcntl(fd, F_ADD_SEALS, seals));
}

int
stoai_os_memfd_seal_shrink(int fd)
{
	return stoai_os_seal(fd, F_SEAL_SHRINK);
}

int
stoai_os_duplicate(int fd)
{
	int rc = stoai_os_ask(STOAI_OS_OPEN);

	return rc ? rc
		  : stoai_os_result(
			    fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

int
stoai_os_reopen(int fd, bool write)
{
	static const char *const self[] = {"thread-self", "self"};
	int flags = (OPEN_FLAGS & ~O_NOFOLLOW) | (write ? O_RDWR : O_RDONLY);
	char path[FD_PATH_SIZE];
	int rc = stoai_os_ask(STOAI_OS_OPEN);

	if (rc)
		return rc;
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	for (size_t i = 0; i < STOAI_COUNT(self); i++) {
		fd_path(path, self[i], fd);
		rc = open_raw(path, flags, 0);
		if (rc != -ENOENT)
			return rc;
	}
	return -ENOTSUP;
}

int
stoai_os_replace(int fd, int with)
{
	int rc = stoai_os_ask(STOAI_OS_OPEN);
	long done = 0;

	if (fd == with)
		return -EINVAL;
	if (!rc) {
		do
			done = dup3(with, fd, O_CLOEXEC);
		while (stoai_os_interrupted(done) ||
			(done < 0 && errno == EBUSY));
		rc = done < 0 ? -errno : 0;
	}
	(void)syscall(SYS_close, with);
	return rc;
}

int
stoai_os_close(int fd)
{
	int rc = stoai_os_ask(STOAI_OS_CLOSE);
	int closed;

	/* Never repeated: Linux has closed it, whatever it says. */
	closed = stoai_os_result(syscall(SYS_close, fd));
	if (closed == -EINTR)
		closed = 0;
	return rc ? rc : closed;
}

int
stoai_os_link_fd(int fd, const char *path)
{
	static const char *const self[] = {"thread-self", "self"};
	char from[FD_PATH_SIZE];
	int rc = stoai_os_ask(STOAI_OS_LINK);
	long done;

	if (rc)
		return rc;
	for (size_t i = 0; i < STOAI_COUNT(self); i++) {
		fd_path(from, self[i], fd);
		do
			done = linkat(AT_FDCWD, from, AT_FDCWD, path,
				AT_SYMLINK_FOLLOW);
		while (stoai_os_interrupted(done));
		rc = stoai_os_result(done);
		if (rc != -ENOENT)
			return rc;
	}
	return rc;
}

int
stoai_os_link(const char *from, const char *to)
{
	int rc = stoai_os_ask(STOAI_OS_LINK);
	long done;

	if (rc)
		return rc;
	do
		done = linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
	while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}

int
stoai_os_unlink(const char *path)
{
	int rc = stoai_os_ask(STOAI_OS_UNLINK);

	return rc ? rc : stoai_os_result(unlink(path));
}

int
stoai_os_mkdir(const char *path, uint32_t mode)
{
	int rc = stoai_os_ask(STOAI_OS_MKDIR);

	return rc ? rc : stoai_os_result(mkdir(path, (mode_t)mode));
}

int
stoai_os_stat_fd(int fd, struct stat *ret)
{
	int rc = stoai_os_ask(STOAI_OS_STAT);

	return rc ? rc : stoai_os_result(fstat(fd, ret));
}

int
stoai_os_stat(const char *path, struct stat *ret)
{
	int rc = stoai_os_ask(STOAI_OS_STAT);

	return rc ? rc : stoai_os_result(lstat(path, ret));
}

int
stoai_os_chmod_fd(int fd, uint32_t mode)
{
	int rc = stoai_os_ask(STOAI_OS_CHMOD);

	return rc ? rc : stoai_os_result(fchmod(fd, (mode_t)mode));
}

int
stoai_os_chown_fd(int fd, uint32_t uid, uint32_t gid)
{
	int rc = stoai_os_ask(STOAI_OS_CHOWN);

	return rc ? rc : stoai_os_result(fchown(fd, uid, gid));
}

size_t
stoai_os_huge_page(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) || fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (size_t)fs.f_bsize;
}

/*
 * A fresh directory may deny its own maker (umask 0777), so that only a
 * descriptor that asks for nothing leads to it, and only /proc from there.
 */
int
stoai_os_chmod_directory(const char *path, uint32_t mode)
{
	char through[FD_PATH_SIZE];
	int fd, rc = stoai_os_ask(STOAI_OS_CHMOD);

	if (rc)
		return rc;
	fd = open_raw(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	if (proc_names(fd)) {
		fd_path(through, "thread-self", fd);
		rc = stoai_os_result(chmod(through, (mode_t)mode));
		(void)syscall(SYS_close, fd);
		return rc;
	}
	(void)syscall(SYS_close, fd);
	fd = open_raw(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = stoai_os_result(fchmod(fd, (mode_t)mode));
	(void)syscall(SYS_close, fd);
	return rc;
}

int
stoai_os_truncate(int fd, uint64_t size)
{
	int rc = stoai_os_ask(STOAI_OS_TRUNCATE);
	long done;

	if (rc)
		return rc;
	if (size > INT64_MAX)
		return -EFBIG;
	do
		done = ftruncate(fd, (off_t)size);
	while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}

/*
 * I5: tmpfs gives back all that it has allocated when a signal comes: repeated as it
 * is, a large allocation under a fast timer would never end. So each
 * interruption halves the piece that is asked for at a time.
 */
int
stoai_os_allocate(int fd, uint64_t from, uint64_t size)
{
	int rc = stoai_os_ask(STOAI_OS_ALLOCATE);
	uint64_t end, piece = size;

	if (rc)
		return rc;
	if (stoai_add_overflows(from, size, &end) || end > INT64_MAX)
		return -EFBIG;
	if (size == 0)
		return 0; /* the kernel would say EINVAL */
	while (from < end) {
		piece = stoai_min(piece, end - from);
		if (!syscall(SYS_fallocate, fd, 0, from, piece))
			from += piece;
		else if (errno != EINTR)
			return -errno;
		else if (piece > PIECE_MIN)
			piece = stoai_align_up(piece / 2, PIECE_MIN);
	}
	return 0;
}

int
stoai_os_punch(int fd, uint64_t from, uint64_t size)
{
	int rc = stoai_os_ask(STOAI_OS_PUNCH);
	uint64_t end;
	long done;

	if (rc)
		return rc;
	if (stoai_add_overflows(from, size, &end) || end > INT64_MAX)
		return -EFBIG;
	if (size == 0)
		return 0;
	do
		done = syscall(SYS_fallocate, fd,
			FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, size);
	while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}

int
stoai_os_sync_start(int fd, uint64_t from, uint64_t size)
{
	int rc = stoai_os_ask(STOAI_OS_SYNC);

	if (rc)
		return rc;
	/* MS_ASYNC of msync does nothing on Linux; this does begin. */
	return stoai_os_result(syscall(
		SYS_sync_file_range, fd, from, size, SYNC_FILE_RANGE_WRITE));
}

int
stoai_os_pread(int fd, void *to, size_t size, uint64_t from)
{
	int rc = stoai_os_ask(STOAI_OS_PREAD);
	size_t done = 0;
	uint64_t end;

	if (rc)
		return rc;
	if (size > INT_MAX || stoai_add_overflows(from, size, &end) ||
		end > INT64_MAX)
		return -EINVAL;
	while (done < size) {
		long n = syscall(SYS_pread64, fd, (char *)to + done,
			size - done, from + done);

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	stoai_os_written(to, done);
	return (int)done;
}

uint32_t
stoai_os_euid(void)
{
	return (uint32_t)geteuid();
}

int
stoai_os_list(
	const char *dir, int (*f)(const char *name, void *user), void *user)
{
	int fd, rc = stoai_os_ask(STOAI_OS_LIST);
	const struct dirent *entry;
	DIR *stream;

	if (rc)
		return rc;
	fd = open_raw(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		rc = -errno;
		(void)syscall(SYS_close, fd);
		return rc;
	}
	while (!rc) {
		errno = 0;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): our own stream */
		entry = readdir(stream);
		if (!entry) {
			rc = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0)
			rc = f(entry->d_name, user);
	}
	(void)closedir(stream);
	return rc;
}
