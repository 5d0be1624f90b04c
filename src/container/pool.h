/* SPDX-License-Identifier: BSL-1.0 */
/* What the files of pools and arenas call of each other. */
#ifndef STOAI_CONTAINER_POOL_H
#define STOAI_CONTAINER_POOL_H
#include "container/container.h"
#include "stoa/pool.h"

enum {
	STOAI_NODE_MAX = 1 << 24 /* bytes of a node */
};

/* Which transaction of which thread: the same for a savepoint in it. */
static inline uint64_t
stoai_pool_tag(const struct stoa_tx *tx)
{
	const struct stoa_tx *top = tx;

	while (top->outer)
		top = top->outer;
	return (uint64_t)tx->seat->word << 32 | (uint32_t)top->serial;
}

/* Has this scope saved what begins at off already, by the one who always saves it? */
static inline bool
stoai_pool_saved(const struct stoa_tx *tx, uint64_t off)
{
	const struct stoai_saved *s = stoai_saved_at(tx, off);

	return s->off == off && s->serial == tx->serial;
}

/* One word of shared memory, saved and changed. */
static inline bool
stoai_pool_set(stoa_tx *tx, const uint64_t *at, uint64_t value)
{
	if (stoai_unlikely(!stoai_tx_save(tx, at, sizeof *at)))
		return false;
	a64_store_relaxed(stoai_mutable(at), value);
	return true;
}

/* Options, checked, as they are stored. False: tx has failed. */
bool stoai_pool_resolve(
	const stoa_pool_options *options, stoa_pool *ret, int *error);
/* A node, or NULL: failed. grow false, and no block has room: NULL, *ret_dry. */
void *
stoai_pool_take(stoa_tx *tx, const stoa_pool *pool, bool grow, bool *ret_dry);
/* The node at p, in use. False: it is none; tx has failed with a text. */
bool stoai_pool_owns(stoa_tx *tx, const stoa_pool *pool, const void *p);

#endif
