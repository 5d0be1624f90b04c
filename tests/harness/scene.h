/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where a test takes place: directories that go again, descriptors that are
 * counted, children that end in time.
 */
#ifndef TESTS_HARNESS_SCENE_H
#define TESTS_HARNESS_SCENE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* In a child, where cmocka's own would not be heard: says where, and ends it. */
#define must(x) \
 do { \
  if (!(x)) \
   scene_must_failed(#x, __FILE__, __LINE__); \
 } while (0)

void scene_must_failed(const char *what, const char *file, int line)
	__attribute__((noreturn));

/* A new directory, mode 0700, on tmpfs or, ondisk, in /var/tmp. free() it. */
char *scene_directory(bool ondisk);
/* With all that is in it; frees the path. */
void scene_remove(char *directory);
/* "<directory>/<name>"; the last 8 results stay good */
const char *scene_path(const char *directory, const char *name);
/* Names in it, "." and ".." not counted; -1: it cannot be read. */
int scene_entries(const char *directory);
/* Open descriptors of this process. */
int scene_fds(void);

/*
 * Runs f(arg) in a fork child that has 20 seconds and ends with its result.
 * Returns that, or minus the signal that ended it.
 */
int scene_child(int (*f)(void *arg), void *arg);
/* As above, not waited for; and the waiting. */
int scene_fork(int (*f)(void *arg), void *arg);
int scene_wait(int pid);

/*
 * Until that thread of this process sleeps in the kernel, ready or not; its tid may
 * still be 0 and is looked at again. At most five seconds.
 */
void scene_until_asleep(const int *tid);

/*
 * From now on this process's system call `number` fails with `error` (> 0) if its
 * argument of index `argument` is more than `above`; SCENE_EVERY: always. error 0:
 * it kills the process instead. For children: it cannot be undone. false: this
 * system allows no filters.
 */
enum {
	SCENE_EVERY = -1
};
bool scene_filter(long number, int argument, unsigned above, int error);

/*
 * From now on this process mounts for itself alone; not root, it becomes one who
 * may in a user namespace of its own. For children. false: not allowed here.
 */
bool scene_own_mounts(void);

/* Said so that nobody overlooks it, whatever cmocka prints. */
void scene_skipped(const char *test, const char *why);
/* True under tests/valgrind/run.sh, which cannot do this: skipped, with the reason. */
bool scene_valgrind_cannot(const char *test, const char *why);

#endif
