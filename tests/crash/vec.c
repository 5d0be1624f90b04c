/* SPDX-License-Identifier: BSL-1.0 */
/* Killed at every instruction: vectors of words, of strings, and boxed. */
#include "data.h"

enum {
	SPAN = 4096 /* of a segment as small as the explorer's */
};

static void
three(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 3; i++) {
		numbers_push(tx, &d->numbers, 100 + i);
		names_push(tx, &d->names, i == 1 ? long_text : "name");
		boxes_add(tx, &d->boxes)->n = 200 + i;
	}
}

/* Full up to its capacity, whatever the capacities are: the next one grows it. */
static void
sixty_four(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 64; i++)
		numbers_push(tx, &d->numbers, i);
	for (uint64_t i = 0; i < 16; i++)
		names_push(tx, &d->names, "name");
}

/* Full, in whole spans, with free ones behind. */
static void
two_spans(stoa_tx *tx, const data *d)
{
	numbers_resize(tx, &d->numbers, 2 * SPAN / sizeof(uint64_t));
}

static void
push(stoa_tx *tx, const data *d)
{
	(void)numbers_push(tx, &d->numbers, 7);
}

/* Without a call after the first, until it is full; and what comes in between. */
static void
push_more(stoa_tx *tx, const data *d)
{
	uint64_t last = 0;

	for (uint64_t i = 0; i < 7; i++)
		(void)numbers_push(tx, &d->numbers, 10 + i);
	if (numbers_pop(tx, &d->numbers, &last))
		(void)numbers_push(tx, &d->numbers, last + 1);
	*numbers_add(tx, &d->numbers) = last;
}

/* Without a call, over what was there before. */
static void
push_over(stoa_tx *tx, const data *d)
{
	uint64_t last = 0;

	(void)numbers_push(tx, &d->numbers, 10);
	for (int i = 0; i < 3; i++)
		(void)numbers_pop(tx, &d->numbers, &last);
	for (uint64_t i = 0; i < 3; i++)
		(void)numbers_push(tx, &d->numbers, 20 + i);
}

static void
add(stoa_tx *tx, const data *d)
{
	*numbers_add(tx, &d->numbers) = 8;
}

static void
edit(stoa_tx *tx, const data *d)
{
	*numbers_edit(tx, &d->numbers, 1) += 9;
}

static void
insert(stoa_tx *tx, const data *d)
{
	(void)numbers_insert(tx, &d->numbers, 1, 55);
}

static void
insert_late(stoa_tx *tx, const data *d)
{
	(void)numbers_insert(
		tx, &d->numbers, numbers_count(tx, &d->numbers) - 1, 55);
}

static void
pop(stoa_tx *tx, const data *d)
{
	uint64_t last = 0;

	if (numbers_pop(tx, &d->numbers, &last))
		STOA_SET(tx, d->word[0], last);
}

static void
take(stoa_tx *tx, const data *d)
{
	(void)numbers_remove(tx, &d->numbers, 0);
}

static void
resize_up(stoa_tx *tx, const data *d)
{
	numbers_resize(tx, &d->numbers, numbers_count(tx, &d->numbers) + 40);
}

static void
resize_down(stoa_tx *tx, const data *d)
{
	numbers_resize(tx, &d->numbers, 1);
}

static void
clear(stoa_tx *tx, const data *d)
{
	numbers_clear(tx, &d->numbers);
}

static void
push_text(stoa_tx *tx, const data *d)
{
	names_push(tx, &d->names, long_text);
}

static void
edit_text(stoa_tx *tx, const data *d)
{
	stoa_str_set(tx, names_get(tx, &d->names, 0), long_text);
}

static void
remove_text(stoa_tx *tx, const data *d)
{
	(void)names_remove(tx, &d->names, 1);
}

static void
clear_text(stoa_tx *tx, const data *d)
{
	names_clear(tx, &d->names);
}

static void
add_boxed(stoa_tx *tx, const data *d)
{
	boxes_add(tx, &d->boxes)->n = 9;
}

static void
edit_boxed(stoa_tx *tx, const data *d)
{
	const counter *c = boxes_get(tx, &d->boxes, 0);

	if (c)
		STOA_ADD(tx, c->n, 1);
}

static void
remove_boxed(stoa_tx *tx, const data *d)
{
	(void)boxes_remove(tx, &d->boxes, 0);
}

static void
clear_boxed(stoa_tx *tx, const data *d)
{
	boxes_clear(tx, &d->boxes);
}

static const struct crash_case cases[] = {
	CASE("vec push, first", "vec_push stoa_vec_insert_", NULL, push),
	CASE("vec push", "vec_push", three, push),
	CASE("vec push, growing", "vec_push", sixty_four, push),
	CASE("vec push, longer in place", "vec_push", two_spans, push),
	CASE("vec insert, longer in place", "vec_insert", two_spans,
		insert_late),
	CASE("vec push, more", "vec_push vec_room_", three, push_more),
	CASE("vec push, over what was popped", "vec_push vec_room_ vec_pop",
		three, push_over),
	CASE("vec push, more, first", "vec_push vec_room_", NULL, push_more),
	CASE("vec add", "vec_add", three, add),
	CASE("vec edit", "vec_edit stoa_vec_edit_", three, edit),
	CASE("vec insert", "vec_insert", three, insert),
	CASE("vec pop", "vec_pop stoa_vec_pop_", three, pop),
	CASE("vec remove", "vec_remove stoa_vec_remove_", three, take),
	CASE("vec resize, up", "vec_resize stoa_vec_resize_", three, resize_up),
	CASE("vec resize, down", "vec_resize", sixty_four, resize_down),
	CASE("vec clear", "vec_clear", three, clear),
	CASE("vec of str push", "vec_push", three, push_text),
	CASE("vec of str push, growing", "vec_push", sixty_four, push_text),
	CASE("vec of str, set one", "stoa_str_set", three, edit_text),
	CASE("vec of str remove", "vec_remove", three, remove_text),
	CASE("vec of str clear", "vec_clear", three, clear_text),
	CASE("boxed vec add", "vec_add", three, add_boxed),
	CASE("boxed vec, set one", "STOA_ADD", three, edit_boxed),
	CASE("boxed vec remove", "vec_remove", three, remove_boxed),
	CASE("boxed vec clear", "vec_clear", three, clear_boxed),
};

int
main(int argc, char **argv)
{
	return crash_main("vec", cases, COUNT(cases), argc, argv);
}
