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
#include "segment/open.h"
#include "segment/registry.h"
#include "segment/token.h"
#include "segment/upper.h"

struct request { /* one call of stoa_segment_open, digested */
	const char *name;
	unsigned flags;
	stoa_segment_options options;
	enum stoai_backing_kind kind;
	char path[STOAI_PATH_MAX];
};

void
stoai_segment_take_geometry(
	stoa_segment *seg, void *base, const struct stoai_header *h)
{
	seg->base = base;
	seg->size = h->reserve;
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
	if (now > seg->size)
		now = seg->size;
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

/* ---- the request ---- */

static int
options_take(const stoa_segment_options *given, stoa_segment_options *ret)
{
	memset(ret, 0, sizeof *ret);
	if (!given)
		return 0;
	if (given->struct_size < offsetof(stoa_segment_options, mode))
		return stoai_error(-EINVAL,
			"options: fill them with STOA_SEGMENT_OPTIONS(...), "
			"which sets struct_size");
	for (size_t i = sizeof *ret; i < given->struct_size; i++)
		if (((const char *)given)[i])
			return stoai_error(-E2BIG,
				"options of a newer version of the library ask "
				"for something this one does not know");
	memcpy(ret, given, stoai_min(sizeof *ret, given->struct_size));
	return 0;
}

static int
kind_of(struct request *r)
{
	const stoa_segment_options *o = &r->options;
	bool create = r->flags & STOA_CREATE;

	if (r->flags & ~(unsigned)(STOA_CREATE | STOA_EXCL | STOA_RDONLY |
				   STOA_FILE | STOA_LOCAL | STOA_CHECKED))
		return stoai_error(-EINVAL, "unknown flags %#x", r->flags);
	if (create && r->flags & STOA_RDONLY)
		return stoai_error(-EINVAL,
			"STOA_CREATE and STOA_RDONLY exclude each other");
	if (o->buffer) {
		r->kind = STOAI_BACKING_BUFFER;
		return (uintptr_t)o->buffer % 64 || r->name
			       ? stoai_error(-EINVAL,
					 "options.buffer: aligned to "
					 "64 bytes, and no name")
			       : 0;
	}
	if (r->flags & STOA_LOCAL) {
		r->kind = STOAI_BACKING_LOCAL;
		return !create || r->name
			       ? stoai_error(-EINVAL, "STOA_LOCAL goes with "
						      "STOA_CREATE and no name")
			       : 0;
	}
	if (o->fd > 0) {
		r->kind = STOAI_BACKING_GIVEN;
		return 0;
	}
	if (!r->name) {
		r->kind = STOAI_BACKING_MEMFD;
		return !create ? stoai_error(-EINVAL,
					 "without a name a segment "
					 "can only be created")
			       : 0;
	}
	r->kind =
		r->flags & STOA_FILE ? STOAI_BACKING_FILE : STOAI_BACKING_NAMED;
	if (r->kind == STOAI_BACKING_FILE) {
		if (snprintf(r->path, sizeof r->path, "%s", r->name) >=
			(int)sizeof r->path)
			return stoai_error(
				-ENAMETOOLONG, "the path is too long");
		return r->path[0] ? 0
				  : stoai_error(-EINVAL, "the path is empty");
	}
	return stoai_backing_path(
		r->name, o->directory, o->domain, create, r->path);
}

static int
request_take(struct request *r, const char *name, unsigned flags,
	const stoa_segment_options *options)
{
	int rc = options_take(options, &r->options);

	r->name = name;
	r->flags = flags;
	r->path[0] = '\0';
	if (!rc)
		rc = kind_of(r);
	if (!rc && r->options.mode & ~07777u)
		rc = stoai_error(-EINVAL, "options.mode has bits beyond 07777");
	return rc;
}

/* ---- the local handle ---- */

static stoa_segment *
segment_new(const struct request *r, const struct stoai_backing *b)
{
	stoa_segment *seg = calloc(1, sizeof *seg);

	if (!seg)
		return NULL;
	pthread_mutex_init(&seg->claims, NULL);
	seg->shared_fd = b->fd;
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
tokens_choose(stoa_segment *seg, const struct request *r)
{
	seg->tokenless = seg->caller_memory ||
			 r->options.without & STOA_WITHOUT_TOKENS ||
			 !stoai_token_possible(seg);
	if (r->options.without & STOA_WITHOUT_WAITV)
		a32_store_relaxed(&stoai_os_without_waitv, 1);
}

static void
segment_free(stoa_segment *seg)
{
	if (seg->fd >= 0)
		(void)stoai_os_close(seg->fd);
	if (seg->shared_fd >= 0)
		(void)stoai_os_close(seg->shared_fd);
	pthread_mutex_destroy(&seg->claims);
	free(seg);
}

void
stoai_segment_unmap(stoa_segment *seg)
{
	if (seg->base && seg->backing == STOAI_BACKING_FILE && !seg->readonly)
		stoai_segment_flush_last(seg);
	stoai_upper.segment_end(seg);
	stoai_token_unmap(seg);
	if (seg->base && !seg->caller_memory)
		stoai_os_unmap(seg->base, seg->size);
	segment_free(seg);
}

/* ---- a fresh one ---- */

static int
create_backing(const struct request *r, struct stoai_backing *b)
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

static int
geometry_of(const struct request *r, struct stoai_header *h, uint64_t *size)
{
	const stoa_segment_options *o = &r->options;
	struct stoai_wish wish = {.size = o->size,
		.limit = o->limit,
		.threads = o->threads,
		.shared = r->kind != STOAI_BACKING_LOCAL};
	int rc;

	memset(h, 0, sizeof *h);
	if (r->kind == STOAI_BACKING_BUFFER) {
		rc = stoai_geometry_within(o->size, o->threads, h);
		*size = rc ? 0 : h->reserve - h->heap_off;
		return rc;
	}
	*size = stoai_geometry_size(&wish);
	return stoai_geometry(&wish, h);
}

/* Under the registry. Not yet named. */
static int
make(const struct request *r, struct stoai_backing *b, stoa_segment **ret)
{
	struct stoai_header h;
	stoa_segment *seg;
	uint64_t size;
	int rc = geometry_of(r, &h, &size);

	if (rc)
		return rc;
	seg = segment_new(r, b);
	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	seg->lane_stride = h.lane_stride;
	seg->lanes_off = h.lanes_off;
	tokens_choose(seg, r);
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

/* Throws away what make() made. */
static void
unmake(stoa_segment *seg, struct stoai_backing *b)
{
	b->fd = -1; /* the segment's to close */
	if (seg->handles) {
		stoai_registry_unlock();
		stoai_registry_close(seg);
		stoai_registry_lock();
	} else {
		segment_free(seg);
	}
}

static int
create(const struct request *r, stoa_segment **ret)
{
	uint32_t mode = r->options.mode ? r->options.mode : 0600;
	struct stoai_backing b;
	stoa_segment *seg = NULL;
	int rc = create_backing(r, &b);

	if (rc)
		return rc;
	rc = make(r, &b, &seg);
	if (!rc)
		rc = stoai_backing_publish(&b, mode);
	if (rc) {
		if (seg)
			unmake(seg, &b);
		stoai_backing_close(&b);
		return rc;
	}
	*ret = seg;
	return 0;
}

/* ---- one that is there ---- */

/* The boot in which it was used is this one, or it was flushed and closed. */
static int
boot_check(const struct request *r, const struct stoai_header *h)
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

static int
read_header(const struct request *r, const struct stoai_backing *b,
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
	if (h->page_size != stoai_os_page_size())
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
	return boot_check(r, h);
}

static int
map_existing(const struct request *r, struct stoai_backing *b,
	const struct stoai_header *h, stoa_segment **ret)
{
	stoa_segment *seg = segment_new(r, b);
	void *at;
	int rc;

	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_segment_map(b->fd, 0, h->reserve,
		STOAI_MAP_READ | (b->readonly ? 0u : STOAI_MAP_WRITE), NULL,
		&at);
	if (rc) {
		b->fd = -1;
		segment_free(seg);
		return stoai_segment_map_failed(b->path, h->reserve, rc);
	}
	stoai_segment_take_geometry(seg, at, h);
	tokens_choose(seg, r);
	rc = stoai_segment_in_use(seg);
	if (!rc)
		rc = stoai_registry_add(seg);
	if (rc) {
		stoai_os_unmap(at, h->reserve);
		b->fd = -1;
		segment_free(seg);
		return rc;
	}
	*ret = seg;
	return 0;
}

static int
open_buffer(const struct request *r, stoa_segment **ret)
{
	struct stoai_header h;
	struct stoai_backing b;
	stoa_segment *seg = stoai_registry_find_buffer(r->options.buffer);
	int rc;

	if (seg) {
		*ret = seg;
		return 0;
	}
	if (r->options.size < sizeof h)
		return stoai_error(-EPROTO, "the buffer holds no segment");
	memcpy(&h, r->options.buffer, sizeof h);
	rc = stoai_geometry_check(&h, "(buffer)", true);
	if (!rc && h.reserve > r->options.size)
		rc = stoai_error(-EBADMSG, "(buffer): damaged: its segment is "
					   "longer than the buffer");
	if (!rc)
		rc = stoai_backing_owners(r->options.fd, &b);
	if (rc)
		return rc;
	seg = segment_new(r, &b);
	if (!seg) {
		stoai_backing_close(&b);
		return stoai_error(-ENOMEM, "out of memory");
	}
	stoai_segment_take_geometry(seg, r->options.buffer, &h);
	seg->tokenless = true;
	rc = stoai_registry_add(seg);
	if (rc) {
		segment_free(seg);
		return rc;
	}
	*ret = seg;
	return 0;
}

static int
open_existing(const struct request *r, stoa_segment **ret)
{
	bool readonly = r->flags & STOA_RDONLY;
	struct stoai_header h;
	struct stoai_backing b;
	int rc;

	if (r->kind == STOAI_BACKING_BUFFER)
		return open_buffer(r, ret);
	rc = r->kind == STOAI_BACKING_GIVEN
		     ? stoai_backing_given(r->options.fd, readonly, &b)
		     : stoai_backing_open(r->kind, r->path, readonly, &b);
	if (rc)
		return rc;
	*ret = stoai_registry_find(b.device, b.inode, readonly);
	if (*ret) {
		stoai_backing_close(&b);
		return 0;
	}
	rc = read_header(r, &b, &h);
	if (!rc)
		rc = map_existing(r, &b, &h, ret);
	if (rc)
		stoai_backing_close(&b);
	return rc;
}

/* ---- the calls ---- */

/* A given file that is empty can be created in; one with content is there. */
static bool
given_is_empty(const struct request *r)
{
	struct stat st;

	return r->kind == STOAI_BACKING_GIVEN &&
	       !stoai_os_stat_fd(r->options.fd, &st) && st.st_size == 0;
}

static int
open_or_create(const struct request *r, stoa_segment **ret)
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
stoa_segment_open(const char *name, unsigned flags,
	const stoa_segment_options *options, stoa_segment **ret)
{
	struct request *r;
	stoa_segment *seg = NULL;
	int rc;

	stoai_error_clear();
	if (!ret)
		return stoai_error(-EINVAL, "stoa_segment_open: ret is NULL");
	r = malloc(sizeof *r); /* two paths: too much for a small stack */
	if (!r)
		return stoai_error(-ENOMEM, "out of memory");
	rc = request_take(r, name, flags, options);
	if (!rc) {
		stoai_registry_lock();
		rc = stoai_upper.process_begin();
		if (!rc)
			rc = open_or_create(r, &seg);
		stoai_registry_unlock();
	}
	free(r);
	if (rc)
		return rc;
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
	int rc = options_take(options, &o);

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
