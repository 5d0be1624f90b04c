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
#include <stoa/place.h>
#include <stoa/ref.h>
#include <stoa/sync.h>
STOA_BEGIN_DECLS

enum { /* flags of stoa_segment_open */
	STOA_CREATE  = 1 << 0, /* make it if it is not there */
	STOA_EXCL    = 1 << 1, /* with STOA_CREATE: it must not be there */
	STOA_RDONLY  = 1 << 2, /* map read-only; reads take no lock, see STOA_READ */
	STOA_FILE    = 1 << 3, /* name is a path (default: a name of shared memory) */
	STOA_LOCAL   = 1 << 4, /* memory of this process alone; no name */
	STOA_CHECKED = 1 << 5, /* watch every transaction of this process, slowly: changes
	                          without undo, without their lock, or of a value that
	                          its container has moved are -EFAULT at commit */
	STOA_PRIVATE = 1 << 6, /* a copy of it as it is now, of this process alone, to
	                          change at will; what others had begun is undone in it.
	                          Of a region: copy-on-write */
	STOA_POSIX   = 1 << 7, /* regions: name is one of shm_open(3) */
	STOA_XSI     = 1 << 8, /* regions: System V shared memory */
	STOA_LAST_OUT = 1 << 9 /* with STOA_CREATE: its name goes with the last process
	                          that has it open for writing, also a killed one: the
	                          next who asks finds that and removes it */
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
	                          or more, aligned to 64; with fd: where owners are told.
	                          Made with a limit beyond it, it grows in place: open it
	                          again with the larger size. A copy by memcpy can be opened */
	const char *directory; /* of names; NULL: $STOA_DIRECTORY, else /dev/shm/stoa-UID */
	const char *domain;    /* folder in it; NULL: $STOA_DOMAIN, else "default" */
	const struct stoa_index_class *index; /* how objects are found (stoa/index.h); NULL: by
	                          hash. It counts when it is made; one of the program's own
	                          must be given by everybody who opens it */
	const struct stoa_heap_class *heap; /* what divides its memory (stoa/heap.h); NULL: the
	                          library's own heap. As index, in all else */
	uint32_t owner;        /* STOA_ID(uid): made: whose it becomes (root may give away);
	                          opened: a file of that user is trusted, beside ours and
	                          root's. STOA_ANYBODY: everybody's. 0: ours */
	uint32_t group;        /* STOA_ID(gid): made: of which group; 0: as the system has it */
} stoa_segment_options;
#define STOA_ID(id)  ((uint32_t)(id) + 1)
#define STOA_ANYBODY UINT32_MAX

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
 * A name has 1 to 447 bytes of UTF-8 without '/', control characters and a leading
 * dot; the file of one over 200 is found by its hash, and the whole name compared.
 * name NULL: no name, dies with its last user (pass its fd on, or fork).
 * options NULL: all defaults; they count when it is made. Repairs what the dead
 * left behind. A process has one mapping a segment: opening it again counts.
 * STOA_PRIVATE gives another copy each time, wants to read the original only, and
 * never waits for a lock that somebody holds in it.
 *
 * Blocks:  no.     Crash: a half-made segment is never visible.
 * Owner:   close every handle you opened; *ret is untouched on failure.
 * Cost:    about 20 system calls.
 * Returns: 0, -ENOENT, -EEXIST, -EINVAL (name, options), -EPERM (other owner),
 *          -EACCES, -ENOSPC, -ENOMEM (address space), -EPROTO (not a segment),
 *          -ENOTSUP (other version, byte order, page size; an index or a heap of its own),
 *          -EBADMSG (damaged),
 *          -ESTALE (of another boot, or replaced meanwhile), -EMFILE,
 *          -EPROTOTYPE (that index or heap is given, with another state),
 *          -EAGAIN (STOA_PRIVATE: writers came between again and again).
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
/* The name that it was opened by, whole, until it is closed; "(unnamed)", "(given fd)". */
const char *stoa_segment_name(const stoa_segment *seg);
/* Does its name still lead to it? 0; -ESTALE: removed or replaced. No name: 0. */
int stoa_segment_current(stoa_segment *seg);

/*
 * stoa_segment_resize - longer or shorter, while nobody has it open.
 *
 * size: bytes of heap; less than is used, also 0: as few as possible, which is the
 * end of the last block. An open segment grows by itself, and stoa_segment_trim
 * shortens it; this one also cuts the file. flags: STOA_FILE.
 *
 * Blocks:  no.     Crash: it has the old size or the new one.
 * Cost:    an opening.
 * Returns: the bytes of heap now; -EBUSY (somebody has it open), -ENOENT,
 *          -ENOSPC (no room, or beyond its limit), and what opening returns.
 */
