/* SPDX-License-Identifier: BSL-1.0 */
/* Walks over described values, with every hook. See visit.c. */
#ifndef STOAI_OBJECT_VISIT_H
#define STOAI_OBJECT_VISIT_H
#include "object/object.h"

/* A set of offsets, local. Zero bytes are an empty one. */
struct stoai_offsets {
	uint64_t *slot;
	size_t count, room; /* room: a power of two */
};

enum stoai_offsets_result {
	STOAI_OFFSETS_NEW,
	STOAI_OFFSETS_OLD,
	STOAI_OFFSETS_NOMEM
};
enum stoai_offsets_result
stoai_offsets_add(struct stoai_offsets *s, uint64_t off);
void stoai_offsets_fini(struct stoai_offsets *s);

enum stoai_walk_on {
	STOAI_WALK_STOP,
	STOAI_WALK_SKIP,
	STOAI_WALK_INTO
};

struct stoai_walk {
	const stoa_tx *rd;
	/* all optional; false: stop */
	/* whose: what owns it, a container or the object itself; need: bytes of it
	   that are used, 0: not known */
	bool (*block)(void *user, uint64_t off, const stoa_type *whose,
		uint64_t need);
	/* a value inside an owned block, before it is walked */
	enum stoai_walk_on (*value)(
		void *user, const stoa_type *type, const void *p);
	/* a container or string, before what it owns is visited */
	bool (*container)(void *user, const stoa_type *type, const void *p);
	void *user;
	/* every block so far; the caller's, so that several walks share it */
	struct stoai_offsets *seen;
};

/* A value where its type may lie; false: damaged, rd has failed. */
bool
stoai_value_aligned(const stoa_tx *rd, const stoa_type *type, const void *p);
/* The value at p and all that it owns; false: stopped, or rd has failed. */
bool
stoai_walk(const struct stoai_walk *w, const stoa_type *type, const void *p);

#endif
