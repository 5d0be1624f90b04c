/* SPDX-License-Identifier: BSL-1.0 */
/* Transactions, as object and container see them beside stoa/tx.h. */
#ifndef STOAI_TX_TX_H
#define STOAI_TX_TX_H
#include "segment/log.h"
#include "segment/seat.h"
#include "stoa/detail/view.h"
#include "stoa/tx.h"

enum {
	STOAI_TX_DEPTH_MAX = 16, /* open scopes of one thread */
	STOAI_TX_WATCH_MAX = 10,
	STOAI_TX_FRESH = 8
};

enum stoai_tx_state {
	STOAI_TX_CLOSED, /* zero: no scope, or a fork child's view of one */
	STOAI_TX_READS,
	STOAI_TX_WRITES,
	STOAI_TX_OVER /* committed, or its segment was closed */
};

/* One scope. In the thread's wiped page: zero in a fork child. */
struct stoa_tx {
	stoa_view_ view; /* first: what inlined bodies look at */
	enum stoai_tx_state state;
	int error; /* first failure; 0: none */
	stoa_segment *seg;
	struct stoai_seat *seat; /* NULL: read-only mapping, or begin failed */
	struct stoai_self *self; /* whose it is */
	struct stoa_tx *outer;   /* the scope of the same segment around it */
	const void *frame;       /* stack at begin: finds a longjmp over it */
	uint64_t mark;           /* the log's cursor when it began */
	uint64_t serial;         /* tags what was saved in this scope */
	uint32_t mark_chunks, mark_effects;
	/* read-only mappings: the locks read under, and what their seq_ were */
	const stoa_rwlock *watched[STOAI_TX_WATCH_MAX];
	uint32_t sequence[STOAI_TX_WATCH_MAX];
	uint32_t watched_count;
	/* the last blocks made in this scope: need no undo record */
	uint32_t fresh_next;
	uint64_t fresh_from[STOAI_TX_FRESH], fresh_size[STOAI_TX_FRESH];
};

enum {
	STOAI_TX_SELF_SIZE = 10240,
	STOAI_SAVED = 64
};

/* What was saved lately, so that it is not saved again. */
struct stoai_saved {
	uint64_t off, serial;
	uint32_t size;
};

/* Behind struct stoai_self, in the same wiped pages. */
struct stoai_tx_self {
	struct stoa_tx scope[STOAI_TX_DEPTH_MAX];
	uint32_t used; /* bit per scope */
	uint64_t serial;
	bool asked; /* a heap class is being asked (own.c) */
	struct stoai_saved saved[STOAI_SAVED];
};

STOA_STATIC_ASSERT(sizeof(struct stoai_tx_self) <= STOAI_TX_SELF_SIZE, "");
STOA_STATIC_ASSERT(offsetof(struct stoa_tx, view) == 0, "");

static inline struct stoai_tx_self *
stoai_tx_self(struct stoai_self *self)
{
	return self->tx;
}

/* Where it is remembered that [off, +size) was saved. */
static inline struct stoai_saved *
stoai_saved_at(const struct stoa_tx *tx, uint64_t off)
{
	return &stoai_tx_self(tx->self)
			->saved[(off >> 3 ^ off >> 9) % STOAI_SAVED];
}

/* ---- for segment, through object/upper.c ---- */

int stoai_tx_process_begin(void);
void stoai_tx_segment_end(stoa_segment *seg);
void stoai_tx_self_end(struct stoai_self *self);
/* Scopes that are open in it have failed and are over. */
void stoai_tx_seat_end(struct stoai_seat *seat);
/* A dead slot's log: undone, or what it committed is finished. */
int stoai_tx_recover(stoa_segment *seg, uint32_t slot);

/* ---- for every layer above ---- */

/* It may not, or it lies outside: set the text, and fail tx if it is ours. */
bool stoai_tx_writes_not(stoa_tx *tx);
bool stoai_tx_reads_not(const stoa_tx *rd);
bool stoai_tx_outside(const stoa_tx *rd, const void *p);

/* May it write? False: it has failed, or this fails it (-EROFS, -EPERM). */
static inline bool
stoai_tx_writes(stoa_tx *tx)
{
	return stoai_likely(tx->state == STOAI_TX_WRITES && !tx->error &&
			    tx->self == stoai_self && tx->seat->writer == tx) ||
	       stoai_tx_writes_not(tx);
}

