/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Raw memory: blocks of bytes in a segment, for structures that have no description.
 *
 *	STOA_TX(tx, seg);
 *	char *text = stoa_alloc(tx, 4096, 64);       yours to fill by plain stores
 *	snprintf(text, 4096, "...");
 *	STOA_LINK(tx, mail->body, (const uint8_t *)text);
 *	return stoa_tx_commit(tx);                   now shared data owns it; killed before: it is free again
 *
 * A block belongs to nobody but its transaction until commit, and to shared data afterwards: any process may free it. Give it
 * an owner: a field STOA_REF(uint8_t), described as (field, uint8_t, own), is deleted, checked and counted with the object that
 * it lies in. A block that no described field owns is what stoa_segment_leaked counts: right for a block whose number is on its
 * way to another process, and a leak if that process dies before it has put it somewhere.
 *
 * What points into shared memory is const, as everywhere: write to a block that was made in this transaction by plain stores,
 * to any other through stoa_edit_bytes.
 *
 * Sync:    the scope's lock protects the block; nobody else may use or free it meanwhile.
 * Crash:   all or nothing, with the rest of the transaction; also what is resized in place.
 * Caveats: bytes of a fresh block are whatever was there, unless it says otherwise. Alignment is that of the offset; beyond
 *          a page an address is aligned as the mapping is (stoa_segment_open), in a caller's buffer as the buffer is.
 *          Up to half a span (128 bytes to 32 KiB, by the segment's size) blocks have fixed sizes, a few per cent apart; larger
 *          ones are whole spans, and only those are resized in place. Scratch memory has a gigabyte: before writing to more
 *          than that ask stoa_tx_error.
 */
#ifndef STOA_MEMORY_H
#define STOA_MEMORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/segment.h>
#include <stoa/tx.h>
STOA_BEGIN_DECLS

/* ---- blocks --------------------------------------------------------------------------------------------------- */

/* At least `size` bytes (0 counts as 1) at a multiple of `align`: a power of two up to 2 MiB; 0 is 16. Never NULL: scratch
 * memory when the transaction has failed. -ENOSPC, -EINVAL (align). */
void *stoa_alloc(stoa_tx *tx, uint64_t size, uint64_t align);
/* n blocks, of one size or of these sizes, or none: then the transaction has failed, and ret[] are scratch memory. Each may be
 * freed alone. True unless failed. */
bool  stoa_alloc_many(stoa_tx *tx, size_t n, uint64_t size, uint64_t align, void **ret);
bool  stoa_alloc_sizes(stoa_tx *tx, size_t n, const uint64_t *sizes, uint64_t align, void **ret);
/* At commit. p: a block's start, of whichever process; NULL: nothing. -EFAULT: no block begins there. */
void  stoa_free(stoa_tx *tx, const void *p);
void  stoa_free_many(stoa_tx *tx, size_t n, const void *const *p);

/* [p, p + size) to write to, undone if the transaction is; NULL only if p is NULL. Costs nothing for what was made in tx. */
static inline void *stoa_edit_bytes(stoa_tx *tx, const void *p, size_t size)
{
	return stoa_tx_edit_(tx, p, size);
}

/* ---- longer and shorter ---------------------------------------------------------------------------------------- */

/* Like realloc: the block where it is, if it can be, else another with the same bytes in it, and the old one freed. Spans that
 * it does not need any more are freed at commit. p NULL: a new one. Never NULL. Write through stoa_edit_bytes. */
const void *stoa_resize(stoa_tx *tx, const void *p, uint64_t size, uint64_t align);
/* Of the block p only [from, from + size) stays, where it lies: whole spans in front and behind are freed at commit. Returns
 * the block's new start, at or before p + from. */
const void *stoa_keep(stoa_tx *tx, const void *p, uint64_t from, uint64_t size);

enum { /* wish.how: what may be done, in this order */
	STOA_WISH_SHRINK   = 1 << 0, /* give back whole spans behind `size` bytes, at commit */
	STOA_WISH_FORWARD  = 1 << 1, /* make it longer behind */
	STOA_WISH_BACKWARD = 1 << 2, /* in front: its bytes stay where they lie. Looks at each run in front of it */
	STOA_WISH_NEW      = 1 << 3, /* another block; the old one stays, and is yours to copy and free */
	STOA_WISH_ZERO     = 1 << 4  /* the bytes that are new are zero */
};

typedef struct stoa_wish {
	const void *old;    /* a block, or NULL */
	uint64_t    size;   /* bytes that it should have */
	uint64_t    least;  /* bytes that will do; 0: size */
	uint64_t    align;  /* power of two up to 2 MiB; 0: 16 */
	unsigned    how;    /* 0: STOA_WISH_NEW */
	/* results */
	const void *p;      /* the block's start: old's if `kept` is true and it did not grow in front */
	uint64_t    usable; /* bytes from p on; after -ENOSPC: a size that might be had */
	bool        kept;   /* p is the old block, with its bytes where they were: at `old` */
} stoa_wish;

/* Make it longer, or shorter, or get another: all ways are tried for `size` bytes, then for `least`.
 * Returns: 0; -ENOSPC, which does not stick: nothing has changed; or the transaction's failure, which does. */
STOA_NODISCARD int stoa_obtain(stoa_tx *tx, stoa_wish *wish);

/* ---- looking --------------------------------------------------------------------------------------------------- */

/* Bytes that may be used from p on; 0: no block begins there. */
uint64_t    stoa_usable(const stoa_tx *rd, const void *p);
/* The start of the block that p points into; NULL: there is none. */
const void *stoa_block_of(const stoa_tx *rd, const void *p);
/* Does p point into the segment's heap, as far as it reaches now? */
bool        stoa_belongs(stoa_segment *seg, const void *p);
/* A reference from text, as another process was given it on its command line: the number stoa_ref_of(rd, p).off, decimal or
 * 0x...; then stoa_at(rd, ref, size) and stoa_usable. 0, or -EINVAL: it is no number, or 0. */
STOA_NODISCARD int stoa_ref_parse(const char *text, stoa_ref *ret);

typedef struct stoa_memory_stat {
	uint64_t free;        /* bytes of heap that shared data does not own, with what threads cache */
	uint64_t free_max;    /* the same, when the heap has grown to its limit */
	uint64_t largest;     /* bytes of the largest block that could be had now without growth... */
	uint64_t largest_max; /* ...and when the heap has grown to its limit */
} stoa_memory_stat;
/* While others work: what changes meanwhile may be counted or not. */
void stoa_memory_statistics(stoa_segment *seg, stoa_memory_stat *ret);
/* 1: no object, and no block but the library's own; 0: there is something; < 0: an error. */
STOA_NODISCARD int stoa_memory_unused(stoa_segment *seg);
/*
 * Zero all memory that nobody uses: free spans, free blocks, what this thread caches, and what its undo log held.
 *
 * Others may work meanwhile; what they free meanwhile may be missed. Free blocks in slabs that belong to other attached
 * threads, and what those threads cache, cannot be zeroed by anybody else: returns how many bytes these are. 0: every free
 * byte is zero. A thread gives up its slabs where it can when it sleeps long, and when it detaches.
 *
 * Blocks:  others who want whole spans, for 16 MiB at a time.     Crash: at any point; whoever likes begins again.
 * Returns: bytes that others hold, or < 0: -EROFS, -EBUSY (inside a scope of this thread), -EUSERS, -EBADMSG.
 */
STOA_NODISCARD int64_t stoa_memory_zero(stoa_segment *seg);

STOA_END_DECLS
#endif
