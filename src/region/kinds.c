/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Kinds of regions: what is behind each, and by which calls is it made, found,
 * mapped and resized?
 *
 *	file        named, a path, an object of shm_open, memfd, a descriptor
 *	anonymous   pages without a file: fork children have them too
 *	XSI         System V: a number in the kernel; mapped as a whole or not at all
 *
 * Each is a stoa_region_backing, as a caller's own is, so the rest of the layer
 * does not know which one it has.
 *
 * Invariants:
 *   I1  Growing a file only ever extends it (fallocate): of two processes that grow
 *       it at the same time, none takes away what the other has made.
 *   I2  An object of shm_open is made as any other file of ours: without a name, and
 *       then linked; other programs never see it empty.
 *
 * Crash argument: a file gets its name last (backing.c). shmget makes and names XSI
 * memory in one call, whole and zeroed; giving it to another owner is a second
 * call, before which it is ours alone (mode 0 for everybody else).
 */
#include "os/os.h"
#include "region/names.h"
#include "region/region.h"
#include <stdio.h>
#include <string.h>

enum {
	REGION_MODE = S_IRUSR | S_IWUSR,
	POSIX_NAME_MAX = 255,
	PROJECT_MAX = 255
};

#define OBJECTS "/dev/shm/" /* where shm_open(3) has them, on Linux */

static unsigned
wanted_protection(const stoa_region_want *want)
{
	return STOAI_MAP_READ |
	       (want->flags & STOA_RDONLY ? 0 : STOAI_MAP_WRITE) |
	       (want->flags & STOA_PRIVATE ? STOAI_MAP_COPY : 0) |
	       (want->address ? STOAI_MAP_THERE : 0);
}

static int
unmap(void *user, void *at, size_t size)
{
	(void)user;
	stoai_os_unmap(at, size);
	return 0;
}

/* ---- files ---- */

static int
file_size(void *user, uint64_t *ret)
{
	const stoa_region *r = user;
	struct stat st;
	int rc = stoai_os_stat_fd(r->file.fd, &st);

	if (rc)
		return rc;
	/* a device has no size: whoever maps it knows how much */
	*ret = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : INT64_MAX;
	return 0;
}

static int
file_map(void *user, const stoa_region_want *want, void **ret)
{
	const stoa_region *r = user;

	return stoai_os_map_region(r->file.fd, want->offset, want->size,
		wanted_protection(want), want->map_flags, want->address, ret);
}

static int
file_resize(void *user, uint64_t size)
{
	const stoa_region *r = user;
	uint64_t old, from;
	int rc = file_size(user, &old);

	if (rc)
		return rc;
	if (size < old)
		return stoai_os_truncate(r->file.fd, size);
	if (size == old)
		return 0;
	from = old - old % r->page;
	return stoai_os_allocate(r->file.fd, from, size - from); /* I1 */
}

static int
file_flush(void *user, void *at, size_t size, uint64_t offset, bool wait)
{
	const stoa_region *r = user;
	int rc;

	if (wait)
		return stoai_os_sync(at, size);
	rc = stoai_os_sync_start(r->file.fd, offset, size);
	return rc == -ESPIPE ? 0 : rc; /* a device: nothing to begin */
}

static int
file_descriptor(void *user)
{
	return ((const stoa_region *)user)->file.fd;
}

static void
file_close(void *user)
{
	stoai_backing_close(&((stoa_region *)user)->file);
}

static const stoa_region_backing kind_file = {
	.struct_size = sizeof(stoa_region_backing),
	.size = file_size,
	.map = file_map,
	.unmap = unmap,
	.resize = file_resize,
	.flush = file_flush,
	.descriptor = file_descriptor,
	.close = file_close,
};

/* ---- anonymous ---- */

static int
anonymous_size(void *user, uint64_t *ret)
{
	*ret = ((const stoa_region *)user)->made;
	return 0;
}

static int
anonymous_map(void *user, const stoa_region_want *want, void **ret)
{
	(void)user;
	return stoai_os_map_region(-1, 0, want->size, wanted_protection(want),
		want->map_flags, want->address, ret);
}

static const stoa_region_backing kind_anonymous = {
	.struct_size = sizeof(stoa_region_backing),
	.size = anonymous_size,
	.map = anonymous_map,
	.unmap = unmap,
};

/* ---- XSI ---- */

static int
xsi_size(void *user, uint64_t *ret)
{
	struct stoai_xsi_stat st = {0};
	int rc = stoai_os_xsi_stat(((const stoa_region *)user)->xsi_id, &st);

	if (!rc)
		*ret = st.size;
	return rc;
}

static int
xsi_map(void *user, const stoa_region_want *want, void **ret)
{
	int rc;

	if (want->flags & STOA_PRIVATE || want->map_flags)
		return -ENOTSUP;
	rc = stoai_os_xsi_attach(((const stoa_region *)user)->xsi_id,
		want->flags & STOA_RDONLY, want->address, ret);
	return rc == -EINVAL && want->address ? -EEXIST : rc;
}

