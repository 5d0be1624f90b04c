/* SPDX-License-Identifier: BSL-1.0 */
/* Which chunk may have so long a free run: exact numbers, and beside a slow search. */
#include "unit/heap_fixture.h"
#include "heap/longest.h"

enum {
	SPAN = 16384,
	CHUNKS = 21,
	SPANS = CHUNKS * STOAI_CHUNK - 7,
	RUNS = 400,
	ROUNDS = 6000
};

static struct heap_fixture *f;

static int
open_it(void **state)
{
	(void)state;
	f = fixture_open(
		(uint64_t)SPANS * SPAN, (uint64_t)2 * SPANS * SPAN, false);
	assert_int_equal(f->seg.span_shift, 14);
	assert_int_equal(stoai_span_count(&f->seg), SPANS);
	return 0;
}

static int
close_it(void **state)
{
	(void)state;
	return fixture_end(&f);
}

static void
empty(void)
{
	for (uint64_t c = 0; c < CHUNKS; c++)
		stoai_longest_set(&f->seg, c, 0);
}

/* ---- the tree alone ---- */

static void
fresh_heap(void **state)
{
	(void)state;
	assert_int_equal(stoai_longest_find(&f->seg, 0, SPANS), 0);
	assert_int_equal(
		stoai_longest_find(&f->seg, 0, SPANS + 1), STOAI_NO_CHUNK);
	assert_int_equal(stoai_longest_find(&f->seg, 1, 1), STOAI_NO_CHUNK);
}

/* One chunk has something: it is found from everywhere before it, and no other. */
static void
every_chunk_is_found(void **state)
{
	(void)state;
	empty();
	for (uint64_t c = 0; c < CHUNKS; c++) {
		stoai_longest_raise(&f->seg, c << STOAI_CHUNK_SHIFT, 5);
		for (uint64_t from = 0; from <= CHUNKS; from++) {
			uint64_t wanted = from <= c ? c : STOAI_NO_CHUNK;

			assert_int_equal(
				stoai_longest_find(&f->seg, from, 5), wanted);
			assert_int_equal(
				stoai_longest_find(&f->seg, from, 1), wanted);
			assert_int_equal(stoai_longest_find(&f->seg, from, 6),
				STOAI_NO_CHUNK);
		}
		stoai_longest_set(&f->seg, c, 0);
		assert_int_equal(
			stoai_longest_find(&f->seg, 0, 1), STOAI_NO_CHUNK);
	}
}

/* Two chunks, of different lengths: the shorter one does not hide the longer. */
static void
pairs_of_chunks(void **state)
{
	(void)state;
	empty();
	for (uint64_t a = 0; a < CHUNKS; a++)
		for (uint64_t b = 0; b < CHUNKS; b++) {
			if (a == b)
				continue;
			stoai_longest_set(&f->seg, a, 3);
			stoai_longest_set(&f->seg, b, 9);
			assert_int_equal(stoai_longest_find(&f->seg, 0, 2),
				stoai_min(a, b));
			assert_int_equal(stoai_longest_find(&f->seg, 0, 4), b);
			stoai_longest_set(&f->seg, b, 1);
			assert_int_equal(stoai_longest_find(&f->seg, 0, 3), a);
			stoai_longest_set(&f->seg, a, 0);
			stoai_longest_set(&f->seg, b, 0);
		}
}

static void
forgotten_is_everywhere(void **state)
{
	(void)state;
	empty();
	stoai_longest_forget(&f->seg);
	for (uint64_t c = 0; c < CHUNKS; c++) {
		assert_int_equal(stoai_longest_find(&f->seg, 0, UINT64_MAX), c);
		stoai_longest_set(&f->seg, c, 0);
	}
	assert_int_equal(stoai_longest_find(&f->seg, 0, 1), STOAI_NO_CHUNK);
}

static void
heap_ends(uint64_t span)
{
	stoai_header(&f->seg)->committed = stoai_span_off(&f->seg, span);
}

