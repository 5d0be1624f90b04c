/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Growth: how does the heap get longer, and its unused pages back to the system?
 *
 *	table [ . . . . | new )   metas [ . . . | new )   heap [ . . . . | new )
 *	                                                        committed^
 *
 * Three calls give the new part memory: of the table, the metas and the heap, all
 * before anything of it can be seen, and before the lock is taken, for they may
 * take long. They may be made any number of times. Then, under the lock, the new
 * spans become one FREE run and header.committed moves: the last store is the
 * commit. Nobody is told; whoever meets an offset beyond the end that it knows
 * reads the header again.
 *
 * Trimming marks a free run PUNCHED before its pages go. A run so marked is asked
 * for again (run.c) before anybody gets it. When the last run has no pages any
 * more the heap ends before it: committed moves back, by one store. The file keeps
 * its length, so who still believes in the old end reads zeros there at worst; and
 * who grows it meanwhile asks for memory behind the new end, after the pages went.
 *
 * Nothing is punched while somebody has it open read-only: such a reader may be
 * reading a block that was freed under it, and on a full tmpfs a page that is gone
 * would be a signal, where a stale one is -EAGAIN.
 *
 * Invariant I8 (check.c): committed is the end of the last span, and not beyond
 * the reserve.
 */
#include "heap/account.h"
#include "heap/heap.h"
#include "heap/longest.h"
#include "heap/supply.h"
#include "os/os.h"

enum {
	GROW_STEP_MAX = 64 << 20, /* bytes at once, unless more are wanted */
	PUNCH_AT_ONCE = 64 << 20  /* bytes while the lock is held */
};

static bool
has_file(const stoa_segment *seg)
{
	return seg->fd >= 0 && !seg->caller_memory;
}

/* Memory for spans [from, to), their table words and metas. */
static int
back(const stoa_segment *seg, uint64_t from, uint64_t to)
{
	uint64_t n = to - from;
	int rc;

	if (!has_file(seg))
		return 0;
	rc = stoai_os_allocate(seg->fd, seg->table_off + from * 8, n * 8);
	if (!rc)
		rc = stoai_os_allocate(seg->fd,
			seg->meta_off + from * seg->meta_stride,
			n * seg->meta_stride);
	if (!rc)
		rc = stoai_os_allocate(seg->fd, stoai_span_off(seg, from),
			n << seg->span_shift);
	return rc;
}

static void
commit(stoa_segment *seg, uint64_t from, uint64_t to)
{
	stoai_run_append(seg, from, to);
	/* only the first part of a buffer was made zero */
	if (from && seg->caller_memory &&
		a64_load_relaxed(&stoai_header(seg)->touched) < to)
		a64_store_kill(&stoai_header(seg)->touched, to);
	a64_store_release(
		&stoai_header(seg)->committed, stoai_span_off(seg, to));
	a64_store_relaxed(&seg->committed, stoai_span_off(seg, to));
	stoai_longest_grown(seg, from);
	stoai_account_most(
		&stoai_header(seg)->size_most, to << seg->span_shift);
}

/* 0 also when somebody else was faster. */
static int
grow_to(struct stoai_seat *seat, uint64_t from, uint64_t to)
{
	stoa_segment *seg = seat->seg;
	int rc = back(seg, from, to);

	if (!rc)
		rc = stoai_heap_lock(seat);
	if (rc)
		return rc;
	if (stoai_span_count(seg) == from)
		commit(seg, from, to);
	stoai_heap_unlock(seat);
	return 0;
}

/* Bytes of the heap that are not free; the most of them are noted. */
static uint64_t
in_use(stoa_segment *seg)
{
	uint64_t count = stoai_span_count(seg), used = 0, word;

	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		if (stoai_span_state(word) != STOAI_SPAN_FREE)
			used += stoai_span_step(word);
	}
	used <<= seg->span_shift;
	stoai_account_most(&stoai_header(seg)->taken_most, used);
	return used;
}

int
stoai_supply_grow(struct stoai_seat *seat, uint64_t want)
{
	stoa_segment *seg = seat->seg;
	uint64_t count = stoai_span_count(seg), limit = stoai_span_room(seg);
	uint64_t span = UINT64_C(1) << seg->span_shift;
	uint64_t need = stoai_align_up(want, span) >> seg->span_shift;
	uint64_t step = stoai_min(
		count / 2, (uint64_t)GROW_STEP_MAX >> seg->span_shift);
	int rc;

	if (count >= limit)
		return STOAI_AT_LIMIT;
	(void)in_use(seg);
	need = stoai_min(need, limit - count);
	step = stoai_min(stoai_max(need, step), limit - count);
	rc = grow_to(seat, count, count + step);
	if (rc == -ENOSPC && need < step)
		rc = grow_to(seat, count, count + need);
	return rc;
}

