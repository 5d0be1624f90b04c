/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pools: which node is free, which block has room, whose is this pointer?
 *
 *	stoa_pool                     block, owned by the bin or by the one before it
 *	 id, size, align              +------+--------------+------+------+- - -
 *	 nodes a block, blocks kept   | head | used, before | node | node |
 *	 bin[0] free    ------------> +------+--------------+------+------+- - -
 *	 bin[1..4] quarters ---->       next, prev            up to 64: one word
 *	 bin[5] full    ---->
 *
 * A node comes from the fullest bin that has room, so that the others become free.
 *
 * Invariants
 *	P1  id == 0: never used, all words are zero
 *	P2  size is a multiple of align, a power of two; 1 to 64 nodes a block
 *	P3  a block is in the bin that its used bits say, once; prev is the one before it
 *	P4  check is made of the pool's id and the block's place, and wiped when the
 *	    block goes: so no other memory looks like a block of this pool
 *	P5  used has no bit behind the last node
 *	P6  free counts the first bin
 *
 * Crash argument: change.c. All words are saved before they are stored to. Bytes of
 * a node that is not in use are dead, so a node is handed out without saving them;
 * but one that was in use when the transaction came is what it was if the
 * transaction is undone. `before` has those: they are handed out when nothing else
 * is left in the block, and then saved first. A savepoint counts as a transaction
 * that finds what the ones around it have found and left.
 */
#include "base/hash.h"
#include "container/pool.h"
#include "heap/heap.h"

enum {
	POOL_HEAD = sizeof(stoa_pool_block),
	BIN_FREE = 0,
	BIN_FULL = STOA_POOL_BINS_ - 1,
	NODES_MAX = 64,
	NODE_ALIGN = 4096,
	KEEP_DEFAULT = 2,
	HOT = 3 * sizeof(uint64_t) /* used, before, tag: saved at once */
};

STOA_STATIC_ASSERT(sizeof(stoa_pool_block) == 48, "");
STOA_STATIC_ASSERT(sizeof(stoa_pool) == 80, "");
STOA_STATIC_ASSERT(offsetof(stoa_pool_block, tag_) ==
			   offsetof(stoa_pool_block, used_) + 16,
	"");

/* ---- reading it once ---- */

/* A pool, read once and checked. */
struct pool {
	stoa_pool *shared;
	uint64_t id, valid; /* valid: bits of nodes that there are */
	uint32_t size, align, count, keep, head, bytes;
};

static bool
pool_damaged(const stoa_tx *rd, const stoa_pool *p, const char *what)
{
	(void)stoai_tx_damaged(rd, "pool at %#llx: %s",
		(unsigned long long)stoai_off(rd->seg, p), what);
	return false;
}

static void
pool_view(struct pool *v)
{
	v->valid = v->count < NODES_MAX ? (UINT64_C(1) << v->count) - 1
					: UINT64_MAX;
	v->head = v->align > 16 ? (POOL_HEAD + v->align - 1) & -v->align
				: POOL_HEAD;
	v->bytes = v->head + v->count * v->size;
}

/* False: P1, P2 do not hold, and rd has failed. A pool never used has count 0. */
static bool
pool_load(const stoa_tx *rd, const stoa_pool *p, struct pool *v)
{
	v->shared = stoai_mutable(p);
	v->id = a64_load_relaxed(&p->id_);
	v->size = a32_load_relaxed(&p->size_);
	v->align = a32_load_relaxed(&p->align_);
	v->count = a32_load_relaxed(&p->count_);
	v->keep = a32_load_relaxed(&p->keep_);
	if (stoai_unlikely(!v->id)) {
		memset(v, 0, sizeof *v);
		v->shared = stoai_mutable(p);
		return true;
	}
	if (stoai_unlikely(v->count - 1 >= NODES_MAX ||
			   v->size - 1 >= STOAI_NODE_MAX ||
			   v->align - 1 >= NODE_ALIGN ||
			   (v->align & (v->align - 1)) ||
			   (v->size & (v->align - 1))))
		return pool_damaged(rd, p, "P2: its parameters");
	pool_view(v);
	return true;
}

