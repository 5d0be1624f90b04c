/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Hash maps and sets: the calls. How a key is found is hashmap_core.h, which
 * draws a table; table.c makes tables and empties slots.
 *
 *	stoa_hashmap            block
 *	 0 type                 +---------+----------+---------+-----
 *	 8 log2 | table ------> | 16 ctrl | 16 slots | 16 ctrl | ...
 *	16 count   live slots   +---------+----------+---------+-----
 *	24 used    and erased
 *	32 stamp                slot: | key | value, or offset of its block |
 *	40 seed
 *	48 slot size, value's place, key class, boxed
 *
 * Invariants
 *	H1  type == 0: never used, all words are zero
 *	H2  without table: count == used == 0; the log2 is a hint for the next one
 *	H3  the block holds the groups of 2^log2 slots
 *	H4  count = live control bytes; used = those that are not EMPTY
 *	H5  count <= used <= limit(log2), so that every search meets an EMPTY byte
 *	H6  a live control byte is 0x80 | the top 7 bits of its key's hash, and a
 *	    search for that key ends at that slot
 *	H7  a boxed slot names a block that holds a value
 *	H8  slot size, value's place, key class and boxed are those of the type
 *
 * Crash argument: change.c. An insertion saves three counts and one control
 * byte; the slot itself was dead. A removal saves the slot too, because it
 * becomes dead. A larger table is built aside and swapped in by one word; the
 * old one is freed at commit. So the log grows by O(1) a call.
 *
 * A group that is not full stops every search that meets it. It has never been
 * full since its table was built, for a full one only gets ERASED bytes back.
 */
#include "base/atomic.h"
#include "base/hash.h"
#include "container/container.h"
#include <string.h>

/* ---- reading it once ---- */

static bool
map_damaged(const stoa_tx *rd, const stoa_hashmap *m, const char *what)
{
	stoai_tx_damaged(rd, "hash map at offset %llu: %s",
		(unsigned long long)stoai_off(rd->seg, m), what);
	return false;
}

bool
stoai_map_load(const stoa_tx *rd, const stoa_hashmap *m,
	const struct stoai_shape *s, struct stoai_map *ret)
{
	uint64_t id = a64_load_relaxed(&m->type_);
	uint64_t word = a64_load_relaxed(&m->table_);

	ret->shared = m;
	ret->shape = s;
	ret->table = NULL;
	ret->off = word & STOAI_TABLE_OFFSET;
	ret->log2 = (unsigned)(word >> STOAI_TABLE_SHIFT);
	if (stoai_unlikely(id != s->id && id)) {
		stoai_shape_differs(rd, s, id);
		return false;
	}
	if (!ret->off || !id)
		return (!ret->off && ret->log2 <= STOAI_TABLE_LOG2_MAX) ||
		       map_damaged(rd, m, "H1, H2: a table without a type");
	if (stoai_unlikely(ret->log2 < STOAI_TABLE_LOG2_MIN ||
			   ret->log2 > s->log2_max ||
			   (ret->off & (s->core.head - 1))))
		return map_damaged(rd, m, "H3: no such table");
	ret->table = stoai_tx_at(
		rd, ret->off, stoai_table_bytes(&s->core, ret->log2));
	return ret->table != NULL;
}

static bool
map_open(const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t,
	struct stoai_map *ret)
{
	const struct stoai_shape *s;

	return stoai_tx_reads(rd) && (s = stoai_shape_of(rd, t)) != NULL &&
	       stoai_map_load(rd, m, s, ret);
}

bool
stoai_map_load_to_change(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	struct stoai_map *ret)
{
	uint64_t count, used;

	if (!stoai_may_change(tx, m, sizeof *m) || !map_open(tx, m, t, ret))
		return false;
	count = m->count_;
	used = m->used_;
	if (count > used ||
		used > (ret->table ? stoai_table_limit(ret->log2) : 0))
		return map_damaged(tx, m, "H5: counts and capacity disagree");
	return true;
}

/* ---- what a scope has opened already: stoa/detail/view.h ---- */

/* room: how many EMPTY slots may be taken; 0 where the counts are not saved */
static void
map_show(const stoa_tx *rd, const struct stoai_map *m, uint64_t room)
{
	stoa_view_ *view = m->table ? stoai_view_fill(rd) : NULL;

	if (!view)
		return;
	view->map = stoa_view_key_(m->shared);
	view->map_type = m->shape->type;
	view->table = m->table;
	view->word = (uint64_t)m->log2 << STOAI_TABLE_SHIFT | m->off;
	view->shape = m->shape;
	view->fresh = stoai_tx_is_fresh(rd, m->off, 1);
	view->mask = stoa_groups_mask_(m->log2);
	view->stride = stoa_group_stride_(&m->shape->core);
	/* tables of less than a group are as rare as they are small */
	view->room = m->shape->quick && m->log2 >= 4 ? room : 0;
}

