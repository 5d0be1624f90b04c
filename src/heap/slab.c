/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Slabs: which blocks of a span are in use, and who may say so?
 *
 *	meta   owner class |          bits[w]                   ..
 *	                   | alloc pub remote  alloc pub remote ..
 *	       alloc pub remote
 *	         0    0    0      free
 *	         1    0    0      transient: its owner's stack or cache alone
 *	         1    1    0      published: shared data owns it
 *	         1    1    1      freed by another thread; free when harvested
 *	         0    0    1      the same, seen in the middle of a harvest that was
 *	                          killed: free once the bit is cleared
 *	owner  slot's word | sequence << 32; low half 0: abandoned, claimed by CAS
 *
 * Only the owner stores alloc and pub, by plain stores of whole words; a dead
 * owner's recoverer does in its stead. Any thread ORs into remote.
 *
 * Invariants (check.c)
 *	I3  class and size of a slab agree with the size of a span
 *	I4  no bit stands for a block that is not there
 *	I5  a published block is allocated
 *	I6  an abandoned slab has no transients
 *	I7  an owner lives: its slot's generation is the word's, and its slot's
 *	    regions name the place
 *
 * Crash argument. Making: the span is an unpublished LARGE run of its maker until
 * one store makes it a slab. Harvest: published goes first, so a death leaves a
 * transient, which recovery frees; then allocated; the remote bit goes last, or a
 * death would lose the block. Release: one store, when no block is allocated.
 * The sequence changes when a slab is made, so a CAS from "abandoned" cannot hit
 * a later slab at the same place.
 *
 * Recycle barrier. A thread that frees for its log names the block in
 * slot.freeing until its log says done, and recovery may OR the bit again until
 * then. So harvest lets a named block alone. It reads the names after the remote
 * words: who sees the bit sees the name, or the log is done.
 */
#include "heap/slab.h"
#include "heap/longest.h"

void
stoai_slab_make(struct stoai_seat *seat, uint64_t span, uint32_t class_index)
{
	stoa_segment *seg = seat->seg;
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta);
	uint32_t words = stoai_meta_words(seg->span_shift);
	uint64_t sequence = (a64_load_relaxed(&meta->owner) >> 32) + 1;

	for (uint32_t w = 0; w < words; w++) {
		a64_store_relaxed(&bits[w].alloc, 0);
		a64_store_relaxed(&bits[w].pub, 0);
		a64_store_relaxed(&bits[w].remote, 0);
	}
	a32_store_relaxed(&meta->class_index, class_index);
	a32_store_relaxed(&meta->size, stoai_class_size(class_index));
	a64_store_kill(&meta->owner, sequence << 32 | seat->word);
	stoai_annotate_close(stoai_at(seg, stoai_span_off(seg, span)),
		(size_t)1 << seg->span_shift);
	/* pairs with: stoai_span_load of whoever looks for slabs */
	a64_store_release(stoai_span_at(seg, span),
		stoai_span_word(STOAI_SPAN_SLAB, 0, 1));
}

uint32_t
stoai_slab_class(const stoa_segment *seg, const struct stoai_meta *meta)
{
	uint32_t class_index = a32_load_relaxed(&meta->class_index);

	return class_index < stoai_class_count(seg->span_shift) ? class_index
								: STOAI_CLASSES;
}

/* Without the blocks whose free may have to be repeated. */
static void
harvest_barrier(const stoa_segment *seg, uint64_t span, uint32_t class_index,
	uint64_t *freed)
{
	uint32_t size = stoai_class_size(class_index);
	uint32_t blocks = stoai_span_blocks(seg, class_index);
	uint64_t low = stoai_span_off(seg, span);
	uint64_t bytes = UINT64_C(1) << seg->span_shift;

	for (uint32_t i = 0, n = stoai_slots_used(seg); i < n; i++) {
		uint64_t in =
			a64_load_acquire(&stoai_slot_at(seg, i)->freeing) - low;

		if (stoai_unlikely(in < bytes && in / size < blocks)) {
			uint64_t index = in / size;

			freed[index >> 6] &= ~(UINT64_C(1) << (index & 63));
		}
	}
}

uint32_t
stoai_slab_harvest(stoa_segment *seg, uint64_t span, uint32_t class_index)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta);
	uint32_t words = stoai_words(stoai_span_blocks(seg, class_index));
	uint64_t freed[64], any = 0;
	uint32_t count = 0;

	for (uint32_t w = 0; w < words; w++) {
		/* pairs with: remote_free, OR of the bit */
		freed[w] = a64_load_acquire(&bits[w].remote);
		any |= freed[w];
	}
	if (!any)
		return 0;
	harvest_barrier(seg, span, class_index, freed);
	for (uint32_t w = 0; w < words; w++) {
		uint64_t pub = a64_load_relaxed(&bits[w].pub);
		/* a bit of an unpublished block frees nothing: see the states */
		uint64_t gone = freed[w] & pub;

		if (!freed[w])
			continue;
		a64_store_kill(&bits[w].pub, pub & ~gone);
		a64_store_kill(&bits[w].alloc,
			a64_load_relaxed(&bits[w].alloc) & ~gone);
		stoai_kill_fence();
		a64_fetch_and_seq_cst(&bits[w].remote, ~freed[w]);
		count += (uint32_t)__builtin_popcountll(freed[w]);
	}
	return count;
}

bool
stoai_slab_adopt(struct stoai_seat *seat, uint64_t span, uint64_t owner)
{
	struct stoai_meta *meta = stoai_meta_at(seat->seg, span);

	if (!stoai_slab_is_abandoned(owner))
		return false;
	stoai_region_claim(seat, span);
	return a64_cas_seq_cst(&meta->owner, &owner, owner | seat->word);
}

void
stoai_slab_abandon(stoa_segment *seg, uint64_t span)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);

	stoai_span_open(seg, span);
	/* pairs with: stoai_slab_adopt, CAS of the owner */
	a64_store_release(
		&meta->owner, a64_load_relaxed(&meta->owner) >> 32 << 32);
}

unsigned
stoai_slab_look(stoa_segment *seg, uint64_t span, uint32_t class_index)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta);
	uint32_t blocks = stoai_span_blocks(seg, class_index);
	uint64_t free = 0, used = 0, transient = 0, freed = 0;

	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		uint64_t alloc = a64_load_relaxed(&bits[w].alloc);
		uint64_t gone = a64_load_relaxed(&bits[w].remote);

		free |= ~(alloc & ~gone) & stoai_valid_bits(blocks, w);
		used |= alloc & ~gone;
		transient |= alloc & ~a64_load_relaxed(&bits[w].pub);
		freed |= gone;
	}
	return (free ? STOAI_SLAB_FREE : 0u) | (used ? STOAI_SLAB_USED : 0u) |
	       (transient ? STOAI_SLAB_TRANSIENT : 0u) |
	       (freed ? STOAI_SLAB_REMOTE : 0u);
}

bool
stoai_slab_release(stoa_segment *seg, uint64_t span, uint32_t class_index)
{
	struct stoai_bits *bits = stoai_meta_bits(stoai_meta_at(seg, span));
	uint32_t words = stoai_words(stoai_span_blocks(seg, class_index));

	for (uint32_t w = 0; w < words; w++)
		if (a64_load_relaxed(&bits[w].alloc))
			return false;
	stoai_span_open(seg, span);
	/* the meta is somebody else's from here on */
	a64_exchange_seq_cst(stoai_span_at(seg, span),
		stoai_span_word(STOAI_SPAN_FREE, 0, 1));
	stoai_longest_freed(seg, span);
	return true;
}
