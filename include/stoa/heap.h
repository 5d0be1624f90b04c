/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What divides a segment's memory into blocks: the library's own heap, one of two algorithms that are built in beside it, or one
 * of your own. It is chosen when the segment is made, and its name is written there:
 *
 *	STOA_SEGMENT_OPTIONS(.heap = &stoa_heap_best_fit)
 *
 *   NULL                  the default: slabs and runs, without a lock for small blocks. The fastest by far
 *   stoa_heap_best_fit    the smallest free block that will do, found in logarithmic time; 8 bytes before each block
 *   stoa_heap_best_fit_64, stoa_heap_best_fit_4096     the same; every block begins at a multiple of that
 *   stoa_heap_first_fit   the first free block that will do, in a list by addresses; 16 bytes before each block
 *
 * All of them take one lock for all of the memory, kept to the end of the transaction: for small segments, or for those that are
 * changed by one at a time, where memory counts more than time.
 *
 * A heap of your own is a struct of functions over a described state. They are given a transaction, and change the state and the
 * free memory with STOA_SET. So it is kill-safe without a thought of its own: the log that undoes your data undoes your heap.
 * The library believes nothing: it notes where blocks begin and end, refuses one that overlaps, and finds blocks without asking.
 * Who opens the segment must bring the class of the same name (.heap again), or is refused with -ENOTSUP; with another state,
 * with -EPROTOTYPE. libstoa-explore has a suite that it must pass: stoa/conformance.h.
 *
 * One rule is the class's to keep: its user writes to a fresh block without saving what was there. So whatever a free block says
 * in its own bytes (a link, a size at its end) must have been saved before the block is given away: by STOA_SET of that field in
 * this call, or by stoa_edit_bytes. What stands before a block is nobody else's.
 *
 * Sync:    the library holds the heap's lock around each call and to the end of the transaction; shared for check. usable is
 *          asked of the block that alloc has just given.
 * Crash:   as any transaction. Frees come at its commit, before its commit store.
 * Caveats: none of the functions may allocate, free, take a lock or begin a scope. A transaction that must wait for the heap's
 *          lock while others wait for it is -EDEADLK, as with any lock: see STOA_RETRY. Blocks of such a segment are not resized
 *          in place. Memory that a class was given is nobody else's until stoa_segment_trim asks it back.
 */
#ifndef STOA_HEAP_H
#define STOA_HEAP_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/tx.h>
#include <stoa/type.h>
STOA_BEGIN_DECLS

typedef struct stoa_heap_class stoa_heap_class;
struct stoa_heap_class { /* local, constant */
	const char      *name;  /* 1 to 255 bytes; written into the segment */
	const stoa_type *state; /* zeroed at first; NULL: none is needed */

	/* Here is memory, more later: aligned to 64, whatever was in it; a block may not reach from one piece into another. */
	void     (*extend)(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size);
	/* `size` bytes or more, 24 at least and a multiple of 8, at a multiple of `align`, a power of two from 16 on. null: no
	 * room, extend it: then it is asked again. */
	stoa_ref (*alloc)(stoa_tx *tx, const void *state, uint64_t size, uint64_t align);
	/* A block that alloc gave; nobody has it any more. */
	void     (*free)(stoa_tx *tx, const void *state, stoa_ref block);
	/* Bytes that may be used from `block` on. */
	uint64_t (*usable)(const stoa_tx *rd, const void *state, stoa_ref block);
	/* 0, or -EBADMSG: the state or what it leads to cannot be right. May be NULL. */
	int      (*check)(const stoa_tx *rd, const void *state);
	/* A piece that extend gave, in which no block is: forget it, and true, or false: it stays. Asked by stoa_segment_trim.
	 * May be NULL: then what the class was given stays its own. */
	bool     (*reduce)(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size);
};

extern const stoa_heap_class stoa_heap_best_fit, stoa_heap_best_fit_64, stoa_heap_best_fit_4096, stoa_heap_first_fit;

STOA_END_DECLS
#endif
