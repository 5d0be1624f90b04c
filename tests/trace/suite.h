/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The suite's frame: a table of cases, each run in every mode, the results printed
 * in the order of the table.
 */
#ifndef TESTS_TRACE_SUITE_H
#define TESTS_TRACE_SUITE_H
#include "stage.h"

/*
 * Arguments: part of a case's name; --every: a death at every instruction, also
 * where nothing changed; --all: every mode of liveness in and out of namespaces;
 * --mode TEXT; --point N: that one alone; -j N at a time; -l lists. Main's result.
 */
int suite_main(const char *suite, const struct trace_case *cases, size_t count,
	int argc, char **argv);

#endif
