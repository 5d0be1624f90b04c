/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Verification: is every invariant of README.md true? Without the lock, so that a
 * dead or stopped holder of it cannot stand in the way, and so that it works on
 * a mapping for reading.
 *
 * The invariants hold at every instant, but a walk takes longer than that: it may
 * read a length and then find the table changed. So a walk that fails is made
 * again; what is really damaged fails every time.
 */
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/slab.h"
#include "os/os.h"
#include "segment/others.h"

enum {
	WALKS = 16
};

struct heap_walk {
	stoa_segment *seg;
	uint64_t count;
};

static int
broken(int invariant, uint64_t span, const char *what)
{
	return stoai_error(-EBADMSG, "heap I%d: span %llu: %s", invariant,
		(unsigned long long)span, what);
}

static bool
region_named(const stoa_segment *seg, uint32_t slot, uint64_t span)
{
	return a64_load_relaxed(&stoai_slot_at(seg, slot)->regions) >>
		       stoai_region_of(seg, span) &
	       1;
}

/* ---- slabs ---- */

static int
bits_check(stoa_segment *seg, uint64_t span, uint32_t w, uint64_t valid,
	uint64_t *transient)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	struct stoai_bits *bits = stoai_meta_bits(meta) + w;
	uint64_t remote = a64_load_relaxed(&bits->remote);
	/* published is set later and cleared earlier */
	uint64_t pub = a64_load_acquire(&bits->pub);
	uint64_t alloc = a64_load_acquire(&bits->alloc);

	if (pub & ~alloc) /* freed in between? */
		pub = a64_load_acquire(&bits->pub);
	if ((alloc | pub | remote) & ~valid)
		return broken(4, span, "a bit of a block that is not there");
	if (pub & ~alloc)
		return broken(5, span, "a published block is not allocated");
	*transient |= alloc & ~pub;
	return 0;
}

static int
owner_check(stoa_segment *seg, uint64_t span, uint32_t word, uint64_t transient)
{
	if (!word)
		return transient ? broken(6, span,
					   "abandoned, with unpublished blocks")
				 : 0;
	if (!stoai_word_is_current(seg, word))
		return broken(7, span, "its owner is no more");
	if (!region_named(seg, stoai_word_slot(seg, word), span))
		return broken(7, span, "its owner's regions do not name it");
	return 0;
}

static int
slab_check(stoa_segment *seg, uint64_t span)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint32_t class_index = stoai_slab_class(seg, meta), blocks;
	uint32_t owner = (uint32_t)a64_load_acquire(&meta->owner);
	uint64_t transient = 0;
	int rc = 0;

	if (class_index == STOAI_CLASSES)
		return broken(3, span, "a class that there is not");
	blocks = stoai_span_blocks(seg, class_index);
	if (a32_load_relaxed(&meta->size) != stoai_class_size(class_index))
		return broken(3, span, "the size is not its class's");
	for (uint32_t w = 0; w < stoai_meta_words(seg->span_shift) && !rc; w++)
		rc = bits_check(seg, span, w,
			64 * w < blocks ? stoai_valid_bits(blocks, w) : 0,
			&transient);
	return rc ? rc : owner_check(seg, span, owner, transient);
}

/* ---- runs ---- */

static int
large_check(stoa_segment *seg, uint64_t span, uint64_t word)
{
	uint32_t slot = stoai_span_owner(word);

	for (uint64_t i = 1; i < stoai_span_length(word); i++) {
		uint64_t body = stoai_span_load(seg, span + i);

		if (body != stoai_span_word(STOAI_SPAN_BODY, 0, i) &&
			!stoai_somebody_changing(seg)) /* it resizes runs */
			return broken(2, span, "its inside is not BODY");
	}
	if (slot >= seg->slot_count)
		return broken(7, span, "its owner is no slot");
	if (!(word & STOAI_SPAN_PUBLISHED) && !region_named(seg, slot, span))
		return broken(7, span, "its owner's regions do not name it");
	if ((word & STOAI_SPAN_PUBLISHED) && (word & STOAI_SPAN_PUNCHED))
		return broken(9, span, "published without pages");
	if (word & STOAI_SPAN_LENT && !stoai_lent_check(seg, span, word) &&
		!stoai_somebody_changing(seg)) /* it sets begin and end */
		return broken(12, span, "blocks overlap in the map of its run");
	return 0;
}

/*
 * While it is cut or joined, or if its maker died then, anything may stand inside;
 * and it may be another run by the time that we look there.
 */
static int
free_check(stoa_segment *seg, uint64_t span, uint64_t word)
{
	uint64_t length = stoai_span_length(word);

	if (word != stoai_span_word(
			    STOAI_SPAN_FREE, word & STOAI_SPAN_PUNCHED, length))
		return broken(9, span, "free, with something else");
	for (uint64_t i = 1; i < length; i++) {
		uint64_t inside = stoai_span_load(seg, span + i);

		if (inside && stoai_span_state(inside) != STOAI_SPAN_BODY &&
			a64_load_acquire(&stoai_header(seg)->shaping) !=
				span + 1 &&
			stoai_span_load(seg, span) == word)
			return broken(10, span + i, "a head in a free run");
	}
	return 0;
}

static int
span_check(struct heap_walk *walk, uint64_t span, uint64_t word)
{
	uint64_t length = stoai_span_length(word);

	if (stoai_span_state(word) == STOAI_SPAN_BODY)
		return broken(1, span, "the inside of a run, where one begins");
	if (!length || length > walk->count - span)
		return broken(1, span, "a run that ends outside the heap");
	switch (stoai_span_state(word)) {
	case STOAI_SPAN_SLAB:
		if (word != stoai_span_word(STOAI_SPAN_SLAB, 0, 1))
			return broken(3, span, "a slab with something else");
		return slab_check(walk->seg, span);
	case STOAI_SPAN_LARGE:
		return large_check(walk->seg, span, word);
	default:
		return free_check(walk->seg, span, word);
	}
}

static int
header_check(stoa_segment *seg)
{
	uint64_t end = a64_load_acquire(&stoai_header(seg)->committed);

	if (end <= seg->heap_off || end > seg->size ||
		end != stoai_span_off(seg, stoai_span_count(seg)))
		return stoai_error(-EBADMSG, "heap I8: the heap ends at %#llx",
			(unsigned long long)end);
	/* nobody asks the others, and who takes one begins with 0 */
	for (uint32_t i = 0, n = stoai_slots_used(seg); i < n; i++) {
		uint64_t off =
			a64_load_relaxed(&stoai_slot_at(seg, i)->freeing);

		if (off && (off < seg->heap_off || off >= end))
			return stoai_error(-EBADMSG,
				"heap I11: slot %u frees %#llx", i,
				(unsigned long long)off);
	}
	return 0;
}

static int
heap_walk(stoa_segment *seg)
{
	struct heap_walk walk = {.seg = seg};
	int rc = header_check(seg);

	walk.count = stoai_span_count(seg);
	for (uint64_t at = 0; at < walk.count && !rc;) {
		uint64_t word = stoai_span_load(seg, at);

		rc = span_check(&walk, at, word);
		at += stoai_span_length(word);
	}
	return rc;
}

int
stoai_heap_check(stoa_segment *seg)
{
	int rc = 0;

	for (int i = 0; i < WALKS; i++) {
		rc = heap_walk(seg);
		if (!rc)
			break;
		stoai_os_yield();
	}
	return rc;
}
