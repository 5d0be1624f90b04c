/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a scope has just found, for code that is inlined into the program: the
 * first bytes of a stoa_tx. Not API.
 *
 * A body may go on with what stands here without a call while
 *
 *	thread is the calling thread   the scope is its own, and open;
 *	map or vec is what it is about, and the words of that container say still
 *	what they said: so the library need not think of this when it changes one.
 *
 * The library alone fills and empties it: filled for the innermost scope of a
 * writable mapping that has not failed; emptied when the scope fails, waits, ends,
 * or another one begins inside it. It lies in memory that a fork child finds zero.
 */
#ifndef STOA_DETAIL_VIEW_H
#define STOA_DETAIL_VIEW_H
#include <stdint.h>
#include <stoa/attr.h>
STOA_BEGIN_DECLS

typedef struct stoa_view_ {
	const void          *thread; /* NULL: nothing may be believed */
	const void          *map;
	const unsigned char *table;
	uint64_t             word;   /* the map's table_ */
	const void          *shape;  /* the library's own */
	uint64_t             mask, stride; /* of its groups */
	uint64_t             fresh;  /* made in this scope: needs no undo record */
	uint64_t             room;   /* slots to be taken; only in a transaction that
	                                has saved the map's counts */
	const void          *vec;    /* likewise: its count is saved, its end is dead */
	unsigned char       *first, *next, *end;
	uint64_t             data;   /* the vector's data_ */
} stoa_view_;

static inline __attribute__((always_inline, unused)) const void *stoa_thread_self_(void)
{
#ifdef __x86_64__
	const void *self;

	__asm__("movq %%fs:0, %0" : "=r"(self));
	return self;
#else
	return __builtin_thread_pointer();
#endif
}

STOA_END_DECLS
#endif
