/* SPDX-License-Identifier: BSL-1.0 */
/*
 *	| size |  block  | size | next, rest of a free one | ...
 *	  16              16
 */
#include "own_heap.h"
#include "stoa/stoa.h"

enum {
	HEAD = 16,
	LEAST = 48
};

struct gap {
	uint64_t size, pad, next;
};

enum own_heap_mistake own_heap_mistake;

static const struct gap *
gap_at(const stoa_tx *rd, uint64_t off)
{
	const stoa_ref ref = {off};

	return stoa_at(rd, ref, sizeof(struct gap));
}

static void
set(stoa_tx *tx, const uint64_t *to, uint64_t value)
{
	if (own_heap_mistake == OWN_HEAP_CAST)
		*(uint64_t *)(uintptr_t)to = value;
	else
		STOA_SET(tx, *to, value);
}

static void
put(stoa_tx *tx, const own_heap_state *s, uint64_t off, uint64_t size)
{
	const struct gap *g = gap_at(tx, off), *before = NULL, *next;
	const uint64_t *link = &s->first;
	uint64_t at = 0;

	while (g && *link && *link < off) {
		at = *link;
		before = gap_at(tx, at);
		if (!before)
			return;
		link = &before->next;
	}
	if (!g)
		return;
	set(tx, &g->size, size);
	set(tx, &g->next, *link);
	set(tx, link, off);
	next = g->next == off + size ? gap_at(tx, g->next) : NULL;
	if (next) {
		set(tx, &g->size, g->size + next->size);
		set(tx, &g->next, next->next);
	}
	if (before && at + before->size == off) {
		set(tx, &before->size, before->size + g->size);
		set(tx, &before->next, g->next);
	}
}

static void
own_extend(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	put(tx, state, from.off, size & ~UINT64_C(15));
}

static stoa_ref
own_alloc(stoa_tx *tx, const void *state, uint64_t size, uint64_t align)
{
	const uint64_t *link = &((const own_heap_state *)state)->first;
	const struct gap *g;
	stoa_ref ref = {0};

	if (own_heap_mistake == OWN_HEAP_NESTED)
		(void)stoa_alloc(tx, size, align);
	if (own_heap_mistake == OWN_HEAP_OUTSIDE) {
		ref.off = 64;
		return ref;
	}
	if (own_heap_mistake == OWN_HEAP_CROOKED)
		align = 16;
	size = (size + 15) & ~UINT64_C(15);
	size = size + HEAD < LEAST ? LEAST - HEAD : size;
	for (; *link; link = &g->next) {
		uint64_t off = *link, at;

		g = gap_at(tx, off);
		if (!g)
			return ref;
		if (g->size < size + HEAD)
			continue;
		at = ((off + g->size - size) & ~(align - 1)) - HEAD;
		if (at != off && (at < off || at - off < LEAST)) {
			at = off;
			if ((off + HEAD) & (align - 1))
				continue;
		}
		ref.off = at + HEAD;
		if (own_heap_mistake == OWN_HEAP_TWICE)
			return ref;
		if (at == off) {
			if (own_heap_mistake != OWN_HEAP_LINK_UNSAVED)
				(void)stoa_edit_bytes(tx, &g->next, 8);
			set(tx, link, g->next);
		} else {
			const struct gap *b = gap_at(tx, at);

			if (b)
				set(tx, &b->size, off + g->size - at);
			set(tx, &g->size, at - off);
		}
		return ref;
	}
	return ref;
}

static void
own_free(stoa_tx *tx, const void *state, stoa_ref block)
{
	const struct gap *g = gap_at(tx, block.off - HEAD);

	if (g && own_heap_mistake != OWN_HEAP_LOST)
		put(tx, state, block.off - HEAD, g->size);
}

static uint64_t
own_usable(const stoa_tx *rd, const void *state, stoa_ref block)
{
	const struct gap *g = gap_at(rd, block.off - HEAD);
	uint64_t size = g ? g->size - HEAD : 0;

	(void)state;
	return own_heap_mistake == OWN_HEAP_SHORT  ? 16
	       : own_heap_mistake == OWN_HEAP_LONG ? size + (1 << 30)
						   : size;
}

static int
own_check(const stoa_tx *rd, const void *state)
{
	uint64_t at = ((const own_heap_state *)state)->first, end = 0;

	while (at) {
		const struct gap *g = gap_at(rd, at);

		if (!g || at <= end || g->size < LEAST)
			return -EBADMSG;
		end = at + g->size;
		at = g->next;
	}
	return own_heap_mistake == OWN_HEAP_CHECK ? -EBADMSG : 0;
}

const stoa_heap_class own_heap = {.name = "own",
	.state = &stoa_type_own_heap_state,
	.extend = own_extend,
	.alloc = own_alloc,
	.free = own_free,
	.usable = own_usable,
	.check = own_check};
