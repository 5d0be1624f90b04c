/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Arenas: allocate many, free all at once; or hand the whole to somebody else.
 *
 *	order *o = stoa_arena_new(tx, &box->out, order);        yours to fill by plain stores
 *	line *l = stoa_arena_array(tx, &box->out, line, 3);
 *	STOA_LINK(tx, o->lines, l);
 *	stoa_arena_set_root(tx, &box->out, o);
 *	stoa_arena_move(tx, &queue->in, &box->out);             a word or two, however much is in it
 *
 *	const order *o = stoa_arena_root(rd, &queue->in, order);   in another process: all references in it hold
 *	stoa_arena_reset(tx, &queue->in);
 *
 * Zero bytes are an empty arena: a field of any described struct, (out, stoa_arena). The arena owns what is in it; what points
 * there is described as ref, not own. Savepoints are those of transactions: a STOA_TX inside another that fails gives back what
 * was allocated in it.
 *
 * Sync:    the lock of what the arena lies in, exclusive; root and statistics: shared.
 * Crash:   all or nothing with the transaction.
 * Caveats: nothing is freed by itself. A T that owns memory or holds a lock cannot lie in an arena (compile error).
 * Cost:    a few stores; one undo record of 32 bytes a transaction. Chunks double from 1 KiB to 1 MiB.
 */
#ifndef STOA_ARENA_H
#define STOA_ARENA_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stoa/attr.h>
#include <stoa/pool.h>
#include <stoa/ref.h>
#include <stoa/tx.h>
#include <stoa/type.h>

typedef struct stoa_arena_chunk stoa_arena_chunk;
typedef STOA_REF(stoa_arena_chunk) stoa_arena_chunk_ref_;
struct stoa_arena_chunk { /* the head of a chunk */
	stoa_arena_chunk_ref_ next_; /* made before this one */
	uint64_t size_;              /* of the block */
};
STOA_TYPE(stoa_arena_chunk, (next_, stoa_arena_chunk, own), size_);

typedef struct stoa_arena {
	stoa_arena_chunk_ref_ first_; /* the one that is being filled */
	stoa_arena_chunk_ref_ spare_; /* of before the last reset, to be filled next... */
	uint64_t tag_;                /* ...but not in the transaction that reset it */
	uint64_t at_, end_;           /* what is free of the first one */
	uint64_t used_;               /* bytes handed out, rounded */
	stoa_ref root_;
} stoa_arena;
STOA_TYPE(stoa_arena, (first_, stoa_arena_chunk, own), (spare_, stoa_arena_chunk, own), tag_, at_, end_, used_, root_);

STOA_BEGIN_DECLS

/* size bytes (0 counts as 1) at a power of two up to 4096; 0: 16. They are whatever was there. Never NULL. -ENOSPC, -EINVAL. */
void *stoa_arena_alloc(stoa_tx *tx, const stoa_arena *arena, uint64_t size, uint64_t align);
/* T *, T[n]: zeroed and yours to fill; never NULL. */
#define stoa_arena_new(tx, arena, T) stoa_arena_array(tx, arena, T, 1)
#define stoa_arena_array(tx, arena, T, n) \
	(STOA_PLAIN_NODE_(T), (T *)stoa_arena_array_((tx), (arena), (n), sizeof(T), __alignof__(T)))
/* A copy of so many bytes; of a text with its NUL. */
static inline void *stoa_arena_copy(stoa_tx *tx, const stoa_arena *arena, const void *bytes, size_t size);
static inline char *stoa_arena_text(stoa_tx *tx, const stoa_arena *arena, const char *text);

/* Empty again, at commit. The largest chunk is kept for what comes next. */
void stoa_arena_reset(stoa_tx *tx, const stoa_arena *arena);
/* Empty, and no memory is kept. */
void stoa_arena_clear(stoa_tx *tx, const stoa_arena *arena);
/* All that is in `from`, with its root, is in `to` instead, which must be empty (-EBUSY); from is empty. */
void stoa_arena_move(stoa_tx *tx, const stoa_arena *to, const stoa_arena *from);

/* What leads to everything else in it. p NULL: nothing. */
void stoa_arena_set_root(stoa_tx *tx, const stoa_arena *arena, const void *p);
/* const T *; NULL: there is none. */
#define stoa_arena_root(rd, arena, T) ((const T *)stoa_arena_root_((rd), (arena), sizeof(T), __alignof__(T)))

typedef struct stoa_arena_stat {
	uint64_t used;     /* bytes handed out, with what alignment took */
	uint64_t reserved; /* bytes of its chunks, the spare one too */
	uint64_t chunks;
} stoa_arena_stat;
void stoa_arena_statistics(const stoa_tx *rd, const stoa_arena *arena, stoa_arena_stat *ret);

/* ---- what the macros stand on ------------------------------------------------------------------------------------ */

void       *stoa_arena_array_(stoa_tx *tx, const stoa_arena *arena, uint64_t n, uint64_t size, uint64_t align);
const void *stoa_arena_root_(const stoa_tx *rd, const stoa_arena *arena, uint64_t size, uint64_t align);

static inline void *stoa_arena_copy(stoa_tx *tx, const stoa_arena *arena, const void *bytes, size_t size)
{
	return memcpy(stoa_arena_alloc(tx, arena, size, 0), bytes, size);
}
static inline char *stoa_arena_text(stoa_tx *tx, const stoa_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;

	return (char *)memcpy(stoa_arena_alloc(tx, arena, size, 1), text, size);
}

STOA_END_DECLS
#endif
