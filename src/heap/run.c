/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Runs: which spans are free, and how does a thread get some of them?
 *
 *	table  F5 . . . . L3 B1 B2 S1 S1 F2 .        F FREE, L LARGE, B BODY, S SLAB
 *	       ^cursor                               . whatever was there before
 *
 *	find   walk by lengths from the cursor, or for more than one span from the
 *	       beginning, unless the heap is large; join FREE neighbours on the way
 *	cut    BODYs and the tail's FREE inside the run, where nobody looks; then
 *	       the head becomes LARGE by one store, or, for an aligned run, a LARGE
 *	       is written inside and the head is shortened by one store
 *	free   LARGE becomes FREE by one CAS; no lock
 *	join   one store to the length of the first
 *
 * Every span leaves the free ones as an unpublished LARGE run of the thread that
 * takes it; a slab is made of it afterwards. So there is one place where spans
 * change hands, and death has one rule.
 *
 * Invariants (check.c)
 *	I1   run lengths from span 0 lead exactly to the end of the heap
 *	I2   behind a LARGE head all spans are BODY and say how far it is
 *	I9   PUNCHED stands on FREE runs, and on LARGE ones that wait for pages
 *	I10  the cursor is the head of a run
 *
 * Crash argument. Joining and cutting change what the walk sees by one store
 * each. A killed cutter leaves at most one LARGE inside a FREE run: its recovery
 * makes it FREE, which nobody reads there. The lock is given back by recovery
 * after that. The cursor leaves a run before the run is joined to another.
 *
 * Recycle barrier. A thread that frees a LARGE run for its log names it in
 * slot.freeing until its log says done, and recovery may repeat the free until
 * then. So a free run named there is neither taken nor joined. The names are read
 * after the table words: who sees the FREE sees the name, or the log is done.
 */
#include "heap/cache.h"
#include "heap/run.h"
#include "os/os.h"
#include "stoa/time.h"
#include "sync/lock.h"

enum {
	FIRST_FIT = 8192 /* spans of a heap that is small enough for it */
};

struct run_wish {
	uint64_t spans, align;
	bool mixed; /* also runs joined of such with pages and such without */
	bool paged; /* only runs with pages */
};

struct run_found {
	uint64_t at, spans; /* the free run */
	uint64_t start;     /* where ours begins in it */
	uint64_t word;
};

int
stoai_heap_lock(struct stoai_seat *seat)
{
	return stoai_lock(seat, &stoai_header(seat->seg)->heap_lock,
		STOAI_MODE_MUTEX, STOA_FOREVER, STOAI_LOCK_HEAP);
}

void
stoai_heap_unlock(struct stoai_seat *seat)
{
	stoai_unlock(seat, &stoai_header(seat->seg)->heap_lock);
}

/* ---- joining ---- */

/* The chain of FREE runs from `at`: its end; what is punched of it. */
static uint64_t
run_chain(const stoa_segment *seg, uint64_t at, uint64_t end, bool mixed,
	uint64_t *punched)
{
	uint64_t first = stoai_span_load(seg, at);
	uint64_t reach = at + stoai_span_length(first);

	*punched = first & STOAI_SPAN_PUNCHED;
	while (reach < end) {
		uint64_t word = stoai_span_load(seg, reach);
		uint64_t length = stoai_span_length(word);

		if (stoai_span_state(word) != STOAI_SPAN_FREE || !length ||
			length > end - reach ||
			(!mixed && (word ^ first) & STOAI_SPAN_PUNCHED))
			break;
		*punched |= word & STOAI_SPAN_PUNCHED;
		reach += length;
	}
	return reach;
}

/* The last head of the chain from `at` that is not behind `stop`. */
static uint64_t
run_chain_until(const stoa_segment *seg, uint64_t at, uint64_t stop)
{
	for (;;) {
		uint64_t length = stoai_span_length(stoai_span_load(seg, at));

		if (!length || length > stop - at)
			return at;
		at += length;
	}
}

uint64_t
stoai_run_join(stoa_segment *seg, uint64_t at, uint64_t end, bool mixed,
	uint64_t *word)
{
	struct stoai_header *header = stoai_header(seg);
	uint64_t first = stoai_span_load(seg, at), punched, cursor;
	uint64_t reach = run_chain(seg, at, end, mixed, &punched);
	uint64_t stop = stoai_freeing_in(seg, at, reach);

	if (stop < reach)
		reach = run_chain_until(seg, at, stop);
	*word = first;
	if (reach <= at + stoai_span_length(first))
		return reach == at ? 0 : reach - at;
	cursor = a64_load_relaxed(&header->cursor);
	if (cursor > at && cursor < reach)
		a64_store_kill(&header->cursor, at);
	*word = stoai_span_word(STOAI_SPAN_FREE, punched, reach - at);
	a64_store_kill(stoai_span_at(seg, at), *word);
	return reach - at;
}

