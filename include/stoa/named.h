/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions that are found by a name: for programs that share no data,
 * or that have to meet before they do.
 *
 *	STOA_CLEANUP(stoa_named) jobs = NULL;
 *	rc = stoa_named_open("jobs", STOA_NAMED_MUTEX, STOA_CREATE, NULL, &jobs);
 *	...
 *	rc = stoa_mutex_lock(stoa_named_mutex(jobs));
 *
 * What is opened is the same stoa_mutex, stoa_rwlock, ... that lies in structs
 * elsewhere, and the same calls take it (sync.h). A recursive mutex is a mutex that
 * is taken with stoa_mutex_lock_again; a shared or upgradable one is a
 * stoa_rwlock; any condition waits with any lock of its segment. Semaphores, permits and
 * latches begin with the count of the options.
 *
 * A namespace is a segment, and all kinds stand in it under one set of names. That
 * of the options, or else the user's own, "stoa-named-UID": it is made by the first
 * who creates something in it, grows by itself, and stays until it is removed
 * (stoa_segment_unlink) or the system restarts. All that segments can do holds for
 * it: permissions, directories, domains, files, `stoa ls`.
 *
 * Guarantees: process-safe, thread-safe. However many make a name at once, one does.
 * A process killed at any instruction leaves a name whole or not there. A lock
 * whose holder died says so to the next (-EOWNERDEAD).
 *
 * Sync:    every call may be made by any thread at any time, but not inside a
 *          transaction or read scope of the namespace (-EBUSY).
 * Fork:    a child may go on with its parent's handles; what a thread of the parent
 *          holds, the child does not. Who executes a program has let go of all.
 */
#ifndef STOA_NAMED_H
#define STOA_NAMED_H
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/barrier.h>
#include <stoa/event.h>
#include <stoa/segment.h>
#include <stoa/semaphore.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

/* X(kind, word in texts, call that gives it, type). At the end of an enum that
 * others have been compiled with: add behind the last. */
#define STOA_NAMED_KINDS_(X) \
	X(STOA_NAMED_MUTEX, mutex, stoa_named_mutex, stoa_mutex) \
	X(STOA_NAMED_RWLOCK, rwlock, stoa_named_rwlock, stoa_rwlock) \
	X(STOA_NAMED_COND, cond, stoa_named_cond, stoa_cond) \
	X(STOA_NAMED_SEMAPHORE, semaphore, stoa_named_semaphore, stoa_semaphore) \
	X(STOA_NAMED_PERMITS, permits, stoa_named_permits, stoa_permits) \
	X(STOA_NAMED_EVENT, event, stoa_named_event, stoa_event) \
	X(STOA_NAMED_LATCH, latch, stoa_named_latch, stoa_latch) \
	X(STOA_NAMED_BARRIER, barrier, stoa_named_barrier, stoa_barrier) \
	X(STOA_NAMED_EVENTCOUNT, eventcount, stoa_named_eventcount, stoa_eventcount) \
	X(STOA_NAMED_ONCE, once, stoa_named_once, stoa_once)

enum stoa_named_kind {
#define STOA_NAMED_KIND_(kind, word, call, type) kind,
	STOA_NAMED_KINDS_(STOA_NAMED_KIND_)
#undef STOA_NAMED_KIND_
	STOA_NAMED_KINDS
};

typedef struct stoa_named stoa_named; /* local, opaque: one process's handle */

typedef struct stoa_named_options {
	size_t        struct_size; /* filled by the macro */
	const char   *space;   /* segment that is the namespace; NULL: the user's own */
	stoa_segment *segment; /* an open one instead, which stays open for longer than
	                          what is opened in it; the fields below do not count */
	const char   *directory; /* of namespaces, and domain: as for a segment */
	const char   *domain;
	uint32_t      mode;    /* of a namespace that is made; 0: 0600 */
	uint32_t      owner;   /* STOA_ID(uid): as for a segment: also whom we trust */
	uint32_t      group;
	uint32_t      count;   /* what it counts when it is made; kinds that count nothing:
	                          0. Who finds it there finds it as it is */
	uint64_t      limit;   /* of a namespace that is made: bytes at most; 0: 1 GiB, some
	                          four million names */
} stoa_named_options;

