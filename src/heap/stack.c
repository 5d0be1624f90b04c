/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The stack of a class: how do cached blocks become free for the slab again, and
 * is a block cached already?
 *
 *	bottom           top           limit
 *	| old . . . . new |             |      each: *(block) == offset ^ key
 *
 * Spilling clears allocated bits, one store for neighbours in a word. A slab that
 * is empty then is given back at once, unless the class is allocating from it: an
 * idle thread keeps one empty slab of a class at most.
 *
 * A block that is freed twice would be handed out twice. A published one is seen
 * by its bits. For an unpublished one the mark tells that it may be cached; the
 * search in the stack makes it certain.
 */
#include "heap/stack.h"

static void
class_hint(struct stoai_cache *h, struct stoai_class *c, uint64_t span)
{
	uint32_t i = span % STOAI_HINTS;

	h->hint[c->index][i] = (uint32_t)span;
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

/* Blocks of one word, the first of them at `from`, are free; all were cached. */
static void
word_return(struct stoai_seat *seat, struct stoai_class *c,
	const struct stoai_cached *from, uint64_t gone)
{
	struct stoai_bits *bits = stoai_place_bits(seat->heap, from->place);
	uint64_t alloc = a64_load_relaxed(&bits->alloc) & ~gone;
	stoa_segment *seg = seat->seg;
	uint64_t span = stoai_span_of(seg, from->off);

	a64_store_kill(&bits->alloc, alloc);
	if (span == c->current)
		c->avail |=
			UINT64_C(1)
			<< (bits - stoai_meta_bits(stoai_meta_at(seg, span)));
	else if (alloc || !stoai_slab_release(seg, span, c->index))
		class_hint(seat->heap, c, span);
}

/* The oldest go; neighbours in a word by one store. */
static void
stack_return(struct stoai_seat *seat, struct stoai_class *c, size_t count)
{
	size_t left = (size_t)(c->top - c->bottom) - count;

	for (size_t i = 0; i < count;) {
		const struct stoai_cached *from = &c->bottom[i];
		uint64_t gone = 0;

		for (; i < count && c->bottom[i].place >> 6 == from->place >> 6;
			i++)
			gone |= stoai_place_bit(c->bottom[i].place);
		word_return(seat, c, from, gone);
	}
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

	c->fresh = 0;
	if (fresh)
		word_return(seat, c, &c->fresh_from, fresh);
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
	if (!stoai_mark_is_set(h, off))
		return false;
	for (const struct stoai_cached *p = c->bottom; p < c->top; p++)
		if (p->off == off)
			return true;
	return false;
}

void
stoai_stack_push(
	struct stoai_seat *seat, const struct stoai_own *own, uint64_t off)
{
	if (own->class->top == own->class->limit)
		stoai_stack_spill(seat, own->class);
	stoai_class_push(seat->heap, own, off);
}