static inline bool
map_seen(const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t,
	struct stoai_map *ret)
{
	const stoa_view_ *view = &rd->view;

	if (stoai_unlikely(view->map != stoa_view_key_(m) ||
			   view->map_type != t ||
			   view->word != a64_load_relaxed(&m->table_)))
		return false;
	ret->shared = m;
	ret->shape = view->shape;
	ret->table = view->table;
	ret->off = view->word & STOAI_TABLE_OFFSET;
	ret->log2 = (unsigned)(view->word >> STOAI_TABLE_SHIFT);
	return true;
}

/* To look into it. */
static inline bool
map_look(const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t,
	struct stoai_map *ret)
{
	if (stoai_likely(map_seen(rd, m, t, ret)))
		return true;
	if (!map_open(rd, m, t, ret))
		return false;
	map_show(rd, ret, 0);
	return true;
}

const unsigned char *
stoa_hashmap_table_(const stoa_tx *rd, const stoa_hashmap *m,
	const stoa_type *t, uint64_t *ret_word)
{
	struct stoai_map map;

	if (!map_look(rd, m, t, &map))
		return NULL;
	*ret_word = (uint64_t)map.log2 << STOAI_TABLE_SHIFT | map.off;
	return map.table;
}

void
stoai_map_key(
	const struct stoai_map *m, const void *key, size_t size, stoa_key_ *ret)
{
	stoa_key_set_(ret, &m->shape->core, m->shape->core.key_class,
		m->shape->type, key, size, a64_load_relaxed(&m->shared->seed_));
}

bool
stoai_map_slot_key(const stoa_tx *rd, const struct stoai_map *m,
	const unsigned char *slot, stoa_key_ *ret)
{
	const stoa_str *s = (const void *)slot;
	struct stoai_string text;

	if (m->shape->core.key_class != STOA_KEY_STR_) {
		stoai_map_key(m, slot, m->shape->core.key_size, ret);
		return true;
	}
	if (!stoai_str_load(rd, s, &text))
		return false;
	stoai_map_key(m, text.at, text.size, ret);
	/* an inline text was copied to this frame */
	ret->bytes = text.block ? (const void *)text.at : (const void *)s;
	return true;
}

/* ---- finding: one compiled search for each class of keys ---- */

struct map_found {
	const unsigned char *slot; /* NULL: the key is not there */
	uint64_t i;
	stoa_key_ k; /* for an insertion that may follow */
};

static inline __attribute__((always_inline)) const unsigned char *
map_search(const stoa_tx *rd, const struct stoai_map *m, unsigned key_class,
	const void *key, size_t size, struct map_found *ret)
{
	const struct stoai_shape *s = m->shape;

	stoa_key_set_(&ret->k, &s->core, key_class, s->type, key, size,
		a64_load_relaxed(&m->shared->seed_));
	ret->slot =
		m->table ? stoa_hashmap_find_(rd, m->table, m->log2, &s->core,
				   key_class, s->type, &ret->k, &ret->i)
			 : NULL;
	return ret->slot;
}

static const unsigned char *
map_find(const stoa_tx *rd, const struct stoai_map *m, const void *key,
	size_t size, struct map_found *ret)
{
	unsigned key_class = m->shape->core.key_class;

	switch (key_class) {
	case STOA_KEY_8_:
		return map_search(rd, m, STOA_KEY_8_, key, size, ret);
	case STOA_KEY_4_:
		return map_search(rd, m, STOA_KEY_4_, key, size, ret);
	case STOA_KEY_STR_:
		return map_search(rd, m, STOA_KEY_STR_, key, size, ret);
	default:
		return map_search(rd, m, key_class, key, size, ret);
	}
}

static const unsigned char *
map_slot(const struct stoai_map *m, uint64_t i)
{
	return stoa_slot_at_(m->table, &m->shape->core, i);
}

/* ---- looking ---- */

size_t
stoa_hashmap_count_(const stoa_tx *rd, const stoa_hashmap *m)
{
	uint64_t count, word;

	if (!stoai_tx_reads(rd))
		return 0;
	count = a64_load_relaxed(&m->count_);
	word = a64_load_relaxed(&m->table_);
	if (count && (word >> STOAI_TABLE_SHIFT > STOAI_TABLE_LOG2_MAX ||
			     count > stoai_table_capacity(
					     (unsigned)(word >>
							STOAI_TABLE_SHIFT)))) {
		map_damaged(rd, m, "H5: more slots than its capacity");
		return 0;
	}
	return count;
}

