/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Regions: from what the caller asked for to bytes at an address, and back.
 *
 *	make    kinds.c: without a name       find    what is there
 *	map     its window, at its place      map
 *	fill    the caller's content          -
 *	seal, place                           seal, place
 *	publish                               -
 *
 * Invariants:
 *   I1  Nothing outside the backing is mapped by open: a touch would be SIGBUS.
 *   I2  No mapping is replaced; see stoai_os_map_region.
 *   I3  What is made gets its name last: a failure on the way leaves nothing.
 */
#include "region/region.h"
#include "os/os.h"
#include "region/names.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	FLAGS = STOA_CREATE | STOA_EXCL | STOA_RDONLY | STOA_FILE | STOA_LOCAL |
		STOA_PRIVATE | STOA_POSIX | STOA_XSI,
	SEALS = STOA_SEAL_SEAL | STOA_SEAL_SHRINK | STOA_SEAL_GROW |
		STOA_SEAL_WRITE | STOA_SEAL_FUTURE_WRITE,
	/* what decides where a mapping goes and what it is, is ours */
	MAP_OURS = MAP_SHARED | MAP_PRIVATE | MAP_SHARED_VALIDATE | MAP_FIXED |
		   MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_GROWSDOWN,
	TRIES_MAX = 100 /* of making what others make and remove all the time */
};

STOA_STATIC_ASSERT(STOA_SEAL_SEAL == F_SEAL_SEAL &&
			   STOA_SEAL_SHRINK == F_SEAL_SHRINK &&
			   STOA_SEAL_GROW == F_SEAL_GROW &&
			   STOA_SEAL_WRITE == F_SEAL_WRITE,
	"the kernel's numbers");

int
stoai_region_options_take(const void *given, size_t given_size, size_t least,
	void *ret, size_t size)
{
	memset(ret, 0, size);
	if (!given)
		return 0;
	if (given_size < least)
		return stoai_error(-EINVAL,
			"options: fill them with the macro of their name, which"
			" sets struct_size");
	for (size_t i = size; i < given_size; i++)
		if (((const char *)given)[i])
			return stoai_error(-E2BIG,
				"options of a newer version of the library ask"
				" for something this one does not know");
	memcpy(ret, given, stoai_min(size, given_size));
	return 0;
}

const char *
stoai_region_shown(const stoa_region *r)
{
	static const char *const unnamed[] = {
		[STOAI_REGION_MEMFD] = "memory without a name",
		[STOAI_REGION_GIVEN] = "(given descriptor)",
		[STOAI_REGION_ANONYMOUS] = "anonymous memory",
		[STOAI_REGION_XSI] = "XSI memory",
		[STOAI_REGION_OWN] = "(backing of the caller's own)",
	};

	return r->name[0] ? r->name : unnamed[r->source];
}

/* ---- what is asked for ---- */

static enum stoai_region_source
source_of(const char *name, unsigned flags, const stoa_region_options *o)
{
	if (o->backing)
		return STOAI_REGION_OWN;
	if (flags & STOA_XSI)
		return STOAI_REGION_XSI;
	if (flags & STOA_LOCAL)
		return STOAI_REGION_ANONYMOUS;
	if (o->fd > 0)
		return STOAI_REGION_GIVEN;
	if (!name)
		return STOAI_REGION_MEMFD;
	if (flags & STOA_POSIX)
		return STOAI_REGION_POSIX;
	return flags & STOA_FILE ? STOAI_REGION_FILE : STOAI_REGION_NAMED;
}

