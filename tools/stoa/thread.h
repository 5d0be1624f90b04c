/* SPDX-License-Identifier: BSL-1.0 */
/* The threads of a segment, as its slots tell. See thread.c. */
#ifndef TOOLS_STOA_THREAD_H
#define TOOLS_STOA_THREAD_H
#include <jansson.h>
#include "segment/seat.h"

enum thread_life {
	THREAD_NONE,   /* the slot is free */
	THREAD_COMING, /* attaching, or just leaving */
	THREAD_ALIVE,
	THREAD_DEAD, /* and not yet recovered */
	THREAD_QUARANTINED
};

struct thread {
	enum thread_life life;
	uint32_t slot, word; /* word: what its locks say, without WAITERS */
	uint32_t pid, tid;
	bool here; /* in our PID namespace: pid and tid mean something */
	uint64_t since_ns, waiting_since_ns; /* CLOCK_MONOTONIC; 0: not */
	uint64_t waiting, woken;
	uint64_t held[STOAI_HELD_MAX];
	uint64_t held_since_ns
		[STOAI_HELD_MAX]; /* CLOCK_MONOTONIC; 0: not known */
	uint32_t commits;
	char command[64]; /* "": not known */
	char run;         /* of /proc: R S D T ...; 0: not known */
};

struct threads {
	uint32_t count; /* of all; free ones left out */
	uint32_t alive, dead, quarantined;
	struct thread at[STOAI_SLOTS_MAX];
};

/* From a mapping that is not private. Each word is read once, none is believed. */
void thread_read_all(const stoa_segment *seg, struct threads *ret);
/* free, alive, dead, ..., and what /proc knows: running, stopped */
const char *thread_state(const struct thread *t);
/* Of the whole segment: live, idle, dead, quarantined */
const char *
thread_segment_state(const stoa_segment *seg, const struct threads *all);
/* Its members put into the object: slot, pid, tid, command, state. */
void thread_describe(json_t *object, const struct thread *t);
/* Whole milliseconds since then; 0: since_ns is 0. */
uint64_t thread_age_ms(uint64_t since_ns);
/* The one of that slot, or NULL. */
const struct thread *thread_of_slot(const struct threads *all, uint32_t slot);

#endif
