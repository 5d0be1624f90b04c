/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Containers against plain arrays: random changes in transactions and
 * savepoints, some committed, some undone, some failed, some out of memory. After
 * each transaction every container is compared with its array and checked; at the
 * end everything is cleared and no block may be left.
 *
 * STOA_SEED=n replays a run; STOA_STEPS=n makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "container/container.h"
#include "scene.h"
#include "stoa/stoa.h"

enum {
	KEYS = 300,
	TEXTS = 120,
	ROWS = 24,
	ITEMS = 400,
	TEXT_MAX = 3000
};

typedef struct box {
	uint64_t n;
	stoa_str text;
} box;
STOA_TYPE(box, n, text);
typedef struct spot {
	uint8_t a;
	uint16_t b;
} spot;
STOA_TYPE(spot, a, b);

#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>
#define STOA_NAME hot
#define STOA_KEY  uint32_t
#define STOA_VAL  uint64_t
#define STOA_INLINE
#include <stoa/template/hashmap.h>
#define STOA_NAME texts
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include <stoa/template/hashmap.h>
#define STOA_NAME spots
#define STOA_KEY  spot
#include <stoa/template/hashmap.h>
#define STOA_NAME boxes
#define STOA_KEY  uint64_t
#define STOA_VAL  box
#define STOA_BOXED
#include <stoa/template/hashmap.h>
#define STOA_NAME items
#define STOA_VAL  uint32_t
#include <stoa/template/vec.h>
#define STOA_NAME lines
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>
#define STOA_NAME cells
#define STOA_VAL  box
#define STOA_BOXED
#include <stoa/template/vec.h>
#define STOA_NAME rows
#define STOA_KEY  uint8_t
#define STOA_VAL  items
#include <stoa/template/hashmap.h>

typedef struct page {
	numbers numbers;
	hot hot;
	texts texts;
	spots spots;
	boxes boxes;
	items items;
	lines lines;
	cells cells;
	rows rows;
	stoa_str text;
} page;
STOA_TYPE(page, (numbers, numbers), (hot, hot), (texts, texts), (spots, spots),
	(boxes, boxes), (items, items), (lines, lines), (cells, cells),
	(rows, rows), text);

/* ---- the model: 0 is absent, n + 1 the value n ---- */

struct row {
	uint32_t count; /* + 1; 0: no such row */
	uint32_t item[ITEMS];
};

struct model {
	uint32_t number[KEYS], hot[KEYS], box[KEYS];
	uint32_t text[TEXTS], spot[TEXTS];
	uint32_t item_count, line_count, cell_count;
	uint32_t item[ITEMS], line[ITEMS], cell[ITEMS];
	struct row row[ROWS];
	uint32_t text_size;
	char text_at[TEXT_MAX + 1];
};

struct world {
	stoa_segment *seg;
	const page *p;
	struct model now, saved[3];
	uint64_t random;
	unsigned commits, undone, failed, full;
};

static uint32_t
pick(struct world *w, uint32_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 11) % n;
}

/* Text number n: lengths around every border, of which some need a block. */
static const char *
text_of(uint32_t n)
{
	static char buf[4][64];
	static unsigned next;
	char *p = buf[next++ % 4];

	snprintf(p, 64, "%0*u", (int)(n % 37), n);
	return p;
}

/* ---- one random change, made on both; the model only if it was really made ---- */

static void
change_numbers(struct world *w, stoa_tx *tx)
{
	const numbers *m = &w->p->numbers;
	uint32_t k = pick(w, KEYS), v = pick(w, 1000);
	uint64_t *edit;
	bool did;

	switch (pick(w, 4)) {
	case 0:
		*numbers_put(tx, m, k * UINT64_C(0x10001), v) += 1;
		w->now.number[k] = v + 2;
		break;
	case 1:
		*numbers_ensure(tx, m, k * UINT64_C(0x10001)) += 1;
		w->now.number[k] += w->now.number[k] ? 1 : 2;
		break;
	case 2:
		edit = numbers_edit(tx, m, k * UINT64_C(0x10001));
		if (!stoa_tx_error(tx))
			assert_int_equal(!edit, !w->now.number[k]);
		if (edit)
			*edit = v;
		if (w->now.number[k])
			w->now.number[k] = v + 1;
		break;
	default:
		did = numbers_remove(tx, m, k * UINT64_C(0x10001));
		assert_int_equal(did, !stoa_tx_error(tx) && w->now.number[k]);
		w->now.number[k] = 0;
	}
}

