/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Opening, closing, unlinking: from a name to a mapping and back.
 *
 * What is in the file is believed only after a private copy of its header has
 * been read and checked (geometry.c) and the file was found long enough, so a
 * truncated or foreign file is an error and never a signal.
 */
#include <stdio.h>
#include <stdlib.h>
#include "os/os.h"
#include "segment/flush.h"
#include "segment/image.h"
#include "segment/open.h"
#include "segment/registry.h"
#include "segment/request.h"
#include "segment/token.h"
#include "segment/upper.h"

void
stoai_segment_take_geometry(
	stoa_segment *seg, void *base, const struct stoai_header *h)
{
	seg->base = base;
	seg->size = h->reserve;
	seg->room = h->reserve;
	seg->heap_off = h->heap_off;
	seg->span_shift = h->span_shift;
	seg->meta_stride = h->meta_stride;
	seg->lane_stride = h->lane_stride;
	seg->slot_count = h->slot_count;
	seg->table_off = h->table_off;
	seg->meta_off = h->meta_off;
	seg->slots_off = h->slots_off;
	seg->lanes_off = h->lanes_off;
	seg->seed = h->seed;
}

uint64_t
stoai_committed(stoa_segment *seg)
{
	uint64_t now = a64_load_acquire(&stoai_header(seg)->committed);
	struct stat st;

	if (now == a64_load_relaxed(&seg->committed))
		return now;
	/* another process may know a buffer as longer than we do */
	if (now > a64_load_relaxed(&seg->room))
		now = a64_load_relaxed(&seg->room);
	/* whatever the header says: what the file does not have is not touched */
	if (seg->fd >= 0 && !seg->caller_memory &&
		!stoai_os_stat_fd(seg->fd, &st) && now > (uint64_t)st.st_size)
		now = (uint64_t)st.st_size;
	a64_store_relaxed(&seg->committed, now);
	return now;
}

int
stoai_segment_map_failed(const char *name, uint64_t size, int rc)
{
	char text[16];

	return stoai_error(rc,
		"%s: cannot map %s of address space: %s; a limit on virtual "
		"memory (ulimit -v, mlockall, vm.overcommit_memory=2)? Create "
		"it "
		"with a smaller .limit",
		name, stoai_size_text(text, size), stoa_strerror(rc));
}

/* ---- the local handle ---- */

const struct stoai_backing stoai_backing_none = {
	.kind = STOAI_BACKING_LOCAL, .fd = -1};

stoa_segment *
stoai_segment_new(const struct stoai_request *r, const struct stoai_backing *b)
{
	stoa_segment *seg = calloc(1, sizeof *seg);

	if (!seg)
		return NULL;
	if (b->path[0]) {
		seg->path = strdup(b->path);
		if (!seg->path) {
			free(seg);
			return NULL;
		}
	}
	pthread_mutex_init(&seg->claims, NULL);
	seg->shared_fd = b->fd;
	seg->tokenless = b->fd < 0;
	seg->fd = b->fd < 0 ? -1 : stoai_os_reopen(b->fd, !b->readonly);
	if (seg->fd < 0) { /* without /proc: ours is the only one, so keep it */
		seg->fd = b->fd;
		seg->shared_fd = -1;
	}
	seg->device = b->device;
	seg->inode = b->inode;
	seg->backing = (uint8_t)b->kind;
	seg->readonly = b->readonly;
	seg->caller_memory = b->kind == STOAI_BACKING_BUFFER;
	seg->checked = r->flags & STOA_CHECKED;
	(void)snprintf(seg->name, sizeof seg->name, "%s",
		r->name                          ? r->name
		: b->kind == STOAI_BACKING_GIVEN ? "(given fd)"
						 : "(unnamed)");
	return seg;
}

static void
tokens_choose(stoa_segment *seg, const struct stoai_request *r)
{
	seg->tokenless = seg->caller_memory ||
			 r->options.without & STOA_WITHOUT_TOKENS ||
			 !stoai_token_possible(seg);
	if (r->options.without & STOA_WITHOUT_WAITV)
		a32_store_relaxed(&stoai_os_without_waitv, 1);
}

void
stoai_segment_free(stoa_segment *seg)
{
	if (seg->fd >= 0)
		(void)stoai_os_close(seg->fd);
	if (seg->shared_fd >= 0)
		(void)stoai_os_close(seg->shared_fd);
	pthread_mutex_destroy(&seg->claims);
	free(seg->path);
	free(seg);
}

