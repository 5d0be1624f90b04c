/* SPDX-License-Identifier: BSL-1.0 */
/* Who waits for what, counted where somebody has asked for it. See contention.c. */
#ifndef STOAI_SYNC_CONTENTION_H
#define STOAI_SYNC_CONTENTION_H
#include "segment/seat.h"
#include "sync/format.h"

/* A table that was found to be one. */
struct stoai_contention {
	struct stoai_contention_table *table;
	uint64_t rows;
	uint64_t *since;
};

static inline bool
stoai_counting(const stoa_segment *seg)
{
	return stoai_unlikely(a32_load_relaxed(&stoai_header(seg)->flags) &
			      STOAI_SEGMENT_COUNTING);
}

/* Of a table with so many rows. */
uint64_t stoai_contention_size(const stoa_segment *seg, uint64_t rows);
/* False: there is no table at off; in the segment. */
bool stoai_contention_at(
	const stoa_segment *seg, uint64_t off, struct stoai_contention *ret);
bool stoai_contention_in(const stoa_segment *seg, struct stoai_contention *ret);
/* A wait has ended that began at since_ns, for what lies at off. */
void stoai_contention_count(
	struct stoai_seat *seat, uint64_t off, uint64_t since_ns);
void stoai_contention_held(struct stoai_seat *seat, const uint64_t *entry);

/* From now on the thread has what this entry of its lane says. */
static inline void
stoai_had_since_now(struct stoai_seat *seat, const uint64_t *entry)
{
	if (stoai_counting(seat->seg))
		stoai_contention_held(seat, entry);
}

/* Each wait ends with this, whether the thread has slept in it or not. */
static inline void
stoai_waited(struct stoai_seat *seat, uint64_t off)
{
	uint64_t since = seat->slot->waiting_since_ns;

	if (!since)
		return;
	seat->slot->waiting_since_ns = 0;
	if (stoai_counting(seat->seg))
		stoai_contention_count(seat, off, since);
}

#endif
