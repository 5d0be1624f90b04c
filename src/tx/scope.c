/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Scopes: when does a transaction begin, and what ends it?
 *
 *	begin    attach, locks in order, note where the log stands
 *	commit   outermost: one store makes it true, then the locks go, then what
 *	         was deferred; inside another: nothing, its changes are the outer's
 *	         before that, blocks go back to an algorithm of one's own (own.c)
 *	end      without commit: undo to where the log stood
 *
 * The commit store. Nothing to be done afterwards (no FREE, no WAKE): emptying the
 * log, by one store to its cursor, is the commit. Otherwise the lane's state
 * becomes COMMITTED, and from there everybody goes forward:
 *
 *	COMMITTED; conditions marked; SIGNALLED; locks released; sleepers woken;
 *	FREEING; frees; log empty; OPEN
 *
 * Conditions are marked before the locks go, because afterwards a waiter may
 * delete the object that holds them; the locks go before the frees, because a
 * transaction may free the object that holds one of its own locks.
 *
 * A transaction object lives in the thread's wiped page: a fork child reads zeros,
 * another thread's `self` differs, so neither can commit what is not its own. A
 * scope of a function that was called before the one of the scope around it shows
 * that a longjmp has left that one.
 */
#include "heap/heap.h"
#include "sync/lock.h"
#include "tx/local.h"

/* What begin gives when there is not even memory for a scope; never written. */
static struct stoa_tx no_memory = {.error = -ENOMEM};

static struct stoa_tx *
scope_new(void)
{
	struct stoai_self *self = stoai_self;
	struct stoai_tx_self *mine;
	struct stoa_tx *tx;
	uint32_t i;

	if (stoai_unlikely(!self || !self->ready)) {
		self = stoai_self_get();
		if (!self) {
			(void)stoai_error(-ENOMEM,
				"no memory for a transaction of this thread");
			return &no_memory;
		}
	}
	mine = stoai_tx_self(self);
	i = (uint32_t)__builtin_ctz(~mine->used);
	if (i >= STOAI_TX_DEPTH_MAX - 1) {
		/* the last one is everybody's who is too deep */
		tx = &mine->scope[STOAI_TX_DEPTH_MAX - 1];
		memset(tx, 0, sizeof *tx);
		tx->error = stoai_error(-EOVERFLOW,
			"%d scopes of this thread are open inside one another",
			STOAI_TX_DEPTH_MAX - 1);
		return tx;
	}
	tx = &mine->scope[i];
	mine->used |= 1u << i;
	tx->self = self;
	tx->error = 0;
	tx->seat = NULL;
	tx->outer = NULL;
	tx->watched_count = 0;
	tx->fresh_next = 0;
	tx->serial = ++mine->serial;
	stoai_view_empty(tx);
	return tx;
}

static void
scope_free(struct stoa_tx *tx)
{
	struct stoai_tx_self *mine = stoai_tx_self(tx->self);

	tx->state = STOAI_TX_CLOSED;
	mine->used &= ~(1u << (tx - mine->scope));
}

/* The scope around it is on this stack still, and this is no signal handler. */
static int
nesting_check(const struct stoai_seat *seat, const struct stoa_tx *outer,
	const void *frame)
{
	int rc = stoai_seat_busy(seat);

	if (rc)
		return rc;
	if (outer && outer->frame && frame &&
		(const char *)frame > (const char *)outer->frame)
		return stoai_error(-EDEADLK,
			"%s: a scope was left by longjmp, or this is another "
			"stack; stoa_thread_recover() undoes it",
			stoai_name(seat->seg));
	return 0;
}

static int
begin_attached(
	struct stoa_tx *tx, const stoa_hold *holds, size_t n, uint64_t deadline)
{
	struct stoai_seat *seat = stoai_seat_of(tx->seg);
	int rc = seat ? 0 : stoai_attach(tx->seg, STOA_NOW, &seat);

