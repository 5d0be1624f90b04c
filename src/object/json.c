/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does a word look as JSON? Numbers as the shortest text that reads back as
 * the same number, whatever the program's locale; texts escaped, and what is not
 * UTF-8 in them replaced, so that the result is JSON whatever the bytes are.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "object/json.h"
#include "object/kind.h"
#include "object/text.h"

/* The locale may have another decimal point, of several bytes even. */
static void
number_point(char *text)
{
	char *to = text;

	for (char *p = text; *p; p++) {
		if (strchr("0123456789+-eE", *p))
			*to++ = *p;
		else if (to == text || to[-1] != '.')
			*to++ = '.';
	}
	*to = '\0';
}

/* false: it is no number. */
static bool
number_float(double x, bool single, char buf[STOAI_NUMBER_TEXT])
{
	if (isnan(x) || isinf(x)) {
		(void)snprintf(buf, STOAI_NUMBER_TEXT, "%s",
			isnan(x) ? "NaN"
			: x > 0  ? "Infinity"
				 : "-Infinity");
		return false;
	}
	for (int digits = single ? 6 : 15; digits <= 17; digits++) {
		(void)snprintf(buf, STOAI_NUMBER_TEXT, "%.*g", digits, x);
		if (single ? (double)strtof(buf, NULL) >= x &&
					(double)strtof(buf, NULL) <= x
			   : strtod(buf, NULL) >= x && strtod(buf, NULL) <= x)
			break;
	}
	number_point(buf);
	return true;
}

#define LOAD(T, name) \
 T name; \
 memcpy(&name, p, sizeof name)

bool
stoai_json_number(stoa_kind kind, const void *p, char buf[STOAI_NUMBER_TEXT])
{
	uint32_t size = stoai_kind_info(kind)->size;
	uint64_t u = 0;
	int64_t i;

	if (kind == STOA_KIND_F32) {
		LOAD(float, x);
		return !number_float((double)x, true, buf);
	}
	if (kind == STOA_KIND_F64) {
		LOAD(double, x);
		return !number_float(x, false, buf);
	}
	memcpy(&u, p, size <= 8 ? size : 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	u >>= 64 - 8 * size;
#endif
	if (kind == STOA_KIND_BOOL) {
		(void)snprintf(
			buf, STOAI_NUMBER_TEXT, "%s", u ? "true" : "false");
	} else if (kind >= STOA_KIND_I8 && kind <= STOA_KIND_I64) {
		i = (int64_t)(u << (64 - 8 * size)) >> (64 - 8 * size);
		(void)snprintf(buf, STOAI_NUMBER_TEXT, "%" PRId64, i);
	} else {
		(void)snprintf(buf, STOAI_NUMBER_TEXT, "%" PRIu64, u);
	}
	return false;
}

bool
stoai_json_text(FILE *out, const char *text, size_t size)
{
	static const char short_form[] = "\b\f\n\r\t\"\\",
			  letter[] = "bfnrt\"\\";
	const unsigned char *p = (const unsigned char *)text;

	(void)fputc('"', out);
	for (size_t i = 0; i < size;) {
		size_t n = stoai_utf8_length(p + i, size - i);
		const char *s = p[i] ? strchr(short_form, p[i]) : NULL;

		if (s)
			(void)fprintf(out, "\\%c", letter[s - short_form]);
		else if (!n)
			(void)fputs("\\ufffd", out);
		else if (p[i] < 0x20 || p[i] == 0x7f)
			(void)fprintf(out, "\\u%04x", p[i]);
		else
			(void)fwrite(p + i, 1, n, out);
		i += n ? n : 1;
	}
	(void)fputc('"', out);
	return !ferror(out);
}

void
stoai_json_hex(FILE *out, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	(void)fputc('"', out);
	for (size_t i = 0; i < size; i++)
		(void)fprintf(out, "%02x", p[i]);
	(void)fputc('"', out);
}

/* A value that is neither text nor number, as a text of its JSON. */
static bool
key_of_many(const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	bool ok;

	if (!memory) {
		(void)stoai_tx_fail(rd, stoai_error(-ENOMEM, "out of memory"));
		return false;
	}
	ok = stoai_type_dump_value(rd, type, p, memory);
	if (fclose(memory) != 0)
		ok = false;
	ok = ok && stoai_json_text(out, text, size);
	free(text);
	return ok;
}

bool
stoai_json_key(
	const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out)
{
	char buf[STOAI_NUMBER_TEXT];

	if (type->kind == STOA_KIND_STR || type->kind == STOA_KIND_CHAR)
		return stoai_type_dump_value(rd, type, p, out);
	if (type->kind < STOA_KIND_BOOL || type->kind > STOA_KIND_F64)
		return key_of_many(rd, type, p, out);
	(void)stoai_json_number(type->kind, p, buf);
	(void)fprintf(out, "\"%s\"", buf);
	return !ferror(out);
}
