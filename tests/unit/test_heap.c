/* SPDX-License-Identifier: BSL-1.0 */
/* The heap, on exact words: table, bitmaps and header after each operation. */
#include "unit/heap_fixture.h"
#include "heap/block.h"
#include "heap/slab.h"

enum {
	KIB = 1 << 10,
	MIB = 1 << 20
};

#define FULL UINT64_MAX

static struct heap_fixture *f;

static int
open_mib(void **state)
{
	(void)state;
	f = fixture_open(MIB, MIB, false); /* 64 spans of 16 KiB */
	return 0;
}

static int
close_it(void **state)
{
	(void)state;
	return fixture_end(&f);
}

static void
fill(uint64_t word, uint64_t spans, uint64_t span)
{
	assert_int_equal(table_of(f)[span], word);
	for (uint64_t i = 1; i < spans; i++)
		assert_int_equal(table_of(f)[span + i], body_word(i));
}

/* ---- classes ---- */

static void
classes(void **state)
{
	(void)state;
	assert_int_equal(stoai_class_count(8), 8);
	assert_int_equal(stoai_class_count(12), 24);
	assert_int_equal(stoai_class_count(16), STOAI_CLASSES);
	for (uint32_t i = 0; i < STOAI_CLASSES; i++) {
		uint32_t size = stoai_class_size(i);

		assert_int_equal(size % 16, 0);
		assert_int_equal(stoai_class_of(size), i);
		assert_int_equal(stoai_class_of(size - 15), i);
		if (i) {
			assert_true(size > stoai_class_size(i - 1));
			assert_true(size <= stoai_class_size(i - 1) * 2);
		}
		assert_int_equal(stoai_class_of(size + 1), i + 1);
	}
	assert_int_equal(stoai_class_size(8), 160);
	assert_int_equal(stoai_class_size(39), 32768);
	assert_int_equal(stoai_heap_meta_stride(8), 16 + 24 + 24);
	assert_int_equal(stoai_heap_meta_stride(12), 192);
	assert_int_equal(stoai_heap_meta_stride(16), 1600);
	assert_int_equal(stoai_heap_meta_stride(7), 0);
	assert_int_equal(stoai_heap_meta_stride(17), 0);
}

/* Every block of every class at every span size is found by its reciprocal. */
static void
reciprocals(void **state)
{
	(void)state;
	for (uint32_t shift = 8; shift <= 16; shift++)
		for (uint32_t i = 0; i < stoai_class_count(shift); i++) {
			uint64_t size = stoai_class_size(i);
			uint64_t r = ((UINT64_C(1) << 32) + size - 1) / size;

			for (uint64_t in = 0; in < 1u << shift; in++)
				assert_int_equal(in * r >> 32, in / size);
		}
}

/* ---- slabs ---- */

static void
alloc_publish_free(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off = fixture_alloc(f, 0, 64);

	(void)state;
	assert_int_equal(off, f->seg.heap_off);
	assert_int_equal(table_of(f)[0], slab_word);
	assert_int_equal(table_of(f)[1], free_word(63));
	assert_int_equal(table_of(f)[63], body_word(62));
	assert_int_equal(stoai_header(&f->seg)->shaping, 0);
	assert_int_equal(stoai_header(&f->seg)->touched, 1);
	assert_int_equal(seat->slot->regions, 1);
	assert_int_equal(stoai_meta_at(&f->seg, 0)->owner,
		UINT64_C(1) << 32 | seat->word);
	assert_int_equal(stoai_meta_at(&f->seg, 0)->class_index, 3);
	assert_int_equal(stoai_meta_at(&f->seg, 0)->size, 64);
	assert_int_equal(bits_of(f, 0)->alloc, FULL);
	assert_int_equal(bits_of(f, 0)->pub, 0);
	fixture_publish(seat, off);
	assert_int_equal(bits_of(f, 0)->pub, 1);
	assert_int_equal(stoai_heap_usable(&f->seg, off), 64);
	assert_int_equal(stoai_heap_free(seat, off), 0);
	assert_int_equal(bits_of(f, 0)->pub, 0);
	assert_int_equal(bits_of(f, 0)->alloc, FULL);
	assert_int_equal(fixture_alloc(f, 0, 64), off);
	assert_int_equal(fixture_alloc(f, 0, 64), off + 64);
}

