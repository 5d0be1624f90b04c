/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Runs: which spans are free, and how does a thread get some of them?
 *
 *	table  F5 . . . B4 L3 B1 B2 S1 S1 F2 B1      F FREE, L LARGE, B BODY, S SLAB
 *	                                             . BODY of any length, or nothing
 *
 *	find   longest.h names the first chunk of the table where so long a run may
 *	       begin; its 64 words are read, and FREE neighbours joined on the way
 *	cut    BODYs and the tail's FREE inside the run, where nobody looks; then
 *	       the head becomes LARGE by one store, or, for an aligned run, a LARGE
 *	       is written inside and the head is shortened by one store
 *	free   LARGE becomes FREE by one CAS; no lock
 *	join   one store to the length of the first; then the later heads are BODY
 *
 * Every span leaves the free ones as an unpublished LARGE run of the thread that
 * takes it; a slab is made of it afterwards. So there is one place where spans
 * change hands, and death has one rule.
 *
 * Invariants (check.c)
 *	I1   run lengths from span 0 lead exactly to the end of the heap
 *	I2   behind a LARGE head all spans are BODY and say how far it is
 *	I9   PUNCHED stands on FREE runs, and on LARGE ones that wait for pages
 *	I10  inside a FREE run nothing looks like a head, unless header.shaping names
 *	     the run
 *
 * The last word of a FREE run says where it begins, as long as nobody died while
 * he wrote it: that, no more, is how a run finds the one in front of it.
 *
 * Crash argument. Joining and cutting change what a walk sees by one store each;
 * everything else is written inside a FREE run that header.shaping names. I10 is
 * what makes a FREE word in the middle of the table a head, so who gets the lock
 * after a death first makes the inside of that run BODY; it may be begun again at
 * any time. A killed cutter leaves at most one LARGE inside a FREE run: its
 * recovery makes it FREE, and gives the lock back after that.
 *
 * Recycle barrier. A thread that frees a LARGE run for its log names it in
 * slot.freeing until its log says done, and recovery may repeat the free until
 * then. So a free run named there is neither taken nor joined. The names are read
 * after the table words: who sees the FREE sees the name, or the log is done.
 */
#include "heap/cache.h"
#include "heap/longest.h"
#include "heap/run.h"
#include "os/os.h"
#include "stoa/time.h"
#include "sync/lock.h"

#define NO_RUN UINT64_MAX

struct run_wish {
	uint64_t spans, align;
	bool mixed;   /* also runs joined of such with pages and such without */
	bool paged;   /* only runs with pages */
	bool punched; /* there are some without */
};

struct run_found {
	uint64_t at, spans; /* the free run */
	uint64_t start;     /* where ours begins in it */
	uint64_t word;
};

/* ---- the inside of a free run ---- */

static void
shape_begin(stoa_segment *seg, uint64_t at)
{
	a64_store_kill(&stoai_header(seg)->shaping, at + 1);
}

static void
shape_end(stoa_segment *seg)
{
	a64_store_kill(&stoai_header(seg)->shaping, 0);
}

static void
shape_tail(stoa_segment *seg, uint64_t at, uint64_t spans)
{
	if (spans > 1)
		a64_store_kill(stoai_span_at(seg, at + spans - 1),
			stoai_span_word(STOAI_SPAN_BODY, 0, spans - 1));
}

/* Somebody died inside that run: whatever he left there is no head. */
static void
shape_mend(stoa_segment *seg, uint64_t at)
{
	uint64_t end = stoai_span_count_all(seg), word, length;

	if (at < end) {
		word = stoai_span_load(seg, at);
		length = stoai_span_length(word);
		if (stoai_span_free(word) && length <= end - at) {
			for (uint64_t i = 1; i < length; i++)
				if (stoai_span_state(stoai_span_load(
					    seg, at + i)) != STOAI_SPAN_BODY)
					a64_store_kill(
						stoai_span_at(seg, at + i),
						stoai_span_word(
							STOAI_SPAN_BODY, 0, i));
			shape_tail(seg, at, length);
		}
	}
	shape_end(seg);
}

int
stoai_heap_lock(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	int rc = stoai_lock(seat, &stoai_header(seg)->heap_lock,
		STOAI_MODE_MUTEX, STOA_FOREVER, STOAI_LOCK_HEAP);
	uint64_t shaping;

	if (rc)
		return rc;
	shaping = a64_load_relaxed(&stoai_header(seg)->shaping);
	if (stoai_unlikely(shaping != 0))
		shape_mend(seg, shaping - 1);
	return 0;
}

void
stoai_heap_unlock(struct stoai_seat *seat)
{
	stoai_unlock(seat, &stoai_header(seat->seg)->heap_lock);
}