static void
change_hot(struct world *w, stoa_tx *tx)
{
	uint32_t k = pick(w, KEYS), v = pick(w, 1000);

	if (pick(w, 3)) {
		*hot_ensure(tx, &w->p->hot, k) = v;
		w->now.hot[k] = v + 1;
	} else {
		hot_remove(tx, &w->p->hot, k);
		w->now.hot[k] = 0;
	}
}

static void
change_texts(struct world *w, stoa_tx *tx)
{
	uint32_t k = pick(w, TEXTS), v = pick(w, 1000);
	bool did;

	if (pick(w, 3)) {
		texts_put(tx, &w->p->texts, text_of(k), text_of(v));
		w->now.text[k] = v + 1;
	} else {
		did = texts_remove(tx, &w->p->texts, text_of(k));
		assert_int_equal(did, !stoa_tx_error(tx) && w->now.text[k]);
		w->now.text[k] = 0;
	}
}

static void
change_spots(struct world *w, stoa_tx *tx)
{
	uint32_t k = pick(w, TEXTS);
	spot at;

	memset(&at, (int)pick(w, 256), sizeof at);
	at.a = (uint8_t)k;
	at.b = (uint16_t)(k * 7);
	if (pick(w, 2)) {
		spots_put(tx, &w->p->spots, at);
		w->now.spot[k] = 1;
	} else {
		spots_remove(tx, &w->p->spots, at);
		w->now.spot[k] = 0;
	}
}

static void
change_boxes(struct world *w, stoa_tx *tx)
{
	uint32_t k = pick(w, KEYS), v = pick(w, 1000);

	if (pick(w, 3)) {
		box *b = boxes_ensure(tx, &w->p->boxes, k);

		b->n = v;
		stoa_str_set(tx, &b->text, text_of(v));
		w->now.box[k] = v + 1;
	} else {
		boxes_remove(tx, &w->p->boxes, k);
		w->now.box[k] = 0;
	}
}

static void
model_insert(uint32_t *at, uint32_t *count, uint32_t i, uint32_t v)
{
	memmove(at + i + 1, at + i, (*count - i) * sizeof *at);
	at[i] = v;
	++*count;
}

static void
model_remove(uint32_t *at, uint32_t *count, uint32_t i)
{
	memmove(at + i, at + i + 1, (*count - i - 1) * sizeof *at);
	--*count;
}

static void
change_items(struct world *w, stoa_tx *tx, const items *v, uint32_t *at,
	uint32_t *count)
{
	uint32_t n = *count, i, value = pick(w, 1000), out = 0, to;
	bool did;

	switch (pick(w, 6)) {
	case 0:
	case 1:
		if (n == ITEMS)
			break;
		items_push(tx, v, value);
		model_insert(at, count, n, value);
		break;
	case 2:
		if (n == ITEMS)
			break;
		i = pick(w, n + 1);
		items_insert(tx, v, i, value);
		model_insert(at, count, i, value);
		break;
	case 3:
		did = items_pop(tx, v, &out);
		assert_int_equal(did, !stoa_tx_error(tx) && n);
		if (n)
			--*count;
		break;
	case 4:
		if (!n)
			break;
		i = pick(w, n);
		items_remove(tx, v, i);
		model_remove(at, count, i);
		break;
	default:
		to = pick(w, 3) ? pick(w, n + 5) : pick(w, ITEMS);
		if (to > ITEMS)
			break;
		items_resize(tx, v, to);
		for (i = n; i < to; i++)
			at[i] = 0;
		*count = to;
	}
}

static void
change_lines(struct world *w, stoa_tx *tx)
{
	const lines *v = &w->p->lines;
	uint32_t n = w->now.line_count, i = pick(w, n + 1), t = pick(w, 1000);

	if (pick(w, 3) && n < ITEMS) {
		lines_push(tx, v, text_of(t));
		model_insert(w->now.line, &w->now.line_count, n, t);
	} else if (i < n) {
		lines_remove(tx, v, i);
		model_remove(w->now.line, &w->now.line_count, i);
	} else if (!pick(w, 20)) {
		lines_clear(tx, v);
		w->now.line_count = 0;
	}
}

