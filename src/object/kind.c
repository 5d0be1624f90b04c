/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is there to know about each kind? One row a kind; everything else asks
 * this table, so a new kind is one row here and one in container/kinds.c.
 */
#include <string.h>
#include "base/base.h"
#include "object/kind.h"
#include "object/object.h"
#include "stoa/detail/core.h"

#define WORD(k, w, n, T) \
 [STOA_KIND_##k] = {.word = w, \
	 .name = n, \
	 .size = sizeof(T), \
	 .align = _Alignof(T), \
	 .field = 1, \
	 .type = 1}
#define LOCK(k, w, T) \
 [STOA_KIND_##k] = {.word = w, \
	 .size = sizeof(T), \
	 .align = _Alignof(T), \
	 .field = 1, \
	 .lock = 1}
#define CONTAINER(k, w, T) \
 [STOA_KIND_##k] = { \
	 .word = w, .size = sizeof(T), .align = 8, .type = 1, .owns = 1}

static const struct stoai_kind_info kind_table[STOAI_KINDS] = {
	WORD(BOOL, "bool", "bool", bool),
	WORD(CHAR, "char", "char", char),
	WORD(I8, "i8", "int8_t", int8_t),
	WORD(I16, "i16", "int16_t", int16_t),
	WORD(I32, "i32", "int32_t", int32_t),
	WORD(I64, "i64", "int64_t", int64_t),
	WORD(U8, "u8", "uint8_t", uint8_t),
	WORD(U16, "u16", "uint16_t", uint16_t),
	WORD(U32, "u32", "uint32_t", uint32_t),
	WORD(U64, "u64", "uint64_t", uint64_t),
	WORD(F32, "f32", "float", float),
	WORD(F64, "f64", "double", double),
	[STOA_KIND_STR] = {.word = "str",
		.name = "stoa_str",
		.size = sizeof(stoa_str),
		.align = _Alignof(stoa_str),
		.field = 1,
		.type = 1,
		.owns = 1},
	[STOA_KIND_STRUCT] = {.word = "struct", .field = 1, .type = 1},
	[STOA_KIND_OPAQUE] = {.word = "opaque", .type = 1},
	[STOA_KIND_REF] = {.word = "ref", .size = 8, .align = 8, .field = 1},
	[STOA_KIND_OWN] =
		{.word = "own", .size = 8, .align = 8, .field = 1, .owns = 1},
	LOCK(MUTEX, "mutex", stoa_mutex),
	LOCK(RWLOCK, "rwlock", stoa_rwlock),
	LOCK(COND, "cond", stoa_cond),
	LOCK(SEMAPHORE, "semaphore", stoa_semaphore),
	LOCK(PERMITS, "permits", stoa_permits),
	LOCK(EVENT, "event", stoa_event),
	LOCK(LATCH, "latch", stoa_latch),
	LOCK(ONCE, "once", stoa_once),
	LOCK(EVENTCOUNT, "eventcount", stoa_eventcount),
	LOCK(BARRIER, "barrier", stoa_barrier),
	[STOA_KIND_OWNER] = {.word = "owner",
		.size = sizeof(stoa_owner),
		.align = _Alignof(stoa_owner),
		.field = 1},
	CONTAINER(VEC, "vec", stoa_vec),
	CONTAINER(HASHMAP, "hashmap", stoa_hashmap),
};

const struct stoai_kind_info *
stoai_kind_info(unsigned kind)
{
	return &kind_table[kind < STOAI_KINDS ? kind : STOA_KIND_UNKNOWN];
}

stoa_kind
stoai_kind_of_word(const char *word, size_t size)
{
	for (unsigned k = 0; k < STOAI_KINDS; k++)
		if (kind_table[k].word && strlen(kind_table[k].word) == size &&
			!memcmp(kind_table[k].word, word, size))
			return (stoa_kind)k;
	return STOA_KIND_UNKNOWN;
}

uint32_t
stoai_field_element(const stoa_field *field)
{
	if (field->kind == STOA_KIND_STRUCT)
		return field->type ? field->type->size : 0;
	return stoai_kind_info(field->kind)->size;
}

stoa_kind
stoai_field_kind(const stoa_field *field)
{
	return field->kind == STOA_KIND_STRUCT && field->type
		       ? field->type->kind
		       : field->kind;
}