void
stoai_segment_unmap(stoa_segment *seg)
{
	if (seg->base)
		stoai_segment_last_use(seg);
	stoai_upper.segment_end(seg);
	stoai_token_unmap(seg);
	if (seg->base && !seg->caller_memory)
		stoai_os_unmap(seg->base, seg->size);
	stoai_segment_free(seg);
}

/* ---- a fresh one ---- */

int
stoai_segment_backing(const struct stoai_request *r, struct stoai_backing *b)
{
	switch (r->kind) {
	case STOAI_BACKING_LOCAL:
		memset(b, 0, sizeof *b);
		b->kind = r->kind;
		b->fd = -1;
		return 0;
	case STOAI_BACKING_BUFFER:
		return stoai_backing_owners(r->options.fd, b);
	case STOAI_BACKING_GIVEN:
		return stoai_backing_given(r->options.fd, false, b);
	case STOAI_BACKING_MEMFD:
		return stoai_backing_create(r->kind, NULL, b);
	default:
		return stoai_backing_create(r->kind, r->path, b);
	}
}

int
stoai_segment_publish(const struct stoai_request *r, struct stoai_backing *b)
{
	const stoa_segment_options *o = &r->options;

	return stoai_backing_publish(
		b, o->mode ? o->mode : 0600, o->owner, o->group);
}

static int
geometry_of(
	const struct stoai_request *r, struct stoai_header *h, uint64_t *size)
{
	const stoa_segment_options *o = &r->options;
	struct stoai_wish wish = {.size = o->size,
		.limit = o->limit,
		.threads = o->threads,
		.shared = r->kind != STOAI_BACKING_LOCAL};
	int rc;

	memset(h, 0, sizeof *h);
	if (r->kind == STOAI_BACKING_BUFFER) {
		rc = o->limit ? stoai_geometry_growing(
					o->size, o->limit, o->threads, h)
			      : stoai_geometry_within(o->size, o->threads, h);
		*size = rc ? 0 : stoai_min(o->size, h->reserve) - h->heap_off;
		return rc;
	}
	*size = stoai_geometry_size(&wish);
	return stoai_geometry(&wish, h);
}

/* Under the registry. Not yet named. */
static int
make(const struct stoai_request *r, struct stoai_backing *b, stoa_segment **ret)
{
	struct stoai_header h;
	stoa_segment *seg;
	uint64_t size;
	int rc = geometry_of(r, &h, &size);

	if (rc)
		return rc;
	seg = stoai_segment_new(r, b);
	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	if (r->kind == STOAI_BACKING_NAMED)
		(void)snprintf(h.full_name, sizeof h.full_name, "%s", r->name);
	if (r->flags & STOA_LAST_OUT)
		h.flags |= STOAI_SEGMENT_LAST_OUT;
	seg->lane_stride = h.lane_stride;
	seg->lanes_off = h.lanes_off;
	seg->index = r->options.index;
	seg->heap_class = r->options.heap;
	tokens_choose(seg, r);
	seg->room = r->options.size;
	rc = stoai_registry_add(seg);
	if (!rc) {
		/* attaching counts threads in the registry */
		stoai_registry_unlock();
		rc = stoai_segment_create(seg, b, r->options.buffer, &h, size);
		stoa_segment_detach(seg);
		stoai_registry_lock();
	} else {
		seg->handles = 0;
	}
	*ret = seg;
	return rc;
}

/* Throws away what is in the registry already. */
static void
unmake(stoa_segment *seg)
{
	if (seg->handles) {
		stoai_registry_unlock();
		stoai_registry_close(seg);
		stoai_registry_lock();
	} else {
		stoai_segment_free(seg);
	}
}

static int
create(const struct stoai_request *r, stoa_segment **ret)
{
	struct stoai_backing b;
	stoa_segment *seg = NULL;
	int rc = stoai_segment_backing(r, &b);

	if (rc)
		return rc;
	rc = make(r, &b, &seg);
	if (!rc)
		rc = stoai_segment_publish(r, &b);
	if (rc) {
		if (seg) {
			unmake(seg);
			b.fd = -1; /* closed with the segment */
		}
		stoai_backing_close(&b);
		return rc;
	}
	*ret = seg;
	return 0;
}

/* ---- one that is there ---- */

