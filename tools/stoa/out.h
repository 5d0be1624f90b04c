/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What people and programs get to see. A command builds one JSON document; with
 * --json that is its output, else columns say which members are shown as text.
 */
#ifndef TOOLS_STOA_OUT_H
#define TOOLS_STOA_OUT_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "stoa/attr.h"

enum out_format {
	OUT_TEXT,
	OUT_STATE, /* text; red or yellow on a terminal when it is bad */
	OUT_TREE,  /* text; the column that carries the tree's lines */
	OUT_NUMBER,
	OUT_HEX,
	OUT_BYTES, /* 1.5 MiB */
	OUT_AGE    /* milliseconds; 3m12s */
};

struct out_column {
	const char *title;  /* also the label in out_pairs */
	const char *member; /* of the row's object; null is shown as "-" */
	enum out_format format;
};

/* command: for messages. */
void out_begin(const char *command, bool json);
bool out_is_json(void);
/* "stoa ls: ..." to stderr; returns status. */
int out_error(int status, const char *format, ...) STOA_PRINTF_(2, 3);
/* Text mode only: a line to stdout. */
void out_line(const char *format, ...) STOA_PRINTF_(1, 2);

/* ---- building; these end the program when memory is out ---- */

/* What is not UTF-8 is replaced. NULL: null. */
json_t *out_string(const char *text);
void out_set(json_t *object, const char *member, json_t *value); /* steals */
void out_set_text(json_t *object, const char *member, const char *text);
void out_set_number(json_t *object, const char *member, uint64_t n);
void out_set_bool(json_t *object, const char *member, bool value);
/* A fresh object at the end of the array; the array's. */
json_t *out_add(json_t *array);
/* The array's objects in that order, which compares pointers to them, as a fresh array. */
json_t *out_sorted(
	json_t *array, int (*order)(const void *, const void *)); /* steals */
/* A fresh array or object as a member; the object's. */
json_t *out_set_array(json_t *object, const char *member);
json_t *out_set_object(json_t *object, const char *member);

/* ---- showing ---- */

/* rows: an array; children: the member in which a row holds its own, or NULL */
void out_table(const json_t *rows, const struct out_column *columns,
	size_t count, const char *children);
/* One object, a member a line; what it does not have is left out. */
void
out_pairs(const json_t *object, const struct out_column *columns, size_t count);
/* JSON mode only: the document to stdout. Frees it in either mode. */
void out_document(json_t *document);
/* 0, or STATUS_OPERATION when stdout could not be written. */
int out_end(void);

#endif
