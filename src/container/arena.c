/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Arenas: where is the next free byte, and what becomes of all of them?
 *
 *	stoa_arena           chunk                      chunk
 *	 first ------------> +------+------+-----+      +------+------+-----+
 *	 at, end             | next | used | ... | ---> | next | used       |
 *	 spare ----> chunk   +------+------+-----+      +------+------+-----+
 *	                                   at    end
 *
 * Invariants
 *	A1  first == 0: at == end == used == 0
 *	A2  at <= end, both in the first chunk
 *	A3  the spare chunk has no next
 *
 * Crash argument: change.c. Bytes from at to end are dead. A reset makes bytes dead
 * that were alive when the transaction came, so it may not fill them: the spare
 * chunk is not touched by the transaction, tag, that made it spare.
 */
#include "container/pool.h"
#include "stoa/arena.h"

enum {
	ARENA_HEAD = sizeof(stoa_arena_chunk),
	CHUNK_MIN = 1024,
	CHUNK_MAX = 1 << 20,
	ARENA_ALIGN = 4096
};

STOA_STATIC_ASSERT(offsetof(stoa_arena, used_) ==
			   offsetof(stoa_arena, at_) + 2 * sizeof(uint64_t),
	"at, end and used are saved together");

static bool
arena_damaged(const stoa_tx *rd, const stoa_arena *a, const char *what)
{
	(void)stoai_tx_damaged(rd, "arena at %#llx: %s",
		(unsigned long long)stoai_off(rd->seg, a), what);
	return false;
}

/* NULL: there is none, or rd has failed. */
static const stoa_arena_chunk *
chunk_at(const stoa_tx *rd, const stoa_arena *a, uint64_t off)
{
	const stoa_arena_chunk *c =
		off % 16 ? NULL : stoai_tx_at(rd, off, ARENA_HEAD);

	if (c && stoai_likely(c->size_ >= ARENA_HEAD &&
			      stoai_tx_at(rd, off, c->size_)))
		return c;
	if (off && !rd->error)
		(void)arena_damaged(rd, a, "no chunk");
	return NULL;
}

static bool
arena_save(stoa_tx *tx, const stoa_arena *a)
{
	const uint64_t *hot = &a->at_;

	return stoai_likely(stoai_pool_saved(tx, stoai_off(tx->seg, hot))) ||
	       stoai_tx_save(tx, hot, 3 * sizeof *hot);
}

/* [at, end) of a chunk is what comes next. */
static bool
arena_enter(stoa_tx *tx, const stoa_arena *a, uint64_t off, uint64_t size)
{
	stoa_arena *shared = stoai_mutable(a);

	if (!arena_save(tx, a) || !stoai_pool_set(tx, &a->first_.ref.off, off))
		return false;
	a64_store_relaxed(&shared->at_, off ? off + ARENA_HEAD : 0);
	a64_store_relaxed(&shared->end_, off + size);
	return true;
}

static bool
arena_takes_spare(stoa_tx *tx, const stoa_arena *a, uint64_t need)
{
	const stoa_arena_chunk *c = chunk_at(tx, a, a->spare_.ref.off);

	if (!c || a->tag_ == stoai_pool_tag(tx) || c->size_ < need)
		return false;
	return stoai_pool_set(tx, &c->next_.ref.off, a->first_.ref.off) &&
	       stoai_pool_set(tx, &a->spare_.ref.off, 0) &&
	       arena_enter(tx, a, stoai_off(tx->seg, c), c->size_);
}

/* Room for size bytes at align in the first chunk. */
static bool
arena_grow(stoa_tx *tx, const stoa_arena *a, uint64_t size, uint64_t align)
{
	uint64_t need = ARENA_HEAD + size + (align > 16 ? align : 0);
	const stoa_arena_chunk *first = chunk_at(tx, a, a->first_.ref.off);
	stoa_arena_chunk *c;
	uint64_t bytes = CHUNK_MIN;

	if (tx->error)
		return false;
	if (arena_takes_spare(tx, a, need) || tx->error)
		return !tx->error;
	if (first)
		bytes = stoai_min(first->size_ * 2, CHUNK_MAX);
	bytes = stoai_max(bytes, stoai_align_up(need, 16));
	c = stoai_tx_alloc_dirty(tx, bytes, 16);
	if (!c)
		return false;
	c->next_.ref.off = a->first_.ref.off;
	c->size_ = bytes;
	return arena_enter(tx, a, stoai_off(tx->seg, c), bytes);
}

