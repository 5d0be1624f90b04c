/* SPDX-License-Identifier: BSL-1.0 */
/*
 * malloc and its relatives as the C library names them: the only names that
 * libstoa-malloc.so shows. What glibc does where standards leave it open is done here
 * too: realloc to 0 frees, memalign rounds its alignment up, free keeps errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/base.h"
#include "block.h"
#include "early.h"
#include "os/os.h"
#include "private.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): glibc's have underscores */
#define SHOWN __attribute__((visibility("default")))

SHOWN void *
malloc(size_t size)
{
	return block_alloc(size, 1);
}

SHOWN void
free(void *p)
{
	if (stoai_likely(p != NULL))
		block_free(p);
}

SHOWN void *
calloc(size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return block_alloc_zero(size);
}

SHOWN void *
realloc(void *p, size_t size)
{
	void *to;

	if (!p)
		return block_alloc(size, 1);
	if (!size) {
		block_free(p);
		return NULL;
	}
	if (block_resize(p, size))
		return p;
	to = block_alloc(size, 1);
	if (!to)
		return NULL;
	memcpy(to, p, stoai_min(size, block_usable(p)));
	block_free(p);
	return to;
}

SHOWN void *
reallocarray(void *p, size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, size);
}

SHOWN void *
memalign(size_t align, size_t size)
{
	size_t power = 1;

	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (power < align)
		power <<= 1;
	return block_alloc(size, power);
}

SHOWN void *
aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

SHOWN int
posix_memalign(void **ret, size_t align, size_t size)
{
	int before = errno;
	void *p;

	if (!stoai_is_pow2(align) || align % sizeof(void *))
		return EINVAL;
	p = block_alloc(size, align);
	errno = before;
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

SHOWN void *
valloc(size_t size)
{
	return block_alloc(size, stoai_os_page_size());
}

SHOWN void *
pvalloc(size_t size)
{
	size_t page = stoai_os_page_size();

	if (size > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	return block_alloc(stoai_align_up(stoai_max(size, 1), page), page);
}

SHOWN size_t
malloc_usable_size(void *p)
{
	return p ? block_usable(p) : 0;
}

/* Nothing to give back at once: pages of large blocks go when they are freed. */
SHOWN int
malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* ---- the end ---- */

/* Where STOA_MALLOC_STATS leads: 1 is standard error, a path is a file's end. */
static void
say(const char *text, size_t size)
{
	const char *path = getenv("STOA_MALLOC_STATS");
	int fd = STDERR_FILENO;

	if (path && strchr(path, '/'))
		fd = open(
			path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	(void)!write(fd, text, size);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

__attribute__((destructor)) static void
statistics(void)
{
	struct stoai_heap_stat stat;
	struct private_counts counts;
	char text[512];
	int n;

	if (!private_segment || !private_wished("STOA_MALLOC_STATS"))
		return;
	stoai_heap_statistics(private_segment, &stat);
	private_count(&counts);
	n = snprintf(text, sizeof text,
		"libstoa-malloc: process %ld: %llu blocks of %llu bytes in "
		"use, "
		"%llu in caches; heap %llu; threads at most %u; %llu calls off "
		"the usual way, %llu on the shared seat; early %zu\n",
		(long)getpid(), (unsigned long long)stat.blocks,
		(unsigned long long)stat.used,
		(unsigned long long)stat.transient,
		(unsigned long long)stat.committed,
		stoai_slots_used(private_segment),
		(unsigned long long)counts.entered,
		(unsigned long long)counts.shared, early_used());
	if (n > 0)
		say(text, (size_t)n);
}
