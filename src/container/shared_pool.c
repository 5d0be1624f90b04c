/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pools with a lock of their own, and what each thread has at hand of them.
 *
 *	stoa_shared_pool            one a slot            nodes, in use for the pool
 *	 lock, pool                 +---+---+---+- -      +-------+-------+------+- -
 *	 slots --------------->     | 0 | 1 | 2 |         | owner | count | node |
 *	                            +---+---+---+- -      +-------+-------+------+- -
 *	                                  +-------------> 
 *
 * A thread finds its cache by its slot's number and takes nodes from it and puts
 * them into it without the lock, inside its transaction like everything.
 *
 * Invariants
 *	C1  a cache whose owner is the word of a living thread, or of a dead one that
 *	    is not recovered yet, is read and written by that one alone
 *	C2  owner changes, and another's cache is emptied, under the pool's lock,
 *	    and only when the word names nobody any more: its undo is over then
 *	C3  mark <= count <= room; nodes from mark on came in transaction tag
 *	C4  a node in a cache is in use for the pool, in one cache and there once
 *
 * So the one who gets a dead thread's slot gets its cache, and whoever finds the
 * pool without room takes from the caches of the dead before there is another block.
 *
 * Crash argument: change.c. The bytes of a node before mark are dead, since the
 * transaction found it there; of one behind it they are saved when it is handed out
 * again. A place in the cache is saved before a node is put there.
 */
#include "container/pool.h"
#include <stdio.h>

enum {
	CACHE_MAX = 65536,
	NAME_SIZE = 80,
	LATELY = 64, /* nodes that are looked at when one is freed */
	CACHE_HOT = 3 * sizeof(uint64_t) /* count, mark, tag: saved at once */
};

STOA_STATIC_ASSERT(offsetof(stoa_pool_cache, tag_) ==
			   offsetof(stoa_pool_cache, count_) + 16,
	"");

/* ---- looking for caches ---- */

static bool
lock_pool(const stoa_tx *rd, const stoa_shared_pool *sp)
{
	return stoai_tx_inside(rd, sp, sizeof *sp) &&
	       !stoa_tx_lock(rd, &sp->lock);
}

static const stoa_pool_slot_ *
slots_of(const stoa_tx *rd, const stoa_shared_pool *sp)
{
	return stoai_tx_at(rd, a64_load_relaxed(&sp->slots_.ref.off),
		rd->seg->slot_count * sizeof(stoa_pool_slot_));
}

static uint64_t *
cache_nodes(stoa_pool_cache *c)
{
	return (uint64_t *)(void *)(c + 1);
}

/* NULL: none, or rd has failed. C3. */
static stoa_pool_cache *
cache_at(const stoa_tx *rd, const stoa_pool_slot_ *slots, uint32_t i)
{
	uint64_t off = slots ? a64_load_acquire(&slots[i].cache_.ref.off) : 0;
	const stoa_pool_cache *c =
		stoai_tx_at(rd, off, sizeof(stoa_pool_cache));
	uint64_t room = c ? a64_load_relaxed(&c->room_) : 0;

	if (!c)
		return NULL;
	if (stoai_unlikely(room > CACHE_MAX ||
			   a64_load_relaxed(&c->count_) > room ||
			   !stoai_tx_at(rd, off, sizeof *c + room * 8))) {
		(void)stoai_tx_damaged(rd, "cache at %#llx: C3: its counts",
			(unsigned long long)off);
		return NULL;
	}
	return stoai_mutable(c);
}

/* C2: may whoever has the pool's lock empty it? */
static bool
cache_is_orphan(const stoa_tx *rd, const stoa_pool_cache *c)
{
	return !stoai_word_is_current(
		rd->seg, (uint32_t)a64_load_acquire(&c->owner_));
}