static void
double_free_own(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 64), b = fixture_alloc(f, 0, 64);

	(void)state;
	fixture_publish(seat, a);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_int_equal(stoai_heap_free(seat, a), -EINVAL); /* cached */
	assert_int_equal(stoai_heap_free(seat, b), 0);
	assert_int_equal(stoai_heap_free(seat, b), -EINVAL);
	assert_int_equal(stoai_heap_free(seat, a), -EINVAL);
	/* taken, never handed out */
	assert_int_equal(stoai_heap_free(seat, a + 40 * 64), -EINVAL);
	/* never allocated */
	assert_int_equal(stoai_heap_free(seat, a + 100 * 64), -EINVAL);
	assert_int_equal(stoai_heap_free(seat, a + 8), -EINVAL);
	assert_int_equal(stoai_heap_free(seat, 8), -EINVAL);
	assert_int_equal(stoai_heap_free(seat, f->seg.size), -EINVAL);
	assert_int_equal(stoai_heap_free(seat, UINT64_MAX), -EINVAL);
	/* after the cache has given it back */
	stoai_heap_relax(seat);
	assert_int_equal(stoai_heap_free(seat, a), -EINVAL);
	assert_true(heap_is_whole(f));
}

/* A block's bytes that look like the mark of a cached one do not keep it. */
static void
mark_by_chance(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 64);

	(void)state;
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_int_equal(fixture_alloc(f, 0, 64), a);
	*stoai_mark_at(&f->cache[0], a) = a ^ f->cache[0].key;
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_int_equal(stoai_heap_free(seat, a), -EINVAL);
}

/* Fresh blocks of one slab are not mistaken for blocks of the slab behind it. */
static void
fresh_is_exact(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off[36];

	(void)state;
	for (int i = 0; i < 36; i++) /* 18 in a slab */
		off[i] = fixture_alloc(f, 0, 896);
	fixture_publish(seat, off[0]);
	assert_int_equal(stoai_heap_free(&f->seat[1], off[0]), 0);
	stoai_heap_relax(seat);
	assert_int_equal(fixture_alloc(f, 0, 896), off[0]);
	f->cache[0].classes[18].fresh = 1 << 2;
	f->cache[0].classes[18].fresh_from.off = off[0];
	assert_int_equal(stoai_heap_free(seat, off[20]), 0);
	assert_int_equal(stoai_heap_free(seat, off[2]), -EINVAL);
	f->cache[0].classes[18].fresh = 0;
}

static void
remote_frees(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), b = fixture_alloc(f, 0, 64);

	(void)state;
	fixture_publish(fixture_as(f, 0), a);
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], b), -EINVAL);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), 0);
	assert_int_equal(bits_of(f, 0)[0].remote, 1);
	assert_int_equal(bits_of(f, 0)->pub, 1);
	assert_int_equal(bits_of(f, 0)->alloc, FULL);
	assert_int_equal(stoai_heap_usable(&f->seg, a), 0);
	assert_int_equal(stoai_heap_block(&f->seg, a + 3), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), -EINVAL);
	assert_int_equal(stoai_heap_free(&f->seat[2], a), -EINVAL);
	fixture_as(f, 0);
	assert_int_equal(stoai_heap_free(&f->seat[0], a), -EINVAL);
	assert_int_equal(bits_of(f, 0)[0].remote, 1);
	assert_int_equal(stoai_slab_harvest(&f->seg, 0, 3), 1);
	assert_int_equal(bits_of(f, 0)[0].remote, 0);
	assert_int_equal(bits_of(f, 0)->pub, 0);
	assert_int_equal(bits_of(f, 0)->alloc, FULL & ~UINT64_C(1));
	assert_int_equal(stoai_heap_free(&f->seat[1], a), -EINVAL);
}

static void
harvest_barrier_holds(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), b = fixture_alloc(f, 0, 64);

	(void)state;
	fixture_publish(&f->seat[0], a);
	fixture_publish(&f->seat[0], b);
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], b), 0);
	f->seat[1].slot->freeing = a;
	assert_int_equal(stoai_slab_harvest(&f->seg, 0, 3), 1);
	assert_int_equal(bits_of(f, 0)[0].remote, 1);
	assert_int_equal(bits_of(f, 0)->pub, 1);
	assert_int_equal(bits_of(f, 0)->alloc, FULL & ~UINT64_C(2));
	f->seat[1].slot->freeing = 0;
	assert_int_equal(stoai_slab_harvest(&f->seg, 0, 3), 1);
	assert_int_equal(bits_of(f, 0)[0].remote, 0);
	assert_int_equal(bits_of(f, 0)->alloc, FULL & ~UINT64_C(3));
}

