/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A picture for people, when something stands still or is wrong: what every actor is
 * doing, and every slot with what it holds and waits for. Read without a slot and
 * without a lock, so it shows what those see who are stuck.
 */
#include "segment/seat.h"
#include "slots.h"
#include "soak.h"

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
				op ? op_at(op - 1)->name : "between operations",
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
	show_slots(seg);
}
