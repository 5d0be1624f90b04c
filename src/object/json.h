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
 * A number or bool, without quotes; the shortest text that reads back as the
 * same number. True: JSON needs quotes around it, since it is no number (NaN).
 * kind: STOA_KIND_BOOL to STOA_KIND_F64, but not STOA_KIND_CHAR.
 */
bool
stoai_json_number(stoa_kind kind, const void *p, char buf[STOAI_NUMBER_TEXT]);
/* Bytes as hexadecimal digits in quotes. */
void stoai_json_hex(FILE *out, const void *bytes, size_t size);

#endif
