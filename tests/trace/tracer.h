/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The stepping killer: runs one call of a real process under ptrace and finds, or
 * goes to, every place in it where a death could make a difference.
 *
 * A process that SIGKILL ends leaves three things: memory that it shared, what its
 * system calls did, and what the kernel makes of its robust list. So two
 * instructions between which none of these changed are the same death, and one of
 * them is enough. trace_survey steps through the call once and notes a point behind
 * each instruction that changed what a death leaves, and one at the entry and one
 * at the exit of each system call; trace_run_to takes another process, in which the
 * same call is about to begin, to such a point, at full speed.
 */
#ifndef TESTS_TRACE_TRACER_H
#define TESTS_TRACE_TRACER_H
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>

enum trace_place {
	TRACE_AT,    /* before an instruction */
	TRACE_ENTRY, /* of a system call: it will not be made */
	TRACE_EXIT   /* of a system call: made, and not returned from */
};

struct trace_point {
	enum trace_place place;
	uint32_t nth;   /* arrival at rip, or system call of the call; from 1 */
	uint32_t steps; /* and so many on: rounds of a repeated instruction */
	long call;      /* number of the system call */
	uint64_t rip;
};

enum {
	TRACE_POINTS_MAX = 200000,
	TRACE_CALL_MAX = 3000000 /* instructions of a call */
};

struct trace_survey {
	uint64_t instructions;
	uint32_t calls; /* system calls */
	uint32_t count;
	struct trace_point point[TRACE_POINTS_MAX];
};

struct tracee {
	pid_t thread;  /* that makes the call */
	pid_t process; /* that dies with it */
	bool executes; /* a thread that calls exec gets its leader's number */
	bool ended; /* the call has: it returned, its thread ended, it executed */
	bool gone; /* the thread is no more */
};

/* ---- in the victim ---- */

/* The call, between two marks. Its thread is traced by the process's parent from here on. */
int trace_call(int (*call)(void *user), void *user);
/* The first mark alone: the call is all that the thread does from here to its end. */
void trace_last_call(void);

/* ---- in its parent ---- */

/* Waits for the first mark. 0, or -1 with errno: ESRCH when it ended before. */
int trace_begin(struct tracee *t, pid_t process, pid_t thread);
/*
 * It forks in its call: from now on the tracee is the child, which has made no
 * instruction yet; the parent goes on untraced.
 */
int trace_follow_fork(struct tracee *t);
/*
 * Steps to the call's end. changed(user, called) says whether what others see has
 * changed since it was asked last; called: there was a system call. every: a point
 * before each instruction.
 */
int trace_survey(struct tracee *t, bool (*changed)(void *user, bool called),
	void *user, bool every, struct trace_survey *ret);
/* 0; 1: the call ended before the point came; -1: ptrace failed, or nothing moved. */
int trace_run_to(struct tracee *t, const struct trace_point *p);
/* To the entry of the first system call with this number. As above. */
int trace_run_to_call(struct tracee *t, long number);
/* SIGKILL, and waits until the whole process is gone. 0: that is how it ended. */
int trace_kill(struct tracee *t);

#endif
