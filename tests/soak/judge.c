/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The judgement: everybody is dead, and this process looks alone at what they left.
 * Every invariant of world.h, the segment's own check, and no block that nothing
 * owns.
 */
#include "base/atomic.h"
#include "segment/seat.h"
#include "soak.h"

enum {
	HEAP_TIMES = 3, /* what has lived at once; blocks do not move */
	HEAP_MORE = 8 << 20
};

static int
check_world(stoa_segment *seg, const world *w)
{
	{
		STOA_READ(rd, seg, &w->account[0].lock);
		check_accounts(rd, w);
		if (stoa_tx_error(rd))
			return stoa_tx_error(rd);
	}
	for (int i = 0; i < SHELVES; i++) {
		STOA_READ(rd, seg, &w->shelf[i].lock);
		check_shelf(rd, &w->shelf[i]);
		if (stoa_tx_error(rd))
			return stoa_tx_error(rd);
	}
	STOA_READ(rd, seg, &w->map_lock, &w->text_lock, &w->vec_lock,
		&w->str_lock, &w->graph_lock, &w->box_lock);
	check_map(rd, w);
	check_text(rd, w);
	check_vec(rd, w);
	check_str(rd, w);
	check_graph(rd, w);
	check_boxes(rd, w);
	return stoa_tx_error(rd);
}

static int
check_rest(stoa_segment *seg, const world *w)
{
	STOA_TX(tx, seg, &w->ring_lock, stoa_segment_lock(seg));
	check_ring(tx, w);
	for (stoa_object it = stoa_object_begin(tx); stoa_object_next(&it);)
		if (!strncmp(it.name, "thing", 5))
			check_things(tx, &it);
	for (int i = 0; i < OWNERS; i++)
		if (stoa_owner_alive(tx, w->owner[i]))
			broken("owner %d is dead and alive", i);
	return stoa_tx_error(tx);
}

bool
judge(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const uint64_t from = ms_now();
	const world *w = NULL;
	const uint32_t errors = a32_load_acquire(&score->errors);
	int64_t leaked = 0;
	int rc = open_world(&seg, &w);

	if (!rc) {
		const int n = stoa_segment_recover(seg);

		rc = n < 0 ? n : 0;
	}
	if (!rc)
		rc = check_world(seg, w);
	if (!rc)
		rc = check_rest(seg, w);
	if (ms_now() - from > score->longest_stall)
		score->longest_stall = ms_now() - from;
	if (!rc)
		rc = stoa_segment_check(seg);
	if (!rc)
		leaked = stoa_segment_leaked(seg);
	if (rc || leaked < 0)
		broken("judgement: %s (%s)",
			stoa_strerror(rc ? rc : (int)leaked),
			stoa_error_text());
	if (leaked > 0) {
		score->leaked += leaked;
		broken("%" PRId64 " blocks leaked: %s", leaked,
			stoa_error_text());
	}
	score->judged++;
	return a32_load_acquire(&score->errors) == errors;
}

/* While others work, so it is about what lives; enough are looked at. */
void
note_memory(void)
{
	const stoa_segment *seg = season.view;
	const world *w =
		(const world *)(const void *)(seg->base + season.world_off);
	const uint64_t heap =
		a64_load_relaxed(&stoai_header(seg)->committed) - seg->heap_off;
	uint64_t alive = 0;

	for (int i = 0; i < SHELVES; i++)
		alive += a64_load_relaxed(&w->shelf[i].bytes);
	if (alive > score->alive_most)
		score->alive_most = alive;
	if (heap > score->heap_most)
		score->heap_most = heap;
}

void
judge_memory(void)
{
	if (score->heap_most > HEAP_TIMES * score->alive_most + HEAP_MORE)
		broken("the heap had %" PRIu64 " KiB for %" PRIu64 " KiB",
			score->heap_most >> 10, score->alive_most >> 10);
}