/* By a little, and by much: what was known before is known yet. */
static void
growth_keeps_what_is_known(void **state)
{
	(void)state;
	for (uint64_t from = 1; from < CHUNKS; from++)
		for (uint64_t to = from; to <= CHUNKS; to++) {
			uint64_t at = from << STOAI_CHUNK_SHIFT;
			uint64_t end = to << STOAI_CHUNK_SHIFT;
			uint64_t grown =
				end > at ? stoai_min(end, SPANS) - at : 1;

			empty();
			heap_ends(at);
			stoai_longest_set(&f->seg, from - 1, 9);
			heap_ends(at + grown);
			stoai_longest_grown(&f->seg, at);
			assert_int_equal(
				stoai_longest_find(&f->seg, 0, 9), from - 1);
			assert_int_equal(
				stoai_longest_find(&f->seg, from, grown), from);
		}
	heap_ends(SPANS);
	stoai_longest_forget(&f->seg);
}

/* ---- what is freed ---- */

/* Until somebody asks, and then once; also where only one of two bits was set. */
static void
freed_is_gathered(void **state)
{
	(void)state;
	for (uint64_t c = 0; c < CHUNKS; c++) {
		empty();
		stoai_longest_freed(&f->seg, c * STOAI_CHUNK + c);
		stoai_longest_freed(&f->seg, c * STOAI_CHUNK);
		assert_int_equal(
			stoai_longest_find(&f->seg, 0, 1), STOAI_NO_CHUNK);
		stoai_longest_gather(&f->seg);
		assert_int_equal(stoai_longest_find(&f->seg, 0, UINT64_MAX), c);
		stoai_longest_set(&f->seg, c, 0);
		stoai_longest_gather(&f->seg);
		assert_int_equal(
			stoai_longest_find(&f->seg, 0, 1), STOAI_NO_CHUNK);
	}
	empty();
	stoai_longest_freed(&f->seg, 0);
	stoai_header(&f->seg)->freed = 0; /* killed before it was set */
	stoai_longest_freed(&f->seg, 0);
	stoai_longest_gather(&f->seg);
	assert_int_equal(stoai_longest_find(&f->seg, 0, 1), 0);
	stoai_header(&f->seg)->freed = UINT64_MAX;
	stoai_meta_chunk(&f->seg, stoai_meta_at(&f->seg, 0))->freed =
		UINT64_MAX;
	stoai_longest_gather(&f->seg); /* nothing behind the end */
	stoai_longest_forget(&f->seg);
}

/* ---- the heap's use of it ---- */

/* No free run is longer than its chunk's number, nor hidden by those above. */
static void
all_are_known(uint64_t round)
{
	uint64_t count = stoai_span_count(&f->seg), word;

	stoai_longest_gather(&f->seg);
	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(&f->seg, at);
		if (stoai_span_state(word) == STOAI_SPAN_FREE &&
			stoai_longest_find(&f->seg, at >> STOAI_CHUNK_SHIFT,
				stoai_span_length(word)) !=
				at >> STOAI_CHUNK_SHIFT)
			fail_msg("round %llu: %llu spans at %llu are hidden",
				(unsigned long long)round,
				(unsigned long long)stoai_span_length(word),
				(unsigned long long)at);
	}
}

/* The longest that can be had, read from the table alone. */
static uint64_t
longest(void)
{
	uint64_t count = stoai_span_count(&f->seg), word, here = 0, most = 0;

	for (uint64_t at = 0; at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(&f->seg, at);
		here = stoai_span_state(word) == STOAI_SPAN_FREE
			       ? here + stoai_span_length(word)
			       : 0;
		most = stoai_max(most, here);
	}
	return most;
}

static uint64_t
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/*
 * Runs of all lengths by four seats, slabs between them, and deaths. What the table
 * has is found, without growth, and never looked for everywhere.
 */
static void
beside_a_slow_search(void **state)
{
	uint64_t run[RUNS] = {0}, x = 88172645463325252;

	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t n = next_random(&x) % RUNS;
		uint32_t seat = next_random(&x) % FIXTURE_SEATS;
		uint64_t spans =
			1 + next_random(&x) % 4 * (next_random(&x) % 40);
		uint64_t most = longest();
		int rc;

		(void)fixture_as(f, seat);
		if (run[n]) {
			assert_int_equal(
				stoai_heap_free(&f->seat[seat], run[n]), 0);
			run[n] = 0;
		} else {
			rc = stoai_run_find(&f->seat[seat], spans, 1, &run[n]);
			assert_int_equal(rc, most < spans ? -EAGAIN : 0);
			run[n] = rc ? 0 : stoai_span_off(&f->seg, run[n]);
			if (!rc)
				fixture_publish(&f->seat[seat], run[n]);
		}
		if (round % 512 == 511)
			fixture_recover(f, seat);
		all_are_known(round);
		if (round % 64 == 0)
			fixture_check(f, (int)round);
	}
}

