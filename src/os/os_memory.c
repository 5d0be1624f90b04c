/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Memory: where shared and private bytes appear in this process.
 *
 * Invariants:
 *   I1  A shared mapping is never part of a core file (a crashing peer would
 *       hold its locks while gigabytes are written) and reserves no swap (its
 *       memory is committed by stoai_os_allocate, and only there).
 *   I2  Nothing here moves or removes a mapping that it was not given.
 */
#include "base/atomic.h"
#include "os/ask.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
protection(unsigned prot)
{
	return (prot & STOAI_MAP_READ ? PROT_READ : 0) |
	       (prot & STOAI_MAP_WRITE ? PROT_WRITE : 0);
}

size_t
stoai_os_page_size(void)
{
	static uint64_t size; /* every thread finds the same */
	uint64_t seen = a64_load_relaxed(&size);

	if (seen == 0) {
		seen = (uint64_t)sysconf(_SC_PAGESIZE);
		a64_store_relaxed(&size, seen);
	}
	return seen;
}

/* MAP_FAILED, and errno */
static void *
map_bytes(
	int fd, uint64_t from, size_t size, unsigned prot, int flags, void *at)
{
	if (from > INT64_MAX || (prot & STOAI_MAP_FIXED && !at)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (prot & STOAI_MAP_FIXED) /* I2: else `at` is a wish */
		flags |= MAP_FIXED;
	return mmap(at, size, protection(prot), flags | MAP_NORESERVE, fd,
		(off_t)from);
}

int
stoai_os_map(
	int fd, uint64_t from, size_t size, unsigned prot, void *at, void **ret)
{
	int rc = stoai_os_ask(STOAI_OS_MAP);
	void *there;

	if (rc)
		return rc;
	there = map_bytes(fd, from, size, prot, MAP_SHARED, at);
	if (there == MAP_FAILED)
		return -errno;
	/* I1; a kernel without it only writes larger core files */
	(void)madvise(there, size, MADV_DONTDUMP);
	*ret = there;
	return 0;
}

int
stoai_os_map_private(size_t size, unsigned prot, void *at, void **ret)
{
	int rc = stoai_os_ask(STOAI_OS_MAP);
	void *there;

	if (rc)
		return rc;
	there = map_bytes(-1, 0, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, at);
	if (there == MAP_FAILED)
		return -errno;
	*ret = there;
	return 0;
}

int
stoai_os_map_region(int fd, uint64_t from, size_t size, unsigned prot, int more,
	void *at, void **ret)
{
	int rc = stoai_os_ask(STOAI_OS_MAP);
	int flags = more | (prot & STOAI_MAP_COPY ? MAP_PRIVATE : MAP_SHARED) |
		    (fd < 0 ? MAP_ANONYMOUS : 0) |
		    (prot & STOAI_MAP_THERE ? MAP_FIXED_NOREPLACE : 0);
	void *there;

	if (rc)
		return rc;
	if (from > INT64_MAX)
		return -EINVAL;
	there = mmap(at, size, protection(prot), flags, fd, (off_t)from);
	if (there == MAP_FAILED)
		return -errno;
	if (prot & STOAI_MAP_THERE && there != at) { /* before Linux 4.17 */
		(void)munmap(there, size);
		return -EEXIST;
	}
	/* I1 */
	(void)madvise(there, size, MADV_DONTDUMP);
	*ret = there;
	return 0;
}

int
stoai_os_wipe_on_fork(void *at, size_t size)
{
	int rc = stoai_os_ask(STOAI_OS_MAP);

	return rc ? rc : stoai_os_result(madvise(at, size, MADV_WIPEONFORK));
}

void
stoai_os_unmap(void *at, size_t size)
{
	int rc = munmap(at, size);

	STOA_ASSERT(rc == 0); /* only a wrong argument fails */
	(void)rc;
}

int
stoai_os_protect(void *at, size_t size, unsigned prot)
{
	int rc = stoai_os_ask(STOAI_OS_MAP);

	return rc ? rc : stoai_os_result(mprotect(at, size, protection(prot)));
}

int
stoai_os_sync(void *at, size_t size)
{
	int rc = stoai_os_ask(STOAI_OS_SYNC);
	long done;

	if (rc)
		return rc;
	do /* the bare call: glibc's can be cancelled in */
		done = syscall(SYS_msync, at, size, MS_SYNC);
	while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}
