/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The crash suite's frame: a table of cases, explored one after the other or side
 * by side, and the table of results.
 */
#ifndef TESTS_HARNESS_CRASH_H
#define TESTS_HARNESS_CRASH_H
#include "stoa/explore.h"

struct crash_case {
	stoa_explore_case explore;
	/* the public calls that it covers, separated by blanks; read by
	 * script/check/crash_cases */
	const char *covers;
	unsigned flags; /* STOA_EXPLORE_* on top of the command line's */
};

/*
 * Arguments: part of a case's name; -q: inside recovery of every fourth image
 * only; -a: all pairs; -s: single step everything; -j N: so many at a time
 * (default: processors); -l: list names. Returns main's result.
 */
int crash_main(const char *suite, const struct crash_case *cases, size_t count,
	int argc, char **argv);

#endif
