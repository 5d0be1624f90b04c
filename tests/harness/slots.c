/* SPDX-License-Identifier: BSL-1.0 */
/* What do those see who are stuck: what each slot holds, wants and waits for? */
#include "slots.h"
#include "segment/seat.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The entry, and the word where it leads to. */
static void
show_held(const stoa_segment *seg, uint64_t held)
{
	const uint64_t off = stoai_held_off(held);
	uint32_t word = 0;

	if (!held)
		return;
	if (off <= seg->size - sizeof word)
		memcpy(&word, seg->base + off, sizeof word);
	fprintf(stderr, " %" PRIx64 "(%08x)", held, word);
}

static void
show_slot(const stoa_segment *seg, uint32_t i)
{
	const struct stoai_slot *s = stoai_slot_at(seg, i);
	const struct stoai_lane *lane = stoai_lane_at(seg, i);

	if (s->state == STOAI_SLOT_FREE &&
		(!s->paged || !*stoai_token_at(seg, i)))
		return;
	fprintf(stderr,
		"  slot %3u: state %u generation %u token %08x tid %u tries %u "
		"step %08x place %016" PRIx64 " commits %u waiting %" PRIx64
		" woken %" PRIx64 " freeing %" PRIx64 " lane %u cursor %" PRIx64
		" done %" PRIx64 " held",
		i, s->state, s->generation, *stoai_token_at(seg, i), s->tid,
		s->tries, s->step, s->progress, s->commits, s->waiting,
		s->woken, s->freeing, lane->state, lane->cursor, lane->done);
	for (int k = 0; k < STOAI_HELD_MAX; k++)
		show_held(seg, lane->held[k]);
	fprintf(stderr, "\n");
}

void
show_slots(const stoa_segment *seg)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		show_slot(seg, i);
}