/* The boot in which it was used is this one, or it was flushed and closed. */
static int
boot_check(const struct stoai_request *r, const struct stoai_header *h)
{
	uint8_t now[16];
	int rc = stoai_os_boot_id(now);

	if (rc)
		return stoai_error(rc, "the boot id of this system: %s",
			stoa_strerror(rc));
	if (!memcmp(now, h->boot_id, sizeof now) || h->clean)
		return 0;
	return stoai_error(-ESTALE,
		"%s was in use when the machine stopped, so its content may be "
		"torn; it is left as it is: move it away and create it anew, "
		"or "
		"restore a copy",
		r->name ? r->name : "the segment");
}

/* Two long names may have one hash. */
static int
name_compare(const struct stoai_request *r, const struct stoai_header *h)
{
	if (r->kind != STOAI_BACKING_NAMED || !r->name ||
		!stoai_name_is_hashed(r->name) ||
		!strncmp(r->name, h->full_name, sizeof h->full_name))
		return 0;
	return stoai_error(-EEXIST,
		"%.40s...: another segment has the file of that name", r->name);
}

static int
read_header(const struct stoai_request *r, const struct stoai_backing *b,
	struct stoai_header *h)
{
	const char *name = r->name ? r->name : "(given fd)";
	int rc = stoai_os_pread(b->fd, h, sizeof *h, 0);
	struct stat st;

	if (rc < 0)
		return stoai_error(
			rc, "%s: cannot be read: %s", name, stoa_strerror(rc));
	if ((size_t)rc < sizeof *h)
		return stoai_error(-EPROTO,
			"%s: not a stoa segment: only %d bytes long%s", name,
			rc, rc ? "" : "; remove the empty file first");
	rc = stoai_geometry_check(h, name, !b->readonly);
	if (rc)
		return rc;
	/* memory of one process is laid out without pages, and so is its copy */
	if (h->page_size != stoai_os_page_size() &&
		h->page_size != STOAI_PAGELESS)
		return stoai_error(-ENOTSUP,
			"%s: made for pages of %u bytes; this system has %zu",
			name, h->page_size, stoai_os_page_size());
	/* asked after the header was read: others may be growing it */
	rc = stoai_os_stat_fd(b->fd, &st);
	if (rc)
		return stoai_error(rc, "%s: cannot be looked at: %s", name,
			stoa_strerror(rc));
	if (h->committed < h->heap_off || h->committed > h->reserve ||
		(uint64_t)st.st_size < h->committed)
		return stoai_error(-EBADMSG,
			"%s: damaged: %llu bytes long, its header wants %llu",
			name, (unsigned long long)st.st_size,
			(unsigned long long)h->committed);
	rc = name_compare(r, h);
	return rc ? rc : boot_check(r, h);
}

static int
map_existing(const struct stoai_request *r, struct stoai_backing *b,
	const struct stoai_header *h, bool *replaced, stoa_segment **ret)
{
	stoa_segment *seg = stoai_segment_new(r, b);
	void *at;
	int rc;

	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_segment_map(b->fd, 0, h->reserve,
		STOAI_MAP_READ | (b->readonly ? 0u : STOAI_MAP_WRITE), NULL,
		&at);
	if (rc) {
		b->fd = -1;
		stoai_segment_free(seg);
		return stoai_segment_map_failed(b->path, h->reserve, rc);
	}
	stoai_segment_take_geometry(seg, at, h);
	tokens_choose(seg, r);
	rc = stoai_segment_in_use(seg, r->alone);
	*replaced = !rc && stoai_backing_current(b); /* while we waited */
	if (*replaced)
		rc = -ESTALE;
	if (!rc)
		rc = stoai_registry_add(seg);
	if (rc) {
		stoai_os_unmap(at, h->reserve);
		b->fd = -1;
		stoai_segment_free(seg);
		return rc;
	}
	*ret = seg;
	return 0;
}

static int
buffer_header(const struct stoai_request *r, struct stoai_header *h)
{
	int rc;

	if (r->options.size < sizeof *h)
		return stoai_error(-EPROTO, "the buffer holds no segment");
	memcpy(h, r->options.buffer, sizeof *h);
	rc = stoai_geometry_check(h, "(buffer)", true);
	if (!rc && (h->committed < h->heap_off || h->committed > h->reserve ||
			   h->committed > r->options.size))
		rc = stoai_error(-EBADMSG, "(buffer): damaged: its segment is "
					   "longer than the buffer");
	return rc;
}

