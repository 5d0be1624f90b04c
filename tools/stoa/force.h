/* SPDX-License-Identifier: BSL-1.0 */
/* The way out of quarantine. See force.c. */
#ifndef TOOLS_STOA_FORCE_H
#define TOOLS_STOA_FORCE_H
#include "thread.h"
#include "view.h"

enum force_way {
	FORCE_REPAIR,  /* recovery works after all: nothing is lost */
	FORCE_GIVE_UP, /* its log and its damaged locks are thrown away */
	FORCE_NOTHING  /* not even that helps */
};

struct force_slot {
	uint32_t slot, pid;
	enum force_way way;
	bool committed;     /* its transaction had committed */
	uint64_t log_bytes; /* of its log that are thrown away */
	uint32_t locks;     /* that it held */
	char why[256];      /* what recovery says */
};

struct force {
	uint32_t count;
	struct force_slot at[STOAI_SLOTS_MAX];
	int check;      /* of the segment afterwards: 0: sound */
	int64_t leaked; /* blocks, afterwards */
	char text[512]; /* of check */
	uint32_t doing; /* count: verifying */
};

/*
 * What would become of the quarantined slots? Tried in a child process, on a
 * private picture: nothing that it does, not even its crash, reaches the segment.
 * NULL: it cannot be tried (text set). Else to be freed by force_free.
 */
struct force *force_plan(const struct view *v, const struct threads *threads);
void force_free(struct force *plan);
/*
 * Does it, on a segment open for writing. 0: no slot is quarantined any more.
 * Killed in between, it is begun again by the next `stoa recover --force`.
 */
int force_apply(stoa_segment *seg, const struct force *plan);

#endif
