/* SPDX-License-Identifier: BSL-1.0 */
/* The kinds of fields and types, as a table. */
#ifndef STOAI_OBJECT_KIND_H
#define STOAI_OBJECT_KIND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "stoa/type.h"

struct stoai_kind_info {
	const char *word; /* in canonical text; NULL: no such kind */
	const char *name; /* of the built-in type, where it is one */
	uint32_t size;    /* of one element; 0: what the type says */
	uint32_t align;
	uint8_t field; /* may be the kind of a field */
	uint8_t type;  /* may be the kind of a type */
	uint8_t lock;  /* must not move, and must be free when it is given up */
	uint8_t owns;  /* may own blocks */
};

/* Of any number; an unknown kind has no word. */
const struct stoai_kind_info *stoai_kind_info(unsigned kind);
/* The kind of that word; STOA_KIND_UNKNOWN: none. */
stoa_kind stoai_kind_of_word(const char *word, size_t size);

/* One element of a field: an array has several. 0: not even one. */
uint32_t stoai_field_element(const stoa_field *field);
/* The kind of an element: a described type inside has its own kind. */
stoa_kind stoai_field_kind(const stoa_field *field);

#endif
