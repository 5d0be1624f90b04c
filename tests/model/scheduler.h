/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A scheduler for the library's own source. Threads are coroutines of one process.
 * Before each access to a shared word, and in each system call, the running one
 * stops, and the scheduler says who goes on, and who dies. All choices are tried,
 * as far as the bounds go.
 */
#ifndef TESTS_MODEL_SCHEDULER_H
#define TESTS_MODEL_SCHEDULER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MODEL_THREADS = 4,
	MODEL_NOBODY =
		MODEL_THREADS, /* outside all schedules: everybody's judge */
	MODEL_NEVER = -1
};

enum model_op {
	MODEL_BEGIN,
	MODEL_LOAD,
	MODEL_CHANGE, /* of a word, or of what the kernel knows */
	MODEL_WAIT,
	MODEL_WAKE,
	MODEL_YIELD /* somebody else may go on at no cost */
};

enum model_state {
	MODEL_READY,
	MODEL_ASLEEP,
	MODEL_DONE,
	MODEL_DEAD
};

/* How far a search goes. */
struct model_bounds {
	unsigned preemptions; /* of a thread that could have gone on */
	unsigned deaths;
	unsigned early; /* time-outs although somebody could have run */
	unsigned ticks; /* time-outs in one schedule; more is no progress */
};

struct model_case {
	const char *name;
	unsigned threads;
	struct model_bounds bounds;
	/* the state in which all schedules begin; nothing in it is scheduled */
	void (*begin)(void);
	/* what each thread does; runs under the scheduler */
	void (*run)(unsigned thread);
	/* NULL, or what is wrong: */
	/* nobody can go on without a tick: is that as it should be? */
	const char *(*idle)(void); /* model_over: yes, and none would help */
	const char *(*end)(void);  /* all have ended; may change the state */
};

extern const char model_over[];

/* All cases, or those whose names contain an argument. Returns main's result. */
int model_main(const char *subject, const struct model_case *cases,
	size_t count, int argc, char **argv);

/* ---- for begin ---- */

/* Memory that is part of the state: of one thread alone, or MODEL_NOBODY: shared. */
void model_track(void *p, size_t size, unsigned thread);
/* Whose accesses are looked at: words of this memory that two threads use. */
void model_shared(void *p, size_t size);
/* A word of it that the kernel changes: always looked at. After model_shared. */
void model_kernels(const uint32_t *word);

/* From here on what the judge looks at counts: recovery outside schedules. */
void model_judge(bool looks);

/* ---- for run, and for what the library calls ---- */

/* Who runs; MODEL_NOBODY outside schedules. */
unsigned model_thread(void);
/* What it does next; the others may come first. */
void model_point(enum model_op op, const void *at, uint32_t count);
/* Something that must be so is not: the schedule is shown. */
void model_wrong(const char *what);

/* A name for a place, for people. world.c has it. */
void model_place(const void *at, char *buf, size_t size);

/* ---- for the model of the kernel (kernel.c) ---- */

/* Sleeps on words; woken: index of the word, or MODEL_NEVER: time-out. */
int model_sleep(const uint32_t *const *words, unsigned n, bool forever);
/* Wakes so many sleepers; `choice` is the first one among several. */
unsigned model_wake(const uint32_t *word, uint32_t count);
enum model_state model_state_of(unsigned thread);
bool model_sleeps_on(unsigned thread, const uint32_t *word);
unsigned model_deaths(void);
/*
 * One step of what the kernel does for a dead thread: false when all is done.
 * kernel.c has it.
 */
bool kernel_bury(unsigned thread);
/* The word that the next such step wakes one sleeper of, or NULL. */
const uint32_t *kernel_wakes(unsigned thread);
/* A time-out comes; the clock moves. kernel.c has it. */
void kernel_tick(unsigned thread);
/* The thread goes on or stops: what it believes to be thread-local changes. */
void kernel_switch(unsigned thread);

#endif