static bool
pool_open(stoa_tx *tx, const stoa_pool *p, struct pool *v)
{
	return stoai_may_change(tx, p, sizeof *p) && pool_load(tx, p, v);
}

static uint64_t
pool_mark(uint64_t id, uint64_t off)
{
	return (id ^ off) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* The bin of a block of which n nodes are in use. */
static inline unsigned
pool_bin(const struct pool *v, unsigned n)
{
	const unsigned part = 4 * n, all = v->count;

	if (!n || n >= all)
		return n ? BIN_FULL : BIN_FREE;
	return 1u + (unsigned)(part >= all) + (unsigned)(part >= 2 * all) +
	       (unsigned)(part >= 3 * all);
}

static inline unsigned
used_count(const struct pool *v, uint64_t used)
{
	return (unsigned)__builtin_popcountll(used & v->valid);
}

/* NULL: off is 0, or rd has failed. */
static stoa_pool_block *
block_at(const stoa_tx *rd, const struct pool *v, stoa_pool_block_ref_ ref)
{
	const void *p = NULL;

	if (stoai_likely(ref.ref.off % 16 == 0))
		p = stoai_tx_at(rd, ref.ref.off, v->bytes);
	else
		(void)pool_damaged(rd, v->shared, "P3: no block");
	return stoai_mutable(p);
}

static char *
block_node(const struct pool *v, stoa_pool_block *b, unsigned i)
{
	return (char *)b + v->head + (uint64_t)i * v->size;
}

/* ---- blocks in bins ---- */

/* Before the first change of used in this scope. */
static inline bool
block_touch(stoa_tx *tx, stoa_pool_block *b)
{
	uint64_t tag;

	if (stoai_likely(stoai_pool_saved(tx, stoai_off(tx->seg, &b->used_))))
		return true;
	if (!stoai_tx_save(tx, &b->used_, HOT))
		return false;
	tag = stoai_pool_tag(tx);
	a64_store_relaxed(
		&b->before_, (b->tag_ == tag ? b->before_ : 0) | b->used_);
	a64_store_relaxed(&b->tag_, tag);
	return true;
}

static bool
block_unlink(stoa_tx *tx, struct pool *v, stoa_pool_block *b, unsigned bin)
{
	stoa_pool_block *next = block_at(tx, v, b->next_);
	stoa_pool_block *prev = block_at(tx, v, b->prev_);
	const uint64_t *from =
		prev ? &prev->next_.ref.off : &v->shared->bin_[bin].ref.off;

	if (stoai_unlikely(tx->error || *from != stoai_off(tx->seg, b) ||
			   (next && next->prev_.ref.off != *from)))
		return pool_damaged(tx, v->shared, "P3: a block's neighbours");
	return stoai_pool_set(tx, from, b->next_.ref.off) &&
	       (!next || stoai_pool_set(
				 tx, &next->prev_.ref.off, b->prev_.ref.off));
}

static bool
block_link(stoa_tx *tx, struct pool *v, stoa_pool_block *b, unsigned bin)
{
	stoa_pool_block_ref_ first = v->shared->bin_[bin];
	stoa_pool_block *next = block_at(tx, v, first);
	uint64_t off = stoai_off(tx->seg, b);

	if (tx->error || !stoai_tx_save(tx, &b->next_, 16))
		return false;
	a64_store_relaxed(&b->next_.ref.off, first.ref.off);
	a64_store_relaxed(&b->prev_.ref.off, 0);
	return (!next || stoai_pool_set(tx, &next->prev_.ref.off, off)) &&
	       stoai_pool_set(tx, &v->shared->bin_[bin].ref.off, off);
}

/* It is in no bin any more, and goes at commit. */
static bool
block_away(stoa_tx *tx, stoa_pool_block *b)
{
	return stoai_pool_set(tx, &b->check_, 0) &&
	       stoai_tx_free(tx, stoai_off(tx->seg, b));
}

static bool __attribute__((noinline)) block_move(stoa_tx *tx, struct pool *v,
	stoa_pool_block *b, unsigned from, unsigned to)
{
	const uint64_t *free = &v->shared->free_;

	if (!block_unlink(tx, v, b, from))
		return false;
	if (to == BIN_FREE && *free >= v->keep)
		return block_away(tx, b);
	if (from == BIN_FREE || to == BIN_FREE)
		if (!stoai_pool_set(
			    tx, free, to == BIN_FREE ? *free + 1 : *free - 1))
			return false;
	return block_link(tx, v, b, to);
}

/* One of its used bits is changed, and it goes to the bin that they say. */
static inline bool
block_use(stoa_tx *tx, struct pool *v, stoa_pool_block *b, uint64_t used)
{
	const unsigned n = used_count(v, b->used_);
	unsigned from = pool_bin(v, n);
	unsigned to = pool_bin(v, used > b->used_ ? n + 1 : n - 1);

	a64_store_relaxed(&b->used_, used);
	return stoai_likely(from == to) || block_move(tx, v, b, from, to);
}

static stoa_pool_block *__attribute__((noinline))
block_new(stoa_tx *tx, struct pool *v)
{
	stoa_pool_block *b = stoai_tx_alloc_dirty(
		tx, v->bytes, stoai_max(v->align, STOAI_BLOCK_MIN));

	if (!b)
		return NULL;
	memset(b, 0, POOL_HEAD);
	b->check_ = pool_mark(v->id, stoai_off(tx->seg, b));
	if (!block_link(tx, v, b, BIN_FREE) ||
		!stoai_pool_set(tx, &v->shared->free_, v->shared->free_ + 1))
		return NULL;
	stoai_tx_saved(tx, &b->used_, HOT);
	return b;
}

/* ---- nodes ---- */

static stoa_pool_block *
pool_room(stoa_tx *tx, struct pool *v, bool grow, bool *ret_dry)
{
	const stoa_pool_block_ref_ *bin = v->shared->bin_;

	for (unsigned i = BIN_FULL; i-- > 0;)
		if (bin[i].ref.off)
			return block_at(tx, v, bin[i]);
	*ret_dry = !grow;
	return grow ? block_new(tx, v) : NULL;
}

static void *
pool_take(stoa_tx *tx, struct pool *v, bool grow, bool *ret_dry)
{
	stoa_pool_block *b = pool_room(tx, v, grow, ret_dry);
	uint64_t used, room, clean;
	unsigned i;
	char *p;

	if (!b || !block_touch(tx, b))
		return NULL;
	used = a64_load_relaxed(&b->used_);
	room = ~used & v->valid;
	clean = room & ~b->before_;
	if (stoai_unlikely(!room)) {
		(void)pool_damaged(tx, v->shared, "P3: a full block has room");
		return NULL;
	}
	i = (unsigned)stoai_ctz64(clean ? clean : room);
	p = block_node(v, b, i);
	if (stoai_unlikely(!clean) ? !stoai_tx_save(tx, p, v->size)
				   : !stoai_change_dead(tx, p, v->size))
		return NULL;
	return block_use(tx, v, b, used | UINT64_C(1) << i) ? p : NULL;
}

void *
stoai_pool_take(stoa_tx *tx, const stoa_pool *pool, bool grow, bool *ret_dry)
{
	struct pool v;

	*ret_dry = false;
	return pool_open(tx, pool, &v) && v.count
		       ? pool_take(tx, &v, grow, ret_dry)
		       : NULL;
}

static void __attribute__((noinline))
pool_refuses(stoa_tx *tx, const struct pool *v, const void *p, const char *why)
{
	(void)stoai_tx_fail(
		tx, stoai_error(-EFAULT, "%s: %#llx %s the pool at %#llx",
			    stoai_name(tx->seg),
			    (unsigned long long)stoai_off(tx->seg, p), why,
			    (unsigned long long)stoai_off(tx->seg, v->shared)));
}

/* The block and the number of the node in use that begins at p. */
static stoa_pool_block *
pool_find(stoa_tx *tx, struct pool *v, const void *p, unsigned *ret)
{
	uint64_t off = stoai_off(tx->seg, p), start, at;
	stoa_pool_block *b = NULL;

	if (!stoai_tx_inside(tx, p, 1))
		return NULL;
	start = v->count ? stoai_heap_block(tx->seg, off) : 0;
	at = off - start - v->head;
	if (start && stoai_in_heap(tx->seg, start, v->bytes))
		b = stoai_at(tx->seg, start);
	if (!b || a64_load_relaxed(&b->check_) != pool_mark(v->id, start) ||
		at >= v->bytes - v->head || (uint32_t)at % v->size != 0) {
		pool_refuses(tx, v, p, "is no node of");
		return NULL;
	}
	*ret = (uint32_t)at / v->size;
	if (stoai_likely(a64_load_relaxed(&b->used_) >> *ret & 1))
		return b;
	pool_refuses(tx, v, p, "is free already in");
	return NULL;
}

bool
stoai_pool_owns(stoa_tx *tx, const stoa_pool *pool, const void *p)
{
	struct pool v;
	unsigned i;

	return pool_load(tx, pool, &v) && pool_find(tx, &v, p, &i) != NULL;
}

STOAI_FLATTEN void
stoa_pool_free(stoa_tx *tx, const stoa_pool *pool, const void *p)
{
	stoa_pool_block *b;
	struct pool v;
	unsigned i;

	if (!p || !pool_open(tx, pool, &v))
		return;
	b = pool_find(tx, &v, p, &i);
	if (b && block_touch(tx, b))
		(void)block_use(tx, &v, b, b->used_ & ~(UINT64_C(1) << i));
}

/* ---- parameters ---- */

/* The fewest nodes for which the head is no more than that part of a block. */
static uint32_t
nodes_for(uint64_t head, uint64_t size, uint64_t percent)
{
	uint64_t n = NODES_MAX;

	if (percent)
		n = (head * (100 - percent) + percent * size - 1) /
		    (percent * size);
	return (uint32_t)stoai_min(stoai_max(n, 1), NODES_MAX);
}

bool
stoai_pool_resolve(const stoa_pool_options *o, stoa_pool *ret, int *error)
{
	uint64_t size = o ? o->node_size : 0, align = o ? o->node_align : 0;

	memset(ret, 0, sizeof *ret);
	*error = 0;
	if (o && o->struct_size != sizeof *o) {
		*error = stoai_error(-E2BIG,
			"the options of a pool are of another version: "
			"STOA_POOL_OPTIONS sets struct_size");
		return false;
	}
	if (!align)
		align = size ? stoai_min(size & -size, 16) : 1;
	if (!size || size > STOAI_NODE_MAX || align > NODE_ALIGN ||
		!stoai_is_pow2(align) || o->nodes_per_block > NODES_MAX ||
		o->overhead_percent > 99 ||
		o->max_free_blocks < STOA_POOL_KEEP_NONE) {
		*error = stoai_error(-EINVAL,
			"a pool has nodes of 1 to %d bytes, at a power of two "
			"up to %d, and 1 to %d in a block",
			STOAI_NODE_MAX, NODE_ALIGN, NODES_MAX);
		return false;
	}
	ret->size_ = (uint32_t)stoai_align_up(size, align);
	ret->align_ = (uint32_t)align;
	ret->count_ = o->nodes_per_block
			      ? o->nodes_per_block
			      : nodes_for(stoai_align_up(POOL_HEAD, align),
					ret->size_, o->overhead_percent);
	ret->keep_ = o->max_free_blocks == STOA_POOL_KEEP_ALL    ? UINT32_MAX
		     : o->max_free_blocks == STOA_POOL_KEEP_NONE ? 0
		     : o->max_free_blocks ? (uint32_t)o->max_free_blocks
					  : KEEP_DEFAULT;
	return true;
}

static bool
pool_has_blocks(const stoa_pool *p)
{
	for (unsigned i = 0; i < STOA_POOL_BINS_; i++)
		if (p->bin_[i].ref.off)
			return true;
	return false;
}

/* An id that no other pool has, by all odds: of place, thread and transaction. */
static uint64_t
pool_id(const stoa_tx *tx, const stoa_pool *p)
{
	const uint64_t what[] = {stoai_off(tx->seg, p), tx->seat->word,
		tx->serial, a64_load_relaxed(&tx->seat->lane->cursor)};

	return stoai_hash(what, sizeof what, (uint64_t)(uintptr_t)tx) | 1;
}

bool
stoa_pool_setup(
	stoa_tx *tx, const stoa_pool *pool, const stoa_pool_options *options)
{
	stoa_pool *p = stoai_mutable(pool), wish;
	int rc;

	if (!stoai_may_change(tx, pool, sizeof *pool))
		return false;
	if (!stoai_pool_resolve(options, &wish, &rc)) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	if (pool_has_blocks(pool) &&
		(wish.size_ != p->size_ || wish.align_ != p->align_ ||
			wish.count_ != p->count_)) {
		(void)stoai_tx_fail(tx,
			stoai_error(-EBUSY,
				"the pool has blocks of %u nodes of %u bytes; "
				"you ask for %u of %u",
				p->count_, p->size_, wish.count_, wish.size_));
		return false;
	}
	if (!stoai_tx_save(tx, pool, offsetof(stoa_pool, free_)))
		return false;
	p->id_ = p->id_ ? p->id_ : pool_id(tx, pool);
	p->size_ = wish.size_;
	p->align_ = wish.align_;
	p->count_ = wish.count_;
	p->keep_ = wish.keep_;
	return true;
}

/* ---- calls ---- */

STOAI_FLATTEN void *
stoa_pool_alloc(stoa_tx *tx, const stoa_pool *pool)
{
	uint32_t size = 0;
	struct pool v;
	bool dry;
	void *p = NULL;

	if (pool_open(tx, pool, &v)) {
		size = v.size;
		if (v.count)
			p = pool_take(tx, &v, true, &dry);
		else
			(void)stoai_tx_fail(
				tx, stoai_error(-EINVAL,
					    "the pool does not know its nodes' "
					    "size: call stoa_pool_setup"));
	}
	/* a damaged or failed one may say any size */
	return p ? p : stoai_scratch_dirty(size ? size : STOAI_NODE_MAX);
}

STOAI_FLATTEN void *
stoa_pool_new_(
	stoa_tx *tx, const stoa_pool *pool, uint32_t size, uint32_t align)
{
	struct pool v;
	bool dry;
	void *p = NULL;

	if (!pool_open(tx, pool, &v))
		return stoai_scratch(size, NULL);
	if (stoai_unlikely(!v.count)) {
		const stoa_pool_options o = {.struct_size = sizeof o,
			.node_size = size,
			.node_align = align};

		if (!stoa_pool_setup(tx, pool, &o) || !pool_load(tx, pool, &v))
			return stoai_scratch(size, NULL);
	}
	if (stoai_likely(size <= v.size && align <= v.align))
		p = pool_take(tx, &v, true, &dry);
	else
		(void)stoai_tx_fail(tx,
			stoai_error(-EINVAL,
				"%u bytes at %u are no node of a pool that has "
				"%u at %u",
				size, align, v.size, v.align));
	return p ? memset(p, 0, size) : stoai_scratch(size, NULL);
}

uint64_t
stoa_pool_trim(stoa_tx *tx, const stoa_pool *pool)
{
	stoa_pool_block *b;
	uint64_t n = 0;
	struct pool v;

	if (!pool_open(tx, pool, &v))
		return 0;
	while ((b = block_at(tx, &v, pool->bin_[BIN_FREE])) != NULL) {
		if (!block_unlink(tx, &v, b, BIN_FREE) || !block_away(tx, b))
			return 0;
		n++;
	}
	return !tx->error && stoai_pool_set(tx, &pool->free_, 0) ? n : 0;
}

void
stoa_pool_clear(stoa_tx *tx, const stoa_pool *pool)
{
	stoa_pool_block *b;
	struct pool v;

	if (!pool_open(tx, pool, &v))
		return;
	for (unsigned i = 0; i < STOA_POOL_BINS_; i++)
		while ((b = block_at(tx, &v, pool->bin_[i])) != NULL)
			if (!block_unlink(tx, &v, b, i) || !block_away(tx, b))
				return;
	if (!tx->error)
		(void)stoai_pool_set(tx, &pool->free_, 0);
}

/* ---- looking ---- */

/* One bin, counted; P3 to P5 of it. False: rd has failed. */
static bool
bin_look(const stoa_tx *rd, struct pool *v, unsigned bin, bool check,
	stoa_pool_stat *s)
{
	uint64_t limit = stoai_committed(rd->seg) / v->bytes + 1, prev = 0;
	stoa_pool_block *b = block_at(rd, v, v->shared->bin_[bin]);

	for (; b; b = block_at(rd, v, b->next_)) {
		uint64_t off = stoai_off(rd->seg, b), used = b->used_;

		if (b->check_ != pool_mark(v->id, off) || !limit--)
			return pool_damaged(rd, v->shared, "P4: a block");
		if (check && stoai_heap_usable(rd->seg, off) < v->bytes)
			return pool_damaged(rd, v->shared, "P3: no block");
		if (b->prev_.ref.off != prev ||
			pool_bin(v, used_count(v, used)) != bin)
			return pool_damaged(rd, v->shared, "P3: a block's bin");
		if (used & ~v->valid)
			return pool_damaged(rd, v->shared, "P5: used bits");
		s->nodes += used_count(v, used);
		s->blocks++;
		s->free_blocks += bin == BIN_FREE;
		prev = off;
	}
	return !stoa_tx_error(rd);
}

static bool
pool_look(
	const stoa_tx *rd, const stoa_pool *pool, bool check, stoa_pool_stat *s)
{
	struct pool v;

	memset(s, 0, sizeof *s);
	if (!stoai_tx_reads(rd) || !pool_load(rd, pool, &v))
		return false;
	if (!v.count)
		return !pool_has_blocks(pool) ||
		       pool_damaged(rd, pool, "P1: blocks of no size");
	for (unsigned i = 0; i < STOA_POOL_BINS_; i++)
		if (!bin_look(rd, &v, i, check, s))
			return false;
	if (s->free_blocks != pool->free_)
		return pool_damaged(rd, pool, "P6: free blocks miscounted");
	s->node_size = v.size;
	s->nodes_per_block = v.count;
	s->free_nodes = s->blocks * v.count - s->nodes;
	s->bytes = s->blocks * v.bytes;
	s->overhead_percent = 100.0 * v.head / v.bytes;
	return true;
}

void
stoa_pool_statistics(
	const stoa_tx *rd, const stoa_pool *pool, stoa_pool_stat *ret)
{
	if (!pool_look(rd, pool, false, ret))
		memset(ret, 0, sizeof *ret);
}

int
stoa_pool_check(const stoa_tx *rd, const stoa_pool *pool)
{
	stoa_pool_stat s;

	return pool_look(rd, pool, true, &s) ? 0 : stoa_tx_error(rd);
}