/* Killed in a harvest: published is gone, the remote bit is there. */
static void
harvest_left_half(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), off;

	(void)state;
	fixture_publish(&f->seat[0], a);
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), 0);
	bits_of(f, 0)->pub = 0;
	fixture_recover(f, 0);
	assert_int_equal(bits_of(f, 0)->alloc, 0);
	assert_int_equal(bits_of(f, 0)[0].remote, 1);
	fixture_check(f, __LINE__);
	/* named, so its free may be made again: nobody's yet */
	f->seat[2].slot->freeing = a;
	assert_int_not_equal(fixture_alloc(f, 1, 64), a);
	assert_int_equal(bits_of(f, 0)->alloc & 1, 0);
	f->seat[2].slot->freeing = 0;
	/* who adopts it gets each block once */
	for (uint64_t seen = 0, i = 1; i < 256; i++) {
		off = fixture_alloc(f, 1, 64);
		assert_int_equal(span_of(f, off), 0);
		seen += off == a;
		assert_true(seen <= 1);
	}
	assert_int_equal(bits_of(f, 0)[0].remote, 0);
}

/* A remote bit frees what is published, and keeps what is not from being taken. */
static void
stray_remote_bits(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64);

	(void)state;
	bits_of(f, 0)[0].remote = 1; /* of a block that is unpublished */
	assert_int_equal(stoai_slab_harvest(&f->seg, 0, 3), 1);
	assert_int_equal(bits_of(f, 0)->alloc, FULL);
	assert_int_equal(bits_of(f, 0)[0].remote, 0);
	fixture_recover(f, 0);
	bits_of(f, 0)[0].remote = 1; /* of one that is free, and yet named */
	f->seat[2].slot->freeing = a;
	assert_int_equal(fixture_alloc(f, 1, 64), a + 64);
	assert_int_equal(bits_of(f, 0)->alloc, FULL & ~UINT64_C(1));
	f->seat[2].slot->freeing = 0;
}

static void
recovery_abandons(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), big = 0;

	(void)state;
	(void)fixture_alloc(f, 0, 64);
	fixture_publish(&f->seat[0], a);
	big = fixture_alloc(f, 0, 40000);
	assert_int_equal(table_of(f)[1], large_word(0, 3));
	fixture_recover(f, 0);
	assert_int_equal(bits_of(f, 0)->alloc, 1);
	assert_int_equal(bits_of(f, 0)->pub, 1);
	assert_int_equal(stoai_meta_at(&f->seg, 0)->owner, UINT64_C(1) << 32);
	assert_int_equal(table_of(f)[1], free_word(3));
	assert_int_equal(stoai_heap_usable(&f->seg, big), 0);
	/* again: nothing is left to do */
	f->seat[0].slot->regions = 1;
	assert_int_equal(stoai_heap_recover(&f->seg, 0), 0);
	assert_int_equal(bits_of(f, 0)->alloc, 1);
	/* another adopts it, whatever generation it has */
	assert_int_equal(fixture_alloc(f, 2, 64), a + 64);
	assert_int_equal(stoai_meta_at(&f->seg, 0)->owner,
		UINT64_C(1) << 32 | f->seat[2].word);
	/* the dead slot's next life is not the owner */
	fixture_as(f, 0);
	assert_int_equal(stoai_heap_free(&f->seat[0], a + 64), -EINVAL);
	assert_int_equal(stoai_heap_free(&f->seat[0], a), 0);
	assert_int_equal(bits_of(f, 0)[0].remote, 1);
}

/* ---- runs ---- */

