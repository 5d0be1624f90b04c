/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The shared words of counting who waits for what: one block, made on request, which
 * the root leads to (object/format.h) and header.contention says where it is.
 *
 *	head | others | rows, found by hash | since: a word for each held word of each lane
 *
 * All of it is for people. Nothing is decided by it, so it may be wrong: a death
 * between two additions leaves one of them out, and no more.
 */
#ifndef STOAI_SYNC_FORMAT_H
#define STOAI_SYNC_FORMAT_H
#include <stdint.h>
#include "stoa/attr.h"

#define STOAI_CONTENTION_MAGIC UINT64_C(0x676e69746e756f63)

enum {
	STOAI_CONTENTION_ROWS = 256, /* if nobody says how many */
	STOAI_CONTENTION_ROWS_MAX = 65536,
	STOAI_CONTENTION_PROBES = 64 /* rows that one place may stand in */
};

/* A line each: who waits for one place does not slow others down. */
struct stoai_contention_row {
	uint64_t off; /* of the lock, event, ...; 0: nobody's yet. One CAS */
	uint64_t waits, waited_ns;
	uint64_t longest_ns;
	uint64_t last_ns; /* realtime */
	uint64_t pad[3];
};

struct stoai_contention_table {
	uint64_t magic; /* ^ its own offset: nobody counts elsewhere */
	uint64_t rows;
	uint64_t pad[6];
	struct stoai_contention_row others; /* of which there is no row */
	struct stoai_contention_row row[];
	/* uint64_t since[slots][STOAI_HELD_MAX]: monotonic; 0: not known */
};

STOA_STATIC_ASSERT(sizeof(struct stoai_contention_row) == 64, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_contention_table) == 128, "");

#endif