STOA_NODISCARD int64_t stoa_segment_resize(const char *name, unsigned flags,
	const stoa_segment_options *options, uint64_t size);

/*
 * stoa_segment_save - a copy of it as it is now, as a new segment of that name.
 *
 * The copy is consistent, and what others have begun and not committed is undone
 * in it, whatever kind of segment seg is. With seg's lock held by the caller
 * nobody who takes that lock can come between. flags: STOA_FILE. options: .mode,
 * .fd (an empty memfd or file instead of the name), .directory, .domain, or NULL.
 *
 * Blocks:  no; up to a second while writers come between.
 * Crash:   the name leads to the whole copy, or is not there.
 * Cost:    the bytes of seg's heap, copied twice.
 * Returns: 0, -EEXIST, -EAGAIN (writers came between again and again), -ENOSPC,
 *          -ENOMEM, -EACCES, -EINVAL.
 */
STOA_NODISCARD int stoa_segment_save(stoa_segment *seg, const char *name,
	unsigned flags, const stoa_segment_options *options);
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
/* Free spans to the system, while others work; those at its end shorten the heap.
 * Bytes, or < 0. 0 while somebody has it open read-only, who could be reading there. */
int64_t stoa_segment_trim(stoa_segment *seg);
/* All of a file segment that was written before the call is on its disk afterwards;
 * waits for the disk. It does not make the file one that can be opened after a crash
 * of the system: that takes closing it, or stoa_segment_save. 0 where there is no file. */
STOA_NODISCARD int stoa_segment_flush(stoa_segment *seg);
/* Undo what this thread left open by a longjmp, in every segment. */
void stoa_thread_recover(void);

/* Whole-segment verification, while others work; text on failure. -EBADMSG. */
STOA_NODISCARD int stoa_segment_check(stoa_segment *seg);
/* Blocks that no named object leads to, by the descriptions; 0 is healthy. Takes
 * the segment's lock for reading; exact when nobody writes under other locks, and
 * -EAGAIN where they do so all the time. -EBADMSG. */
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

typedef struct stoa_segment_need {
	uint64_t size, count; /* so many blocks of so many bytes */
} stoa_segment_need;
/*
 * How large must it be? Bytes of heap (.size, .limit) for all of these at once, the
 * library's own included, for a thread or two; *buffer, if not NULL: of a buffer,
 * in all. A hash map of n needs a block of about n * 8 / 7 slots, twice as many
 * while it grows. -EINVAL, -EOVERFLOW.
 */
STOA_NODISCARD int64_t stoa_segment_required(
	const stoa_segment_need *need, size_t n, uint64_t *buffer);

typedef enum stoa_segment_limit {
	STOA_LIMIT_NONE,        /* nothing was refused */
	STOA_LIMIT_SEGMENT,     /* its own .limit */
	STOA_LIMIT_BUFFER,      /* the buffer's length; its .limit would allow more */
	STOA_LIMIT_PIECES,      /* enough is free, but not in one piece */
	STOA_LIMIT_FILE_SYSTEM, /* tmpfs, disk or quota is full */
	STOA_LIMIT_FILE_SIZE,   /* RLIMIT_FSIZE of this process */
	STOA_LIMIT_MEMORY       /* the system, or its cgroup, has no memory */
} stoa_segment_limit;
typedef struct stoa_segment_shortage {
	stoa_segment_limit hit;
	int error;       /* as the system gave it, < 0; 0: none of its */
	uint64_t wanted; /* bytes, in one piece */
	uint64_t used;   /* bytes of heap that were not free then */
	uint64_t limit;  /* bytes of heap that it could have had */
} stoa_segment_shortage;
/* Why this thread's last allocation that was refused in seg was refused. */
void stoa_segment_last_shortage(
	const stoa_segment *seg, stoa_segment_shortage *ret);

/* Place the pages that it has now: huge pages, NUMA nodes, populated, locked
 * (stoa/place.h). Again after growth, for those that came. wish NULL: only tell.
 * -EINVAL, or for a must its errno. */
STOA_NODISCARD int stoa_segment_place(
	stoa_segment *seg, const stoa_placement *wish, stoa_placed *ret);

static inline void stoa_segment_cleanup_(stoa_segment **seg)
{
	*seg = stoa_segment_close(*seg);
}

STOA_END_DECLS
#endif