/* May it read? */
static inline bool
stoai_tx_reads(const stoa_tx *rd)
{
	return stoai_likely((rd->state == STOAI_TX_READS ||
				    rd->state == STOAI_TX_WRITES) &&
			    !rd->error && rd->self == stoai_self) ||
	       stoai_tx_reads_not(rd);
}

/* NULL pointer where a shared one is needed, or outside the segment: -EFAULT. */
static inline bool
stoai_tx_inside(const stoa_tx *rd, const void *p, uint64_t size)
{
	uint64_t off = (uint64_t)((const char *)p - rd->seg->base);

	return stoai_likely(stoai_in_heap(rd->seg, off, size)) ||
	       stoai_tx_outside(rd, p);
}

/* Nothing that its last calls have found is believed any more. */
static inline void
stoai_view_empty(struct stoa_tx *tx)
{
	tx->view.map = tx->view.vec = 0;
}

/*
 * Where a call of this scope may leave what it has found; NULL: nowhere. The scope
 * reads or writes, and has not failed.
 */
static inline stoa_view_ *
stoai_view_fill(const stoa_tx *rd)
{
	struct stoa_tx *tx = (struct stoa_tx *)(uintptr_t)rd;

	if (!tx->seat || tx->seat->scope != tx || tx->seg->checked)
		return NULL;
	return &tx->view;
}

/* Fail with a text already set by stoai_error; returns the first failure. */
int stoai_tx_fail(const stoa_tx *rd, int error);

/* One record at the log's end. 0, or why it has no room (-ENOSPC, with text). */
int stoai_lane_append(struct stoai_seat *seat, enum stoai_log_kind kind,
	uint32_t length, uint64_t off, const void *bytes);

/* The same for a SAVE of 1 to 8 bytes, which most are. */
static inline int
stoai_log_save_word(struct stoai_seat *seat, uint64_t off, uint32_t length)
{
	enum {
		SIZE = STOAI_LOG_FIXED + 8
	};
	const void *from = stoai_at(seat->seg, off);
	uint64_t at = a64_load_relaxed(&seat->lane->cursor), word = 0;
	uint64_t *record;

	/* room for a NEXT stays behind every record */
	if (stoai_unlikely(at + SIZE + STOAI_LOG_FIXED > seat->log_end ||
			   at > seat->log_end || at % 8))
		return stoai_lane_append(
			seat, STOAI_LOG_SAVE, length, off, from);
	record = stoai_at(seat->seg, at);
	if (length == 8)
		memcpy(&word, from, 8);
	else if (length == 1)
		memcpy(&word, from, 1);
	else
		memcpy(&word, from, length);
	a64_store_relaxed(record, stoai_log_head(STOAI_LOG_SAVE, length, off));
	a64_store_relaxed(record + 1, word);
	a64_store_relaxed(record + 2, SIZE);
	a64_store_kill(&seat->lane->cursor, at + SIZE);
	return 0;
}

/* The same for a record that is its head and no more: ALLOC, FREE. */
static inline int
stoai_log_mark(struct stoai_seat *seat, enum stoai_log_kind kind, uint64_t off)
{
	uint64_t at = a64_load_relaxed(&seat->lane->cursor);
	uint64_t *record;

	if (stoai_unlikely(
		    at + STOAI_LOG_FIXED + STOAI_LOG_FIXED > seat->log_end ||
		    at > seat->log_end || at % 8))
		return stoai_lane_append(seat, kind, 0, off, NULL);
	record = stoai_at(seat->seg, at);
	a64_store_relaxed(record, stoai_log_head(kind, 0, off));
	a64_store_relaxed(record + 1, STOAI_LOG_FIXED);
	a64_store_kill(&seat->lane->cursor, at + STOAI_LOG_FIXED);
	return 0;
}

/* Does it lie in a block that this scope has made lately? Then it needs no undo. */
bool stoai_tx_is_fresh(const stoa_tx *tx, uint64_t off, uint64_t size);

/* The record itself, for a range that was not saved yet. */
bool stoai_tx_save_fresh(stoa_tx *tx, uint64_t off, uint64_t size);

