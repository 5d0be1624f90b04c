/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The containers' shared words. The structs are public, because users embed
 * them: stoa_str in stoa/type.h, stoa_vec and stoa_hashmap in
 * stoa/detail/core.h. Zero bytes are an empty container. What a container owns
 * lies in heap blocks, so transactions undo it like anything else.
 *
 * stoa_str: 24 bytes, read as characters or as three words
 *
 *	 0                      22    23
 *	+------------------------+-----+
 *	| characters, NUL        | n   |  n <= 22: the size; bytes behind are zero
 *	+--------+--------+------+-----+
 *	| block  | size   | capacity|ff|  a block of `capacity` bytes, NUL included
 *	+--------+--------+---------+--+
 *
 * stoa_vec: a block of `capacity` elements, `count` of them live; boxed: of
 * offsets of blocks that hold one element each.
 *
 * stoa_hashmap: a block of groups of 16 slots, see stoa/detail/hashmap_core.h.
 * A slot is the key, then the value or the offset of its block.
 *
 * Bytes of a vector behind count, and of a slot that is not live, are dead:
 * they mean nothing, and writing them needs no undo record, because whoever
 * makes bytes dead has saved them first.
 */
#ifndef STOAI_CONTAINER_FORMAT_H
#define STOAI_CONTAINER_FORMAT_H
#include "stoa/detail/core.h"
#include <stddef.h>
#include <stdint.h>

/* No block is larger: offsets have 44 bits in the log. */
#define STOAI_BYTES_MAX (UINT64_C(1) << 44)

/* stoa_str.word_[2] */
#define STOAI_STR_CAPACITY ((UINT64_C(1) << 56) - 1)
#define STOAI_STR_HEAP     (UINT64_C(0xff) << 56)

/* stoa_hashmap.table_ */
#define STOAI_TABLE_OFFSET ((UINT64_C(1) << 56) - 1)
enum {
	STOAI_TABLE_SHIFT = STOA_TABLE_SHIFT_,
	STOAI_TABLE_LOG2_MIN = 2,
	STOAI_TABLE_LOG2_MAX = 40
};

STOA_STATIC_ASSERT(sizeof(stoa_str) == 24, "");
STOA_STATIC_ASSERT(sizeof(stoa_vec) == 40, "");
STOA_STATIC_ASSERT(offsetof(stoa_vec, count_) == 8, "");
STOA_STATIC_ASSERT(offsetof(stoa_vec, capacity_) == 16, "");
STOA_STATIC_ASSERT(offsetof(stoa_vec, type_) == 24, "");
STOA_STATIC_ASSERT(offsetof(stoa_vec, size_) == 32, "");
STOA_STATIC_ASSERT(sizeof(stoa_hashmap) == 64, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, table_) == 8, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, count_) == 16, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, used_) == 24, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, stamp_) == 32, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, seed_) == 40, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, slot_size_) == 48, "");
STOA_STATIC_ASSERT(offsetof(stoa_hashmap, boxed_) == 60, "");
STOA_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	"stoa_str keeps its tag in the last byte of a little-endian word");

#endif
