/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: raw blocks, made, freed, and made longer and
 * shorter where they are. What a block holds is what it held, whoever died.
 */
#include <errno.h>
#include <string.h>
#include "crash.h"
#include "stoa/stoa.h"

enum {
	SPAN = 4096, /* of a segment as small as the explorer's */
	BLOCKS = 5
};

typedef STOA_REF(uint8_t) raw;

typedef struct store {
	stoa_mutex side; /* of `other` alone */
	raw block[BLOCKS];
	raw other;
	uint64_t size[BLOCKS]; /* bytes that hold something */
} store;
STOA_TYPE(store, side, (block, uint8_t, own), (other, uint8_t, own), size);

struct test {
	const store *s;
	void (*fill)(stoa_tx *tx, const store *s);
	void (*body)(stoa_tx *tx, const store *s);
};

/* ---- what blocks hold ---- */

/* A word in every 512 bytes: more would only be more images. */
static uint64_t
word_of(unsigned i, uint64_t at)
{
	return (i + 1) * UINT64_C(0x9e3779b97f4a7c15) + at;
}

static void
pattern(stoa_tx *tx, const void *p, unsigned i, uint64_t from, uint64_t to)
{
	for (uint64_t at = (from + 511) / 512 * 512; at + 8 <= to; at += 512)
		*(uint64_t *)stoa_edit_bytes(tx, (const char *)p + at, 8) =
			word_of(i, at);
}

static bool
pattern_holds(const uint8_t *p, unsigned i, uint64_t size)
{
	for (uint64_t at = 0; at + 8 <= size; at += 512) {
		const uint64_t word = word_of(i, at);

		if (memcmp(p + at, &word, 8) != 0)
			return false;
	}
	return true;
}

static void
put(stoa_tx *tx, const store *s, unsigned i, const void *p, uint64_t size)
{
	uint64_t had = s->size[i];

	if (size > had)
		pattern(tx, p, i, had, size);
	STOA_SET(tx, s->size[i], size);
	STOA_LINK(tx, s->block[i], p);
}

static const void *
block(const stoa_tx *tx, const store *s, unsigned i)
{
	return stoa_get(tx, s->block[i]);
}

static void
drop(stoa_tx *tx, const store *s, unsigned i)
{
	stoa_free(tx, block(tx, s, i));
	STOA_LINK(tx, s->block[i], NULL);
	STOA_SET(tx, s->size[i], 0);
}

static void
make(stoa_tx *tx, const store *s, unsigned i, uint64_t size)
{
	drop(tx, s, i);
	put(tx, s, i, stoa_alloc(tx, size, 64), size);
}

static int
store_check(stoa_segment *seg, void *user)
{
	const store *s = ((struct test *)user)->s;

	if (s->side.word_)
		return -EBUSY;
	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint8_t *p = stoa_get(rd, s->block[i]);

		if (!p != !s->size[i] || (p && stoa_usable(rd, p) < s->size[i]))
			return stoa_tx_fail(rd, -EBADMSG);
		if (p && !pattern_holds(p, i, s->size[i]))
			return stoa_tx_fail(rd, -EILSEQ);
	}
	return stoa_tx_error(rd);
}

static uint64_t
store_state(stoa_segment *seg, void *user)
{
	const store *s = ((struct test *)user)->s;
	uint64_t sum = 1;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++)
		sum = (sum ^ s->size[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return stoa_tx_error(rd) ? 0 : sum;
}

static int
store_setup(stoa_segment *seg, void *user)
{
	struct test *t = user;
	int rc = stoa_object_open(seg, "store", store, &t->s);

	if (rc)
		return rc;
	STOA_TX(tx, seg, stoa_segment_lock(seg), &t->s->side);
	if (t->fill)
		t->fill(tx, t->s);
	return stoa_tx_commit(tx);
}

static int
store_op(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX(tx, seg);
	t->body(tx, t->s);
	return stoa_tx_commit(tx);
}

static int
store_undone(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX(tx, seg);
	t->body(tx, t->s);
	return stoa_tx_fail(tx, -EDOM);
}

/* ---- what others do meanwhile ---- */

static int
others_try(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	t->body(tx, t->s);
	return stoa_tx_commit(tx);
}

/* Under another lock: the block there goes, another of two spans comes. */
static int
others_side(stoa_segment *seg, void *user)
{
	const store *s = ((struct test *)user)->s;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &s->side);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	stoa_free(tx, stoa_get(tx, s->other));
	STOA_LINK(tx, s->other, stoa_alloc(tx, 2 * SPAN, 0));
	return stoa_tx_commit(tx);
}