static int
flags_check(const char *name, unsigned flags, const stoa_region_options *o)
{
	const unsigned kinds =
		flags & (STOA_FILE | STOA_LOCAL | STOA_POSIX | STOA_XSI);
	const bool create = flags & STOA_CREATE;

	if (flags & ~(unsigned)FLAGS)
		return stoai_error(
			-EINVAL, "unknown flags %#x", flags & ~(unsigned)FLAGS);
	if (kinds & (kinds - 1))
		return stoai_error(-EINVAL,
			"one of STOA_FILE, STOA_LOCAL, STOA_POSIX, STOA_XSI,"
			" not several");
	if (create && flags & STOA_RDONLY)
		return stoai_error(-EINVAL,
			"STOA_CREATE and STOA_RDONLY exclude each other");
	if (create && flags & STOA_PRIVATE && !(flags & STOA_LOCAL))
		return stoai_error(-EINVAL,
			"STOA_CREATE and STOA_PRIVATE exclude each other: what"
			" is written would go nowhere");
	if (flags & STOA_LOCAL && (!create || name))
		return stoai_error(-EINVAL,
			"STOA_LOCAL goes with STOA_CREATE and no name");
	if (name && (o->fd > 0 || o->backing))
		return stoai_error(-EINVAL,
			"a name, or options.fd, or options.backing: one of"
			" them");
	if (create && (o->fd > 0 || o->backing))
		return stoai_error(-EINVAL,
			"STOA_CREATE makes what options.fd and options.backing"
			" have already");
	return 0;
}

static int
options_check(const char *name, unsigned flags, const stoa_region_options *o)
{
	const stoa_region_backing *b = o->backing;
	uint64_t end;
	int rc = flags_check(name, flags, o);

	if (rc)
		return rc;
	if (flags & STOA_CREATE && !o->size)
		return stoai_error(-EINVAL, "STOA_CREATE needs options.size");
	if (stoai_add_overflows(o->offset, o->size, &end) || end > INT64_MAX)
		return stoai_error(-EFBIG,
			"options.offset and .size are more than any file has");
	if (o->map_flags & MAP_OURS)
		return stoai_error(-EINVAL,
			"options.map_flags %#x: sharing and place are said by"
			" flags and .address",
			(unsigned)o->map_flags);
	if (o->seal & ~(uint32_t)SEALS)
		return stoai_error(-EINVAL, "unknown bits in options.seal %#x",
			(unsigned)o->seal);
	if (o->fill && (flags & STOA_XSI || !(flags & STOA_CREATE)))
		return stoai_error(-EINVAL,
			"options.fill goes with STOA_CREATE, and not with XSI"
			" memory, which is visible before it is filled");
	if (b && (b->struct_size != sizeof *b || !b->size || !b->map ||
			 !b->unmap))
		return stoai_error(-EINVAL,
			"options.backing: struct_size, and size, map and unmap"
			" are needed");
	if (b && b->page && !stoai_is_pow2(b->page))
		return stoai_error(-EINVAL,
			"options.backing->page is %zu, not a power of two",
			b->page);
	return 0;
}

/* ---- mapping ---- */

static int
map_error(const stoa_region *r, int rc, size_t span, const void *address)
{
	char text[16];
	const char *hint = "";

	switch (rc) {
	case -EEXIST:
		return stoai_error(-EBUSY,
			"%s: the address %p (%s) is taken or cannot be had:"
			" choose another, or none",
			stoai_region_shown(r), address,
			stoai_size_text(text, span));
	case -ENOMEM:
		hint = "; a limit on virtual memory (ulimit -v), or too many"
		       " mappings (sysctl vm.max_map_count)?";
		break;
	case -EACCES:
	case -EPERM:
		hint = "; opened read-only or sealed against writing? Open with"
		       " STOA_RDONLY or STOA_PRIVATE";
		break;
	case -ENOTSUP:
		hint = "; XSI memory has no private mappings and no map_flags";
		break;
	default:
		break;
	}
	return stoai_error(rc, "%s: cannot map %s: %s%s", stoai_region_shown(r),
		stoai_size_text(text, span), stoai_errno_text(rc), hint);
}

int
stoai_region_map(
	stoa_region *r, size_t span, void *address, uint64_t offset, void **ret)
{
	/* I2: with an address, there or nowhere */
	const stoa_region_want want = {.offset = offset,
		.size = span,
		.address = address,
		.flags = r->flags & (STOA_RDONLY | STOA_PRIVATE),
		.map_flags = r->map_flags};
	int rc = r->kind.map(r->user, &want, ret);

	return rc ? map_error(r, rc, span, address) : 0;
}

