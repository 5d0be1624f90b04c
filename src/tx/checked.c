/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Checked mode (STOA_CHECKED): did a transaction change what it did not save, or
 * under another lock than the transactions before it?
 *
 *	begin    copy the heap
 *	commit   compare: each byte that differs must lie in a saved range, in a
 *	         block made by this transaction, or in a lock that it holds
 *	         each saved block: which exclusive locks are held now? Intersect
 *	         with those of earlier changes of that block; nothing left = no
 *	         one lock protects it (lock sets, as in Eraser, Savage et al. 1997)
 *	         each table that a container has moved away from: is it as it was
 *	         then? If not, somebody kept a pointer into it and changed a value
 *	         that is not there any more
 *
 * The comparison with the beginning is dropped when any other thread had a transaction meanwhile:
 * its changes are not ours to judge. Cost: two passes over the heap a
 * transaction. For tests and for hunting, not for production.
 */
#include <stdlib.h>
#include "base/hash.h"
#include "heap/heap.h"
#include "segment/others.h"
#include "sync/contention.h"
#include "tx/local.h"

enum {
	LOCKS_MAX = 8,
	BLOCKS_MIN = 1024
};

struct range {
	uint64_t from, to;
};

struct ranges {
	struct range *at;
	size_t count, room;
	bool failed;
};

struct block {        /* which locks protected every change of it so far */
	uint64_t off; /* 0: free entry */
	uint64_t lock[LOCKS_MAX];
	uint32_t locks;
};

struct moved { /* a container's old table, until its transaction ends */
	const struct stoai_seat *seat;
	uint64_t off, sum;
};

struct checked {
	pthread_mutex_t mutex;
	char *copy; /* of the heap when the watched transaction began */
	uint64_t copied, room;
	struct stoai_seat *watched; /* whose; NULL: nobody's */
	uint64_t others;            /* what all other slots looked like */
	struct block *block;
	size_t block_count, block_room;
	struct moved *moved;
	size_t moved_count, moved_room;
};

static struct checked *
state_of(stoa_segment *seg)
{
	void *c = ap_load_acquire(&seg->checked_state);
	struct checked *fresh;

	if (c)
		return c;
	fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return NULL;
	pthread_mutex_init(&fresh->mutex, NULL);
	if (ap_cas_seq_cst(&seg->checked_state, &c, fresh))
		return fresh;
	pthread_mutex_destroy(&fresh->mutex);
	free(fresh);
	return c;
}

/* ---- tables that were left ---- */

static void
moved_forget(struct checked *c, const struct stoai_seat *seat)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->moved_count; i++)
		if (c->moved[i].seat != seat)
			c->moved[kept++] = c->moved[i];
	c->moved_count = kept;
}

static uint64_t
moved_sum(stoa_segment *seg, uint64_t off)
{
	return stoai_hash(stoai_at(seg, off), stoai_heap_usable(seg, off), 0);
}

void
stoai_checked_moved(struct stoa_tx *tx, uint64_t off)
{
	struct checked *c = state_of(tx->seg);

	if (!c)
		return;
	pthread_mutex_lock(&c->mutex);
	if (c->moved_count == c->moved_room) {
		size_t room = c->moved_room ? 2 * c->moved_room : 16;
		struct moved *at = realloc(c->moved, room * sizeof *at);

		if (at) {
			c->moved = at;
			c->moved_room = room;
		}
	}
	if (c->moved_count < c->moved_room)
		c->moved[c->moved_count++] =
			(struct moved){tx->seat, off, moved_sum(tx->seg, off)};
	pthread_mutex_unlock(&c->mutex);
}

/* ---- begin ---- */

