/* SPDX-License-Identifier: BSL-1.0 */
/* Which locks are waited for, how often and how long? What stoa_contention_next says. */
#include "contention.h"
#include "base/base.h"
#include "os/os.h"
#include "stoa/contention.h"

enum {
	NS_PER_US = 1000,
	NS_PER_MS = 1000 * 1000
};

static const struct out_column columns[] = {{"LOCK", "lock", OUT_TEXT},
	{"WAITS", "waits", OUT_NUMBER}, {"WAITED us", "waited_us", OUT_NUMBER},
	{"LONGEST us", "longest_us", OUT_NUMBER}, {"LAST", "last_ms", OUT_AGE}};

int
contention_switch(const struct call *c, bool on)
{
	const stoa_segment_options options = command_options(c);
	stoa_segment *seg = NULL;
	int rc =
		stoa_segment_open(c->args[0], command_flags(c), &options, &seg);

	if (!rc)
		rc = on ? stoa_contention_start(seg, 0)
			: stoa_contention_stop(seg);
	(void)stoa_segment_close(seg);
	return rc ? view_error(c->args[0], rc) : STATUS_OK;
}

static int
row_order(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	json_int_t n = json_integer_value(json_object_get(*x, "waited_us"));
	json_int_t m = json_integer_value(json_object_get(*y, "waited_us"));

	return (n < m) - (n > m);
}

json_t *
contention_read(const stoa_segment *seg)
{
	stoa_contention it = stoa_contention_begin(seg);
	uint64_t now = stoai_os_realtime();
	json_t *rows = json_array();

	while (stoa_contention_next(&it)) {
		json_t *row = out_add(rows);

		out_set(row, "offset",
			it.place ? json_integer((json_int_t)it.offset)
				 : json_null());
		out_set_number(row, "waits", it.waits);
		out_set_number(row, "waited_us", it.waited_ns / NS_PER_US);
		out_set_number(row, "longest_us", it.longest_ns / NS_PER_US);
		out_set_number(row, "last_ms",
			now > it.last_ns ? (now - it.last_ns) / NS_PER_MS : 0);
	}
	return out_sorted(rows, row_order);
}

void
contention_name(json_t *rows, const struct places *places)
{
	char name[PLACE_NAME];
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *off = json_object_get(row, "offset");

		out_set_text(row, "lock",
			json_is_integer(off)
				? place_of(places,
					  (uint64_t)json_integer_value(off),
					  name)
				: "others");
	}
}

void
contention_table(const json_t *rows)
{
	out_table(rows, columns, STOAI_COUNT(columns), NULL);
}
