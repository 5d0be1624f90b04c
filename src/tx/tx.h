/* SPDX-License-Identifier: BSL-1.0 */
/* Transactions, as object and container see them beside stoa/tx.h. */
#ifndef STOAI_TX_TX_H
#define STOAI_TX_TX_H
#include "segment/seat.h"
#include "stoa/tx.h"

enum { STOAI_TX_DEPTH_MAX = 16 };

/* One scope. In the thread's wiped page: zero in a fork child. */
struct stoa_tx {
	stoa_segment *seg;       /* NULL: not open (or the segment was closed) */
	struct stoai_seat *seat; /* NULL: read-only mapping, or begin failed */
	struct stoai_self *self; /* whose it is */
	int error;               /* first failure; 0: none */
	uint8_t open, writes, outermost, done;
	uint32_t level;          /* nesting depth on this thread, 0 = first */
	struct stoa_tx *outer;   /* the scope of the same segment around it */
	uint64_t mark;           /* the log's cursor when it began */
	uint32_t serial;         /* of the outermost scope; tags the save filter */
	uint32_t locks_at_begin;
	const void *frame;       /* caller's stack at begin: finds a longjmp */
	uint32_t sequence[4];    /* read-only mappings: what the locks' seq_ were */
	const stoa_rwlock *watched[4];
	uint32_t watched_count;
	uint64_t fresh[8][2];    /* last blocks made in this scope: [from, to) */
	uint32_t fresh_next;
};

/* ---- for every layer above ---- */

/* May it write? False: it has failed, or this fails it (-EROFS, -EPERM). */
bool stoai_tx_writes(stoa_tx *tx);
/* May it read? */
bool stoai_tx_reads(const stoa_tx *rd);
/* Fail with a text already set by stoai_error; returns the first failure. */
int stoai_tx_fail(const stoa_tx *rd, int error);

/* Undo record for [p, p + size) before a plain store; false: failed. Skipped where not needed. */
bool stoai_tx_save(stoa_tx *tx, const void *p, uint64_t size);
/*
 * A block owned by shared data if the transaction commits, zeroed; NULL when it
 * fails (the caller returns scratch memory).
 */
void *stoai_tx_alloc(stoa_tx *tx, uint64_t size, uint64_t align);
/* Freed at commit. off == 0: nothing. False: failed. */
bool stoai_tx_free(stoa_tx *tx, uint64_t off);

/* Scratch memory, aligned to 16, zeroed, or a copy of `from`. Never NULL. */
void *stoai_scratch(uint64_t size, const void *from);

/* Take the library's own lock inside a transaction, kept to its end. Fails the tx. */
bool stoai_tx_own_lock(const stoa_tx *rd, stoa_rwlock *lock, bool exclusive);

/*
 * Reading checked: [off, off + size) as memory of the heap, or NULL and -EBADMSG.
 * off == 0 is NULL without a failure.
 */
static inline const void *
stoai_tx_at(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	stoa_ref ref = {off};

	return stoa_at(rd, ref, size);
}

/* Fail with -EBADMSG and the text; for structures found damaged. */
int stoai_tx_damaged(const stoa_tx *rd, const char *format, ...)
	STOA_PRINTF_(2, 3);

/* NULL pointer where a shared one is needed, or outside the segment: -EFAULT. */
bool stoai_tx_inside(const stoa_tx *rd, const void *p, uint64_t size);

#endif