static void
change_cells(struct world *w, stoa_tx *tx)
{
	const cells *v = &w->p->cells;
	uint32_t n = w->now.cell_count, i = pick(w, n + 1), t = pick(w, 1000);
	box *b;

	if (pick(w, 3) && n < ITEMS) {
		b = cells_add(tx, v);
		b->n = t;
		stoa_str_set(tx, &b->text, text_of(t));
		model_insert(w->now.cell, &w->now.cell_count, n, t);
	} else if (i < n && pick(w, 2)) {
		cells_remove(tx, v, i);
		model_remove(w->now.cell, &w->now.cell_count, i);
	} else if (i < n) {
		b = stoa_edit(tx, box, cells_get(tx, v, i));
		if (b) {
			b->n = t;
			stoa_str_set(tx, &b->text, text_of(t));
		}
		w->now.cell[i] = t;
	}
}

static void
change_rows(struct world *w, stoa_tx *tx)
{
	uint32_t k = pick(w, ROWS);
	struct row *row = &w->now.row[k];

	if (pick(w, 8)) {
		const items *v = rows_ensure(tx, &w->p->rows, (uint8_t)k);
		uint32_t count = row->count ? row->count - 1 : 0;

		change_items(w, tx, v, row->item, &count);
		row->count = count + 1;
	} else {
		rows_remove(tx, &w->p->rows, (uint8_t)k);
		row->count = 0;
	}
}

static void
change_text(struct world *w, stoa_tx *tx)
{
	const stoa_str *s = &w->p->text;
	const char *t = text_of(pick(w, 1000));
	size_t n = strlen(t);

	switch (pick(w, 4)) {
	case 0:
		n = pick(w, (uint32_t)n + 1);
		stoa_str_setn(tx, s, t, n);
		w->now.text_size = 0;
		break;
	case 1:
		if (w->now.text_size + n > TEXT_MAX)
			return;
		stoa_str_printf(tx, s, "%s", t);
		break;
	case 2: /* a part of itself */
		if (2 * w->now.text_size > TEXT_MAX || stoa_tx_error(tx))
			return;
		n = pick(w, w->now.text_size + 1);
		t = memcpy(w->now.text_at + w->now.text_size,
			w->now.text_at + w->now.text_size - n, n);
		w->now.text_at[w->now.text_size + n] = '\0';
		stoa_str_append(
			tx, s, stoa_str_get(tx, s) + w->now.text_size - n);
		w->now.text_size += (uint32_t)n;
		return;
	default:
		if (w->now.text_size + n > TEXT_MAX)
			return;
		stoa_str_append(tx, s, t);
	}
	memcpy(w->now.text_at + w->now.text_size, t, n);
	w->now.text_size += (uint32_t)n;
	w->now.text_at[w->now.text_size] = '\0';
}

/* Iterating: each key once, and what is removed on the way is gone. */
static void
sweep(struct world *w, stoa_tx *tx)
{
	uint32_t mod = 2 + pick(w, 5), seen = 0, want = 0;
	struct model before = w->now;

	for (uint32_t k = 0; k < KEYS; k++)
		want += before.number[k] != 0;
	for (numbers_iter it = numbers_begin(tx, &w->p->numbers);
		numbers_next(&it); seen++) {
		uint32_t k = (uint32_t)(it.key / UINT64_C(0x10001));

		assert_int_equal(before.number[k], *it.val + 1);
		before.number[k] = 0;
		if (*it.val % mod == 0) {
			numbers_remove_at(tx, &it);
			w->now.number[k] = 0;
		}
	}
	if (!stoa_tx_error(tx))
		assert_int_equal(seen, want);
}

static void
clear_some(struct world *w, stoa_tx *tx)
{
	switch (pick(w, 5)) {
	case 0:
		numbers_clear(tx, &w->p->numbers);
		memset(w->now.number, 0, sizeof w->now.number);
		break;
	case 1:
		texts_clear(tx, &w->p->texts);
		memset(w->now.text, 0, sizeof w->now.text);
		break;
	case 2:
		boxes_clear(tx, &w->p->boxes);
		memset(w->now.box, 0, sizeof w->now.box);
		break;
	case 3:
		rows_clear(tx, &w->p->rows);
		memset(w->now.row, 0, sizeof w->now.row);
		break;
	default:
		numbers_reserve(tx, &w->p->numbers, pick(w, 2 * KEYS));
	}
}

static void
change(struct world *w, stoa_tx *tx)
{
	switch (pick(w, 11)) {
	case 0:
	case 1:
		change_numbers(w, tx);
		break;
	case 2:
		change_hot(w, tx);
		break;
	case 3:
		change_texts(w, tx);
		break;
	case 4:
		change_spots(w, tx);
		break;
	case 5:
		change_boxes(w, tx);
		break;
	case 6:
		change_items(
			w, tx, &w->p->items, w->now.item, &w->now.item_count);
		break;
	case 7:
		change_lines(w, tx);
		break;
	case 8:
		change_cells(w, tx);
		break;
	case 9:
		change_rows(w, tx);
		break;
	default:
		change_text(w, tx);
	}
}