static void
large_runs(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 8193), b = fixture_alloc(f, 0, 50000);

	(void)state;
	assert_int_equal(span_of(f, a), 0);
	fill(large_word(0, 1), 1, 0);
	fill(large_word(0, 4), 4, 1);
	assert_int_equal(table_of(f)[5], free_word(59));
	assert_int_equal(stoai_heap_usable(&f->seg, b), 4 * 16384);
	assert_int_equal(stoai_heap_usable(&f->seg, b + 16384), 0);
	assert_int_equal(stoai_heap_block(&f->seg, b + 16384 * 3 + 5), b);
	fixture_publish(seat, b);
	fill(large_word(0, 4) | STOAI_SPAN_PUBLISHED, 4, 1);
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), -EINVAL);
	assert_int_equal(stoai_heap_free(&f->seat[1], b + 16384), -EINVAL);
	assert_int_equal(stoai_heap_free(&f->seat[1], b), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], b), -EINVAL);
	assert_int_equal(table_of(f)[1], free_word(4));
	fixture_as(f, 0);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_int_equal(stoai_heap_free(seat, a), -EINVAL);
	assert_int_equal(table_of(f)[0], free_word(1));
	/* the search joins what is free */
	assert_int_equal(span_of(f, fixture_alloc(f, 0, 60 * 16384)), 0);
	fill(large_word(0, 60), 60, 0);
	assert_int_equal(table_of(f)[60], free_word(4));
}

static void
aligned_run_cuts(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t first = f->seg.heap_off >> 14, span, off;

	(void)state;
	(void)fixture_alloc(f, 0, 16384);
	assert_int_equal(fixture_try(seat, 2 * 16384, 8 * 16384, &off), 0);
	assert_int_equal(off % (8 * 16384), 0);
	span = span_of(f, off);
	assert_int_equal((first + span) % 8, 0);
	assert_true(span >= 1);
	fill(large_word(0, 2), 2, span);
	if (span > 1)
		assert_int_equal(table_of(f)[1], free_word(span - 1));
	assert_int_equal(table_of(f)[span + 2], free_word(64 - span - 2));
	assert_int_equal(table_of(f)[63], body_word(64 - span - 3));
	if (span > 2)
		assert_int_equal(table_of(f)[span - 1], body_word(span - 2));
}

/* A cutter that was killed before it shortened the head. */
static void
cut_left_half(void **state)
{
	(void)state;
	(void)fixture_as(f, 1);
	f->seat[0].slot->regions = UINT64_MAX;
	table_of(f)[11] = body_word(1);
	table_of(f)[12] = free_word(52);
	table_of(f)[10] = large_word(0, 2);
	stoai_header(&f->seg)->shaping = 1;
	fixture_check(f, __LINE__);
	assert_int_equal(
		stoai_heap_usable(&f->seg, stoai_span_off(&f->seg, 10)),
		2 * 16384);
	fixture_recover(f, 0);
	assert_int_equal(table_of(f)[10], free_word(2));
	/* before anybody looks for a run, the inside is one again */
	assert_int_equal(stoai_heap_lock(fixture_as(f, 1)), 0);
	assert_int_equal(stoai_header(&f->seg)->shaping, 0);
	fill(free_word(64), 1, 0);
	for (uint64_t i = 1; i < 64; i++)
		assert_int_equal(
			stoai_span_state(table_of(f)[i]), STOAI_SPAN_BODY);
	assert_int_equal(table_of(f)[63], body_word(63));
	stoai_heap_unlock(&f->seat[1]);
	assert_int_equal(span_of(f, fixture_alloc(f, 1, 64 * 16384)), 0);
	fill(large_word(1, 64), 64, 0);
}

/* What stands there does not lead the mending out of the heap. */
static void
shaping_may_be_damaged(void **state)
{
	static const uint64_t spans[] = {
		1, 2, 64, 65, UINT64_C(1) << 43, UINT64_MAX};

	(void)state;
	(void)fixture_alloc(f, 0, 16384);
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
		stoai_header(&f->seg)->shaping = spans[i];
		assert_int_equal(stoai_heap_lock(fixture_as(f, 1)), 0);
		assert_int_equal(stoai_header(&f->seg)->shaping, 0);
		stoai_heap_unlock(&f->seat[1]);
		fixture_check(f, __LINE__);
	}
	fill(large_word(0, 1), 1, 0);
	assert_int_equal(table_of(f)[1], free_word(63));
}

/* The later heads are inside now, and the last word leads to the first. */
static void
join_leaves_one_head(void **state)
{
	uint64_t off[3], word;

	(void)state;
	for (int i = 0; i < 3; i++)
		off[i] = fixture_alloc(f, 0, 2 * 16384);
	(void)fixture_alloc(f, 0, 16384);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stoai_heap_free(fixture_as(f, 0), off[i]), 0);
	assert_int_equal(stoai_run_join(&f->seg, 0, 64, false, &word), 6);
	assert_int_equal(word, free_word(6));
	assert_int_equal(table_of(f)[0], free_word(6));
	for (uint64_t i = 1; i < 6; i++)
		assert_int_equal(
			stoai_span_state(table_of(f)[i]), STOAI_SPAN_BODY);
	assert_int_equal(table_of(f)[5], body_word(5));
	assert_int_equal(stoai_header(&f->seg)->shaping, 0);
}

