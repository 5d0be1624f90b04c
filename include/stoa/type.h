/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Type descriptions. One line beside the struct:
 *
 *	typedef struct order {
 *		uint64_t id;
 *		char     account[12];
 *		stoa_str note;
 *		levels   fills;              a container or another described type, or an array of them
 *		order_ref next, twin;
 *	} order;
 *	STOA_TYPE(order, id, account, note, (fills, levels), (next, order, own), (twin, order, ref));
 *
 *   field                 numbers, bool, char, stoa_str, locks, stoa_owner; arrays of them
 *   (field, type)         a described type or a container inside; arrays of it
 *   (field, type, ref)    a STOA_REF(type) that only points; arrays of it
 *   (field, type, own)    a STOA_REF(type) that owns: deleted with the object
 *
 * It gives: the compile error for a pointer; the check at open that everybody means the same layout; deletion of what an
 * object owns; order and hash of struct keys (field by field, so padding never counts); dump as JSON by tools that never
 * saw the type. A field that is forgotten is found when the description is first used (a gap that no padding explains).
 */
#ifndef STOA_TYPE_H
#define STOA_TYPE_H
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stoa/attr.h>
#include <stoa/detail/pp.h>
#include <stoa/ref.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

typedef struct stoa_str   { uint64_t word_[3]; } stoa_str;          /* str.h */

typedef enum stoa_kind {
	STOA_KIND_UNKNOWN,
	STOA_KIND_BOOL, STOA_KIND_CHAR,
	STOA_KIND_I8, STOA_KIND_I16, STOA_KIND_I32, STOA_KIND_I64,
	STOA_KIND_U8, STOA_KIND_U16, STOA_KIND_U32, STOA_KIND_U64,
	STOA_KIND_F32, STOA_KIND_F64,
	STOA_KIND_STR, STOA_KIND_STRUCT, STOA_KIND_OPAQUE, STOA_KIND_REF, STOA_KIND_OWN,
	STOA_KIND_MUTEX, STOA_KIND_RWLOCK, STOA_KIND_COND, STOA_KIND_OWNER,
	STOA_KIND_VEC, STOA_KIND_HASHMAP
} stoa_kind;

typedef struct stoa_type  stoa_type;
typedef struct stoa_field stoa_field;

struct stoa_field {
	const char      *name;
	uint32_t         offset, size;       /* size of all elements together */
	stoa_kind        kind;
	const stoa_type *type;               /* of a STRUCT, OPAQUE, REF, OWN or container */
};

struct stoa_type {                           /* local, constant */
	const char       *name;
	uint32_t          size, align;
	stoa_kind         kind;
	uint32_t          boxed;
	const stoa_field *fields;
	size_t            field_count;
	const stoa_type  *key, *val;         /* of containers */
};

/* &stoa_type_T for a T that is described: the built-in words below, STOA_TYPE, and every container template */
#define stoa_type_of(T) (&STOA_CAT(stoa_type_, T))

extern const stoa_type stoa_type_bool, stoa_type__Bool, stoa_type_char, stoa_type_int8_t, stoa_type_int16_t, stoa_type_int32_t,
	stoa_type_int64_t, stoa_type_uint8_t, stoa_type_uint16_t, stoa_type_uint32_t, stoa_type_uint64_t, stoa_type_float,
	stoa_type_double, stoa_type_stoa_str;
/* pinned: holds a lock, so it must not move; owning: holds memory, so it must not be copied */
enum {
	stoa_pinned_bool = 0, stoa_pinned__Bool = 0, stoa_pinned_char = 0, stoa_pinned_int8_t = 0, stoa_pinned_int16_t = 0,
	stoa_pinned_int32_t = 0, stoa_pinned_int64_t = 0, stoa_pinned_uint8_t = 0, stoa_pinned_uint16_t = 0, stoa_pinned_uint32_t = 0,
	stoa_pinned_uint64_t = 0, stoa_pinned_float = 0, stoa_pinned_double = 0, stoa_pinned_stoa_str = 0,
	stoa_owning_bool = 0, stoa_owning__Bool = 0, stoa_owning_char = 0, stoa_owning_int8_t = 0, stoa_owning_int16_t = 0,
	stoa_owning_int32_t = 0, stoa_owning_int64_t = 0, stoa_owning_uint8_t = 0, stoa_owning_uint16_t = 0, stoa_owning_uint32_t = 0,
	stoa_owning_uint64_t = 0, stoa_owning_float = 0, stoa_owning_double = 0, stoa_owning_stoa_str = 1
};

/* The description as data: what tools and bindings walk. JSON for people. */
STOA_NODISCARD int stoa_type_dump(const stoa_tx *rd, const stoa_type *type, const void *data, FILE *out);
STOA_NODISCARD int stoa_type_check(const stoa_type *type);      /* gaps, overlaps, recursion; done at the first use too */

STOA_END_DECLS
#include <stoa/detail/type_macros.h>

#endif
