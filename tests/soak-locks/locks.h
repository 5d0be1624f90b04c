/* SPDX-License-Identifier: BSL-1.0 */
/* What the files of this soak share: the board, the place, what a play is. */
#ifndef TESTS_SOAK_LOCKS_LOCKS_H
#define TESTS_SOAK_LOCKS_LOCKS_H
#include "base/atomic.h"
#include "segment/seat.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <stoa/stoa.h>

enum {
	CREW = 8,
	ROLES = 4,
	POOL = 3, /* permits */
	PILE = 4, /* things that wait to be taken, at most */
	LATCHES = 1 << 15,
	LATCH_COUNT = 3,
	ONCE_COUNT = 1 << 16,
	SKIPPED = 1, /* of a step: it has done nothing that counts */
	WHY = 240
};

/* What one worker says of itself, in memory that all share. */
struct actor {
	uint64_t beat;        /* steps that it has finished */
	uint64_t begun, done; /* calls of the kind that is counted */
	uint64_t inside; /* 0: it has nothing; else a number of this stay */
	uint64_t at;     /* where in the play it is */
	uint32_t life;   /* another one of the same worker: another number */
	uint32_t doomed; /* it shall die in its next wake-up */
	uint32_t dying;  /* killed, or about to be: proves nothing any more */
	uint32_t slot;   /* index + 1 */
	uint32_t id, random;
} __attribute__((aligned(128)));

/* The peers' objects, which the controls use. */
struct control {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_rwlock_t lock;
	sem_t sem;
	uint64_t tokens, a, b, owner;
};

struct board {
	struct actor actor[CREW];
	uint64_t done[ROLES], maybe[ROLES]; /* of the dead, by role */
	uint32_t ready, go;                 /* of a quiet death */
	uint32_t broken;
	char why[WHY];
	struct control control;
};

/* What they play with, in the segment. */
typedef struct place {
	stoa_rwlock lock;
	stoa_mutex mutex;
	stoa_cond changed;
	stoa_semaphore sem;
	stoa_permits pool;
	stoa_event event;
	stoa_eventcount count;
	stoa_barrier barrier;
	uint64_t owner, upgrader; /* who is inside: witnesses */
	uint64_t a, b;            /* equal, but while one is inside */
	uint64_t tokens, made, used, cursor;
	stoa_latch latch[LATCHES];
	stoa_once once[ONCE_COUNT];
	uint32_t did[ONCE_COUNT];
} place;

typedef int step(struct actor *me);

struct play {
	const char *name;
	step *role[ROLES]; /* worker k has role k % roles */
	bool makers; /* role 0 makes what the others wait for; it dies for the rest */
	bool each; /* each goes on while nobody is killed; else one of each role */
	bool control;        /* must fail */
	void (*fresh)(void); /* nobody lives: as at the beginning */
	void (*help)(
		void); /* what a maker that died outside of any call left undone */
	bool (*rest)(
		void); /* no maker lives: has all that is there been taken? NULL:
	                       each survivor must go on */
	bool (*whole)(void); /* nobody lives: is it? */
	/* a quiet death: one gets ready; when all others sleep it lets them go, and
	   dies before it has woken them */
	step *before, *act;
};

struct score {
	uint64_t kills, in_wake, ops, stall, rounds;
	unsigned quiet_ms[256], quiet;
};

extern struct board *board;
extern place *p;
extern stoa_segment *seg;
extern const struct play *play;
extern struct score score;
extern unsigned stall_ms;

/* plays */
extern const struct play mutex_play, rwlock_play, condition_play,
	condition_rwlock_play, semaphore_play, permits_play, event_play,
	event_manual_play, latch_play, once_play, eventcount_play, barrier_play,
	barrier_for_play, control_cond_play, control_rwlock_play,
	control_sem_play;

/* crew.c */
unsigned roles(void);
bool alive(unsigned k);
bool hire(unsigned k, int (*work)(struct actor *me));
int keep_on(struct actor *me);     /* its role, until it is killed */
int act_and_die(struct actor *me); /* a quiet death */
/* SIGKILL, and it is buried. What it said is added up. */
void kill_one(unsigned k);
void kill_all(void);
/* It dies in its next wake-up, or after so many us by SIGKILL. True: in its wake-up. */
bool doom(unsigned k, unsigned us);
void us_sleep(unsigned us);
uint64_t us_now(void);
uint32_t dice(uint32_t below);

/* round.c: until so many kills or so many seconds. False: broken, board->why. */
bool run_play(uint64_t kills, unsigned seconds);

/* Something is wrong: the first one says what. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- in a worker ---- */

static inline uint32_t
chance(struct actor *me, uint32_t below)
{
	me->random = me->random * 1664525u + 1013904223u;
	return (me->random >> 16) % below;
}

/* Some time inside, so that kills fall there. */
static inline void
linger(struct actor *me)
{
	for (unsigned n = chance(me, 200); n; n--)
		__asm__ volatile("" ::: "memory");
}

/* Deadlines of all kinds; while all shall sleep for a quiet death, none. */
static inline uint64_t
some_deadline(struct actor *me)
{
	if (a32_load_relaxed(&board->ready) || chance(me, 2))
		return STOA_FOREVER;
	return chance(me, 2) ? STOA_NOW : stoa_in_ms(chance(me, 3));
}

static inline bool
in_vain(int rc)
{
	return rc == -EAGAIN || rc == -ETIMEDOUT;
}

/* ---- the two witnesses of whoever is inside alone ---- */

/* told: somebody died inside, so a and b may differ. */
static inline void
work_alone(
	struct actor *me, uint64_t *owner, uint64_t *a, uint64_t *b, bool told)
{
	const uint64_t id = me->id | (uint64_t)me->life << 8;
	uint64_t n = a64_load_relaxed(a);

	if (n != a64_load_relaxed(b) && !told)
		broken("a is %" PRIu64 ", b %" PRIu64 ", and nobody was told",
			n, *b);
	a64_store_relaxed(owner, id);
	a64_store_relaxed(&me->inside, 1);
	a64_store_relaxed(a, n + 1);
	linger(me);
	if (a64_load_relaxed(owner) != id || a64_load_relaxed(a) != n + 1)
		broken("two are inside");
	a64_store_relaxed(b, n + 1);
	a64_store_relaxed(&me->inside, 0);
}

#endif
