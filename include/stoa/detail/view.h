/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a scope has just found, for code that is inlined into the program: the
 * first bytes of a stoa_tx. Not API.
 *
 * A body may go on with what stands here without a call while
 *
 *	map or vec is the key of what it is about and of the calling thread: so the
 *	scope is its own, and open;
 *	map_type or vec_type is the description that the body was made for: damage
 *	can make one address of two containers; and
 *	the words of that container say still what they said: so the library need
 *	not think of this when it changes one. A vector's count may be another:
 *	whatever lies behind its end is dead, or saved by who made it shorter.
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
	uintptr_t            map;    /* stoa_view_key_; 0: nothing may be believed */
	const void          *map_type;
	const unsigned char *table;
	uint64_t             word;   /* the map's table_ */
	const void          *shape;  /* the library's own */
	uint64_t             mask, stride; /* of its groups */
	uint64_t             fresh;  /* made in this scope: needs no undo record */
	uint64_t             room;   /* slots to be taken; only in a transaction that
	                                has saved the map's counts */
	uintptr_t            vec;    /* likewise: its count is saved, its end is dead */
	const void          *vec_type;
	unsigned char       *first;
	uint64_t             data, capacity; /* the vector's words */
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

/*
 * Two comparisons in one. Never 0: no container lies where a thread's own words do.
 * Another thread's scope and another container can have the same key, but then the
 * container's words are not those that stand here.
 */
static inline __attribute__((always_inline, unused)) uintptr_t stoa_view_key_(const void *container)
{
	return (uintptr_t)container ^ (uintptr_t)stoa_thread_self_();
}

STOA_END_DECLS
#endif
