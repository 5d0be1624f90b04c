/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does what a command found look? As one JSON document, or as text: a table or
 * a tree by libsmartcols, whose cells are members of the same document. So both
 * say the same, and no command prints by itself.
 */
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/base.h"
#include "object/text.h"
#include "out.h"
#include "command.h"

static const char *command_name = "";
static bool json_mode, colours;

void
out_begin(const char *command, bool json)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	command_name = command;
	json_mode = json;
	colours = !json && isatty(STDOUT_FILENO) &&
		  !(no_color && no_color[0]) && term &&
		  strcmp(term, "dumb") != 0;
}

bool
out_is_json(void)
{
	return json_mode;
}

int
out_error(int status, const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout); /* so that the two come in order */
	(void)fprintf(stderr, "stoa %s: ", command_name);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return status;
}

void
out_line(const char *format, ...)
{
	va_list ap;

	if (json_mode)
		return;
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)putchar('\n');
}

/* ---- building ---- */

static void
must(bool ok)
{
	if (ok)
		return;
	exit(out_error(STATUS_OPERATION, "out of memory"));
}

json_t *
out_string(const char *text)
{
	json_t *ret = text ? json_string(text) : json_null();
	size_t size;
	char *copy;

	if (ret || !text)
		return ret;
	copy = strdup(text);
	must(copy != NULL);
	size = strlen(copy);
	for (size_t i = 0; i < size;) {
		size_t n = stoai_utf8_length(
			(const unsigned char *)copy + i, size - i);

		if (!n)
			copy[i] = '?';
		i += n ? n : 1;
	}
	ret = json_string(copy);
	free(copy);
	must(ret != NULL);
	return ret;
}

void
out_set(json_t *object, const char *member, json_t *value)
{
	must(value && !json_object_set_new(object, member, value));
}

void
out_set_text(json_t *object, const char *member, const char *text)
{
	out_set(object, member, out_string(text));
}

void
out_set_number(json_t *object, const char *member, uint64_t n)
{
	/* JSON's numbers end at INT64_MAX here; no size or count comes near */
	out_set(object, member,
		json_integer((json_int_t)stoai_min(n, INT64_MAX)));
}

void
out_set_bool(json_t *object, const char *member, bool value)
{
	out_set(object, member, json_boolean(value));
}

json_t *
out_add(json_t *array)
{
	json_t *object = json_object();

	must(object && !json_array_append_new(array, object));
	return object;
}

json_t *
out_sorted(json_t *array, int (*order)(const void *, const void *))
{
	size_t n = json_array_size(array);
	json_t **list = calloc(n + 1, sizeof(void *)), *ret = json_array();

	must(list && ret);
	for (size_t i = 0; i < n; i++)
		list[i] = json_array_get(array, i);
	qsort(list, n, sizeof(void *), order);
	for (size_t i = 0; i < n; i++)
		must(!json_array_append(ret, list[i]));
	free(list);
	json_decref(array);
	return ret;
}

json_t *
out_set_array(json_t *object, const char *member)
{
	json_t *array = json_array();

	out_set(object, member, array);
	return array;
}

json_t *
out_set_object(json_t *object, const char *member)
{
	json_t *child = json_object();

	out_set(object, member, child);
	return child;
}

/* ---- cells ---- */

enum {
	CELL_SIZE = 64
};

static void
age_text(char buf[CELL_SIZE], uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (s < 1)
		(void)snprintf(
			buf, CELL_SIZE, "%llums", (unsigned long long)ms);
	else if (s < 60)
		(void)snprintf(buf, CELL_SIZE, "%llus", (unsigned long long)s);
	else if (s < 3600)
		(void)snprintf(buf, CELL_SIZE, "%llum%02llus",
			(unsigned long long)s / 60, (unsigned long long)s % 60);
	else if (s < 86400)
		(void)snprintf(buf, CELL_SIZE, "%lluh%02llum",
			(unsigned long long)s / 3600,
			(unsigned long long)s / 60 % 60);
	else
		(void)snprintf(buf, CELL_SIZE, "%llud%02lluh",
			(unsigned long long)s / 86400,
			(unsigned long long)s / 3600 % 24);
}