void
stoai_checked_begin(struct stoa_tx *tx)
{
	stoa_segment *seg = tx->seg;
	struct checked *c = state_of(seg);
	uint64_t size;

	if (!c)
		return;
	pthread_mutex_lock(&c->mutex);
	moved_forget(c, tx->seat);
	size = stoai_committed(seg);
	size = size > seg->heap_off ? size - seg->heap_off : 0;
	if (size > c->room) {
		char *copy = realloc(c->copy, size);

		if (copy) {
			c->copy = copy;
			c->room = size;
		}
	}
	c->watched = NULL;
	if (size && size <= c->room) {
		c->others = stoai_others_work(tx->seg, tx->seat->index);
		stoai_segment_annotate(seg);
		memcpy(c->copy, stoai_at(seg, seg->heap_off), size);
		c->copied = size;
		c->watched = c->others ? tx->seat : NULL;
	}
	pthread_mutex_unlock(&c->mutex);
}

/* ---- what may have changed ---- */

static void
ranges_add(struct ranges *r, uint64_t from, uint64_t size)
{
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 256;
		struct range *at = realloc(r->at, room * sizeof *at);

		if (!at) {
			r->failed = true;
			return;
		}
		r->at = at;
		r->room = room;
	}
	r->at[r->count].from = from;
	r->at[r->count++].to = from + size;
}

static int
range_compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* Calls f for each record of the caller's own log, oldest first. 0, or -EBADMSG. */
static int
each_record(struct stoai_seat *seat, void (*f)(void *user, uint64_t head),
	void *user)
{
	stoa_segment *seg = seat->seg;
	uint64_t at = stoai_log_start(seg, seat->index);
	uint64_t left = stoai_lane_limit(seg);

	while (at != a64_load_relaxed(&seat->lane->cursor)) {
		uint64_t head = 0;
		int rc = stoai_lane_record(seg, seat->index, at, &head, &at);

		if (!rc && !left--)
			rc = stoai_error(-EBADMSG,
				"%s: damaged: the log of slot %u goes round",
				stoai_name(seg), seat->index);
		if (rc)
			return rc;
		f(user, head);
	}
	return 0;
}

struct collect {
	stoa_segment *seg;
	struct ranges *ranges;
};

/* Of a block that this transaction made, also when it was merged to one before it. */
static uint64_t
made_size(stoa_segment *seg, uint64_t off)
{
	uint64_t size = stoai_heap_usable(seg, off), start;

	if (size)
		return size;
	start = stoai_heap_block(seg, off);
	return start ? start + stoai_heap_usable(seg, start) - off : 0;
}

static void
collect_record(void *user, uint64_t head)
{
	struct collect *it = user;
	uint64_t off = head & STOAI_LOG_OFFSET;

	if (head >> 60 == STOAI_LOG_SAVE)
		ranges_add(it->ranges, off, head >> 44 & 0xffff);
	else if (head >> 60 == STOAI_LOG_ALLOC ||
		 head >> 60 == STOAI_LOG_TAKEN || head >> 60 == STOAI_LOG_NEXT)
		ranges_add(it->ranges, off, made_size(it->seg, off));
}

static void
collect_locks(struct stoai_seat *seat, struct ranges *r)
{
	for (uint32_t used = stoai_seat_taken(seat); used; used &= used - 1) {
		uint64_t held = seat->lane->held[__builtin_ctz(used)];
		unsigned mode = stoai_held_mode(held);

		if (stoai_held_lock(mode))
			ranges_add(
				r, stoai_held_off(held), stoai_held_size(mode));
	}
}

/* Waits are counted in the middle of transactions. */
static void
collect_counters(stoa_segment *seg, struct ranges *r)
{
	struct stoai_contention c;

	if (stoai_contention_in(seg, &c))
		ranges_add(r, stoai_off(seg, c.table),
			stoai_contention_size(seg, c.rows));
}

struct compare {
	stoa_segment *seg;
	const struct checked *checked;
	const struct ranges *ranges; /* sorted */
	size_t next;
	uint64_t covered; /* everything before it is explained */
	uint64_t found;   /* the first changed byte that nothing explains */
};

