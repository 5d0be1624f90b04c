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
	uint64_t pad[3];
};

enum {
	STOAI_NAME_MAX = 1024,  /* bytes of an object's name */
	STOAI_STORED_MAX = 4096 /* descriptions in a segment */
};

/* one named object: one block; the NUL is not counted in name_size */
struct stoai_entry {
	uint64_t next; /* in its bucket */
	uint64_t hash; /* stoai_hash(name, name_size, header.seed) */
	uint64_t type_id;
	uint64_t data; /* block of the object */
	uint32_t name_size, pad;
	char name[];
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
STOA_STATIC_ASSERT(sizeof(struct stoai_entry) == 40, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_stored_type) == 24, "");

#endif
