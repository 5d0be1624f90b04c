/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Backings: where the bytes of a segment live, and how they get their name.
 * A backing is made whole while nobody can see it, then linked: a half-made one
 * is never visible. Where the file system has no unnamed files, a temporary name
 * is used, which its living maker keeps locked, so that the next maker can tell
 * and remove what a dead one left.
 */
#ifndef STOAI_REGION_BACKING_H
#define STOAI_REGION_BACKING_H
#include "base/base.h"
#include <stdbool.h>
#include <stdint.h>

enum stoai_backing_kind {
	STOAI_BACKING_NAMED,  /* a file in a directory of ours on tmpfs */
	STOAI_BACKING_FILE,   /* a file of the caller's */
	STOAI_BACKING_MEMFD,  /* no name */
	STOAI_BACKING_GIVEN,  /* the file of a descriptor of the caller's */
	STOAI_BACKING_LOCAL,  /* this process alone: no fd */
	STOAI_BACKING_BUFFER, /* the caller's memory: fd only for owner bytes */
	STOAI_BACKING_HUGE    /* a memfd of huge pages */
};

enum {
	STOAI_PATH_MAX = 4096,
	STOAI_SEGMENT_NAME_MAX = 447 /* bytes of a name */
};

struct stoai_backing {
	enum stoai_backing_kind kind;
	int fd; /* -1: none */
	bool readonly;
	uint64_t device, inode;    /* 0: no fd */
	uint64_t size;             /* st_size when it was opened */
	char path[STOAI_PATH_MAX]; /* "": no name */
	/* while unpublished, where there are no unnamed files */
	char temporary[STOAI_PATH_MAX];
};

/*
 * The path of a named segment: <directory>/<domain>/<name>. NULL directory or
 * domain: the environment, else the default. Names are 1 to 447 bytes of UTF-8
 * without '/', control characters or a leading '.'; a domain likewise, to 200. -EINVAL
 * with a text that says what is wrong with it, -ENAMETOOLONG. make: create the
 * directories that are missing (the default one 0700, ours; refuses a directory
 * that somebody else owns and could replace names in: -EPERM). A domain gets the
 * permissions of the directory it is in. ret is empty after a failure.
 */
int stoai_backing_path(const char *name, const char *directory,
	const char *domain, bool make, char ret[STOAI_PATH_MAX]);

/* Longer than a file's name may be: what is there is found by a hash. */
bool stoai_name_is_hashed(const char *name);

/*
 * An empty file without a name, to be filled; its name will be path (NULL: memfd
 * or local). After a failure here and below, *ret is a closed backing.
 */
int stoai_backing_create(enum stoai_backing_kind kind, const char *path,
	struct stoai_backing *ret);
/*
 * owner and group (as the options have them: stoai_backing_id), mode exactly, then
 * the name. -EEXIST: somebody was first. -EINVAL: the mode. -EPERM: may not be given
 * away. Without a path no name, and of what is the caller's nothing.
 */
int stoai_backing_publish(
	struct stoai_backing *b, uint32_t mode, uint32_t owner, uint32_t group);
/* No more than reading and writing (0666): 0, or -EINVAL with a text. */
int stoai_backing_mode_check(uint32_t mode);
/* The id of a STOA_ID(id), as chown(2) has it: UINT32_MAX, "as it is", for 0 and
 * STOA_ANYBODY, who can only be trusted. */
static inline uint32_t
stoai_backing_id(uint32_t wish)
{
	return wish == UINT32_MAX ? UINT32_MAX : wish - 1;
}
/*
 * By its path. No symlink is followed in the last component; only regular files
 * of ours or root's (-EPERM names the owner). -ENOENT, -EACCES.
 */
int stoai_backing_open(enum stoai_backing_kind kind, const char *path,
	bool readonly, struct stoai_backing *ret);
/* The same; a file of uid trusted - 1 too (0: nobody else, UINT32_MAX: anybody's). */
int stoai_backing_open_of(enum stoai_backing_kind kind, const char *path,
	bool readonly, uint32_t trusted, struct stoai_backing *ret);
/*
 * The file of the caller's descriptor (memfd or regular file), opened anew: owner
 * bytes belong to a description, and his may be shared with other processes. So
 * the mode of the file counts (-EACCES), and /proc is needed (-ENOTSUP).
 */
int stoai_backing_given(int fd, bool readonly, struct stoai_backing *ret);
/*
 * The memfd that carries only the owner bytes of a caller's buffer, opened anew
 * as above; fd <= 0: a new one, which fork children inherit and nobody else has.
 */
int stoai_backing_owners(int fd, struct stoai_backing *ret);
/* Is the name still this file's? 0, or -ESTALE. */
int stoai_backing_current(const struct stoai_backing *b);
int stoai_path_current(const char *path, uint64_t device, uint64_t inode);
/* Memory for [from, from + size), now: -ENOSPC here, never a signal later. */
int stoai_backing_allocate(
	const struct stoai_backing *b, uint64_t from, uint64_t size);
int stoai_backing_unlink(const char *path);
/* Closes, and removes the temporary name if it was never published. */
void stoai_backing_close(struct stoai_backing *b);

#endif