/* One published block; they come in order of addresses. */
static int
compare_block(void *user, uint64_t from, uint64_t size)
{
	struct compare *c = user;
	const char *now = stoai_at(c->seg, from);
	const char *then = c->checked->copy + (from - c->seg->heap_off);
	uint64_t end = c->seg->heap_off + c->checked->copied;

	if (from + size > end || !memcmp(now, then, size))
		return 0;
	for (uint64_t i = 0; i < size; i++) {
		if (now[i] == then[i])
			continue;
		while (c->next < c->ranges->count &&
			c->ranges->at[c->next].from <= from + i) {
			c->covered = stoai_max(
				c->covered, c->ranges->at[c->next].to);
			c->next++;
		}
		if (from + i >= c->covered) {
			c->found = from + i;
			return 1;
		}
	}
	return 0;
}

static int
check_saved(struct stoa_tx *tx, struct checked *c)
{
	struct ranges r = {0};
	struct collect it = {tx->seg, &r};
	struct compare compare = {.seg = tx->seg, .checked = c, .ranges = &r};
	uint64_t off, block;

	int rc = each_record(tx->seat, collect_record, &it);

	collect_locks(tx->seat, &r);
	collect_counters(tx->seg, &r);
	if (r.count)
		qsort(r.at, r.count, sizeof *r.at, range_compare);
	if (!rc && !r.failed)
		(void)stoai_heap_each(tx->seg, compare_block, &compare);
	off = compare.found;
	free(r.at);
	if (rc || !off ||
		stoai_others_work(tx->seg, tx->seat->index) != c->others)
		return rc;
	block = stoai_heap_block(tx->seg, off);
	return stoai_error(-EFAULT,
		"%s: byte %#llx (byte %llu of the block at %#llx) was changed "
		"without stoa_edit or STOA_SET: a store through a cast, or "
		"after "
		"an earlier commit",
		stoai_name(tx->seg), (unsigned long long)off,
		(unsigned long long)(off - block), (unsigned long long)block);
}

struct left {
	struct stoa_tx *tx;
	const struct checked *checked;
	uint64_t found; /* a table that was changed after it was left */
};

/* What a savepoint undid has no record any more; the last of a block counts. */
static void
left_record(void *user, uint64_t head)
{
	struct left *it = user;
	uint64_t off = head & STOAI_LOG_OFFSET;

	if (head >> 60 != STOAI_LOG_FREE && head >> 60 != STOAI_LOG_DROPPED)
		return;
	for (size_t i = it->checked->moved_count; i-- > 0;) {
		const struct moved *m = &it->checked->moved[i];

		if (m->seat != it->tx->seat || m->off != off)
			continue;
		if (m->sum != moved_sum(it->tx->seg, off))
			it->found = off;
		return;
	}
}

static int
check_left(struct stoa_tx *tx, struct checked *c)
{
	struct left it = {.tx = tx, .checked = c};

	if (c->moved_count)
		each_record(tx->seat, left_record, &it);
	if (!it.found)
		return 0;
	return stoai_error(-EFAULT,
		"%s: a value was changed where its container was before it "
		"grew (the block at %#llx): a pointer of ensure, edit, add or "
		"push is good until the next insertion; take it again",
		stoai_name(tx->seg), (unsigned long long)it.found);
}

/* ---- lock sets ---- */

static struct block *
block_find(struct checked *c, uint64_t off)
{
	size_t i = stoai_hash(&off, sizeof off, 0) & (c->block_room - 1);

	while (c->block[i].off && c->block[i].off != off)
		i = (i + 1) & (c->block_room - 1);
	return &c->block[i];
}

static bool
blocks_room(struct checked *c)
{
	size_t room = c->block_room ? 2 * c->block_room : BLOCKS_MIN;
	struct block *old = c->block, *fresh;

	if (2 * c->block_count < c->block_room)
		return true;
	fresh = calloc(room, sizeof *fresh);
	if (!fresh)
		return false;
	c->block = fresh;
	for (size_t i = 0, n = c->block_room; i < n; i++)
		if (old[i].off) {
			c->block_room = room;
			*block_find(c, old[i].off) = old[i];
		}
	c->block_room = room;
	free(old);
	return true;
}