static STOAI_THREAD struct {
	uint64_t seed; /* of the segment: its address may be used again */
	stoa_segment_shortage what;
	int rc; /* what the caller was told; 0: it is counted */
} last;

static stoa_segment_limit
limit_hit(const stoa_segment *seg, int rc)
{
	switch (rc) {
	case -ENOSPC:
	case -EDQUOT:
		return STOA_LIMIT_FILE_SYSTEM;
	case -EFBIG:
		return STOA_LIMIT_FILE_SIZE;
	case STOAI_AT_LIMIT:
		return last.what.limit - stoai_min(last.what.used,
						 last.what.limit) >=
				       last.what.wanted
			       ? STOA_LIMIT_PIECES
		       : seg->room < seg->size ? STOA_LIMIT_BUFFER
					       : STOA_LIMIT_SEGMENT;
	default:
		return STOA_LIMIT_MEMORY;
	}
}

void
stoa_segment_last_shortage(const stoa_segment *seg, stoa_segment_shortage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (seg && seg->seed == last.seed)
		*ret = last.what;
}

void
stoai_supply_refused(const struct stoai_seat *seat, uint64_t size, int rc)
{
	if (rc && rc == last.rc && last.seed == seat->seg->seed)
		stoai_account_refused(seat, size, (uint32_t)last.what.hit);
	last.rc = 0;
}

int
stoai_supply_failed(stoa_segment *seg, uint64_t want, int rc)
{
	uint64_t limit = stoai_span_room(seg) << seg->span_shift;
	char used[16], of[16], piece[16];

	last.seed = seg->seed;
	last.what = (stoa_segment_shortage){.error = rc < 0 ? rc : 0,
		.wanted = want,
		.used = in_use(seg),
		.limit = limit};
	last.what.hit = limit_hit(seg, rc);
	last.rc = rc < 0 && rc != -EFBIG ? rc : -ENOSPC;
	stoai_size_text(used, last.what.used);
	stoai_size_text(of, limit);
	stoai_size_text(piece, want);
	if (rc < 0)
		return stoai_error(rc == -EFBIG ? -ENOSPC : rc,
			"%s: no memory: %s; %s of %s used, %s wanted in one "
			"piece",
			stoai_name(seg),
			rc == -ENOSPC  ? "the file system is full"
			: rc == -EFBIG ? "the file is as large as this process "
					 "may make it"
				       : stoa_strerror(rc),
			used, of, piece);
	return stoai_error(-ENOSPC,
		"%s: no memory: %s of %s used, %s wanted in one piece; "
		"free something, or make a new segment with a larger .limit",
		stoai_name(seg), used, of, piece);
}

int
stoai_heap_grow(struct stoai_seat *seat, uint64_t size)
{
	stoa_segment *seg = seat->seg;
	uint64_t count = stoai_span_count(seg), limit = stoai_span_room(seg);
	uint64_t end;
	int rc;

	if (size > (limit - stoai_min(count, limit)) << seg->span_shift)
		return stoai_supply_failed(seg, size, STOAI_AT_LIMIT);
	end = count + (stoai_align_up(size, UINT64_C(1) << seg->span_shift) >>
			      seg->span_shift);
	while ((count = stoai_span_count(seg)) < end) {
		rc = grow_to(seat, count, end);
		if (rc)
			return stoai_supply_failed(seg, size, rc);
	}
	return 0;
}

uint32_t
stoai_heap_meta_stride(uint32_t span_shift)
{
	if (span_shift < STOAI_SPAN_SHIFT_MIN ||
		span_shift > STOAI_SPAN_SHIFT_MAX)
		return 0;
	return (uint32_t)stoai_align_up(
		stoai_meta_front(span_shift) + sizeof(struct stoai_chunk),
		STOAI_META_ALIGN);
}