static void
join_barrier_holds(void **state)
{
	uint64_t off[4], word;

	(void)state;
	for (int i = 0; i < 4; i++)
		off[i] = fixture_alloc(f, 0, 16384 * 2);
	fixture_as(f, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stoai_heap_free(&f->seat[0], off[i]), 0);
	f->seat[3].slot->freeing = off[2];
	assert_int_equal(stoai_run_join(&f->seg, 0, 64, false, &word), 4);
	assert_int_equal(table_of(f)[0], free_word(4));
	assert_int_equal(table_of(f)[4], free_word(2));
	assert_int_equal(stoai_run_join(&f->seg, 4, 64, false, &word), 0);
	assert_int_equal(table_of(f)[4], free_word(2));
	/* inside the run counts, and so does its last byte */
	f->seat[3].slot->freeing = off[3] - 1;
	assert_int_equal(stoai_run_join(&f->seg, 4, 64, false, &word), 0);
	/* who takes a run passes it by */
	assert_int_equal(span_of(f, fixture_alloc(f, 1, 5 * 16384)), 6);
	f->seat[3].slot->freeing = 0;
	assert_int_equal(span_of(f, fixture_alloc(f, 1, 53 * 16384)), 11);
	assert_int_equal(span_of(f, fixture_alloc(f, 1, 6 * 16384)), 0);
}

/* ---- frees for a log ---- */

static void
logged_own(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), done = 0;
	struct stoai_slot *slot = f->seat[0].slot;

	(void)state;
	fixture_publish(&f->seat[0], a);
	assert_int_equal(stoai_heap_free_logged(&f->seg, 0, a, &done, 7), 0);
	assert_int_equal(done, 7);
	assert_int_equal(slot->freeing, 0);
	assert_int_equal(bits_of(f, 0)->pub, 0);
	assert_int_equal(
		stoai_heap_free_logged(&f->seg, 0, a, &done, 8), -EINVAL);
	assert_int_equal(done, 8);
	assert_int_equal(slot->freeing, 0);
	assert_int_equal(fixture_alloc(f, 0, 64), a);
	assert_int_equal(fixture_alloc(f, 0, 64), a + 64);
}

static void
logged_for_the_dead(void **state)
{
	uint64_t own = fixture_alloc(f, 0, 64), done = 0;
	uint64_t other = fixture_alloc(f, 1, 64),
		 big = fixture_alloc(f, 1, 20000);

	(void)state;
	fixture_publish(fixture_as(f, 0), own);
	fixture_publish(fixture_as(f, 1), other);
	fixture_publish(fixture_as(f, 1), big);
	fixture_as(f, 2);
	/* slot 0 died at once, or after each effect: asked for twice each */
	for (uint64_t i = 0; i < 2; i++) {
		if (i)
			f->seat[0].slot->freeing = own;
		assert_int_equal(
			stoai_heap_free_logged(&f->seg, 0, own, &done, 1), 0);
		assert_int_equal(bits_of(f, 0)->pub, 0);
		assert_int_equal(bits_of(f, 0)->alloc, FULL);
	}
	for (uint64_t i = 0; i < 2; i++) {
		if (i)
			f->seat[0].slot->freeing = other;
		assert_int_equal(
			stoai_heap_free_logged(&f->seg, 0, other, &done, 2), 0);
		assert_int_equal(bits_of(f, 1)[0].remote, 1);
	}
	for (uint64_t i = 0; i < 2; i++) {
		if (i)
			f->seat[0].slot->freeing = big;
		assert_int_equal(
			stoai_heap_free_logged(&f->seg, 0, big, &done, 3), 0);
		assert_int_equal(table_of(f)[2], free_word(2));
	}
	assert_int_equal(done, 3);
	assert_int_equal(f->seat[0].slot->freeing, 0);
	/* nonsense in a dead thread's log */
	assert_int_equal(
		stoai_heap_free_logged(&f->seg, 0, own + 8, &done, 4), -EINVAL);
	assert_int_equal(
		stoai_heap_free_logged(&f->seg, 0, 1, &done, 5), -EINVAL);
	assert_int_equal(done, 5);
}

