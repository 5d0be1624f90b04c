/* SPDX-License-Identifier: BSL-1.0 */
/* What the container layer's files share. */
#ifndef STOAI_CONTAINER_CONTAINER_H
#define STOAI_CONTAINER_CONTAINER_H
#include "base/atomic.h"
#include "container/format.h"
#include "object/object.h"
#include "stoa/detail/hashmap_core.h"
#include <string.h>

/* ---- shape.c: what follows from a description ---- */

enum {
	STOAI_PARTS_MAX = 64
};

/* bytes of a struct key that count: no padding */
struct stoai_part {
	uint32_t off, size;
};

/* local, constant once made */
struct stoai_shape {
	stoa_shape_ core; /* of maps */
	const stoa_type *type;
	uint64_t id;
	uint32_t log2_max;  /* of the largest table that is no damage */
	uint64_t next;      /* of shapes that share a bucket; a pointer */
	uint32_t elem_size; /* of a vector's element or a map's value */
	uint32_t elem_align;
	uint32_t slot_align; /* of a vector's slot or a map's slot */
	uint32_t slot_size; /* of a vector's slot: elem_size, or 8 when boxed */
	bool val_clears;    /* removing one means more than forgetting it */
	bool val_pinned;    /* holds a lock: never saved as a whole */
	bool quick; /* a map of words to plain values that lie in the slot */
	uint32_t part_count; /* of a struct key */
	struct stoai_part part[STOAI_PARTS_MAX];
};

/* Shapes in use, by description; a bucket is a pointer to the first of a list. */
enum {
	STOAI_SHAPE_BUCKETS = 64
};
extern uint64_t stoai_shape_buckets[STOAI_SHAPE_BUCKETS];

static inline uint64_t *
stoai_shape_bucket(const stoa_type *t)
{
	return &stoai_shape_buckets[((uintptr_t)t >> 4 ^ (uintptr_t)t >> 10) %
				    STOAI_SHAPE_BUCKETS];
}

const struct stoai_shape *
stoai_shape_search(const stoa_tx *rd, const stoa_type *t);

/*
 * The shape of a container's description, made once a process and kept. NULL: rd
 * has failed with -EINVAL and a text. The description must live as long as the
 * program, as those of the templates do.
 */
static inline const struct stoai_shape *
stoai_shape_of(const stoa_tx *rd, const stoa_type *t)
{
	const struct stoai_shape *s = (const void *)(uintptr_t)a64_load_acquire(
		stoai_shape_bucket(t));

	return stoai_likely(s && s->type == t) ? s : stoai_shape_search(rd, t);
}
/* The same, into the caller's memory and for any description. 0 or -EINVAL. */
int stoai_shape_make(const stoa_type *t, struct stoai_shape *ret);
/* Fails rd with -EPROTOTYPE and a text with both types. */
void stoai_shape_differs(
	const stoa_tx *rd, const struct stoai_shape *s, uint64_t stored_id);

/* ---- change.c: how shared bytes are changed ---- */

/* The gate of every change: tx may write, and p lies in its segment. */
static inline bool
stoai_may_change(stoa_tx *tx, const void *p, uint64_t size)
{
	return stoai_tx_writes(tx) && stoai_tx_inside(tx, p, size);
}

/* Dead bytes need no undo record, but checked mode wants to know of the change. */
static inline bool
stoai_change_dead(stoa_tx *tx, const void *p, uint64_t size)
{
	return stoai_likely(!tx->seg->checked) || stoai_tx_save(tx, p, size);
}

/* Most things are a word or two: no call then. In a damaged segment they may overlap. */
static inline void
stoai_copy(void *to, const void *from, size_t size)
{
	if (stoai_likely(size == 8))
		memcpy(to, from, 8);
	else if (size == 16)
		memcpy(to, from, 16);
	else
		memmove(to, from, size);
}

/* The writable view of bytes that are saved, fresh or dead. */
static inline void *
stoai_mutable(const void *p)
{
	return (void *)(uintptr_t)p;
}

/* ---- str.c ---- */

