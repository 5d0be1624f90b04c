/* SPDX-License-Identifier: BSL-1.0 */
/* Runs of whole spans: found, cut, joined, freed. See run.c. */
#ifndef STOAI_HEAP_RUN_H
#define STOAI_HEAP_RUN_H
#include "heap/span.h"

/*
 * A run of `spans` spans whose offset is a multiple of `align`, with memory: a
 * LARGE run of the seat's, unpublished. -EAGAIN: nothing so long is free now;
 * -ENOSPC, without a text: what is free has no pages, and there are none.
 */
int stoai_run_find(
	struct stoai_seat *seat, uint64_t spans, uint64_t align, uint64_t *ret);
/*
 * As much of the free run that begins at `at`, behind a run of ours, as *spans
 * says, and at least `least`: an unpublished LARGE run of the seat's. *spans: how
 * much. -EAGAIN: *spans are there, which is too little; -ENOSPC: without pages.
 */
int stoai_run_behind(
	struct stoai_seat *seat, uint64_t at, uint64_t least, uint64_t *spans);
/*
 * The same in front of a run of ours, whose head is `head`; it begins at a
 * multiple of align.
 */
int stoai_run_before(struct stoai_seat *seat, uint64_t head, uint64_t least,
	uint64_t align, uint64_t *spans);
/* A LARGE run; word: what the table says of it. False: it changed meanwhile. */
bool stoai_run_free(stoa_segment *seg, uint64_t span, uint64_t word);
/*
 * Under the heap lock: the free run at `at`, joined with the free runs behind
 * it; returns its spans. 0: none of them may be used now. mixed: also runs with
 * and without pages. *word: what the table says of it then.
 */
uint64_t stoai_run_join(stoa_segment *seg, uint64_t at, uint64_t end,
	bool mixed, uint64_t *word);

/* Under the heap lock: a free run becomes two, the first of `first` spans. */
void
stoai_run_part(stoa_segment *seg, uint64_t at, uint64_t spans, uint64_t first);
/* Behind the heap's end, where nobody looks: a free run. 0: a new heap. */
void stoai_run_append(stoa_segment *seg, uint64_t from, uint64_t to);

/* May the heap sleep for it? Yes: it is a leaf, nobody waits while he holds it. */
int stoai_heap_lock(struct stoai_seat *seat);
void stoai_heap_unlock(struct stoai_seat *seat);

#endif
