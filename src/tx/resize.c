/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Raw blocks, longer and shorter: what is done, and in which order, when a block
 * is to have another size?
 *
 * A large block changes its length where it is by merging with a run that was
 * allocated beside it, or by being split and freeing a part (heap/resize.c):
 *
 *	longer      ALLOC second, MERGE first n k     undo: split; second is free
 *	shorter     SPLIT first n k, FREE second      undo: merge
 *	from front  SPLIT first n k, FREE first       undo: merge
 *
 * So the part that is given up is a block of its own until commit, and is freed by
 * the same rules as any other, after the locks have gone; and the block is at no
 * time longer than whoever locks it next will find it.
 */
#include "heap/heap.h"
#include "tx/local.h"
#include "stoa/memory.h"

/* ---- a large block, in spans ---- */

struct run {
	stoa_tx *tx;
	uint64_t off, spans;
};

static uint64_t
spans_of(const stoa_segment *seg, uint64_t size)
{
	return (size >> seg->span_shift) +
	       ((size & ((UINT64_C(1) << seg->span_shift) - 1)) != 0);
}

/* The record, then the change: n and k spans at off become one block, or two. */
static bool
run_change(stoa_tx *tx, enum stoai_log_kind kind, uint64_t off, uint64_t n,
	uint64_t k)
{
	const uint64_t pair[2] = {n, k};
	int rc = stoai_lane_append(tx->seat, kind, sizeof pair, off, pair);

	if (!rc)
		rc = kind == STOAI_LOG_MERGE
			     ? stoai_heap_merge(tx->seg, off, n, k)
			     : stoai_heap_split(
				       tx->seg, tx->seat->index, off, n, k);
	if (!rc)
		return true;
	if (rc == -EBADMSG)
		(void)stoai_tx_damaged(tx,
			"the block at %#llx is not what its transaction knows",
			(unsigned long long)off);
	else
		(void)stoai_tx_fail(tx, rc);
	return false;
}

/* Of its spans only those from `first` on, `n` of them. */
static bool
run_keep(struct run *run, uint64_t first, uint64_t n)
{
	stoa_tx *tx = run->tx;
	unsigned shift = tx->seg->span_shift;
	uint64_t front = run->off;
	bool ok = true;

	if (first) {
		ok = run_change(tx, STOAI_LOG_SPLIT, front, first,
			     run->spans - first) &&
		     stoai_tx_free(tx, front);
		run->off += first << shift;
		run->spans -= first;
	}
	if (ok && n < run->spans) {
		ok = run_change(tx, STOAI_LOG_SPLIT, run->off, n,
			     run->spans - n) &&
		     stoai_tx_free(tx, run->off + (n << shift));
		run->spans = n;
	}
	return ok;
}

/* Transient spans behind or in front of it become part of it. */
static bool
run_merge(struct run *run, uint64_t off, uint64_t spans)
{
	stoa_tx *tx = run->tx;
	bool behind = off > run->off;
	uint64_t first = behind ? run->off : off;
	bool ok = stoai_tx_give(tx, (struct stoai_cached){off, 0},
			  spans << tx->seg->span_shift) &&
		  run_change(tx, STOAI_LOG_MERGE, first,
			  behind ? run->spans : spans,
			  behind ? spans : run->spans);

	run->off = first;
	run->spans += spans;
	return ok;
}

/*
 * `least` to `most` more spans. 0; -EAGAIN: there are none beside it; what else
 * has failed.
 */
static int
run_grow(struct run *run, uint64_t least, uint64_t most, uint64_t align,
	unsigned how)
{
	stoa_tx *tx = run->tx;
	unsigned shift = tx->seg->span_shift;
	uint64_t limit = tx->seg->size >> shift; /* more than there can be */
	uint64_t behind, before, end;
	int rc = -EAGAIN;

	if (least > limit)
		return rc;
	most = stoai_min(most, limit);
	behind = most;
	if (how & STOA_WISH_FORWARD) {
		rc = stoai_heap_take_behind(
			tx->seat, run->off, run->spans, least, &behind);
		if (!rc) {
			end = run->off + (run->spans << shift);
			return run_merge(run, end, behind) ? 0 : tx->error;
		}
	} else {
		behind = 0;
	}
	if ((rc != -EAGAIN && rc != -ENOSPC) || !(how & STOA_WISH_BACKWARD))
		return rc == -ENOSPC ? -EAGAIN : rc;
	/* in front what is not behind; then also what is behind */
	behind = rc == -ENOSPC ? 0 : stoai_min(behind, least - 1);
	before = most - behind;
	rc = stoai_heap_take_before(
		tx->seat, run->off, least - behind, align, &before);
	if (rc)
		return rc == -ENOSPC ? -EAGAIN : rc;
	end = run->off + (run->spans << shift);
	if (behind && stoai_heap_take_behind(tx->seat, run->off, run->spans,
			      behind, &behind)) {
		/* somebody was faster */
		(void)stoai_heap_free(tx->seat, run->off - (before << shift));
		return -EAGAIN;
	}
	if (!run_merge(run, run->off - (before << shift), before) ||
		(behind && !run_merge(run, end, behind)))
		return tx->error;
	return 0;
}

