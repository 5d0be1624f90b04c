/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How a key is found in a hash map's table. One source, compiled once in
 * src/container/hashmap.c, and force-inlined into a program for the maps that
 * it declares with STOA_INLINE. Not API.
 *
 * The table is cut into groups of 16 slots:
 *
 *	group   0                head                      head + 16 * slot_size
 *	        +----------------+--------+--------+- - - -+
 *	        | 16 control     | slot 0 | slot 1 | ...   |
 *	        +----------------+--------+--------+- - - -+
 *
 * A control byte is EMPTY (0), ERASED (1), or 0x80 | the hash's top 7 bits.
 * A key's search begins in the group that the hash's low bits name and goes on
 * by 1, 2, 3, ... groups, which meets each of them once, and ends behind a group
 * that holds an EMPTY byte. Tables of 4 and 8 slots are one group cut short.
 *
 * The bytes may be damaged, or change while a read-only mapping looks at them:
 * the loops are bounded by the capacity that the caller has checked, and a slot's
 * index comes from the position of a byte, never from its value.
 */
#ifndef STOA_DETAIL_HASHMAP_CORE_H
#define STOA_DETAIL_HASHMAP_CORE_H
#include <stoa/detail/core.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
STOA_BEGIN_DECLS

#define STOA_CORE_ static inline __attribute__((always_inline, unused))

enum {
	STOA_SLOT_EMPTY_ = 0,
	STOA_SLOT_ERASED_ = 1,
	STOA_SLOT_LIVE_ = 0x80,
	STOA_GROUP_ = 16,
	STOA_STR_INLINE_ = 22,   /* characters that fit into a stoa_str */
	STOA_STR_HEAP_ = 0xff    /* last byte of one that has a block */
};
#define STOA_SLOT_NONE_ UINT64_MAX

/* local: what is looked for */
typedef struct stoa_key_ {
	const void *bytes;
	size_t size;
	uint64_t hash;
	uint64_t word;     /* by-value keys, zero-extended */
	uint64_t image[3]; /* short strings: the stoa_str that holds them */
} stoa_key_;

