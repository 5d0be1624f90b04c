/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Changes: other sizes of a region and its backing, and what is said to the system
 * about its bytes.
 *
 *	grow      map what will be there; then the backing; if that fails, unmap
 *	shrink    the backing; then unmap what is gone
 *
 * Invariants:
 *   I1  Mapped and touchable is what the backing has: between the two steps of a
 *       change more may be mapped, and only our caller, who excludes all others,
 *       could touch it.
 *   I2  A failed change has changed nothing.
 *
 * Crash argument: the backing changes in one system call, which makes its old or its
 * new size; what is mapped goes with the process.
 */
#include "os/os.h"
#include "region/region.h"
#include <fcntl.h>
#include <sys/mman.h>

/* ---- sizes ---- */

static size_t
span_of(const stoa_region *r, size_t size)
{
	return size ? stoai_align_up(r->at + size, r->page) : 0;
}

static void
unmap_all(stoa_region *r)
{
	if (r->base)
		(void)r->kind.unmap(r->user, r->base, r->span);
	r->base = NULL;
	r->span = 0;
}

/* What is mapped from now on; it is not more than now. */
static void
keep(stoa_region *r, size_t size)
{
	size_t span = span_of(r, size);

	if (span == 0)
		unmap_all(r);
	else if (span < r->span)
		(void)r->kind.unmap(r->user, r->base + span, r->span - span);
	r->span = span;
	r->size = size;
}

struct growth {
	void *base; /* of the new mapping */
	size_t span;
	bool moved; /* it is all of it, elsewhere; else what comes behind the old */
};

static int
growth_map(stoa_region *r, size_t span, struct growth *g)
{
	const uint64_t offset = r->offset - r->at;
	int rc = 0;

	*g = (struct growth){.base = NULL, .span = 0};
	if (span == r->span)
		return 0;
	if (r->base) {
		g->span = span - r->span;
		rc = stoai_region_map(r, g->span, r->base + r->span,
			offset + r->span, &g->base);
		if (rc != -EBUSY)
			return rc;
	}
	if (r->flags & STOA_PRIVATE || (r->fixed && r->base))
		return stoai_error(-EBUSY,
			"%s: the addresses behind it are taken, and it must not"
			" move",
			stoai_region_shown(r));
	g->moved = true;
	g->span = span;
	return stoai_region_map(r, span, NULL, offset, &g->base);
}

static void
growth_undo(stoa_region *r, const struct growth *g)
{
	if (g->base)
		(void)r->kind.unmap(r->user, g->base, g->span);
}

static void
growth_take(stoa_region *r, const struct growth *g, size_t size)
{
	if (g->moved) {
		unmap_all(r);
		r->base = g->base;
	}
	r->span = span_of(r, size);
	r->size = size;
}

static int
resize_check(const stoa_region *r, uint64_t size)
{
	uint64_t end;

	if (!r->kind.resize)
		return stoai_error(-ENOTSUP,
			"%s cannot be resized: make another one, with another"
			" size",
			stoai_region_shown(r));
	if (r->flags & (STOA_RDONLY | STOA_PRIVATE))
		return stoai_error(-EROFS,
			"%s is mapped read-only or private: what it maps is not"
			" resized through it",
			stoai_region_shown(r));
	if (size == 0)
		return stoai_error(-EINVAL,
			"%s: a region has a byte at least; stoa_region_unlink"
			" removes it",
			stoai_region_shown(r));
	if (stoai_add_overflows(r->offset, size, &end) || end > INT64_MAX)
		return stoai_error(-EFBIG, "%s: no file has %llu bytes",
			stoai_region_shown(r), (unsigned long long)size);
	return 0;
}

static int
resize_error(const stoa_region *r, int rc, uint64_t size)
{
	char text[16];

	return stoai_error(rc, "%s: cannot make it %s: %s%s",
		stoai_region_shown(r), stoai_size_text(text, size),
		stoai_errno_text(rc),
		rc == -EPERM    ? "; it is sealed"
		: rc == -ENOSPC ? "; the disk or the limit of the tmpfs"
				  " is full"
		: rc == -EBADF || rc == -EINVAL
			? "; its descriptor is not for writing"
			: "");
}

int
stoa_region_resize(stoa_region *r, uint64_t size)
{
	struct growth g;
	size_t end;
	int rc = resize_check(r, size);

	if (rc)
		return rc;
	/* I1: each way in the order that the head shows */
	end = stoai_align_up(r->offset + size, r->kind.page ? r->page : 1);
	if (size <= r->size) {
		rc = r->kind.resize(r->user, end);
		if (rc)
			return resize_error(r, rc, size);
		keep(r, size);
		return 0;
	}
	rc = growth_map(r, span_of(r, size), &g);
	if (rc)
		return rc;
	rc = r->kind.resize(r->user, end);
	if (rc) {
		growth_undo(r, &g); /* I2 */
		return resize_error(r, rc, size);
	}
	growth_take(r, &g, size);
	return stoai_error_left(0);
}

int
stoa_region_follow(stoa_region *r)
{
	uint64_t total;
	struct growth g;
	size_t size;
	int rc = stoa_region_backing_size(r, &total);

	if (rc)
		return rc;
	if (r->kind.whole)
		return 0; /* its size never changes */
	size = total > r->offset ? total - r->offset : 0;
	if (size <= r->size) {
		keep(r, size);
		return 0;
	}
	rc = growth_map(r, span_of(r, size), &g);
	if (!rc)
		growth_take(r, &g, size);
	return rc ? rc : stoai_error_left(0);
}

