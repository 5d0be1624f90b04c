/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Sequential fit: the first free block that will do.
 *
 *	state.first -> | size next |  free  | -> | size next |  free  | -> 0
 *	               16            bytes       in order of addresses
 *
 * Two words stand before every block, free or not, so no byte of a block says
 * anything. A block is cut from the end of a free one, whose place in the list then
 * stays what it was; freed, it is joined to what is free right before and behind it.
 * What is cut off for alignment at its end stays the block's.
 *
 * Invariants
 *	I1  the list is in order of addresses, and no two of it touch
 *	I2  no block of anybody begins in what is free
 */
#include "alloc/words.h"
#include "heap/heap.h"

enum {
	FIRST_HEAD = sizeof(uint64_t[2]),
	UNIT = 16,
	FIRST_LEAST = 2 * FIRST_HEAD /* bytes of a free one */
};

struct first_fit {
	uint64_t first;
};

struct piece {
	uint64_t size, next;
};

static const stoa_field first_fit_fields[] = {
	{"first", 0, 8, STOA_KIND_U64, NULL}};
static const stoa_type first_fit_type = {"stoa_heap_first_fit",
	sizeof(struct first_fit), 8, STOA_KIND_STRUCT, 0, first_fit_fields, 1,
	NULL, NULL};

static const struct piece *
piece_at(const stoa_tx *rd, uint64_t off)
{
	return stoai_alloc_at(rd, off, sizeof(struct piece));
}

/* No list is longer than its heap has room for. */
static bool
walk_ends(const stoa_tx *rd, uint64_t *left)
{
	if ((*left)--)
		return false;
	(void)stoai_tx_damaged(rd, "the free blocks of its heap go round");
	return true;
}

static uint64_t
walk_begin(const stoa_tx *rd)
{
	return rd->seg->size / FIRST_LEAST;
}

/*
 * [off, +size) becomes free: the one before it, which link leads out of, and the one
 * behind it take it in if they touch it.
 */
static void
put(stoa_tx *tx, const struct first_fit *s, uint64_t off, uint64_t size)
{
	const struct piece *p, *fresh = piece_at(tx, off), *before = NULL;
	const uint64_t *link = &s->first;
	uint64_t left = walk_begin(tx), before_off = 0, next;

	while (fresh && *link && *link < off) {
		before_off = *link;
		before = piece_at(tx, before_off);
		if (!before || walk_ends(tx, &left))
			return;
		link = &before->next;
	}
	if (!fresh)
		return;
	next = *link;
	if (next && next == off + size) {
		p = piece_at(tx, next);
		if (!p)
			return;
		size += p->size;
		next = p->next;
	}
	if (before && before_off + before->size == off) {
		(void)(stoai_alloc_put(
			       tx, &before->size, before->size + size) &&
			stoai_alloc_put(tx, &before->next, next));
		return;
	}
	(void)(stoai_alloc_put(tx, &fresh->size, size) &&
		stoai_alloc_put(tx, &fresh->next, next) &&
		stoai_alloc_put(tx, link, off));
}

static void
first_fit_extend(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	put(tx, state, from.off, size & ~(uint64_t)(UNIT - 1));
}

/* Where in the free one at off a block of that size begins; 0: nowhere. */
static uint64_t
place(const struct piece *p, uint64_t off, uint64_t size, uint64_t align)
{
	uint64_t end = off + p->size, at;

	if (p->size < size + FIRST_HEAD)
		return 0;
	at = ((end - size) & ~(align - 1)) - FIRST_HEAD;
	if (at < off || at == off || at - off >= FIRST_LEAST)
		return at < off ? 0 : at;
	return (off + FIRST_HEAD) & (align - 1) ? 0 : off;
}

static stoa_ref
first_fit_alloc(stoa_tx *tx, const void *state, uint64_t size, uint64_t align)
{
	const uint64_t *link = &((const struct first_fit *)state)->first;
	uint64_t left = walk_begin(tx), off, at, rest;
	const stoa_ref null = {0};
	const struct piece *p;

	size = stoai_align_up(size, UNIT);
	for (; (off = *link) != 0; link = &p->next) {
		const struct piece *block;
		stoa_ref ref;

		p = piece_at(tx, off);
		if (!p || walk_ends(tx, &left))
			return null;
		at = place(p, off, size, align);
		if (!at)
			continue;
		ref.off = at + FIRST_HEAD;
		rest = at - off;
		if (!rest)
			return stoai_alloc_put(tx, link, p->next) ? ref : null;
		block = piece_at(tx, at);
		return block &&
				       stoai_alloc_put(tx, &block->size,
					       p->size - rest) &&
				       stoai_alloc_put(tx, &p->size, rest)
			       ? ref
			       : null;
	}
	return null;
}

static void
first_fit_free(stoa_tx *tx, const void *state, stoa_ref block)
{
	const struct piece *p = piece_at(tx, block.off - FIRST_HEAD);

	if (p)
		put(tx, state, block.off - FIRST_HEAD, p->size);
}

static uint64_t
first_fit_usable(const stoa_tx *rd, const void *state, stoa_ref block)
{
	const struct piece *p = piece_at(rd, block.off - FIRST_HEAD);

	(void)state;
	return p && p->size > FIRST_HEAD ? p->size - FIRST_HEAD : 0;
}

/* Does a block begin in [from, to)? Those of one run come in order. */
static bool
taken(stoa_segment *seg, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += UNIT)
		if (stoai_heap_block(seg, at))
			return true;
	return false;
}

static int
first_fit_check(const stoa_tx *rd, const void *state)
{
	uint64_t off = ((const struct first_fit *)state)->first, end = 0;

	while (off) {
		const struct piece *p = piece_at(rd, off);
		struct stoai_lent lent;

		if (!p)
			return stoa_tx_error(rd);
		if (off % UNIT || off <= end || p->size < FIRST_LEAST ||
			!stoai_heap_lent(rd->seg, off, &lent) ||
			p->size > lent.end - off)
			return stoai_tx_damaged(rd,
				"first fit I1: the free block at %#llx",
				(unsigned long long)off);
		if (taken(rd->seg, off, off + p->size))
			return stoai_tx_damaged(rd,
				"first fit I2: a block is in the free one at "
				"%#llx",
				(unsigned long long)off);
		end = off + p->size;
		off = p->next;
	}
	return 0;
}

static bool
first_fit_reduce(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	const uint64_t *link = &((const struct first_fit *)state)->first;
	uint64_t left = walk_begin(tx);
	const struct piece *p;

	while (*link && *link < from.off) {
		p = piece_at(tx, *link);
		if (!p || walk_ends(tx, &left))
			return false;
		link = &p->next;
	}
	p = *link == from.off ? piece_at(tx, from.off) : NULL;
	return p && p->size == (size & ~(uint64_t)(UNIT - 1)) &&
	       stoai_alloc_put(tx, link, p->next);
}

const stoa_heap_class stoa_heap_first_fit = {.name = "first-fit",
	.state = &first_fit_type,
	.extend = first_fit_extend,
	.alloc = first_fit_alloc,
	.free = first_fit_free,
	.usable = first_fit_usable,
	.check = first_fit_check,
	.reduce = first_fit_reduce};