/* A copy of this process alone: of the file at fd, or of memory. */
static int
open_private(const struct stoai_request *r, const struct stoai_image *from,
	const struct stoai_header *h, stoa_segment **ret)
{
	stoa_segment *seg = stoai_segment_new(r, &stoai_backing_none);
	int rc;

	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_registry_add(seg);
	if (!rc) {
		rc = stoai_segment_take_image(seg, from, h);
		if (!rc) {
			*ret = seg;
			return 0;
		}
		unmake(seg);
		return rc;
	}
	stoai_segment_free(seg);
	return rc;
}

static int
open_buffer(const struct stoai_request *r, stoa_segment **ret)
{
	struct stoai_image image = {-1, r->options.buffer, "(buffer)"};
	struct stoai_header h;
	struct stoai_backing b;
	stoa_segment *seg = NULL;
	int rc;

	if (!(r->flags & STOA_PRIVATE))
		seg = stoai_registry_find_buffer(r->options.buffer);
	if (seg) {
		/* opened again with more: it has grown in place */
		if (r->options.size > seg->room)
			a64_store_relaxed(&seg->room,
				stoai_min(r->options.size, seg->size));
		*ret = seg;
		return 0;
	}
	rc = buffer_header(r, &h);
	if (!rc && r->flags & STOA_PRIVATE)
		return open_private(r, &image, &h, ret);
	if (!rc)
		rc = stoai_backing_owners(r->options.fd, &b);
	if (rc)
		return rc;
	seg = stoai_segment_new(r, &b);
	if (!seg) {
		stoai_backing_close(&b);
		return stoai_error(-ENOMEM, "out of memory");
	}
	stoai_segment_take_geometry(seg, r->options.buffer, &h);
	seg->room = stoai_min(r->options.size, h.reserve);
	seg->tokenless = true;
	rc = stoai_registry_add(seg);
	if (rc) {
		stoai_segment_free(seg);
		return rc;
	}
	*ret = seg;
	return 0;
}

/* Asked for alone, and this very process has it. */
static int
open_here(const struct stoai_request *r, stoa_segment **ret)
{
	(*ret)->handles--;
	*ret = NULL;
	return stoai_error(-EBUSY, "%s: this process has it open", r->name);
}

/* Its last user was killed: what it would have done. Under the whole USER_BYTE. */
static int
remove_orphan(const struct stoai_backing *b)
{
	if (!b->readonly && !stoai_backing_current(b))
		(void)stoai_os_unlink(b->path);
	return stoai_error(-ENOENT,
		"%s: the last one that used it is gone, and so is its name",
		b->path);
}

/* replaced: the name went to another file, or away, while we opened this one. */
static int
open_once(const struct stoai_request *r, bool *replaced, stoa_segment **ret)
{
	bool private = r->flags & STOA_PRIVATE;
	bool readonly = private || r->flags & STOA_RDONLY;
	struct stoai_image image = {.name = r->name ? r->name : "(given fd)"};
	struct stoai_header h;
	struct stoai_backing b;
	int rc;

	if (r->kind == STOAI_BACKING_BUFFER)
		return open_buffer(r, ret);
	rc = r->kind == STOAI_BACKING_GIVEN
		     ? stoai_backing_given(r->options.fd, readonly, &b)
		     : stoai_backing_open_of(r->kind, r->path, readonly,
			       r->options.owner, &b);
	if (rc)
		return rc;
	*ret = private ? NULL
		       : stoai_registry_find(b.device, b.inode, readonly);
	if (*ret) {
		stoai_backing_close(&b);
		return r->alone ? open_here(r, ret) : 0;
	}
	rc = read_header(r, &b, &h);
	if (!rc && r->path[0] && stoai_segment_orphaned(b.fd, &h))
		rc = remove_orphan(&b);
	image.fd = b.fd;
	if (!rc)
		rc = private ? open_private(r, &image, &h, ret)
			     : map_existing(r, &b, &h, replaced, ret);
	if (rc || private)
		stoai_backing_close(&b);
	return rc;
}

static int
open_existing(const struct stoai_request *r, stoa_segment **ret)
{
	bool replaced = false;
	int rc = open_once(r, &replaced, ret);

	for (int tries = 0; replaced && tries < 100; tries++) {
		replaced = false;
		rc = open_once(r, &replaced, ret);
	}
	return rc;
}

/* ---- the calls ---- */

