/* SPDX-License-Identifier: BSL-1.0 */
/* Killed at every instruction: strings, inline and on the heap. */
#include "data.h"

enum {
	SPAN = 4096 /* of a segment as small as the explorer's */
};

static void
text_short(stoa_tx *tx, const data *d)
{
	stoa_str_set(tx, &d->text, "short");
}

static void
text_long(stoa_tx *tx, const data *d)
{
	stoa_str_set(tx, &d->text, long_text);
}

static void
set_inline(stoa_tx *tx, const data *d)
{
	stoa_str_set(tx, &d->text, "another");
}

static void
set_longer(stoa_tx *tx, const data *d)
{
	char longer[400];

	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	stoa_str_set(tx, &d->text, longer);
}

static void
setn(stoa_tx *tx, const data *d)
{
	stoa_str_setn(tx, &d->text, long_text, 40);
}

static void
append_short(stoa_tx *tx, const data *d)
{
	stoa_str_append(tx, &d->text, "+");
}

static void
append_long(stoa_tx *tx, const data *d)
{
	stoa_str_append(tx, &d->text, long_text);
}

/* Over the end that it made itself, and one that it made shorter. */
static void
append_again(stoa_tx *tx, const data *d)
{
	stoa_str_append(tx, &d->text, "+");
	stoa_str_append(tx, &d->text, "more");
	stoa_str_setn(tx, &d->text, long_text, 40);
	stoa_str_append(tx, &d->text, "+");
	stoa_str_append(tx, &d->text, "again");
}

/* Full, in whole spans, with free ones behind. */
static void
two_spans(stoa_tx *tx, const data *d)
{
	char full[2 * SPAN];

	memset(full, 'x', sizeof full - 1);
	stoa_str_setn(tx, &d->text, full, sizeof full - 1);
}

static void
print(stoa_tx *tx, const data *d)
{
	stoa_str_printf(tx, &d->text, " %d %s", 12, "twelve");
}

static const struct crash_case cases[] = {
	CASE("stoa_str_set, inline", "stoa_str_set", text_short, set_inline),
	CASE("stoa_str_set, inline to heap", "stoa_str_set", text_short,
		text_long),
	CASE("stoa_str_set, heap to longer", "stoa_str_set", text_long,
		set_longer),
	CASE("stoa_str_set, heap to inline", "stoa_str_set", text_long,
		text_short),
	CASE("stoa_str_setn", "stoa_str_setn", text_short, setn),
	CASE("stoa_str_append, inline", "stoa_str_append", text_short,
		append_short),
	CASE("stoa_str_append, inline to heap", "stoa_str_append", text_short,
		append_long),
	CASE("stoa_str_append, heap", "stoa_str_append", text_long,
		append_long),
	CASE("stoa_str_append, again", "stoa_str_append", text_long,
		append_again),
	CASE("stoa_str_append, longer in place", "stoa_str_append", two_spans,
		append_long),
	CASE("stoa_str_printf", "stoa_str_printf", text_short, print),
};

int
main(int argc, char **argv)
{
	return crash_main("str", cases, COUNT(cases), argc, argv);
}