/* Every span that can be had, filled with garbage, and given back. */
static int
others_exhaust(stoa_segment *seg, void *user)
{
	const store *s = ((struct test *)user)->s;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &s->side);
	for (unsigned i = 0; i < 40 && !stoa_tx_error(tx); i++) {
		char *p = stoa_alloc(tx, SPAN, 0);

		for (unsigned at = 0; at < SPAN; at += 512)
			memset(p + at, 0xee, 64);
	}
	(void)stoa_tx_fail(tx, -ECANCELED);
	return 0;
}

static const stoa_explore_op others[] = {{"the same", others_try, false},
	{"free and take", others_side, false},
	{"exhaust", others_exhaust, true}};
static const stoa_explore_op side_others[] = {
	{"free and take", others_side, false},
	{"exhaust", others_exhaust, true}};

/* ---- bodies ---- */

static void
two_blocks(stoa_tx *tx, const store *s)
{
	make(tx, s, 0, 100);
	make(tx, s, 1, SPAN + 100);
}

static void
alloc_both(stoa_tx *tx, const store *s)
{
	make(tx, s, 2, 200);
	make(tx, s, 3, 2 * SPAN);
}

static void
free_both(stoa_tx *tx, const store *s)
{
	drop(tx, s, 0);
	drop(tx, s, 1);
}

static void
alloc_many(stoa_tx *tx, const store *s)
{
	static const uint64_t sizes[2] = {40, SPAN + 1};
	void *p[BLOCKS];

	for (unsigned i = 0; i < BLOCKS; i++)
		drop(tx, s, i);
	(void)stoa_alloc_many(tx, 3, 100, 0, p);
	(void)stoa_alloc_sizes(tx, 2, sizes, 64, p + 3);
	for (unsigned i = 0; i < 3; i++)
		put(tx, s, i, p[i], 100);
	put(tx, s, 3, p[3], 40);
	put(tx, s, 4, p[4], SPAN + 1);
}

static void
free_many(stoa_tx *tx, const store *s)
{
	const void *p[2] = {block(tx, s, 0), block(tx, s, 1)};

	stoa_free_many(tx, 2, p);
	for (unsigned i = 0; i < 2; i++) {
		STOA_LINK(tx, s->block[i], NULL);
		STOA_SET(tx, s->size[i], 0);
	}
}

/* Free spans behind block 1. */
static void
room_behind(stoa_tx *tx, const store *s)
{
	make(tx, s, 1, 2 * SPAN);
}

static void
longer_by(stoa_tx *tx, const store *s, uint64_t more)
{
	uint64_t size = s->size[1] + more;

	put(tx, s, 1, stoa_resize(tx, block(tx, s, 1), size, 0), size);
}

static void
longer(stoa_tx *tx, const store *s)
{
	longer_by(tx, s, 2 * SPAN);
}

/* Something lies behind it: it moves. */
static void
no_room_behind(stoa_tx *tx, const store *s)
{
	make(tx, s, 1, 2 * SPAN);
	make(tx, s, 2, SPAN);
}

static void
shorter(stoa_tx *tx, const store *s)
{
	uint64_t size = SPAN - 10;

	STOA_SET(tx, s->size[1], size);
	put(tx, s, 1, stoa_resize(tx, block(tx, s, 1), size, 0), size);
}

static void
four_spans(stoa_tx *tx, const store *s)
{
	make(tx, s, 1, 4 * SPAN);
}

/* Its third span alone; what it holds is written anew there. */
static void
middle(stoa_tx *tx, const store *s)
{
	const void *p =
		stoa_keep(tx, block(tx, s, 1), 2 * SPAN + 8, SPAN - 100);

	STOA_SET(tx, s->size[1], 0);
	put(tx, s, 1, p, SPAN - 100);
}

/* Block 1 between what was freed in front of it and what is free behind it. */
static void
room_in_front(stoa_tx *tx, const store *s)
{
	make(tx, s, 0, 2 * SPAN);
	make(tx, s, 1, SPAN + 10);
	make(tx, s, 2, SPAN);
}

static int
setup_in_front(stoa_segment *seg, void *user)
{
	int rc = store_setup(seg, user);
	const store *s = ((struct test *)user)->s;

	return rc ? rc : STOA_DO(tx, seg, drop(tx, s, 0));
}

static int
setup_both_sides(stoa_segment *seg, void *user)
{
	int rc = setup_in_front(seg, user);
	const store *s = ((struct test *)user)->s;

	return rc ? rc : STOA_DO(tx, seg, drop(tx, s, 2));
}

static void
wish(stoa_tx *tx, const store *s, uint64_t size, unsigned how)
{
	stoa_wish w = {.old = block(tx, s, 1),
		.size = size,
		.least = size,
		.how = how};

	if (stoa_obtain(tx, &w))
		return;
	if (w.p != w.old) { /* its bytes lie elsewhere: all of them anew */
		STOA_SET(tx, s->size[1], 0);
		if (!w.kept)
			stoa_free(tx, w.old);
	}
	put(tx, s, 1, w.p, size);
}

