/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The stage on which one call is killed: a segment, and who else uses it.
 *
 *	victim     makes the call and dies in it
 *	survivor   attached before; holds a lock and has a transaction open all the time
 *	newcomer   attaches while the victim stands at the place of its death, and
 *	           holds a lock and a transaction over it (in the namespaces modes)
 *	opener     opens the segment after the death
 *	sleeper    waits for the condition that a dead thread signalled (some cases)
 *	corpse     has died before, with work to be undone or finished (some cases)
 *
 * Each death happens on a fresh copy of the same bytes, so the same call reaches
 * the same places.
 */
#ifndef TESTS_TRACE_STAGE_H
#define TESTS_TRACE_STAGE_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stoa/stoa.h>
#include "proc/proc.h"
#include "tracer.h"

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t value;
	node_ref next;
	uint64_t pad[14];
};
STOA_TYPE_DECLARE(node);
STOA_TYPE(node, value, (next, node, own), pad);

typedef struct large { /* more than the segment has in one piece at first */
	uint64_t word[6000];
} large;
STOA_TYPE(large, word);
typedef STOA_REF(large) large_ref;

typedef struct things { /* what one actor changes under its lock */
	stoa_rwlock lock;
	uint64_t value; /* the number of nodes */
	uint64_t mark;
	node_ref list;
	large_ref large;
} things;
STOA_TYPE(things, lock, value, mark, (list, node, own), (large, large, own));

typedef struct stage {
	things victim, survivor, newcomer;
	stoa_cond changed; /* of flag, under victim.lock */
	uint64_t flag;
} stage;
STOA_TYPE(stage, (victim, things), (survivor, things), (newcomer, things),
	changed, flag);

struct trace_case;
struct trace_mode;

/* Robust mutexes of libc: one locked before attaching and one after. */
struct robust_pair {
	pthread_mutex_t before, after;
};

/* Shared by the processes of one stage. */
struct board {
	struct robust_pair victim, survivor;
	_Atomic int failed;
	char text[400];    /* the first failure */
	int dead;          /* before the victim: how many may be recovered */
	unsigned stall_ms; /* until the dead's locks were to be had */
	off_t token;       /* of the survivor, when it has ended attached */
};

struct play { /* one stage; every actor has a copy */
	const struct trace_case *c;
	const struct trace_mode *mode;
	struct board *board;
	char directory[64];
	char path[PATH_MAX]; /* of the segment's file */
	int shared;          /* that file, open in the process that directs */
	/* in the process that has it open */
	stoa_segment *seg, *other;
	const stage *d;
	stoa_tx *tx;     /* open over the call */
	struct peer *me; /* to whoever told us to act */
};

enum {                        /* trace_case.flags */
	CASE_FILE = 1 << 0,   /* the segment is a file, not shared memory */
	CASE_THREAD = 1 << 1, /* made by a thread that is not the leader */
	CASE_CHILD = 1 << 2,  /* it forks, and the child dies, not the parent */
	CASE_PARENT = 1 << 3, /* it forks, and the parent dies, not the child */
	CASE_EXEC = 1 << 4,   /* it executes another program */
	CASE_CREATE = 1 << 5, /* it makes another segment, "made" */
	CASE_RENAME = 1 << 6, /* it unlinks the segment and makes another */
	CASE_CORPSE = 1 << 7, /* somebody died in the middle of a transaction */
	CASE_OWED = 1 << 8, /* somebody died between a commit and its wake-up */
	CASE_SIGNALS = 1 << 9,    /* it commits a signal; somebody sleeps */
	CASE_NO_UNNAMED = 1 << 10 /* as on a file system without O_TMPFILE */
};

struct trace_case {
	const char *name;
	int (*prepare)(struct play *p); /* before the call; NULL: opened only */
	int (*call)(struct play *p);    /* NULL: the thread ends */
	unsigned flags;
};

struct trace_mode {
	const char *name;
	uint32_t without; /* STOA_WITHOUT_* */
	bool twins; /* each in a PID namespace of its own, with equal TIDs */
};

/* ---- for the cases (cast.c) ---- */

/* -1 and the board says why, unless it says something already. */
int board_fail(struct play *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int play_open(struct play *p, unsigned flags);
/* The same for a name or path beside it. */
int play_open_at(
	struct play *p, const char *name, unsigned flags, stoa_segment **ret);
/* The next order; 0: the stage is over. */
char told(struct play *p);
void things_push(stoa_tx *tx, const things *t, unsigned count);

int actor_victim(struct play *p);
int actor_survivor(struct play *p);
int actor_newcomer(struct play *p);
int actor_opener(struct play *p);
int actor_sleeper(struct play *p);
int actor_corpse(struct play *p);

/* ---- stage.c ---- */

struct outcome {
	uint64_t instructions;
	unsigned points, calls, killed, failures, stall_ms;
	char text[4][560]; /* of the failures; with the fourth the case ends */
	char error[200];   /* it could not be run */
	double seconds;
	bool done;
};

struct trace_settings {
	bool every; /* a death at every instruction */
	long only;  /* >= 0: at this point alone */
	bool verbose;
};

/* All of one case in one mode. */
void stage_run(const struct trace_case *c, const struct trace_mode *mode,
	const struct trace_settings *settings, struct outcome *ret);

#endif
