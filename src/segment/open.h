/* SPDX-License-Identifier: BSL-1.0 */
/* What creating and opening have in common. See create.c and open.c. */
#ifndef STOAI_SEGMENT_OPEN_H
#define STOAI_SEGMENT_OPEN_H
#include "region/backing.h"
#include "segment/geometry.h"
#include "segment/image.h"
#include "segment/request.h"

/*
 * Fills a fresh backing (or buffer) with an empty segment; seg has its name, fd
 * and id, and is registered, so that its maker can attach.
 */
int stoai_segment_create(stoa_segment *seg, const struct stoai_backing *b,
	void *buffer, const struct stoai_header *geometry, uint64_t size);
/* stoa_segment_open of a request. */
int stoai_segment_open(const struct stoai_request *r, stoa_segment **ret);
/* Of memory of this process alone. */
extern const struct stoai_backing stoai_backing_none;
/* A local handle, not yet registered, that owns b's descriptor. NULL: no memory. */
stoa_segment *
stoai_segment_new(const struct stoai_request *r, const struct stoai_backing *b);
void stoai_segment_free(stoa_segment *seg);
/* A fresh backing of the kind that is asked for, unpublished. */
int
stoai_segment_backing(const struct stoai_request *r, struct stoai_backing *b);
/* Its permissions as the request has them, then its name. */
int
stoai_segment_publish(const struct stoai_request *r, struct stoai_backing *b);
/* Memory of this process for a handle without a file, filled with a copy. */
int stoai_segment_take_image(stoa_segment *seg, const struct stoai_image *from,
	const struct stoai_header *h);
/* The local copies of the header's static words. */
void stoai_segment_take_geometry(
	stoa_segment *seg, void *base, const struct stoai_header *h);
/* The error and text of a mapping that the kernel refused. */
int stoai_segment_map_failed(const char *name, uint64_t size, int rc);

#endif
