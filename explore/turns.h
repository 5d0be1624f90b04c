/* SPDX-License-Identifier: BSL-1.0 */
/* Two threads, each with a handle of its own, of which one runs at a time. */
#ifndef STOAI_EXPLORE_TURNS_H
#define STOAI_EXPLORE_TURNS_H
#include <semaphore.h>
#include "explore/step.h"

#define STOAI_NEVER UINT64_MAX

struct stoai_actor {
	stoa_segment *seg;
	/* what it does; NULL: nothing */
	int (*run)(stoa_segment *seg, void *user);
	/* where the other one's turn comes, as stoai_step_until counts; or NEVER */
	uint64_t stop;
	uint64_t
		dies; /* where, counted from there, it dies; 0: there; or NEVER */
	/* what became of it */
	int rc;
	bool over, waited, died;
	uint64_t slots; /* that it has at its end */
	/* turns.c */
	bool waits, trapped;
	sem_t turn;
};

struct stoai_turns {
	struct stoai_stepper *stepper;
	struct stoai_actor a; /* the thread that calls */
	struct stoai_actor b; /* a thread of its own */
	void *user;           /* of both run */
	/* turns.c */
	void (*job)(void *);
	void *job_user;
};

/* One a process; for the rest of its life. */
int stoai_turns_make(struct stoai_turns *turns, struct stoai_stepper *stepper,
	stoa_segment *seg);
/* f runs in b's thread. */
void stoai_turns_do(struct stoai_turns *turns, void (*f)(void *), void *user);
/*
 * Both run to their ends, by turns. When a dies b goes on; a's token is marked when
 * b would have to wait, or at the end.
 */
void stoai_turns_run(struct stoai_turns *turns);

#endif