/* Which bytes, of those that are there: I1. */
static int
window_check(stoa_region *r, const stoa_region_options *o)
{
	uint64_t total, end = o->offset + o->size;
	int rc = r->kind.size(r->user, &total);

	if (rc)
		return stoai_error(rc, "%s: cannot learn its size: %s",
			stoai_region_shown(r), stoai_errno_text(rc));
	if (total == 0)
		return stoai_error(-EINVAL,
			"%s is empty: there is nothing to map; give it a size"
			" first",
			stoai_region_shown(r));
	if (total == INT64_MAX && !o->size)
		return stoai_error(-EINVAL,
			"%s has no size of its own: options.size is needed",
			stoai_region_shown(r));
	if (o->offset >= total || end > total)
		return stoai_error(-EINVAL,
			"%s has %llu bytes, and %llu from offset %llu were"
			" asked for: resize it, or ask for less",
			stoai_region_shown(r), (unsigned long long)total,
			(unsigned long long)o->size,
			(unsigned long long)o->offset);
	r->offset = o->offset;
	r->size = o->size ? o->size : total - o->offset;
	r->page = r->kind.page ? r->kind.page : stoai_os_page_size();
	r->at = r->kind.whole ? o->offset : o->offset % r->page;
	r->span = stoai_align_up(
		r->kind.whole ? total : r->at + r->size, r->page);
	return 0;
}

static int
window_map(stoa_region *r, const stoa_region_options *o)
{
	char *address = o->address;
	void *base = NULL;
	int rc = window_check(r, o);

	if (rc)
		return rc;
	if (address) {
		r->fixed = true;
		address -= r->at;
		if ((uintptr_t)address % r->page)
			return stoai_error(-EINVAL,
				"options.address %p: with offset %llu it has to"
				" be %zu more than a multiple of %zu",
				o->address, (unsigned long long)o->offset,
				r->at, r->page);
	}
	rc = stoai_region_map(r, r->span, address, r->offset - r->at, &base);
	if (!rc)
		r->base = base;
	return rc;
}

/* ---- open and close ---- */

static void
region_undo(stoa_region *r)
{
	if (r->base)
		(void)r->kind.unmap(r->user, r->base, r->span);
	r->base = NULL;
	stoai_region_discard(r);
	memset(&r->kind, 0, sizeof r->kind);
}

static int
seal_and_place(stoa_region *r, const stoa_region_options *o)
{
	int rc = o->seal ? stoa_region_seal(r, o->seal) : 0;

	if (rc || (!o->placement && !o->placed))
		return rc;
	return stoa_place(r->base, r->span, o->placement, o->placed);
}

static int
fill(stoa_region *r, const stoa_region_options *o)
{
	int rc;

	stoai_error_clear();
	rc = o->fill(stoa_region_data(r), r->size, o->user);
	return rc ? stoai_error_in(rc < 0 ? rc : -EINVAL,
			    "%s: options.fill said %d", stoai_region_shown(r),
			    rc)
		  : 0;
}

/* One attempt, to make it or to find it. */
static int
attempt(stoa_region *r, const char *name, bool make,
	const stoa_region_options *o)
{
	int rc;

	r->file.fd = r->xsi_id = -1;
	rc = make ? stoai_region_make(r, name, o)
		  : stoai_region_find(r, name, o);
	if (rc) { /* kinds.c leaves nothing behind */
		memset(&r->kind, 0, sizeof r->kind);
		return rc;
	}
	rc = window_map(r, o);
	if (!rc && make && o->fill)
		rc = fill(r, o);
	if (!rc)
		rc = seal_and_place(r, o);
	if (!rc && make) /* I3 */
		rc = stoai_region_publish(r, o);
	if (!rc) {
		r->xsi_made = false; /* it stays */
		return 0;
	}
	if (r->source == STOAI_REGION_OWN)
		r->kind.close = NULL; /* not opened: it stays the caller's */
	region_undo(r);
	return rc;
}

