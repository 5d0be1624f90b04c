/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the tests of backings share: a directory, files that are made as segments
 * are, in both ways of making: with an unnamed file, and with a temporary name
 * where the file system has none.
 */
#ifndef TESTS_UNIT_BACKING_FIXTURE_H
#define TESTS_UNIT_BACKING_FIXTURE_H
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */

#include "base/base.h"
#include "os/os.h"
#include "region/backing.h"
#include "room.h"

enum {
	SECONDS = 55,
	SOMEBODY = 54321,
	KIB = 1 << 10,
	MIB = 1 << 20
};

static const char content[] = "all that a segment needs";
static bool no_unnamed; /* the way of making that is tried now */

static inline int
room_open(void **state)
{
	no_unnamed = false;
	return room_make(state);
}

static inline void
start(void)
{
	fault_start();
	if (no_unnamed)
		fault_always(STOAI_OS_UNNAMED, -EOPNOTSUPP);
}

/* Calls f once for each way. */
static inline void
both_ways(void (*f)(void))
{
	for (int i = 0; i < 2; i++) {
		no_unnamed = i == 1;
		start();
		f();
		fault_stop();
	}
}

/* Makes a file of that name, as a segment is made. 0, or the first error. */
static inline int
make_named(const char *path, uint32_t mode)
{
	struct stoai_backing b;
	int rc = stoai_backing_create(STOAI_BACKING_NAMED, path, &b);

	if (rc)
		return rc;
	rc = stoai_backing_allocate(&b, 0, 4 * KIB);
	if (!rc && pwrite(b.fd, content, sizeof content, 0) !=
			   (ssize_t)sizeof content)
		rc = -EIO;
	if (!rc)
		rc = stoai_backing_publish(&b, mode, 0, 0);
	stoai_backing_close(&b);
	return rc;
}

static inline bool
is_whole(const char *path, uint32_t mode)
{
	char bytes[sizeof content] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	(void)fstat(fd, &st);
	(void)read(fd, bytes, sizeof bytes);
	(void)close(fd);
	return st.st_size == 4 * KIB && (st.st_mode & 07777) == mode &&
	       st.st_nlink == 1 && !memcmp(bytes, content, sizeof bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_open, room_close)

#endif
