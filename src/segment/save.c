/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Saving: a segment of any kind, as it is now, becomes a new one with a name.
 *
 *	private copy    image.c, settled: consistent, nobody attached
 *	its bytes       into a file that nobody can see
 *	a new identity  uuid, this boot; the layout stays, so every reference does
 *	its name        link(2): whole, or not there
 *
 * Who is killed on the way leaves an unnamed file, which the kernel removes.
 */
#include <stdio.h>
#include <stdlib.h>
#include "os/os.h"
#include "segment/open.h"
#include "segment/registry.h"

int
stoai_segment_take_image(stoa_segment *seg, const struct stoai_image *from,
	const struct stoai_header *h)
{
	void *at;
	int rc = stoai_os_map_private(
		h->reserve, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);

	if (rc)
		return stoai_segment_map_failed(seg->name, h->reserve, rc);
	stoai_segment_take_geometry(seg, at, h);
	rc = stoai_image_copy(from, h, at);
	if (!rc)
		stoai_image_settle(seg);
	return rc;
}

/* What is written: all that an image has, but no lane, since nobody is attached. */
struct part {
	uint64_t from, size;
};

static void
parts_of(stoa_segment *copy, struct part part[4])
{
	uint64_t end = stoai_committed(copy);
	uint64_t spans = (end - copy->heap_off) >> copy->span_shift;

	part[0] = (struct part){0, copy->lanes_off};
	part[1] = (struct part){copy->table_off, spans * sizeof(uint64_t)};
	part[2] = (struct part){copy->meta_off, spans * copy->meta_stride};
	part[3] = (struct part){copy->heap_off, end - copy->heap_off};
}

/* The copy's header and slots as those of a new segment that nobody uses. */
static int
identity_new(stoa_segment *copy, const struct stoai_request *r)
{
	struct stoai_header *h = stoai_header(copy);
	int rc = stoai_os_random(h->uuid, sizeof h->uuid);

	if (!rc)
		rc = stoai_os_boot_id(h->boot_id);
	if (rc)
		return stoai_error(rc, "cannot name the copy and this boot: %s",
			stoa_strerror(rc));
	h->created_ns = stoai_os_realtime();
	h->clean = r->kind == STOAI_BACKING_FILE;
	memset(h->full_name, 0, sizeof h->full_name);
	if (r->kind == STOAI_BACKING_NAMED)
		(void)snprintf(
			h->full_name, sizeof h->full_name, "%s", r->name);
	h->flags &= ~(uint32_t)STOAI_SEGMENT_LAST_OUT;
	h->sum = stoai_geometry_sum(h);
	for (uint32_t i = 0; i < copy->slot_count; i++)
		stoai_slot_at(copy, i)->paged = 0;
	return 0;
}

static int
copy_out(stoa_segment *copy, const struct stoai_backing *b)
{
	struct part part[4];
	uint64_t size = stoai_committed(copy);
	void *at;
	int rc = 0;

	parts_of(copy, part);
	for (size_t i = 0; i < STOAI_COUNT(part) && !rc; i++)
		rc = stoai_backing_allocate(b, part[i].from, part[i].size);
	if (rc)
		return rc;
	rc = stoai_segment_map(
		b->fd, 0, size, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);
	if (rc)
		return stoai_segment_map_failed(copy->name, size, rc);
	for (size_t i = 0; i < STOAI_COUNT(part); i++)
		memcpy((char *)at + part[i].from, copy->base + part[i].from,
			part[i].size);
	if (b->kind == STOAI_BACKING_FILE)
		rc = stoai_os_sync(at, size);
	stoai_os_unmap(at, size);
	return rc ? stoai_error(rc, "%s: cannot be written: %s", b->path,
			    stoa_strerror(rc))
		  : 0;
}

/* A private copy of an open segment, unregistered: nothing of a thread is in it. */
static int
copy_of(stoa_segment *seg, const struct stoai_request *r, stoa_segment **ret)
{
	struct stoai_image image = {
		seg->caller_memory ? -1 : seg->fd, seg->base, seg->name};
	struct stoai_header h;
	int rc;

	*ret = stoai_segment_new(r, &stoai_backing_none);
	if (!*ret)
		return stoai_error(-ENOMEM, "out of memory");
	memcpy(&h, seg->base, sizeof h);
	rc = stoai_geometry_check(&h, seg->name, false);
	if (!rc && h.reserve != seg->size)
		rc = stoai_error(-EBADMSG,
			"%s: damaged: its header is another's", seg->name);
	return rc ? rc : stoai_segment_take_image(*ret, &image, &h);
}

static void
copy_free(stoa_segment *copy)
{
	if (copy && copy->base)
		stoai_os_unmap(copy->base, copy->size);
	if (copy)
		stoai_segment_free(copy);
}

static int
save(stoa_segment *seg, const struct stoai_request *r)
{
	struct stoai_backing b;
	stoa_segment *copy = NULL;
	int rc = stoai_segment_backing(r, &b);

	if (rc)
		return rc;
	rc = copy_of(seg, r, &copy);
	if (!rc)
		rc = identity_new(copy, r);
	if (!rc)
		rc = copy_out(copy, &b);
	if (!rc)
		rc = stoai_segment_publish(r, &b);
	copy_free(copy);
	stoai_backing_close(&b);
	return rc;
}

static int
save_check(const struct stoai_request *r)
{
	struct stat st;

	if (r->kind == STOAI_BACKING_MEMFD)
		return stoai_error(-EINVAL,
			"stoa_segment_save: a copy needs a name or .fd");
	if (r->kind == STOAI_BACKING_BUFFER)
		return stoai_error(-EINVAL,
			"stoa_segment_save: a buffer is copied with memcpy");
	if (r->kind == STOAI_BACKING_GIVEN &&
		!stoai_os_stat_fd(r->options.fd, &st) && st.st_size)
		return stoai_error(
			-EEXIST, "options.fd: that file has content already");
	return 0;
}

int
stoa_segment_save(stoa_segment *seg, const char *name, unsigned flags,
	const stoa_segment_options *options)
{
	struct stoai_request *r;
	int rc;

	stoai_error_clear();
	if (!seg || flags & ~(unsigned)STOA_FILE)
		return stoai_error(-EINVAL, "stoa_segment_save: seg or flags");
	r = malloc(sizeof *r);
	if (!r)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_request_take(r, name, flags | STOA_CREATE, options);
	if (!rc)
		rc = save_check(r);
	if (!rc)
		rc = save(seg, r);
	free(r);
	return stoai_error_left(rc);
}