static bool
cache_touch(stoa_tx *tx, stoa_pool_cache *c)
{
	uint64_t tag;

	if (stoai_likely(stoai_pool_saved(tx, stoai_off(tx->seg, &c->count_))))
		return true;
	if (!stoai_tx_save(tx, &c->count_, CACHE_HOT))
		return false;
	tag = stoai_pool_tag(tx);
	if (c->tag_ != tag || c->mark_ > c->count_)
		a64_store_relaxed(&c->mark_, c->count_);
	a64_store_relaxed(&c->tag_, tag);
	return true;
}

/* After cache_touch. */
static void
cache_set(stoa_pool_cache *c, uint64_t count)
{
	a64_store_relaxed(&c->count_, count);
	if (c->mark_ > count)
		a64_store_relaxed(&c->mark_, count);
}

/* A cache of that many, in place of the empty one that there may be. Locked. */
static stoa_pool_cache *__attribute__((noinline))
cache_new(stoa_tx *tx, const stoa_pool_slot_ *slot, uint64_t room)
{
	stoa_pool_cache *c =
		stoai_tx_alloc(tx, sizeof *c + room * sizeof(uint64_t), 16);
	uint64_t old = a64_load_relaxed(&slot->cache_.ref.off);

	if (!c)
		return NULL;
	c->owner_ = tx->seat->word;
	c->room_ = room;
	return stoai_pool_set(
		       tx, &slot->cache_.ref.off, stoai_off(tx->seg, c)) &&
			       stoai_tx_free(tx, old)
		       ? c
		       : NULL;
}

/* This thread's, made or taken over where it must be; NULL: tx has failed. */
static stoa_pool_cache *
cache_mine(stoa_tx *tx, const stoa_shared_pool *sp, uint64_t max)
{
	const stoa_pool_slot_ *slots = slots_of(tx, sp);
	uint32_t i = tx->seat->index;
	stoa_pool_cache *c = cache_at(tx, slots, i);

	if (tx->error || (tx->seg->checked && !lock_pool(tx, sp)))
		return NULL;
	if (stoai_likely(c && c->owner_ == tx->seat->word &&
			 (c->room_ >= max || c->count_)))
		return c;
	if (!slots || !lock_pool(tx, sp))
		return NULL;
	if (!c || (c->room_ < max && !c->count_))
		return cache_new(tx, &slots[i], max);
	return stoai_pool_set(tx, &c->owner_, tx->seat->word) ? c : NULL;
}

/* ---- between caches and the pool; under its lock ---- */

/* The last nodes of a cache go back, until `left` are there. */
static bool __attribute__((noinline)) cache_spill(stoa_tx *tx,
	const stoa_shared_pool *sp, stoa_pool_cache *c, uint64_t left)
{
	if (!lock_pool(tx, sp) || !cache_touch(tx, c))
		return false;
	while (c->count_ > left) {
		stoa_ref node = {cache_nodes(c)[c->count_ - 1]};
		const void *p = stoai_tx_at(tx, node.off, 1);

		if (p)
			stoa_pool_free(tx, &sp->pool_, p);
		if (tx->error)
			return false;
		cache_set(c, c->count_ - 1);
	}
	return true;
}

static bool
cache_put(stoa_tx *tx, stoa_pool_cache *c, uint64_t off)
{
	if (!stoai_pool_set(tx, &cache_nodes(c)[c->count_], off))
		return false;
	cache_set(c, c->count_ + 1);
	return true;
}

/* What caches of dead threads hold, up to n in this one. C2 */
static bool
cache_inherit(
	stoa_tx *tx, const stoa_shared_pool *sp, stoa_pool_cache *c, uint64_t n)
{
	const stoa_pool_slot_ *slots = slots_of(tx, sp);

	for (uint32_t i = 0; slots && i < tx->seg->slot_count; i++) {
		stoa_pool_cache *dead = cache_at(tx, slots, i);

		if (!dead || dead == c || !cache_is_orphan(tx, dead))
			continue;
		while (dead->count_ && c->count_ < n) {
			uint64_t off = cache_nodes(dead)[dead->count_ - 1];

			if (!cache_touch(tx, dead) || !cache_put(tx, c, off))
				return false;
			cache_set(dead, dead->count_ - 1);
		}
	}
	return !tx->error;
}

