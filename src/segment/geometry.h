/* SPDX-License-Identifier: BSL-1.0 */
/* Where everything lies in a segment. See geometry.c. */
#ifndef STOAI_SEGMENT_GEOMETRY_H
#define STOAI_SEGMENT_GEOMETRY_H
#include "segment/seat.h"

enum {
	STOAI_BUFFER_MIN = 4096
};

struct stoai_wish {
	uint64_t size, limit; /* of the heap; 0: default */
	uint32_t threads;     /* 0: by size */
	bool shared; /* over a file: lanes are pages, so that tokens fit */
};

/* Bytes of heap to begin with: the wish, else 1 MiB, and never more than its limit. */
uint64_t stoai_geometry_size(const struct stoai_wish *wish);
/* Fills the layout fields of h. -EINVAL with a text. */
int stoai_geometry(const struct stoai_wish *wish, struct stoai_header *h);
/* A segment whose heap may have `limit` bytes, in a buffer of `total` to begin with. */
int stoai_geometry_growing(uint64_t total, uint64_t limit, uint32_t threads,
	struct stoai_header *h);
/* As large a heap as fits into `total` bytes in all: a caller's buffer. */
int
stoai_geometry_within(uint64_t total, uint32_t threads, struct stoai_header *h);
uint64_t stoai_geometry_sum(const struct stoai_header *h);
/*
 * h is a private copy of somebody's header: is it ours, whole, and consistent?
 * -EPROTO, -ENOTSUP, -EBADMSG, -EROFS, each with its text.
 */
int stoai_geometry_check(
	const struct stoai_header *h, const char *name, bool write);

#endif