const void *
stoa_hashmap_get_(const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size)
{
	struct stoai_map map;
	struct map_found at;

	if (!map_look(rd, m, t, &map) || !map.table ||
		!map_find(rd, &map, key, size, &at))
		return NULL;
	return stoa_slot_val_(rd, &map.shape->core, at.slot);
}

/* ---- changing ---- */

static uint32_t
map_value_size(const stoa_type *t)
{
	return t->val ? t->val->size : 1;
}

/* What a failed transaction writes to. */
static void *
map_scratch(const stoa_type *t)
{
	return stoai_scratch(map_value_size(t), NULL);
}

/*
 * The value of a slot to write to. A value that holds a lock is not saved: undo
 * must touch neither the lock nor what another thread changes under it; the
 * template gives it out as const. NULL: tx has failed.
 */
static void *
map_edit_slot(stoa_tx *tx, const struct stoai_map *m, const unsigned char *slot)
{
	const struct stoai_shape *s = m->shape;
	const void *val = stoa_slot_val_(tx, &s->core, slot);

	if (!val && !tx->error)
		map_damaged(tx, m->shared, "H7: a value without a block");
	if (!val || (!s->val_pinned && !stoai_tx_save(tx, val, s->elem_size)))
		return NULL;
	return stoai_mutable(val);
}

bool
stoai_map_claim(stoa_tx *tx, const struct stoai_map *m)
{
	stoa_hashmap *shared = stoai_mutable(m->shared);
	const stoa_shape_ *c = &m->shape->core;

	if (shared->type_)
		return true;
	if (!stoai_tx_save(tx, shared, sizeof *shared))
		return false;
	shared->type_ = m->shape->id;
	/* its own, so that one map's order is not the other's worst case */
	shared->seed_ =
		stoa_mix_(tx->seg->seed ^ stoai_off(tx->seg, m->shared));
	shared->slot_size_ = c->slot_size;
	shared->val_off_ = c->val_off;
	shared->key_class_ = c->key_class;
	shared->boxed_ = c->box_size != 0;
	return true;
}

/* The slot's bytes for a key and a zeroed value; what it owns is new. */
static bool
map_fill_slot(stoa_tx *tx, const struct stoai_map *m, unsigned char *slot,
	const stoa_key_ *k, void **ret_val)
{
	const stoa_shape_ *c = &m->shape->core;
	uint64_t word[3], box;
	unsigned char *val = NULL;

	if (c->key_class == STOA_KEY_STR_ &&
		!stoai_str_make(tx, k->bytes, k->size, word))
		return false;
	if (c->box_size) {
		val = stoai_tx_alloc(tx, c->box_size, m->shape->elem_align);
		if (!val)
			return false;
	}
	if (!stoai_change_dead(tx, slot, c->slot_size))
		return false;
	if (c->key_class == STOA_KEY_STR_)
		memcpy(slot, word, sizeof word);
	else
		memmove(slot, k->bytes, c->key_size);
	memset(slot + c->key_size, 0, c->slot_size - c->key_size);
	if (c->box_size) {
		box = stoai_off(tx->seg, val);
		memcpy(slot + c->val_off, &box, sizeof box);
	} else {
		val = slot + c->val_off;
	}
	*ret_val = val;
	return true;
}

/* A slot that is filled counts; what is stored to is saved, or new. */
static inline void
map_count_slot(stoa_hashmap *shared, unsigned char *control, uint64_t hash)
{
	shared->count_++;
	shared->used_ += *control == STOA_SLOT_EMPTY_;
	shared->stamp_++;
	*control = (unsigned char)stoa_tag_(hash);
}

/* A key that is not there, hashed in *k. NULL: tx has failed. */
static void *
map_add(stoa_tx *tx, struct stoai_map *m, const void *key, size_t size,
	stoa_key_ *k)
{
	stoa_hashmap *shared = stoai_mutable(m->shared);
	bool fresh = !shared->type_;
	unsigned char *control;
	void *val;
	uint64_t i;

	if (!stoai_map_claim(tx, m))
		return NULL;
	if (fresh) /* the seed was not known before */
		stoai_map_key(m, key, size, k);
	if (!stoai_table_make_room(tx, m, k->hash, &i))
		return NULL;
	control = stoai_mutable(stoa_control_at_(m->table, &m->shape->core, i));
	if (!map_fill_slot(tx, m, stoai_mutable(map_slot(m, i)), k, &val) ||
		!stoai_tx_save(tx, control, 1) ||
		!stoai_tx_save(tx, &shared->count_, 3 * sizeof(uint64_t)))
		return NULL;
	map_count_slot(shared, control, k->hash);
	map_show(tx, m, stoai_table_limit(m->log2) - shared->used_);
	return val;
}

