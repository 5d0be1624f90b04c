/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What must a heap class do, whoever wrote it?
 *
 *	random    a model beside it: who owns which block, filled with what
 *	          and what is not needed is asked back
 *	full      to the limit, empty again, and once more
 *	killed    a few calls under the step explorer
 *
 * Every block is filled to its last usable byte, and before a transaction is undone
 * all that it made is filled with garbage: a class that has left a link or a size in
 * a block without saving it finds garbage there.
 */
#include "stoa/conformance.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "explore/explorer.h"
#include "stoa/explore.h"
#include "stoa/stoa.h"

enum {
	OWNERS = 96,
	ROUNDS = 1500,
	CALLS = 6, /* of a transaction, at most */
	LIMIT = 2 << 20,
	FULL_BLOCK = 1000
};

struct owner {
	uint64_t off, size, usable; /* off 0: none */
	uint8_t with;
};

struct random {
	const stoa_heap_class *class;
	stoa_segment *seg;
	uint64_t seed, round;
	struct owner owner[OWNERS];
};

static uint64_t
draw(struct random *r, uint64_t below)
{
	uint64_t x = r->seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % below;
}

static int
wrong(const struct random *r, const char *format, ...) STOA_PRINTF_(2, 3);

static int
wrong(const struct random *r, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return stoai_explore_error(-EBADMSG, "heap '%s', transaction %llu: %s",
		r->class->name, (unsigned long long)r->round, text);
}

/* What the library has found wrong of it. */
static int
found(const struct random *r, const char *when)
{
	char text[512];

	(void)snprintf(text, sizeof text, "%s", stoa_error_text());
	return wrong(r, "%s: %s", when, text);
}

/* ---- random ---- */

static int
still_filled(struct random *r, const stoa_tx *rd, const struct owner *o)
{
	const stoa_ref ref = {o->off};
	const uint8_t *p = stoa_at(rd, ref, o->usable);

	if (!p)
		return found(r, "a block");
	if (stoa_usable(rd, p) != o->usable)
		return wrong(r, "a block of %llu bytes has %llu now",
			(unsigned long long)o->usable,
			(unsigned long long)stoa_usable(rd, p));
	for (uint64_t i = 0; i < o->usable; i++)
		if (p[i] != o->with)
			return wrong(r,
				"byte %llu of %llu of a block was overwritten",
				(unsigned long long)i,
				(unsigned long long)o->usable);
	return 0;
}

static uint64_t
some_size(struct random *r)
{
	switch (draw(r, 8)) {
	case 0:
		return 1 + draw(r, 16);
	case 1:
		return 1 + draw(r, 20000);
	default:
		return 1 + draw(r, 400);
	}
}

static int
make(struct random *r, stoa_tx *tx, struct owner *o)
{
	uint64_t align = draw(r, 4) ? 16 : UINT64_C(16) << draw(r, 9);
	uint8_t *p;

	o->size = some_size(r);
	p = stoa_alloc(tx, o->size, align);
	if (stoa_tx_error(tx))
		return found(r, "alloc");
	o->off = stoa_ref_of(tx, p).off;
	o->usable = stoa_usable(tx, p);
	o->with = (uint8_t)draw(r, 256);
	memset(p, o->with, o->usable);
	return 0;
}

static int
calls(struct random *r, stoa_tx *tx)
{
	int rc = 0;

	for (uint64_t n = 1 + draw(r, CALLS); n && !rc; n--) {
		struct owner *o = &r->owner[draw(r, OWNERS)];
		const stoa_ref ref = {o->off};

		if (!o->off) {
			rc = make(r, tx, o);
			continue;
		}
		rc = still_filled(r, tx, o);
		stoa_free(tx, rc ? NULL : stoa_at(tx, ref, 1));
		o->off = 0;
	}
	return rc;
}

/* A transaction inside this one, undone: the model as well. */
static int
savepoint(struct random *r, stoa_tx *outer)
{
	struct owner saved[OWNERS];
	int rc;

	memcpy(saved, r->owner, sizeof saved);
	STOA_TX(tx, stoa_tx_segment(outer));
	rc = calls(r, tx);
	memcpy(r->owner, saved, sizeof saved);
	return rc;
}

static int
transaction(struct random *r)
{
	struct owner saved[OWNERS];
	bool undone = !draw(r, 3);
	int rc;

	memcpy(saved, r->owner, sizeof saved);
	STOA_TX(tx, r->seg);
	rc = calls(r, tx);
	if (!rc && !draw(r, 4))
		rc = savepoint(r, tx);
	if (!rc && draw(r, 2))
		rc = calls(r, tx);
	if (rc || undone) /* left without a commit */
		memcpy(r->owner, saved, sizeof saved);
	else
		rc = stoa_tx_commit(tx) ? found(r, "commit") : 0;
	return rc;
}