	if (!rc)
		rc = stoai_segment_usable(tx->seg);
	if (!rc)
		rc = nesting_check(seat, seat->scope, tx->frame);
	if (rc)
		return rc;
	tx->seat = seat;
	tx->outer = seat->scope;
	tx->mark = seat->lane->cursor;
	tx->mark_chunks = seat->chunks;
	tx->mark_effects = seat->effects;
	if (tx->outer)
		stoai_view_empty(tx->outer);
	seat->scope = tx;
	if (tx->state == STOAI_TX_WRITES)
		seat->writer = tx;
	if (tx->outer && tx->outer->error)
		return tx->outer->error;
	if (tx->outer && tx->state == STOAI_TX_WRITES &&
		tx->outer->state != STOAI_TX_WRITES)
		return stoai_error(-EBUSY,
			"%s: a transaction cannot begin inside a read scope, "
			"whose "
			"locks its commit would give up: end that scope first",
			stoai_name(tx->seg));
	seat->busy = 1;
	rc = stoai_tx_take_locks(tx, holds, n, deadline);
	seat->busy = 0;
	if (!rc && tx->seg->checked && !tx->outer &&
		tx->state == STOAI_TX_WRITES)
		stoai_checked_begin(tx);
	return rc;
}

static struct stoa_tx *
begin(stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline,
	enum stoai_tx_state state, const void *frame)
{
	struct stoa_tx *tx = scope_new();

	if (!tx->self)
		return tx;
	tx->state = state;
	tx->seg = seg;
	tx->frame = frame;
	if (!seg)
		tx->error = stoai_error(-EINVAL, "a scope without a segment");
	else if (stoai_unlikely(seg->readonly))
		tx->error =
			state == STOAI_TX_WRITES
				? stoai_error(-EROFS,
					  "%s is open for reading only",
					  stoai_name(seg))
				: stoai_tx_take_locks(tx, holds, n, deadline);
	else
		tx->error = begin_attached(tx, holds, n, deadline);
	return tx;
}

stoa_tx *
stoa_tx_begin(
	stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline)
{
	return begin(seg, holds, n, deadline, STOAI_TX_WRITES, NULL);
}

stoa_tx *
stoa_tx_begin_(stoa_segment *seg, const stoa_hold *holds, size_t n,
	uint64_t deadline, const void *frame)
{
	return begin(seg, holds, n, deadline, STOAI_TX_WRITES, frame);
}

const stoa_tx *
stoa_read_begin(
	stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline)
{
	return begin(seg, holds, n, deadline, STOAI_TX_READS, NULL);
}

const stoa_tx *
stoa_read_begin_(stoa_segment *seg, const stoa_hold *holds, size_t n,
	uint64_t deadline, const void *frame)
{
	return begin(seg, holds, n, deadline, STOAI_TX_READS, frame);
}

/* ---- the ends ---- */

/* Our own log is damaged: as if this thread had died in it. */
static int
lane_damaged(struct stoai_seat *seat)
{
	a32_store_kill(&seat->slot->tries, STOAI_TRIES_MAX + 1);
	a32_fetch_or_seq_cst(
		&stoai_header(seat->seg)->flags, STOAI_SEGMENT_DAMAGED);
	return stoai_error_in(-ENOTRECOVERABLE,
		"%s: quarantined, since a log can be neither undone nor "
		"finished",
		stoai_name(seat->seg));
}

/* What an outermost scope held is given back. */
static void
let_go(struct stoa_tx *tx, bool replay)
{
	if (tx->outer)
		return;
	stoai_unlock_all(tx->seat);
	stoai_cond_settle(tx->seat, replay);
}

/* Undo this scope's records; a read scope has none. */
static void
undo(struct stoa_tx *tx)
{
	struct stoai_seat *seat = tx->seat;
	int rc = 0;

	if (tx->state == STOAI_TX_WRITES) {
		if (seat->lane->cursor != tx->mark) {
			a32_store_kill(
				&seat->slot->undone, seat->slot->undone + 1);
			rc = stoai_lane_rollback(
				seat->seg, seat->index, tx->mark);
		}
		if (rc) {
			tx->error = lane_damaged(seat);
			return;
		}
		stoai_lane_trim(seat, tx->mark_chunks);
		seat->effects = tx->mark_effects;
	}
	let_go(tx, true);
}

/* The scopes that were begun in this one and not ended are over, undone with it. */
static void
inner_over(struct stoa_tx *tx)
{
	struct stoa_tx *in = tx->seat->scope;

	while (in && in != tx) {
		struct stoa_tx *outer = in->outer;

		if (!in->error)
			in->error = stoai_error(-EBUSY,
				"the scope around this one was ended first");
		stoai_view_empty(in);
		in->state = STOAI_TX_OVER;
		in->seat = NULL;
		in = outer;
	}
}