static void
unpublish_own(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), big = fixture_alloc(f, 0, 20000);

	(void)state;
	fixture_as(f, 0);
	fixture_publish(&f->seat[0], a);
	fixture_publish(&f->seat[0], big);
	stoai_heap_unpublish(&f->seg, 0, a);
	stoai_heap_unpublish(&f->seg, 0, big);
	assert_int_equal(bits_of(f, 0)->pub, 0);
	assert_int_equal(table_of(f)[1], free_word(2));
	stoai_heap_unpublish(&f->seg, 0, a);
	stoai_heap_unpublish(&f->seg, 0, big);
	stoai_heap_unpublish(&f->seg, 0, 12345);
	assert_int_equal(fixture_alloc(f, 0, 64), a);
	assert_int_equal(fixture_alloc(f, 0, 64), a + 64);
}

/* Two want the same slab; one that saw it in an earlier life does not get it. */
static void
adoption_is_exclusive(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), old;

	(void)state;
	fixture_publish(fixture_as(f, 0), a);
	fixture_recover(f, 0);
	old = stoai_meta_at(&f->seg, 0)->owner;
	assert_true(stoai_slab_is_abandoned(old));
	assert_true(stoai_slab_adopt(fixture_as(f, 1), 0, old));
	assert_false(stoai_slab_adopt(fixture_as(f, 2), 0, old));
	assert_int_equal(
		(uint32_t)stoai_meta_at(&f->seg, 0)->owner, f->seat[1].word);
	/* another slab is made there, and left */
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), 0);
	stoai_heap_relax(&f->seat[1]);
	assert_int_equal(span_of(f, fixture_alloc(f, 3, 64)), 0);
	fixture_recover(f, 3);
	assert_true(stoai_slab_is_abandoned(stoai_meta_at(&f->seg, 0)->owner));
	assert_false(stoai_slab_adopt(fixture_as(f, 2), 0, old));
}

static void
unpublish_for_the_dead(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), big = fixture_alloc(f, 0, 20000);

	(void)state;
	fixture_as(f, 0);
	fixture_publish(&f->seat[0], a);
	fixture_publish(&f->seat[0], big);
	fixture_as(f, 1);
	for (int i = 0; i < 2; i++) {
		stoai_heap_unpublish(&f->seg, 0, a);
		stoai_heap_unpublish(&f->seg, 0, big);
		assert_int_equal(bits_of(f, 0)->pub, 0);
		assert_int_equal(bits_of(f, 0)->alloc, FULL);
		assert_int_equal(table_of(f)[1], large_word(0, 2));
	}
	/* another's are let alone */
	fixture_publish(fixture_as(f, 0), a);
	fixture_as(f, 1);
	stoai_heap_unpublish(&f->seg, 1, a);
	assert_int_equal(bits_of(f, 0)->alloc, FULL);
	assert_int_equal(bits_of(f, 0)->pub, 1);
	stoai_heap_unpublish(&f->seg, 0, a);
	fixture_recover(f, 0);
	assert_int_equal(bits_of(f, 0)->alloc, 0);
	assert_int_equal(table_of(f)[1], free_word(2));
}

/* ---- any size and alignment ---- */

static void
alignments(void **state)
{
	static const uint64_t sizes[] = {1, 15, 16, 17, 48, 65, 100, 500, 1024,
		1025, 3000, 8192, 8193, 16384, 16385, 50000};
	struct stoai_seat *seat = fixture_as(f, 0);

	(void)state;
	for (uint64_t align = 1; align <= 128 * KIB; align *= 2)
		for (size_t i = 0; i < STOAI_COUNT(sizes); i++) {
			uint64_t off[3];

			for (int k = 0; k < 3; k++) {
				if (fixture_try(seat, sizes[i], align, &off[k]))
					fail_msg("%llu by %llu: %s",
						(unsigned long long)sizes[i],
						(unsigned long long)align,
						stoa_error_text());
				assert_int_equal(off[k] % align, 0);
				assert_int_equal(off[k] % 16, 0);
				assert_true(stoai_heap_usable(&f->seg,
						    off[k]) >= sizes[i]);
				memset(stoai_at(&f->seg, off[k]), k + 1,
					sizes[i]);
			}
			for (int k = 0; k < 3; k++) {
				const char *p = stoai_at(&f->seg, off[k]);

				assert_int_equal(p[0], k + 1);
				assert_int_equal(p[sizes[i] - 1], k + 1);
				assert_int_equal(
					stoai_heap_free(seat, off[k]), 0);
			}
		}
	stoai_heap_relax(seat);
	assert_true(heap_is_whole(f));
}