static bool
cache_take(stoa_tx *tx, const stoa_shared_pool *sp, stoa_pool_cache *c,
	uint64_t n, bool grow)
{
	bool dry = false;

	while (c->count_ < n && !dry) {
		void *p = stoai_pool_take(tx, &sp->pool_, grow, &dry);

		if (!p)
			return dry;
		if (!cache_put(tx, c, stoai_off(tx->seg, p)))
			return false;
	}
	return true;
}

/* An empty cache gets n nodes, or fewer if there would have to be a new block. */
static bool __attribute__((noinline)) cache_fill(
	stoa_tx *tx, const stoa_shared_pool *sp, stoa_pool_cache *c, uint64_t n)
{
	if (!lock_pool(tx, sp) || !cache_touch(tx, c) ||
		!cache_take(tx, sp, c, n, false))
		return false;
	if (!c->count_ && !cache_inherit(tx, sp, c, n))
		return false;
	if (!c->count_ && !cache_take(tx, sp, c, n, true))
		return false;
	a64_store_relaxed(&c->mark_, c->count_); /* their bytes are dead */
	return true;
}

/* ---- nodes ---- */

STOAI_FLATTEN static void *
cached_alloc(stoa_tx *tx, const stoa_shared_pool *sp, uint64_t max)
{
	stoa_pool_cache *c = cache_mine(tx, sp, max);
	const void *p;

	if (!c || (!c->count_ && !cache_fill(tx, sp, c, max / 2 + 1)) ||
		!cache_touch(tx, c))
		return NULL;
	p = stoai_tx_at(tx, cache_nodes(c)[c->count_ - 1], sp->pool_.size_);
	if (!p)
		return NULL;
	if (stoai_unlikely(c->count_ > c->mark_)
			? !stoai_tx_save(tx, p, sp->pool_.size_)
			: !stoai_change_dead(tx, p, sp->pool_.size_))
		return NULL;
	cache_set(c, c->count_ - 1);
	return stoai_mutable(p);
}

/* Has this thread put it there lately? */
static bool
cache_holds(const stoa_pool_cache *c, const uint64_t *nodes, uint64_t off)
{
	uint64_t end = c->count_ - stoai_min(c->count_, LATELY);

	for (uint64_t i = c->count_; i > end; i--)
		if (stoai_unlikely(nodes[i - 1] == off))
			return true;
	return false;
}

STOAI_FLATTEN static void
cached_free(
	stoa_tx *tx, const stoa_shared_pool *sp, const void *p, uint64_t max)
{
	stoa_pool_cache *c = cache_mine(tx, sp, max);
	uint64_t off = stoai_off(tx->seg, p);

	if (!c || !stoai_pool_owns(tx, &sp->pool_, p))
		return;
	if (cache_holds(c, cache_nodes(c), off)) {
		(void)stoai_tx_fail(tx,
			stoai_error(-EFAULT,
				"%s: %#llx is free already: this thread has "
				"cached it",
				stoai_name(tx->seg), (unsigned long long)off));
		return;
	}
	if (c->count_ >= stoai_min(c->room_, max) &&
		!cache_spill(tx, sp, c, c->count_ / 2))
		return;
	if (cache_touch(tx, c))
		(void)cache_put(tx, c, off);
}

/* How many this thread may keep; the pool is locked, where it keeps none. */
static bool
pool_begin(stoa_tx *tx, const stoa_shared_pool *sp, uint64_t *ret_max)
{
	*ret_max = 0;
	if (!stoai_may_change(tx, sp, sizeof *sp))
		return false;
	*ret_max = stoai_min(a64_load_relaxed(&sp->cache_), CACHE_MAX);
	return *ret_max || lock_pool(tx, sp);
}