#ifndef __cplusplus
#define STOA_NAMED_OPTIONS(...) \
	(&(const stoa_named_options){ .struct_size = sizeof(stoa_named_options), __VA_ARGS__ })
#else
static inline stoa_named_options stoa_named_options_init(void)
{
	stoa_named_options o = stoa_named_options();
	o.struct_size = sizeof o;
	return o;
}
#endif

/*
 * stoa_named_open - open, or with STOA_CREATE make, what has that name.
 *
 * flags: 0: it must be there; STOA_CREATE: made, free, if it is not; with STOA_EXCL:
 * it must not be there. STOA_FILE: .space is a path. A name is 1 to 65535 bytes of
 * UTF-8 without control characters.
 *
 * Blocks:  while others make or remove a name.
 * Crash:   the name is there whole, or not.
 * Owner:   close it; *ret is untouched on failure.
 * Cost:    opening the namespace (some 40 system calls, 10 when this process has it
 *          open), a hash lookup; creating: a transaction.
 * Returns: 0, -ENOENT (name or namespace), -EEXIST,
 *          -EPROTOTYPE (it is of another kind; the text says both),
 *          -EINVAL (name, kind, flags, options), -ENAMETOOLONG,
 *          -ENOSPC (the namespace is full), -EUSERS (255 threads use it),
 *          -EACCES, -EPERM (another user's), -EROFS (.segment is read-only),
 *          -EBUSY (inside a scope), -ENOMEM, -EMFILE, -EBADMSG, -ENOTRECOVERABLE.
 */
STOA_NODISCARD int stoa_named_open(const char *name, enum stoa_named_kind kind,
	unsigned flags, const stoa_named_options *options, stoa_named **ret);
/*
 * NULL is fine; returns NULL. The name stays, and so does what other handles have.
 * With the process's last handle of the namespace the calling thread is detached: a
 * lock that it still holds is as one whose holder died.
 */
stoa_named *stoa_named_close(stoa_named *n);

/* What was opened; NULL, with a text, when it is of another kind, or n is NULL. Good
 * until it is closed. */
const void *stoa_named_object_(const stoa_named *n, enum stoa_named_kind kind);
#define STOA_NAMED_CALL_(kind, word, call, type) \
	static inline const type *call(const stoa_named *n) \
	{ \
		return (const type *)stoa_named_object_(n, kind); \
	}
STOA_NAMED_KINDS_(STOA_NAMED_CALL_)
#undef STOA_NAMED_CALL_

/* The namespace: for scopes that take a named lock, STOA_TX(tx, seg, mutex). */
stoa_segment *stoa_named_segment(const stoa_named *n);

/*
 * stoa_named_unlink - the name is gone at once; who has it open keeps what it has.
 *
 * They go on to exclude each other, and who opens the name again gets another one.
 * The memory of what was removed (some 40 bytes) is used again when a process opens
 * or removes something while no other one has the namespace open, nor this one any
 * handle of it, if it has not forked with a segment open. options: as it was opened. flags: STOA_FILE.
 *
 * Blocks:  as open.     Crash: the name is there, or not.
 * Cost:    as open.
 * Returns: 0, -ENOENT, -EPROTOTYPE (that name has no lock but an object), and what
 *          stoa_named_open returns.
 */
int stoa_named_unlink(
	const char *name, unsigned flags, const stoa_named_options *options);

/*
 * stoa_named_each - call each(name, kind, user) for what is there, sorted by name.
 *
 * It must not open or remove anything in the namespace (-EBUSY). One that returns
 * something else than 0 ends it.
 *
 * Returns: 0, also when there is no namespace; what each returned; and as
 *          stoa_named_open.
 */
int stoa_named_each(unsigned flags, const stoa_named_options *options,
	int (*each)(const char *name, enum stoa_named_kind kind, void *user),
	void *user);
/* "mutex", "rwlock", ...; "(unknown)" */
const char *stoa_named_word(enum stoa_named_kind kind);

static inline void stoa_named_cleanup_(stoa_named **n)
{
	*n = stoa_named_close(*n);
}

STOA_END_DECLS
#endif
