/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Placement: huge pages, NUMA nodes, pages that are there before they are touched,
 * pages that stay in memory. For a region (region.h) or any mapping of one's own.
 *
 * A system may refuse each of them: what is wished for is done without, what is a
 * must is an error. Either way stoa_placed says what was obtained, by the kernel's
 * account and not by what a call promised.
 *
 * Synchronisation: any thread at any time, as long as the mapping stays.
 */
#ifndef STOA_PLACE_H
#define STOA_PLACE_H
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
STOA_BEGIN_DECLS

enum { /* stoa_placement.want and .must */
	STOA_PLACE_HUGE     = 1 << 0, /* huge pages */
	STOA_PLACE_NUMA     = 1 << 1, /* by .numa and .nodes */
	STOA_PLACE_POPULATE = 1 << 2, /* all pages now */
	STOA_PLACE_LOCK     = 1 << 3  /* never swapped out, until unmapped */
};

enum { /* stoa_placement.numa; as the kernel has them */
	STOA_NUMA_DEFAULT    = 0, /* the node of the thread that touches first; nodes: 0 */
	STOA_NUMA_PREFERRED  = 1, /* one node, others when it is full */
	STOA_NUMA_BIND       = 2, /* these nodes alone */
	STOA_NUMA_INTERLEAVE = 3, /* page by page over these nodes */
	STOA_NUMA_LOCAL      = 4  /* as the default, whatever the process's policy; nodes: 0 */
};

typedef struct stoa_placement {
	size_t   struct_size; /* filled by the macro */
	uint32_t want;        /* STOA_PLACE_*; done without if it cannot be */
	uint32_t must;        /* STOA_PLACE_*; an error if it cannot be */
	uint32_t numa;        /* STOA_NUMA_* */
	uint64_t nodes;       /* a bit each, the first 64 */
} stoa_placement;

/* What was obtained. Of each wish 0, or the negative errno that says why not. */
typedef struct stoa_placed {
	uint32_t got;       /* STOA_PLACE_* that are there */
	int      huge;      /* -EAGAIN: advised, and not one huge page so far */
	int      numa;      /* -EPERM: a filter (containers); -ENOSYS: no NUMA in this kernel */
	int      populate;
	int      lock;      /* -ENOMEM, -EPERM: RLIMIT_MEMLOCK */
	uint64_t page;      /* bytes of a page of the mapping; the largest */
	uint64_t size;      /* bytes looked at */
	uint64_t resident, in_huge, locked; /* of these, bytes; 0 without /proc */
	uint32_t policy;    /* STOA_NUMA_*, of the first page */
	uint64_t nodes;
} stoa_placed;

#ifndef __cplusplus
#define STOA_PLACEMENT(...) (&(const stoa_placement){ .struct_size = sizeof(stoa_placement), __VA_ARGS__ })
#endif

/*
 * stoa_place - place the pages of [at, at + size), which is mapped.
 *
 * Whole pages that hold the range. wish NULL: nothing is changed. ret, or NULL:
 * what there is afterwards, also after a failure.
 *
 * Blocks:  while pages are made.    Crash: the mapping's own; gone with it.
 * Owner:   -.
 * Cost:    a call of the system each; the report reads /proc/self/smaps (0.1 ms and more).
 * Returns: 0, -EINVAL (wish), or for a must its errno, with a text; -ENOSPC: no
 *          memory behind some page (a full disk, a file cut short).
 */
STOA_NODISCARD int stoa_place(void *at, size_t size, const stoa_placement *wish, stoa_placed *ret);
/* One line for a log: "2.0 MiB in pages of 4.0 KiB: resident 2.0 MiB, huge pages no (...)"; returns buf. */
const char *stoa_placed_text(const stoa_placed *placed, char *buf, size_t size);

STOA_END_DECLS
#endif