/* ---- comparing ---- */

static void
compare_maps(struct world *w, const stoa_tx *rd)
{
	const struct model *m = &w->now;
	const page *p = w->p;
	uint32_t n[5] = {0};

	for (uint32_t k = 0; k < KEYS; k++) {
		const uint64_t *v =
			numbers_get(rd, &p->numbers, k * UINT64_C(0x10001));
		const box *b = boxes_get(rd, &p->boxes, k);

		n[0] += m->number[k] != 0;
		assert_int_equal(v ? *v + 1 : 0, m->number[k]);
		v = hot_get(rd, &p->hot, k);
		n[1] += m->hot[k] != 0;
		assert_int_equal(v ? *v + 1 : 0, m->hot[k]);
		n[2] += m->box[k] != 0;
		assert_int_equal(b ? b->n + 1 : 0, m->box[k]);
		if (b)
			assert_string_equal(stoa_str_get(rd, &b->text),
				text_of(m->box[k] - 1));
	}
	for (uint32_t k = 0; k < TEXTS; k++) {
		const char *t = texts_get(rd, &p->texts, text_of(k));
		spot at = {(uint8_t)k, (uint16_t)(k * 7)};

		n[3] += m->text[k] != 0;
		assert_int_equal(t != NULL, m->text[k] != 0);
		if (t)
			assert_string_equal(t, text_of(m->text[k] - 1));
		n[4] += m->spot[k];
		assert_int_equal(spots_has(rd, &p->spots, at), m->spot[k]);
	}
	assert_int_equal(numbers_count(rd, &p->numbers), n[0]);
	assert_int_equal(hot_count(rd, &p->hot), n[1]);
	assert_int_equal(boxes_count(rd, &p->boxes), n[2]);
	assert_int_equal(texts_count(rd, &p->texts), n[3]);
	assert_int_equal(spots_count(rd, &p->spots), n[4]);
}

static void
compare_items(
	const stoa_tx *rd, const items *v, const uint32_t *at, uint32_t count)
{
	size_t n;
	const uint32_t *data = items_data(rd, v, &n);

	assert_int_equal(n, count);
	if (n)
		assert_memory_equal(data, at, n * sizeof *at);
	assert_int_equal(stoai_vec_check(rd, stoa_type_of(items), v), 0);
}

static void
compare_vecs(struct world *w, const stoa_tx *rd)
{
	const struct model *m = &w->now;
	const page *p = w->p;

	compare_items(rd, &p->items, m->item, m->item_count);
	assert_int_equal(lines_count(rd, &p->lines), m->line_count);
	for (uint32_t i = 0; i < m->line_count; i++)
		assert_string_equal(
			stoa_str_get(rd, lines_get(rd, &p->lines, i)),
			text_of(m->line[i]));
	assert_int_equal(cells_count(rd, &p->cells), m->cell_count);
	for (uint32_t i = 0; i < m->cell_count; i++) {
		const box *b = cells_get(rd, &p->cells, i);

		assert_int_equal(b->n, m->cell[i]);
		assert_string_equal(
			stoa_str_get(rd, &b->text), text_of(m->cell[i]));
	}
	for (uint32_t k = 0; k < ROWS; k++) {
		const items *v = rows_get(rd, &p->rows, (uint8_t)k);

		assert_int_equal(v != NULL, m->row[k].count != 0);
		if (v)
			compare_items(
				rd, v, m->row[k].item, m->row[k].count - 1);
	}
	assert_int_equal(stoa_str_size(rd, &p->text), m->text_size);
	assert_memory_equal(
		stoa_str_get(rd, &p->text), m->text_at, m->text_size + 1);
}

static void
compare(struct world *w)
{
	const page *p = w->p;

	STOA_READ(rd, w->seg);
	compare_maps(w, rd);
	compare_vecs(w, rd);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(numbers), &p->numbers), 0);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(hot), &p->hot), 0);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(texts), &p->texts), 0);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(spots), &p->spots), 0);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(boxes), &p->boxes), 0);
	assert_int_equal(
		stoai_hashmap_check(rd, stoa_type_of(rows), &p->rows), 0);
	assert_int_equal(
		stoai_vec_check(rd, stoa_type_of(lines), &p->lines), 0);
	assert_int_equal(
		stoai_vec_check(rd, stoa_type_of(cells), &p->cells), 0);
	assert_int_equal(stoai_str_check(rd, &stoa_type_stoa_str, &p->text), 0);
	assert_int_equal(stoa_tx_error(rd), 0);
}

