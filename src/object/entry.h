/* SPDX-License-Identifier: BSL-1.0 */
/* The block of a named object or of an array. See entry.c. */
#ifndef STOAI_OBJECT_ENTRY_H
#define STOAI_OBJECT_ENTRY_H
#include "object/object.h"
#include <string.h>

enum {
	STOAI_NAME_TEXT = 80,  /* a name, shortened for people */
	STOAI_UNIQUE_MAX = 256 /* bytes of a unique object's name */
};

/* As people read it: without the mark of a unique one, and not longer than a line. */
const char *
stoai_name_text(const char *name, size_t size, char buf[STOAI_NAME_TEXT]);

/* Bytes that lie before the elements: the entry, a name with its NUL. */
static inline uint64_t
stoai_entry_head(uint64_t name_size)
{
	return sizeof(struct stoai_entry) + (name_size ? name_size + 1 : 0);
}

/* Where the elements of a fresh entry begin. */
static inline char *
stoai_entry_elements(const struct stoai_entry *e)
{
	return (char *)(uintptr_t)e + (e->data_at & ~(uint32_t)STOAI_ARRAY);
}
/*
 * The bytes of its name against a key: less than 0, 0, more than 0. A shorter one
 * that begins the other comes first. The size may be changing under a read-only
 * reader: no more than a name can have is compared.
 */
static inline int
stoai_entry_compare(const struct stoai_entry *e, const char *key, size_t size)
{
	uint64_t n = stoai_min(a32_load_relaxed(&e->name_size), STOAI_NAME_MAX);
	int order = memcmp(e->name, key, stoai_min(n, size));

	return order ? order : n < size ? -1 : n > size;
}
/* An entry's elements, of that type; NULL: damaged. ret_count may be NULL. */
const void *stoai_entry_data(const stoa_tx *rd, const struct stoai_entry *e,
	const stoa_type *type, uint64_t *ret_count);
/* Its stored type; NULL: damaged. */
const stoa_type *
stoai_entry_type(const stoa_tx *rd, const struct stoai_entry *e);

/*
 * A block of `count` zeroed elements that names its stored type; nobody finds it
 * yet. size 0: an array without a name. NULL: tx has failed.
 */
struct stoai_entry *stoai_entry_new(stoa_tx *tx, const char *name, size_t size,
	const stoa_type *type, uint64_t count);
/* Something to write `count` elements to, where there are none. */
void *stoai_elements_scratch(const stoa_type *type, uint64_t count);
/* At commit, with what its elements own; locks in them must be free. */
bool stoai_entry_delete(stoa_tx *tx, const struct stoai_entry *e);

/*
 * The entry in whose block the object at p begins; NULL: it has none, so it is
 * a single object without a name, or none at all. Whether the index finds it is
 * another question (stoai_index_find).
 */
const struct stoai_entry *stoai_entry_of(const stoa_tx *rd, const void *p);
/* The same, with the lock of the names if it has one: then it is what it is. NULL
 * also when rd has failed. */
const struct stoai_entry *stoai_entry_seen(const stoa_tx *rd, const void *p);
/* The same for the target of an owned reference: an array without a name. */
const struct stoai_entry *
stoai_array_of(const stoa_tx *rd, const stoa_type *type, uint64_t off);

#endif
