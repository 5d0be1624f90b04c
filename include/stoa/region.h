/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Regions: a mapping without anything managed in it. Fresh bytes are zero.
 *
 *	STOA_CLEANUP(stoa_region) r = NULL;
 *	rc = stoa_region_open("frames", STOA_CREATE, STOA_REGION_OPTIONS(.size = 1 << 20), &r);
 *	memset(stoa_region_data(r), 1, stoa_region_size(r));
 *
 *	what                               name         flags        options
 *	named shared memory                its name     -            directory, domain
 *	a file                             its path     STOA_FILE
 *	an object of shm_open(3)           "/name"      STOA_POSIX
 *	XSI (System V), key of a path      the path     STOA_XSI     xsi_project
 *	XSI, by key                        NULL         STOA_XSI     xsi_key
 *	XSI, private (new)                 NULL         STOA_XSI | STOA_CREATE
 *	XSI, by shmid                      NULL         STOA_XSI     xsi_id
 *	memfd (new, no name)               NULL         STOA_CREATE  seal
 *	a descriptor: memfd, file, device  NULL         -            fd
 *	anonymous, for fork                NULL         STOA_LOCAL | STOA_CREATE
 *	the caller's own                   NULL         -            backing, user
 *
 *	mode                   flags                          writes go
 *	read-write             -                              to the backing
 *	read-only              STOA_RDONLY                    nowhere: a fault
 *	copy-on-write          STOA_PRIVATE                   to this process alone
 *	private read-only      STOA_PRIVATE | STOA_RDONLY     nowhere: a fault
 *
 * Guarantees: what stoa_region_open makes is whole before it has a name, and its
 * pages are reserved: a full disk is -ENOSPC and never SIGBUS. A process killed at
 * any system call leaves nothing visible that is not whole. No mapping is ever
 * replaced. The region outlives its backing's name, its descriptor, and other
 * regions of the same backing.
 *
 * Synchronisation: calls for one region that change it (resize, follow, shrink,
 * close) exclude all others for it; the rest may be made by any thread at any time.
 *
 * Caveats: bytes that another process cuts off the backing are SIGBUS here; a memfd
 * with STOA_SEAL_SHRINK cannot be cut. Holes of files that others made are not
 * reserved: stoa_region_prefault. No pointer into a region means anything to
 * another process: stoa/ptr.h.
 */
#ifndef STOA_REGION_H
#define STOA_REGION_H
#include <stdbool.h>
#include <stoa/place.h>
#include <stoa/segment.h>
STOA_BEGIN_DECLS

typedef struct stoa_region stoa_region; /* local, opaque */

enum {
	STOA_UNRESTRICTED = 0666 /* options.mode: whoever reaches the name may read and write */
};

enum { /* options.seal, stoa_region_seal: what nobody can do from now on; of a memfd */
	STOA_SEAL_SEAL         = 1 << 0, /* add more seals */
	STOA_SEAL_SHRINK       = 1 << 1,
	STOA_SEAL_GROW         = 1 << 2,
	STOA_SEAL_WRITE        = 1 << 3, /* while nobody has a writable mapping */
	STOA_SEAL_FUTURE_WRITE = 1 << 4  /* write, but by mappings that are there: receivers only read */
};

/* What a backing of the caller's own is asked to map. */
typedef struct stoa_region_want {
	uint64_t offset;    /* of the backing; a page boundary. Before a resize also past its end */
	size_t   size;      /* whole pages */
	void    *address;   /* NULL, or there and nowhere else: -EEXIST; replaces nothing */
	unsigned flags;     /* STOA_RDONLY, STOA_PRIVATE */
	int      map_flags; /* of the options */
} stoa_region_want;

/* A backing of the caller's own: a device, memory of another library. Each function
 * returns 0 or a negative errno. NULL where it has no such thing (-ENOTSUP). */
typedef struct stoa_region_backing {
	size_t struct_size; /* sizeof(stoa_region_backing) */
	int  (*size)(void *user, uint64_t *ret);                                  /* must */
	int  (*map)(void *user, const stoa_region_want *want, void **ret);        /* must */
	int  (*unmap)(void *user, void *at, size_t size);                         /* must */
	int  (*resize)(void *user, uint64_t size);                                /* memory for all of it, or an error */
	int  (*flush)(void *user, void *at, size_t size, uint64_t offset, bool wait);
	int  (*descriptor)(void *user);                                           /* or -1 */
	void (*close)(void *user);                                                /* the last call, at stoa_region_close */
	size_t page;        /* mapped in units of; 0: the system's */
	bool   whole;       /* mapped and unmapped as a whole alone */
} stoa_region_backing;

