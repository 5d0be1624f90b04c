/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A picture for people, when something stands still or is wrong: what every actor is
 * doing, and every slot with what it holds and waits for. Read without a slot and
 * without a lock, so it shows what those see who are stuck.
 */
#include "segment/seat.h"
#include "soak.h"

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
		if (lane->held[k])
			fprintf(stderr, " %" PRIx64 "(%08x)", lane->held[k],
				*(const uint32_t *)(const void
						*)(seg->base +
						   (lane->held[k] &
							   ~UINT64_C(7))));
	fprintf(stderr, "\n");
}

static void
show_actors(void)
{
	const uint64_t now = ms_now();

	for (unsigned i = 0; i < season.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++) {
			const uint32_t op = board->actor[i][k].op;

			if (!board->actor[i][k].alive)
				continue;
			fprintf(stderr,
				"  worker %u.%u pid %d: %" PRIu64
				" done, %s for %" PRIu64 " ms\n",
				i, k, (int)season.pid[i],
				board->actor[i][k].ops,
				op ? ops[op - 1].name : "between operations",
				now - board->actor[i][k].started);
		}
}

void
picture(void)
{
	stoa_segment *seg = season.view;

	show_actors();
	if (!seg) {
		fprintf(stderr, "  no picture of the segment\n");
		return;
	}
	fprintf(stderr,
		"  flags %x recovered %" PRIu64 " committed %" PRIx64 "\n",
		stoai_header(seg)->flags, stoai_header(seg)->recovered,
		stoai_header(seg)->committed);
	for (uint32_t i = 0; i < seg->slot_count; i++)
		show_slot(seg, i);
}