/*
 * The common case of put and ensure: a number as key, a plain value, and the scope
 * has inserted into this map before. The value of the key, if it is there; else of
 * a fresh slot, not cleared, and *ret_new. NULL: this is not the common case.
 *
 * Few steps and nothing in memory that could be in a register: what counts is how
 * many insertions the machine can have under way while it waits for their lines.
 */
static inline __attribute__((always_inline)) void *
map_put_quick(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, bool *ret_new)
{
	stoa_view_ *view = &tx->view;
	stoa_hashmap *shared = stoai_mutable(m);
	const struct stoai_shape *s = view->shape;
	uint64_t word, hash, g, mask, slot_size, step = 0;
	unsigned char *group, *slot;
	unsigned hit, i;

	if (view->map != stoa_view_key_(m) || view->map_type != t ||
		!view->room || view->word != m->table_)
		return NULL;
	mask = view->mask;
	slot_size = s->core.slot_size;
	memcpy(&word, key, sizeof word);
	hash = stoa_mix_(word ^ m->seed_);
	for (g = hash & mask;; g = (g + step) & mask) {
		group = (unsigned char *)stoai_mutable(view->table) +
			g * view->stride;
		slot = group + s->core.head;
		__builtin_prefetch(slot + stoa_home_(hash) * slot_size, 1);
		for (hit = stoa_group_match_(group, stoa_tag_(hash)); hit;
			hit &= hit - 1) {
			unsigned char *at = slot + stoai_ctz64(hit) * slot_size;

			if (stoa_load_word_(at, STOA_KEY_8_) != word)
				continue;
			at += s->core.val_off;
			return stoai_tx_save(tx, at, s->elem_size) ? at : NULL;
		}
		if (stoai_likely(stoa_group_match_(group, STOA_SLOT_EMPTY_)))
			break;
		/* an erased slot on the way would be the better one */
		if (stoa_group_live_(group) != 0xffff || step++ == mask)
			return NULL;
	}
	i = stoai_group_slot(
		~stoa_group_live_(group) & 0xffff, stoa_home_(hash));
	slot += i * slot_size;
	if (!view->fresh && !stoai_tx_save_byte(tx, group + i))
		return NULL;
	memcpy(slot, &word, sizeof word);
	view->room--;
	map_count_slot(shared, group + i, hash);
	*ret_new = true;
	return slot + s->core.val_off;
}

void *
stoa_hashmap_edit_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size)
{
	struct stoai_map map;
	struct map_found at;
	const void *val;
	void *edit;

	if (!stoai_map_load_to_change(tx, m, t, &map) || !map.table ||
		!map_find(tx, &map, key, size, &at))
		return NULL;
	val = stoa_slot_val_(tx, &map.shape->core, at.slot);
	edit = map_edit_slot(tx, &map, at.slot);
	if (stoai_likely(edit != NULL))
		return edit;
	/* a copy: a program may divide by what it finds */
	return val ? stoai_scratch(t->val->size, val) : map_scratch(t);
}

/* there: whether the key may be there already. */
static void *
map_ensure(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size, bool there)
{
	struct stoai_map map;
	struct map_found at;
	bool fresh = false;
	void *val = map_put_quick(tx, m, t, key, &fresh);

	if (fresh)
		return memset(val, 0, t->val->size);
	if (!val && stoai_map_load_to_change(tx, m, t, &map)) {
		if (!there)
			stoai_map_key(&map, key, size, &at.k);
		if (there && stoai_likely(map_find(tx, &map, key, size, &at) !=
					  NULL))
			val = map_edit_slot(tx, &map, at.slot);
		else if (stoai_tx_writes(tx)) /* no damage on the way */
			val = map_add(tx, &map, key, size, &at.k);
	}
	return stoai_likely(val != NULL) ? val : map_scratch(t);
}

void *
stoa_hashmap_ensure_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size)
{
	return map_ensure(tx, m, t, key, size, true);
}

void *
stoa_hashmap_add_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size)
{
	return map_ensure(tx, m, t, key, size, false);
}

