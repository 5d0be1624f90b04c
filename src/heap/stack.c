/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The stack of a class: how do cached blocks become free for the slab again, and
 * is a block cached already?
 *
 *	bottom           top           limit
 *	| old . . . . new |             |      each: *(block) == offset ^ key
 *
 * Spilling clears allocated bits, one store a block. A slab that is empty then
 * is given back at once, unless the class is allocating from it: an idle thread
 * keeps one empty slab of a class at most.
 *
 * A block that is freed twice would be handed out twice. A published one is seen
 * by its bits. For an unpublished one the mark tells that it may be cached; the
 * search in the stack makes it certain.
 */
#include "heap/stack.h"

static void
class_hint(struct stoai_class *c, uint64_t span)
{
	uint32_t i = span % STOAI_HINTS;

	c->hint[i] = (uint32_t)span;
	c->hints |= UINT64_C(1) << i;
}

void
stoai_class_forget(struct stoai_class *c, uint64_t span)
{
	if (c->current == span) {
		c->current = STOAI_NO_SPAN;
		c->avail = 0;
	}
}

/* After a block of `own` became free. */
static void
slab_freed(struct stoai_seat *seat, const struct stoai_own *own, uint64_t off)
{
	struct stoai_class *c = own->class;
	stoa_segment *seg = seat->seg;
	uint64_t span = stoai_span_of(seg, off);
	uint64_t w = (off - stoai_span_off(seg, span)) / c->size >> 6;

	if (span == c->current)
		c->avail |= UINT64_C(1) << w;
	else if (a64_load_relaxed(&own->bits->alloc) ||
		 !stoai_slab_release(seg, span, c->index))
		class_hint(c, span);
}

static void
block_return(struct stoai_seat *seat, uint64_t off)
{
	struct stoai_own own;

	if (!stoai_own_find(seat->heap, off, &own))
		return; /* damaged: let it be lost */
	a64_store_kill(&own.bits->alloc,
		a64_load_relaxed(&own.bits->alloc) & ~own.bit);
	slab_freed(seat, &own, off);
}

static void
stack_return(struct stoai_seat *seat, struct stoai_class *c, size_t count)
{
	size_t left = (size_t)(c->top - c->bottom) - count;

	for (size_t i = 0; i < count; i++)
		block_return(seat, c->bottom[i]);
	memmove(c->bottom, c->bottom + count, left * sizeof *c->bottom);
	c->top = c->bottom + left;
}

void
stoai_stack_spill(struct stoai_seat *seat, struct stoai_class *c)
{
	stack_return(seat, c, ((size_t)(c->top - c->bottom) + 1) / 2);
}

static void
fresh_return(struct stoai_seat *seat, struct stoai_class *c)
{
	uint64_t fresh = c->fresh;
	struct stoai_own own;

	c->fresh = 0;
	if (!fresh || !stoai_own_find(seat->heap, c->fresh_at, &own))
		return;
	a64_store_kill(
		&own.bits->alloc, a64_load_relaxed(&own.bits->alloc) & ~fresh);
	slab_freed(seat, &own, c->fresh_at);
}

void
stoai_stack_empty(struct stoai_seat *seat, struct stoai_class *c)
{
	fresh_return(seat, c);
	stack_return(seat, c, (size_t)(c->top - c->bottom));
}

bool
stoai_stack_holds(
	const struct stoai_cache *h, const struct stoai_own *own, uint64_t off)
{
	const struct stoai_class *c = own->class;

	if (stoai_is_fresh(own, off))
		return true;
	if (a64_load_relaxed(stoai_mark_at(h, off)) != (off ^ h->key))
		return false;
	for (const uint64_t *p = c->bottom; p < c->top; p++)
		if (*p == off)
			return true;
	return false;
}

void
stoai_stack_push(struct stoai_seat *seat, struct stoai_class *c, uint64_t off)
{
	const struct stoai_cache *h = seat->heap;

	if (c->top == c->limit)
		stoai_stack_spill(seat, c);
	a64_store_relaxed(stoai_mark_at(h, off), off ^ h->key);
	*c->top++ = off;
}