static int
xsi_unmap(void *user, void *at, size_t size)
{
	(void)user;
	(void)size;
	return stoai_os_xsi_detach(at);
}

static const stoa_region_backing kind_xsi = {
	.struct_size = sizeof(stoa_region_backing),
	.size = xsi_size,
	.map = xsi_map,
	.unmap = xsi_unmap,
	.whole = true,
};

/* The key of a path, or the one that was given. */
static int
xsi_key(const char *name, const stoa_region_options *o, int32_t *ret)
{
	int project = o->xsi_project ? o->xsi_project : 1;
	char shown[STOAI_SHOWN_SIZE];
	int rc;

	*ret = o->xsi_key;
	if (!name)
		return 0;
	if (project < 1 || project > PROJECT_MAX)
		return stoai_error(-EINVAL,
			"options.xsi_project is %d: 1 to %d, as for ftok(3)",
			project, PROJECT_MAX);
	rc = stoai_os_xsi_key(name, project, ret);
	if (rc)
		return stoai_error(rc,
			"no XSI key from '%s': %s; the path must be there, its"
			" content does not matter",
			stoai_path_shown(shown, name), stoai_errno_text(rc));
	return 0;
}

static int
xsi_error(int rc, const char *what, int32_t key, int id)
{
	errno = -rc;
	return stoai_error_errno(
		"cannot %s the XSI memory with key %#x, id %d%s", what,
		(unsigned)key, id,
		rc == -ENOSPC || rc == -EINVAL
			? " (limits: sysctl kernel.shmmax, shmall, shmmni)"
			: "");
}

static int
xsi_make(stoa_region *r, const char *name, const stoa_region_options *o)
{
	uint32_t mode = o->mode ? o->mode : REGION_MODE;
	uint64_t size = o->offset + o->size;
	int32_t key;
	int rc = xsi_key(name, o, &key);

	if (rc)
		return rc;
	rc = stoai_backing_mode_check(mode);
	if (rc)
		return rc;
	rc = stoai_os_xsi_get(
		key, size, true, o->owner || o->group ? mode & S_IRWXU : mode);
	if (rc == -EEXIST)
		return stoai_error(rc,
			"there is XSI memory with key %#x already",
			(unsigned)key);
	if (rc < 0)
		return xsi_error(rc, "make", key, -1);
	r->xsi_id = rc;
	r->xsi_made = true;
	return 0;
}

/* Only now, so that nobody else was let in before; see the crash argument. */
static int
xsi_publish(const stoa_region *r, const stoa_region_options *o)
{
	int rc;

	if (!o->owner && !o->group)
		return 0;
	rc = stoai_os_xsi_set(r->xsi_id, o->mode ? o->mode : REGION_MODE,
		stoai_backing_id(o->owner), stoai_backing_id(o->group));
	return rc ? xsi_error(rc, "give away", o->xsi_key, r->xsi_id) : 0;
}

/* The id, or an error. */
static int
xsi_find(const char *name, const stoa_region_options *o)
{
	struct stoai_xsi_stat st;
	int32_t key;
	int id, rc = xsi_key(name, o, &key);

	if (rc)
		return rc;
	id = key ? stoai_os_xsi_get(key, 0, false, 0) : o->xsi_id;
	if (id < 0)
		return xsi_error(id, "find", key, -1);
	rc = stoai_os_xsi_stat(id, &st);
	/* an id that nobody has is EINVAL: here it is "not there" */
	if (rc == -EINVAL || rc == -EIDRM)
		rc = -ENOENT;
	return rc ? xsi_error(rc, "look at", key, id) : id;
}

/* ---- which file ---- */

/* "/name" or "name", as shm_open has them */
static int
posix_path(const char *name, char ret[STOAI_PATH_MAX])
{
	size_t size;

	name += name[0] == '/';
	size = strnlen(name, POSIX_NAME_MAX + 1);
	if (size == 0 || size > POSIX_NAME_MAX || strchr(name, '/') ||
		!strcmp(name, ".") || !strcmp(name, ".."))
		return stoai_error(
			size > POSIX_NAME_MAX ? -ENAMETOOLONG : -EINVAL,
			"a name with STOA_POSIX is 1 to %d bytes after its"
			" first '/', without another: as in shm_open(3)",
			POSIX_NAME_MAX);
	(void)snprintf(ret, STOAI_PATH_MAX, OBJECTS "%s", name);
	return 0;
}

static int
path_of(enum stoai_region_source source, const char *name,
	const stoa_region_options *o, bool make, char ret[STOAI_PATH_MAX])
{
	int rc;

	if (source == STOAI_REGION_NAMED)
		return stoai_backing_path(
			name, o->directory, o->domain, make, ret);
	if (source == STOAI_REGION_POSIX)
		return posix_path(name, ret);
	rc = stoai_path_check(name);
	if (!rc)
		(void)snprintf(ret, STOAI_PATH_MAX, "%s", name);
	return rc;
}