/* The cell's text: in buf, or the value's own. */
static const char *
cell_text(const json_t *value, enum out_format format, char buf[CELL_SIZE])
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (!json_is_integer(value))
		return "-";
	if (format == OUT_BYTES)
		return stoai_size_text(
			buf, (uint64_t)json_integer_value(value));
	if (format == OUT_AGE)
		age_text(buf, (uint64_t)json_integer_value(value));
	else
		(void)snprintf(buf, CELL_SIZE,
			format == OUT_HEX ? "%#llx" : "%lld",
			(long long)json_integer_value(value));
	return buf;
}

/* Of a state; NULL: none. */
static const char *
state_colour(const char *state)
{
	static const char *const red[] = {"dead", "quarantined", "damaged",
		"deadlock", "stale", "damage", "leak", "quarantine", "given up",
		"lost"};
	static const char *const yellow[] = {"stopped", "waits", "denied",
		"foreign", "unsupported", "error", "left over"};

	for (size_t i = 0; i < STOAI_COUNT(red); i++)
		if (!strcmp(state, red[i]))
			return "red";
	for (size_t i = 0; i < STOAI_COUNT(yellow); i++)
		if (!strcmp(state, yellow[i]))
			return "yellow";
	return NULL;
}

/* ---- tables ---- */

static void
table_rows(struct libscols_table *t, const json_t *rows,
	const struct out_column *columns, size_t count, const char *children,
	struct libscols_line *parent)
{
	/* as deep as its commands build it: 256 threads */
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct libscols_line *line =
			scols_table_new_line(t, children ? parent : NULL);

		must(line != NULL);
		for (size_t k = 0; k < count; k++) {
			char buf[CELL_SIZE];
			const char *text = cell_text(
				json_object_get(row, columns[k].member),
				columns[k].format, buf);

			must(!scols_line_set_data(line, k, text));
			if (colours && columns[k].format == OUT_STATE &&
				state_colour(text))
				(void)scols_cell_set_color(
					scols_line_get_cell(line, k),
					state_colour(text));
		}
		if (children)
			table_rows(t, json_object_get(row, children), columns,
				count, children, line);
	}
}

static struct libscols_table *
table_new(void)
{
	struct libscols_table *t;

	scols_init_debug(0);
	t = scols_new_table();
	must(t != NULL);
	(void)scols_table_enable_colors(t, colours);
	/* a pipe has no width: nothing is cut */
	if (!isatty(STDOUT_FILENO))
		(void)scols_table_set_termforce(t, SCOLS_TERMFORCE_NEVER);
	return t;
}

void
out_table(const json_t *rows, const struct out_column *columns, size_t count,
	const char *children)
{
	struct libscols_table *t;

	if (json_mode || !json_array_size(rows))
		return;
	t = table_new();
	for (size_t i = 0; i < count; i++) {
		int flags = columns[i].format == OUT_TREE     ? SCOLS_FL_TREE
			    : columns[i].format >= OUT_NUMBER ? SCOLS_FL_RIGHT
							      : 0;

		must(scols_table_new_column(t, columns[i].title, 0, flags) !=
			NULL);
	}
	table_rows(t, rows, columns, count, children, NULL);
	must(!scols_print_table(t));
	scols_unref_table(t);
}

void
out_pairs(const json_t *object, const struct out_column *columns, size_t count)
{
	struct libscols_table *t;

	if (json_mode)
		return;
	t = table_new();
	(void)scols_table_enable_noheadings(t, 1);
	must(scols_table_new_column(t, "", 0, 0) != NULL);
	must(scols_table_new_column(t, "", 0, 0) != NULL);
	for (size_t i = 0; i < count; i++) {
		const json_t *value =
			json_object_get(object, columns[i].member);
		struct libscols_line *line;
		char buf[CELL_SIZE];
		const char *text;

		if (!value || json_is_null(value))
			continue;
		text = cell_text(value, columns[i].format, buf);
		line = scols_table_new_line(t, NULL);
		must(line && !scols_line_set_data(line, 0, columns[i].title) &&
			!scols_line_set_data(line, 1, text));
		if (colours && columns[i].format == OUT_STATE &&
			state_colour(text))
			(void)scols_cell_set_color(scols_line_get_cell(line, 1),
				state_colour(text));
	}
	must(!scols_print_table(t));
	scols_unref_table(t);
}

void
out_document(json_t *document)
{
	if (json_mode) {
		must(!json_dumpf(document, stdout, JSON_INDENT(2)));
		(void)putchar('\n');
	}
	json_decref(document);
}

int
out_end(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	return out_error(STATUS_OPERATION, "the output cannot be written");
}
