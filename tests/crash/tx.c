/* SPDX-License-Identifier: BSL-1.0 */
/* Killed at every instruction: transactions, their changes, locks and wake-ups. */
#include <stoa/ptr.h>
#include "data.h"

/* ---- one change ---- */

static void
set_small(stoa_tx *tx, const data *d)
{
	STOA_SET(tx, d->word[0], d->word[0] * 3 + 1);
}

typedef STOA_PTR(const uint64_t) word_ptr;

static void
ptr_set(stoa_tx *tx, const data *d)
{
	const word_ptr *p = (const word_ptr *)(const void *)&d->word[0];

	STOA_PTR_SET(tx, *p, &d->word[2]);
	STOA_ADD(tx, d->word[2], 1);
}

static void
set_large(stoa_tx *tx, const data *d)
{
	wide w = d->wide;

	for (size_t i = 0; i < 75; i++)
		w.word[i] += 1000;
	STOA_SET(tx, d->wide, w);
}

static void
add(stoa_tx *tx, const data *d)
{
	STOA_ADD(tx, d->word[0], 5);
	STOA_ADD(tx, d->word[1], -5);
	STOA_ADD(tx, d->word[0], 1); /* saved already */
}

static void
link_new(stoa_tx *tx, const data *d)
{
	list_add(tx, d, 77);
}

static void
edit(stoa_tx *tx, const data *d)
{
	wide *w = stoa_edit(tx, wide, &d->wide);

	for (size_t i = 0; i < 75; i++)
		w->word[i] += 3;
}

static void
new_not_linked(stoa_tx *tx, const data *d)
{
	/* a block that ends in nothing is freed again, in the same scope */
	node *n = stoa_new(tx, node);

	n->value = 1;
	stoa_delete(tx, node, n);
	STOA_ADD(tx, d->word[2], 1);
}

static void
new_large(stoa_tx *tx, const data *d)
{
	blob *b = stoa_new(tx, blob);

	memset(b, 1, sizeof *b);
	stoa_delete(tx, blob, b);
	STOA_ADD(tx, d->word[2], 1);
}

/* The whole list: one object and all that it owns. */
static void
delete_chain(stoa_tx *tx, const data *d)
{
	const node *n = stoa_get(tx, d->list);

	STOA_LINK(tx, d->list, NULL);
	STOA_LINK(tx, d->tail, NULL);
	if (n)
		stoa_delete(tx, node, n);
}

static void
owner_self(stoa_tx *tx, const data *d)
{
	STOA_SET(tx, d->who, stoa_owner_self(tx));
}

/* ---- scopes ---- */

static int
tx_do(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	return STOA_DO(tx, (seg, &d->lock), STOA_ADD(tx, d->word[0], 1),
		list_add(tx, d, 78));
}

static int
begin_end(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	stoa_hold holds[2] = {stoa_hold_of(&d->lock), stoa_hold_of(&d->side)};
	stoa_tx *tx = stoa_tx_begin(seg, holds, 2, STOA_FOREVER);
	int rc;

	STOA_ADD(tx, d->word[0], 1);
	rc = stoa_tx_commit(tx);
	stoa_tx_end(tx);
	return rc;
}

static int
fail(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	STOA_ADD(tx, d->word[0], 1);
	set_large(tx, d);
	list_add(tx, d, 79);
	delete_chain(tx, d);
	stoa_tx_broadcast(tx, &d->changed);
	return stoa_tx_fail(tx, -EDOM);
}

static int
read_only(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_READ(rd, seg, stoa_segment_lock(seg), &d->lock);
	return stoa_get(rd, d->list) ? stoa_tx_error(rd) : -ENOENT;
}

static int
shared_and_exclusive(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg, stoa_shared(stoa_segment_lock(seg)), &d->lock,
		&d->side);
	STOA_ADD(tx, d->word[3], 1);
	return stoa_tx_commit(tx);
}

static int
more_locks(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	if (stoa_tx_lock(tx, &d->lock) || stoa_tx_lock_mutex(tx, &d->side))
		return stoa_tx_error(tx);
	STOA_ADD(tx, d->word[3], 1);
	return stoa_tx_commit(tx);
}

static int
more_locks_until(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	if (stoa_tx_lock_until(tx, &d->lock, STOA_NOW) ||
		stoa_tx_lock_mutex_until(tx, &d->side, stoa_in_ms(1000)))
		return stoa_tx_fail(tx, -EBUSY);
	STOA_ADD(tx, d->word[3], 1);
	return stoa_tx_commit(tx);
}

/* ---- nested ---- */

static int
nested_commit(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	STOA_ADD(tx, d->word[0], 1);
	{
		STOA_TX(in, seg);
		STOA_ADD(in, d->word[1], 1);
		list_add(in, d, 80);
		if (stoa_tx_commit(in))
			return stoa_tx_error(in);
	}
	STOA_ADD(tx, d->word[2], 1);
	return stoa_tx_commit(tx);
}

