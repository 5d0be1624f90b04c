/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Names: which path does a named segment have, and is its directory one in which
 * nobody can play tricks on us?
 *
 *	/dev/shm/stoa-1000 / default / prices
 *	directory            domain    name
 *
 * Invariants:
 *   I1  A name or domain is one path component that can be printed, and never
 *       one of ours (those begin with a dot; see temporary.h).
 *   I2  A directory is used only if we or root own it: its owner can replace
 *       whatever is in it. Nor if everybody may write it and it is not sticky.
 *   I4  A name too long for a file is its beginning, '~' and its hash; the whole
 *       name is in the segment, and who opens it compares.
 *   I3  Nothing that a symlink points to is taken for the default directory or
 *       a domain. A directory that the user configured may be reached by one.
 *
 * Crash argument: mkdir obeys the umask, so that a directory is made in two steps,
 * mkdir 01700 and chmod to its final mode. Sticky without write permission for
 * others has no meaning otherwise: it marks a directory whose maker died between
 * the two, and the next to make a segment there takes the second step.
 */
#include "region/names.h"
#include "base/hash.h"
#include "os/os.h"
#include <stdio.h>
#include <string.h>

enum {
	NAME_SIZE_MAX = 200, /* bytes; leaves room for what temporary.c adds */
	PREFIX_MAX = 160,    /* of a longer name, before its hash */
	UNFINISHED_MODE = S_ISVTX | S_IRWXU,
	OTHERS_MODE = S_IRWXG | S_IRWXO
};

const char *
stoai_path_shown(char buf[STOAI_SHOWN_SIZE], const char *path)
{
	size_t size = strlen(path);
	const char *from = path;
	char *to = buf;

	if (size >= STOAI_SHOWN_SIZE) {
		memset(buf, '.', 3);
		to += 3;
		from += size - (STOAI_SHOWN_SIZE - 4);
	}
	for (; *from; from++, to++) {
		unsigned char c = (unsigned char)*from;

		*to = *from;
		if (c < 0x20 || c == 0x7f)
			*to = '?';
	}
	*to = '\0';
	return buf;
}

size_t
stoai_path_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

int
stoai_path_check(const char *path)
{
	size_t size = path ? strnlen(path, STOAI_PATH_MAX) : 0;

	if (size == 0)
		return stoai_error(-EINVAL, "the path is empty");
	if (size == STOAI_PATH_MAX)
		return stoai_error(-ENAMETOOLONG,
			"the path has more than %d bytes", STOAI_PATH_MAX - 1);
	if (path[size - 1] == '/')
		return stoai_error(-EINVAL, "the path ends in '/': that is a "
					    "directory, not a file");
	return 0;
}

int
stoai_path_error(int rc, const char *what, const char *path)
{
	char shown[STOAI_SHOWN_SIZE];

	errno = -rc;
	return stoai_error_errno(
		"cannot %s '%s'", what, stoai_path_shown(shown, path));
}