/* One multiplication to 128 bits, folded: enough for 7 + 40 bits of a table. */
STOA_CORE_ uint64_t stoa_mix_(uint64_t x)
{
	__extension__ typedef unsigned __int128 stoa_wide_;
	stoa_wide_ m = (stoa_wide_)(x ^ UINT64_C(0x2d358dccaa6c78a5)) * UINT64_C(0x8bb84b93962eacc9);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* bit i: byte i of the 8 equals `byte` */
STOA_CORE_ unsigned stoa_word_match_(uint64_t w, unsigned byte)
{
	const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
	uint64_t x = w ^ (UINT64_C(0x0101010101010101) * byte);
	uint64_t zero = ~(((x & low7) + low7) | x | low7);

	return (unsigned)(((zero >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

/* bit i: control byte i of the group equals `byte` */
STOA_CORE_ unsigned stoa_group_match_plain_(const unsigned char *group, unsigned byte)
{
	uint64_t w[2];

	__builtin_memcpy(w, group, sizeof w);
	return stoa_word_match_(w[0], byte) | stoa_word_match_(w[1], byte) << 8;
}

STOA_CORE_ unsigned stoa_group_match_(const unsigned char *group, unsigned byte)
{
#ifdef __SSE2__
	__m128i g = _mm_loadu_si128((const __m128i *)(const void *)group);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(g, _mm_set1_epi8((char)byte)));
#else
	return stoa_group_match_plain_(group, byte);
#endif
}

/* bit i: slot i is live */
STOA_CORE_ unsigned stoa_group_live_(const unsigned char *group)
{
#ifdef __SSE2__
	return (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)group));
#else
	const uint64_t high = UINT64_C(0x8080808080808080), spread = UINT64_C(0x0102040810204080);
	uint64_t w[2];

	__builtin_memcpy(w, group, sizeof w);
	return (unsigned)((((w[0] & high) >> 7) * spread) >> 56) | (unsigned)((((w[1] & high) >> 7) * spread) >> 56) << 8;
#endif
}

STOA_CORE_ uint64_t stoa_group_stride_(const stoa_shape_ *s)
{
	return s->head + (uint64_t)STOA_GROUP_ * s->slot_size;
}

STOA_CORE_ const unsigned char *stoa_slot_at_(const unsigned char *table, const stoa_shape_ *s, uint64_t i)
{
	return table + i / STOA_GROUP_ * stoa_group_stride_(s) + s->head + i % STOA_GROUP_ * s->slot_size;
}

STOA_CORE_ const unsigned char *stoa_control_at_(const unsigned char *table, const stoa_shape_ *s, uint64_t i)
{
	return table + i / STOA_GROUP_ * stoa_group_stride_(s) + i % STOA_GROUP_;
}

STOA_CORE_ uint64_t stoa_groups_mask_(unsigned log2)
{
	return log2 > 4 ? (UINT64_C(1) << (log2 - 4)) - 1 : 0;
}

/* the slots that exist in a group */
STOA_CORE_ unsigned stoa_group_valid_(unsigned log2)
{
	return log2 < 4 ? (1u << (1u << log2)) - 1 : 0xffff;
}

STOA_CORE_ unsigned stoa_tag_(uint64_t hash)
{
	return STOA_SLOT_LIVE_ | (unsigned)(hash >> 57);
}

/*
 * Where in its group a key would like to be: a new one takes the first slot from
 * there on that is not used. Nobody relies on it. A search asks for that slot's
 * line at once and mostly has it when it has looked at the control bytes.
 */
STOA_CORE_ unsigned stoa_home_(uint64_t hash)
{
	return (unsigned)(hash >> 53) % STOA_GROUP_;
}

STOA_CORE_ uint64_t stoa_load_word_(const void *p, unsigned key_class)
{
	uint64_t v8 = 0;
	uint32_t v4;
	uint16_t v2;

	switch (key_class) {
	case STOA_KEY_1_:
		return *(const unsigned char *)p;
	case STOA_KEY_2_:
		__builtin_memcpy(&v2, p, sizeof v2);
		return v2;
	case STOA_KEY_4_:
		__builtin_memcpy(&v4, p, sizeof v4);
		return v4;
	default:
		__builtin_memcpy(&v8, p, sizeof v8);
		return v8;
	}
}

/*
 * The key as it will be compared, and its hash. t: the map's description. c is
 * s->key_class, as a constant where it is known.
 */
STOA_CORE_ void stoa_key_set_(stoa_key_ *k, const stoa_shape_ *s, unsigned c,
	const stoa_type *t, const void *key, size_t size, uint64_t seed)
{
	k->bytes = key;
	k->size = size;
	switch (c) {
	case STOA_KEY_STR_:
		k->hash = stoa_hash_(key, size, seed);
		k->image[0] = k->image[1] = k->image[2] = 0;
		if (size <= STOA_STR_INLINE_) {
			__builtin_memcpy(k->image, key, size);
			k->image[2] |= (uint64_t)size << 56;
		}
		break;
	case STOA_KEY_BYTES_:
		k->hash = stoa_hash_(key, s->key_size, seed);
		break;
	case STOA_KEY_STRUCT_:
		k->hash = stoa_key_hash_(s, t, key, seed);
		break;
	default:
		k->word = stoa_load_word_(key, c);
		k->hash = stoa_mix_(k->word ^ seed);
	}
}

STOA_CORE_ bool stoa_key_is_(const stoa_tx *rd, const stoa_shape_ *s, unsigned c,
	const stoa_type *t, const stoa_key_ *k, const unsigned char *slot)
{
	uint64_t w[3];

	switch (c) {
	case STOA_KEY_STR_:
		__builtin_memcpy(w, slot, sizeof w);
		if (k->size <= STOA_STR_INLINE_)
			return w[0] == k->image[0] && w[1] == k->image[1] && w[2] == k->image[2];
		return w[1] == k->size && stoa_str_equal_(rd, (const stoa_str *)(const void *)slot, k->bytes, k->size);
	case STOA_KEY_BYTES_:
		return !__builtin_memcmp(slot, k->bytes, s->key_size);
	case STOA_KEY_STRUCT_:
		return stoa_key_equal_(s, t, slot, k->bytes);
	default:
		return stoa_load_word_(slot, c) == k->word;
	}
}

/* The slot of the key, NULL if there is none; *ret_i is its number. */
STOA_CORE_ const unsigned char *stoa_hashmap_find_(const stoa_tx *rd, const unsigned char *table, unsigned log2,
	const stoa_shape_ *s, unsigned c, const stoa_type *t, const stoa_key_ *k, uint64_t *ret_i)
{
	const uint64_t mask = stoa_groups_mask_(log2), stride = stoa_group_stride_(s);
	const unsigned valid = stoa_group_valid_(log2), tag = stoa_tag_(k->hash);
	uint64_t g = k->hash & mask, step = 0;

	__builtin_prefetch(table + g * stride + s->head + (uint64_t)stoa_home_(k->hash) * s->slot_size);
	for (;;) {
		const unsigned char *group = table + g * stride;
		unsigned hit = stoa_group_match_(group, tag) & valid;

		for (; hit; hit &= hit - 1) {
			unsigned i = (unsigned)__builtin_ctz(hit);
			const unsigned char *slot = group + s->head + (uint64_t)i * s->slot_size;

			if (__builtin_expect(stoa_key_is_(rd, s, c, t, k, slot), 1)) {
				*ret_i = g * STOA_GROUP_ + i;
				return slot;
			}
		}
		if (__builtin_expect((stoa_group_match_(group, STOA_SLOT_EMPTY_) & valid) != 0, 1) || step++ == mask)
			return NULL;
		g = (g + step) & mask;
	}
}

/* The value of a slot: in it, or in the block that it names. NULL: damage. */
STOA_CORE_ const void *stoa_slot_val_(const stoa_tx *rd, const stoa_shape_ *s, const unsigned char *slot)
{
	if (s->box_size) {
		stoa_ref ref;

		__builtin_memcpy(&ref, slot + s->val_off, sizeof ref);
		if (ref.off & 15) /* no block begins there: stoa_at says so */
			ref.off = UINT64_MAX;
		return stoa_at(rd, ref, s->box_size);
	}
	return slot + s->val_off;
}

/* ---- the fast paths, as the templates call them with STOA_INLINE ------------- */

STOA_CORE_ const void *stoa_hashmap_get_core_(const stoa_tx *rd, const stoa_hashmap *m, const stoa_type *t,
	const stoa_shape_ *s, const void *key, size_t size)
{
	const stoa_view_ *view = (const stoa_view_ *)(const void *)rd;
	const unsigned char *slot, *table = view->table;
	uint64_t i, word = view->word;
	stoa_key_ k;

	/* in this order: m may be gone with its segment */
	if (__builtin_expect(view->map != stoa_view_key_(m) || view->map_type != t ||
		word != __atomic_load_n(&m->table_, __ATOMIC_RELAXED), 0)) {
		table = stoa_hashmap_table_(rd, m, t, &word);
		if (!table)
			return NULL;
	}
	stoa_key_set_(&k, s, s->key_class, t, key, size, __atomic_load_n(&m->seed_, __ATOMIC_RELAXED));
	slot = stoa_hashmap_find_(rd, table, (unsigned)(word >> STOA_TABLE_SHIFT_), s, s->key_class, t, &k, &i);
	return slot ? stoa_slot_val_(rd, s, slot) : NULL;
}

/* for a value that is neither boxed nor missing */
STOA_CORE_ void *stoa_hashmap_edit_core_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const stoa_shape_ *s, const void *key, size_t size)
{
	const void *val = stoa_hashmap_get_core_(tx, m, t, s, key, size);

	if (!val)
		return NULL;
	if (!stoa_tx_save_(tx, val, s->val_size))
		return stoa_scratch_(s->val_size, val);
	return (void *)(uintptr_t)val;
}

STOA_CORE_ void *stoa_hashmap_ensure_core_(stoa_tx *tx, const stoa_hashmap *m, const stoa_type *t,
	const stoa_shape_ *s, const void *key, size_t size)
{
	void *val = s->box_size ? NULL : stoa_hashmap_edit_core_(tx, m, t, s, key, size);

	if (val)
		return val;
	return s->box_size ? stoa_hashmap_ensure_(tx, m, t, key, size) : stoa_hashmap_add_(tx, m, t, key, size);
}

STOA_END_DECLS
#endif