typedef struct stoa_region_options {
	size_t   struct_size;  /* filled by the macro */
	uint64_t size;         /* bytes mapped; 0: to the end. With STOA_CREATE: needed; the
	                          backing gets offset + size */
	uint64_t offset;       /* of the first byte, any */
	uint32_t mode;         /* when it is made; 0: 0600; exact, whatever the umask */
	int      fd;           /* > 0: this descriptor's memory; it stays yours */
	void    *address;      /* where the first byte has to be; NULL: anywhere. -EBUSY */
	int      map_flags;    /* more of mmap(2)'s, as MAP_POPULATE */
	uint32_t seal;         /* STOA_SEAL_*, once it is mapped */
	uint32_t owner, group; /* as for segments: STOA_ID(uid), STOA_ID(gid), STOA_ANYBODY */
	int32_t  xsi_key;      /* key_t; 0 is IPC_PRIVATE */
	int32_t  xsi_id;       /* shmid */
	int      xsi_project;  /* with a path, as in ftok(3): 1 to 255; 0: 1 */
	const char *directory; /* of names, as for segments */
	const char *domain;
	const stoa_region_backing *backing; /* copied */
	void    *user;         /* its argument, and fill's */
	int    (*fill)(void *data, size_t size, void *user); /* when it is made: its content, before
	                          anybody can see it; an error: it is not made. Not for XSI */
	const stoa_placement *placement;
	stoa_placed *placed;   /* filled: what was obtained */
} stoa_region_options;

#ifndef __cplusplus
#define STOA_REGION_OPTIONS(...) \
	(&(const stoa_region_options){ .struct_size = sizeof(stoa_region_options), __VA_ARGS__ })
#else
static inline stoa_region_options stoa_region_options_init(void)
{
	stoa_region_options o = stoa_region_options();
	o.struct_size = sizeof o;
	return o;
}
#endif

/*
 * stoa_region_open - map, or with STOA_CREATE make and map, a region.
 *
 * STOA_CREATE alone opens what is there already; with STOA_EXCL it must not be.
 * Each call is a mapping of its own, also of a backing that is mapped already.
 *
 * Blocks:  no (placement: while pages are made).
 * Crash:   what has a name is whole. Private XSI memory has no name: its maker,
 *          killed before it returns, leaves it to ipcrm(1).
 * Owner:   close every region you opened; *ret is untouched on failure.
 * Cost:    3 to 10 system calls, and the reserving of pages.
 * Returns: 0, -ENOENT, -EEXIST, -EINVAL (name, options, outside the backing, or it is
 *          empty), -EPERM (other owner, seals), -EACCES, -ENOSPC, -ENOMEM (address
 *          space), -EBUSY (the address is taken), -EPROTO (a fifo, a directory),
 *          -ENOTSUP (this kind cannot), -EMFILE.
 */
STOA_NODISCARD int stoa_region_open(const char *name, unsigned flags,
	const stoa_region_options *options, stoa_region **ret);
/* NULL is fine; returns NULL. What has a name stays. */
stoa_region *stoa_region_close(stoa_region *r);
/* The name is gone at once; who has it mapped keeps it. XSI: by path, key or id, as
 * stoa_region_open. -ENOENT. options: directory, domain, xsi_*, or NULL. */
int stoa_region_unlink(const char *name, unsigned flags, const stoa_region_options *options);

void    *stoa_region_data(const stoa_region *r);   /* NULL: nothing is mapped any more */
size_t   stoa_region_size(const stoa_region *r);
uint64_t stoa_region_offset(const stoa_region *r); /* of its first byte in the backing */
unsigned stoa_region_flags(const stoa_region *r);  /* as it was opened */
const char *stoa_region_name(const stoa_region *r); /* as given; NULL: none */
uint32_t stoa_region_mode(const stoa_region *r);   /* permissions, as they are now; 0: none */
int      stoa_region_fd(const stoa_region *r);     /* close-on-exec; stays ours; -1: none */
int      stoa_region_xsi_id(const stoa_region *r); /* shmid; -1: not XSI */
size_t   stoa_region_page(const stoa_region *r);   /* bytes of its pages; NULL: of the system */
/* The backing's size now. */
STOA_NODISCARD int stoa_region_backing_size(const stoa_region *r, uint64_t *ret);