/* ---- transactions ---- */

/* Returns 0 when it was committed; the model is then what it was made. */
static int
transaction(struct world *w, unsigned level)
{
	int rc;

	w->saved[level] = w->now;
	{
		STOA_TX(tx, w->seg);
		for (uint32_t n = pick(w, 12); n--;) {
			if (level < 2 && !pick(w, 6))
				(void)transaction(w, level + 1);
			else if (!pick(w, 40))
				sweep(w, tx);
			else if (!pick(w, 60))
				clear_some(w, tx);
			else
				change(w, tx);
		}
		if (!pick(w, 20))
			(void)stoa_tx_fail(tx, -EDOM);
		if (!pick(w, 4)) {
			rc = -ECANCELED; /* leave */
			w->undone++;
		} else {
			rc = stoa_tx_commit(tx);
			w->full += rc == -ENOSPC;
			w->failed += rc == -EDOM;
			if (rc && rc != -EDOM && rc != -ENOSPC)
				fail_msg("%s", stoa_error_text());
		}
	}
	if (rc)
		w->now = w->saved[level];
	else
		w->commits++;
	return rc;
}

static uint64_t
used_blocks(struct world *w)
{
	stoa_segment_stat stat;

	stoa_segment_statistics(w->seg, &stat);
	return stat.blocks;
}

/* Every invariant of the segment, and every block belongs to somebody. */
static void
assert_sound(struct world *w)
{
	if (stoa_segment_check(w->seg))
		fail_msg("%s", stoa_error_text());
	assert_int_equal(stoa_segment_leaked(w->seg), 0);
}

static unsigned
steps(unsigned usual)
{
	const char *s = getenv("STOA_STEPS");

	return s ? (unsigned)strtoul(s, NULL, 10) : usual;
}

static void
run(unsigned flags, uint64_t limit, unsigned count, struct world *w)
{
	const char *seed = getenv("STOA_SEED");
	uint64_t blocks;
	const page *p;

	memset(w, 0, sizeof *w);
	w->random = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("STOA_SEED=%llu\n", (unsigned long long)w->random);
	w->random = w->random * 2 + 1;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL | flags,
			STOA_SEGMENT_OPTIONS(.limit = limit,
				.size = limit ? limit : 1 << 20),
			&w->seg),
		0);
	assert_int_equal(stoa_object_open(w->seg, "page", page, &w->p), 0);
	p = w->p;
	blocks = used_blocks(w);
	for (unsigned i = 0; i < count; i++) {
		(void)transaction(w, 0);
		compare(w);
		if (i % 100 == 0)
			assert_sound(w);
	}
	/* one by one: where memory is short, so is the log */
	assert_int_equal(
		STOA_DO(tx, w->seg, numbers_clear(tx, &p->numbers),
			hot_clear(tx, &p->hot), spots_clear(tx, &p->spots)),
		0);
	assert_int_equal(STOA_DO(tx, w->seg, texts_clear(tx, &p->texts)), 0);
	assert_int_equal(STOA_DO(tx, w->seg, boxes_clear(tx, &p->boxes)), 0);
	assert_int_equal(STOA_DO(tx, w->seg, items_clear(tx, &p->items)), 0);
	assert_int_equal(STOA_DO(tx, w->seg, lines_clear(tx, &p->lines)), 0);
	assert_int_equal(STOA_DO(tx, w->seg, cells_clear(tx, &p->cells)), 0);
	assert_int_equal(STOA_DO(tx, w->seg, rows_clear(tx, &p->rows)), 0);
	assert_int_equal(
		STOA_DO(tx, w->seg, stoa_str_set(tx, &p->text, "")), 0);
	assert_sound(w);
	assert_int_equal(used_blocks(w), blocks);
	print_message("%u commits, %u undone, %u failed, %u out of memory\n",
		w->commits, w->undone, w->failed, w->full);
	stoa_segment_close(w->seg);
}

static void
test_random(void **state)
{
	static struct world w;

	(void)state;
	run(0, 0, steps(6000), &w);
	assert_true(w.commits && w.undone && w.failed);
}

