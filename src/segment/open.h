/* SPDX-License-Identifier: BSL-1.0 */
/* What creating and opening have in common. See create.c and open.c. */
#ifndef STOAI_SEGMENT_OPEN_H
#define STOAI_SEGMENT_OPEN_H
#include "region/backing.h"
#include "segment/geometry.h"

/*
 * Fills a fresh backing (or buffer) with an empty segment; seg has its name, fd
 * and id, and is registered, so that its maker can attach.
 */
int stoai_segment_create(stoa_segment *seg, const struct stoai_backing *b,
	void *buffer, const struct stoai_header *geometry, uint64_t size);
/* The local copies of the header's static words. */
void stoai_segment_take_geometry(
	stoa_segment *seg, void *base, const struct stoai_header *h);
/* The error and text of a mapping that the kernel refused. */
int stoai_segment_map_failed(const char *name, uint64_t size, int rc);

#endif
