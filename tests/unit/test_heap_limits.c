/* SPDX-License-Identifier: BSL-1.0 */
/* Limits of the heap: growth, full systems, trimming, and who hoards what. */
#include "unit/heap_fixture.h"
#include "heap/block.h"
#include "heap/slab.h"
#include "heap/supply.h"

enum {
	KIB = 1 << 10,
	MIB = 1 << 20
};

static struct heap_fixture *f;

static int
open_mib(void **state)
{
	(void)state;
	f = fixture_open(MIB, MIB, false); /* 64 spans of 16 KiB */
	return 0;
}

static int
open_file(void **state)
{
	(void)state;
	f = fixture_open(MIB, 4 * MIB, true);
	return 0;
}

static int
open_small(void **state)
{
	(void)state;
	f = fixture_open(64 * KIB, 64 * KIB, false); /* 16 spans of 4 KiB */
	return 0;
}

static int
close_it(void **state)
{
	(void)state;
	return fixture_end(&f);
}

/* ---- limits and growth ---- */

static void
limit_says_so(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off[64], one, n = 0;

	(void)state;
	while (n < 64 && !fixture_try(seat, 16384, 16, &off[n]))
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(fixture_try(seat, 800 * KIB, 16, &one), -ENOSPC);
	assert_string_equal(stoa_error_text(),
		"fixture: no memory: 1.0 MiB of 1.0 MiB used, 800.0 KiB wanted "
		"in one piece; free something, or make a new segment with a "
		"larger .limit");
	assert_int_equal(fixture_try(seat, 16, 16, &one), -ENOSPC);
	assert_int_equal(fixture_try(seat, UINT64_MAX, 16, &one), -ENOSPC);
	assert_int_equal(stoai_heap_grow(seat, 1), -ENOSPC);
	assert_int_equal(stoai_heap_free(seat, off[5]), 0);
	assert_int_equal(fixture_try(seat, 16, 16, &one), 0);
	assert_int_equal(span_of(f, one), span_of(f, off[5]));
}

static void
grows(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	struct stat st;
	uint64_t off, blocks;

	(void)state;
	assert_int_equal(stoai_os_stat_fd(f->seg.fd, &st), 0);
	blocks = (uint64_t)st.st_blocks;
	assert_int_equal(stoai_span_count(&f->seg), 64);
	assert_int_equal(stoai_heap_grow(seat, 1), 0);
	assert_int_equal(stoai_span_count(&f->seg), 65);
	assert_int_equal(table_of(f)[64], free_word(1));
	assert_int_equal(
		stoai_header(&f->seg)->committed, f->seg.heap_off + 65 * 16384);
	assert_int_equal(f->seg.committed, f->seg.heap_off + 65 * 16384);
	assert_int_equal(fixture_try(seat, 2 * MIB, 16, &off), 0);
	assert_int_equal(stoai_span_count(&f->seg), 65 + 128);
	memset(stoai_at(&f->seg, off), 1, 2 * MIB);
	assert_int_equal(stoai_os_stat_fd(f->seg.fd, &st), 0);
	assert_true((uint64_t)st.st_blocks >= blocks + 129 * 32);
	assert_int_equal(stoai_heap_grow(seat, 4 * MIB), -ENOSPC);
	assert_int_equal(stoai_heap_grow(seat, (256 - 193) * 16384), 0);
	assert_int_equal(stoai_span_count(&f->seg), 256);
	/* another process's copy of the end is older: it looks again */
	f->seg.committed = f->seg.heap_off;
	assert_true(stoai_in_heap(&f->seg, off, 2 * MIB));
}

static int fail_allocate; /* so many succeed first */

static int
full_system(enum stoai_os_call call)
{
	if (call != STOAI_OS_ALLOCATE)
		return 0;
	return fail_allocate-- > 0 ? 0 : -ENOSPC;
}

static void
system_is_full(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off = 0;

	(void)state;
	stoai_os_fault = full_system;
	for (int i = 0; i < 4; i++) {
		fail_allocate = i / 2;
		assert_int_equal(fixture_try(seat, 2 * MIB, 16, &off), -ENOSPC);
		assert_non_null(
			strstr(stoa_error_text(), "file system is full"));
		assert_int_equal(stoai_span_count(&f->seg), 64);
		fixture_check(f, __LINE__);
	}
	/* as much as is wanted may be there, when more is not */
	fail_allocate = 2;
	assert_int_equal(fixture_try(seat, MIB - 16384, 16, &off), 0);
	assert_int_equal(fixture_try(seat, 20000, 16, &off), -ENOSPC);
	stoai_os_fault = NULL;
	assert_int_equal(fixture_try(seat, 20000, 16, &off), 0);
}