/* ---- finding ---- */

/* Where an aligned run of that many spans fits into the free run; or UINT64_MAX. */
static uint64_t
run_fit(const stoa_segment *seg, const struct run_wish *wish, uint64_t at,
	uint64_t spans)
{
	uint64_t off = stoai_span_off(seg, at);
	uint64_t skip =
		(stoai_align_up(off, wish->align) - off) >> seg->span_shift;

	return skip <= spans && wish->spans <= spans - skip ? at + skip
							    : UINT64_MAX;
}

/* 0: found, in *ret; -EAGAIN; -EBADMSG. */
static int
run_search(stoa_segment *seg, const struct run_wish *wish, uint64_t from,
	uint64_t to, struct run_found *ret)
{
	uint64_t end = stoai_span_count(seg);

	for (uint64_t at = from; at < to;) {
		uint64_t word, length;

		STOA_VERIFY(stoai_span_head(seg, &at, &word));
		length = stoai_span_length(word);
		STOA_VERIFY(length && length <= end - at);
		if (stoai_span_state(word) == STOAI_SPAN_FREE) {
			uint64_t spans = stoai_run_join(
				seg, at, end, wish->mixed, &ret->word);

			ret->start = run_fit(seg, wish, at, spans);
			if (spans && ret->start != UINT64_MAX &&
				!(wish->paged &&
					ret->word & STOAI_SPAN_PUNCHED)) {
				ret->at = at;
				ret->spans = spans;
				return 0;
			}
			length = stoai_max(spans, length);
		}
		at += length;
	}
	return -EAGAIN;
}

/*
 * Runs with pages are not joined with runs without as long as there is another
 * way: what is joined is asked for whole.
 */
static int
run_search_all(stoa_segment *seg, struct run_wish *wish, struct run_found *ret)
{
	uint64_t end = stoai_span_count(seg);
	uint64_t cursor = a64_load_relaxed(&stoai_header(seg)->cursor);
	int rc = -EAGAIN;

	if (cursor >= end || (wish->spans > 1 && end <= FIRST_FIT))
		cursor = 0;
	for (int pass = 0; pass < 2 - wish->paged && rc == -EAGAIN; pass++) {
		wish->mixed = pass;
		rc = run_search(seg, wish, cursor, end, ret);
		if (rc == -EAGAIN && cursor)
			rc = run_search(seg, wish, 0, cursor, ret);
		if (cursor > a64_load_relaxed(&stoai_header(seg)->cursor))
			cursor = a64_load_relaxed(&stoai_header(seg)->cursor);
	}
	return rc;
}

/* ---- cutting ---- */

static void
run_cut(struct stoai_seat *seat, const struct run_found *found, uint64_t spans)
{
	stoa_segment *seg = seat->seg;
	uint64_t start = found->start, before = start - found->at;
	uint64_t behind = found->spans - before - spans;
	uint64_t punched = found->word & STOAI_SPAN_PUNCHED;

	for (uint64_t i = 1; i < spans; i++)
		a64_store_relaxed(stoai_span_at(seg, start + i),
			stoai_span_word(STOAI_SPAN_BODY, 0, i));
	if (behind)
		a64_store_kill(stoai_span_at(seg, start + spans),
			stoai_span_word(STOAI_SPAN_FREE, punched, behind));
	stoai_region_claim(seat, start);
	a64_store_release(stoai_span_at(seg, start),
		stoai_span_word(STOAI_SPAN_LARGE,
			punched | stoai_span_owned(seat->index), spans));
	if (before)
		a64_store_release(stoai_span_at(seg, found->at),
			stoai_span_word(STOAI_SPAN_FREE, punched, before));
	a64_store_kill(
		&stoai_header(seg)->cursor, behind ? start + spans : found->at);
	stoai_cache_taken(seat->heap);
}

/* Ours now, but without pages: ask for them, or give it back. */
static int
run_fill(stoa_segment *seg, uint64_t span)
{
	uint64_t word = stoai_span_load(seg, span);
	uint64_t spans = stoai_span_length(word);
	int rc = 0;

	if (!(word & STOAI_SPAN_PUNCHED))
		return 0;
	if (seg->fd >= 0 && !seg->caller_memory)
		rc = stoai_os_allocate(seg->fd, stoai_span_off(seg, span),
			spans << seg->span_shift);
	if (rc) {
		(void)stoai_run_free(seg, span, word);
		return -ENOSPC;
	}
	a64_store_release(stoai_span_at(seg, span), word & ~STOAI_SPAN_PUNCHED);
	return 0;
}

