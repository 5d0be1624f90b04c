/* SPDX-License-Identifier: BSL-1.0 */
/* Every block that shared data owns, and which of its data. See leak.c. */
#ifndef STOAI_OBJECT_LEAK_H
#define STOAI_OBJECT_LEAK_H
#include "object/visit.h"

struct stoai_blocks {
	const stoa_tx *rd;
	struct stoai_offsets seen; /* by the walks: who owns what twice */
	size_t count, room, owned;
	struct {
		uint64_t off, size;
		uint64_t need; /* bytes of it that are used; 0: not known */
		const stoa_type *whose; /* owned, NULL: the library's own */
		bool owned;
	} * list; /* in order of addresses */
};

typedef int64_t (*stoai_blocks_reader)(
	const struct stoai_blocks *b, void *user);
/*
 * f, inside a scope, on the list in which all that is reachable is struck off; any number
 * of times if others come between. Returns what it did, or why there is no list.
 */
int64_t stoai_blocks_read(stoa_segment *seg, stoai_blocks_reader f, void *user);

#endif
