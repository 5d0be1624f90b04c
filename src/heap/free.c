/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Free, publish and their undoing: by whom, of whose block, and at most once.
 *
 *	block            its owner              another thread
 *	transient        cache                  refused
 *	published        pub bit goes; cache    OR of its remote bit
 *	LARGE            FREE, by one CAS       the same, if published
 *
 * Each is one store or one atomic, so a free has happened or has not.
 *
 * Freeing for a log (heap.h, free_logged) can be asked for twice: by the thread,
 * and by its recoverer when the thread died before its log said done.
 *
 *	freeing = off      from here nobody reuses the block (slab.c, run.c)
 *	the free           a second time it finds its own work and does nothing
 *	*done = next       from here nobody asks again
 *	freeing = 0
 *
 * Whoever finds slot.freeing == off at the begin is the second.
 */
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/stack.h"

struct free_wish {
	stoa_segment *seg;
	struct stoai_seat *seat; /* NULL: slot is a dead one */
	uint32_t slot, word;
	uint64_t off;
	bool again; /* it may have been made already */
};

static int
free_refused(const struct free_wish *wish, const char *why)
{
	return stoai_error(-EINVAL, "%s: free of %#llx: %s",
		stoai_name(wish->seg), (unsigned long long)wish->off, why);
}

static const char *const freed_already = "it was freed before";

/* The calling thread's seat, if it is that slot's. */
static struct stoai_seat *
seat_of_slot(stoa_segment *seg, uint32_t slot)
{
	struct stoai_seat *seat = stoai_seat_of(seg);

	return seat && seat->index == slot ? seat : NULL;
}

static uint32_t
word_of_slot(const stoa_segment *seg, uint32_t slot)
{
	return stoai_lock_word(
		slot, a32_load_relaxed(&stoai_slot_at(seg, slot)->generation));
}

/* ---- a block of the slot's own slab ---- */

/* It is unpublished now; false: it was in the cache already. */
static bool
own_cache(struct stoai_seat *seat, const struct stoai_block *block)
{
	struct stoai_cache *h = seat->heap;
	struct stoai_own own;

	h->heap_size = stoai_span_count(seat->seg) << seat->seg->span_shift;
	if (!stoai_own_find(h, block->off, &own) ||
		stoai_stack_holds(h, &own, block->off))
		return false;
	stoai_stack_push(seat, &own, block->off);
	return true;
}

static int
own_free(const struct free_wish *wish, const struct stoai_block *block)
{
	uint64_t pub = a64_load_relaxed(&block->bits->pub);

	if (!(a64_load_relaxed(&block->bits->alloc) & block->bit))
		return wish->again ? 0 : free_refused(wish, freed_already);
	if (!wish->again && a64_load_relaxed(&block->bits->remote) & block->bit)
		return free_refused(wish, freed_already);
	if (pub & block->bit)
		a64_store_kill(&block->bits->pub, pub & ~block->bit);
	if (wish->seat && !own_cache(wish->seat, block))
		return free_refused(wish, freed_already);
	return 0;
}

/* ---- a block of another's slab ---- */

static int
remote_free(const struct free_wish *wish, const struct stoai_block *block)
{
	uint64_t old;

	if (!(a64_load_relaxed(&block->bits->alloc) & block->bit))
		return free_refused(wish, freed_already);
	if (!(a64_load_relaxed(&block->bits->pub) & block->bit))
		return free_refused(
			wish, "another thread has it unpublished, or freed it");
	/* pairs with: stoai_slab_harvest, load of the remote words */
	old = a64_fetch_or_seq_cst(&block->bits->remote, block->bit);
	return old & block->bit && !wish->again
		       ? free_refused(wish, freed_already)
		       : 0;
}

/* ---- any block ---- */

static int
large_free(const struct free_wish *wish, const struct stoai_block *block)
{
	if (!(block->word & STOAI_SPAN_PUBLISHED) &&
		!stoai_span_transient_of(block->word, wish->slot))
		return free_refused(wish, "another thread has it unpublished");
	if (!stoai_run_free(wish->seg, block->span, block->word) &&
		!wish->again)
		return free_refused(wish, freed_already);
	return 0;
}