/* What is there, or a new one: a place for the value; NULL: tx has failed. */
static __attribute__((noinline)) void *
map_put(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t, const void *key,
	size_t size)
{
	struct stoai_map map;
	struct map_found at;
	void *to;

	if (!stoai_map_load_to_change(tx, m, t, &map))
		return NULL;
	if (!map_find(tx, &map, key, size, &at))
		return stoai_tx_writes(tx) /* no damage on the way */
			       ? map_add(tx, &map, key, size, &at.k)
			       : NULL;
	to = map_edit_slot(tx, &map, at.slot);
	if (to && map.shape->val_clears && !stoai_type_clear(tx, t->val, to))
		return NULL;
	return to;
}

void *
stoa_hashmap_put_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size, const void *val)
{
	bool fresh;
	void *to = map_put_quick(tx, m, t, key, &fresh);

	if (stoai_unlikely(!to))
		to = map_put(tx, m, t, key, size);
	if (stoai_unlikely(!to))
		to = map_scratch(t);
	if (t->val && val)
		stoai_copy(to, val, t->val->size);
	else if (t->val)
		memset(to, 0, t->val->size);
	return to;
}

STOAI_FLATTEN bool
stoa_hashmap_remove_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const void *key, size_t size)
{
	struct stoai_map map;
	struct map_found at = {.i = STOA_SLOT_NONE_};

	return stoai_map_load_to_change(tx, m, t, &map) && map.table &&
	       map_find(tx, &map, key, size, &at) &&
	       stoai_table_erase(tx, &map, at.i);
}

/* ---- iterating: in the order of the slots ---- */

stoa_iter
stoa_hashmap_begin_(
	const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t)
{
	stoa_iter it = {.rd = rd, .container = m, .type = t};

	if (stoai_tx_reads(rd))
		it.word_[1] = a64_load_relaxed(&m->stamp_);
	return it;
}

/* The next live slot from i on, or STOA_SLOT_NONE_. */
static uint64_t
map_live_from(const struct stoai_map *m, uint64_t i)
{
	const stoa_shape_ *c = &m->shape->core;
	uint64_t g = i / STOA_GROUP_, last = stoa_groups_mask_(m->log2);
	unsigned mask =
		stoa_group_valid_(m->log2) & 0xffffu << (i % STOA_GROUP_);

	for (; g <= last; g++, mask = 0xffff) {
		unsigned live =
			stoa_group_live_(m->table + g * stoa_group_stride_(c)) &
			mask;

		if (live)
			return g * STOA_GROUP_ + stoai_ctz64(live);
	}
	return STOA_SLOT_NONE_;
}

bool
stoa_hashmap_next_(stoa_iter *it)
{
	const stoa_hashmap *m = it->container;
	struct stoai_map map;
	uint64_t i;

	it->word_[2] = 0;
	if (it->word_[0] == STOA_SLOT_NONE_ ||
		!map_open(it->rd, m, it->type, &map))
		return false;
	if (a64_load_relaxed(&m->stamp_) != it->word_[1]) {
		if (!stoa_tx_error(it->rd)) /* torn, in a read-only mapping? */
			stoai_tx_fail(it->rd, stoai_error(-ESTALE,
						      "'%s' got a new key or "
						      "was cleared while "
						      "an iterator stood in it",
						      it->type->name));
		return false;
	}
	i = map.table ? map_live_from(&map, it->word_[0]) : STOA_SLOT_NONE_;
	it->word_[0] = i;
	if (i == STOA_SLOT_NONE_)
		return false;
	it->word_[0] = i + 1;
	it->word_[2] = i + 1;
	it->key = map_slot(&map, i);
	if (map.shape->core.key_class == STOA_KEY_STR_)
		it->key = stoa_str_get(it->rd, it->key);
	it->val = map.shape->type->val
			  ? stoa_slot_val_(
				    it->rd, &map.shape->core, map_slot(&map, i))
			  : NULL;
	if (map.shape->core.box_size && !it->val && !it->rd->error)
		map_damaged(it->rd, m, "H7: a value without a block");
	return !it->rd->error;
}

void
stoa_hashmap_remove_at_(stoa_tx *tx, stoa_iter *it)
{
	const stoa_hashmap *m = it->container;
	struct stoai_map map;
	uint64_t i = it->word_[2] - 1;

	if (!stoai_map_load_to_change(tx, m, it->type, &map))
		return;
	if (!it->word_[2] || m->stamp_ != it->word_[1] || !map.table ||
		i >= stoai_table_capacity(map.log2) ||
		*stoa_control_at_(map.table, &map.shape->core, i) <
			STOA_SLOT_LIVE_) {
		stoai_tx_fail(
			tx, stoai_error(-ESTALE,
				    "the iterator of '%s' stands at no key",
				    it->type->name));
		return;
	}
	it->word_[2] = 0;
	stoai_table_erase(tx, &map, i);
}