static int
all_filled(struct random *r)
{
	int rc = stoa_segment_check(r->seg) ? found(r, "check") : 0;

	STOA_READ(rd, r->seg);
	for (size_t i = 0; i < OWNERS && !rc; i++)
		if (r->owner[i].off)
			rc = still_filled(r, rd, &r->owner[i]);
	return rc;
}

static int
free_all(struct random *r)
{
	STOA_TX(tx, r->seg);
	for (size_t i = 0; i < OWNERS; i++) {
		const stoa_ref ref = {r->owner[i].off};

		stoa_free(tx, stoa_at(tx, ref, 1));
		r->owner[i].off = 0;
	}
	return stoa_tx_commit(tx) ? found(r, "freeing all") : 0;
}

/* ---- full ---- */

/* One block more in the list; -ENOSPC when there is none. */
static int
push(stoa_segment *seg, uint64_t *last)
{
	uint64_t *p, off;
	int rc;

	STOA_TX(tx, seg);
	p = stoa_alloc(tx, FULL_BLOCK, 16);
	*p = *last;
	off = stoa_ref_of(tx, p).off;
	rc = stoa_tx_commit(tx);
	if (!rc)
		*last = off;
	return rc;
}

static int
pop(stoa_segment *seg, uint64_t *last)
{
	const stoa_ref ref = {*last};
	const uint64_t *p;
	uint64_t next;
	int rc;

	STOA_TX(tx, seg);
	p = stoa_at(tx, ref, 8);
	next = p ? *p : 0;
	stoa_free(tx, p);
	rc = stoa_tx_commit(tx);
	if (!rc)
		*last = next;
	return rc;
}

static int
fill(struct random *r, uint64_t *count)
{
	uint64_t last = 0;
	int rc;

	*count = 0;
	while (!(rc = push(r->seg, &last)) && *count < LIMIT / FULL_BLOCK)
		++*count;
	if (rc && rc != -ENOSPC)
		return found(r, "until memory runs out");
	rc = 0;
	while (last && !rc)
		rc = pop(r->seg, &last);
	return rc ? found(r, "freeing what filled it") : all_filled(r);
}

static int
full(struct random *r)
{
	uint64_t first = 0, second = 0;
	int rc = free_all(r);

	if (!rc)
		rc = fill(r, &first);
	if (!rc)
		rc = fill(r, &second);
	if (!rc && second < first)
		rc = wrong(r,
			"full with %llu blocks; all freed, full with %llu: "
			"free neighbours are not joined, or memory is lost",
			(unsigned long long)first, (unsigned long long)second);
	return rc;
}

static int
play(struct random *r)
{
	int rc = stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_SEGMENT_OPTIONS(.size = LIMIT / 8, .limit = LIMIT,
			.heap = r->class),
		&r->seg);

	for (r->round = 0; r->round < ROUNDS && !rc; r->round++) {
		rc = transaction(r);
		if (!rc && r->round % 64 == 63 && stoa_segment_trim(r->seg) < 0)
			rc = found(r, "trim");
		if (!rc && r->round % 16 == 0)
			rc = all_filled(r);
	}
	if (!rc)
		rc = all_filled(r);
	if (!rc)
		rc = full(r);
	r->seg = stoa_segment_close(r->seg);
	return rc;
}

/* ---- killed ---- */

enum {
	BLOCKS = 6
};

typedef STOA_REF(uint8_t) bytes;
typedef struct blocks {
	bytes block[BLOCKS];
	uint64_t size[BLOCKS];
} blocks;
STOA_TYPE(blocks, (block, uint8_t, own), size);

struct killed {
	const blocks *all;
	int (*op)(stoa_tx *tx, const blocks *all);
};

/* The bytes where a class may have left something. */
static void
scribble(uint8_t *p, uint64_t size, uint8_t with)
{
	memset(p, with, size < 32 ? size : 32);
	memset(p + size - 16, with, 16);
}

static void
put(stoa_tx *tx, const blocks *all, unsigned i, uint64_t size)
{
	uint8_t *p = stoa_alloc(tx, size, i == 3 ? 64 : 16);

	scribble(p, stoa_tx_error(tx) ? size : stoa_usable(tx, p),
		(uint8_t)(i + 1));
	STOA_SET(tx, all->size[i], size);
	STOA_LINK(tx, all->block[i], p);
}

