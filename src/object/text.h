/* SPDX-License-Identifier: BSL-1.0 */
/* Descriptions as text: canonical, and for people. See text.c. */
#ifndef STOAI_OBJECT_TEXT_H
#define STOAI_OBJECT_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include "stoa/attr.h"
#include "stoa/type.h"

/* A growing text, local; after a failure additions do nothing. */
struct stoai_text {
	char *p; /* NUL-terminated; NULL: nothing yet */
	size_t size, room;
	bool failed;
};

void stoai_text_add(struct stoai_text *t, const char *format, ...)
	STOA_PRINTF_(2, 3);
void stoai_text_fini(struct stoai_text *t);

/* A name that a description may hold: 1 to 255 bytes of UTF-8 without blanks. */
bool stoai_type_name_ok(const char *name);
/*
 * Well-formed UTF-8 without control characters? For names. Bounded by size.
 */
bool stoai_name_bytes_ok(const char *name, size_t size);
/* Length of the well-formed UTF-8 sequence at p, 0: there is none. */
size_t stoai_utf8_length(const unsigned char *p, size_t size);

/*
 * The name by which other types call it: of a struct its own, of a container
 * what it contains ("vec(point)"), so that two templates of the same are one
 * type. false: too deep.
 */
bool stoai_type_display_name(const stoa_type *type, struct stoai_text *t);
/* Canonical text of one type whose head and targets' heads were checked. */
bool stoai_type_canonical(const stoa_type *type, struct stoai_text *t);

/* Why two descriptions are not the same, in few words; buf is empty if they are. */
void stoai_type_difference(
	const stoa_type *there, const stoa_type *here, char *buf, size_t size);

#endif
