/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks on files: how does one lock serve processes, threads and two handles in
 * one thread alike?
 *
 *	file   a description that nobody locks; what holds are opened from
 *	hold   a description of its own, and the kernel's lock on it
 *
 * The kernel's lock belongs to an open file description, so one description for
 * each hold makes every two holds strangers: no table of holders in the process,
 * no mutex, nothing that a fork or a death could leave half done.
 *
 * Invariants:
 *   I1  Only the process that took a hold unlocks or changes it: in a fork child
 *       the same description would change the parent's.
 *   I2  A conversion that fails has changed nothing: the kernel looks for
 *       conflicts before it replaces a lock.
 *
 * Deaths: all state that others see is the kernel's, which drops it with the last
 * descriptor of the description. A death between any two instructions leaves the
 * lock had or not had, and then gone.
 */
#include "stoa/filelock.h"
#include "base/base.h"
#include "os/os.h"
#include <errno.h>
#include <stdlib.h>

enum {
	PAUSE_MIN_NS = 50 * 1000,
	PAUSE_MAX_NS = 10 * 1000 * 1000
};

struct stoa_filelock {
	int fd;
	bool readonly;
};

struct stoa_filelock_hold {
	uint64_t from, size;
	uint64_t
		process; /* whose it is: I1. No pid: a child may be PID 1 as well */
	int fd;
	enum stoai_os_lock kind;
	bool readonly;
};

static int
open_regular(const char *path, bool readonly)
{
	struct stat st;
	int fd = stoai_os_open(path, readonly ? 0 : STOAI_OPEN_WRITE, 0), rc;

	if (fd < 0)
		return stoai_error(fd, "cannot open %s to lock it", path);
	rc = stoai_os_stat_fd(fd, &st);
	if (!rc && S_ISREG(st.st_mode))
		return fd;
	(void)stoai_os_close(fd);
	return rc ? stoai_error(rc, "cannot look at %s", path)
		  : stoai_error(-EINVAL, "%s is not a regular file", path);
}

int
stoa_filelock_open(const char *path, unsigned flags, stoa_filelock **ret)
{
	bool readonly = flags & STOA_RDONLY;
	stoa_filelock *file;
	int fd;

	if (!path || !*path || (flags & ~(unsigned)STOA_RDONLY))
		return stoai_error(-EINVAL, "a file lock wants a path, and no "
					    "flag but STOA_RDONLY");
	fd = open_regular(path, readonly);
	if (fd < 0)
		return fd;
	file = malloc(sizeof *file);
	if (!file) {
		(void)stoai_os_close(fd);
		return stoai_error(-ENOMEM, "no memory for a file lock");
	}
	*file = (stoa_filelock){.fd = fd, .readonly = readonly};
	*ret = file;
	return 0;
}

stoa_filelock *
stoa_filelock_close(stoa_filelock *file)
{
	if (file)
		(void)stoai_os_close(file->fd);
	free(file);
	return NULL;
}

/*
 * The kernel waits for ever or not at all: a deadline in between would need a
 * signal, and a library has none to give. So look again, soon at first.
 */
static int
wait_until(const stoa_filelock_hold *hold, enum stoai_os_lock kind,
	uint64_t deadline)
{
	uint64_t pause = PAUSE_MIN_NS, now;
	int rc;

	for (;;) {
		rc = stoai_os_lock_span(
			hold->fd, hold->from, hold->size, kind, false);
		if (rc != -EAGAIN || deadline == STOA_NOW)
			return rc;
		now = stoai_os_now();
		if (now >= deadline)
			return -ETIMEDOUT;
		stoai_os_sleep(pause < deadline - now ? pause : deadline - now);
		pause = pause < PAUSE_MAX_NS / 2 ? pause * 2 : PAUSE_MAX_NS;
	}
}