static bool
run_at(stoa_tx *tx, uint64_t off, struct run *ret)
{
	ret->tx = tx;
	ret->off = off;
	return stoai_heap_run(tx->seg, off, &ret->spans);
}

/* ---- longer and shorter ---- */

const void *
stoa_keep(stoa_tx *tx, const void *p, uint64_t from, uint64_t size)
{
	uint64_t off, usable, first, last;
	struct run run;
	bool ok;

	if (!stoai_tx_block(tx, p, &off, &usable))
		return stoai_scratch_dirty(size);
	if (from >= usable || size > usable - from) {
		(void)stoai_tx_fail(tx,
			stoai_error(-EINVAL,
				"%s: bytes %llu to %llu of a block of %llu",
				stoai_name(tx->seg), (unsigned long long)from,
				(unsigned long long)(from + size),
				(unsigned long long)usable));
		return stoai_scratch_dirty(size);
	}
	if (!run_at(tx, off, &run))
		return p;
	first = from >> tx->seg->span_shift;
	last = spans_of(tx->seg, from + stoai_max(size, 1));
	tx->seat->busy = 1;
	ok = run_keep(&run, first, last - first);
	tx->seat->busy = 0;
	return ok ? stoai_at(tx->seg, run.off) : stoai_scratch_dirty(size);
}

static const void *
resize_moved(stoa_tx *tx, const void *p, uint64_t off, uint64_t usable,
	uint64_t size, uint64_t align)
{
	void *fresh = stoa_alloc(tx, size, align);

	if (!tx->error) {
		memcpy(fresh, p, stoai_min(usable, size));
		(void)stoai_tx_free(tx, off);
	}
	return fresh;
}

const void *
stoa_resize(stoa_tx *tx, const void *p, uint64_t size, uint64_t align)
{
	uint64_t off, usable, spans;
	struct run run;
	int rc;

	if (!p)
		return stoa_alloc(tx, size, align);
	align = stoai_tx_align(align);
	size = stoai_max(size, 1);
	if (!stoai_tx_block(tx, p, &off, &usable))
		return stoai_scratch_dirty(size);
	if (!stoai_is_pow2(align) || off & (align - 1))
		return resize_moved(tx, p, off, usable, size, align);
	if (!run_at(tx, off, &run))
		return size <= usable
			       ? p
			       : resize_moved(tx, p, off, usable, size, align);
	spans = spans_of(tx->seg, size);
	tx->seat->busy = 1;
	if (spans <= run.spans)
		rc = run_keep(&run, 0, spans) ? 0 : tx->error;
	else
		rc = run_grow(&run, spans - run.spans, spans - run.spans, align,
			STOA_WISH_FORWARD);
	tx->seat->busy = 0;
	if (!rc)
		return p;
	if (rc == -EAGAIN)
		return resize_moved(tx, p, off, usable, size, align);
	(void)stoai_tx_fail(tx, rc);
	return stoai_scratch_dirty(size);
}

uint64_t
stoai_tx_lengthen(stoa_tx *tx, uint64_t off, uint64_t size)
{
	uint64_t spans = spans_of(tx->seg, size);
	struct run run;
	int rc;

	if (!off || !run_at(tx, off, &run) || spans <= run.spans)
		return 0;
	tx->seat->busy = 1;
	rc = run_grow(&run, spans - run.spans, spans - run.spans, 1,
		STOA_WISH_FORWARD);
	tx->seat->busy = 0;
	if (rc && rc != -EAGAIN)
		(void)stoai_tx_fail(tx, rc);
	return rc ? 0 : run.spans << tx->seg->span_shift;
}

/* ---- a wish ---- */

struct asked {
	stoa_tx *tx;
	stoa_wish *wish;
	uint64_t off, usable; /* of the old block; 0: none */
	uint64_t align;
	unsigned how;
};

static void
asked_clear(const struct asked *a, uint64_t off, uint64_t end)
{
	if (!(a->how & STOA_WISH_ZERO) || off >= end)
		return;
	if (stoai_own(a->tx))
		memset(stoai_at(a->tx->seg, off), 0, end - off);
	else
		stoai_heap_clear(a->tx->seat, off, end - off);
}

static void
asked_kept(struct asked *a, uint64_t off, uint64_t usable)
{
	asked_clear(a, off, a->off);
	asked_clear(a, a->off + a->usable, off + usable);
	a->wish->p = stoai_at(a->tx->seg, off);
	a->wish->usable = usable;
	a->wish->kept = true;
}

