/* SPDX-License-Identifier: BSL-1.0 */
/* A whole segment as bytes, copied while others may use it. See image.c. */
#ifndef STOAI_SEGMENT_IMAGE_H
#define STOAI_SEGMENT_IMAGE_H
#include "segment/seat.h"

struct stoai_image {
	int fd;             /* of its file; -1: it lies in memory */
	const char *memory; /* of this process */
	const char *name;   /* for texts */
};

/*
 * All that counts of a segment whose header is h, copied to `to`, which has
 * h->reserve bytes of address space. 0; -EAGAIN: living writers came between, again
 * and again; -EBADMSG; what reading a file can give.
 */
int stoai_image_copy(
	const struct stoai_image *from, const struct stoai_header *h, char *to);
/* A copy that nobody else has: who was attached to the original is dead in it. */
void stoai_image_settle(stoa_segment *seg);

#endif
