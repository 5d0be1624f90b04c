/* SPDX-License-Identifier: BSL-1.0 */
/* Names and paths, for this folder alone. */
#ifndef STOAI_REGION_NAMES_H
#define STOAI_REGION_NAMES_H
#include "region/backing.h"
#include <stddef.h>

enum {
	STOAI_SHOWN_SIZE = 200
};

/* A path for an error text: its end if it is long, no control characters. */
const char *stoai_path_shown(char buf[STOAI_SHOWN_SIZE], const char *path);
/* How many bytes of path are its directory, the last slash included: 0 is ".". */
size_t stoai_path_directory(const char *path);
/* Can path name a file? Not empty, not too long, no slash at its end. */
int stoai_path_check(const char *path);
/* "cannot <what> '<path>': <the errno rc>"; returns rc. */
int stoai_path_error(int rc, const char *what, const char *path);

#endif