static void *
arena_take(stoa_tx *tx, const stoa_arena *a, uint64_t size, uint64_t align)
{
	stoa_arena *shared = stoai_mutable(a);
	uint64_t at, end, from;

	if (!stoai_may_change(tx, a, sizeof *a))
		return NULL;
	for (int i = 0; i < 2; i++) {
		at = a64_load_relaxed(&a->at_);
		end = a64_load_relaxed(&a->end_);
		from = stoai_align_up(at, align);
		if (stoai_likely(at && from <= end && size <= end - from))
			break;
		if (i || !arena_grow(tx, a, size, align))
			return NULL;
	}
	if (!stoai_in_heap(tx->seg, from, size)) {
		(void)arena_damaged(tx, a, "A2: what is free");
		return NULL;
	}
	if (!arena_save(tx, a) ||
		!stoai_change_dead(tx, stoai_at(tx->seg, from), size))
		return NULL;
	a64_store_relaxed(&shared->used_, a->used_ + (from - at) + size);
	a64_store_relaxed(&shared->at_, from + size);
	return stoai_at(tx->seg, from);
}

static void *
arena_refuses(stoa_tx *tx, uint64_t size, uint64_t align)
{
	(void)stoai_tx_fail(
		tx, stoai_error(-EINVAL,
			    "%llu bytes at %llu: an arena has up to %llu, at a "
			    "power of two up to %d",
			    (unsigned long long)size, (unsigned long long)align,
			    (unsigned long long)(STOAI_BYTES_MAX / 2),
			    ARENA_ALIGN));
	return stoai_scratch_dirty(size);
}

void *
stoa_arena_alloc(
	stoa_tx *tx, const stoa_arena *arena, uint64_t size, uint64_t align)
{
	void *p;

	size = stoai_max(size, 1);
	align = align ? align : 16;
	if (!stoai_is_pow2(align) || align > ARENA_ALIGN ||
		size > STOAI_BYTES_MAX / 2)
		return arena_refuses(tx, size, align);
	p = arena_take(tx, arena, size, align);
	return p ? p : stoai_scratch_dirty(size);
}

void *
stoa_arena_array_(stoa_tx *tx, const stoa_arena *arena, uint64_t n,
	uint64_t size, uint64_t align)
{
	uint64_t bytes;

	if (stoai_mul_overflows(n, size, &bytes))
		bytes = STOAI_BYTES_MAX;
	if (bytes > STOAI_BYTES_MAX / 2)
		return arena_refuses(tx, bytes, align);
	return memset(stoa_arena_alloc(tx, arena, bytes, align), 0, bytes);
}

/* ---- all at once ---- */

/* Chunks from off on go at commit. */
static bool
chunks_free(stoa_tx *tx, const stoa_arena *a, uint64_t off)
{
	uint64_t limit = stoai_committed(tx->seg) / CHUNK_MIN + 1;

	while (off) {
		const stoa_arena_chunk *c = chunk_at(tx, a, off);

		if (!c || !limit--)
			return !tx->error &&
			       arena_damaged(tx, a, "its chunks go round");
		if (!stoai_tx_free(tx, off))
			return false;
		off = c->next_.ref.off;
	}
	return true;
}

static bool
arena_empty(stoa_tx *tx, const stoa_arena *a)
{
	if (!arena_enter(tx, a, 0, 0))
		return false;
	a64_store_relaxed(&((stoa_arena *)stoai_mutable(a))->used_, 0);
	return stoai_pool_set(tx, &a->root_.off, 0);
}