void
stoai_run_part(stoa_segment *seg, uint64_t at, uint64_t spans, uint64_t first)
{
	uint64_t word = stoai_span_load(seg, at) & STOAI_SPAN_PUNCHED;

	shape_begin(seg, at);
	shape_tail(seg, at + first, spans - first);
	shape_tail(seg, at, first);
	a64_store_kill(stoai_span_at(seg, at + first),
		stoai_span_word(STOAI_SPAN_FREE, word, spans - first));
	a64_store_kill(stoai_span_at(seg, at),
		stoai_span_word(STOAI_SPAN_FREE, word, first));
	shape_end(seg);
	stoai_longest_raise(seg, at + first, spans - first);
}

void
stoai_run_append(stoa_segment *seg, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; from && i < to; i++) /* the heap was longer */
		if (stoai_span_load(seg, i))
			a64_store_kill(stoai_span_at(seg, i), 0);
	shape_tail(seg, from, to - from);
	a64_store_kill(stoai_span_at(seg, from),
		stoai_span_word(STOAI_SPAN_FREE, 0, to - from));
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

		if (!stoai_span_free(word) || length > end - reach ||
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
	uint64_t first = stoai_span_load(seg, at), punched, next;
	uint64_t reach = run_chain(seg, at, end, mixed, &punched);
	uint64_t stop = stoai_freeing_in(seg, at, reach);

	if (stop < reach)
		reach = run_chain_until(seg, at, stop);
	*word = first;
	next = at + stoai_span_length(first);
	if (reach <= next)
		return reach == at ? 0 : reach - at;
	shape_begin(seg, at);
	*word = stoai_span_word(STOAI_SPAN_FREE, punched, reach - at);
	a64_store_kill(stoai_span_at(seg, at), *word);
	while (next < reach) {
		uint64_t length = stoai_span_step(stoai_span_load(seg, next));

		a64_store_kill(stoai_span_at(seg, next),
			stoai_span_word(STOAI_SPAN_BODY, 0, next - at));
		next += length;
	}
	shape_tail(seg, at, reach - at);
	shape_end(seg);
	stoai_longest_raise(seg, at, reach - at);
	return reach - at;
}

/* ---- finding ---- */

/* The free run that ends where `at` begins, of the same kind if that is asked. */
static uint64_t
run_in_front(const stoa_segment *seg, uint64_t at, bool mixed, uint64_t kind)
{
	uint64_t word, back;

	if (!at)
		return NO_RUN;
	word = stoai_span_load(seg, at - 1);
	back = stoai_span_state(word) == STOAI_SPAN_BODY
		       ? stoai_span_length(word) + 1
		       : 1;
	if (back > at)
		return NO_RUN;
	word = stoai_span_load(seg, at - back);
	return stoai_span_state(word) == STOAI_SPAN_FREE &&
			       stoai_span_length(word) == back &&
			       (mixed || !((word ^ kind) & STOAI_SPAN_PUNCHED))
		       ? at - back
		       : NO_RUN;
}

/* Where the free runs begin that end with the one at `at`, and may be joined to it. */
static uint64_t
run_first(const stoa_segment *seg, uint64_t at, bool mixed)
{
	uint64_t kind = stoai_span_load(seg, at), before;

	while ((before = run_in_front(seg, at, mixed, kind)) != NO_RUN &&
		stoai_freeing_in(seg, before, at) == at)
		at = before;
	return at;
}

/* Where an aligned run of that many spans fits into the free run; or NO_RUN. */
static uint64_t
run_fit(const stoa_segment *seg, const struct run_wish *wish, uint64_t at,
	uint64_t spans)
{
	uint64_t off = stoai_span_off(seg, at);
	uint64_t skip =
		(stoai_align_up(off, wish->align) - off) >> seg->span_shift;

	return skip <= spans && wish->spans <= spans - skip ? at + skip
							    : NO_RUN;
}

/* The free run at `at`, and what it can be joined with. 0: that is it. */
static int
run_try(stoa_segment *seg, struct run_wish *wish, uint64_t at, uint64_t end,
	struct run_found *ret)
{
	ret->at = run_first(seg, at, wish->mixed);
	ret->spans = stoai_run_join(seg, ret->at, end, wish->mixed, &ret->word);
	ret->start = run_fit(seg, wish, ret->at, ret->spans);
	if (ret->word & STOAI_SPAN_PUNCHED) {
		wish->punched = true;
		if (wish->paged)
			return -EAGAIN;
	}
	return ret->spans && ret->start != NO_RUN ? 0 : -EAGAIN;
}

/* Every free run that begins in the chunk. 0: found; -EAGAIN; -EBADMSG. */
static int
run_search_chunk(stoa_segment *seg, struct run_wish *wish, uint64_t chunk,
	struct run_found *ret)
{
	uint64_t from = chunk << STOAI_CHUNK_SHIFT, end = stoai_span_count(seg);
	uint64_t to = stoai_min(from + STOAI_CHUNK, end), longest = 0;