static int
shrink_check(const stoa_region *r, size_t bytes)
{
	if (bytes > r->size)
		return stoai_error(-EINVAL,
			"%s: %zu bytes are to go, and %zu are mapped",
			stoai_region_shown(r), bytes, r->size);
	if (r->kind.whole && bytes && bytes != r->size)
		return stoai_error(-ENOTSUP,
			"%s is mapped as a whole or not at all",
			stoai_region_shown(r));
	return 0;
}

int
stoa_region_shrink_back(stoa_region *r, size_t bytes)
{
	int rc = shrink_check(r, bytes);

	if (!rc && bytes)
		keep(r, r->size - bytes);
	return rc;
}

int
stoa_region_shrink_front(stoa_region *r, size_t bytes)
{
	size_t pages;
	int rc = shrink_check(r, bytes);

	if (rc || !bytes)
		return rc;
	if (bytes == r->size) {
		keep(r, 0);
		r->offset += bytes;
		r->at = r->kind.whole ? 0 : r->offset % r->page;
		return 0;
	}
	pages = (r->at + bytes) / r->page * r->page;
	if (pages)
		(void)r->kind.unmap(r->user, r->base, pages);
	r->base += pages;
	r->span -= pages;
	r->at = r->at + bytes - pages;
	r->offset += bytes;
	r->size -= bytes;
	return 0;
}

/* ---- ranges ---- */

struct pages { /* whole pages, in the mapping */
	char *at;
	size_t size;
	uint64_t offset; /* of the backing */
};

static int
pages_take(const stoa_region *r, size_t offset, size_t size, struct pages *ret)
{
	size_t from, end;

	if (offset > r->size || size > r->size - offset)
		return stoai_error(-EINVAL,
			"%s: %zu bytes at %zu, and %zu are mapped",
			stoai_region_shown(r), size, offset, r->size);
	if (!size)
		size = r->size - offset;
	from = (r->at + offset) / r->page * r->page;
	end = size ? stoai_align_up(r->at + offset + size, r->page) : from;
	ret->at = r->base + from;
	ret->size = end - from;
	ret->offset = r->offset - r->at + from;
	return 0;
}

static int
range_error(const stoa_region *r, int rc, const char *what, const char *hint)
{
	return stoai_error(rc, "%s: cannot %s: %s%s", stoai_region_shown(r),
		what, stoai_errno_text(rc), hint);
}

static int
flush(const stoa_region *r, size_t offset, size_t size, bool wait)
{
	struct pages range;
	int rc = pages_take(r, offset, size, &range);

	if (rc)
		return rc;
	if (r->flags & STOA_PRIVATE)
		return stoai_error(-EROFS,
			"%s is mapped privately: what is written never reaches"
			" a disk",
			stoai_region_shown(r));
	if (!range.size)
		return 0;
	if (r->kind.flush)
		rc = r->kind.flush(
			r->user, range.at, range.size, range.offset, wait);
	else /* memory alone: nothing is to be begun */
		rc = wait ? stoai_os_sync(range.at, range.size) : 0;
	return rc ? range_error(r, rc, "write it to its disk", "") : 0;
}

int
stoa_region_flush(stoa_region *r, size_t offset, size_t size)
{
	return flush(r, offset, size, true);
}

int
stoa_region_flush_start(stoa_region *r, size_t offset, size_t size)
{
	return flush(r, offset, size, false);
}

int
stoa_region_advise(
	stoa_region *r, size_t offset, size_t size, enum stoa_advice advice)
{
	static const int words[] = {
		[STOA_ADVICE_NORMAL] = MADV_NORMAL,
		[STOA_ADVICE_SEQUENTIAL] = MADV_SEQUENTIAL,
		[STOA_ADVICE_RANDOM] = MADV_RANDOM,
		[STOA_ADVICE_WILLNEED] = MADV_WILLNEED,
		[STOA_ADVICE_DONTNEED] = MADV_COLD, /* MADV_DONTNEED loses */
		[STOA_ADVICE_DUMP] = MADV_DODUMP,
		[STOA_ADVICE_NODUMP] = MADV_DONTDUMP,
	};
	struct pages range;
	int rc;

	if ((unsigned)advice >= STOAI_COUNT(words))
		return stoai_error(-EINVAL, "%s: unknown advice %u",
			stoai_region_shown(r), (unsigned)advice);
	rc = pages_take(r, offset, size, &range);
	if (rc || !range.size)
		return rc;
	rc = stoai_os_advise(range.at, range.size, words[advice]);
	if (rc == -EINVAL && advice == STOA_ADVICE_DONTNEED)
		rc = 0; /* a kernel or pages without it: they stay */
	return rc ? range_error(r, rc, "advise", "") : 0;
}

int
stoa_region_prefault(stoa_region *r, size_t offset, size_t size)
{
	struct pages range;
	int rc = pages_take(r, offset, size, &range);

	if (rc || !range.size)
		return rc;
	rc = stoai_os_populate(range.at, range.size, !(r->flags & STOA_RDONLY));
	if (rc == -EFAULT)
		return range_error(r, -ENOSPC, "get all its pages",
			"; the disk is full, or the file was cut short");
	return rc ? range_error(r, rc, "get all its pages",
			    rc == -EINVAL ? "; that needs Linux 5.14" : "")
		  : 0;
}

static int
reside(const stoa_region *r, size_t offset, size_t size, bool locked)
{
	struct pages range;
	int rc = pages_take(r, offset, size, &range);

	if (rc || !range.size)
		return rc;
	rc = stoai_os_reside(range.at, range.size, locked);
	return rc ? range_error(r, rc,
			    locked ? "lock it in memory" : "unlock it",
			    "; a limit on locked memory (ulimit -l)?")
		  : 0;
}

int
stoa_region_lock(stoa_region *r, size_t offset, size_t size)
{
	return reside(r, offset, size, true);
}

int
stoa_region_unlock(stoa_region *r, size_t offset, size_t size)
{
	return reside(r, offset, size, false);
}
