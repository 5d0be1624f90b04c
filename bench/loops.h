/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is done with a heap, in a loop that is compiled once for each heap: see
 * blocks.h. Each worker, process or thread, has blocks of its own.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H
#include "blocks.h"
#include "trace.h"
#include <stdlib.h>

/* A row's param: what is done. */
enum {
	PAIR,       /* a block of BLOCK_SIZE is allocated and freed */
	PAIR_MIXED, /* of 16 to 1024 B */
	FIXED,      /* one of LIVE blocks is freed and allocated anew */
	MIXED,      /* the same, of 16 to 1024 B */
	LARGE,      /* one of LARGE_LIVE, of 64 KiB to 4 MiB */
	REPLAY      /* what another program did */
};

enum {
	LIVE = 100000,
	LARGE_LIVE = 64,
	LARGE_MIN = 64 << 10,
	LARGE_STEPS = 6 /* times that it may be twice as large */
};

static __thread uint64_t *live;
static __thread uint64_t random_state;
static __thread size_t replayed; /* events of the trace */

INLINE size_t
next_size(uintptr_t param, uint64_t random)
{
	if (param == LARGE) {
		const uint64_t least = (uint64_t)LARGE_MIN
				       << random % LARGE_STEPS;

		return least + (random >> 8) % least;
	}
	return param == MIXED || param == PAIR_MIXED ? 16 + random % 1009
						     : BLOCK_SIZE;
}

static inline size_t
live_count(uintptr_t param)
{
	if (param == REPLAY)
		return trace.slots;
	if (param == PAIR || param == PAIR_MIXED)
		return 0;
	return param == LARGE ? LARGE_LIVE : LIVE;
}

INLINE bool
pair_loop(const struct heap *h, uintptr_t param, uint64_t count)
{
	uint64_t state = random_state;

	for (; count > 0; count--) {
		const size_t size =
			param == PAIR ? BLOCK_SIZE
				      : next_size(param,
						measure_random(&state) >> 32);
		uint64_t block = h->alloc(size);

		if (!block || !h->free(block))
			return measure_failed("alloc or free");
	}
	random_state = state;
	return true;
}

INLINE bool
replace_loop(const struct heap *h, uintptr_t param, uint64_t count)
{
	const size_t many = live_count(param);
	uint64_t state = random_state;

	for (; count > 0; count--) {
		uint64_t random = measure_random(&state);
		uint64_t *at = &live[(random >> 32) * many >> 32];

		if (!h->free(*at))
			return measure_failed("free");
		*at = h->alloc(next_size(param, random & 0xffffffff));
		if (!*at)
			return measure_failed("alloc");
	}
	random_state = state;
	return true;
}

INLINE bool
replay_loop(const struct heap *h, uint64_t count)
{
	size_t at = replayed;

	for (; count > 0; count--) {
		const struct trace_event *e = &trace.event[at];

		if (++at == trace.events)
			at = 0;
		if (e->size == 0) {
			if (!h->free(live[e->slot]))
				return measure_failed("free");
			live[e->slot] = 0;
			continue;
		}
		live[e->slot] = h->alloc(e->size);
		if (!live[e->slot])
			return measure_failed("alloc");
	}
	replayed = at;
	return true;
}

INLINE bool
heap_loop(const struct heap *h, uintptr_t param, uint64_t count)
{
	switch (param) {
	case PAIR:
		return pair_loop(h, PAIR, count);
	case PAIR_MIXED:
		return pair_loop(h, PAIR_MIXED, count);
	case FIXED:
		return replace_loop(h, FIXED, count);
	case MIXED:
		return replace_loop(h, MIXED, count);
	case LARGE:
		return replace_loop(h, LARGE, count);
	default:
		return replay_loop(h, count);
	}
}

static inline bool
live_make(const struct heap *h, const struct measure_row *row, int role)
{
	const size_t many = live_count(row->param);

	random_state = (uint64_t)role + 1;
	if (many == 0)
		return true;
	live = calloc(many, sizeof *live);
	for (size_t i = 0; live && row->param != REPLAY && i < many; i++) {
		uint64_t random = measure_random(&random_state);

		live[i] = h->alloc(next_size(row->param, random & 0xffffffff));
		if (!live[i])
			return measure_failed("alloc");
	}
	return live != NULL;
}

static inline void
live_free(const struct heap *h, const struct measure_row *row)
{
	for (size_t i = 0; live && !h->dies && i < live_count(row->param); i++)
		if (live[i])
			(void)h->free(live[i]);
	free(live);
	live = NULL;
}

#endif