static enum stoai_backing_kind
backing_kind(enum stoai_region_source source)
{
	return source == STOAI_REGION_NAMED ? STOAI_BACKING_NAMED
					    : STOAI_BACKING_FILE;
}

/* A memfd of huge pages, if there are enough. */
static int
make_huge(stoa_region *r, uint64_t size)
{
	size_t page;
	int rc = stoai_backing_create(STOAI_BACKING_HUGE, NULL, &r->file);

	if (rc)
		return rc;
	page = stoai_os_huge_page(r->file.fd);
	if (page)
		rc = stoai_os_allocate(
			r->file.fd, 0, stoai_align_up(size, page));
	if (rc || !page) {
		stoai_backing_close(&r->file);
		return rc ? rc : -ENOTSUP;
	}
	r->kind.page = page;
	return 0;
}

static int
file_make(stoa_region *r, const char *name, const stoa_region_options *o)
{
	uint64_t size = o->offset + o->size;
	char path[STOAI_PATH_MAX];
	int rc;

	r->kind = kind_file;
	if (r->source == STOAI_REGION_MEMFD) {
		if (r->huge && !make_huge(r, size))
			return 0;
		rc = stoai_backing_create(STOAI_BACKING_MEMFD, NULL, &r->file);
	} else {
		rc = path_of(r->source, name, o, true, path);
		if (!rc) /* I2 */
			rc = stoai_backing_create(
				backing_kind(r->source), path, &r->file);
	}
	if (rc)
		return rc;
	rc = stoai_backing_allocate(&r->file, 0, size);
	if (rc)
		stoai_backing_close(&r->file);
	return rc;
}

/* No description of our own is needed here, so neither is /proc. */
static int
given_find(stoa_region *r, const stoa_region_options *o)
{
	struct stat st;
	int rc = stoai_os_stat_fd(o->fd, &st);

	if (!rc && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return stoai_error(-EINVAL,
			"descriptor %d is no memfd, file or device that can be"
			" mapped",
			o->fd);
	if (!rc)
		rc = stoai_os_duplicate(o->fd);
	if (rc < 0) {
		errno = -rc;
		return stoai_error_errno("descriptor %d", o->fd);
	}
	r->file.kind = STOAI_BACKING_GIVEN;
	r->file.fd = rc;
	r->kind.page = stoai_os_huge_page(rc);
	return 0;
}

static int
file_find(stoa_region *r, const char *name, const stoa_region_options *o)
{
	bool readonly = r->flags & (STOA_RDONLY | STOA_PRIVATE);
	char path[STOAI_PATH_MAX];
	int rc;

	r->kind = kind_file;
	if (r->source == STOAI_REGION_GIVEN)
		return given_find(r, o);
	rc = path_of(r->source, name, o, false, path);
	if (rc)
		return rc;
	return stoai_backing_open_of(
		backing_kind(r->source), path, readonly, o->owner, &r->file);
}

/* ---- all of them ---- */

int
stoai_region_make(
	stoa_region *r, const char *name, const stoa_region_options *o)
{
	r->user = r;
	if (r->source == STOAI_REGION_ANONYMOUS) {
		r->kind = kind_anonymous;
		r->made = o->offset + o->size;
		return 0;
	}
	if (r->source == STOAI_REGION_XSI) {
		r->kind = kind_xsi;
		return xsi_make(r, name, o);
	}
	return file_make(r, name, o);
}

int
stoai_region_find(
	stoa_region *r, const char *name, const stoa_region_options *o)
{
	r->user = r;
	if (r->source == STOAI_REGION_XSI) {
		r->kind = kind_xsi;
		r->xsi_id = xsi_find(name, o);
		return r->xsi_id < 0 ? r->xsi_id : 0;
	}
	if (r->source != STOAI_REGION_OWN)
		return file_find(r, name, o);
	r->kind = *o->backing;
	r->user = o->user;
	return 0;
}

int
stoai_region_publish(stoa_region *r, const stoa_region_options *o)
{
	if (r->source == STOAI_REGION_XSI)
		return xsi_publish(r, o);
	if (r->file.fd < 0)
		return 0;
	return stoai_backing_publish(
		&r->file, o->mode ? o->mode : REGION_MODE, o->owner, o->group);
}

void
stoai_region_discard(stoa_region *r)
{
	if (r->xsi_made)
		(void)stoai_os_xsi_remove(r->xsi_id);
	r->xsi_made = false;
	if (r->kind.close)
		r->kind.close(r->user);
}

int
stoai_region_remove(enum stoai_region_source source, const char *name,
	const stoa_region_options *o)
{
	char path[STOAI_PATH_MAX];
	int id, rc;

	if (source == STOAI_REGION_XSI) {
		id = xsi_find(name, o);
		rc = id < 0 ? id : stoai_os_xsi_remove(id);
		return rc && id >= 0 ? xsi_error(rc, "remove", o->xsi_key, id)
				     : rc;
	}
	rc = path_of(source, name, o, false, path);
	return rc ? rc : stoai_backing_unlink(path);
}
