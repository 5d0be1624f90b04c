/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What all subjects share: one small segment, and processes of one thread each,
 * attached to slots 0, 1, ... of it. Thread t of the model has slot t.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H
#include "heap/heap.h"
#include "scheduler.h"
#include "segment/recover.h"
#include "segment/seat.h"
#include "sync/lock.h"

enum {
	WORLD_SLOTS = MODEL_THREADS + 1,
	WORLD_SPAN_SHIFT = 8,
	WORLD_SPANS = 4,
	WORLD_SIZE = 8192
};

enum { /* world_begin */
	WORLD_NO_WAITV = 1 << 0,
	WORLD_TOKENLESS = 1 << 1,
	WORLD_HEAP =
		1 << 2, /* the heap's memory is a heap, not the subject's */
	WORLD_DETACHED = 1 << 3 /* the threads attach for themselves */
};

struct stoai_robust_head;

struct process {
	stoa_segment seg;
	struct stoai_self self;
	/* one behind the other: seat_size() of attach.c */
	struct {
		struct stoai_seat seat;
		struct stoai_cache cache;
	} mine;
};

/* What a subject keeps beside the segment, undone by recovery. */
struct notes {
	uint32_t inside[WORLD_SLOTS]; /* 0, or the mode in which it is inside */
	uint32_t recovering[WORLD_SLOTS]; /* by which thread + 1 */
	uint32_t word[4];                 /* the subject's */
};

extern struct process world_process[MODEL_THREADS + 1];
extern struct notes world_notes;

void world_begin(unsigned threads, unsigned flags);
/* The running thread's. */
struct process *world_me(void);
struct stoai_seat *world_seat(void);
/* The heap's memory from its n-th byte on, where the subject keeps locks. */
void *world_at(uint64_t n);

/*
 * Between lock and unlock: nobody else may be inside in a mode that excludes this
 * one. A thread that dies inside is so until its slot's log is undone.
 */
void world_enter(enum stoai_lock_mode mode);
void world_leave(void);
/*
 * The end of a transaction, as tx/scope.c makes it; world_done is called at the
 * instant from which it has happened, world_undone when a dead one's is over.
 */
void world_commit(void);
void world_commit_of(struct stoai_seat *seat); /* in begin */
extern void (*world_done)(void);
extern void (*world_undone)(uint32_t slot);
/* rc must be 0. */
void world_ok(int rc);

/* Nobody's death waits for a recoverer. */
bool world_buried(void);
/* No thread can go on without a tick: rightly? */
const char *world_idle(void);
/*
 * The same where they sleep at a word for something that may never come. there: it has
 * come, so a dead one must owe the wake-up, but to those who know that one is dying and
 * look again soon. Not there: they rightly sleep.
 */
const char *world_idle_at(const uint32_t *word, bool there);
/*
 * All have ended: recovers whoever nobody has recovered. Then nothing is left of
 * the dead, and nothing was quarantined.
 */
const char *world_end(void);

/* ---- kernel.c ---- */

void kernel_begin(unsigned flags);
/* Where the entry of a token of that slot lies, as token.c computes it. */
char *kernel_window(unsigned process, uint32_t slot);
/* The process that has the slot's owner byte, or MODEL_NOBODY. */
unsigned kernel_owner(uint32_t slot);
/* What the word said when that thread fell asleep on it. */
uint32_t kernel_slept_on(unsigned thread);
/* ns until its time-out */
uint64_t kernel_sleeps_for(unsigned thread);

#endif