static void
alignment_refused(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off = 77;

	(void)state;
	assert_int_equal(fixture_try(seat, 1, 0, &off), -EINVAL);
	assert_int_equal(fixture_try(seat, 1, 24, &off), -EINVAL);
	assert_int_equal(fixture_try(seat, 1, 4 * MIB, &off), -EINVAL);
	assert_int_equal(off, 77);
	assert_int_equal(fixture_try(seat, 0, 1, &off), 0);
	assert_int_equal(stoai_heap_usable(&f->seg, off), 16);
}

static void
places(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 100), big = fixture_alloc(f, 0, 40000);

	(void)state;
	assert_int_equal(stoai_heap_block(&f->seg, a + 111), a);
	assert_int_equal(stoai_heap_block(&f->seg, a + 112), a + 112);
	assert_int_equal(stoai_heap_block(&f->seg, a - 1), 0);
	assert_int_equal(stoai_heap_usable(&f->seg, a + 1), 0);
	assert_true(stoai_heap_writable(&f->seg, a, 16384));
	assert_true(stoai_heap_writable(&f->seg, a, 16384 * 4));
	assert_false(stoai_heap_writable(&f->seg, a, 16384 * 4 + 1));
	assert_true(stoai_heap_writable(&f->seg, big + 16384, 16384 * 2));
	assert_false(stoai_heap_writable(&f->seg, a - 1, 2));
	assert_false(stoai_heap_writable(&f->seg, a, UINT64_MAX));
	assert_false(stoai_heap_writable(&f->seg, UINT64_MAX, 2));
	assert_true(stoai_heap_writable(&f->seg, a, 0));
	/* a BODY left over in a free run is none */
	assert_int_equal(stoai_heap_free(fixture_as(f, 0), big), 0);
	assert_false(stoai_heap_writable(&f->seg, big + 16384, 1));
	assert_int_equal(stoai_heap_block(&f->seg, big + 16384), 0);
}

/* ---- every invariant, broken once ---- */

static void
expect_broken(const char *invariant)
{
	assert_int_equal(stoai_heap_check(&f->seg), -EBADMSG);
	if (strncmp(stoa_error_text(), invariant, strlen(invariant)))
		fail_msg("%s, not %s", stoa_error_text(), invariant);
}

#define BREAK64(place, value, text) \
 do { \
  uint64_t *place_ = (place), kept_ = *place_; \
  *place_ = (value); \
  expect_broken(text); \
  *place_ = kept_; \
  fixture_check(f, __LINE__); \
 } while (0)

static void
check_table(void **state)
{
	uint64_t *t = table_of(f);

	(void)state;
	(void)fixture_alloc(f, 0, 64);
	(void)fixture_alloc(f, 0, 40000);
	fixture_publish(&f->seat[0], fixture_alloc(f, 0, 40000));
	BREAK64(&t[0], body_word(1), "heap I1:");
	BREAK64(&t[0], 0, "heap I1:");
	BREAK64(&t[7], free_word(58), "heap I1:");
	BREAK64(&t[7], free_word(56), "heap I1:");
	BREAK64(&t[3], free_word(1), "heap I2:");
	BREAK64(&t[3], body_word(1), "heap I2:");
	BREAK64(&t[0], slab_word | STOAI_SPAN_PUBLISHED, "heap I3:");
	BREAK64(&t[1], large_word(0, 3) | (uint64_t)0x1ff << 44, "heap I7:");
	BREAK64(&t[4], t[4] | STOAI_SPAN_PUNCHED, "heap I9:");
	BREAK64(&t[7], t[7] | STOAI_SPAN_PUBLISHED, "heap I9:");
	BREAK64(&f->seat[0].slot->regions, 0, "heap I7:");
	BREAK64(&t[9], free_word(1), "heap I10:");
	BREAK64(&t[63], slab_word, "heap I10:");
	BREAK64(&t[8], large_word(0, 2), "heap I10:");
	BREAK64(&stoai_header(&f->seg)->committed, f->seg.heap_off, "heap I8:");
	BREAK64(&stoai_header(&f->seg)->committed, f->seg.size + 16384,
		"heap I8:");
	BREAK64(&stoai_header(&f->seg)->committed, f->seg.size - 1, "heap I8:");
	BREAK64(&f->seat[2].slot->freeing, 8, "heap I11:");
	BREAK64(&f->seat[2].slot->freeing, f->seg.size, "heap I11:");
}

