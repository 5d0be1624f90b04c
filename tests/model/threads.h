/* SPDX-License-Identifier: BSL-1.0 */
/* What the scheduler's two halves share: threads.c knows them, search.c chooses. */
#ifndef TESTS_MODEL_THREADS_H
#define TESTS_MODEL_THREADS_H
#include "scheduler.h"

enum {
	THREADS_STACK = 65536,
	THREADS_ACTIONS = 48
};

/* Cleared where it does not matter, so that equal states are equal bytes. */
struct thread {
	void *sp;
	enum model_state state;
	enum model_op op; /* what it does next */
	const void *at;
	uint32_t count;
	bool dirty;              /* its last step changed something */
	bool burying;            /* dead, and the kernel is not done with it */
	bool forever;            /* asleep without a time-out */
	const uint32_t *on[2];   /* asleep on */
	int woken;               /* which of them, or MODEL_NEVER */
	const void *called_from; /* for people */
};

enum action_kind {
	ACTION_RUN,
	ACTION_DIE,
	ACTION_KERNEL,
	ACTION_TICK
};

struct action {
	uint8_t kind, thread;
	uint8_t choice; /* whom a wake-up of one among several wakes */
	uint8_t cost;   /* 1: preempts */
};

struct threads {
	struct thread at[MODEL_THREADS];
	unsigned count;
	unsigned last; /* who ran; MODEL_NOBODY: nobody yet */
	unsigned deaths, early, ticks;
};

extern struct threads threads;

/* All at the beginning of run. */
void threads_begin(unsigned count, void (*run)(unsigned thread));
/* Everything that may happen next, the last thread's going on first. */
unsigned threads_actions(const struct model_bounds *left,
	struct action actions[THREADS_ACTIONS]);
/* Can somebody go on without a tick? Does anybody sleep? */
bool threads_idle(bool *asleep);
void threads_do(const struct action *action);
/* Of the stack that is in use. */
char *threads_stack(unsigned thread, size_t *size);
/* What was reported by model_wrong since the last call; NULL: nothing. */
const char *threads_wrong(void);
/* A word turned out to be used by two threads: schedules before knew less. */
bool threads_learned(void);
void threads_forget(void); /* what was learned: another case begins */

#endif