static uint32_t
held_exclusive(struct stoai_seat *seat, uint64_t lock[LOCKS_MAX])
{
	uint32_t n = 0;

	for (uint32_t used = stoai_seat_taken(seat); used && n < LOCKS_MAX;
		used &= used - 1) {
		uint64_t held = seat->lane->held[__builtin_ctz(used)];

		if (stoai_held_alone(stoai_held_mode(held)))
			lock[n++] = stoai_held_off(held);
	}
	return n;
}

struct lockset {
	struct stoa_tx *tx;
	struct checked *checked;
	uint64_t lock[LOCKS_MAX];
	uint32_t locks;
	int rc;
};

/* False: nothing would be left; then the block's set stays as it was. */
static bool
intersect(struct block *b, const struct lockset *s)
{
	uint64_t kept[LOCKS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->locks; i++)
		for (uint32_t j = 0; j < s->locks; j++)
			if (b->lock[i] == s->lock[j]) {
				kept[n++] = b->lock[i];
				break;
			}
	if (!n)
		return false;
	memcpy(b->lock, kept, n * sizeof *kept);
	b->locks = n;
	return true;
}

static void
lockset_record(void *user, uint64_t head)
{
	struct lockset *s = user;
	struct checked *c = s->checked;
	uint64_t off = head & STOAI_LOG_OFFSET;
	uint64_t kind = head >> 60, start;
	struct block *b;

	if (kind == STOAI_LOG_TAKEN)
		kind = STOAI_LOG_ALLOC;
	if (kind == STOAI_LOG_DROPPED)
		kind = STOAI_LOG_FREE;
	if ((kind != STOAI_LOG_SAVE && kind != STOAI_LOG_ALLOC &&
		    kind != STOAI_LOG_FREE) ||
		s->rc || !blocks_room(c))
		return;
	start = stoai_heap_block(s->tx->seg, off);
	if (!start) /* what an algorithm keeps between its blocks */
		return;
	b = block_find(c, start);
	if (!b->off || kind != STOAI_LOG_SAVE) {
		/* unknown, or another life of that memory: begin anew */
		c->block_count += !b->off;
		b->off = start;
		memcpy(b->lock, s->lock, sizeof b->lock);
		b->locks = kind == STOAI_LOG_SAVE ? s->locks : 0;
		if (kind != STOAI_LOG_SAVE)
			b->lock[0] = UINT64_MAX; /* made by whoever made it */
		return;
	}
	if (!b->locks && b->lock[0] == UINT64_MAX) {
		memcpy(b->lock, s->lock, sizeof b->lock);
		b->locks = s->locks;
		return;
	}
	if (!intersect(b, s))
		s->rc = stoai_error(-EFAULT,
			"%s: the block at %#llx was changed under the lock at "
			"%#llx before and is now changed without it: which "
			"lock "
			"protects it?",
			stoai_name(s->tx->seg), (unsigned long long)b->off,
			(unsigned long long)b->lock[0]);
}

static int
check_locks(struct stoa_tx *tx, struct checked *c)
{
	struct lockset s = {.tx = tx, .checked = c};
	int rc;

	s.locks = held_exclusive(tx->seat, s.lock);
	rc = each_record(tx->seat, lockset_record, &s);
	return s.rc ? s.rc : rc;
}

int
stoai_checked_commit(struct stoa_tx *tx)
{
	struct checked *c = tx->seat ? tx->seg->checked_state : NULL;
	int rc = 0;

	if (!c || tx->state != STOAI_TX_WRITES)
		return 0;
	pthread_mutex_lock(&c->mutex);
	if (c->watched == tx->seat)
		rc = check_saved(tx, c);
	c->watched = NULL;
	if (!rc)
		rc = check_left(tx, c);
	moved_forget(c, tx->seat);
	if (!rc)
		rc = check_locks(tx, c);
	pthread_mutex_unlock(&c->mutex);
	return rc;
}

void
stoai_checked_segment_end(stoa_segment *seg)
{
	struct checked *c = seg->checked_state;

	if (!c)
		return;
	pthread_mutex_destroy(&c->mutex);
	free(c->copy);
	free(c->block);
	free(c->moved);
	free(c);
	seg->checked_state = NULL;
}
