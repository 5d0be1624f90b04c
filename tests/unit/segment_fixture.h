/* SPDX-License-Identifier: BSL-1.0 */
/* A directory of names and files for all tests of a program. */
#ifndef TESTS_UNIT_SEGMENT_FIXTURE_H
#define TESTS_UNIT_SEGMENT_FIXTURE_H
#include <stdlib.h>

#include "scene.h"

static char *directory;

static inline int
directory_setup(void **state)
{
	(void)state;
	directory = scene_directory(false);
	return setenv("STOA_DIRECTORY", directory, 1);
}

static inline int
directory_teardown(void **state)
{
	(void)state;
	scene_remove(directory);
	return 0;
}

#endif
