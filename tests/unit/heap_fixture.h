/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A segment made by hand for tests of the heap: header, slots and lanes are laid
 * out as usual, but nothing attaches; seats are made and killed at will, all in
 * this thread. The memory is private, or a memfd.
 */
#ifndef STOA_TESTS_HEAP_FIXTURE_H
#define STOA_TESTS_HEAP_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/span.h"
#include "os/os.h"
#include "region/backing.h"
#include "segment/geometry.h"
#include "segment/log.h"
#include "segment/open.h"
#include "stoa/time.h"
#include "sync/lock.h"

enum {
	FIXTURE_SEATS = 4
};

struct heap_fixture {
	stoa_segment seg;
	struct stoai_self self;
	struct stoai_seat seat[FIXTURE_SEATS];
	struct stoai_cache cache[FIXTURE_SEATS];
};

/* The calling thread is that seat's from now on. */
static inline struct stoai_seat *
fixture_as(struct heap_fixture *f, uint32_t seat)
{
	f->self.seat[f->seg.id] = &f->seat[seat];
	stoai_self = &f->self;
	return &f->seat[seat];
}

static inline void
fixture_attach(struct heap_fixture *f, uint32_t index)
{
	struct stoai_seat *seat = &f->seat[index];

	memset(seat, 0, sizeof *seat);
	memset(&f->cache[index], 0, sizeof f->cache[index]);
	seat->seg = &f->seg;
	seat->slot = stoai_slot_at(&f->seg, index);
	seat->lane = stoai_lane_at(&f->seg, index);
	seat->index = index;
	seat->slot->state = STOAI_SLOT_LIVE;
	seat->word = stoai_lock_word(index, seat->slot->generation);
	seat->lane->cursor = stoai_log_start(&f->seg, index);
	seat->heap = &f->cache[index];
	stoai_heap_seat_begin(seat);
}

/* size, limit of the heap; memfd or private memory */
static inline struct heap_fixture *
fixture_open(uint64_t size, uint64_t limit, bool memfd)
{
	struct heap_fixture *f = calloc(1, sizeof *f);
	struct stoai_wish wish = {
		.size = size, .limit = limit, .shared = memfd};
	struct stoai_header h = {0};
	void *base = NULL;

	assert_non_null(f);
	assert_int_equal(stoai_geometry(&wish, &h), 0);
	f->seg.fd = -1;
	(void)snprintf(f->seg.name, sizeof f->seg.name, "fixture");
	pthread_mutex_init(&f->seg.claims, NULL);
	if (memfd) {
		f->seg.fd = stoai_os_memfd("fixture");
		assert_true(f->seg.fd >= 0);
		assert_int_equal(
			stoai_os_allocate(f->seg.fd, 0, h.table_off), 0);
		assert_int_equal(
			stoai_os_map(f->seg.fd, 0, h.reserve,
				STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &base),
			0);
	} else {
		f->seg.backing = STOAI_BACKING_LOCAL;
		assert_int_equal(
			stoai_os_map_private(h.reserve,
				STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &base),
			0);
	}
	memcpy(base, &h, sizeof h);
	stoai_segment_take_geometry(&f->seg, base, &h);
	assert_int_equal(stoai_heap_format(&f->seg, size), 0);
	for (uint32_t i = 0; i < FIXTURE_SEATS; i++)
		fixture_attach(f, i);
	(void)fixture_as(f, 0);
	return f;
}

static inline void
fixture_close(struct heap_fixture *f)
{
	stoai_self = NULL;
	stoai_os_unmap(f->seg.base, f->seg.size);
	if (f->seg.fd >= 0)
		(void)stoai_os_close(f->seg.fd);
	pthread_mutex_destroy(&f->seg.claims);
	free(f);
}

/* Every invariant is true, or the test at that line fails. */
static inline void
fixture_check(struct heap_fixture *f, int line)
{
	if (stoai_heap_check(&f->seg))
		fail_msg("line %d: %s", line, stoa_error_text());
}

/* Teardown: an invariant that is broken fails the test. */
static inline int
fixture_end(struct heap_fixture **f)
{
	int rc = stoai_heap_check(&(*f)->seg);

	if (rc)
		print_error("%s\n", stoa_error_text());
	fixture_close(*f);
	*f = NULL;
	return rc;
}

/* What recovery does for a dead slot, beside its locks; then the slot is free. */
static inline void
fixture_recover(struct heap_fixture *f, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(&f->seg, index);

	assert_int_equal(stoai_heap_recover(&f->seg, index), 0);
	slot->regions = 0;
	slot->freeing = 0;
	slot->generation++;
	fixture_attach(f, index);
}

static __thread struct stoai_cached fixture_last; /* what was allocated */

/* Its error is asked for, so no compiler need see that *ret is set without one. */
static __attribute__((noinline, unused)) int
fixture_try(
	struct stoai_seat *seat, uint64_t size, uint64_t align, uint64_t *ret)
{
	int rc = stoai_heap_alloc(seat, size, align, &fixture_last);

	if (!rc)
		*ret = fixture_last.off;
	return rc;
}

/* As it was allocated, whenever that was. */
static inline void
fixture_publish(struct stoai_seat *seat, uint64_t off)
{
	struct stoai_cached block = {off, 0};
	struct stoai_own own;

	if (off == fixture_last.off)
		block = fixture_last;
	else if (stoai_own_find(seat->heap, off, &own) &&
		 a64_load_relaxed(&own.bits->alloc) & own.bit)
		block.place = stoai_own_place(seat->heap, &own);
	fixture_last.off = 0;
	stoai_heap_publish(seat, block);
}

static inline uint64_t
fixture_alloc(struct heap_fixture *f, uint32_t seat, uint64_t size)
{
	uint64_t off = 0;

	assert_int_equal(fixture_try(fixture_as(f, seat), size, 16, &off), 0);
	return off;
}

/* ---- exact words ---- */

static inline uint64_t
free_word(uint64_t spans)
{
	return (uint64_t)STOAI_SPAN_FREE << 61 | spans;
}

static inline uint64_t
large_word(uint32_t slot, uint64_t spans)
{
	return (uint64_t)STOAI_SPAN_LARGE << 61 | (uint64_t)(slot + 1) << 44 |
	       spans;
}

static const uint64_t slab_word = (uint64_t)STOAI_SPAN_SLAB << 61 | 1;

static inline uint64_t
body_word(uint64_t distance)
{
	return (uint64_t)STOAI_SPAN_BODY << 61 | distance;
}

static inline uint64_t *
table_of(struct heap_fixture *f)
{
	return stoai_span_at(&f->seg, 0);
}

static inline struct stoai_bits *
bits_of(struct heap_fixture *f, uint64_t span)
{
	return stoai_meta_bits(stoai_meta_at(&f->seg, span));
}

static inline uint64_t
span_of(struct heap_fixture *f, uint64_t off)
{
	return stoai_span_of(&f->seg, off);
}

/* The whole heap is one free run, now that free neighbours are joined. */
static inline bool
heap_is_whole(struct heap_fixture *f)
{
	uint64_t count = stoai_span_count(&f->seg), word;

	return stoai_span_state(table_of(f)[0]) == STOAI_SPAN_FREE &&
	       stoai_run_join(&f->seg, 0, count, true, &word) == count;
}

#endif
