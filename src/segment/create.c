/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Creation: a segment is made whole while nobody can see it, then it gets its
 * name. Whoever is killed on the way leaves nothing but an unnamed file, which the
 * kernel removes.
 *
 *	header and slots    allocated, so that touching them cannot fail
 *	map                 all of the address space it may ever use
 *	header              geometry, uuid, boot
 *	heap, root object   by the layers above (upper.h), the maker attached
 *	sum                 over what never changes from now on
 */
#include "os/os.h"
#include "segment/flush.h"
#include "segment/open.h"
#include "segment/registry.h"
#include "segment/upper.h"

static int
header_begin(struct stoai_header *h)
{
	int rc;

	h->magic = STOAI_MAGIC;
	h->layout_version = STOAI_LAYOUT_VERSION;
	h->byte_order = STOAI_BYTE_ORDER;
	h->created_ns = stoai_os_realtime();
	rc = stoai_os_random(h->uuid, sizeof h->uuid);
	if (!rc)
		rc = stoai_os_random(&h->seed, sizeof h->seed);
	if (!rc)
		rc = stoai_os_boot_id(h->boot_id);
	return rc ? stoai_error(rc, "cannot name the segment and this boot: %s",
			    stoa_strerror(rc))
		  : 0;
}

/* Memory for what is touched before the heap exists. */
static int
allocate_front(const struct stoai_backing *b, const struct stoai_header *h)
{
	if (b->fd < 0 || b->kind == STOAI_BACKING_BUFFER)
		return 0;
	return stoai_backing_allocate(b, 0, h->lanes_off);
}

static int
map_fresh(stoa_segment *seg, const struct stoai_backing *b, void *buffer,
	const struct stoai_header *h)
{
	uint64_t room = seg->room;
	void *at = buffer;
	int rc = 0;

	if (b->kind == STOAI_BACKING_LOCAL)
		rc = stoai_segment_map_local(h->reserve, &at);
	else if (b->kind != STOAI_BACKING_BUFFER)
		rc = stoai_segment_map(b->fd, 0, h->reserve,
			STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);
	if (rc)
		return stoai_segment_map_failed(seg->name, h->reserve, rc);
	stoai_segment_take_geometry(seg, at, h);
	if (b->kind == STOAI_BACKING_BUFFER)
		seg->room = stoai_min(room, h->reserve);
	return 0;
}

int
stoai_segment_create(stoa_segment *seg, const struct stoai_backing *b,
	void *buffer, const struct stoai_header *geometry, uint64_t size)
{
	struct stoai_header h = *geometry;
	int rc = header_begin(&h);

	if (!rc)
		rc = allocate_front(b, &h);
	if (!rc)
		rc = map_fresh(seg, b, buffer, &h);
	if (rc)
		return rc;
	if (b->kind == STOAI_BACKING_BUFFER)
		memset(seg->base, 0, seg->room);
	memcpy(seg->base, &h, sizeof h);
	rc = stoai_upper.format(seg, size);
	if (!rc)
		rc = stoai_segment_in_use(seg, false);
	if (!rc)
		stoai_header(seg)->sum = stoai_geometry_sum(stoai_header(seg));
	return rc;
}