static int
kernel_lock(const stoa_filelock_hold *hold, enum stoai_os_lock kind,
	uint64_t deadline)
{
	int rc;

	if (kind == STOAI_LOCK_EXCLUSIVE && hold->readonly)
		return stoai_error(-EROFS,
			"a file that was opened read-only can only be shared");
	rc = deadline == STOA_FOREVER ? stoai_os_lock_span(hold->fd, hold->from,
						hold->size, kind, true)
				      : wait_until(hold, kind, deadline);
	if (!rc)
		return 0;
	return stoai_error(rc, "bytes from %llu of the file: %s",
		(unsigned long long)hold->from,
		rc == -EAGAIN || rc == -ETIMEDOUT ? "somebody else has them"
						  : "the lock was refused");
}

static int
lock_new(const stoa_filelock *file, enum stoai_os_lock kind,
	stoa_filelock_hold want, uint64_t deadline, stoa_filelock_hold **ret)
{
	stoa_filelock_hold *hold;
	int rc;

	if (!file)
		return stoai_error(-EINVAL, "no file to lock");
	hold = malloc(sizeof *hold);
	if (!hold)
		return stoai_error(-ENOMEM, "no memory for a hold");
	want.readonly = file->readonly;
	want.process = stoai_os_process();
	want.kind = kind;
	want.fd = stoai_os_reopen(file->fd, !file->readonly);
	rc = want.fd < 0 ? stoai_error(want.fd, "cannot open the file again")
			 : kernel_lock(&want, kind, deadline);
	if (rc) {
		if (want.fd >= 0)
			(void)stoai_os_close(want.fd);
		free(hold);
		return rc;
	}
	*hold = want;
	*ret = hold;
	return 0;
}

int
stoa_filelock_lock(stoa_filelock *file, uint64_t from, uint64_t size,
	uint64_t deadline, stoa_filelock_hold **ret)
{
	return lock_new(file, STOAI_LOCK_EXCLUSIVE,
		(stoa_filelock_hold){.from = from, .size = size}, deadline,
		ret);
}

int
stoa_filelock_share(stoa_filelock *file, uint64_t from, uint64_t size,
	uint64_t deadline, stoa_filelock_hold **ret)
{
	return lock_new(file, STOAI_LOCK_SHARED,
		(stoa_filelock_hold){.from = from, .size = size}, deadline,
		ret);
}

stoa_filelock_hold *
stoa_filelock_release(stoa_filelock_hold *hold)
{
	if (!hold)
		return NULL;
	/* A fork child may have the description too: closing is not enough. I1 */
	if (hold->process == stoai_os_process())
		(void)stoai_os_lock_span(hold->fd, hold->from, hold->size,
			STOAI_LOCK_NONE, false);
	(void)stoai_os_close(hold->fd);
	free(hold);
	return NULL;
}

/* I2: what the kernel refuses leaves hold->kind true. */
static int
convert(stoa_filelock_hold *hold, enum stoai_os_lock kind, uint64_t deadline)
{
	int rc;

	if (!hold)
		return stoai_error(-EINVAL, "nothing is held");
	if (hold->process != stoai_os_process()) /* I1 */
		return stoai_error(-EPERM, "the parent process holds it");
	if (hold->kind == kind)
		return 0;
	rc = kernel_lock(hold, kind, deadline);
	if (!rc)
		hold->kind = kind;
	return rc;
}

int
stoa_filelock_upgrade(stoa_filelock_hold *hold, uint64_t deadline)
{
	return convert(hold, STOAI_LOCK_EXCLUSIVE, deadline);
}

int
stoa_filelock_downgrade(stoa_filelock_hold *hold)
{
	return convert(hold, STOAI_LOCK_SHARED, STOA_NOW);
}

bool
stoa_filelock_is_exclusive(const stoa_filelock_hold *hold)
{
	return hold && hold->kind == STOAI_LOCK_EXCLUSIVE &&
	       hold->process == stoai_os_process();
}
