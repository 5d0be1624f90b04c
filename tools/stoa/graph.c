/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who waits for whom? The same arrows as in sync/deadlock.c, seen from outside:
 *
 *	waits for a lock          -> the slot that the lock's word names
 *	waits for exclusive use   -> every slot that lists the lock as shared
 *
 * All of them are followed at once (at most 256 threads); who reaches itself is
 * in a deadlock. Threads go on while we look, so a deadlock is believed only if
 * two looks agree on who is in it and for what each of them waits.
 */
#include "graph.h"
#include <stdlib.h>
#include <string.h>
#include "sync/roll.h"

/* The lock's word without WAITERS; 0: free, or no place where a lock can lie. */
static uint32_t
lock_word(stoa_segment *seg, uint64_t held)
{
	const uint32_t *word = stoai_at(seg, graph_offset(held));

	return stoai_held_sound(seg, held)
		       ? a32_load_acquire(word) & STOAI_WORD_OWNER
		       : 0;
}

/* What has the thread to do with the lock of this entry of its lane? */
static enum graph_role
role_of(stoa_segment *seg, const struct thread *t, uint64_t held)
{
	uint64_t off = graph_offset(held);

	switch (stoai_held_mode(held)) {
	case STOAI_HELD_SHARED:
	case STOAI_HELD_MEMBER:
		return GRAPH_HOLDS;
	case STOAI_HELD_PERMIT: /* none yet, or none any more */
		return stoai_roll_count(held) ? GRAPH_HOLDS : GRAPH_NEITHER;
	case STOAI_HELD_EXCLUSIVE:
	case STOAI_HELD_MUTEX:
	case STOAI_HELD_UPGRADABLE:
	case STOAI_HELD_RAW:
	case STOAI_HELD_RAW_MUTEX:
		/* a writer has the word already while it waits for readers */
		return graph_offset(t->waiting) != off &&
				       lock_word(seg, held) == t->word
			       ? GRAPH_HOLDS
			       : GRAPH_NEITHER;
	default:
		return GRAPH_NEITHER;
	}
}

static bool
lists(const struct thread *t, uint64_t held)
{
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		if (t->held[k] == held)
			return true;
	return false;
}

static void
find_edges(stoa_segment *seg, struct graph *g)
{
	const struct threads *all = &g->threads;

	for (uint32_t i = 0; i < all->count; i++) {
		uint64_t waiting = all->at[i].waiting;
		uint64_t off = graph_offset(waiting);
		uint32_t owner = waiting ? lock_word(seg, waiting) : 0;

		for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
			g->role[i][k] = (uint8_t)role_of(
				seg, &all->at[i], all->at[i].held[k]);
		if (all->at[i].life != THREAD_ALIVE)
			continue; /* a dead one leads nowhere: it is recovered */
		for (uint32_t k = 0; k < all->count && waiting; k++)
			if (k != i &&
				(all->at[k].word == owner ||
					(stoai_held_mode(waiting) ==
							STOAI_HELD_EXCLUSIVE &&
						lists(&all->at[k],
							off | STOAI_HELD_SHARED))))
				g->waits_for[i].bit[k / 64] |= UINT64_C(1)
							       << (k % 64);
	}
}

/* Who is reached over any number of arrows? (Warshall) */
static void
find_deadlocks(struct graph *g, struct graph_edges *reach)
{
	uint32_t n = g->threads.count;

	memcpy(reach, g->waits_for, sizeof g->waits_for);
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t i = 0; i < n; i++) {
			if (!(reach[i].bit[k / 64] >> (k % 64) & 1))
				continue;
			for (uint32_t w = 0; w < STOAI_COUNT(reach[i].bit); w++)
				reach[i].bit[w] |= reach[k].bit[w];
		}
	for (uint32_t i = 0; i < n; i++)
		g->deadlocked[i] = reach[i].bit[i / 64] >> (i % 64) & 1;
}

static void
look(stoa_segment *seg, struct graph *g, struct graph_edges *reach)
{
	memset(g, 0, sizeof *g);
	thread_read_all(seg, &g->threads);
	find_edges(seg, g);
	find_deadlocks(g, reach);
}

void
graph_read(stoa_segment *seg, struct graph *ret)
{
	struct graph *before = malloc(sizeof *before);
	struct graph_edges *reach = malloc(sizeof ret->waits_for);

	memset(ret, 0, sizeof *ret);
	if (before && reach) {
		look(seg, before, reach);
		look(seg, ret, reach);
		for (uint32_t i = 0; i < ret->threads.count; i++) {
			const struct thread *t = &ret->threads.at[i], *was;

			was = thread_of_slot(&before->threads, t->slot);
			if (ret->deadlocked[i] &&
				(!was || was->waiting != t->waiting ||
					was->word != t->word ||
					!before->deadlocked
						 [was - before->threads.at]))
				ret->deadlocked[i] = false;
		}
	}
	free(before);
	free(reach);
}
