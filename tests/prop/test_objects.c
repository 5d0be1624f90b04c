/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Objects of every kind against a plain table: random creating, opening with an
 * initialiser, filling, destroying by name, by type and by address, in
 * transactions and savepoints, some committed, some undone, some failed. After
 * each transaction everything is compared, also what an address tells; check and
 * leak count now and then; at the end no block is left. Once for each index.
 *
 * STOA_SEED=n replays a run; STOA_STEPS=n makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "stoa/stoa.h"

typedef struct cell cell;
typedef STOA_REF(cell) cell_ref;
struct cell {
	uint64_t n;
	stoa_str text;
	cell_ref owned; /* one, or an array without a name */
};
STOA_TYPE_DECLARE(cell);
STOA_TYPE(cell, n, text, (owned, cell, own));

typedef struct wide {
	_Alignas(64) uint64_t n;
	uint64_t more[7];
} wide;
STOA_TYPE(wide, n, more);

enum {
	NAMES = 60,
	UNIQUE_CELL = NAMES, /* the two of their types */
	UNIQUE_WIDE,
	OBJECTS,
	COUNT_MAX = 9,
	TEXT_MAX = 80
};

struct object {                    /* what should be there */
	uint64_t count;            /* 0: nothing */
	uint64_t owned[COUNT_MAX]; /* by each cell: how many; 0: none */
	uint64_t n[COUNT_MAX];
};

struct model {
	struct object object[OBJECTS];
};

static uint64_t random_state;
static stoa_segment *seg;

static uint64_t
draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

/* NULL: the one of its type. Every third is wide. */
static const char *
name_of(unsigned i, char buf[300])
{
	if (i >= NAMES)
		return NULL;
	memset(buf, 'n', 300);
	snprintf(buf + i % 4 * 60, 40, "%u", i);
	return buf;
}

static bool
is_wide(unsigned i)
{
	return i == UNIQUE_WIDE || (i < NAMES && i % 3 == 0);
}

static void
text_of(uint64_t n, char buf[TEXT_MAX])
{
	snprintf(buf, TEXT_MAX, "%.*s%d", (int)(n % 50),
		"a text that is sometimes longer than twenty-two by far",
		(int)n);
}

/* ---- changes, of the segment and of the model ---- */

static void
fill_cell(stoa_tx *tx, const cell *c, struct object *o, uint64_t i)
{
	char text[TEXT_MAX];
	const cell *old = stoa_get(tx, c->owned);

	o->n[i] = draw(1000000);
	text_of(o->n[i], text);
	STOA_SET(tx, c->n, o->n[i]);
	stoa_str_set(tx, &c->text, text);
	if (old) {
		STOA_LINK(tx, c->owned, NULL);
		stoa_delete(tx, cell, old);
	}
	o->owned[i] = draw(4);
	if (!o->owned[i])
		return;
	cell *fresh = o->owned[i] == 1 ? stoa_new(tx, cell)
				       : stoa_new_array(tx, cell, o->owned[i]);
	for (uint64_t k = 0; k < o->owned[i]; k++) {
		fresh[k].n = o->n[i] + k;
		stoa_str_set(tx, &fresh[k].text, text);
	}
	STOA_LINK(tx, c->owned, fresh);
}

static int
init_cell(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	fill_cell(tx, element, user, index);
	return 0;
}

static void
create(stoa_tx *tx, unsigned i, struct object *o)
{
	char buf[300];
	const char *name = name_of(i, buf);
	uint64_t count = draw(COUNT_MAX) + 1;

	memset(o, 0, sizeof *o);
	o->count = count;
	if (is_wide(i)) {
		wide value = {.n = draw(1000)};
		const wide *w = stoa_object_create_with(tx, name, wide,
			STOA_OBJECT_OPTIONS(.count = count, .value = &value));

		assert_int_equal((uintptr_t)w % 64, 0);
		for (uint64_t k = 0; k < count; k++)
			o->n[k] = value.n;
	} else if (draw(2)) {
		const cell *c = NULL;

		assert_int_equal(stoa_object_open_with(seg, name, cell,
					 STOA_OBJECT_OPTIONS(.count = count,
						 .init = init_cell, .user = o),
					 &c),
			0);
	} else {
		cell *c = stoa_object_create_array(tx, name, cell, count);

		for (uint64_t k = 0; k < count; k++)
			fill_cell(tx, &c[k], o, k);
	}
}

/* By name, by type, or by address. */
static void
destroy(stoa_tx *tx, unsigned i, struct object *o)
{
	char buf[300];
	const char *name = name_of(i, buf);

	memset(o, 0, sizeof *o);
	if (draw(2) && is_wide(i))
		stoa_delete(tx, wide, stoa_object_find(tx, name, wide));
	else if (draw(2) && !is_wide(i))
		stoa_delete(tx, cell, stoa_object_find(tx, name, cell));
	else if (name)
		assert_true(stoa_object_destroy(tx, name));
	else if (i == UNIQUE_CELL)
		assert_true(stoa_object_destroy_unique(tx, cell));
	else
		assert_true(stoa_object_destroy_unique(tx, wide));
}

static void
change_one(stoa_tx *tx, struct model *m)
{
	unsigned i = (unsigned)draw(OBJECTS);
	struct object *o = &m->object[i];
	char buf[300];

	if (!o->count)
		create(tx, i, o);
	else if (draw(3) == 0)
		destroy(tx, i, o);
	else if (!is_wide(i)) {
		const cell *c = stoa_object_find(tx, name_of(i, buf), cell);
		uint64_t k = draw(o->count);

		assert_non_null(c);
		fill_cell(tx, &c[k], o, k);
	}
}