static void
longer_in_front(stoa_tx *tx, const store *s)
{
	wish(tx, s, s->size[1] + SPAN, STOA_WISH_FORWARD | STOA_WISH_BACKWARD);
}

static void
longer_both(stoa_tx *tx, const store *s)
{
	wish(tx, s, s->size[1] + 5 * SPAN,
		STOA_WISH_FORWARD | STOA_WISH_BACKWARD);
}

static void
wish_new(stoa_tx *tx, const store *s)
{
	wish(tx, s, 3 * SPAN, STOA_WISH_NEW | STOA_WISH_ZERO);
}

static void
in_vain(stoa_tx *tx, const store *s)
{
	wish(tx, s, 1000 * SPAN, STOA_WISH_FORWARD | STOA_WISH_BACKWARD);
	STOA_SET(tx, s->size[1], s->size[1] - 1);
}

/* One block, again and again in one transaction, some of it undone. */
static void
up_and_down(stoa_tx *tx, const store *s)
{
	longer_by(tx, s, SPAN);
	{
		STOA_TX(inner, stoa_tx_segment(tx));
		shorter(inner, s);
		longer_by(inner, s, SPAN);
		(void)stoa_tx_fail(inner, -EDOM);
	}
	shorter(tx, s);
	longer_by(tx, s, SPAN);
	make(tx, s, 2, 200);
}

static int
zero_op(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_memory_zero(seg) < 0 ? -EIO : 0;
}

#define COVERS(text) .covers = text
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))

#define CASE_OP(title, calls, setup_, op_, others_, fill_, body_, more) \
 { \
  .explore = {.name = title, \
	  .setup = setup_, \
	  .op = op_, \
	  .check = store_check, \
	  .state = store_state, \
	  .others = others_, \
	  .other_count = COUNT(others_), \
	  .user = &(struct test){.fill = fill_, .body = body_}}, \
  COVERS(calls), .flags = more \
 }
#define CASE(title, calls, fill_, body_) \
 CASE_OP(title, calls, store_setup, store_op, others, fill_, body_, 0)
#define UNDONE(title, fill_, body_) \
 CASE_OP(title, "", store_setup, store_undone, side_others, fill_, body_, 0)

static const struct crash_case cases[] = {
	CASE("raw blocks, made", "stoa_alloc stoa_edit_bytes", two_blocks,
		alloc_both),
	CASE("raw blocks, freed", "stoa_free", two_blocks, free_both),
	CASE_OP("many at once", "stoa_alloc_many stoa_alloc_sizes", store_setup,
		store_op, others, NULL, alloc_many, STOA_EXPLORE_SAMPLE),
	CASE("many freed", "stoa_free_many", two_blocks, free_many),
	CASE("longer in place", "stoa_resize", room_behind, longer),
	UNDONE("longer in place, undone", room_behind, longer),
	CASE("longer elsewhere", "stoa_resize", no_room_behind, longer),
	CASE("shorter in place", "stoa_resize", four_spans, shorter),
	UNDONE("shorter in place, undone", four_spans, shorter),
	CASE("middle kept", "stoa_keep", four_spans, middle),
	UNDONE("middle kept, undone", four_spans, middle),
	CASE_OP("longer in front", "stoa_obtain", setup_in_front, store_op,
		others, room_in_front, longer_in_front, 0),
	CASE_OP("longer in front, undone", "", setup_in_front, store_undone,
		side_others, room_in_front, longer_in_front, 0),
	CASE_OP("longer on both sides", "stoa_obtain", setup_both_sides,
		store_op, others, room_in_front, longer_both, 0),
	CASE_OP("longer on both sides, undone", "", setup_both_sides,
		store_undone, side_others, room_in_front, longer_both, 0),
	CASE("another block", "stoa_obtain", room_behind, wish_new),
	CASE("in vain", "stoa_obtain", four_spans, in_vain),
	CASE_OP("up and down in one transaction", "stoa_resize", store_setup,
		store_op, others, room_behind, up_and_down,
		STOA_EXPLORE_SAMPLE),
	CASE_OP("up and down, undone", "stoa_resize", store_setup, store_undone,
		side_others, room_behind, up_and_down, STOA_EXPLORE_SAMPLE),
	CASE_OP("free memory zeroed", "stoa_memory_zero", store_setup, zero_op,
		side_others, two_blocks, NULL, STOA_EXPLORE_SAMPLE),
};

int
main(int argc, char **argv)
{
	return crash_main("memory", cases, COUNT(cases), argc, argv);
}
