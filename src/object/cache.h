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

/* Read from the segment before; NULL: not yet. */
const stoa_type *stoai_known_type(const stoa_segment *seg, uint64_t id);
/* false: no memory. `memory` goes with the mapping. */
bool stoai_known_type_add(
	stoa_segment *seg, uint64_t id, const stoa_type *type, void *memory);

/*
 * Stored for good: seen where no transaction could undo it. Not so a type that
 * was merely read: the reader may have been its own transaction.
 */
bool stoai_known_stored(const stoa_segment *seg, uint64_t id);
void stoai_known_stored_add(stoa_segment *seg, uint64_t id);

#endif
