/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The built-in words are known to every program, so they are not stored in a
 * segment: their ids are small numbers, kind + 1.
 */
#ifndef STOAI_OBJECT_BUILTIN_H
#define STOAI_OBJECT_BUILTIN_H
#include <stdbool.h>
#include "stoa/type.h"

enum {
	STOAI_BUILTIN_IDS = 64
}; /* ids below it are of built-in words */

/* The word of an id; NULL: it is not one. */
const stoa_type *stoai_builtin_of_id(uint64_t id);
bool stoai_is_builtin(const stoa_type *type);

static inline uint64_t
stoai_builtin_id(const stoa_type *type)
{
	return (uint64_t)type->kind + 1;
}

#endif