int
stoai_heap_format(stoa_segment *seg, uint64_t size)
{
	uint64_t limit = stoai_span_limit(seg), count;
	int rc;

	STOA_ASSERT(
		seg->meta_stride == stoai_heap_meta_stride(seg->span_shift));
	limit = stoai_min(limit, stoai_span_room(seg));
	if (size > limit << seg->span_shift)
		size = limit << seg->span_shift;
	count = stoai_align_up(size, UINT64_C(1) << seg->span_shift) >>
		seg->span_shift;
	count = stoai_max(count, 1);
	rc = back(seg, 0, count);
	if (rc)
		return stoai_supply_failed(seg, count << seg->span_shift, rc);
	commit(seg, 0, count);
	return 0;
}

/* ---- trimming: under the lock ---- */

/* A free run that is too long at once becomes two, by one store. */
static uint64_t
punch_part(stoa_segment *seg, uint64_t at, uint64_t spans)
{
	uint64_t most = (uint64_t)PUNCH_AT_ONCE >> seg->span_shift;

	if (spans <= most)
		return spans;
	stoai_run_part(seg, at, spans, most);
	return most;
}

/* The whole pages of a free run, back to the system; returns their bytes. */
static int64_t
punch(stoa_segment *seg, uint64_t at, uint64_t spans)
{
	uint64_t page = stoai_os_page_size();
	uint64_t from = stoai_align_up(stoai_span_off(seg, at), page);
	uint64_t to = stoai_span_off(seg, at + spans) & ~(page - 1);
	int rc;

	if (from >= to)
		return 0;
	spans = punch_part(seg, at, spans);
	to = stoai_min(to, stoai_span_off(seg, at + spans) & ~(page - 1));
	a64_store_kill(stoai_span_at(seg, at),
		stoai_span_word(STOAI_SPAN_FREE, STOAI_SPAN_PUNCHED, spans));
	rc = stoai_os_punch(seg->fd, from, to - from);
	return rc ? rc : (int64_t)(to - from);
}

/* The last run is free and without pages: the heap ends before it. */
static void
cut_end(stoa_segment *seg, uint64_t at)
{
	a64_store_release(
		&stoai_header(seg)->committed, stoai_span_off(seg, at));
	a64_store_relaxed(&seg->committed, stoai_span_off(seg, at));
}

/* Up to PUNCH_AT_ONCE bytes; 0: there is nothing left to give back. */
static int64_t
trim_some(stoa_segment *seg)
{
	uint64_t count = stoai_span_count(seg), word, spans;
	int64_t done = 0;

	for (uint64_t at = 0; at < count && done < PUNCH_AT_ONCE; at += spans) {
		int64_t bytes = 0;
		uint64_t joined;

		word = stoai_span_load(seg, at);
		spans = stoai_span_step(word);
		STOA_VERIFY(spans <= count - at);
		if (!stoai_span_free(word))
			continue;
		joined = stoai_run_join(seg, at, count, false, &word);
		if (joined && !(word & STOAI_SPAN_PUNCHED))
			bytes = punch(seg, at, joined);
		if (bytes < 0)
			return bytes;
		done += bytes;
		word = stoai_span_load(seg, at);
		spans = stoai_span_length(word);
		if (at && joined && at + spans == count &&
			word & STOAI_SPAN_PUNCHED) {
			cut_end(seg, at);
			break;
		}
	}
	return done;
}

/* Under the heap's lock: nobody reads without one. Readers come after it or not. */
static int64_t
trim_unread(stoa_segment *seg)
{
	int64_t bytes;

	if (stoai_os_lock_byte(seg->fd, STOAI_READER_BYTE,
		    STOAI_LOCK_EXCLUSIVE) == -EAGAIN)
		return 0;
	bytes = trim_some(seg);
	(void)stoai_os_lock_byte(seg->fd, STOAI_READER_BYTE, STOAI_LOCK_NONE);
	return bytes;
}

int64_t
stoai_heap_trim(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	int64_t bytes = 0, total = 0;

	stoai_supply_collect(seat);
	if (!has_file(seg))
		return 0;
	do {
		int rc = stoai_heap_lock(seat);

		if (rc)
			return rc;
		bytes = trim_unread(seg);
		stoai_heap_unlock(seat);
		total += bytes > 0 ? bytes : 0;
	} while (bytes > 0);
	if (bytes < 0 && bytes != -EBADMSG)
		return stoai_error((int)bytes,
			"%s: its file system cannot take pages back: %s",
			stoai_name(seg), stoa_strerror((int)bytes));
	return bytes < 0 ? bytes : total;
}
