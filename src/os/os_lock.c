/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Owner bytes: who holds an open description of this file and says so?
 *
 * A byte is locked by an open file description, not by a process: it goes with
 * the last descriptor of that description and the last mapping made through one,
 * by exit, exec or SIGKILL, and no other close() drops it. Two descriptions of one process exclude each
 * other, two threads on one description do not; a fork child shares the
 * parent's until it closes or reopens.
 *
 * Invariants:
 *   I1  No call waits, but stoai_os_lock_span when it is asked to.
 *   I2  -EAGAIN means that somebody else has the byte, and nothing else does;
 *       -ENOTSUP that nobody can have it here. A caller may take the first as
 *       "alive" and must not take the second so.
 */
#include "os/ask.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct flock
span_lock(uint64_t from, uint64_t size, short type)
{
	return (struct flock){.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)from,
		.l_len = (off_t)size};
}

static short
lock_type(enum stoai_os_lock kind)
{
	return (short)(kind == STOAI_LOCK_NONE     ? F_UNLCK
		       : kind == STOAI_LOCK_SHARED ? F_RDLCK
						   : F_WRLCK);
}

static int
lock_call(int fd, int command, struct flock *lock)
{
	long rc;

	do /* glibc's call that waits is a cancellation point: the bare one */
		rc = command == F_OFD_SETLKW
			     ? syscall(SYS_fcntl, fd, command, lock)
			     : fcntl(fd, command, lock);
	while (stoai_os_interrupted(rc));
	if (rc >= 0)
		return 0;
	switch (errno) {
	case EACCES: /* I2: what some systems say for EAGAIN */
		return -EAGAIN;
	case EINVAL: /* I2: kernel or file system without such locks */
	case ENOLCK:
	case ENOSYS:
	case EOPNOTSUPP:
		return -ENOTSUP;
	default:
		return -errno;
	}
}

int
stoai_os_lock_byte(int fd, uint64_t byte, enum stoai_os_lock kind)
{
	struct flock lock = span_lock(byte, 1, lock_type(kind));
	int rc = stoai_os_ask(STOAI_OS_LOCK);

	if (rc)
		return rc;
	if (byte >= INT64_MAX)
		return -EINVAL;
	return lock_call(fd, F_OFD_SETLK, &lock); /* I1: not SETLKW */
}

int
stoai_os_lock_span(int fd, uint64_t from, uint64_t size,
	enum stoai_os_lock kind, bool wait)
{
	struct flock lock = span_lock(from, size, lock_type(kind));
	int rc = stoai_os_ask(STOAI_OS_LOCK);

	if (rc)
		return rc;
	if (from >= INT64_MAX || size > INT64_MAX - from)
		return -EINVAL;
	return lock_call(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
}

int
stoai_os_probe_byte(int fd, uint64_t byte)
{
	struct flock lock = span_lock(byte, 1, F_WRLCK);
	int rc = stoai_os_ask(STOAI_OS_LOCK);

	if (rc)
		return rc;
	if (byte >= INT64_MAX)
		return -EINVAL;
	rc = lock_call(fd, F_OFD_GETLK, &lock);
	if (rc)
		return rc;
	return lock.l_type == F_UNLCK   ? STOAI_LOCK_NONE
	       : lock.l_type == F_RDLCK ? STOAI_LOCK_SHARED
					: STOAI_LOCK_EXCLUSIVE;
}
