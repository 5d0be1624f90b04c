/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Placement: which pages are behind a mapping, of what size, on which node, and do
 * they stay in memory?
 *
 * The answers come from the kernel's own account of this process's mappings
 * (/proc/self/smaps), never from what a call promised: an advice that was taken
 * and had no effect is seen.
 */
#include "os/ask.h"
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
 #define MADV_POPULATE_READ  22
 #define MADV_POPULATE_WRITE 23
#endif

enum {
	NODES = 64,
	KIB = 1024,
	LINES_SIZE = 4096
};

int
stoai_os_advise(void *at, size_t size, int advice)
{
	int rc = stoai_os_ask(STOAI_OS_ADVISE);

	return rc ? rc : stoai_os_result(madvise(at, size, advice));
}

int
stoai_os_populate(void *at, size_t size, bool write)
{
	int rc = stoai_os_ask(STOAI_OS_ADVISE);
	long done;

	if (rc)
		return rc;
	do
		done = madvise(at, size,
			write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}

int
stoai_os_reside(void *at, size_t size, bool locked)
{
	int rc = stoai_os_ask(STOAI_OS_RESIDE);

	if (rc)
		return rc;
	/* the bare call: sanitizers make nothing of glibc's */
	return stoai_os_result(
		syscall(locked ? SYS_mlock : SYS_munlock, at, size));
}

int
stoai_os_mbind(void *at, size_t size, int policy, uint64_t nodes)
{
	int rc = stoai_os_ask(STOAI_OS_MBIND);
	unsigned long mask = nodes;

	if (rc)
		return rc;
	/* the kernel's count of bits is one more than it reads */
	return stoai_os_result(syscall(SYS_mbind, at, size, policy,
		nodes ? &mask : NULL, nodes ? NODES + 1 : 0, MPOL_MF_MOVE));
}

int
stoai_os_policy(void *at, int *policy, uint64_t *nodes)
{
	unsigned long mask[16] = {0}; /* kernels are built for up to 1024 */
	int rc = stoai_os_ask(STOAI_OS_MBIND);

	if (rc)
		return rc;
	if (syscall(SYS_get_mempolicy, policy, mask, sizeof mask * 8, at,
		    MPOL_F_ADDR))
		return -errno;
	stoai_os_written(policy, sizeof *policy);
	stoai_os_written(mask, sizeof mask);
	*nodes = mask[0];
	return 0;
}

/* ---- facts ---- */

struct facts_walk {
	uintptr_t from, end;
	uint64_t
		share; /* of the mapping that is read now: its bytes in the span */
	struct stoai_facts *ret;
};

/* What part of `bytes`, counted for a whole mapping, is in the span at most. */
static uint64_t
in_span(const struct facts_walk *w, uint64_t bytes)
{
	return stoai_min(bytes, w->share);
}

/* "7f12a000-7f12c000 rw-s ..." begins the account of a mapping. */
static bool
facts_begin(struct facts_walk *w, const char *line)
{
	char *minus, *space;
	const uintptr_t from = strtoull(line, &minus, 16);
	uintptr_t end;

	if (minus == line || *minus != '-')
		return false;
	end = strtoull(minus + 1, &space, 16);
	if (*space != ' ')
		return false;
	w->share = 0;
	if (from < w->end && end > w->from)
		w->share = stoai_min(end, w->end) - stoai_max(from, w->from);
	return true;
}

/* "Rss:     4 kB" */
static void
facts_line(struct facts_walk *w, const char *line)
{
	static const struct {
		const char *name;
		bool resident, huge, locked;
	} counts[] = {
		{"Rss:", true, false, false},
		{"Shared_Hugetlb:", true, true, false},
		{"Private_Hugetlb:", true, true, false},
		{"AnonHugePages:", false, true, false},
		{"ShmemPmdMapped:", false, true, false},
		{"FilePmdMapped:", false, true, false},
		{"Locked:", false, false, true},
	};
	const size_t name = strcspn(line, ":") + 1;
	uint64_t bytes;

	if (facts_begin(w, line) || !w->share || !line[name - 1])
		return;
	bytes = strtoull(line + name, NULL, 10) * KIB;
	if (!strncmp(line, "KernelPageSize:", name))
		w->ret->page = stoai_max(w->ret->page, bytes);
	for (size_t i = 0; i < STOAI_COUNT(counts); i++) {
		if (strncmp(line, counts[i].name, name) != 0)
			continue;
		bytes = in_span(w, bytes);
		w->ret->resident += counts[i].resident ? bytes : 0;
		w->ret->huge += counts[i].huge ? bytes : 0;
		w->ret->locked += counts[i].locked ? bytes : 0;
	}
}

/* All whole lines of buf; returns how many bytes of a line are left at its start. */
static size_t
facts_lines(struct facts_walk *w, char *buf, size_t size)
{
	char *line = buf, *end;

	buf[size] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		facts_line(w, line);
		line = end + 1;
	}
	size -= (size_t)(line - buf);
	memmove(buf, line, size);
	return size;
}

int
stoai_os_facts(const void *at, size_t size, struct stoai_facts *ret)
{
	struct facts_walk w = {
		.from = (uintptr_t)at, .end = (uintptr_t)at + size, .ret = ret};
	char buf[LINES_SIZE + 1];
	int fd = stoai_os_open("/proc/self/smaps", 0, 0);
	size_t kept = 0;
	long n;

	memset(ret, 0, sizeof *ret);
	if (fd < 0)
		return fd == -ENOENT ? -ENOTSUP : fd;
	do {
		n = syscall(SYS_read, fd, buf + kept, LINES_SIZE - kept);
		if (n > 0) {
			stoai_os_written(buf + kept, (size_t)n);
			kept = facts_lines(&w, buf, kept + (size_t)n);
		}
	} while (n > 0 || stoai_os_interrupted(n));
	n = stoai_os_result(n);
	(void)stoai_os_close(fd);
	return (int)n;
}
