/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap's own part of the soak: blocks of 16 bytes to 1 MiB on shelves, made by one
 * worker and changed, moved and freed by others. See world.h, W10, for what is in one.
 */
#include "ops.h"

enum {
	ROW = 16,    /* blocks by one call */
	HOARD = 200, /* that one transaction makes and frees again */
	SIZES = 16   /* powers of two, from 16 B on */
};

static uint32_t
some_size(struct actor *me)
{
	const uint32_t least = 16u << below(me, SIZES);

	return least + below(me, least);
}

/* Mostly none; now and then a cache line, or a page. */
static uint64_t
some_align(struct actor *me)
{
	const uint32_t what = below(me, 16);

	return what == 0 ? 4096 : what == 1 ? 64 : 0;
}

static const shelf *
some_shelf(struct actor *me)
{
	return &me->w->shelf[below(me, SHELVES)];
}

/* Who looked at it last was told that it is whole: it is so still. */
static void
take_off(stoa_tx *tx, const shelf *s, const holder *h)
{
	check_holder(tx, h);
	STOA_SET(tx, s->bytes, s->bytes - h->size);
	STOA_SET(tx, h->size, 0);
	STOA_LINK(tx, h->block, NULL);
}

static void
put_on(stoa_tx *tx, const shelf *s, const holder *h, uint8_t *p, uint64_t size,
	uint64_t stamp)
{
	pattern_write(p, 0, size, stamp);
	STOA_LINK(tx, h->block, p);
	STOA_SET(tx, h->size, size);
	STOA_SET(tx, h->stamp, stamp);
	STOA_SET(tx, s->bytes, s->bytes + size);
}

/* Another block in its place; whose the old one was does not matter. */
static int
op_block(struct actor *me)
{
	const shelf *s = some_shelf(me);
	const holder *h = &s->at[below(me, PLACES)];
	const uint64_t size = some_size(me), stamp = next_random(&me->random);
	const uint8_t *old;

	STOA_TX(tx, me->seg, &s->lock);
	old = stoa_get(tx, h->block);
	take_off(tx, s, h);
	stoa_free(tx, old);
	if (below(me, 8))
		put_on(tx, s, h, stoa_alloc(tx, size, some_align(me)), size,
			stamp);
	return end_tx(me, tx);
}

static int
op_block_resize(struct actor *me)
{
	const shelf *s = some_shelf(me);
	const holder *h = &s->at[below(me, PLACES)];
	const uint64_t size = some_size(me);
	const uint8_t *p;
	uint64_t from;

	STOA_TX(tx, me->seg, &s->lock);
	p = stoa_get(tx, h->block);
	if (!p)
		return stoa_tx_commit(tx);
	check_holder(tx, h);
	from = h->size & ~UINT64_C(7);
	p = stoa_resize(tx, p, size, 16);
	if (size > from)
		pattern_write(stoa_edit_bytes(tx, p + from, size - from), from,
			size, h->stamp);
	STOA_LINK(tx, h->block, p);
	STOA_SET(tx, s->bytes, s->bytes - h->size + size);
	STOA_SET(tx, h->size, size);
	check_holder(tx, h);
	return end_tx(me, tx);
}

/* Two change their places, so who frees one is seldom who made it. */
static int
op_block_move(struct actor *me)
{
	const shelf *s = some_shelf(me), *t = some_shelf(me);
	const holder *h = &s->at[below(me, PLACES)];
	const holder *i = &t->at[below(me, PLACES)];

	STOA_TX(tx, me->seg, &s->lock, &t->lock);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	const holder was_h = *h, was_i = *i;

	STOA_SET(tx, *h, was_i);
	STOA_SET(tx, *i, was_h);
	STOA_SET(tx, s->bytes, s->bytes - was_h.size + was_i.size);
	STOA_SET(tx, t->bytes, t->bytes - was_i.size + was_h.size);
	check_holder(tx, h);
	return end_tx(me, tx);
}

/* A row of small ones by one call, the old row by another. */
static int
op_block_row(struct actor *me)
{
	const shelf *s = some_shelf(me);
	const holder *h = &s->at[below(me, PLACES - ROW)];
	const bool equal = below(me, 2);
	uint64_t sizes[ROW];
	const void *old[ROW];
	void *made[ROW];

	for (int i = 0; i < ROW; i++)
		sizes[i] = equal && i ? sizes[0] : 16 + below(me, 2000);
	STOA_TX(tx, me->seg, &s->lock);
	for (int i = 0; i < ROW; i++) {
		old[i] = stoa_get(tx, h[i].block);
		take_off(tx, s, &h[i]);
	}
	stoa_free_many(tx, ROW, old);
	if (!(equal ? stoa_alloc_many(tx, ROW, sizes[0], 0, made)
		    : stoa_alloc_sizes(tx, ROW, sizes, 0, made)))
		return stoa_tx_error(tx);
	for (int i = 0; i < ROW; i++)
		put_on(tx, s, &h[i], made[i], sizes[i],
			next_random(&me->random));
	return end_tx(me, tx);
}

/* Many that nobody else ever sees: more than a thread caches. */
static int
op_block_hoard(struct actor *me)
{
	const uint32_t size = 16 + below(me, 700);
	uint8_t *made[HOARD];

	STOA_TX(tx, me->seg, &some_shelf(me)->lock);
	for (int i = 0; i < HOARD; i++) {
		made[i] = stoa_alloc(tx, size, 0);
		pattern_write(made[i], 0, size, (uint64_t)i);
	}
	for (int i = 0; i < HOARD && !stoa_tx_error(tx); i++)
		if (!pattern_whole(made[i], size, (uint64_t)i))
			broken("W10: a fresh block was another's too");
	for (int i = 0; i < HOARD; i++)
		stoa_free(tx, made[i]);
	return end_tx(me, tx);
}

static int
op_block_read(struct actor *me)
{
	const shelf *s = some_shelf(me);

	STOA_READ(rd, me->seg, &s->lock);
	check_shelf(rd, s);
	return stoa_tx_error(rd);
}

const struct op block_ops[BLOCK_OPS] = {
	{"block", op_block, 300, true, false, BLOCKS},
	{"block resize", op_block_resize, 150, true, false, BLOCKS},
	{"block move", op_block_move, 150, false, false, BLOCKS},
	{"block row", op_block_row, 100, false, false, BLOCKS},
	{"block hoard", op_block_hoard, 40, false, false, BLOCKS},
	{"block read", op_block_read, 10, false, false, BLOCKS},
};
