/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: bytes of containers that die and live again inside
 * one transaction. Removing saves what becomes dead; what is then written there is
 * not saved, and the undo must still find what was there first. Every case changes
 * at least two things, so that half of it is neither before nor after.
 */
#include "data.h"

static void
roomy(stoa_tx *tx, const data *d)
{
	ids_reserve(tx, &d->ids, 14);
	for (uint64_t i = 0; i < 3; i++) {
		ids_put(tx, &d->ids, i, (pair){i, 2 * i});
		notes_put(tx, &d->notes, i, long_text);
		numbers_push(tx, &d->numbers, i);
		numbers_push(tx, &d->numbers, 10 * i);
	}
	stoa_str_set(tx, &d->text, long_text);
	stoa_str_append(tx, &d->text, long_text);
	stoa_str_set(tx, &d->text, "a text of forty characters, and its block");
}

/* Two slots of a table that has room: control bytes are saved. */
static void
put_two(stoa_tx *tx, const data *d)
{
	(void)ids_put(tx, &d->ids, 42, (pair){4, 2});
	(void)ids_put(tx, &d->ids, 43, (pair){4, 3});
}

static void
change_two(stoa_tx *tx, const data *d)
{
	pair *p = ids_edit(tx, &d->ids, 1);

	if (p)
		p->a += 1;
	(void)ids_put(tx, &d->ids, 2, (pair){7, 7});
}

/* All slots die, and new keys take them. */
static void
slots_again(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 3; i++)
		(void)ids_remove(tx, &d->ids, i);
	for (uint64_t i = 0; i < 3; i++)
		(void)ids_put(tx, &d->ids, 100 + i, (pair){i, i});
}

static void
owning_slots_again(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 3; i++)
		(void)notes_remove(tx, &d->notes, i);
	for (uint64_t i = 0; i < 3; i++)
		notes_put(tx, &d->notes, 100 + i, i ? "short" : long_text);
}

static void
elements_again(stoa_tx *tx, const data *d)
{
	uint64_t out;

	(void)numbers_pop(tx, &d->numbers, &out);
	(void)numbers_pop(tx, &d->numbers, &out);
	(void)numbers_push(tx, &d->numbers, out + 7);
	(void)numbers_push(tx, &d->numbers, 8);
	(void)numbers_push(tx, &d->numbers, 9);
}

static void
elements_down_and_up(stoa_tx *tx, const data *d)
{
	numbers_resize(tx, &d->numbers, 2);
	numbers_resize(tx, &d->numbers, 5);
	numbers_edit(tx, &d->numbers, 4)[0] = 5;
}

static void
characters_again(stoa_tx *tx, const data *d)
{
	stoa_str_append(tx, &d->text, " goes on");
	stoa_str_set(tx, &d->text, "a shorter one in the block");
	stoa_str_append(tx, &d->text, " and longer");
	stoa_str_append(tx, &d->text, " again");
}

static const struct crash_case cases[] = {
	CASE("map put, two with room", "hashmap_put", roomy, put_two),
	CASE("map edit and put, again", "hashmap_edit", roomy, change_two),
	CASE("map remove and put", "hashmap_remove", roomy, slots_again),
	CASE("map to str remove and put", "hashmap_remove", roomy,
		owning_slots_again),
	CASE("vec pop and push", "vec_pop", roomy, elements_again),
	CASE("vec resize, down and up", "vec_resize", roomy,
		elements_down_and_up),
	CASE("str in its block", "stoa_str_append", roomy, characters_again),
};

int
main(int argc, char **argv)
{
	return crash_main("container", cases, COUNT(cases), argc, argv);
}