	for (uint64_t at = from; at < to;) {
		uint64_t word = stoai_span_load(seg, at);
		uint64_t length = stoai_span_length(word);

		if (!stoai_span_free(word)) {
			at += stoai_span_step(word);
			continue;
		}
		STOA_VERIFY(length <= end - at);
		if (!run_try(seg, wish, at, end, ret))
			return 0;
		/* barred: nobody will say when it may be taken */
		if (ret->at + ret->spans <= at)
			longest = STOAI_UNKNOWN;
		else if (ret->at >= from)
			longest = stoai_max(longest, ret->spans);
		at = stoai_max(at + length, ret->at + ret->spans);
	}
	stoai_longest_set(seg, chunk, longest);
	return -EAGAIN;
}

static int
run_search(stoa_segment *seg, struct run_wish *wish, struct run_found *ret)
{
	uint64_t chunk = 0;
	int rc = -EAGAIN;

	while (rc == -EAGAIN && (chunk = stoai_longest_find(seg, chunk,
					 wish->spans)) != STOAI_NO_CHUNK)
		rc = run_search_chunk(seg, wish, chunk++, ret);
	return rc;
}

/*
 * Runs with pages are not joined with runs without as long as there is another
 * way: what is joined is asked for whole.
 */
static int
run_search_all(stoa_segment *seg, struct run_wish *wish, struct run_found *ret)
{
	int rc;

	wish->mixed = false; /* it may be the second time */
	stoai_longest_gather(seg);
	rc = run_search(seg, wish, ret);
	for (int mixed = 0; mixed < 2 && rc == -EAGAIN; mixed++) {
		if (mixed && (wish->paged || !wish->punched))
			break;
		wish->mixed = mixed;
		stoai_longest_forget(seg);
		rc = run_search(seg, wish, ret);
	}
	return rc;
}

/* ---- cutting ---- */

/* Nobody had it before: zeros. It is noted before anybody can write there. */
static void
run_touch(struct stoai_seat *seat, uint64_t start, uint64_t end)
{
	stoa_segment *seg = seat->seg;
	struct stoai_cache *h = seat->heap;
	uint64_t *touched = &stoai_header(seg)->touched;
	uint64_t from = a64_load_relaxed(touched);

	h->zeros.from =
		stoai_span_off(seg, stoai_min(stoai_max(from, start), end));
	h->zeros.to = stoai_span_off(seg, end);
	if (end > from)
		a64_store_kill(touched, end);
}

static void
run_cut(struct stoai_seat *seat, const struct run_found *found, uint64_t spans)
{
	stoa_segment *seg = seat->seg;
	uint64_t start = found->start, before = start - found->at;
	uint64_t behind = found->spans - before - spans;
	uint64_t punched = found->word & STOAI_SPAN_PUNCHED;

	run_touch(seat, start, start + spans);
	shape_begin(seg, found->at);
	for (uint64_t i = 1; i < spans; i++)
		a64_store_relaxed(stoai_span_at(seg, start + i),
			stoai_span_word(STOAI_SPAN_BODY, 0, i));
	if (behind) {
		shape_tail(seg, start + spans, behind);
		a64_store_kill(stoai_span_at(seg, start + spans),
			stoai_span_word(STOAI_SPAN_FREE, punched, behind));
	}
	stoai_region_claim(seat, start);
	shape_tail(seg, found->at, before);
	a64_store_release(stoai_span_at(seg, start),
		stoai_span_word(STOAI_SPAN_LARGE,
			punched | stoai_span_owned(seat->index), spans));
	if (before)
		a64_store_release(stoai_span_at(seg, found->at),
			stoai_span_word(STOAI_SPAN_FREE, punched, before));
	shape_end(seg);
	if (behind)
		stoai_longest_raise(seg, start + spans, behind);
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
	if (!a64_cas_seq_cst(stoai_span_at(seg, span), &word,
		    stoai_span_word(STOAI_SPAN_FREE, word & STOAI_SPAN_PUNCHED,
			    stoai_span_length(word))))
		return false;
	stoai_longest_freed(seg, span);
	return true;
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
	if (!stoai_span_free(word))
		return -EAGAIN;
	STOA_VERIFY(length <= end - at);
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

/* The free run that ends at `head`, if it can have that many spans. */
static int
run_search_before(
	stoa_segment *seg, uint64_t head, uint64_t least, struct run_found *ret)
{
	uint64_t at = run_in_front(seg, head, true, 0), first;
	int rc;

	if (at == NO_RUN)
		return -EAGAIN;
	first = run_first(seg, at, false);
	if (head - first < least)
		first = run_first(seg, at, true);
	rc = run_join_least(seg, first, head, least, ret);
	return !rc && ret->spans != head - first ? -EAGAIN : rc;
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
