/* SPDX-License-Identifier: BSL-1.0 */
/* A directory for one test, which leaves no descriptor open behind it. */
#ifndef TESTS_UNIT_ROOM_H
#define TESTS_UNIT_ROOM_H
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "scene.h"
#include "stoa/error.h"

static char *room;
static int fds_before;

static inline int
room_make(void **state)
{
	(void)state;
	room = scene_directory(false);
	fds_before = scene_fds();
	return 0;
}

static inline int
room_close(void **state)
{
	int fds = scene_fds();

	(void)state;
	fault_stop();
	scene_remove(room);
	if (fds != fds_before)
		(void)fprintf(
			stderr, "%d descriptors, %d before\n", fds, fds_before);
	return fds == fds_before ? 0 : -1;
}

static inline const char *
in_room(const char *name)
{
	return scene_path(room, name);
}

static inline bool
text_has(const char *words)
{
	if (strstr(stoa_error_text(), words))
		return true;
	(void)fprintf(
		stderr, "'%s' is not in '%s'\n", words, stoa_error_text());
	return false;
}

#endif
