/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap's shared words. The heap is cut into spans of 1 << span_shift bytes.
 * Two arrays describe them, span i at index i, both backed by memory only as far
 * as the heap is committed:
 *
 *	table   one word a span: what it is                  (table_off, 8 bytes)
 *	metas   bitmaps of a span that is a slab             (meta_off, meta_stride)
 *
 * table word
 *	63..61  state   FREE | SLAB | LARGE | BODY
 *	60      published (LARGE)
 *	59      punched: FREE, and its pages were given back to the system
 *	52..44  owner's slot + 1 (LARGE, until published)
 *	43..0   spans of the run that begins here (FREE, LARGE; SLAB: 1);
 *	        BODY: not read, except that its state is BODY
 *
 * The heap is walkable from span 0 by run lengths at every instant.
 */
#ifndef STOAI_HEAP_FORMAT_H
#define STOAI_HEAP_FORMAT_H
#include <stdint.h>
#include "stoa/attr.h"

enum stoai_span_state {
	STOAI_SPAN_FREE,
	STOAI_SPAN_SLAB,
	STOAI_SPAN_LARGE,
	STOAI_SPAN_BODY
};

#define STOAI_SPAN_PUBLISHED (UINT64_C(1) << 60)
#define STOAI_SPAN_PUNCHED   (UINT64_C(1) << 59)
#define STOAI_SPAN_LENGTH    ((UINT64_C(1) << 44) - 1)

enum { STOAI_SPAN_STATE_SHIFT = 61, STOAI_SPAN_OWNER_SHIFT = 44,
	STOAI_SPAN_OWNER_MASK = 0x1ff };

enum { STOAI_BLOCK_MIN = 16 };

/* One word of 64 blocks: allocated, published; side by side on one line. */
struct stoai_bits {
	uint64_t alloc, pub; /* stored by the slab's owner alone */
};

#define STOAI_ABANDONED UINT64_C(0)

struct stoai_meta {
	uint64_t owner;      /* lock word of the owning slot | slab sequence << 32;
	                        low half 0: abandoned; claimed by one CAS */
	uint32_t size;       /* of a block */
	uint32_t reciprocal; /* index = (offset * reciprocal) >> 32 */
	uint32_t blocks;     /* in the span */
	uint32_t class_index;
	uint64_t pad[5];
	/* struct stoai_bits bits[words]; then uint64_t remote[words], which any
	 * thread ORs: blocks freed by others, until the owner harvests */
};

STOA_STATIC_ASSERT(sizeof(struct stoai_meta) == 64, "");

#endif