static void
trims(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 256 * KIB),
		 b = fixture_alloc(f, 0, 64);
	uint64_t c = fixture_alloc(f, 0, 256 * KIB), off;
	uint64_t gap = fixture_alloc(f, 0, 29 * 16 * KIB);
	struct stat st;
	uint64_t blocks;

	(void)state;
	(void)fixture_alloc(f, 0, 32 * KIB); /* keeps the end where it is */
	fixture_publish(seat, b);
	assert_int_equal(stoai_heap_free(seat, gap), 0);
	memset(stoai_at(&f->seg, a), 1, 256 * KIB);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_int_equal(stoai_os_stat_fd(f->seg.fd, &st), 0);
	blocks = (uint64_t)st.st_blocks;
	assert_int_equal(stoai_heap_trim(seat), 45 * 16384);
	assert_int_equal(table_of(f)[0], free_word(16) | STOAI_SPAN_PUNCHED);
	assert_int_equal(table_of(f)[33], free_word(29) | STOAI_SPAN_PUNCHED);
	assert_int_equal(stoai_os_stat_fd(f->seg.fd, &st), 0);
	assert_int_equal((uint64_t)st.st_blocks, blocks - 45 * 32);
	assert_int_equal(stoai_heap_trim(seat), 0);
	fixture_check(f, __LINE__);
	/* asked for again; joined only when nothing else will do */
	assert_int_equal(stoai_heap_free(seat, c), 0);
	assert_int_equal(fixture_try(seat, 256 * KIB, 16, &off), 0);
	assert_int_equal(span_of(f, off), 0);
	assert_int_equal(table_of(f)[0], large_word(0, 16));
	assert_int_equal(stoai_heap_free(seat, off), 0);
	assert_int_equal(fixture_try(seat, 272 * KIB, 16, &off), 0);
	assert_int_equal(span_of(f, off), 33);
	assert_int_equal(table_of(f)[33], large_word(0, 17));
	assert_int_equal(table_of(f)[50], free_word(12) | STOAI_SPAN_PUNCHED);
	assert_int_equal(stoai_heap_free(seat, off), 0);
	assert_int_equal(fixture_try(seat, 600 * KIB, 16, &off), 0);
	assert_int_equal(table_of(f)[17], large_word(0, 38));
	assert_int_equal(table_of(f)[55], free_word(7) | STOAI_SPAN_PUNCHED);
	memset(stoai_at(&f->seg, off), 1, 600 * KIB);
}

/* The last run goes whole: the heap is shorter, also for who has it open. */
static void
trim_shortens(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 256 * KIB), off;

	(void)state;
	(void)fixture_alloc(f, 0, 600 * KIB);
	assert_int_equal(stoai_heap_trim(seat), 10 * 16384);
	assert_int_equal(stoai_span_count(&f->seg), 54);
	fixture_check(f, __LINE__);
	/* longer again, and in the same place */
	assert_int_equal(fixture_try(seat, 272 * KIB, 16, &off), 0);
	assert_int_equal(span_of(f, off), 54);
	memset(stoai_at(&f->seg, off), 1, 272 * KIB);
	assert_int_equal(stoai_heap_free(seat, off), 0);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	assert_true(stoai_heap_trim(seat) > 0);
	assert_int_equal(stoai_span_count(&f->seg), 54);
	fixture_check(f, __LINE__);
}

/* Shorter twice, and longer at once: what began there in a former life does not. */
static void
trim_twice_and_grow(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 256 * KIB), off;
	uint64_t b = fixture_alloc(f, 0, 256 * KIB);

	(void)state;
	assert_true(stoai_heap_trim(seat) > 0);
	assert_int_equal(stoai_span_count(&f->seg), 32);
	assert_int_equal(stoai_heap_free(seat, b), 0);
	assert_true(stoai_heap_trim(seat) > 0);
	assert_int_equal(stoai_span_count(&f->seg), 16);
	assert_int_equal(table_of(f)[32] & STOAI_SPAN_LENGTH, 32);
	assert_int_equal(stoai_heap_grow(seat, 600 * KIB), 0);
	fixture_check(f, __LINE__);
	assert_int_equal(fixture_try(seat, 600 * KIB, 16, &off), 0);
	assert_int_equal(span_of(f, off), 16);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	fixture_check(f, __LINE__);
}