void *
stoa_shared_pool_alloc(stoa_tx *tx, const stoa_shared_pool *pool)
{
	uint64_t max;
	void *p = NULL;

	if (pool_begin(tx, pool, &max) && !max)
		return stoa_pool_alloc(tx, &pool->pool_);
	if (!tx->error)
		p = cached_alloc(tx, pool, max);
	return p ? p : stoai_scratch_dirty(STOAI_NODE_MAX);
}

void *
stoa_shared_pool_new_(stoa_tx *tx, const stoa_shared_pool *pool, uint32_t size,
	uint32_t align)
{
	uint64_t max;
	void *p = NULL;

	if (!pool_begin(tx, pool, &max))
		return stoai_scratch(size, NULL);
	if (!max)
		return stoa_pool_new_(tx, &pool->pool_, size, align);
	if (size <= pool->pool_.size_ && align <= pool->pool_.align_)
		p = cached_alloc(tx, pool, max);
	else
		(void)stoai_tx_fail(tx,
			stoai_error(-EINVAL,
				"%u bytes at %u are no node of a pool that has "
				"%u at %u",
				size, align, pool->pool_.size_,
				pool->pool_.align_));
	return p ? memset(p, 0, size) : stoai_scratch(size, NULL);
}

void
stoa_shared_pool_free(stoa_tx *tx, const stoa_shared_pool *pool, const void *p)
{
	uint64_t max;

	if (!p || !pool_begin(tx, pool, &max))
		return;
	if (max)
		cached_free(tx, pool, p, max);
	else
		stoa_pool_free(tx, &pool->pool_, p);
}

/* ---- giving back ---- */

static bool
orphans_spill(stoa_tx *tx, const stoa_shared_pool *sp)
{
	const stoa_pool_slot_ *slots = slots_of(tx, sp);

	for (uint32_t i = 0; slots && i < tx->seg->slot_count; i++) {
		stoa_pool_cache *c = cache_at(tx, slots, i);

		if (c && cache_is_orphan(tx, c) && !cache_spill(tx, sp, c, 0))
			return false;
	}
	return !tx->error;
}

uint64_t
stoa_shared_pool_trim(stoa_tx *tx, const stoa_shared_pool *pool)
{
	return stoai_may_change(tx, pool, sizeof *pool) &&
			       lock_pool(tx, pool) && orphans_spill(tx, pool)
		       ? stoa_pool_trim(tx, &pool->pool_)
		       : 0;
}

uint64_t
stoa_shared_pool_flush(stoa_tx *tx, const stoa_shared_pool *pool)
{
	stoa_pool_cache *c;
	uint64_t n;

	if (!stoai_may_change(tx, pool, sizeof *pool))
		return 0;
	c = cache_at(tx, slots_of(tx, pool), tx->seat->index);
	if (!c || c->owner_ != tx->seat->word)
		return 0;
	n = c->count_;
	return cache_spill(tx, pool, c, 0) ? n : 0;
}

void
stoa_shared_pool_set_cache(
	stoa_tx *tx, const stoa_shared_pool *pool, uint32_t max)
{
	if (!stoai_may_change(tx, pool, sizeof *pool) || !lock_pool(tx, pool))
		return;
	if (max > CACHE_MAX)
		(void)stoai_tx_fail(
			tx, stoai_error(-EINVAL,
				    "a thread may cache %d nodes, not %u",
				    CACHE_MAX, max));
	else
		(void)stoai_pool_set(tx, &pool->cache_, max);
}

uint32_t
stoa_shared_pool_cache(const stoa_tx *rd, const stoa_shared_pool *pool)
{
	return stoai_tx_reads(rd) && stoai_tx_inside(rd, pool, sizeof *pool)
		       ? (uint32_t)a64_load_relaxed(&pool->cache_)
		       : 0;
}

