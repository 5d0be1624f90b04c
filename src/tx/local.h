/* SPDX-License-Identifier: BSL-1.0 */
/* What the files of this layer share, beyond tx.h. */
#ifndef STOAI_TX_LOCAL_H
#define STOAI_TX_LOCAL_H
#include "heap/cache.h"
#include "segment/log.h"
#include "tx/tx.h"

/* ---- fail.c ---- */

/* The calling thread's, and not over? 0, or why not; nothing is touched. */
int stoai_tx_mine(const struct stoa_tx *tx);

/* ---- lane.c ---- */

/*
 * Undo every record behind mark, the last first. seat: the caller's own, or NULL
 * in recovery.
 */
int stoai_lane_rollback(stoa_segment *seg, uint32_t slot, uint64_t mark);
/*
 * A committed lane, all locks held: mark its conditions; then it is SIGNALLED.
 * wakes: it may hold WAKE records; false saves the walk.
 */
int stoai_lane_signal(stoa_segment *seg, uint32_t slot, bool wakes);
/* A signalled one, no lock held: wake, then free; then it is open and empty. */
int stoai_lane_finish(stoa_segment *seg, uint32_t slot, bool wakes);
/*
 * The record that begins at `at`, in any lane: its head, and where the next one
 * begins. 0, or -EBADMSG: no record can lie there.
 */
int stoai_lane_record(stoa_segment *seg, uint32_t slot, uint64_t at,
	uint64_t *head, uint64_t *next);
/* More records than fit into the segment: a walk that goes round. */
uint64_t stoai_lane_limit(stoa_segment *seg);
/* Own seat: the chunks that the cursor has left behind are free again. */
void stoai_lane_trim(struct stoai_seat *seat, uint32_t chunks);

/* The same for n ALLOC records, which count by one store; all of them or none. */
int stoai_lane_append_blocks(
	struct stoai_seat *seat, size_t n, const struct stoai_cached *block);

/* ---- change.c ---- */

/*
 * A transient block of the seat's, of which `size` bytes are asked for, is shared
 * data's if tx commits. False: it is free again, and tx has failed. Sets no busy.
 */
bool stoai_tx_give(stoa_tx *tx, struct stoai_cached block, uint64_t size);

/* Remember that it was made in this scope: needs no undo record. */
void stoai_tx_fresh(struct stoa_tx *tx, uint64_t off, uint64_t size);

/* ---- own.c ---- */

/* Does an algorithm of its own divide the memory of tx's segment? */
static inline bool
stoai_own(const stoa_tx *tx)
{
	return stoai_unlikely(tx->seg->heap_state != 0);
}

/*
 * A block of it, as stoai_tx_alloc_dirty; *usable: its bytes. 0; -ENOSPC, with a
 * text, which has not failed tx; anything else has. Sets no busy.
 */
int stoai_own_alloc(stoa_tx *tx, uint64_t size, uint64_t align, uint64_t *off,
	uint64_t *usable);
/* Is the block at off one of its? Then commit gives it back. tx may have failed. */
bool stoai_own_free(stoa_tx *tx, uint64_t off);
/* Outermost, right before the commit store: what is to go back. tx may fail. */
void stoai_own_drop(stoa_tx *tx);

/* ---- memory.c ---- */

/* The block that begins at p, and its bytes. False: none does, and tx has failed. */
bool stoai_tx_block(stoa_tx *tx, const void *p, uint64_t *off, uint64_t *size);

static inline uint64_t
stoai_tx_align(uint64_t align)
{
	return align ? align : STOAI_BLOCK_MIN;
}

/* ---- locks.c ---- */

/* The locks of a scope that begins, sorted; the segment's own if none is named. */
int stoai_tx_take_locks(struct stoa_tx *tx, const stoa_hold *holds, size_t n,
	uint64_t deadline);

/* ---- watch.c ---- */

/* A read-only mapping: wait until no writer is in, note the sequence. */
int
stoai_tx_watch(struct stoa_tx *tx, const stoa_rwlock *lock, uint64_t deadline);
/* 0; -EAGAIN: a writer came between; -EOWNERDEAD: one died and nobody repaired. */
int stoai_tx_watch_check(const struct stoa_tx *tx);

/* ---- scratch.c ---- */
int stoai_scratch_begin(void); /* the process's own area */
void stoai_scratch_end(struct stoai_self *self);

/* ---- checked.c ---- */
void stoai_checked_begin(struct stoa_tx *tx);
/* 0, or -EFAULT with a text: what changed without undo, or without its lock. */
int stoai_checked_commit(struct stoa_tx *tx);
void stoai_checked_segment_end(stoa_segment *seg);
/* A container's block at off holds nothing any more: see that nobody writes to it. */
void stoai_checked_moved(struct stoa_tx *tx, uint64_t off);

/* ---- profile.c ---- */

static inline bool
stoai_profiled(const stoa_segment *seg)
{
	return stoai_unlikely(a32_load_relaxed(&seg->profiled) != 0);
}

/* Asked where it is: a block is made; it is about to be freed, or undone. */
void stoai_profile_alloc(stoa_segment *seg, uint64_t off, uint64_t size);
void stoai_profile_free(const stoa_segment *seg, uint64_t off);
void stoai_profile_segment_end(stoa_segment *seg);

#endif
