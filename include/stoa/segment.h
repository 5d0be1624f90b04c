/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Segments: one span of shared memory with a heap, named objects, and a table of
 * the threads that are attached to it. Mapped once and never remapped: pointers
 * into it stay good until close, however it grows.
 *
 * Guarantees: process-safe, thread-safe; a process killed at any instruction,
 * also inside open, attach, growth and recovery, harms nobody. A full disk or
 * tmpfs is -ENOSPC, never a signal. Nothing prints, exits or installs a signal
 * handler. Damage is -EBADMSG.
 *
 * Synchronisation: every call may be made by any thread at any time, except that
 * close must come after the last use through that handle.
 *
 * Caveats: a memory cgroup at its limit kills instead of giving -ENOSPC; file
 * systems other than tmpfs, ext4 and xfs may break the promise that reserved
 * space can be written. Everybody who may write a segment is trusted with what
 * is in it; SECURITY.md says what a hostile peer can and cannot do.
 */
#ifndef STOA_SEGMENT_H
#define STOA_SEGMENT_H
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/error.h>
#include <stoa/ref.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

enum { /* flags of stoa_segment_open */
	STOA_CREATE  = 1 << 0, /* make it if it is not there */
	STOA_EXCL    = 1 << 1, /* with STOA_CREATE: it must not be there */
	STOA_RDONLY  = 1 << 2, /* map read-only; reads take no lock, see STOA_READ */
	STOA_FILE    = 1 << 3, /* name is a path (default: a name of shared memory) */
	STOA_LOCAL   = 1 << 4, /* memory of this process alone; no name */
	STOA_CHECKED = 1 << 5  /* watch every transaction of this process, slowly: changes
	                          without undo, without their lock, or of a value that
	                          its container has moved are -EFAULT at commit */
};

enum { /* options.without: do without what the system may not have */
	STOA_WITHOUT_TOKENS = 1 << 0, /* libc's robust list */
	STOA_WITHOUT_WAITV  = 1 << 1  /* futex_waitv (whole process) */
};

typedef struct stoa_segment_options {
	size_t   struct_size;  /* filled by the macro */
	uint64_t size;         /* heap at first, bytes; 0: 1 MiB, or the limit if that is less.
	                          It grows by itself */
	uint64_t limit;        /* heap at most; 0: 64 GiB (address space, not memory).
	                          Fixed when it is made: reopening with another changes nothing */
	uint32_t mode;         /* 0: 0600; exact, whatever the umask */
	uint32_t threads;      /* attached at the same time, at most 255; 0: 255, less if size is small */
	int      fd;           /* > 0: this memfd or file instead of the name; stays yours */
	uint32_t without;
	void    *buffer;       /* non-NULL: the caller's memory, `size` bytes in all, 4 KiB
	                          or more, aligned to 64; with fd: where owners are told */
	const char *directory; /* of names; NULL: $STOA_DIRECTORY, else /dev/shm/stoa-UID */
	const char *domain;    /* folder in it; NULL: $STOA_DOMAIN, else "default" */
} stoa_segment_options;

#ifndef __cplusplus
#define STOA_SEGMENT_OPTIONS(...) \
	(&(const stoa_segment_options){ .struct_size = sizeof(stoa_segment_options), __VA_ARGS__ })
#else
static inline stoa_segment_options stoa_segment_options_init(void)
{
	stoa_segment_options o = stoa_segment_options();
	o.struct_size = sizeof o;
	return o;
}
#endif

/*
 * stoa_segment_open - open, or with STOA_CREATE make, a segment.
 *
 * name NULL: no name, dies with its last user (pass its fd on, or fork).
 * options NULL: all defaults; they count when it is made. Repairs what the dead
 * left behind. A process has one mapping a segment: opening it again counts.
 *
 * Blocks:  no.     Crash: a half-made segment is never visible.
 * Owner:   close every handle you opened; *ret is untouched on failure.
 * Cost:    about 20 system calls.
 * Returns: 0, -ENOENT, -EEXIST, -EINVAL (name, options), -EPERM (other owner),
 *          -EACCES, -ENOSPC, -ENOMEM (address space), -EPROTO (not a segment),
 *          -ENOTSUP (other version, byte order, page size), -EBADMSG (damaged),
 *          -ESTALE (of another boot, or replaced meanwhile), -EMFILE.
 */
STOA_NODISCARD int stoa_segment_open(const char *name, unsigned flags,
	const stoa_segment_options *options, stoa_segment **ret);
/* NULL is fine; returns NULL. Detaches the calling thread with the last handle;
 * the mapping lives until other threads have detached. */
stoa_segment *stoa_segment_close(stoa_segment *seg);
/* The name is gone at once; who uses the segment keeps it. -ENOENT.
 * flags: STOA_FILE. options: directory and domain, or NULL. */
int stoa_segment_unlink(const char *name, unsigned flags,
	const stoa_segment_options *options);
/* The descriptor behind it, to pass to others (close-on-exec); -1: none. Stays ours. */
int stoa_segment_fd(const stoa_segment *seg);

/* This thread, now instead of at its first use. Again: nothing. -EUSERS. */
STOA_NODISCARD int stoa_segment_attach(stoa_segment *seg);
/* Waits for a slot. -ETIMEDOUT. */
STOA_NODISCARD int stoa_segment_attach_until(stoa_segment *seg, uint64_t deadline);
/* This thread. What it has open is undone. Implicit when the thread ends. */
void stoa_segment_detach(stoa_segment *seg);

const stoa_rwlock *stoa_segment_lock(stoa_segment *seg); /* what STOA_TX(tx, seg) takes */
int stoa_segment_recover(stoa_segment *seg);  /* finish for the dead now; returns how many */
int64_t stoa_segment_trim(stoa_segment *seg); /* free spans to the system; bytes, or < 0 */
/* Undo what this thread left open by a longjmp, in every segment. */
void stoa_thread_recover(void);

/* Whole-segment verification, while others work; text on failure. -EBADMSG. */
STOA_NODISCARD int stoa_segment_check(stoa_segment *seg);
/* Blocks that no named object leads to, by the descriptions; 0 is healthy. Takes
 * the segment's lock for reading; exact when nobody writes under other locks. */
STOA_NODISCARD int64_t stoa_segment_leaked(stoa_segment *seg);

typedef struct stoa_segment_stat {
	uint64_t size;      /* bytes of heap now */
	uint64_t used;      /* in blocks that shared data owns */
	uint64_t cached;    /* in blocks held by threads */
	uint64_t limit;
	uint64_t blocks;    /* owned by shared data */
	uint64_t objects;   /* named */
	uint64_t recovered; /* threads that died and were recovered */
	uint64_t commits;   /* transactions of the threads attached now */
	uint32_t threads;   /* attached now */
	uint32_t threads_max;
} stoa_segment_stat;
void stoa_segment_statistics(stoa_segment *seg, stoa_segment_stat *ret);

static inline void stoa_segment_cleanup_(stoa_segment **seg)
{
	*seg = stoa_segment_close(*seg);
}

STOA_END_DECLS
#endif
