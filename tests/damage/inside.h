/* SPDX-License-Identifier: BSL-1.0 */
/* The inside of a seed's bytes, which are sound; and places.c for seeds.c. */
#ifndef TESTS_DAMAGE_INSIDE_H
#define TESTS_DAMAGE_INSIDE_H
#include "damage.h"
#include "segment/seat.h"

static inline struct stoai_header *
seed_header(const struct seed *s)
{
	return (struct stoai_header *)(void *)s->bytes;
}

static inline struct stoai_slot *
seed_slot(const struct seed *s, uint32_t i)
{
	return (struct stoai_slot *)(void *)(s->bytes +
					     seed_header(s)->slots_off) +
	       i;
}

static inline struct stoai_lane *
seed_lane(const struct seed *s, uint32_t i)
{
	const struct stoai_header *h = seed_header(s);

	return (struct stoai_lane *)(void *)(s->bytes + h->lanes_off +
					     (uint64_t)i * h->lane_stride);
}

static inline uint32_t *
seed_token(const struct seed *s, uint32_t i)
{
	return (uint32_t *)(void *)((char *)seed_lane(s, i) +
				    seed_header(s)->lane_stride -
				    STOAI_TOKEN_FROM_END);
}

/* What lies in the heap of a segment that is sound and open, size set. */
bool places_of_heap(struct seed *s, stoa_segment *seg);
/* The rest, from the bytes; then no more. */
void places_finish(struct seed *s);

#endif