/* A stored string, read once and checked. */
struct stoai_string {
	const char *at; /* size bytes and a NUL: in the segment, or in word */
	uint64_t size;
	uint64_t block, capacity; /* 0: inline */
	uint64_t word[3];
};
/* False: rd has failed. ret must stay while ret->at is used. */
bool
stoai_str_load(const stoa_tx *rd, const stoa_str *s, struct stoai_string *ret);
/* The words of a fresh string of that text; its block, if it needs one, is new. */
bool
stoai_str_make(stoa_tx *tx, const char *text, uint64_t size, uint64_t word[3]);

/* ---- hashmap.c ---- */

/* A map, read once and checked. */
struct stoai_map {
	const stoa_hashmap *shared;
	const struct stoai_shape *shape;
	const unsigned char *table; /* NULL: none */
	uint64_t off;               /* of the table */
	unsigned log2;              /* of its capacity; without table: a hint */
};
bool stoai_map_load(const stoa_tx *rd, const stoa_hashmap *m,
	const struct stoai_shape *s, struct stoai_map *ret);
/* The same for a change: also that its words agree. */
bool stoai_map_load_to_change(stoa_tx *tx, const stoa_hashmap *m,
	const stoa_type *t, struct stoai_map *ret);
/* The first insertion says what the map holds. */
bool stoai_map_claim(stoa_tx *tx, const struct stoai_map *m);
/* Hash and image of a key, by this map's seed. */
void stoai_map_key(const struct stoai_map *m, const void *key, size_t size,
	stoa_key_ *ret);
/* The key that a live slot holds, as an argument. False: rd has failed. */
bool stoai_map_slot_key(const stoa_tx *rd, const struct stoai_map *m,
	const unsigned char *slot, stoa_key_ *ret);

/* ---- table.c: the slots as a whole ---- */

static inline uint64_t
stoai_table_capacity(unsigned log2)
{
	return UINT64_C(1) << log2;
}
/* slots that may be used before a new table is built */
static inline uint64_t
stoai_table_limit(unsigned log2)
{
	uint64_t capacity = stoai_table_capacity(log2);

	return log2 < 3 ? capacity - 1 : capacity - capacity / 8;
}
/* log2 <= shape->log2_max */
static inline uint64_t
stoai_table_bytes(const stoa_shape_ *s, unsigned log2)
{
	return log2 < 4 ? s->head + ((uint64_t)s->slot_size << log2)
			: stoa_group_stride_(s) << (log2 - 4);
}
/*
 * The slot that a new key takes in a group that has one: the first from its home
 * on, round the group. No branch: it would wait for the group's line.
 */
static inline unsigned
stoai_group_slot(unsigned unused, unsigned home)
{
	unsigned twice = unused | unused << STOA_GROUP_;

	return (home + (unsigned)__builtin_ctz(twice >> home)) % STOA_GROUP_;
}
/* Another table of that capacity in place of the map's; all live slots move. */
bool stoai_table_rebuild(stoa_tx *tx, struct stoai_map *m, unsigned log2);
/* Room for one more slot, and the slot: its control byte is EMPTY or ERASED. */
bool stoai_table_make_room(
	stoa_tx *tx, struct stoai_map *m, uint64_t hash, uint64_t *ret_slot);
/* Forget the slot at commit with what it owns. */
bool stoai_table_erase(stoa_tx *tx, const struct stoai_map *m, uint64_t i);

/* ---- vec.c ---- */

/* A vector, read once and checked. */
struct stoai_vec {
	const stoa_vec *shared;
	const struct stoai_shape *shape;
	const unsigned char *data; /* capacity slots; NULL: none */
	uint64_t off, count, capacity;
};
bool stoai_vec_load(const stoa_tx *rd, const stoa_vec *v,
	const struct stoai_shape *s, struct stoai_vec *ret);

/* ---- check.c: numbered in README.md; -EBADMSG with the text, and rd fails ---- */

int stoai_str_check(const stoa_tx *rd, const stoa_type *t, const void *p);
int stoai_vec_check(const stoa_tx *rd, const stoa_type *t, const void *p);
int stoai_hashmap_check(const stoa_tx *rd, const stoa_type *t, const void *p);

#endif
