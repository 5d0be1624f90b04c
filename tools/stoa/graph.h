/* SPDX-License-Identifier: BSL-1.0 */
/* Who waits for whom. See graph.c. */
#ifndef TOOLS_STOA_GRAPH_H
#define TOOLS_STOA_GRAPH_H
#include "thread.h"

struct graph_edges { /* bit i: threads.at[i] */
	uint64_t bit[STOAI_SLOTS_MAX / 64];
};

enum graph_role {
	GRAPH_NEITHER, /* about to take it, or letting it go; waits, see waiting */
	GRAPH_HOLDS
};

struct graph {
	struct threads threads;
	uint8_t role[STOAI_SLOTS_MAX][STOAI_HELD_MAX]; /* of at[i].held[k] */
	struct graph_edges waits_for[STOAI_SLOTS_MAX]; /* [i]: of at[i] */
	bool deadlocked[STOAI_SLOTS_MAX]; /* waits, over others, for itself */
};

/* As it is now; a deadlock counts only if it is seen twice. */
void graph_read(stoa_segment *seg, struct graph *ret);

static inline bool
graph_waits_for(const struct graph *g, uint32_t i, uint32_t k)
{
	return g->waits_for[i].bit[k / 64] >> (k % 64) & 1;
}

/* The offset in a held word. */
static inline uint64_t
graph_offset(uint64_t held)
{
	return stoai_held_off(held);
}

#endif