static void
check_slabs(void **state)
{
	struct stoai_meta *meta = stoai_meta_at(&f->seg, 0);
	uint64_t a = fixture_alloc(f, 0, 96);

	(void)state;
	fixture_publish(&f->seat[0], a);
	meta->class_index = 99;
	expect_broken("heap I3:");
	meta->class_index = 4;
	expect_broken("heap I3:");
	meta->class_index = 5;
	meta->size++;
	expect_broken("heap I3:");
	meta->size--;
	assert_int_equal(meta->size, 96);
	BREAK64(&bits_of(f, 0)[2].alloc, UINT64_C(1) << 42, "heap I4:");
	BREAK64(&bits_of(f, 0)[3].pub, 1, "heap I4:");
	BREAK64(&bits_of(f, 0)[2].remote, UINT64_C(1) << 42, "heap I4:");
	BREAK64(&bits_of(f, 0)[1].pub, UINT64_C(1) << 63, "heap I5:");
	BREAK64(&meta->owner, UINT64_C(1) << 32, "heap I6:");
	BREAK64(&meta->owner, meta->owner + 512, "heap I7:");
	BREAK64(&meta->owner, meta->owner | 0x1ff, "heap I7:");
	BREAK64(&meta->owner, meta->owner + 1, "heap I7:");
}

/* Nothing in the metas makes an owner reach beyond them. */
static void
damaged_metas(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 96), off;

	(void)state;
	fixture_publish(seat, a);
	for (uint32_t i = 0; i < 100; i++) {
		stoai_meta_at(&f->seg, 0)->class_index = i;
		for (uint64_t in = 0; in < 16384; in += 16)
			if (i != 5) {
				(void)stoai_heap_usable(&f->seg, a + in);
				(void)stoai_heap_block(&f->seg, a + in);
			}
		if (i >= 32)
			assert_int_equal(stoai_heap_free(seat, a), -EINVAL);
	}
	stoai_meta_at(&f->seg, 0)->class_index = 5;
	table_of(f)[1] = free_word(70);
	assert_int_equal(fixture_try(seat, 20000, 16, &off), -EBADMSG);
	table_of(f)[1] = body_word(9); /* no head is no memory */
	assert_int_equal(fixture_try(seat, 20000, 16, &off), -ENOSPC);
	assert_int_equal(stoai_heap_usable(&f->seg, a + 16384), 0);
	table_of(f)[1] = large_word(0, 70);
	assert_int_equal(stoai_heap_usable(&f->seg, a + 16384), 0);
	seat->slot->regions = UINT64_MAX;
	assert_int_equal(stoai_heap_recover(&f->seg, 0), -EBADMSG);
	table_of(f)[1] = free_word(63);
}

#define MIB_TEST(t) cmocka_unit_test_setup_teardown(t, open_mib, close_it)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(reciprocals),
		MIB_TEST(alloc_publish_free),
		MIB_TEST(double_free_own),
		MIB_TEST(mark_by_chance),
		MIB_TEST(fresh_is_exact),
		MIB_TEST(remote_frees),
		MIB_TEST(harvest_barrier_holds),
		MIB_TEST(harvest_left_half),
		MIB_TEST(stray_remote_bits),
		MIB_TEST(recovery_abandons),
		MIB_TEST(large_runs),
		MIB_TEST(aligned_run_cuts),
		MIB_TEST(cut_left_half),
		MIB_TEST(join_leaves_one_head),
		MIB_TEST(shaping_may_be_damaged),
		MIB_TEST(join_barrier_holds),
		MIB_TEST(logged_own),
		MIB_TEST(logged_for_the_dead),
		MIB_TEST(unpublish_own),
		MIB_TEST(adoption_is_exclusive),
		MIB_TEST(unpublish_for_the_dead),
		MIB_TEST(alignments),
		MIB_TEST(alignment_refused),
		MIB_TEST(places),
		MIB_TEST(check_table),
		MIB_TEST(check_slabs),
		MIB_TEST(damaged_metas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
