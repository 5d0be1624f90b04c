/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The segment's file from outside: its bytes before the call, put back for every
 * death, and what others would see of it now.
 */
#ifndef TESTS_TRACE_IMAGE_H
#define TESTS_TRACE_IMAGE_H
#include "stage.h"

struct image {
	size_t size;
	char *bytes;
};

/* The bytes that every stage of a case begins with. NULL: a failure, on the board. */
struct image *image_make(struct play *p);
void image_free(struct image *image);
/* As a new file under this name; *ret is its descriptor. */
int image_put(const struct image *image, const char *path, int *ret);

struct view {
	char path[PATH_MAX];
	ino_t inode; /* 0: not there yet */
	int fd;
	size_t size;
	char *map, *copy;
};

struct views {
	struct view segment, made;
};

void views_open(struct views *v, const char *path);
void views_close(struct views *v);
/*
 * Do others see other bytes than when this was asked last? user: struct views.
 * called: there was a system call, so files may have come, gone and grown.
 */
bool views_changed(void *user, bool called);

#endif
