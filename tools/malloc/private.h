/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The process's own heap, and the calling thread's seat in it. See private.c.
 *
 *	struct stoai_seat *seat = private_self.seat;      the usual way: no call
 *	seat = private_enter();                           any other way
 *	...
 *	private_leave(seat);
 */
#ifndef TOOLS_MALLOC_PRIVATE_H
#define TOOLS_MALLOC_PRIVATE_H
#include "heap/heap.h"

struct private_self {
	/* attached, and nobody of this thread is inside; NULL: private_enter */
	struct stoai_seat *seat;
	struct stoai_seat *kept; /* the same, also while it is inside */
	bool inside;             /* between enter and leave */
	bool leaving; /* the thread ends: the shared seat from now on */
};

extern STOAI_THREAD struct private_self private_self;
extern stoa_segment *private_segment; /* NULL: not yet open */

/*
 * A seat that is the caller's until he leaves. NULL: there is none for him, since he
 * was called by what he called, or is too early, or no memory can be had; errno is
 * ENOMEM then. errno is kept by enter and leave together.
 */
struct stoai_seat *private_enter(void);
void private_leave(struct stoai_seat *seat);

struct private_counts {
	uint64_t entered; /* calls that were not made on the usual way */
	uint64_t shared;  /* ... on the shared seat */
};
void private_count(struct private_counts *ret);
/* Says what is wrong, without stdio, and aborts. */
_Noreturn void private_abort(const char *what);
/* Is the environment's word set and not 0? */
bool private_wished(const char *name);

#endif
