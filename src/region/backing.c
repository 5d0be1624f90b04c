/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Backings: where do the bytes of a segment live, and who may open them?
 *
 *	create     a file that nobody can see       O_TMPFILE, memfd, or a
 *	   |                                        temporary name (temporary.c)
 *	   |       the caller fills it
 *	publish    its mode, then its name          link(2): whole, or not there
 *
 * Invariants:
 *   I1  A name always leads to a complete file.
 *   I2  A name is given once; who finds it taken gets -EEXIST and has changed
 *       nothing.
 *   I3  What is opened is a regular file of ours or of root's, looked at both
 *       before it is opened (a device could do things when opened) and after
 *       (it could be another one by then).
 *   I4  A backing that failed to be made or opened holds no descriptor and has
 *       left no name.
 *   I5  A descriptor of ours has an open file description that no other process
 *       has, until this one forks.
 *
 * Crash argument: an unnamed file is gone with its maker; link(2) is the one step
 * at which it appears. Temporary names: see temporary.c.
 */
#include "region/backing.h"
#include "os/os.h"
#include "region/names.h"
#include "region/temporary.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
	MADE_MODE = S_IRUSR | S_IWUSR, /* until it is published */
	MODE_MAX = 0666
};

static void
backing_clear(struct stoai_backing *b, enum stoai_backing_kind kind)
{
	b->kind = kind;
	b->fd = -1;
	b->readonly = false;
	b->device = b->inode = b->size = 0;
	b->path[0] = '\0';
	b->temporary[0] = '\0';
}

static void
keep_stat(struct stoai_backing *b, const struct stat *st)
{
	b->device = st->st_dev;
	b->inode = st->st_ino;
	b->size = st->st_size > 0 ? (uint64_t)st->st_size : 0;
}

static const char *
path_or_not(const struct stoai_backing *b)
{
	return b->path[0] ? b->path : "memory without a name";
}

