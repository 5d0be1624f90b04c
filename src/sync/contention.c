/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which locks are waited for, how often and how long, and since when is one held?
 *
 * Only asked of a segment where somebody has switched it on, which a flag of the header
 * says; header.contention is then the offset of a table. A wait is counted when it has
 * ended, by who waited; who did not sleep has not waited, so a free lock costs nothing
 * and has no row. Since when a lock is held is noted by its holder, as long as it is
 * counted: in the table, not in the lane, so that lanes are not longer for it.
 *
 * Who counts may have seen the flag long ago. So the table is never freed, and
 * switching off and on again finds the same one.
 *
 * Crash argument. Nothing here is read by anything but people. Each store is one word;
 * a death between two leaves a wait out of one column. A row is claimed by one CAS
 * and never given back while anybody counts.
 */
#include "sync/contention.h"
#include "os/os.h"

uint64_t
stoai_contention_size(const stoa_segment *seg, uint64_t rows)
{
	return sizeof(struct stoai_contention_table) +
	       rows * sizeof(struct stoai_contention_row) +
	       (uint64_t)seg->slot_count * STOAI_HELD_MAX * sizeof(uint64_t);
}

bool
stoai_contention_at(
	const stoa_segment *mapped, uint64_t off, struct stoai_contention *ret)
{
	stoa_segment *seg = (stoa_segment *)(uintptr_t)mapped; /* may grow */
	struct stoai_contention_table *t;
	uint64_t rows;

	if (off % sizeof(uint64_t) || !stoai_in_heap(seg, off, sizeof *t))
		return false;
	t = stoai_at(seg, off);
	rows = a64_load_relaxed(&t->rows);
	if (a64_load_relaxed(&t->magic) != (STOAI_CONTENTION_MAGIC ^ off) ||
		!rows || rows > STOAI_CONTENTION_ROWS_MAX ||
		!stoai_in_heap(seg, off, stoai_contention_size(seg, rows)))
		return false;
	*ret = (struct stoai_contention){
		t, rows, (uint64_t *)(void *)&t->row[rows]};
	return true;
}

bool
stoai_contention_in(const stoa_segment *seg, struct stoai_contention *ret)
{
	uint64_t off = a64_load_relaxed(&stoai_header(seg)->contention);

	return off && stoai_contention_at(seg, off, ret);
}

/* The row of what lies at off; that of all others, if there is no room for one. */
static struct stoai_contention_row *
row_of(const struct stoai_contention *c, uint64_t off)
{
	uint64_t at = off * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	uint64_t probes = stoai_min(c->rows, STOAI_CONTENTION_PROBES);

	for (uint64_t i = 0; i < probes; i++) {
		struct stoai_contention_row *row =
			&c->table->row[(at + i) % c->rows];
		uint64_t is = a64_load_relaxed(&row->off);

		if (is == off ||
			(!is && (a64_cas_seq_cst(&row->off, &is, off) ||
					is == off)))
			return row;
	}
	return &c->table->others;
}

void
stoai_contention_count(struct stoai_seat *seat, uint64_t off, uint64_t since_ns)
{
	uint64_t now = stoai_os_now(), longest;
	uint64_t waited = now > since_ns ? now - since_ns : 0;
	struct stoai_contention c;
	struct stoai_contention_row *row;

	if (!off || !stoai_contention_in(seat->seg, &c))
		return;
	row = row_of(&c, off);
	a64_fetch_add_seq_cst(&row->waits, 1);
	a64_fetch_add_seq_cst(&row->waited_ns, waited);
	longest = a64_load_relaxed(&row->longest_ns);
	while (longest < waited &&
		!a64_cas_seq_cst(&row->longest_ns, &longest, waited))
		;
	a64_store_relaxed(&row->last_ns, stoai_os_realtime());
}

void
stoai_contention_held(struct stoai_seat *seat, const uint64_t *entry)
{
	struct stoai_contention c;
	uint64_t k = (uint64_t)(entry - seat->lane->held);

	if (stoai_contention_in(seat->seg, &c))
		a64_store_relaxed(
			&c.since[(uint64_t)seat->index * STOAI_HELD_MAX + k],
			stoai_os_now());
}