void
stoa_arena_clear(stoa_tx *tx, const stoa_arena *arena)
{
	if (stoai_may_change(tx, arena, sizeof *arena) &&
		chunks_free(tx, arena, arena->first_.ref.off) &&
		chunks_free(tx, arena, arena->spare_.ref.off) &&
		arena_empty(tx, arena))
		(void)stoai_pool_set(tx, &arena->spare_.ref.off, 0);
}

/* Chunks double, so the first one is the largest, or was made for one thing. */
void
stoa_arena_reset(stoa_tx *tx, const stoa_arena *arena)
{
	const stoa_arena_chunk *first, *spare;

	if (!stoai_may_change(tx, arena, sizeof *arena))
		return;
	first = chunk_at(tx, arena, arena->first_.ref.off);
	spare = chunk_at(tx, arena, arena->spare_.ref.off);
	if (!first || tx->error)
		return;
	if (spare && spare->size_ >= first->size_) {
		if (chunks_free(tx, arena, stoai_off(tx->seg, first)))
			(void)arena_empty(tx, arena);
		return;
	}
	if (chunks_free(tx, arena, first->next_.ref.off) &&
		chunks_free(tx, arena, arena->spare_.ref.off) &&
		stoai_pool_set(tx, &first->next_.ref.off, 0) &&
		stoai_pool_set(tx, &arena->spare_.ref.off,
			stoai_off(tx->seg, first)) &&
		stoai_pool_set(tx, &arena->tag_, stoai_pool_tag(tx)))
		(void)arena_empty(tx, arena);
}

void
stoa_arena_move(stoa_tx *tx, const stoa_arena *to, const stoa_arena *from)
{
	stoa_arena *shared = stoai_mutable(to);

	if (!stoai_may_change(tx, to, sizeof *to) ||
		!stoai_may_change(tx, from, sizeof *from) || to == from)
		return;
	if (to->first_.ref.off) {
		(void)stoai_tx_fail(tx,
			stoai_error(-EBUSY,
				"the arena that another one is to be moved to "
				"is not empty: stoa_arena_reset"));
		return;
	}
	if (!stoai_pool_set(tx, &to->first_.ref.off, from->first_.ref.off) ||
		!stoai_pool_set(tx, &to->root_.off, from->root_.off) ||
		!arena_save(tx, to))
		return;
	a64_store_relaxed(&shared->at_, from->at_);
	a64_store_relaxed(&shared->end_, from->end_);
	a64_store_relaxed(&shared->used_, from->used_);
	(void)arena_empty(tx, from);
}

/* ---- what is in it ---- */

void
stoa_arena_set_root(stoa_tx *tx, const stoa_arena *arena, const void *p)
{
	if (stoai_may_change(tx, arena, sizeof *arena) &&
		(!p || stoai_tx_inside(tx, p, 1)))
		(void)stoai_pool_set(
			tx, &arena->root_.off, p ? stoai_off(tx->seg, p) : 0);
}

const void *
stoa_arena_root_(const stoa_tx *rd, const stoa_arena *arena, uint64_t size,
	uint64_t align)
{
	stoa_ref root;

	if (!stoai_tx_reads(rd) || !stoai_tx_inside(rd, arena, sizeof *arena))
		return NULL;
	root.off = a64_load_relaxed(&arena->root_.off);
	return stoa_at(rd, stoa_ref_aligned_(root, align), size);
}

void
stoa_arena_statistics(
	const stoa_tx *rd, const stoa_arena *arena, stoa_arena_stat *ret)
{
	uint64_t limit, offs[2];

	memset(ret, 0, sizeof *ret);
	if (!stoai_tx_reads(rd) || !stoai_tx_inside(rd, arena, sizeof *arena))
		return;
	limit = stoai_committed(rd->seg) / CHUNK_MIN + 1;
	offs[0] = arena->first_.ref.off;
	offs[1] = arena->spare_.ref.off;
	for (int i = 0; i < 2; i++)
		while (offs[i]) {
			const stoa_arena_chunk *c =
				chunk_at(rd, arena, offs[i]);

			if (!c || !limit--)
				return;
			ret->reserved += c->size_;
			ret->chunks++;
			offs[i] = c->next_.ref.off;
		}
	ret->used = arena->used_;
}