/* What was looked for under the lock is ours now, with pages; the lock goes. */
static int
run_take(struct stoai_seat *seat, int rc, const struct run_found *found,
	uint64_t spans)
{
	if (!rc)
		run_cut(seat, found, spans);
	stoai_heap_unlock(seat);
	return rc ? rc : run_fill(seat->seg, found->start);
}

static int
run_find_once(struct stoai_seat *seat, struct run_wish *wish, uint64_t *ret)
{
	struct run_found found;
	int rc = stoai_heap_lock(seat);

	if (rc)
		return rc;
	rc = run_search_all(seat->seg, wish, &found);
	rc = run_take(seat, rc, &found, wish->spans);
	if (!rc)
		*ret = found.start;
	return rc;
}

int
stoai_run_find(
	struct stoai_seat *seat, uint64_t spans, uint64_t align, uint64_t *ret)
{
	struct run_wish wish = {.spans = spans, .align = align};
	int rc = run_find_once(seat, &wish, ret);

	if (stoai_unlikely(rc == -ENOSPC)) { /* no pages for it: elsewhere? */
		wish.paged = true;
		rc = run_find_once(seat, &wish, ret);
		if (rc == -EAGAIN)
			rc = -ENOSPC;
	}
	return rc;
}

bool
stoai_run_free(stoa_segment *seg, uint64_t span, uint64_t word)
{
	return a64_cas_seq_cst(stoai_span_at(seg, span), &word,
		stoai_span_word(STOAI_SPAN_FREE, word & STOAI_SPAN_PUNCHED,
			stoai_span_length(word)));
}

/* ---- beside a run of ours ---- */

/* The free run at `at`, joined until `end`: at least `least` spans, if it can be. */
static int
run_join_least(stoa_segment *seg, uint64_t at, uint64_t end, uint64_t least,
	struct run_found *ret)
{
	uint64_t word = stoai_span_load(seg, at);
	uint64_t length = stoai_span_length(word);

	ret->at = at;
	ret->spans = 0;
	if (stoai_span_state(word) != STOAI_SPAN_FREE)
		return -EAGAIN;
	STOA_VERIFY(length && length <= end - at);
	for (int mixed = 0; mixed < 2 && ret->spans < least; mixed++)
		ret->spans = stoai_run_join(seg, at, end, mixed, &ret->word);
	return ret->spans < least ? -EAGAIN : 0;
}

int
stoai_run_behind(
	struct stoai_seat *seat, uint64_t at, uint64_t least, uint64_t *spans)
{
	stoa_segment *seg = seat->seg;
	struct run_found found = {.start = at};
	uint64_t count, most = *spans;
	int rc = stoai_heap_lock(seat);

	if (rc)
		return rc;
	count = stoai_span_count(seg);
	rc = at < count ? run_join_least(seg, at, count, least, &found)
			: -EAGAIN;
	*spans = stoai_min(found.spans, most);
	return run_take(seat, rc, &found, *spans);
}

/* The free run that ends at `head`. */
static int
run_search_before(
	stoa_segment *seg, uint64_t head, uint64_t least, struct run_found *ret)
{
	uint64_t cursor = a64_load_relaxed(&stoai_header(seg)->cursor);

	for (uint64_t at = cursor <= head ? cursor : 0; at < head;) {
		uint64_t word, length;
		int rc;

		STOA_VERIFY(stoai_span_head(seg, &at, &word));
		length = stoai_span_length(word);
		STOA_VERIFY(length && length <= head - at);
		rc = run_join_least(seg, at, head, least, ret);
		if (rc == -EBADMSG || (!rc && ret->spans == head - at))
			return rc;
		at += stoai_max(length, ret->spans);
	}
	return -EAGAIN;
}

int
stoai_run_before(struct stoai_seat *seat, uint64_t head, uint64_t least,
	uint64_t align, uint64_t *spans)
{
	stoa_segment *seg = seat->seg;
	struct run_found found = {.at = 0};
	uint64_t most = *spans;
	int rc = stoai_heap_lock(seat);

	if (rc)
		return rc;
	rc = run_search_before(seg, head, least, &found);
	*spans = 0;
	if (!rc) {
		uint64_t from = head - stoai_min(found.spans, most);
		uint64_t off = stoai_span_off(seg, from);

		found.start = from + ((stoai_align_up(off, align) - off) >>
					     seg->span_shift);
		*spans = found.start < head ? head - found.start : 0;
		rc = *spans && *spans >= least ? 0 : -EAGAIN;
	}
	return run_take(seat, rc, &found, *spans);
}
