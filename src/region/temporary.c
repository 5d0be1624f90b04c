/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Temporary names: how is a file made whole before it is seen, on a file system
 * that wants a name for everything?
 *
 *	.<name>.<16 hexadecimal digits>.stoa-new
 *
 * The maker keeps an exclusive lock on one byte of it. Who finds such a name takes
 * that byte shared: if that works, the maker is dead and the name is removed.
 *
 * Invariants:
 *   I1  A name is removed by others only while they hold its byte, so never
 *       while its maker holds it.
 *   I2  A maker goes on only when it holds the byte and the name is still its
 *       file's: one that was removed between its making and its locking is
 *       given up, and another one made.
 *   I3  Only regular files of our own user are removed, and only names of the
 *       form above. Nothing else in the directory is opened.
 *
 * Crash argument: killed before the name is made, nothing is there. Killed after,
 * the lock goes with the description, and the next maker removes the name. Killed
 * after publishing and before the temporary name is removed, the file has two
 * names; the next maker removes the temporary one, the other stays.
 *
 * Progress: ROUNDS_MAX names are tried. Where the file system has no such locks,
 * nothing is locked and so nothing is ever removed.
 */
#include "region/temporary.h"
#include "os/os.h"
#include "region/names.h"
#include <stdio.h>
#include <string.h>

enum {
	ROUNDS_MAX = 100,
	RANDOM_DIGITS = 16,
	STEM_MAX = 200, /* bytes of the name that are kept */
	FILE_MODE = S_IRUSR | S_IWUSR
};
/* Not an owner byte of any slot. */
#define MAKER_BYTE (UINT64_C(1) << 61)
static const char temporary_suffix[] = ".stoa-new";

static bool
is_temporary(const char *name)
{
	size_t size = strlen(name);
	const char *digits;

	if (name[0] != '.' ||
		size < 2 + RANDOM_DIGITS + sizeof temporary_suffix - 1 ||
		strcmp(name + size - (sizeof temporary_suffix - 1),
			temporary_suffix) != 0)
		return false;
	digits = name + size - (sizeof temporary_suffix - 1) - RANDOM_DIGITS;
	return digits[-1] == '.' &&
	       strspn(digits, "0123456789abcdef") == RANDOM_DIGITS;
}

static bool
is_named(const char *path, int fd)
{
	struct stat here, there;

	return !stoai_os_stat_fd(fd, &here) && !stoai_os_stat(path, &there) &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static void
remove_if_dead(const char *path)
{
	struct stat st;
	int fd;

	if (stoai_os_stat(path, &st) || !S_ISREG(st.st_mode) ||
		st.st_uid != stoai_os_euid())
		return; /* I3 */
	fd = stoai_os_open(path, 0, 0);
	if (fd < 0)
		return;
	/* I1: shared, because the file may allow no writing by now */
	if (!stoai_os_lock_byte(fd, MAKER_BYTE, STOAI_LOCK_SHARED) &&
		is_named(path, fd))
		(void)stoai_os_unlink(path);
	(void)stoai_os_close(fd);
}

struct sweep {
	char *path; /* of STOAI_PATH_MAX bytes: the directory, then a name */
	size_t directory; /* bytes of it */
};

static int
sweep_name(const char *name, void *user)
{
	struct sweep *sweep = user;
	size_t size = strlen(name);

	if (!is_temporary(name) || sweep->directory + size >= STOAI_PATH_MAX)
		return 0;
	memcpy(sweep->path + sweep->directory, name, size + 1);
	remove_if_dead(sweep->path);
	return 0;
}

/* path holds a directory that ends in a slash, and holds it again afterwards. */
static void
remove_dead(char path[STOAI_PATH_MAX])
{
	struct sweep sweep = {path, strlen(path)};

	/* The list reads path only until it has opened the directory. */
	(void)stoai_os_list(path, sweep_name, &sweep);
	path[sweep.directory] = '\0';
}

/* One attempt at one name. -EAGAIN: another name, please. */
static int
create_locked(const char *path)
{
	int fd, rc;

	fd = stoai_os_open(
		path, STOAI_OPEN_WRITE | STOAI_OPEN_CREATE, FILE_MODE);
	if (fd == -EEXIST)
		return -EAGAIN;
	if (fd < 0)
		return fd;
	rc = stoai_os_lock_byte(fd, MAKER_BYTE, STOAI_LOCK_EXCLUSIVE);
	if (rc == -ENOTSUP)
		return fd;
	if (!rc && is_named(path, fd)) /* I2 */
		return fd;
	(void)stoai_os_unlink(path);
	(void)stoai_os_close(fd);
	return rc ? rc : -EAGAIN;
}

int
stoai_temporary_create(const char *path, char ret[STOAI_PATH_MAX])
{
	size_t directory = stoai_path_directory(path);
	const char *name = path + directory;
	uint64_t random;
	int n, fd, rc;

	/* "./" and not "": the name below must not become an option to a tool */
	n = snprintf(ret, STOAI_PATH_MAX, "%.*s",
		directory ? (int)directory : 2, directory ? path : "./");
	directory = (size_t)n;
	remove_dead(ret);
	for (int i = 0; i < ROUNDS_MAX; i++) {
		rc = stoai_os_random(&random, sizeof random);
		if (rc)
			return rc;
		n = snprintf(ret + directory, STOAI_PATH_MAX - directory,
			".%.*s.%016llx%s", STEM_MAX, name,
			(unsigned long long)random, temporary_suffix);
		if (n < 0 || (size_t)n >= STOAI_PATH_MAX - directory)
			return -ENAMETOOLONG;
		fd = create_locked(ret);
		if (fd != -EAGAIN)
			return fd;
	}
	return -EAGAIN;
}