static void
over(struct stoa_tx *tx)
{
	if (tx->seat) {
		tx->seat->scope = tx->outer;
		if (tx->state == STOAI_TX_WRITES)
			tx->seat->writer = tx->outer;
	}
	stoai_view_empty(tx);
	tx->state = STOAI_TX_OVER;
	tx->seat = NULL;
}

static int
commit_outermost(struct stoa_tx *tx)
{
	struct stoai_seat *seat = tx->seat;
	struct stoai_lane *lane = seat->lane;
	int rc = 0;

	/* before the log is empty, which pairs with: segment/others.c */
	a32_store_kill(&seat->slot->commits, seat->slot->commits + 1);
	if (seat->effects) {
		bool wakes = seat->effects >> STOAI_LOG_WAKE & 1;

		a32_store_kill(&lane->state, STOAI_LANE_COMMITTED);
		rc = stoai_lane_signal(seat->seg, seat->index,
			wakes || seat->effects >> STOAI_LOG_DROPPED & 1);
		stoai_unlock_all(seat);
		if (!rc)
			rc = stoai_lane_finish(seat->seg, seat->index, wakes);
		if (rc)
			rc = lane_damaged(seat);
		seat->effects = 0;
	} else {
		if (lane->cursor != tx->mark)
			a64_store_release(&lane->cursor, tx->mark);
		stoai_unlock_all(seat);
	}
	stoai_cond_settle(seat, false);
	if (seat->chunks)
		stoai_lane_trim(seat, 0);
	return rc;
}

int(stoa_tx_commit)(stoa_tx *tx)
{
	struct stoai_seat *seat;
	int rc = stoai_tx_mine(tx);

	if (rc)
		return rc;
	seat = tx->seat;
	if (seat && stoai_unlikely(seat->scope != tx)) {
		(void)stoai_tx_fail(
			tx, stoai_error(-EBUSY,
				    "a scope inside this one is still open"));
		inner_over(tx);
	}
	if (!tx->error && tx->seg->checked && !tx->outer)
		tx->error = stoai_checked_commit(tx);
	if (!tx->error && !tx->outer && seat &&
		stoai_unlikely(seat->effects >> STOAI_LOG_DROPPED & 1))
		stoai_own_drop(tx);
	if (!seat) {
		over(tx);
		return tx->error;
	}
	seat->busy = 1;
	if (tx->error)
		undo(tx);
	else if (!tx->outer)
		tx->error = commit_outermost(tx);
	seat->busy = 0;
	over(tx);
	return tx->error;
}

void
stoa_tx_end(const stoa_tx *rd)
{
	struct stoa_tx *tx = (struct stoa_tx *)(uintptr_t)rd;

	if (!tx->self || tx->self != stoai_self || tx->state == STOAI_TX_CLOSED)
		return;
	if (tx->state != STOAI_TX_OVER) {
		if (tx->seat) {
			inner_over(tx);
			tx->seat->busy = 1;
			undo(tx);
			tx->seat->busy = 0;
		}
		over(tx);
	}
	scope_free(tx);
}

stoa_segment *
stoa_tx_segment(const stoa_tx *rd)
{
	return rd->seg;
}

/* ---- from below: the seat goes while scopes are open ---- */

void
stoai_tx_seat_end(struct stoai_seat *seat)
{
	struct stoa_tx *tx = seat->scope;

	while (tx) {
		struct stoa_tx *outer = tx->outer;

		if (!tx->error)
			tx->error = stoai_error(-EBADF,
				"%s was closed or detached inside a scope",
				stoai_name(seat->seg));
		stoai_view_empty(tx);
		tx->state = STOAI_TX_OVER;
		tx->seat = NULL;
		tx = outer;
	}
	seat->scope = NULL;
	seat->writer = NULL;
}

void
stoa_thread_recover(void)
{
	struct stoai_self *self = stoai_self;

	if (!self || !self->ready)
		return;
	for (size_t i = 0; i < STOAI_SEGMENTS_MAX; i++) {
		struct stoai_seat *seat = self->seat[i];

		if (!seat || !seat->seg)
			continue;
		while (seat->scope)
			stoa_tx_end(seat->scope);
		seat->busy = 0;
	}
	stoai_tx_self(self)->used = 0;
	stoai_tx_self(self)->asked = false;
}