/* Whoever has it open read-only may be reading what was freed under him. */
static void
not_punched_under_readers(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	int reader = stoai_os_reopen(f->seg.fd, false);

	(void)state;
	(void)fixture_alloc(f, 0, 64);
	assert_int_equal(stoai_os_lock_byte(
				 reader, STOAI_READER_BYTE, STOAI_LOCK_SHARED),
		0);
	assert_int_equal(stoai_heap_trim(seat), 0);
	assert_int_equal(stoai_span_count(&f->seg), 64);
	assert_int_equal(stoai_os_close(reader), 0);
	assert_int_equal(stoai_heap_trim(seat), MIB - 16384);
	assert_int_equal(stoai_span_count(&f->seg), 1);
}

/* Who is killed between may not leave a run without pages that does not say so. */
static int
marked_when_punched(enum stoai_os_call call)
{
	if (call == STOAI_OS_PUNCH)
		for (uint64_t i = 0; i < stoai_span_count(&f->seg); i++)
			if (table_of(f)[i] & STOAI_SPAN_PUNCHED)
				return 0;
	return call == STOAI_OS_PUNCH ? -EIO : 0;
}

static void
marked_before_punched(void **state)
{
	(void)state;
	(void)fixture_alloc(f, 0, 64);
	stoai_os_fault = marked_when_punched;
	assert_int_equal(stoai_heap_trim(fixture_as(f, 0)), MIB - 16384);
	stoai_os_fault = NULL;
}

static void
punched_and_full(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t a = fixture_alloc(f, 0, 256 * KIB), off;
	uint64_t gap = fixture_alloc(f, 0, 46 * 16 * KIB);

	(void)state;
	(void)fixture_alloc(f, 0, 32 * KIB); /* keeps the end where it is */
	assert_int_equal(stoai_heap_free(seat, gap), 0);
	assert_int_equal(stoai_heap_trim(seat), 46 * 16384);
	assert_int_equal(stoai_heap_free(seat, a), 0);
	stoai_os_fault = full_system;
	fail_allocate = 0;
	/* the search begins at the punched run, and goes elsewhere */
	assert_int_equal(fixture_try(seat, 20000, 16, &off), 0);
	assert_int_equal(off, a);
	assert_int_equal(fixture_try(seat, 256 * KIB, 16, &off), -ENOSPC);
	assert_non_null(strstr(stoa_error_text(), "file system is full"));
	stoai_os_fault = NULL;
	assert_int_equal(fixture_try(seat, 256 * KIB, 16, &off), 0);
	fixture_check(f, __LINE__);
	/* killed while it asks for pages: still without them */
	table_of(f)[span_of(f, off)] |= STOAI_SPAN_PUNCHED;
	fixture_check(f, __LINE__);
	fixture_recover(f, 0);
	assert_int_equal(table_of(f)[span_of(f, off)],
		free_word(16) | STOAI_SPAN_PUNCHED);
}

/* ---- hoarding ---- */

static void
empty_slabs_go_back(void **state)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off[2048];

	(void)state;
	for (int i = 0; i < 2048; i++)
		off[i] = fixture_alloc(f, 0, 64);
	for (int i = 0; i < 8; i++)
		assert_int_equal(table_of(f)[i], slab_word);
	for (int i = 0; i < 2048; i++)
		assert_int_equal(stoai_heap_free(seat, off[i]), 0);
	/* all but the one in use, and what the stack's blocks lie in */
	assert_int_equal(table_of(f)[0], free_word(1));
	assert_int_equal(table_of(f)[1], free_word(1));
	assert_int_equal(table_of(f)[5], free_word(1));
	assert_int_equal(table_of(f)[7], slab_word);
	stoai_heap_relax(seat);
	assert_true(heap_is_whole(f));
}

/* Half the heap in blocks of one size, freed so that the last lie in all spans. */
static void
spread(uint64_t size)
{
	struct stoai_seat *seat = fixture_as(f, 0);
	uint64_t off[512], each = 16 * KIB / size, n = 32 * each;

	for (uint64_t i = 0; i < n; i++) {
		off[i] = fixture_alloc(f, 0, size);
		fixture_publish(seat, off[i]);
	}
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(
			stoai_heap_free(seat, off[i % 32 * each + i / 32]), 0);
}

