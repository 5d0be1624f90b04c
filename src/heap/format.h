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
 *	59      punched: its pages were given back to the system; FREE, and LARGE
 *	        while its owner asks for them again
 *	58      lent (LARGE, published): an algorithm divides it; it begins with the
 *	        map of its blocks (lent.c)
 *	52..44  slot + 1 of the thread that took it (LARGE)
 *	43..0   FREE, LARGE: spans of the run that begins here; SLAB: 1;
 *	        BODY: how many spans before it the run began
 *
 * The heap is walkable from span 0 by run lengths at every instant. Inside a FREE
 * run words are left over from earlier: FREE or BODY, and at most one LARGE of a
 * thread that was killed while it cut the run, which its recovery makes FREE.
 * Inside a LARGE run that is being merged or split (resize.c) one word may be the
 * published LARGE of its second part.
 * So SLAB, or LARGE that is published, is the truth wherever it stands, and under
 * the lock FREE is, too.
 *
 * Who writes what
 *	table    FREE: under header.heap_lock. LARGE unpublished: its owner.
 *	         LARGE published: who frees it, or who has locked the block and
 *	         merges or splits it, by one CAS. SLAB: its owner
 *	map      of a lent run: who has the algorithm's lock, with undo
 *	meta     owner: one CAS from abandoned, then its owner; bits: its owner;
 *	         remote: any thread, by atomic OR and AND. A dead owner's
 *	         recoverer writes in its stead
 *	header   committed, shaping, touched: under heap_lock; freed: any thread, by
 *	         atomic OR, and who has the lock
 */
#ifndef STOAI_HEAP_FORMAT_H
#define STOAI_HEAP_FORMAT_H
#include "stoa/attr.h"
#include <stddef.h>
#include <stdint.h>

enum stoai_span_state {
	STOAI_SPAN_FREE,
	STOAI_SPAN_SLAB,
	STOAI_SPAN_LARGE,
	STOAI_SPAN_BODY
};

#define STOAI_SPAN_PUBLISHED (UINT64_C(1) << 60)
#define STOAI_SPAN_PUNCHED   (UINT64_C(1) << 59)
#define STOAI_SPAN_LENT      (UINT64_C(1) << 58)
#define STOAI_SPAN_LENGTH    ((UINT64_C(1) << 44) - 1)

enum {
	STOAI_SPAN_STATE_SHIFT = 61,
	STOAI_SPAN_OWNER_SHIFT = 44,
	STOAI_SPAN_OWNER_MASK = 0x1ff
};

enum {
	STOAI_BLOCK_MIN = 16,
	STOAI_ALIGN_MAX = 2 << 20,
	STOAI_SPAN_SHIFT_MIN = 8,  /* 256 bytes */
	STOAI_SPAN_SHIFT_MAX = 16, /* 64 KiB: 64 words of 64 blocks */
	STOAI_META_ALIGN = 64
};

/* What the map of a lent run says of 16 bytes; 32 of these a word. */
enum {
	STOAI_LENT_NONE,
	STOAI_LENT_BEGIN, /* a block begins with them */
	STOAI_LENT_HALF,  /* one ends after the first 8 of them */
	STOAI_LENT_END,   /* one ends with them */
	STOAI_LENT_GRAIN = 16,
	STOAI_LENT_WORD = 512, /* bytes that a word of the map is for */
	STOAI_LENT_LEAST =
		24 /* bytes of a block: its begin and end are two grains */
};

/*
 * A meta begins a line: struct stoai_meta, struct stoai_bits bits[words], struct
 * stoai_chunk. Who frees a block needs the head and one word of bits: with 128 blocks
 * or fewer they lie on the same line.
 */
struct stoai_meta {
	uint64_t owner; /* lock word of the owning slot | slab sequence << 32;
	                         low half 0: abandoned; claimed by one CAS */
	uint32_t class_index; /* of its blocks; the rest follows from it */
	uint32_t size;        /* of a block; for people */
};

/* A bit for each of 64 blocks. */
struct stoai_bits {
	uint64_t alloc, pub; /* stored by the slab's owner alone */
	uint64_t remote;     /* any thread ORs: freed by others, until the owner
	                        harvests */
};

/* heap/longest.h, of this span's chunk, whatever the span is */
struct stoai_chunk {
	uint64_t longest, longest_above;
	uint64_t freed; /* of 64 chunks: which of them have runs freed since */
};

STOA_STATIC_ASSERT(sizeof(struct stoai_meta) == 16, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_meta, class_index) == 8, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_bits) == 24, "");

#endif
