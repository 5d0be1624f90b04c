/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The stage on which damaged segments are played: a clock of its own, nothing
 * random, and nothing mapped on either side of the segment. See stage.c.
 */
#ifndef TESTS_DAMAGE_STAGE_H
#define TESTS_DAMAGE_STAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STAGE_STUCK = 77, /* the process's end when a step waits for ever */
	STAGE_MEMORY = 78 /* ... when it maps absurdly much */
};

/* Reserves the guarded address space; once a process. */
void stage_make(void);
/* `size` bytes that end where nothing is mapped, zeroed; until the next one. */
void *stage_buffer(size_t size);
/* Random bytes are a fixed sequence from here on. */
void stage_random(uint64_t seed);

/* From here on waiting takes no time: the clock goes on instead. */
void stage_begin(void);
void stage_end(void);
/* What is done now; the patience begins anew. */
void stage_step(const char *doing);
const char *stage_doing(void);
/* abort() instead of an exit code: for fuzzers. */
void stage_aborts(void);

#endif