/* The size of the UTF-8 character at s; 0: it is none. Reads no further than NUL. */
static size_t
utf8_size(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = s[0] < 0x80         ? 1
		      : s[0] >> 5 == 0x6  ? 2
		      : s[0] >> 4 == 0xe  ? 3
		      : s[0] >> 3 == 0x1e ? 4
					  : 0;
	uint32_t c;

	if (size <= 1) {
		*ret = s[0];
		return size;
	}
	c = s[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return size;
}

/* I1; what: "name" or "domain" */
static int
name_check(const char *what, const char *name, size_t size_max)
{
	size_t size = name ? strnlen(name, size_max + 1) : 0;
	uint32_t c = 0;

	if (size == 0)
		return stoai_error(-EINVAL, "the %s is empty", what);
	if (size > size_max)
		return stoai_error(-ENAMETOOLONG,
			"the %s has more than %zu bytes", what, size_max);
	if (name[0] == '.')
		return stoai_error(-EINVAL,
			"the %s begins with a dot: choose another", what);
	for (size_t i = 0; i < size;) {
		size_t n = utf8_size((const unsigned char *)name + i, &c);

		if (n == 0)
			return stoai_error(-EINVAL,
				"the %s is not UTF-8 at its byte %zu (0x%02x)",
				what, i, (unsigned char)name[i]);
		if (c == '/')
			return stoai_error(-EINVAL,
				"the %s has a '/' at its byte %zu: it is a "
				"name, not"
				" a path (a path goes with STOA_FILE)",
				what, i);
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return stoai_error(-EINVAL,
				"the %s has a control character (U+%04X) at its"
				" byte %zu",
				what, (unsigned)c, i);
		i += n;
	}
	return 0;
}

/* I4: what a checked name is in its directory. */
static const char *
name_component(const char *name, char buf[NAME_SIZE_MAX + 1])
{
	size_t size = strlen(name), cut = PREFIX_MAX;

	if (size <= NAME_SIZE_MAX)
		return name;
	while (((unsigned char)name[cut] & 0xc0) == 0x80)
		cut--; /* whole characters */
	(void)snprintf(buf, NAME_SIZE_MAX + 1, "%.*s~%016llx%016llx", (int)cut,
		name, (unsigned long long)stoai_hash(name, size, 1),
		(unsigned long long)stoai_hash(name, size, 2));
	return buf;
}

bool
stoai_name_is_hashed(const char *name)
{
	return strlen(name) > NAME_SIZE_MAX;
}

/* The argument, else the variable, else the default. "" in a variable is unset. */
static const char *
setting(const char *argument, const char *variable, const char *otherwise)
{
	const char *value;

	if (argument)
		return argument;
	value = stoai_os_environment(variable);
	return value && value[0] ? value : otherwise;
}

/* I2, I3 */
static int
directory_check(const char *path, const struct stat *st)
{
	char shown[STOAI_SHOWN_SIZE];

	if (!S_ISDIR(st->st_mode))
		return stoai_error(-EPERM,
			"'%s' is not a directory (or a symbolic link to one):"
			" remove it, or set STOA_DIRECTORY",
			stoai_path_shown(shown, path));
	if (st->st_uid != stoai_os_euid() && st->st_uid != 0)
		return stoai_error(-EPERM,
			"the directory '%s' belongs to uid %u, who could"
			" replace what is in it: set STOA_DIRECTORY to one of"
			" ours",
			stoai_path_shown(shown, path), (unsigned)st->st_uid);
	if ((st->st_mode & S_IWOTH) && !(st->st_mode & S_ISVTX))
		return stoai_error(-EPERM,
			"everybody may replace what is in the directory '%s':"
			" chmod o-w or +t it",
			stoai_path_shown(shown, path));
	return 0;
}

/*
 * Is there a directory at path that we may use? make: there is one afterwards,
 * and its final mode, if we made it, is `mode`. *ret: as it is; st_ino 0: missing.
 */
static int
directory_ready(const char *path, bool make, uint32_t mode, struct stat *ret)
{
	int rc = stoai_os_stat(path, ret);

	if (rc == -ENOENT && make) {
		rc = stoai_os_mkdir(path, UNFINISHED_MODE);
		if (rc && rc != -EEXIST)
			return stoai_path_error(rc, "make the directory", path);
		rc = stoai_os_stat(path, ret);
	}
	if (rc == -ENOENT && !make) {
		ret->st_ino = 0;
		return 0;
	}
	if (rc)
		return stoai_path_error(rc, "look at the directory", path);
	rc = directory_check(path, ret);
	if (rc || !make || ret->st_uid != stoai_os_euid() ||
		!(ret->st_mode & S_ISVTX) || (ret->st_mode & OTHERS_MODE))
		return rc;
	mode |= ret->st_mode & S_ISGID; /* as its parent gave it */
	rc = stoai_os_chmod_directory(path, mode);
	if (rc)
		return stoai_path_error(rc, "set the mode of", path);
	ret->st_mode = S_IFDIR | mode;
	return 0;
}

/* What a domain in such a directory may do: never more than its directory. */
static uint32_t
domain_mode(const struct stat *directory)
{
	if (directory->st_mode & S_ISVTX) /* one directory for many owners */
		return S_IRWXU;
	return S_IRWXU | (directory->st_mode & OTHERS_MODE);
}

/* path: directory, '/', domain, '/', name; the two cuts are where the slashes are */
static int
directories_ready(char *path, size_t cut, size_t cut2, bool make, bool ours)
{
	/* A path that ends in a slash is followed if it is a symlink: I3. */
	size_t end = ours ? cut : cut + 1;
	char after = path[end];
	struct stat st = {0};
	int rc;

	path[end] = '\0';
	rc = directory_ready(path, make, S_IRWXU, &st);
	path[end] = after;
	if (rc || st.st_ino == 0)
		return rc;
	path[cut2] = '\0';
	rc = directory_ready(path, make, domain_mode(&st), &st);
	path[cut2] = '/';
	return rc;
}

int
stoai_backing_path(const char *name, const char *directory, const char *domain,
	bool make, char ret[STOAI_PATH_MAX])
{
	char standard[32], component[NAME_SIZE_MAX + 1];
	size_t cut;
	int n, rc;

	ret[0] = '\0';
	(void)snprintf(standard, sizeof standard, "/dev/shm/stoa-%u",
		(unsigned)stoai_os_euid());
	directory = setting(directory, "STOA_DIRECTORY", standard);
	domain = setting(domain, "STOA_DOMAIN", "default");
	rc = name_check("name", name, STOAI_SEGMENT_NAME_MAX);
	if (!rc)
		rc = name_check("domain", domain, NAME_SIZE_MAX);
	if (rc)
		return rc;
	if (directory[0] != '/')
		return stoai_error(-EINVAL,
			"the directory of names must be an absolute path: other"
			" processes have another working directory");
	cut = strlen(directory);
	while (cut > 0 && directory[cut - 1] == '/')
		cut--;
	n = cut >= STOAI_PATH_MAX ? -1
				  : snprintf(ret, STOAI_PATH_MAX, "%.*s/%s/%s",
					    (int)cut, directory, domain,
					    name_component(name, component));
	if (n < 0 || n >= STOAI_PATH_MAX)
		rc = stoai_error(-ENAMETOOLONG,
			"the path of '%s' has more than %d bytes", name,
			STOAI_PATH_MAX - 1);
	else
		rc = directories_ready(ret, cut, cut + 1 + strlen(domain), make,
			directory == standard);
	if (rc)
		ret[0] = '\0';
	return rc;
}