static int
block_free(const struct free_wish *wish)
{
	struct stoai_block block;
	struct stoai_meta *meta;

	if (!stoai_block_find(wish->seg, wish->off, &block))
		return wish->again ? 0
				   : free_refused(wish, "no block is there");
	if (block.off != wish->off)
		return free_refused(wish, "no block begins there");
	if (stoai_span_state(block.word) == STOAI_SPAN_LARGE)
		return large_free(wish, &block);
	meta = stoai_meta_at(wish->seg, block.span);
	return (uint32_t)a64_load_acquire(&meta->owner) == wish->word
		       ? own_free(wish, &block)
		       : remote_free(wish, &block);
}

int
stoai_heap_free_slow(struct stoai_seat *seat, uint64_t off)
{
	struct free_wish wish = {.seg = seat->seg,
		.seat = seat,
		.slot = seat->index,
		.word = seat->word,
		.off = off};

	return block_free(&wish);
}

int
stoai_heap_free_logged(stoa_segment *seg, uint32_t slot, uint64_t off,
	uint64_t *done, uint64_t next)
{
	uint64_t *freeing = &stoai_slot_at(seg, slot)->freeing;
	struct free_wish wish = {.seg = seg,
		.seat = seat_of_slot(seg, slot),
		.slot = slot,
		.word = word_of_slot(seg, slot),
		.off = off,
		.again = a64_load_relaxed(freeing) == off};
	int rc;

	a64_store_kill(freeing, off);
	rc = wish.seat && !wish.again ? stoai_heap_free(wish.seat, off)
				      : block_free(&wish);
	a64_store_kill(done, next);
	/* pairs with: the barriers of harvest and join, load of freeing */
	a64_store_release(freeing, 0);
	return rc;
}

void
stoai_heap_publish_run(struct stoai_seat *seat, uint64_t off)
{
	struct stoai_block block;

	/* else it has been ours a moment ago: damage, which a check will find */
	if (stoai_block_find(seat->seg, off, &block) && block.off == off &&
		stoai_span_transient_of(block.word, seat->index))
		a64_store_release(stoai_span_at(seat->seg, block.span),
			block.word | STOAI_SPAN_PUBLISHED);
}

void
stoai_heap_publish_many(
	struct stoai_seat *seat, size_t n, const struct stoai_cached *block)
{
	struct stoai_cache *h = seat->heap;
	struct stoai_bits *bits = NULL;
	uint64_t pub = 0;

	for (size_t i = 0; i < n; i++) {
		struct stoai_bits *its = stoai_place_bits(h, block[i].place);

		if (!block[i].place) {
			stoai_heap_publish_run(seat, block[i].off);
			continue;
		}
		if (its != bits) {
			if (bits)
				a64_store_kill(&bits->pub, pub);
			bits = its;
			pub = a64_load_relaxed(&bits->pub);
		}
		pub |= stoai_place_bit(block[i].place);
	}
	if (bits)
		a64_store_kill(&bits->pub, pub);
}

static void
slab_unpublish(
	stoa_segment *seg, uint32_t slot, const struct stoai_block *block)
{
	struct stoai_seat *seat = seat_of_slot(seg, slot);
	uint64_t owner =
		a64_load_acquire(&stoai_meta_at(seg, block->span)->owner);

	if ((uint32_t)owner != word_of_slot(seg, slot) ||
		!(a64_load_relaxed(&block->bits->alloc) & block->bit))
		return;
	a64_store_kill(&block->bits->pub,
		a64_load_relaxed(&block->bits->pub) & ~block->bit);
	if (seat)
		(void)own_cache(seat, block);
}

void
stoai_heap_unpublish(stoa_segment *seg, uint32_t slot, uint64_t off)
{
	struct stoai_block block;

	if (!stoai_block_find(seg, off, &block) || block.off != off)
		return;
	if (stoai_span_state(block.word) == STOAI_SPAN_SLAB)
		slab_unpublish(seg, slot, &block);
	else if (stoai_span_owner(block.word) != slot)
		return;
	else if (seat_of_slot(seg, slot))
		(void)stoai_run_free(seg, block.span, block.word);
	else
		a64_store_release(stoai_span_at(seg, block.span),
			block.word & ~(STOAI_SPAN_PUBLISHED | STOAI_SPAN_LENT));
}
