/* SPDX-License-Identifier: BSL-1.0 */
/* What the files of the soak share: the board, the variant, the state of a season. */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H
#include "ops.h"
#include <sys/types.h>

enum {
	WORKERS_MAX = 64,
	THREADS_MAX = 3,
	ERRORS_MAX = 20,
	ERROR_TEXT = 240
};

/* What makes a season different from the ordinary one. */
struct variant {
	const char *name;
	uint32_t share;   /* of the time */
	uint32_t about;   /* WORLD or BLOCKS */
	uint32_t without; /* STOA_WITHOUT_* */
	bool namespaces; /* each worker is pid 1 of a PID namespace of its own */
	uint32_t slots;  /* fewer than threads; 0: enough */
	uint32_t disk_kb; /* a tmpfs of this size; 0: the machine's */
	int also[2];      /* errors that are expected here */
	const char *
		special; /* what must have happened; NULL: nothing of its own */
};

/* Whom a kill was meant for. */
enum aim {
	AIM_ANYBODY,
	AIM_WAITER,    /* sleeps for a lock or a condition, or is just woken */
	AIM_RECOVERER, /* finishes for a dead one */
	AIM_GROWER,    /* takes memory from the system, or gives it back */
	AIM_ATTACHER,  /* has begun a moment ago */
	AIM_EVERYBODY, /* all at once */
	AIMS
};

/* What a season ended with; in memory that its process shares with the first one. */
struct score {
	uint64_t kills[AIMS]; /* meant for; died in all: dead */
	uint64_t dead, pauses, judged, ops, longest_stall;
	uint64_t special; /* how often what the variant is for has happened */
	uint64_t per_op[OPS];
	int64_t leaked;
	/* bytes, of a season about BLOCKS: on shelves, and what the heap had */
	uint64_t alive_most, heap_most;
	uint32_t errors;
	char error[ERRORS_MAX][ERROR_TEXT];
};

/* What workers tell the season's process, in ordinary shared memory. */
struct board {
	struct {
		uint64_t ops;     /* finished, by all that had this place */
		uint64_t started; /* ms, the one that is running */
		uint32_t op;      /* index + 1; 0: none */
		uint32_t alive;   /* its thread has begun */
		uint32_t slot;    /* index + 1; 0: none, or it may change */
		uint32_t tid;     /* in its own namespace */
		uint32_t forks;   /* a fork child may speak in its place */
	} actor[WORKERS_MAX][THREADS_MAX];
};

extern struct board *board;
extern struct score *score;

struct season {
	const struct variant *variant;
	unsigned seconds, workers, stall_ms;
	uint64_t seed, random;
	pid_t pid[WORKERS_MAX];
	uint64_t generation; /* workers started so far */
	int namespace_fd;    /* this process's own; -1: not used */
	/* without a slot; read-only, but where memory shall be trimmed */
	stoa_segment *view;
	uint64_t world_off; /* in it */
};

extern struct season season;

uint64_t ms_now(void);
void us_sleep(unsigned us);

/* worker.c */
int open_world(stoa_segment **seg, const world **w);
void start_worker(unsigned i);

/* storm.c: this process runs one season to its end. */
void run_season(void);

/* judge.c: everybody is dead; is what they left whole? */
bool judge(void);
void note_memory(void); /* what lives now, and what the heap has */
/* The heap never had more than so much, for what has lived. */
void judge_memory(void);

/* picture.c: all slots and actors, on stderr. */
void picture(void);

#endif
