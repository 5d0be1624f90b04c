/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A heap class as a program writes one: first fit, a list by addresses, neighbours
 * joined. The link of a free block lies in its own bytes, so it is saved before the
 * block is given away. With own_heap_mistake it does one thing wrong.
 */
#ifndef TESTS_HARNESS_OWN_HEAP_H
#define TESTS_HARNESS_OWN_HEAP_H
#include "stoa/heap.h"

enum own_heap_mistake {
	OWN_HEAP_RIGHT,
	OWN_HEAP_LINK_UNSAVED, /* the link of a block that is given away */
	OWN_HEAP_CAST,         /* changes its state by plain stores */
	OWN_HEAP_TWICE,        /* a block stays free when it is given away */
	OWN_HEAP_SHORT,        /* gives less than it was asked for */
	OWN_HEAP_LONG,         /* says that more may be used than there is */
	OWN_HEAP_CROOKED,      /* does not align */
	OWN_HEAP_OUTSIDE,      /* gives memory that it was not given */
	OWN_HEAP_LOST,         /* forgets what is freed */
	OWN_HEAP_NESTED,       /* allocates where it allocates */
	OWN_HEAP_CHECK         /* its check finds something */
};
extern enum own_heap_mistake own_heap_mistake;

typedef struct own_heap_state {
	uint64_t first, unused;
} own_heap_state;
STOA_TYPE(own_heap_state, first, unused);

extern const stoa_heap_class own_heap;

#endif
