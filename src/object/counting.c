/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Counting who waits for what: how is it switched on and off, and read?
 *
 *	root.contention -> table           made by a transaction, once; never freed
 *	header.contention -> the same      from then on (sync/contention.c)
 *	header.flags: COUNTING             on; one bit is the switch
 *
 * Crash argument. The table is the root's before anybody can count in it, since the
 * header's words are stored after the commit. A death before that leaves a table that
 * the next call finds.
 */
#include "base/base.h"
#include "object/index.h"
#include "stoa/contention.h"
#include "sync/contention.h"

/* A fresh table of the root; 0: tx has failed. */
static uint64_t
counters_new(stoa_tx *tx, const struct stoai_root *root, uint32_t places)
{
	struct stoai_contention_table *t =
		stoai_tx_alloc(tx, stoai_contention_size(tx->seg, places), 64);
	uint64_t off = stoai_off(tx->seg, t);

	if (!t)
		return 0;
	t->magic = STOAI_CONTENTION_MAGIC ^ off;
	t->rows = places;
	return stoai_set_word(tx, &root->contention, off) ? off : 0;
}

/* The root's table, made if there is none. 0, or a failure. */
static int
table_get(stoa_segment *seg, uint32_t places, uint64_t *off)
{
	const stoa_hold hold = stoa_hold_of(&stoai_header(seg)->names);
	stoa_tx *tx = stoa_tx_begin(seg, &hold, 1, STOA_FOREVER);
	const struct stoai_root *root =
		stoai_names_lock(tx) ? stoai_root(tx) : NULL;
	int rc;

	*off = root ? a64_load_relaxed(&root->contention) : 0;
	if (root && !*off)
		*off = counters_new(tx, root, places);
	rc = stoa_tx_commit(tx);
	stoa_tx_end(tx);
	return rc;
}

static void
words_clear(uint64_t *word, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		a64_store_relaxed(&word[i], 0);
}

int
stoa_contention_start(stoa_segment *seg, uint32_t places)
{
	const struct stoai_seat *seat = seg ? stoai_seat_of(seg) : NULL;
	struct stoai_contention c;
	uint64_t off;
	int rc;

	stoai_error_clear();
	if (!seg || places > STOAI_CONTENTION_ROWS_MAX)
		return stoai_error(-EINVAL,
			"stoa_contention_start: seg is %s, %u places, %d at "
			"most",
			seg ? "given" : "NULL", places,
			STOAI_CONTENTION_ROWS_MAX);
	if (seg->readonly)
		return stoai_error(
			-EROFS, "%s is open for reading only", stoai_name(seg));
	if (seat && seat->scope)
		return stoai_error(-EBUSY,
			"%s: counting begins inside a scope, which could undo "
			"it: end it first",
			stoai_name(seg));
	rc = table_get(seg, places ? places : STOAI_CONTENTION_ROWS, &off);
	if (rc)
		return rc;
	if (!stoai_contention_at(seg, off, &c))
		return stoai_error(-EBADMSG,
			"%s: damaged: no table of waits is at %#llx",
			stoai_name(seg), (unsigned long long)off);
	/* others may count meanwhile: what they add is there, or not */
	words_clear((uint64_t *)(void *)&c.table->others,
		(1 + c.rows) * sizeof(struct stoai_contention_row) /
			sizeof(uint64_t));
	words_clear(c.since, (uint64_t)seg->slot_count * STOAI_HELD_MAX);
	a64_store_release(&stoai_header(seg)->contention, off);
	a32_fetch_or_seq_cst(&stoai_header(seg)->flags, STOAI_SEGMENT_COUNTING);
	return 0;
}

int
stoa_contention_stop(stoa_segment *seg)
{
	stoai_error_clear();
	if (!seg)
		return stoai_error(
			-EINVAL, "stoa_contention_stop: seg is NULL");
	if (seg->readonly)
		return stoai_error(
			-EROFS, "%s is open for reading only", stoai_name(seg));
	a32_fetch_and_seq_cst(
		&stoai_header(seg)->flags, ~(uint32_t)STOAI_SEGMENT_COUNTING);
	return 0;
}

bool
stoa_contention_is_on(const stoa_segment *seg)
{
	return seg && stoai_counting(seg);
}

/* ---- reading ---- */

stoa_contention
stoa_contention_begin(const stoa_segment *seg)
{
	return (stoa_contention){.segment_ = seg};
}

bool
stoa_contention_next(stoa_contention *it)
{
	const stoa_segment *seg = it->segment_;
	struct stoai_contention c;

	if (!seg || !stoai_contention_in(seg, &c))
		return false;
	while (it->next_ <= c.rows) {
		bool others = it->next_ == c.rows;
		const struct stoai_contention_row *row =
			others ? &c.table->others : &c.table->row[it->next_];

		it->next_++;
		it->waits = a64_load_relaxed(&row->waits);
		it->offset = others ? 0 : a64_load_relaxed(&row->off);
		if (!it->waits ||
			(!others && (!it->offset || it->offset >= seg->size)))
			continue;
		it->place = others ? NULL : stoai_at(seg, it->offset);
		it->waited_ns = a64_load_relaxed(&row->waited_ns);
		it->longest_ns = a64_load_relaxed(&row->longest_ns);
		it->last_ns = a64_load_relaxed(&row->last_ns);
		return true;
	}
	return false;
}
