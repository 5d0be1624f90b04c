/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A hash map's table as a whole: making room, building another one, emptying
 * slots. Invariants and crash argument: hashmap.c.
 *
 * Sizes: 4 slots, then doubling; at most 7 of 8 slots are used (of 4: 3). When
 * that is reached and a quarter of it is erased slots, the new table is as large
 * as the old one. Nothing shrinks but by clear, after which the first insertion
 * makes a table of a quarter of the slots.
 */
#include "base/atomic.h"
#include "container/container.h"
#include <string.h>

/*
 * On the key's way the first group with a slot that is not live, and that slot,
 * from its home on. STOA_SLOT_NONE_: all are live.
 */
static inline uint64_t
table_free_slot(
	const struct stoai_map *m, uint64_t hash, unsigned char **ret_group)
{
	const uint64_t mask = stoa_groups_mask_(m->log2);
	const uint64_t stride = stoa_group_stride_(&m->shape->core);
	const unsigned valid = stoa_group_valid_(m->log2);
	uint64_t g = hash & mask;

	for (uint64_t step = 1; step <= mask + 1; step++) {
		const unsigned char *group = m->table + g * stride;
		unsigned unused = ~stoa_group_live_(group) & valid, i;

		if (stoai_likely(unused != 0)) {
			i = stoai_group_slot(unused, stoa_home_(hash));
			*ret_group = stoai_mutable(group);
			return g * STOA_GROUP_ + i;
		}
		g = (g + step) & mask;
	}
	return STOA_SLOT_NONE_;
}

static bool
table_damaged(stoa_tx *tx, const struct stoai_map *m, const char *what)
{
	stoai_tx_damaged(tx, "hash map at offset %llu: %s",
		(unsigned long long)stoai_off(tx->seg, m->shared), what);
	return false;
}

/* A live slot into the table of `to`, which has room. False: tx has failed. */
static inline __attribute__((always_inline)) bool
table_move_slot(stoa_tx *tx, const struct stoai_map *from,
	const struct stoai_map *to, unsigned key_class,
	const unsigned char *slot)
{
	const stoa_shape_ *c = &from->shape->core;
	unsigned char *group = NULL;
	stoa_key_ k;
	uint64_t i;

	if (key_class == STOA_KEY_8_)
		stoa_key_set_(&k, c, STOA_KEY_8_, from->shape->type, slot, 8,
			from->shared->seed_);
	else if (!stoai_map_slot_key(tx, from, slot, &k))
		return false;
	i = table_free_slot(to, k.hash, &group);
	if (stoai_unlikely(!group))
		return table_damaged(tx, from, "H5: no slot is free");
	i %= STOA_GROUP_;
	stoai_copy(group + c->head + i * c->slot_size, slot, c->slot_size);
	group[i] = (unsigned char)stoa_tag_(k.hash);
	return true;
}

/* All live slots of `from` into the empty table of `to`; how many: H4. */
static inline __attribute__((always_inline)) bool
table_move_slots(stoa_tx *tx, const struct stoai_map *from,
	const struct stoai_map *to, unsigned key_class)
{
	const stoa_shape_ *c = &from->shape->core;
	const unsigned valid = stoa_group_valid_(from->log2);
	const uint64_t slot_size = c->slot_size;
	uint64_t moved = 0, count = from->shared->count_;
	uint64_t groups = stoa_groups_mask_(from->log2) + 1;
	const unsigned char *group = from->table;

	for (; groups; groups--, group += stoa_group_stride_(c)) {
		unsigned live = stoa_group_live_(group) & valid;

		for (; live; live &= live - 1) {
			if (moved++ == count)
				return table_damaged(tx, from,
					"H4: more live slots than its count");
			if (!table_move_slot(tx, from, to, key_class,
				    group + c->head +
					    stoai_ctz64(live) * slot_size))
				return false;
		}
	}
	return moved == count ||
	       table_damaged(tx, from, "H4: fewer live slots than its count");
}

/* A table without a slot; what is not a control byte is dead. */
static const unsigned char *
table_new(stoa_tx *tx, const stoa_shape_ *c, unsigned log2)
{
	unsigned char *table =
		stoai_tx_alloc_dirty(tx, stoai_table_bytes(c, log2), c->head);
	uint64_t groups = table ? stoa_groups_mask_(log2) + 1 : 0;

	for (uint64_t g = 0; g < groups; g++)
		memset(table + g * stoa_group_stride_(c), STOA_SLOT_EMPTY_,
			STOA_GROUP_);
	return table;
}

bool
stoai_table_rebuild(stoa_tx *tx, struct stoai_map *m, unsigned log2)
{
	stoa_hashmap *shared = stoai_mutable(m->shared);
	const stoa_shape_ *c = &m->shape->core;
	struct stoai_map to = *m;

	STOA_ASSERT(shared->count_ <= stoai_table_limit(log2));
	if (log2 > m->shape->log2_max) {
		stoai_tx_fail(
			tx, stoai_error(-E2BIG, "'%s' would need 2^%u slots",
				    m->shape->type->name, log2));
		return false;
	}
	to.log2 = log2;
	to.table = table_new(tx, c, log2);
	if (!to.table)
		return false;
	to.off = stoai_off(tx->seg, to.table);
	if (m->table &&
		!(c->key_class == STOA_KEY_8_
				? table_move_slots(tx, m, &to, STOA_KEY_8_)
				: table_move_slots(tx, m, &to, c->key_class)))
		return false;
	if (!stoai_tx_save(tx, shared, sizeof *shared) ||
		!stoai_tx_free_moved(tx, m->off))
		return false;
	/* clang 14 takes 0 << 56 for undefined */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	shared->table_ = to.off | (uint64_t)log2 << STOAI_TABLE_SHIFT;
	shared->used_ = shared->count_;
	shared->stamp_++;
	*m = to;
	return true;
}