/*
 * stoa_region_resize - the backing ends where offset + size is, and the region with it.
 *
 * Growing reserves pages, and does not shrink what another process has grown
 * meanwhile up to there. The data stays where it is if it can, else it moves: ask
 * stoa_region_data again. Advice, placement and locks do not extend to what is new.
 *
 * Blocks:  no.     Crash: old or new size, and the old bytes, and zeros.
 * Owner:   -.      Cost: 2 or 3 system calls, and the reserving.
 * Returns: 0, -EINVAL (size 0), -ENOSPC, -EFBIG, -ENOMEM, -EROFS (mapped read-only or
 *          private), -EPERM (sealed), -ENOTSUP (XSI, anonymous). On failure all is as it was.
 */
STOA_NODISCARD int stoa_region_resize(stoa_region *r, uint64_t size);
/* The mapping follows what others made of the backing's size: to its end. */
STOA_NODISCARD int stoa_region_follow(stoa_region *r);
/* Gives back `bytes` of the mapping, from its end or its front; the backing stays as it
 * is, and so does the address of what is left. All of it: nothing is mapped. */
STOA_NODISCARD int stoa_region_shrink_back(stoa_region *r, size_t bytes);
STOA_NODISCARD int stoa_region_shrink_front(stoa_region *r, size_t bytes);

/* Any bytes of it, on disk when it returns; size 0: to the end. -EIO: what the disk said. */
STOA_NODISCARD int stoa_region_flush(stoa_region *r, size_t offset, size_t size);
/* As above, but only begins it. */
STOA_NODISCARD int stoa_region_flush_start(stoa_region *r, size_t offset, size_t size);

enum stoa_advice {
	STOA_ADVICE_NORMAL,
	STOA_ADVICE_SEQUENTIAL,
	STOA_ADVICE_RANDOM,
	STOA_ADVICE_WILLNEED,
	STOA_ADVICE_DONTNEED, /* never loses what was written */
	STOA_ADVICE_DUMP,     /* into core files; regions are not, otherwise */
	STOA_ADVICE_NODUMP
};
/* Of whole pages that hold the bytes; size 0: to the end. */
STOA_NODISCARD int stoa_region_advise(stoa_region *r, size_t offset, size_t size, enum stoa_advice advice);
/* All pages now: -ENOSPC instead of a signal later. */
STOA_NODISCARD int stoa_region_prefault(stoa_region *r, size_t offset, size_t size);
/* Not swapped out until unlocked or closed. -ENOMEM, -EPERM: RLIMIT_MEMLOCK. */
STOA_NODISCARD int stoa_region_lock(stoa_region *r, size_t offset, size_t size);
STOA_NODISCARD int stoa_region_unlock(stoa_region *r, size_t offset, size_t size);
/* STOA_SEAL_*: for ever, for everybody. -EINVAL: no memfd; -EBUSY: STOA_SEAL_WRITE with a writable mapping. */
STOA_NODISCARD int stoa_region_seal(stoa_region *r, uint32_t seals);

/* A new descriptor of the region's memory, yours to pass on and to close. STOA_RDONLY:
 * nobody can map it writable. >= 0, -ENOTSUP (no descriptor, no /proc). */
STOA_NODISCARD int stoa_region_export(const stoa_region *r, unsigned flags);
/* A descriptor through a connected unix socket; yours stays yours. -EPIPE: nobody there. */
STOA_NODISCARD int stoa_fd_send(int socket, int fd);
/* The next one: >= 0, close-on-exec, yours. Waits as the socket does. -ENODATA: the other
 * side has closed; -EBADMSG: a message without a descriptor; -EAGAIN. */
STOA_NODISCARD int stoa_fd_receive(int socket);

/* Removes a name at the end of its block: STOA_REGION_UNLINK(guard, "frames", 0); */
typedef struct stoa_region_guard {
	const char *name; /* NULL: not any more */
	unsigned flags;
} stoa_region_guard;
#define STOA_REGION_UNLINK(guard, name, flags) \
	stoa_region_guard guard STOA_UNUSED_ STOA_ON_LEAVE_(stoa_region_guard_cleanup_) = { (name), (flags) }

static inline void stoa_region_guard_cleanup_(stoa_region_guard *guard)
{
	if (guard->name)
		(void)stoa_region_unlink(guard->name, guard->flags, NULL);
}

static inline void stoa_region_cleanup_(stoa_region **r)
{
	*r = stoa_region_close(*r);
}

STOA_END_DECLS
#endif