static int
make_or_find(stoa_region *r, const char *name, const stoa_region_options *o)
{
	const bool create = r->flags & STOA_CREATE;
	const bool new =
		create && (r->flags & STOA_EXCL ||
				  (!name && (r->source != STOAI_REGION_XSI ||
						    !o->xsi_key)));
	int rc;

	for (int i = 0; i < TRIES_MAX; i++) {
		if (!new) {
			rc = attempt(r, name, false, o);
			if (rc != -ENOENT || !create)
				return rc;
		}
		rc = attempt(r, name, true, o);
		if (rc != -EEXIST || new)
			return rc;
	}
	return stoai_error(-EAGAIN,
		"%s is made and removed by others all the time: try again",
		stoai_region_shown(r));
}

int
stoa_region_open(const char *name, unsigned flags,
	const stoa_region_options *options, stoa_region **ret)
{
	stoa_region_options o;
	size_t size = name ? strnlen(name, STOAI_PATH_MAX) : 0;
	stoa_region *r;
	int rc = stoai_region_options_take(options,
		options ? options->struct_size : 0,
		offsetof(stoa_region_options, mode), &o, sizeof o);

	if (!rc && size == STOAI_PATH_MAX)
		rc = stoai_error(-ENAMETOOLONG, "the name is too long");
	if (!rc)
		rc = options_check(name, flags, &o);
	if (rc)
		return rc;
	r = calloc(1, sizeof *r + size + 1);
	if (!r)
		return stoai_error(-ENOMEM, "no memory for a region");
	if (name)
		memcpy(r->name, name, size);
	r->flags = flags;
	r->map_flags = o.map_flags;
	r->source = source_of(name, flags, &o);
	r->huge = o.placement &&
		  (o.placement->want | o.placement->must) & STOA_PLACE_HUGE;
	rc = make_or_find(r, name, &o);
	if (rc) {
		free(r);
		return rc;
	}
	*ret = r;
	return stoai_error_left(0);
}

stoa_region *
stoa_region_close(stoa_region *r)
{
	if (r) {
		region_undo(r);
		free(r);
	}
	return NULL;
}

int
stoa_region_unlink(
	const char *name, unsigned flags, const stoa_region_options *options)
{
	enum stoai_region_source source;
	stoa_region_options o;
	int rc = stoai_region_options_take(options,
		options ? options->struct_size : 0,
		offsetof(stoa_region_options, mode), &o, sizeof o);

	if (rc)
		return rc;
	if (flags & ~(unsigned)(STOA_FILE | STOA_POSIX | STOA_XSI))
		return stoai_error(-EINVAL, "unknown flags %#x", flags);
	source = source_of(name, flags, &o);
	if (!name && source != STOAI_REGION_XSI)
		return stoai_error(-EINVAL, "what has no name cannot lose it");
	return stoai_region_remove(source, name, &o);
}

/* ---- what it is ---- */

void *
stoa_region_data(const stoa_region *r)
{
	return r->base ? r->base + r->at : NULL;
}

size_t
stoa_region_size(const stoa_region *r)
{
	return r->size;
}

uint64_t
stoa_region_offset(const stoa_region *r)
{
	return r->offset;
}

unsigned
stoa_region_flags(const stoa_region *r)
{
	return r->flags;
}

const char *
stoa_region_name(const stoa_region *r)
{
	return r->name[0] ? r->name : NULL;
}

uint32_t
stoa_region_mode(const stoa_region *r)
{
	struct stoai_xsi_stat xsi;
	struct stat st;
	const int fd = stoa_region_fd(r);

	if (r->xsi_id >= 0)
		return stoai_os_xsi_stat(r->xsi_id, &xsi) ? 0 : xsi.mode;
	return fd < 0 || stoai_os_stat_fd(fd, &st) ? 0 : st.st_mode & 0777u;
}

int
stoa_region_fd(const stoa_region *r)
{
	return r->kind.descriptor ? r->kind.descriptor(r->user) : -1;
}

int
stoa_region_xsi_id(const stoa_region *r)
{
	return r->xsi_id;
}

size_t
stoa_region_page(const stoa_region *r)
{
	return r ? r->page : stoai_os_page_size();
}

int
stoa_region_backing_size(const stoa_region *r, uint64_t *ret)
{
	int rc = r->kind.size(r->user, ret);

	return rc ? stoai_error(rc, "%s: cannot learn its size: %s",
			    stoai_region_shown(r), stoai_errno_text(rc))
		  : 0;
}