static int
nested_rollback(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	STOA_ADD(tx, d->word[0], 1);
	{
		STOA_TX(in, seg);
		STOA_ADD(in, d->word[1], 1);
		STOA_ADD(in, d->word[0], 100);
		list_add(in, d, 81);
		delete_chain(in, d);
		(void)stoa_tx_fail(in, -EDOM);
	}
	STOA_ADD(tx, d->word[2], 1);
	return stoa_tx_commit(tx);
}

/* ---- long logs ---- */

/* More undo than a lane holds: chunks are chained. */
static void
overflow(stoa_tx *tx, const data *d)
{
	for (unsigned i = 0; i < 6; i++) {
		wide w = d->wide;

		{
			STOA_TX(in, stoa_tx_segment(tx)); /* saves it again */
			for (size_t k = 0; k < 75; k++)
				w.word[k] += 7;
			STOA_SET(in, d->wide, w);
			if (stoa_tx_commit(in))
				return;
		}
	}
}

static int
overflow_rollback(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	overflow(tx, d);
	list_add(tx, d, 82);
	return stoa_tx_fail(tx, -EDOM);
}

/* ---- conditions ---- */

static void
signal_one(stoa_tx *tx, const data *d)
{
	STOA_ADD(tx, d->word[0], 1);
	stoa_tx_signal(tx, &d->changed);
}

static void
broadcast(stoa_tx *tx, const data *d)
{
	STOA_ADD(tx, d->word[0], 1);
	stoa_tx_broadcast(tx, &d->changed);
}

/* Nobody signals: it gives its locks up, waits, and has them again. */
static int
wait_in_vain(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	uint64_t soon = stoa_in_ms(1);
	int rc;

	STOA_TX(tx, seg);
	do
		rc = stoa_tx_wait(tx, &d->changed, soon);
	while (!rc); /* woken for nothing, as conditions are */
	if (rc != -ETIMEDOUT)
		return stoa_tx_fail(tx, rc);
	STOA_ADD(tx, d->word[0], 1);
	return stoa_tx_commit(tx);
}

static const struct crash_case cases[] = {
	CASE("STOA_SET, a word",
		"STOA_TX STOA_SET stoa_tx_store_ stoa_tx_commit", NULL,
		set_small),
	CASE("STOA_SET, 600 bytes", "STOA_SET stoa_tx_store_", NULL, set_large),
	CASE("STOA_PTR_SET", "STOA_PTR_SET", NULL, ptr_set),
	CASE("STOA_ADD", "STOA_ADD", NULL, add),
	CASE("STOA_LINK and stoa_new",
		"STOA_LINK stoa_tx_link_ stoa_new "
		"stoa_tx_new_",
		NULL, link_new),
	CASE("stoa_edit", "stoa_edit stoa_tx_edit_", NULL, edit),
	CASE("stoa_new, stoa_delete of it", "stoa_new stoa_delete", NULL,
		new_not_linked),
	CASE("stoa_new, 1000 bytes", "stoa_new stoa_delete", NULL, new_large),
	CASE("stoa_delete, three nodes", "stoa_delete stoa_tx_delete_", NULL,
		delete_chain),
	CASE("stoa_owner_self", "stoa_owner_self", NULL, owner_self),
	CASE_OP("STOA_DO", "STOA_DO", NULL, tx_do),
	CASE_OP("stoa_tx_begin, stoa_tx_end", "stoa_tx_begin stoa_tx_end", NULL,
		begin_end),
	CASE_OP("stoa_tx_fail after changes", "stoa_tx_fail", NULL, fail),
	CASE_OP("STOA_READ", "STOA_READ stoa_read_begin", NULL, read_only),
	CASE_OP("STOA_TX, shared and exclusive", "STOA_TX stoa_shared", NULL,
		shared_and_exclusive),
	CASE_OP("stoa_tx_lock", "stoa_tx_lock stoa_tx_lock_mutex", NULL,
		more_locks),
	CASE_OP("stoa_tx_lock_until",
		"stoa_tx_lock_until stoa_tx_lock_mutex_until", NULL,
		more_locks_until),
	CASE_OP("nested, committed", "STOA_TX", NULL, nested_commit),
	CASE_OP("nested, rolled back", "STOA_TX stoa_tx_fail", NULL,
		nested_rollback),
	CASE("log longer than a lane", "STOA_SET", NULL, overflow),
	CASE_OP("log longer than a lane, undone", "stoa_tx_fail", NULL,
		overflow_rollback),
	CASE("stoa_tx_signal", "stoa_tx_signal", NULL, signal_one),
	CASE("stoa_tx_broadcast", "stoa_tx_broadcast", NULL, broadcast),
	CASE_OP("stoa_tx_wait", "stoa_tx_wait", NULL, wait_in_vain),
};

int
main(int argc, char **argv)
{
	return crash_main("tx", cases, COUNT(cases), argc, argv);
}
