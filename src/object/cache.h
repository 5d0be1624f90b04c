/* SPDX-License-Identifier: BSL-1.0 */
/* What this process knows of types: ids of descriptions, and stored ones read. */
#ifndef STOAI_OBJECT_CACHE_H
#define STOAI_OBJECT_CACHE_H
#include "segment/seat.h"
#include "stoa/type.h"

/* ---- per process: description -> id ---- */

/* 0: not known yet */
uint64_t stoai_ids_find(const stoa_type *type);
/* Best effort: without memory it is computed again. */
void stoai_ids_add(const stoa_type *type, uint64_t id);
/* The description's memory goes. */
void stoai_ids_remove(const stoa_type *type);

/* ---- per mapping: id -> what is known of it in the segment ---- */

struct stoai_known {
	struct stoai_known *next;
	uint64_t id;
	const stoa_type *type; /* read from the segment; NULL: only known to be there */
	void *memory;          /* what goes with it */
};

/* with_type: one that has a type. NULL: none. Lock-free. */
const struct stoai_known *stoai_known_find(
	const stoa_segment *seg, uint64_t id, bool with_type);
/* Adds it, or a mark that the id is stored (type NULL). false: no memory. */
bool stoai_known_add(stoa_segment *seg, uint64_t id, const stoa_type *type,
	void *memory);

#endif
