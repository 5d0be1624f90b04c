/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The root block of a segment and the object index. All of it lies in heap
 * blocks, so transactions undo it like anything else.
 */
#ifndef STOAI_OBJECT_FORMAT_H
#define STOAI_OBJECT_FORMAT_H
#include <stdint.h>
#include "stoa/attr.h"

/* published block; its offset is header.root_off and never changes */
struct stoai_root {
	uint64_t
		buckets; /* block of bucket_count words: first entry of each chain */
	uint64_t bucket_count; /* power of two; 0: no bucket yet */
	uint64_t count;        /* named objects */
	uint64_t types;        /* first stored type */
	uint64_t type_count;
	uint64_t uniques; /* of count: those that are found by their type */
	uint64_t index; /* entry of the index's class; 0: the hash of index.c */
	uint64_t
		contention; /* sync/format.h: the table, once it was asked for */
};

enum {
	STOAI_NAME_MAX = 65535, /* bytes of an object's name */
	STOAI_OBJECT_MIN =
		48, /* bytes that an entry and its data take at least */
	STOAI_STORED_MAX = 4096, /* descriptions in a segment */
	STOAI_UNIQUE = 1         /* first byte of a unique object's name */
};

/*
 * One object, one block: what is known of it, its name, its elements.
 *
 *	entry | name, NUL | padding | element
 *	entry | name, NUL | padding | count | element 0 | element 1 ...
 *	0       32                            data_at, aligned as the type wants it
 *
 * The name is what the index finds it by. Of a unique object it is STOAI_UNIQUE
 * and the name of its type: no name of a program begins with a control character.
 * An array without a name has such a block too, with name_size 0: so its elements
 * can be counted. A single object without a name is a block of its own, and no
 * more.
 */
struct stoai_entry {
	uint64_t
		next; /* the index's own two words; of the hash: in its bucket */
	uint64_t hash; /* stoai_hash(name, name_size, header.seed) */
	uint64_t type_id;
	uint32_t name_size; /* without its NUL */
	uint32_t data_at;   /* bytes to the first element; | STOAI_ARRAY */
	char name[];
};

enum {
	STOAI_ARRAY = 1 /* the 8 bytes before the first element are the count */
};

/*
 * A stored description: one block, never changed and never freed. Its canonical
 * text (README.md) names the described types that it uses by name and size; their
 * ids stand before it, in the order of the text.
 */
struct stoai_stored_type {
	uint64_t next;
	uint64_t id;
	uint32_t text_size; /* without its NUL */
	uint32_t target_count;
	uint64_t targets[]; /* then the text */
};

STOA_STATIC_ASSERT(sizeof(struct stoai_root) == 64, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_entry) == 32, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_stored_type) == 24, "");

#endif
