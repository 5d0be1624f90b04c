/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Type descriptions. One line beside the struct:
 *
 *	typedef struct order {
 *		uint64_t  id;
 *		char      account[12];
 *		stoa_str  note;
 *		levels    fills;      a container or another described type, or an array of them
 *		order_ref next, twin;
 *	} order;
 *	STOA_TYPE(order, id, account, note, (fills, levels), (next, order, own), (twin, order, ref));
 *
 *   field                 numbers, bool, char, stoa_str, locks, stoa_owner; arrays of them
 *   (field, type)         a described type or a container inside; arrays of it
 *   (field, type, ref)    a STOA_REF(type) that only points; arrays of it
 *   (field, type, own)    a STOA_REF(type) that owns: deleted with the object
 *
 * It gives: the compile error for a pointer; the check at open that everybody
 * means the same layout; deletion of what an object owns; order and hash of struct
 * keys (field by field, so padding never counts); dump as JSON by tools that never
 * saw the type. A field that is forgotten is found when the description is first
 * used: a gap that no padding explains.
 *
 * Limits:  1 to 64 fields (nest, where there are more), structs 16 deep in each
 *          other, 256 types that one type leads to, 512 MiB, alignment 4096.
 *          No bit-fields, no packed structs, no unions (make those STOA_TYPE_OPAQUE).
 * Sync:    descriptions are constant data; every call may be made at any time.
 * Caveats: names count: a type of another name is another type. Names of container
 *          templates do not: two maps of the same are one type.
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
#include <stoa/barrier.h>
#include <stoa/event.h>
#include <stoa/semaphore.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

/* a string as a field: str.h */
typedef struct stoa_str {
	uint64_t word_[3];
} stoa_str;

typedef enum stoa_kind {
	STOA_KIND_UNKNOWN,
	STOA_KIND_BOOL, STOA_KIND_CHAR,
	STOA_KIND_I8, STOA_KIND_I16, STOA_KIND_I32, STOA_KIND_I64,
	STOA_KIND_U8, STOA_KIND_U16, STOA_KIND_U32, STOA_KIND_U64,
	STOA_KIND_F32, STOA_KIND_F64,
	STOA_KIND_STR, STOA_KIND_STRUCT, STOA_KIND_OPAQUE, STOA_KIND_REF, STOA_KIND_OWN,
	STOA_KIND_MUTEX, STOA_KIND_RWLOCK, STOA_KIND_COND, STOA_KIND_OWNER,
	STOA_KIND_VEC, STOA_KIND_HASHMAP,
	STOA_KIND_SEMAPHORE, STOA_KIND_PERMITS, STOA_KIND_EVENT, STOA_KIND_LATCH,
	STOA_KIND_ONCE, STOA_KIND_EVENTCOUNT, STOA_KIND_BARRIER
} stoa_kind;

typedef struct stoa_type  stoa_type;
typedef struct stoa_field stoa_field;

/* ---- the description as data: what tools and bindings walk ------------------- */

struct stoa_field {
	const char      *name;
	uint32_t         offset;
	uint32_t         size; /* of all elements of an array together */
	stoa_kind        kind; /* STRUCT for whatever is described, also a container */
	const stoa_type *type; /* of a STRUCT, REF or OWN */
};

struct stoa_type { /* local, constant */
	const char       *name;
	uint32_t          size, align;
	stoa_kind         kind;
	uint32_t          boxed; /* of containers: values in blocks of their own */
	const stoa_field *fields;
	size_t            field_count;
	const stoa_type  *key, *val; /* of containers; val NULL: a set */
};

/* &stoa_type_T for a T that is described: the built-in words below, STOA_TYPE, and
 * every container template */
#define stoa_type_of(T) (&STOA_CAT(stoa_type_, T))

/* X(word, owns memory) for each built-in word */
#define STOA_WORDS_(X) \
	X(bool, 0) X(_Bool, 0) X(char, 0) \
	X(int8_t, 0) X(int16_t, 0) X(int32_t, 0) X(int64_t, 0) \
	X(uint8_t, 0) X(uint16_t, 0) X(uint32_t, 0) X(uint64_t, 0) \
	X(float, 0) X(double, 0) X(stoa_str, 1)

/* pinned: holds a lock, so it must not move; owning: holds memory, so it must not
 * be copied */
#define STOA_WORD_(T, owns) \
	extern const stoa_type stoa_type_##T; \
	enum { stoa_there_is_no_STOA_TYPE_for_##T = 0, stoa_pinned_##T = 0, stoa_owning_##T = owns };
STOA_WORDS_(STOA_WORD_)
#undef STOA_WORD_

/*
 * JSON of a value, and a line's end, for people and for tools. Numbers as the
 * shortest text that reads back the same; char arrays as text; what is not UTF-8
 * replaced; an owned reference as the object itself, any other as its offset; a
 * lock as who holds it. data NULL: null.
 *
 * Sync:    the caller's scope has what protects the value.
 * Returns: 0, -EBADMSG (damaged; what was printed ends in the middle), -EIO (out).
 */
STOA_NODISCARD int stoa_type_dump(
	const stoa_tx *rd, const stoa_type *type, const void *data, FILE *out);
/* Gaps, overlaps, types that hold themselves, limits; done at the first use too.
 * 0, or -EINVAL with a text that names the field. */
STOA_NODISCARD int stoa_type_check(const stoa_type *type);

STOA_END_DECLS
#include <stoa/detail/type_macros.h>

#endif