/* What a death has hidden is found before the heap grows. */
static void
hidden_is_found(void **state)
{
	uint64_t span;

	(void)state;
	empty();
	assert_int_equal(stoai_run_find(&f->seat[0], SPANS, 1, &span), 0);
	assert_int_equal(span, 0);
}

/* Zeros are written where somebody was, and nowhere else. */
static void
cleared(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 10 * SPAN), b;
	uint8_t *p = stoai_at(&f->seg, a);

	(void)state;
	p[0] = p[10 * SPAN - 1] = 1; /* as if it were not what it is */
	stoai_heap_clear(seat, a, 10 * SPAN);
	assert_int_equal(p[0] + p[10 * SPAN - 1], 2);
	stoai_heap_clear(seat, a, 10 * SPAN); /* once */
	assert_int_equal(p[0] + p[10 * SPAN - 1], 0);
	memset(p, 1, 10 * SPAN);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	/* half of it was somebody's */
	b = fixture_alloc(f, 1, 20 * SPAN);
	assert_int_equal(b, a);
	p[10 * SPAN] = 1;
	stoai_heap_clear(&f->seat[1], b, 20 * SPAN);
	for (uint32_t i = 0; i < 10 * SPAN; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(p[10 * SPAN], 1);
	/* a block in a slab may have been anything */
	a = fixture_alloc(f, 0, 64);
	p = memset(stoai_at(&f->seg, a), 1, 64);
	stoai_heap_clear(seat, a, 64);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(p[i], 0);
}

/* A program's buffer may hold anything behind what was its heap. */
static void
buffers_were_not_zero(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, (uint64_t)SPANS * SPAN), b;
	uint8_t *p;

	(void)state;
	f->seg.caller_memory = true;
	assert_int_equal(stoai_heap_grow(seat, 20 * SPAN), 0);
	b = fixture_alloc(f, 0, 20 * SPAN);
	assert_true(b > a);
	p = stoai_at(&f->seg, b);
	p[0] = p[20 * SPAN - 1] = 1;
	stoai_heap_clear(seat, b, 20 * SPAN);
	assert_int_equal(p[0] + p[20 * SPAN - 1], 0);
	f->seg.caller_memory = false;
}

/* Who knows a buffer as shorter mends what lies behind that, too. */
static void
mended_behind_what_one_sees(void **state)
{
	uint64_t room = f->seg.room, *table = table_of(f);

	(void)state;
	table[SPANS - 10] = free_word(10); /* a join that did not end */
	stoai_header(&f->seg)->shaping = 1;
	f->seg.caller_memory = true;
	f->seg.room = stoai_span_off(&f->seg, 100);
	f->seg.committed = 0; /* ask again */
	assert_int_equal(stoai_span_count(&f->seg), 100);
	assert_int_equal(stoai_heap_lock(fixture_as(f, 0)), 0);
	stoai_heap_unlock(&f->seat[0]);
	f->seg.room = room;
	f->seg.committed = 0;
	f->seg.caller_memory = false;
	assert_int_equal(stoai_span_count(&f->seg), SPANS);
	fixture_check(f, __LINE__);
}

#define TEST_OF(t) cmocka_unit_test_setup_teardown(t, open_it, close_it)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OF(fresh_heap),
		TEST_OF(every_chunk_is_found),
		TEST_OF(pairs_of_chunks),
		TEST_OF(forgotten_is_everywhere),
		TEST_OF(growth_keeps_what_is_known),
		TEST_OF(freed_is_gathered),
		TEST_OF(beside_a_slow_search),
		TEST_OF(hidden_is_found),
		TEST_OF(cleared),
		TEST_OF(buffers_were_not_zero),
		TEST_OF(mended_behind_what_one_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