static const char *
kind_of_file(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a fifo";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

/* A file for path that has no name yet, or a temporary one. */
static int
create_beside(const char *path, struct stoai_backing *b)
{
	size_t directory = stoai_path_directory(path);
	char shown[STOAI_SHOWN_SIZE];
	int fd;

	/* the buffer of the temporary name carries the directory until then */
	(void)snprintf(b->temporary, sizeof b->temporary, "%.*s",
		directory ? (int)directory : 1, directory ? path : ".");
	fd = stoai_os_open(
		b->temporary, STOAI_OPEN_UNNAMED | STOAI_OPEN_WRITE, MADE_MODE);
	b->temporary[0] = '\0';
	if (fd == -EOPNOTSUPP) {
		fd = stoai_temporary_create(path, b->temporary);
		if (fd < 0)
			b->temporary[0] = '\0';
	}
	if (fd < 0) {
		errno = -fd;
		return stoai_error_errno("cannot make a file in the directory"
					 " of '%s'",
			stoai_path_shown(shown, path));
	}
	b->fd = fd;
	return 0;
}

/* What is there belongs to us, whatever the umask was. */
static int
settle_new(struct stoai_backing *b)
{
	struct stat st;
	int rc;

	rc = stoai_os_stat_fd(b->fd, &st);
	if (!rc && (st.st_mode & MODE_MAX) != MADE_MODE)
		rc = stoai_os_chmod_fd(b->fd, MADE_MODE);
	if (rc) {
		errno = -rc;
		return stoai_error_errno("cannot prepare the new file");
	}
	keep_stat(b, &st);
	return 0;
}

int
stoai_backing_create(enum stoai_backing_kind kind, const char *path,
	struct stoai_backing *ret)
{
	int rc = 0;

	backing_clear(ret, kind);
	if (kind == STOAI_BACKING_LOCAL)
		return 0;
	if (kind == STOAI_BACKING_MEMFD || kind == STOAI_BACKING_HUGE) {
		ret->fd = kind == STOAI_BACKING_HUGE
				  ? stoai_os_memfd_huge("stoa")
				  : stoai_os_memfd("stoa");
		if (ret->fd < 0) {
			errno = -ret->fd;
			ret->fd = -1;
			return stoai_error_errno("cannot make a memfd");
		}
	} else {
		STOA_ASSERT(kind == STOAI_BACKING_NAMED ||
			    kind == STOAI_BACKING_FILE);
		rc = stoai_path_check(path);
		if (!rc)
			rc = create_beside(path, ret);
	}
	if (!rc)
		rc = settle_new(ret);
	if (!rc && path)
		(void)snprintf(ret->path, sizeof ret->path, "%s", path);
	if (rc)
		stoai_backing_close(ret);
	return rc;
}

int
stoai_backing_mode_check(uint32_t mode)
{
	if (!(mode & ~(uint32_t)MODE_MAX))
		return 0;
	return stoai_error(-EINVAL,
		"the mode %#o has more than reading and writing (0666)",
		(unsigned)mode);
}

static int
give(const struct stoai_backing *b, uint32_t uid, uint32_t gid)
{
	char shown[STOAI_SHOWN_SIZE];
	int rc = 0;

	if (uid != UINT32_MAX || gid != UINT32_MAX)
		rc = stoai_os_chown_fd(b->fd, uid, gid);
	if (!rc)
		return 0;
	errno = -rc;
	return stoai_error_errno(
		"cannot give '%s' to uid %d, gid %d (-1: as it is): root may,"
		" others only to a group of theirs",
		stoai_path_shown(shown, path_or_not(b)), (int)uid, (int)gid);
}

int
stoai_backing_publish(
	struct stoai_backing *b, uint32_t mode, uint32_t owner, uint32_t group)
{
	char shown[STOAI_SHOWN_SIZE];
	int rc = stoai_backing_mode_check(mode);

	if (rc)
		return rc;
	if (b->fd < 0 || b->kind == STOAI_BACKING_GIVEN ||
		b->kind == STOAI_BACKING_BUFFER)
		return 0;
	/* before its mode: chown may change that */
	rc = give(b, stoai_backing_id(owner), stoai_backing_id(group));
	if (rc)
		return rc;
	rc = stoai_os_chmod_fd(b->fd, mode);
	if (rc)
		return stoai_path_error(rc, "set the mode of", path_or_not(b));
	if (!b->path[0])
		return 0;
	/* I1, I2: the file is whole by now, and link(2) replaces nothing */
	rc = b->temporary[0] ? stoai_os_link(b->temporary, b->path)
			     : stoai_os_link_fd(b->fd, b->path);
	if (rc == -EEXIST)
		return stoai_error(rc, "'%s' is there already",
			stoai_path_shown(shown, b->path));
	if (rc)
		return stoai_path_error(rc, "give a file its name", b->path);
	/* If this fails, close tries again, and after that the next maker. */
	if (b->temporary[0] && !stoai_os_unlink(b->temporary))
		b->temporary[0] = '\0';
	return 0;
}

/* I3 */
static int
open_check(const char *path, const struct stat *st, uint32_t trusted)
{
	char shown[STOAI_SHOWN_SIZE];

	if (!S_ISREG(st->st_mode))
		return stoai_error(-EPROTO,
			"'%s' is %s, not a regular file: choose another name",
			stoai_path_shown(shown, path), kind_of_file(st));
	if (st->st_uid != stoai_os_euid() && st->st_uid != 0)
		return trusted == UINT32_MAX || trusted == st->st_uid + 1
			       ? 0
			       : stoai_error(-EPERM,
					 "'%s' belongs to uid %u, and only "
					 "files of uid %u or"
					 " root are opened, or of whom .owner "
					 "names",
					 stoai_path_shown(shown, path),
					 (unsigned)st->st_uid,
					 (unsigned)stoai_os_euid());
	return 0;
}

int
stoai_backing_open_of(enum stoai_backing_kind kind, const char *path,
	bool readonly, uint32_t trusted, struct stoai_backing *ret)
{
	char shown[STOAI_SHOWN_SIZE];
	struct stat st;
	int rc;

	backing_clear(ret, kind);
	ret->readonly = readonly;
	rc = stoai_path_check(path);
	if (rc)
		return rc;
	rc = stoai_os_stat(path, &st);
	if (rc == -ENOENT)
		return stoai_error(rc, "cannot find '%s': No such file%s",
			stoai_path_shown(shown, path),
			readonly ? "" : "; STOA_CREATE makes it");
	if (rc)
		return stoai_path_error(rc, "find", path);
	rc = open_check(path, &st, trusted);
	if (rc)
		return rc;
	rc = stoai_os_open(path, readonly ? 0 : STOAI_OPEN_WRITE, 0);
	if (rc < 0)
		return stoai_path_error(rc,
			readonly ? "open for reading" : "open for writing",
			path);
	ret->fd = rc;
	rc = stoai_os_stat_fd(ret->fd, &st);
	if (rc)
		rc = stoai_path_error(rc, "look at", path);
	else
		rc = open_check(path, &st, trusted);
	if (rc) {
		stoai_backing_close(ret);
		return rc;
	}
	keep_stat(ret, &st);
	(void)snprintf(ret->path, sizeof ret->path, "%s", path);
	return 0;
}

int
stoai_backing_open(enum stoai_backing_kind kind, const char *path,
	bool readonly, struct stoai_backing *ret)
{
	return stoai_backing_open_of(kind, path, readonly, 0, ret);
}

int
stoai_backing_given(int fd, bool readonly, struct stoai_backing *ret)
{
	struct stat st;
	int rc;

	backing_clear(ret, STOAI_BACKING_GIVEN);
	ret->readonly = readonly;
	rc = stoai_os_stat_fd(fd, &st);
	if (rc) {
		errno = -rc;
		return stoai_error_errno("descriptor %d", fd);
	}
	if (!S_ISREG(st.st_mode))
		return stoai_error(-EINVAL,
			"descriptor %d is %s, not a memfd or a regular file",
			fd, kind_of_file(&st));
	rc = stoai_os_reopen(fd, !readonly); /* I5 */
	if (rc == -ENOTSUP)
		return stoai_error(rc,
			"descriptor %d cannot be opened anew without /proc",
			fd);
	if (rc < 0) {
		errno = -rc;
		return stoai_error_errno(
			"cannot open the file of descriptor %d (mode %04o, uid"
			" %u) anew for %s",
			fd, (unsigned)st.st_mode & 07777u, (unsigned)st.st_uid,
			readonly ? "reading" : "writing");
	}
	ret->fd = rc;
	keep_stat(ret, &st);
	return 0;
}

int
stoai_backing_owners(int fd, struct stoai_backing *ret)
{
	int rc = fd > 0 ? stoai_backing_given(fd, false, ret)
			: stoai_backing_create(STOAI_BACKING_MEMFD, NULL, ret);

	ret->kind = STOAI_BACKING_BUFFER;
	return rc;
}

int
stoai_path_current(const char *path, uint64_t device, uint64_t inode)
{
	char shown[STOAI_SHOWN_SIZE];
	struct stat st;
	int rc = stoai_os_stat(path, &st);

	if (!rc && st.st_dev == device && st.st_ino == inode)
		return 0;
	if (rc && rc != -ENOENT)
		return stoai_path_error(rc, "find", path);
	return stoai_error(-ESTALE,
		"'%s' was removed or replaced meanwhile: open it again",
		stoai_path_shown(shown, path));
}

int
stoai_backing_current(const struct stoai_backing *b)
{
	return b->path[0] ? stoai_path_current(b->path, b->device, b->inode)
			  : 0;
}

int
stoai_backing_allocate(
	const struct stoai_backing *b, uint64_t from, uint64_t size)
{
	char shown[STOAI_SHOWN_SIZE], text[16];
	int rc;

	if (b->fd < 0)
		return 0;
	rc = stoai_os_allocate(b->fd, from, size);
	if (rc == -EOPNOTSUPP)
		return stoai_error(-ENOTSUP,
			"the file system of '%s' cannot reserve space: use"
			" tmpfs, ext4 or xfs",
			stoai_path_shown(shown, path_or_not(b)));
	if (rc) {
		errno = -rc;
		return stoai_error_errno("cannot get %s at %#llx of '%s'",
			stoai_size_text(text, size), (unsigned long long)from,
			stoai_path_shown(shown, path_or_not(b)));
	}
	return 0;
}

int
stoai_backing_unlink(const char *path)
{
	int rc = stoai_path_check(path);

	if (rc)
		return rc;
	rc = stoai_os_unlink(path);
	return rc ? stoai_path_error(rc, "remove", path) : 0;
}

void
stoai_backing_close(struct stoai_backing *b)
{
	if (b->temporary[0])
		(void)stoai_os_unlink(b->temporary);
	b->temporary[0] = '\0'; /* I4 */
	if (b->fd >= 0)
		(void)stoai_os_close(b->fd);
	b->fd = -1;
}
