/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Resizing: how does a large block get longer or shorter where it is, so that a
 * death at any point is undone, and without a lock in the undo?
 *
 * By two changes that undo each other, on runs that shared data owns:
 *
 *	        s            s+n
 *	  split  L n+k PUB  . . BODY n .  . BODY n+i ..
 *	  merge  L n   PUB  . . L k PUB . . BODY i   ..
 *
 * All else is made of what is there already:
 *
 *	longer    allocate the free run beside it (ALLOC), then merge
 *	shorter   split, then free the part that is given up, at commit (FREE)
 *
 * Bytes are never touched, so what the block holds stays where it lies.
 *
 *	merge   M1  the insides of the second run say how far the first's head is
 *	        M2  the first head gets longer, by one CAS: now they are one
 *	        M3  the second head becomes BODY
 *	split   S1  the second head, inside the run, where no walk looks
 *	        S2  the first head gets shorter, by one CAS: now they are two
 *	        S3  the insides of the second run say how far its own head is
 *
 * Crash argument. A walk sees M2 or S2 alone. The log has a record of it before
 * M1 or S1, and its undo is the other change, made from its first step to its
 * last, whatever had been reached: every step stores what follows from the record
 * alone, so each may be repeated. Only who locks the block comes near its words
 * until then, except walks; and a LARGE that is published is let alone by every
 * recovery.
 *
 * Walks. Somebody may have read the number of the second head just before M2, and
 * find BODY there: he goes on word by word until he finds a head.
 */
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/supply.h"

/*
 * Runs of n and k spans that begin at `span`, as one or as two. *word: the first
 * head's. Nothing of the record is believed.
 */
static int
pair_look(stoa_segment *seg, uint64_t span, uint64_t n, uint64_t k,
	uint64_t *word)
{
	uint64_t count = stoai_span_count(seg), second;

	STOA_VERIFY(n && k && span < count && n < count - span &&
		    k <= count - span - n);
	*word = stoai_span_load(seg, span);
	STOA_VERIFY(stoai_span_state(*word) == STOAI_SPAN_LARGE &&
		    *word & STOAI_SPAN_PUBLISHED);
	if (stoai_span_length(*word) == n + k)
		return 0;
	second = stoai_span_load(seg, span + n);
	STOA_VERIFY(stoai_span_length(*word) == n &&
		    stoai_span_state(second) == STOAI_SPAN_LARGE &&
		    second & STOAI_SPAN_PUBLISHED &&
		    stoai_span_length(second) == k);
	return 0;
}

/* False: somebody has freed it, whatever lock we hold. */
static bool
head_change(stoa_segment *seg, uint64_t span, uint64_t word, uint64_t length)
{
	return a64_cas_seq_cst(stoai_span_at(seg, span), &word,
		(word & ~STOAI_SPAN_LENGTH) | length);
}

int
stoai_heap_merge(stoa_segment *seg, uint64_t off, uint64_t n, uint64_t k)
{
	uint64_t span = stoai_span_of(seg, off), word;
	int rc = pair_look(seg, span, n, k, &word);

	if (rc)
		return rc;
	for (uint64_t i = 1; i < k; i++) /* M1 */
		a64_store_relaxed(stoai_span_at(seg, span + n + i),
			stoai_span_word(STOAI_SPAN_BODY, 0, n + i));
	STOA_VERIFY(head_change(seg, span, word, n + k)); /* M2 */
	/* pairs with: stoai_span_load of who looks for runs */
	a64_store_release(stoai_span_at(seg, span + n), /* M3 */
		stoai_span_word(STOAI_SPAN_BODY, 0, n));
	return 0;
}

int
stoai_heap_split(
	stoa_segment *seg, uint32_t slot, uint64_t off, uint64_t n, uint64_t k)
{
	uint64_t span = stoai_span_of(seg, off), word;
	int rc = pair_look(seg, span, n, k, &word);

	if (rc)
		return rc;
	a64_store_release(stoai_span_at(seg, span + n), /* S1 */
		stoai_span_word(STOAI_SPAN_LARGE,
			STOAI_SPAN_PUBLISHED | stoai_span_owned(slot), k));
	STOA_VERIFY(head_change(seg, span, word, n)); /* S2 */
	for (uint64_t i = 1; i < k; i++)              /* S3 */
		a64_store_relaxed(stoai_span_at(seg, span + n + i),
			stoai_span_word(STOAI_SPAN_BODY, 0, i));
	return 0;
}

/* ---- what lies beside it ---- */

bool
stoai_heap_run(stoa_segment *seg, uint64_t off, uint64_t *ret_spans)
{
	struct stoai_block block;

	if (!stoai_block_find(seg, off, &block) || block.off != off ||
		stoai_span_state(block.word) != STOAI_SPAN_LARGE ||
		!(block.word & STOAI_SPAN_PUBLISHED) ||
		block.word & STOAI_SPAN_LENT)
		return false;
	*ret_spans = stoai_span_length(block.word);
	return true;
}

int
stoai_heap_take_behind(struct stoai_seat *seat, uint64_t off, uint64_t n,
	uint64_t least, uint64_t *spans)
{
	stoa_segment *seg = seat->seg;
	uint64_t at = stoai_span_of(seg, off) + n, most = *spans;
	int rc = stoai_run_behind(seat, at, least, spans);

	/* only free spans up to the heap's end: it may grow */
	if (rc == -EAGAIN && at + *spans == stoai_span_count(seg) &&
		!stoai_supply_grow(seat, (most - *spans) << seg->span_shift)) {
		*spans = most;
		rc = stoai_run_behind(seat, at, least, spans);
	}
	return rc;
}

int
stoai_heap_take_before(struct stoai_seat *seat, uint64_t off, uint64_t least,
	uint64_t align, uint64_t *spans)
{
	return stoai_run_before(
		seat, stoai_span_of(seat->seg, off), least, align, spans);
}