/* A given file that is empty can be created in; one with content is there. */
static bool
given_is_empty(const struct stoai_request *r)
{
	struct stat st;

	return r->kind == STOAI_BACKING_GIVEN &&
	       !stoai_os_stat_fd(r->options.fd, &st) && st.st_size == 0;
}

static int
open_or_create(const struct stoai_request *r, stoa_segment **ret)
{
	bool fresh =
		r->kind == STOAI_BACKING_MEMFD ||
		r->kind == STOAI_BACKING_LOCAL ||
		(r->kind == STOAI_BACKING_BUFFER && r->flags & STOA_CREATE);
	int rc = -ENOENT;

	if (fresh)
		return create(r, ret);
	for (int tries = 0; tries < 100; tries++) {
		if (!(r->flags & STOA_EXCL) &&
			!(r->flags & STOA_CREATE && given_is_empty(r)))
			rc = open_existing(r, ret);
		if (rc != -ENOENT || !(r->flags & STOA_CREATE))
			return rc;
		rc = create(r, ret);
		if (rc != -EEXIST || r->flags & STOA_EXCL)
			return rc;
		rc = -ENOENT; /* somebody was first: open theirs */
	}
	return stoai_error(-EAGAIN,
		"%s: created and unlinked by others again and again", r->name);
}

int
stoai_segment_open(const struct stoai_request *r, stoa_segment **ret)
{
	int rc;

	stoai_registry_lock();
	rc = stoai_upper.process_begin();
	if (!rc)
		rc = open_or_create(r, ret);
	stoai_registry_unlock();
	return rc;
}

int
stoa_segment_open(const char *name, unsigned flags,
	const stoa_segment_options *options, stoa_segment **ret)
{
	const struct stoa_index_class *index;
	const struct stoa_heap_class *heap;
	struct stoai_request *r;
	stoa_segment *seg = NULL;
	int rc;

	stoai_error_clear();
	if (!ret)
		return stoai_error(-EINVAL, "stoa_segment_open: ret is NULL");
	r = malloc(sizeof *r); /* two paths: too much for a small stack */
	if (!r)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_request_take(r, name, flags, options);
	if (!rc)
		rc = stoai_segment_open(r, &seg);
	index = r->options.index;
	heap = r->options.heap;
	free(r);
	if (rc)
		return rc;
	rc = stoai_upper.opened(seg, index, heap);
	if (rc) {
		(void)stoa_segment_close(seg);
		return rc;
	}
	if (!seg->readonly)
		(void)stoai_sweep(seg, false);
	*ret = seg;
	return stoai_error_left(0);
}

stoa_segment *
stoa_segment_close(stoa_segment *seg)
{
	struct stoai_seat *seat;
	bool last;

	if (!seg)
		return NULL;
	stoai_registry_lock();
	last = seg->handles == 1;
	stoai_registry_unlock();
	seat = stoai_seat_of(seg);
	if (last && seat)
		stoai_detach(seat);
	stoai_registry_close(seg);
	return NULL;
}

int
stoa_segment_unlink(
	const char *name, unsigned flags, const stoa_segment_options *options)
{
	stoa_segment_options o;
	char *path;
	int rc = stoai_options_take(options, &o);

	if (rc)
		return rc;
	if (!name || flags & ~(unsigned)STOA_FILE)
		return stoai_error(
			-EINVAL, "stoa_segment_unlink: name or flags");
	path = malloc(STOAI_PATH_MAX);
	if (!path)
		return stoai_error(-ENOMEM, "out of memory");
	if (flags & STOA_FILE)
		rc = snprintf(path, STOAI_PATH_MAX, "%s", name) >=
				     STOAI_PATH_MAX
			     ? stoai_error(
				       -ENAMETOOLONG, "the path is too long")
			     : 0;
	else
		rc = stoai_backing_path(
			name, o.directory, o.domain, false, path);
	if (!rc)
		rc = stoai_backing_unlink(path);
	free(path);
	return rc;
}

const char *
stoa_segment_name(const stoa_segment *seg)
{
	return seg ? seg->name : "";
}

int
stoa_segment_current(stoa_segment *seg)
{
	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_current: no segment");
	return seg->path
		       ? stoai_path_current(seg->path, seg->device, seg->inode)
		       : 0;
}

int
stoa_segment_fd(const stoa_segment *seg)
{
	return seg && !seg->caller_memory ? seg->shared_fd : -1;
}

const stoa_rwlock *
stoa_segment_lock(stoa_segment *seg)
{
	return &stoai_header(seg)->lock;
}
