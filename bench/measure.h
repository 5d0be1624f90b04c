/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The harness: works, done by several libraries, measured in turns.
 *
 * A family is a file of works that belong together. Each row is one work done by
 * one peer; ours is the one called "stoa". All rows of a family are measured in
 * the same run: every turn measures each of them once, in an order of its own, so
 * that a machine that grows warm or busy does so for all.
 *
 * A row is measured in fresh processes, its workers: one, or several at the same time,
 * each pinned to a processor, of its own if there are so many. So nothing that one
 * measurement leaves behind in a process (caches of an allocator, say) reaches the next
 * one. Or the workers are threads of one fresh process.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct measure_row;

enum {
	MEASURE_WORKERS = 4 /* of a row, at most */
};

/* How a peer is set up. Any hook may be NULL; false: failed, text on stderr. */
struct measure_side {
	bool (*there)(void); /* false: this machine has it not; asked first */
	bool (*open)(void);  /* once a run, before any worker is started */
	bool (*start)(
		const struct measure_row *row, int role);      /* in a worker */
	void (*stop)(const struct measure_row *row, int role); /* there too */
	void (*close)(void); /* once, at the end */
};

struct measure_row {
	const char *work, *peer;
	const struct measure_side *side;
	/* Do it `count` times. The unit is ns, and it is measured for a while. */
	bool (*loop)(const struct measure_row *row, int role, uint64_t count);
	/* Or: one number, of something that takes about ns; < 0: failed. With several
	 * workers the number of role 0 is taken. */
	double (*figure)(const struct measure_row *row, int role, uint64_t ns);
	int processes;  /* workers; 0: 1 */
	bool threads;   /* they are threads of one process */
	bool untouched; /* its pages are not there when it begins */
	int runs; /* at most: it is always the same; 0: as many as asked */
	const char *unit; /* NULL: ns */
	uintptr_t param;  /* the row's own */
	unsigned between; /* measure_between makes so many steps */
};

/*
 * What we want of ours. at_most false: peer's / ours is at least `goal`; true:
 * ours / peer's is at most that. The peer's is the row `peer` of the same work, or
 * our own row of the work `one`, or the plain number `limit`. A peer and a limit:
 * what ours has more than the peer's, as a part of the limit.
 */
struct measure_goal {
	const char *work, *peer;
	const char *one;
	double limit, goal;
	bool at_most;
};

struct measure_family {
	const char *name;
	const struct measure_row *rows;
	size_t row_count;
	const struct measure_goal *goals;
	size_t goal_count;
};

/*
 * [NAME...] [--json] [--runs N] [--ms N]; returns the exit status. NAME is a part
 * of a family's or work's name.
 */
int measure_main(int argc, char **argv, const struct measure_family *family,
	size_t count);

/* ---- for the works ---- */

/* What a work's results must not be optimised away through. */
static inline void
measure_use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

enum {
	MEASURE_SPACED = 192 /* steps of between: some 150 ns */
};

/* Other work, in registers, between two works that are measured. */
static inline void
measure_between(const struct measure_row *row)
{
	uint64_t x = row->between;

	for (unsigned n = row->between; n > 0; n--) {
		x *= UINT64_C(0x9e3779b97f4a7c15);
		__asm__ volatile("" : "+r"(x));
	}
}

uint64_t measure_now(void); /* ns */
/* The same, but it stands still while others have this process's processor. */
uint64_t measure_clock(void);
void measure_pin(int processor);
bool measure_failed(const char *format, ...)
	__attribute__((format(printf, 1, 2))); /* tells, returns false */
/* So that nobody's page faults are measured, where the kernel can do that. */
void measure_touch(void *from, size_t size);
/* Shared with workers that are forked later, zeroed; NULL: told. */
void *measure_shared(size_t size);

/* Bytes of memory that this process has now, shared ones too; < 0: told. */
int64_t measure_resident(void);

/* A sequence that is the same in every run and for every peer. */
static inline uint64_t
measure_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Of the maps: different for different i, in no order. */
static inline uint64_t
measure_key(uint64_t i)
{
	return i * UINT64_C(0x9e3779b97f4a7c15);
}

/* machine.c: what was measured on, to `to` (a FILE *), each line behind "# " */
void machine_print(void *to);

#ifdef __cplusplus
}
#endif
#endif
