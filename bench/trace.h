/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a real program allocated and freed, in its order: bench/python.trace, as
 * bench/record/record.c wrote it down. Allocations are numbered; the file is one
 * number an event, 7 bits a byte, the lowest first, the last byte without bit 7:
 *
 *	size * 2        so many bytes are allocated
 *	ago * 2 + 1     the block is freed that was allocated `ago` allocations before
 *	                the last one
 *
 * All is freed at the end, so it can be played again.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_event {
	uint32_t size; /* 0: it is freed */
	uint32_t slot; /* the place where the player has the block meanwhile */
};

struct trace {
	struct trace_event *event;
	size_t events;
	size_t slots; /* as many as blocks lived at once */
};

extern struct trace trace;

bool trace_load(void); /* again: nothing; false: told */

#endif