/* The bound that heap/README.md gives, of bytes and of spans. */
static void
cached_is_bounded(void **state)
{
	struct stoai_heap_stat stat;

	(void)state;
	for (uint64_t size = 1024; size <= 4096; size *= 2) {
		uint64_t slabs = 0;

		spread(size);
		stoai_heap_statistics(&f->seg, &stat);
		assert_int_equal(stat.used, 0);
		assert_in_range(stat.transient, 1, 2 * 16 * KIB);
		for (int i = 0; i < 64; i++)
			slabs += stoai_span_state(table_of(f)[i]) ==
				 STOAI_SPAN_SLAB;
		assert_in_range(slabs, 1, 16 * KIB / size + 2);
		stoai_heap_relax(&f->seat[0]);
		assert_true(heap_is_whole(f));
	}
}

static void
relax_lets_others_in(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), b = fixture_alloc(f, 0, 96);

	(void)state;
	fixture_publish(fixture_as(f, 0), a);
	f->seat[0].lane->cursor += 16; /* a transaction is open: keep them */
	stoai_heap_relax(&f->seat[0]);
	assert_int_equal(
		(uint32_t)stoai_meta_at(&f->seg, 0)->owner, f->seat[0].word);
	f->seat[0].lane->cursor -= 16;
	stoai_heap_relax(&f->seat[0]);
	assert_int_equal((uint32_t)stoai_meta_at(&f->seg, 0)->owner, 0);
	assert_int_equal(bits_of(f, 0)->alloc, 1);
	/* with a transient it stays */
	assert_int_equal(
		(uint32_t)stoai_meta_at(&f->seg, 1)->owner, f->seat[0].word);
	assert_int_equal(bits_of(f, 1)->alloc, 1);
	fixture_check(f, __LINE__);
	assert_int_equal(fixture_alloc(f, 1, 64), a + 64);
	/* region 1 is named yet, 0 is not */
	assert_int_equal(f->seat[0].slot->regions, 2);
	/* and who relaxed goes on with what he has */
	assert_int_equal(fixture_alloc(f, 0, 96), b + 96);
	assert_int_equal(span_of(f, fixture_alloc(f, 0, 64)), 2);
}

/* What the dead left empty but for remote frees serves any class. */
static void
abandoned_are_swept(void **state)
{
	uint64_t off[64 * 2], n = 0, one;

	(void)state;
	while (!fixture_try(fixture_as(f, 0), 8192, 16, &off[n])) {
		fixture_publish(&f->seat[0], off[n]);
		n++;
	}
	assert_int_equal(n, 128);
	fixture_recover(f, 0);
	fixture_as(f, 1);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(stoai_heap_free(&f->seat[1], off[i]), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], off[7]), 0);
	f->seat[2].slot->freeing = off[0]; /* not yet */
	assert_int_equal(fixture_try(&f->seat[1], 32768, 16, &one), 0);
	assert_int_equal(span_of(f, one), 1);
	assert_int_equal(fixture_try(&f->seat[1], 16384, 16, &one), -ENOSPC);
	f->seat[2].slot->freeing = 0;
	assert_int_equal(fixture_try(&f->seat[1], 16384, 16, &one), 0);
	assert_int_equal(span_of(f, one), 0);
	assert_int_equal(fixture_try(&f->seat[1], 8192, 16, &one), 0);
	assert_int_equal(one, off[7]);
}

/* A living owner's slab whose blocks others freed is found by its owner. */
static void
own_slabs_are_found(void **state)
{
	uint64_t off[64 * 2], one;

	(void)state;
	for (uint64_t i = 0; i < 128; i++) {
		off[i] = fixture_alloc(f, 0, 8192);
		fixture_publish(&f->seat[0], off[i]);
	}
	fixture_as(f, 1);
	assert_int_equal(stoai_heap_free(&f->seat[1], off[20]), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], off[100]), 0);
	assert_int_equal(stoai_heap_free(&f->seat[1], off[101]), 0);
	one = fixture_alloc(f, 0, 8192);
	assert_true(one == off[20] || one == off[100] || one == off[101]);
	(void)fixture_alloc(f, 0, 8192);
	(void)fixture_alloc(f, 0, 8192);
	assert_int_equal(fixture_try(&f->seat[0], 8192, 16, &one), -ENOSPC);
	assert_int_equal(stoai_heap_free(fixture_as(f, 0), off[0]), 0);
	assert_int_equal(stoai_heap_free(&f->seat[0], off[1]), 0);
	assert_int_equal(fixture_try(&f->seat[0], 16384, 16, &one), 0);
}