void
stoa_shared_pool_statistics(
	const stoa_tx *rd, const stoa_shared_pool *pool, stoa_pool_stat *ret)
{
	const stoa_pool_slot_ *slots;

	memset(ret, 0, sizeof *ret);
	if (!stoai_tx_reads(rd) || !lock_pool(rd, pool))
		return;
	stoa_pool_statistics(rd, &pool->pool_, ret);
	slots = slots_of(rd, pool);
	for (uint32_t i = 0; slots && i < rd->seg->slot_count; i++) {
		const stoa_pool_cache *c = cache_at(rd, slots, i);
		uint64_t n = c ? a64_load_relaxed(&c->count_) : 0;

		ret->cached += n;
		ret->orphaned += n && cache_is_orphan(rd, c) ? n : 0;
	}
}

/* ---- opened and dropped ---- */

static const char *
name_of(const char *name, const stoa_pool *p, char buf[NAME_SIZE])
{
	if (name)
		return name;
	(void)snprintf(buf, NAME_SIZE, "stoa/pool/%u/%u/%u/%u", p->size_,
		p->align_, p->count_, p->keep_);
	return buf;
}

static int
shared_init(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	stoa_shared_pool *sp = element;
	const stoa_pool_slot_ *slots;

	(void)index;
	slots = stoa_new_array(
		tx, stoa_pool_slot_, stoa_tx_segment(tx)->slot_count);
	(void)stoa_pool_setup(tx, &sp->pool_, user);
	STOA_LINK(tx, sp->slots_, slots);
	return stoa_tx_error(tx);
}

int
stoa_shared_pool_open(stoa_segment *seg, const char *name,
	const stoa_pool_options *options, const stoa_shared_pool **ret)
{
	stoa_object_options o = {.struct_size = sizeof o,
		.init = shared_init,
		.user = (void *)(uintptr_t)options};
	const stoa_shared_pool *sp;
	char buf[NAME_SIZE];
	stoa_pool wish;
	int rc;

	if (!stoai_pool_resolve(options, &wish, &rc))
		return rc;
	rc = stoa_object_open_with(
		seg, name_of(name, &wish, buf), stoa_shared_pool, &o, &sp);
	if (rc)
		return rc;
	if (sp->pool_.size_ != wish.size_ || sp->pool_.align_ != wish.align_ ||
		sp->pool_.count_ != wish.count_ ||
		sp->pool_.keep_ != wish.keep_)
		return stoai_error(-EPROTOTYPE,
			"the pool '%s' has %u nodes of %u bytes a block; you "
			"ask for %u of %u",
			name, sp->pool_.count_, sp->pool_.size_, wish.count_,
			wish.size_);
	*ret = sp;
	return 0;
}

bool
stoa_shared_pool_drop(
	stoa_tx *tx, const char *name, const stoa_pool_options *options)
{
	const stoa_shared_pool *sp;
	stoa_pool_stat stat;
	char buf[NAME_SIZE];
	stoa_pool wish;
	int rc = 0;

	if (!stoai_tx_writes(tx))
		return false;
	if (!name && !stoai_pool_resolve(options, &wish, &rc)) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	name = name_of(name, &wish, buf);
	sp = stoa_object_find(tx, name, stoa_shared_pool);
	if (!sp) {
		(void)stoai_tx_fail(tx,
			stoai_error(-ENOENT, "there is no pool '%s'", name));
		return false;
	}
	(void)stoa_shared_pool_flush(tx, sp);
	(void)stoa_shared_pool_trim(tx, sp);
	stoa_pool_statistics(tx, &sp->pool_, &stat);
	if (stat.nodes)
		(void)stoai_tx_fail(
			tx, stoai_error(-EBUSY,
				    "%llu nodes of the pool '%s' are in use or "
				    "cached",
				    (unsigned long long)stat.nodes, name));
	return stoa_object_destroy(tx, name);
}
