/* SPDX-License-Identifier: BSL-1.0 */
/* Temporary names, where a file system has no unnamed files; for this folder alone. */
#ifndef STOAI_REGION_TEMPORARY_H
#define STOAI_REGION_TEMPORARY_H
#include "region/backing.h"

/*
 * A new file beside path, locked by this description; returns its descriptor and
 * puts its name into ret. First removes what dead makers left in that directory.
 */
int stoai_temporary_create(const char *path, char ret[STOAI_PATH_MAX]);

#endif