bool
stoai_table_make_room(
	stoa_tx *tx, struct stoai_map *m, uint64_t hash, uint64_t *ret_slot)
{
	const stoa_hashmap *shared = m->shared;
	uint64_t i = STOA_SLOT_NONE_, limit = 0;
	unsigned char *group = NULL;
	unsigned log2 = m->log2;

	if (m->table) {
		limit = stoai_table_limit(log2);
		i = table_free_slot(m, hash, &group);
		if (i == STOA_SLOT_NONE_)
			return table_damaged(tx, m, "H5: no slot is free");
		if (shared->used_ < limit ||
			group[i % STOA_GROUP_] == STOA_SLOT_ERASED_) {
			*ret_slot = i;
			return true;
		}
		log2 += shared->count_ >= limit - limit / 4;
	} else if (log2 < STOAI_TABLE_LOG2_MIN) {
		log2 = STOAI_TABLE_LOG2_MIN;
	}
	if (!stoai_table_rebuild(tx, m, log2))
		return false;
	*ret_slot = table_free_slot(m, hash, &group);
	return true;
}

/* What a live slot owns goes at commit. */
static bool
table_clear_slot(
	stoa_tx *tx, const struct stoai_map *m, const unsigned char *slot)
{
	const struct stoai_shape *s = m->shape;
	const stoa_shape_ *c = &s->core;
	struct stoai_string text;
	const void *val;
	uint64_t box = 0;

	if (c->key_class == STOA_KEY_STR_ &&
		(!stoai_str_load(tx, (const void *)slot, &text) ||
			!stoai_tx_free(tx, text.block)))
		return false;
	if (c->box_size)
		memcpy(&box, slot + c->val_off, sizeof box);
	if (s->val_clears) {
		val = stoa_slot_val_(tx, c, slot);
		if (!val)
			return table_damaged(
				tx, m, "H7: a value without a block");
		if (!stoai_type_clear(tx, s->type->val, val))
			return false;
	}
	return stoai_tx_free(tx, box);
}

bool
stoai_table_erase(stoa_tx *tx, const struct stoai_map *m, uint64_t i)
{
	const stoa_shape_ *c = &m->shape->core;
	stoa_hashmap *shared = stoai_mutable(m->shared);
	const unsigned char *slot = stoa_slot_at_(m->table, c, i);
	const unsigned char *group =
		m->table + i / STOA_GROUP_ * stoa_group_stride_(c);
	unsigned char *control = stoai_mutable(group + i % STOA_GROUP_);
	bool full = !(stoa_group_match_(group, STOA_SLOT_EMPTY_) &
		      stoa_group_valid_(m->log2));

	if (!shared->count_)
		return table_damaged(
			tx, m, "H4: a live slot, and a count of 0");
	/* the slot becomes dead, so it is saved: format.h */
	if (!table_clear_slot(tx, m, slot) ||
		!stoai_tx_save(tx, slot, c->slot_size) ||
		!stoai_tx_save(tx, control, 1) ||
		!stoai_tx_save(tx, &shared->count_, 3 * sizeof(uint64_t)))
		return false;
	*control = full ? STOA_SLOT_ERASED_ : STOA_SLOT_EMPTY_;
	shared->count_--;
	shared->used_ -= !full;
	return true;
}

void
stoa_hashmap_clear_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t)
{
	stoa_hashmap *shared = stoai_mutable(m);
	struct stoai_map map;
	uint64_t groups;
	unsigned hint;

	if (!stoai_map_load_to_change(tx, m, t, &map) || !map.table)
		return;
	groups = stoa_groups_mask_(map.log2) + 1;
	if (map.shape->val_clears || map.shape->core.box_size ||
		map.shape->core.key_class == STOA_KEY_STR_)
		for (uint64_t g = 0; g < groups; g++) {
			unsigned live = stoa_group_live_(
						map.table +
						g * stoa_group_stride_(
							    &map.shape->core)) &
					stoa_group_valid_(map.log2);

			for (; live; live &= live - 1)
				if (!table_clear_slot(tx, &map,
					    stoa_slot_at_(map.table,
						    &map.shape->core,
						    g * STOA_GROUP_ +
							    stoai_ctz64(live))))
					return;
		}
	if (!stoai_tx_save(tx, shared, sizeof *shared) ||
		!stoai_tx_free_moved(tx, map.off))
		return;
	hint = map.log2 > STOAI_TABLE_LOG2_MIN + 2 ? map.log2 - 2
						   : STOAI_TABLE_LOG2_MIN;
	shared->table_ = (uint64_t)hint << STOAI_TABLE_SHIFT;
	shared->count_ = shared->used_ = 0;
	shared->stamp_++;
}

void
stoa_hashmap_reserve_(
	stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t, size_t count)
{
	struct stoai_map map;
	unsigned log2;

	if (!stoai_map_load_to_change(tx, m, t, &map))
		return;
	log2 = map.table ? map.log2 : STOAI_TABLE_LOG2_MIN;
	while (log2 < STOAI_TABLE_LOG2_MAX && stoai_table_limit(log2) < count)
		log2++;
	if (stoai_table_limit(log2) < count) {
		stoai_tx_fail(
			tx, stoai_error(-E2BIG, "room for %zu keys in '%s'",
				    count, t->name));
		return;
	}
	if (count && (!map.table || log2 > map.log2) &&
		stoai_map_claim(tx, &map))
		stoai_table_rebuild(tx, &map, log2);
}