/* Undo record for [p, p + size) before a plain store; false: failed. Skipped where not needed. */
static inline bool
stoai_tx_save(stoa_tx *tx, const void *p, uint64_t size)
{
	const struct stoai_saved *saved;
	uint64_t off;

	/* asked first: in a fork child all of tx is zero */
	if (!stoai_tx_writes(tx) || !stoai_tx_inside(tx, p, size))
		return false;
	off = stoai_off(tx->seg, p);
	saved = stoai_saved_at(tx, off);
	return (saved->off == off && saved->serial == tx->serial &&
		       saved->size >= size) ||
	       stoai_tx_save_fresh(tx, off, size);
}

/*
 * What this scope need not save: it was dead when the scope began, or is undone with
 * its block. Checked mode wants it saved all the same.
 */
static inline void
stoai_tx_saved(stoa_tx *tx, const void *p, uint32_t size)
{
	uint64_t off = stoai_off(tx->seg, p);

	if (stoai_likely(!tx->seg->checked))
		*stoai_saved_at(tx, off) =
			(struct stoai_saved){off, tx->serial, size};
}

/*
 * Saves one byte in the heap that a scope which may write is about to change for
 * the first time: nothing is asked and nothing remembered.
 */
static inline bool
stoai_tx_save_byte(stoa_tx *tx, const unsigned char *p)
{
	struct stoai_seat *seat = tx->seat;
	int rc;

	seat->busy = 1;
	rc = stoai_log_save_word(seat, stoai_off(tx->seg, p), 1);
	seat->busy = 0;
	if (stoai_unlikely(rc))
		(void)stoai_tx_fail(tx, rc);
	return !rc;
}

/*
 * A block owned by shared data if the transaction commits, zeroed; NULL when it
 * fails (the caller returns scratch memory).
 */
void *stoai_tx_alloc(stoa_tx *tx, uint64_t size, uint64_t align);
/* The same, with whatever was there: for who writes all that counts. */
void *stoai_tx_alloc_dirty(stoa_tx *tx, uint64_t size, uint64_t align);
/* Freed at commit. off == 0: nothing. False: failed. */
bool stoai_tx_free(stoa_tx *tx, uint64_t off);
/* The same for what this scope, which writes, has found to be a block. */
bool stoai_tx_free_found(stoa_tx *tx, uint64_t off);
/* The same for a table whose values have moved: checked mode finds stores to it. */
bool stoai_tx_free_moved(stoa_tx *tx, uint64_t off);

/*
 * A large block gets at least `size` bytes, more than it has, where it is: how many it
 * has now; 0: it is none, or something is behind it, or tx has failed.
 */
uint64_t stoai_tx_lengthen(stoa_tx *tx, uint64_t off, uint64_t size);

/* A heap class that has it: give back runs in which it has no block. tx may fail. */
void stoai_own_reduce(stoa_tx *tx);

/* Scratch memory, aligned to 16, zeroed, or a copy of `from`. Never NULL. */
void *stoai_scratch(uint64_t size, const void *from);
/* The same, with whatever was there: nothing is touched. */
void *stoai_scratch_dirty(uint64_t size);

/* Take the library's own lock inside a transaction, kept to its end. Fails the tx. */
bool stoai_tx_own_lock(const stoa_tx *rd, stoa_rwlock *lock, bool exclusive);
/*
 * Reading checked: [off, off + size) as memory of the heap, or NULL and -EBADMSG.
 * off == 0 is NULL without a failure. The scope has been asked whether it reads;
 * of a read-only one stoa_at asks more.
 */
static inline const void *
stoai_tx_at(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	stoa_ref ref = {off};

	return stoai_likely(rd->seat && !rd->error &&
			    stoai_in_heap(rd->seg, off, size))
		       ? stoai_at(rd->seg, off)
		       : stoa_at(rd, ref, size);
}

/* Fail with -EBADMSG and the text; for structures found damaged. */
int
stoai_tx_damaged(const stoa_tx *rd, const char *format, ...) STOA_PRINTF_(2, 3);

#ifdef __clang_analyzer__
	/* They return an error, which the analyzer cannot see. */
 #define stoai_tx_fail(rd, error) \
  ((void)(stoai_tx_fail)((rd), (error)), -EBADMSG)
 #define stoai_tx_damaged(rd, ...) \
  ((void)(stoai_tx_damaged)((rd), __VA_ARGS__), -EBADMSG)
#endif

#endif
