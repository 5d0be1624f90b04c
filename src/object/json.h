/* SPDX-License-Identifier: BSL-1.0 */
/* Words as JSON. */
#ifndef STOAI_OBJECT_JSON_H
#define STOAI_OBJECT_JSON_H
#include <stdio.h>
#include "object/object.h"

enum {
	STOAI_NUMBER_TEXT = 40
};

/*
 * A number, bool or char as JSON would have it, without quotes that it may need.
 * Returns whether JSON needs quotes (char, and what is no number: NaN). The shortest text that
 * reads back as the same number. kind: one of STOA_KIND_BOOL to STOA_KIND_F64,
 * not STOA_KIND_CHAR.
 */
bool
stoai_json_number(stoa_kind kind, const void *p, char buf[STOAI_NUMBER_TEXT]);
/* Bytes as hexadecimal digits in quotes. */
void stoai_json_hex(FILE *out, const void *bytes, size_t size);

#endif