/* Within an outer one: committed into it, or undone alone. */
static void
savepoint(struct model *m)
{
	struct model trial = *m;
	bool keep = draw(2);

	STOA_TX(tx, seg);
	for (uint64_t n = draw(4); n > 0; n--)
		change_one(tx, &trial);
	if (keep)
		*m = trial;
	else
		(void)stoa_tx_fail(tx, -EDOM);
	assert_int_equal(stoa_tx_commit(tx), keep ? 0 : -EDOM);
}

static void
change(struct model *m)
{
	struct model trial = *m;
	bool keep = draw(4) != 0;

	STOA_TX(tx, seg);
	for (uint64_t n = draw(6); n > 0; n--) {
		change_one(tx, &trial);
		if (draw(3) == 0)
			savepoint(&trial);
	}
	if (draw(10) == 0)
		assert_true(stoa_object_reserve(tx, draw(200)));
	if (draw(10) == 0)
		assert_true(stoa_object_shrink(tx));
	if (keep)
		*m = trial;
	else
		(void)stoa_tx_fail(tx, -EDOM);
	assert_int_equal(stoa_tx_commit(tx), keep ? 0 : -EDOM);
}

/* ---- comparing ---- */

static void
compare_cell(
	const stoa_tx *rd, const cell *c, const struct object *o, uint64_t i)
{
	const cell *owned = stoa_get(rd, c->owned);
	char text[TEXT_MAX];
	stoa_object info;

	assert_int_equal(c->n, o->n[i]);
	if (!c->n && !*stoa_str_get(rd, &c->text))
		return;
	text_of(o->n[i], text);
	assert_string_equal(stoa_str_get(rd, &c->text), text);
	assert_int_equal(owned != NULL, o->owned[i] != 0);
	if (!owned)
		return;
	assert_true(stoa_object_of(rd, owned, &info));
	assert_int_equal(info.kind, STOA_OBJECT_ANONYMOUS);
	assert_int_equal(info.count, o->owned[i]);
	assert_int_equal(info.type != NULL, o->owned[i] > 1);
	for (uint64_t k = 0; k < o->owned[i]; k++) {
		assert_int_equal(owned[k].n, o->n[i] + k);
		assert_string_equal(stoa_str_get(rd, &owned[k].text), text);
	}
}

static void
compare_object(const stoa_tx *rd, unsigned i, const struct object *o)
{
	char buf[300];
	const char *name = name_of(i, buf);
	stoa_object info;
	uint64_t count;
	const void *p =
		is_wide(i) ? (const void *)stoa_object_find_array(
				     rd, name, wide, &count)
			   : stoa_object_find_array(rd, name, cell, &count);

	assert_int_equal(count, o->count);
	if (!count)
		return;
	assert_true(stoa_object_of(rd, p, &info));
	assert_ptr_equal(info.data, p);
	assert_int_equal(info.count, count);
	assert_int_equal(
		info.kind, name ? STOA_OBJECT_NAMED : STOA_OBJECT_UNIQUE);
	assert_string_equal(info.type->name, is_wide(i) ? "wide" : "cell");
	assert_string_equal(info.name, name ? name : info.type->name);
	for (uint64_t k = 0; k < count; k++)
		if (is_wide(i))
			assert_int_equal(((const wide *)p)[k].n, o->n[k]);
		else
			compare_cell(rd, (const cell *)p + k, o, k);
}

static void
compare(const struct model *m)
{
	uint64_t named = 0, unique = 0, seen = 0;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < OBJECTS; i++) {
		compare_object(rd, i, &m->object[i]);
		if (m->object[i].count)
			*(i < NAMES ? &named : &unique) += 1;
	}
	assert_int_equal(stoa_object_count(rd, STOA_OBJECT_NAMED), named);
	assert_int_equal(stoa_object_count(rd, STOA_OBJECT_UNIQUE), unique);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);)
		seen++;
	assert_int_equal(seen, named + unique);
	assert_int_equal(stoa_tx_error(rd), 0);
}

static void
assert_sound(void)
{
	if (stoa_segment_check(seg) || stoa_segment_leaked(seg))
		fail_msg("%s", stoa_error_text());
}

static uint64_t
number_of(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void
run(const stoa_index_class *index, uint64_t seed)
{
	uint64_t steps = number_of("STOA_STEPS", 6000);
	struct model m = {0};

	random_state = seed;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
				 STOA_SEGMENT_OPTIONS(.index = index), &seg),
		0);
	for (uint64_t i = 0; i < steps; i++) {
		change(&m);
		if (i % 8 == 0)
			compare(&m);
		if (i % 64 == 0)
			assert_sound();
	}
	compare(&m);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < OBJECTS; i++)
			if (m.object[i].count)
				destroy(tx, i, &m.object[i]);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	compare(&m);
	assert_sound();
	seg = stoa_segment_close(seg);
}

static void
objects_of_every_kind(void **state)
{
	static const stoa_index_class *const kinds[] = {
		&stoa_index_hash, &stoa_index_ordered, &stoa_index_sorted};
	uint64_t seed = number_of("STOA_SEED", (uint64_t)time(NULL));

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		print_message("%s: STOA_SEED=%llu\n", kinds[i]->name,
			(unsigned long long)seed);
		run(kinds[i], seed * 2 + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_of_every_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