static void
take(stoa_tx *tx, const blocks *all, unsigned i)
{
	stoa_free(tx, stoa_get(tx, all->block[i]));
	STOA_SET(tx, all->size[i], 0);
	STOA_LINK(tx, all->block[i], NULL);
}

static void
turn(stoa_tx *tx, const blocks *all, unsigned i, uint64_t size)
{
	if (all->size[i])
		take(tx, all, i);
	else
		put(tx, all, i, size);
}

static int
blocks_setup(stoa_segment *seg, void *user)
{
	struct killed *k = user;

	if (stoa_object_open(seg, "blocks", blocks, &k->all))
		return -1;
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < BLOCKS; i++)
		put(tx, k->all, i, 40 + 100 * i);
	/* free ones before and behind the third */
	take(tx, k->all, 1);
	take(tx, k->all, 3);
	return stoa_tx_commit(tx);
}

static int
blocks_check(stoa_segment *seg, void *user)
{
	const blocks *all = ((const struct killed *)user)->all;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint8_t *p = stoa_get(rd, all->block[i]);
		uint64_t size = p ? stoa_usable(rd, p) : 0;

		if (size < all->size[i] || !p != !all->size[i])
			return stoa_tx_fail(rd, -EBADMSG);
		for (uint64_t at = 0; at < 16 && p; at++)
			if (p[at] != i + 1 || p[size - 1 - at] != i + 1)
				return stoa_tx_fail(rd, -EILSEQ);
	}
	return stoa_tx_error(rd);
}

static uint64_t
blocks_state(stoa_segment *seg, void *user)
{
	const blocks *all = ((const struct killed *)user)->all;
	uint64_t sum = 1;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++)
		sum = (sum ^ all->size[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

static int
blocks_op(stoa_segment *seg, void *user)
{
	const struct killed *k = user;

	STOA_TX(tx, seg);
	return k->op(tx, k->all) ? stoa_tx_fail(tx, -ECANCELED)
				 : stoa_tx_commit(tx);
}

static int
op_make(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 1, 60);
	return 0;
}

static int
op_join(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 2, 240);
	return 0;
}

static int
op_replace(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 4, 440);
	turn(tx, all, 3, 700);
	return 0;
}

static int
op_extend(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 1, 12000);
	return 0;
}

static int
op_undone(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 2, 240);
	turn(tx, all, 1, 140);
	turn(tx, all, 3, 340);
	return 1;
}

static int
op_savepoint(stoa_tx *tx, const blocks *all)
{
	turn(tx, all, 1, 100);
	{
		STOA_TX(in, stoa_tx_segment(tx));
		turn(in, all, 3, 340);
		turn(in, all, 0, 40);
	}
	turn(tx, all, 5, 540);
	return 0;
}

static const struct {
	const char *name;
	int (*op)(stoa_tx *tx, const blocks *all);
} op[] = {{"a block is made or freed", op_make},
	{"a block between free ones is freed", op_join},
	{"one is freed and another made", op_replace},
	{"it is extended", op_extend}, {"all is undone", op_undone},
	{"a savepoint is undone", op_savepoint}};

static int
killed(const stoa_heap_class *class, unsigned i)
{
	const stoa_segment_options *options =
		STOA_SEGMENT_OPTIONS(.size = 1 << 18, .limit = 1 << 18,
			.threads = 7, .heap = class);
	struct killed k = {.op = op[i].op};
	const stoa_explore_case c = {.name = op[i].name,
		.options = options,
		.setup = blocks_setup,
		.op = blocks_op,
		.check = blocks_check,
		.state = blocks_state,
		.user = &k};
	stoa_explore_result r;
	int rc = stoa_explore_run(&c,
		STOA_EXPLORE_SAMPLE | STOA_EXPLORE_NO_PAIRS |
			STOA_EXPLORE_NO_INTERLEAVE,
		&r);

	if (rc || !r.failures)
		return rc;
	return stoai_explore_error(-EBADMSG, "heap '%s', killed while %s: %s",
		class->name, op[i].name, r.text);
}

int
stoa_heap_conformance(const stoa_heap_class *c, uint64_t seed, unsigned flags)
{
	struct random r = {.class = c, .seed = seed};
	int rc;

	if (!c || !c->name)
		return stoai_explore_error(-EINVAL,
			"stoa_heap_conformance: a class with a name is needed");
	rc = play(&r);
	for (unsigned i = 0; i < sizeof op / sizeof *op && !rc &&
			     !(flags & STOA_CONFORMANCE_QUICK);
		i++)
		rc = killed(c, i);
	return rc;
}