/* Checked mode finds a store that no undo record covers. */
static void
test_random_checked(void **state)
{
	static struct world w;

	(void)state;
	run(STOA_CHECKED, 0, steps(300), &w);
}

/* So little memory that growth fails now and then: everything is undone. */
static void
test_random_full(void **state)
{
	static struct world w;

	(void)state;
	run(0, 128 << 10, steps(6000), &w);
	assert_true(w.full > 0);
}

/* ---- read-only mappings: what looks torn is read again ---- */

enum {
	TORN_KEYS = 40,
	TORN_READS = 3000
};

/* Everything of number n; sizes change with it, so that blocks come and go. */
static int
write_all(stoa_segment *seg, const page *p, uint32_t n)
{
	STOA_TX(tx, seg);
	if (n % 50 == 0) {
		numbers_clear(tx, &p->numbers);
		texts_clear(tx, &p->texts);
		items_clear(tx, &p->items);
	}
	for (uint32_t k = 0; k < TORN_KEYS; k++) {
		numbers_put(tx, &p->numbers, k, n);
		texts_put(tx, &p->texts, text_of(k), text_of(n));
		items_push(tx, &p->items, n);
	}
	for (uint32_t k = 0; k < TORN_KEYS; k++)
		*items_edit(tx, &p->items, k) = n;
	stoa_str_set(tx, &p->text, text_of(n));
	return stoa_tx_commit(tx);
}

/* 0: all of it was of one moment; -EAGAIN: it was not, and the scope says so. */
static int
read_all(stoa_segment *seg, const page *p)
{
	uint64_t sum = 0, first = UINT64_MAX;
	unsigned differ = 0, seen = 0;
	char text[64];
	size_t count;

	STOA_READ(rd, seg);
	const uint32_t *item = items_data(rd, &p->items, &count);

	snprintf(text, sizeof text, "%s", stoa_str_get(rd, &p->text));
	for (uint32_t k = 0; k < TORN_KEYS; k++) {
		const uint64_t *v = numbers_get(rd, &p->numbers, k);
		const char *t = texts_get(rd, &p->texts, text_of(k));

		if (first == UINT64_MAX && v)
			first = *v;
		differ += !v || *v != first || !t || strcmp(t, text) != 0;
		differ += k >= count || item[k] != first;
	}
	for (texts_iter it = texts_begin(rd, &p->texts); texts_next(&it);
		seen++)
		sum += strlen(it.key) + strlen(it.val);
	differ += seen != TORN_KEYS || sum == 0;
	if (stoa_tx_error(rd))
		return stoa_tx_error(rd);
	must(!differ && strcmp(text, text_of((uint32_t)first)) == 0);
	return 0;
}

static int
reader(void *path)
{
	stoa_segment *seg;
	const page *p = NULL;
	unsigned good = 0, torn = 0;
	int rc;

	/* forked before the writer opened it, so this mapping is its own */
	while ((rc = stoa_segment_open(
			path, STOA_FILE | STOA_RDONLY, NULL, &seg)) == -ENOENT)
		usleep(1000);
	must(!rc);
	while (!p) {
		STOA_READ(rd, seg);
		p = stoa_object_find(rd, "page", page);
		if (p && !stoa_str_size(rd, &p->text))
			p = NULL;
	}
	while (good < TORN_READS || !torn) {
		rc = read_all(seg, p);
		must(!rc || rc == -EAGAIN);
		good += !rc;
		torn += rc != 0;
	}
	stoa_segment_close(seg);
	return 0;
}

static void
test_torn(void **state)
{
	char *directory, *path;
	stoa_segment *seg;
	const page *p;
	uint32_t n = 1;
	siginfo_t ended = {0};
	int pid;

	(void)state;
	if (scene_valgrind_cannot("torn reads",
		    "a read takes longer there than the writer rests"))
		skip();
	directory = scene_directory(false);
	path = (char *)(uintptr_t)scene_path(directory, "torn");
	pid = scene_fork(reader, path);
	assert_int_equal(
		stoa_segment_open(path, STOA_CREATE | STOA_FILE, NULL, &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "page", page, &p), 0);
	assert_int_equal(write_all(seg, p, 0), 0);
	while (!waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) &&
		!ended.si_pid) {
		assert_int_equal(write_all(seg, p, n++), 0);
		usleep(n % 64);
	}
	assert_int_equal(scene_wait(pid), 0);
	stoa_segment_close(seg);
	scene_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_checked),
		cmocka_unit_test(test_random_full),
		cmocka_unit_test(test_torn),
	};

	return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
