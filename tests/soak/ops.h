/* SPDX-License-Identifier: BSL-1.0 */
/* What a worker may do at random, and with which errors it may end. */
#ifndef TESTS_SOAK_OPS_H
#define TESTS_SOAK_OPS_H
#include "world.h"

enum {
	WORLD_OPS = 24,
	BLOCK_OPS = 6,
	OPS = WORLD_OPS + BLOCK_OPS
};

enum { /* what a season is about */
	WORLD = 1 << 0,
	BLOCKS = 1 << 1
};

/* One thread of a worker. */
struct actor {
	stoa_segment *seg;
	const world *w;
	uint64_t random;
	int owns; /* index + 1 into world.owner */
};

struct op {
	const char *name;
	int (*run)(struct actor *me);
	uint32_t weight;
	bool grows; /* or trims: memory comes from the system and goes to it */
	bool detaches; /* afterwards the thread may have another slot, or none */
	uint32_t about;
};

/* The i-th of all. */
const struct op *op_at(uint32_t i);
extern const struct op block_ops[BLOCK_OPS]; /* blocks.c */

/* The next random number of this sequence (splitmix64). */
static inline uint64_t
next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t
below(struct actor *me, uint32_t n)
{
	return (uint32_t)(next_random(&me->random) >> 33) % n;
}

/* Now and then a transaction changes its mind, after everything is changed. */
static inline bool
changes_its_mind(struct actor *me)
{
	return below(me, 8) == 0;
}

static inline int
end_tx(struct actor *me, stoa_tx *tx)
{
	return changes_its_mind(me) ? stoa_tx_fail(tx, -ECANCELED)
				    : stoa_tx_commit(tx);
}

/* For op_at; one that the season is about. */
uint32_t choose_op(struct actor *me);
/* What an operation may end with though nothing is wrong. */
bool is_expected(int rc);

#endif
