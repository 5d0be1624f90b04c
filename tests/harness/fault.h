/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The test double of the os layer: counts its calls, makes them fail, and kills
 * the process at one of them.
 *
 *	fault_start();                          count from here
 *	fault_fail(STOAI_OS_OPEN, 2, -EMFILE);  the 2nd open fails, once
 *	fault_always(STOAI_OS_UNNAMED, -EOPNOTSUPP);
 *	... the calls under test ...
 *	fault_stop();                           counts can be read until the next start
 *
 * The loop over all calls of a scenario:
 *
 *	for (n = 1;; n++) {
 *		fault_start();
 *		fault_fail(FAULT_ANY, n, -EIO);
 *		scenario();
 *		fault_stop();
 *		if (!fault_hit())
 *			break;   there is no nth call
 *	}
 *
 * One scenario at a time in a process; its threads may be many. A fork child goes
 * on with a copy of the counts.
 */
#ifndef TESTS_HARNESS_FAULT_H
#define TESTS_HARNESS_FAULT_H
#include "os/os.h"
#include <stdbool.h>

enum {
	FAULT_ANY = STOAI_OS_CALLS, /* a call of any kind */
	FAULT_KINDS = STOAI_OS_CALLS + 1
};

/* Forgets counts and rules; counts from now on. */
void fault_start(void);
/* Calls are real again; counts and fault_hit stay to be read. */
void fault_stop(void);

/* The nth (from 1) call of this kind returns rc. Another rule replaces it. */
void fault_fail(unsigned kind, unsigned nth, int rc);
/* The process is killed (SIGKILL) instead of the nth call. */
void fault_kill(unsigned kind, unsigned nth);
/* Each call of this kind returns rc; 0: no longer. Not FAULT_ANY. */
void fault_always(enum stoai_os_call kind, int rc);

/* Has the nth call come? */
bool fault_hit(void);
/* Which kind it was; FAULT_ANY: it has not come. */
unsigned fault_hit_kind(void);
/* How many calls of this kind since the start, failed ones too. */
unsigned fault_count(unsigned kind);
/* "open"; of FAULT_ANY "any call" */
const char *fault_name(unsigned kind);

#endif