/* The old block, with least to size bytes: 0, -EAGAIN: not so, or what has failed. */
static int
asked_resize(struct asked *a, uint64_t least, uint64_t size)
{
	stoa_tx *tx = a->tx;
	unsigned shift = tx->seg->span_shift;
	uint64_t most = spans_of(tx->seg, size);
	struct run run;
	int rc = 0;

	if (!a->usable || a->off & (a->align - 1))
		return -EAGAIN;
	if (!run_at(tx, a->off, &run)) {
		if (a->usable < least)
			return -EAGAIN;
		asked_kept(a, a->off, a->usable);
		return 0;
	}
	least = spans_of(tx->seg, least);
	if (run.spans < least)
		rc = run_grow(&run, least - run.spans, most - run.spans,
			a->align, a->how);
	else if (run.spans > most && a->how & STOA_WISH_SHRINK)
		rc = run_keep(&run, 0, most) ? 0 : tx->error;
	if (!rc)
		asked_kept(a, run.off, run.spans << shift);
	return rc;
}

static int
asked_new(struct asked *a, uint64_t size)
{
	stoa_tx *tx = a->tx;
	struct stoai_cached block;
	uint64_t usable;
	int rc = stoai_own(tx)
			 ? stoai_own_alloc(
				   tx, size, a->align, &block.off, &usable)
			 : stoai_heap_alloc(tx->seat, size, a->align, &block);

	if (rc)
		return rc == -ENOSPC ? -EAGAIN : rc;
	if (!stoai_own(tx)) {
		usable = stoai_heap_usable(tx->seg, block.off);
		if (!stoai_tx_give(tx, block, usable))
			return tx->error;
	}
	a->wish->p = stoai_at(tx->seg, block.off);
	a->wish->usable = usable;
	a->wish->kept = false;
	asked_clear(a, block.off, block.off + usable);
	return 0;
}

/* No way leads there: what might be had instead. */
static int
asked_in_vain(struct asked *a)
{
	stoa_wish *w = a->wish;
	struct stoai_heap_room room;

	stoai_heap_room(a->tx->seg, &room);
	w->p = NULL;
	w->kept = false;
	w->usable = a->usable;
	if (a->how & STOA_WISH_NEW)
		w->usable = stoai_max(w->usable, room.largest_max);
	w->usable = stoai_min(w->usable, w->least - 1);
	return stoai_error(-ENOSPC,
		"%s: neither %llu bytes nor the %llu that would do can be had; "
		"%llu might",
		stoai_name(a->tx->seg), (unsigned long long)w->size,
		(unsigned long long)w->least, (unsigned long long)w->usable);
}

/* For `size` bytes, then for what there is between that and `least`. */
static int
asked_try(struct asked *a)
{
	stoa_wish *w = a->wish;
	struct stoai_heap_room room;
	uint64_t some;
	int rc = asked_resize(a, w->size, w->size);

	if (rc == -EAGAIN && a->how & STOA_WISH_NEW)
		rc = asked_new(a, w->size);
	if (rc != -EAGAIN || w->least == w->size)
		return rc;
	rc = asked_resize(a, w->least, w->size);
	if (rc == -EAGAIN && a->how & STOA_WISH_NEW) {
		stoai_heap_room(a->tx->seg, &room);
		some = stoai_min(room.largest, w->size);
		if (some > w->least)
			rc = asked_new(a, some);
		if (rc == -EAGAIN)
			rc = asked_new(a, w->least);
	}
	return rc;
}

int
stoa_obtain(stoa_tx *tx, stoa_wish *wish)
{
	struct asked a = {.tx = tx, .wish = wish, .how = wish->how};
	int rc;

	wish->size = stoai_max(wish->size, 1);
	if (!wish->least || wish->least > wish->size)
		wish->least = wish->size;
	a.align = stoai_tx_align(wish->align);
	if (!a.how || a.how == STOA_WISH_ZERO)
		a.how |= STOA_WISH_NEW;
	if (!stoai_tx_writes(tx) || (wish->old && !stoai_tx_block(tx, wish->old,
							  &a.off, &a.usable))) {
		rc = stoa_tx_error(tx);
	} else if (!stoai_is_pow2(a.align)) {
		rc = stoai_error(-EINVAL,
			"%s: alignment %llu is no power of two",
			stoai_name(tx->seg), (unsigned long long)a.align);
	} else {
		tx->seat->busy = 1;
		rc = asked_try(&a);
		tx->seat->busy = 0;
		if (rc == -EAGAIN)
			return asked_in_vain(&a);
	}
	if (!rc)
		return 0;
	wish->p = stoai_scratch_dirty(wish->size);
	wish->usable = wish->size;
	wish->kept = false;
	return stoai_tx_fail(tx, rc);
}