/* 64 KiB: four threads with eight sizes each, and nobody is shut out. */
static void
small_segment(void **state)
{
	uint64_t off;

	(void)state;
	assert_int_equal(f->seg.span_shift, 12);
	for (uint32_t i = 0; i < 4; i++)
		for (uint64_t size = 16; size <= 64; size += 16)
			(void)fixture_alloc(f, i, size);
	for (uint32_t i = 0; i < 4; i++)
		stoai_heap_relax(fixture_as(f, i));
	/* a larger class helps out when there is no span */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(
			fixture_try(fixture_as(f, i), 40, 16, &off), 0);
	for (uint32_t i = 0; i < 4; i++)
		for (int k = 0; k < 20; k++)
			(void)fixture_alloc(f, i, 64);
	assert_int_equal(fixture_try(fixture_as(f, 0), 200, 16, &off), -ENOSPC);
	assert_int_equal(fixture_try(fixture_as(f, 0), 24, 8, &off), 0);
	assert_true(stoai_heap_usable(&f->seg, off) >= 24);
}

static void
buffer_is_whole(void **state)
{
	struct heap_fixture *g = fixture_open(4 * KIB, 64 * KIB, false);

	(void)state;
	assert_int_equal(g->seg.span_shift, 8);
	assert_int_equal(stoai_span_count(&g->seg), 16);
	g->seg.caller_memory = true;
	assert_int_equal(stoai_heap_format(&g->seg, 64 * KIB), 0);
	assert_int_equal(stoai_span_count(&g->seg), 256);
	assert_int_equal(table_of(g)[0], free_word(256));
	assert_int_equal(stoai_heap_trim(fixture_as(g, 0)), 0);
	fixture_close(g);
}

/* ---- sums ---- */

static int
count_block(void *user, uint64_t off, uint64_t size)
{
	uint64_t *sum = user;

	sum[0]++;
	sum[1] += size;
	assert_true(off > sum[2]);
	sum[2] = off;
	return sum[0] == sum[3] ? 5 : 0;
}

static void
statistics(void **state)
{
	uint64_t a = fixture_alloc(f, 0, 64), sum[4] = {0};
	uint64_t big = fixture_alloc(f, 0, 20000);
	struct stoai_heap_stat s;

	(void)state;
	fixture_publish(&f->seat[0], a);
	fixture_publish(&f->seat[0], big);
	(void)fixture_alloc(f, 0, 30000);
	stoai_heap_statistics(&f->seg, &s);
	assert_int_equal(s.committed, MIB);
	assert_int_equal(s.used, 64 + 32768);
	assert_int_equal(s.blocks, 2);
	assert_int_equal(s.transient, 63 * 64 + 32768);
	assert_int_equal(stoai_heap_each(&f->seg, count_block, sum), 0);
	assert_int_equal(sum[0], 2);
	assert_int_equal(sum[1], 64 + 32768);
	sum[0] = sum[2] = 0;
	sum[3] = 1;
	assert_int_equal(stoai_heap_each(&f->seg, count_block, sum), 5);
	assert_int_equal(stoai_heap_free(&f->seat[1], a), 0);
	stoai_heap_statistics(&f->seg, &s);
	assert_int_equal(s.blocks, 1);
	assert_int_equal(s.used, 32768);
}

#define MIB_TEST(t)   cmocka_unit_test_setup_teardown(t, open_mib, close_it)
#define FILE_TEST(t)  cmocka_unit_test_setup_teardown(t, open_file, close_it)
#define SMALL_TEST(t) cmocka_unit_test_setup_teardown(t, open_small, close_it)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MIB_TEST(limit_says_so),
		FILE_TEST(grows),
		FILE_TEST(system_is_full),
		FILE_TEST(trims),
		FILE_TEST(trim_shortens),
		FILE_TEST(trim_twice_and_grow),
		FILE_TEST(not_punched_under_readers),
		FILE_TEST(marked_before_punched),
		FILE_TEST(punched_and_full),
		MIB_TEST(empty_slabs_go_back),
		MIB_TEST(cached_is_bounded),
		MIB_TEST(relax_lets_others_in),
		MIB_TEST(abandoned_are_swept),
		MIB_TEST(own_slabs_are_found),
		SMALL_TEST(small_segment),
		cmocka_unit_test(buffer_is_whole),
		MIB_TEST(statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
