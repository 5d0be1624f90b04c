/* SPDX-License-Identifier: BSL-1.0 */
/* Raw blocks: made, freed, resized in place, looked for, zeroed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>
#include "heap/heap.h"
#include "heap/run.h"
#include "heap/span.h"
#include "segment/log.h"
#include "stoa/stoa.h"

typedef STOA_REF(uint8_t) raw;
typedef struct store {
	raw block[8];
} store;
STOA_TYPE(store, (block, uint8_t, own));

enum {
	SIZE = 1 << 20,
	SPAN = 1 << 14
};

static stoa_segment *pool;
static const store *st;

static int
begin(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		       STOA_SEGMENT_OPTIONS(.size = SIZE, .limit = SIZE),
		       &pool) ||
	       stoa_object_open(pool, "store", store, &st);
}

static int
end(void **state)
{
	int rc = stoa_segment_check(pool);
	int64_t leaked = stoa_segment_leaked(pool);

	(void)state;
	if (rc || leaked)
		print_error("%s; %lld leaked\n", stoa_error_text(),
			(long long)leaked);
	pool = stoa_segment_close(pool);
	return rc || leaked;
}

static uint64_t
used(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(pool, &s);
	return s.used;
}

/* A committed block of the store's field i, filled with its number. */
static const uint8_t *
kept(unsigned i, uint64_t size, uint64_t align)
{
	void *p;

	STOA_TX(tx, pool);
	p = stoa_alloc(tx, size, align);
	memset(p, (int)i + 1, size);
	STOA_LINK(tx, st->block[i], (const uint8_t *)p);
	assert_int_equal(stoa_tx_commit(tx), 0);
	return p;
}

static void
dropped(unsigned i)
{
	STOA_TX(tx, pool);
	stoa_free(tx, stoa_get(tx, st->block[i]));
	STOA_LINK(tx, st->block[i], NULL);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
holds(const uint8_t *p, uint64_t size, unsigned i)
{
	for (uint64_t at = 0; at < size; at++)
		if (p[at] != i + 1)
			fail_msg("byte %llu is %u", (unsigned long long)at,
				p[at]);
}

/* ---- made and freed ---- */

static void
aligned_without_waste(void **state)
{
	static const uint64_t wish[][3] = {/* size, align, bytes it may use */
		{64, 64, 64}, {4096, 4096, 4096}, {3000, 1024, 3072},
		{600000, 64, 606208}, {1, 0, 16}, {0, 16, 16},
		{65536, 65536, 65536}, {100, 128, 128}};

	(void)state;
	for (size_t i = 0; i < sizeof wish / sizeof *wish; i++) {
		uint64_t before = used();

		STOA_TX(tx, pool);
		char *p = stoa_alloc(tx, wish[i][0], wish[i][1]);
		assert_int_equal(stoa_tx_error(tx), 0);
		if (wish[i][1])
			assert_int_equal((uintptr_t)p & (wish[i][1] - 1), 0);
		assert_true(stoa_usable(tx, p) >= wish[i][0]);
		assert_int_equal(used() - before, wish[i][2]);
	}
}

/* Also the address, and without more than the next boundary of heap. */
static void
aligned_to_two_mebibytes(void **state)
{
	stoa_segment *large = NULL;
	stoa_segment_stat s;

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE, NULL, &large), 0);
	for (int i = 0; i < 4; i++) {
		STOA_TX(tx, large);
		char *p = stoa_alloc(tx, 100 << 10, 2 << 20);
		assert_int_equal((uintptr_t)p & ((2 << 20) - 1), 0);
		stoa_segment_statistics(large, &s);
		assert_true(s.used < (150 << 10));
		assert_true(s.size <= (4 << 20));
	}
	stoa_segment_close(large);
}

static void
failures_stick(void **state)
{
	void *many[3];

	(void)state;
	{
		STOA_TX(tx, pool);
		char *p = stoa_alloc(tx, 2 * SIZE, 4096);
		assert_int_equal(stoa_tx_error(tx), -ENOSPC);
		assert_false(stoa_belongs(pool, p));
		assert_int_equal((uintptr_t)p & 4095, 0);
		memset(p, 1, 2 * SIZE);
		assert_false(stoa_alloc_many(tx, 3, 100, 0, many));
		memset(many[2], 1, 100);
		assert_int_equal(stoa_tx_commit(tx), -ENOSPC);
	}
	{
		static const uint64_t huge[] = {
			UINT64_MAX, UINT64_MAX - 16, UINT64_C(1) << 63};

		for (size_t i = 0; i < 3; i++) {
			STOA_TX(tx, pool);
			const void *p = stoa_alloc(tx, 3 * SPAN, 0);
			stoa_wish w = {.old = p, .size = huge[i], .how = 31};
			assert_int_equal(stoa_obtain(tx, &w), -ENOSPC);
			(void)stoa_resize(tx, p, huge[i], 0);
			assert_int_equal(stoa_tx_commit(tx), -ENOSPC);
		}
	}
	{
		STOA_TX(tx, pool);
		(void)stoa_alloc(tx, 1, 24);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	{
		STOA_TX(tx, pool);
		(void)stoa_alloc(tx, 1, 4 << 20);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	{
		STOA_TX(tx, pool);
		char *p = stoa_alloc(tx, 100, 0);
		stoa_free(tx, p + 16);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	{
		STOA_TX(tx, pool);
		stoa_free(tx, many);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
}

static void
many_or_none(void **state)
{
	uint64_t before = used(), sizes[150];
	void *p[150];

	(void)state;
	for (unsigned i = 0; i < 150; i++)
		sizes[i] = i * 37;
	{
		STOA_TX(tx, pool);
		assert_true(stoa_alloc_many(tx, 150, 60, 0, p));
		for (unsigned i = 0; i < 150; i++)
			memset(p[i], 1, 60);
		for (unsigned i = 0; i < 150; i++)
			stoa_free(tx, p[i]);
		assert_true(stoa_alloc_sizes(tx, 150, sizes, 64, p));
		for (unsigned i = 0; i < 150; i++) {
			assert_true(stoa_usable(tx, p[i]) >= sizes[i]);
			assert_int_equal((uintptr_t)p[i] & 63, 0);
			memset(p[i], 2, sizes[i]);
		}
		stoa_free_many(tx, 150, (const void *const *)p);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(used(), before);
	{
		STOA_TX(tx, pool);
		assert_false(stoa_alloc_many(tx, 150, SIZE / 100, 0, p));
		assert_int_equal(stoa_tx_commit(tx), -ENOSPC);
	}
	assert_int_equal(used(), before);
}

/* ---- longer and shorter ---- */

static void
longer_in_place(void **state)
{
	uint64_t before = used();
	const uint8_t *p = kept(0, 5 * SPAN, 0);
	const void *q;

	(void)state;
	{
		STOA_TX(tx, pool);
		q = stoa_resize(tx, p, 7 * SPAN, 0);
		assert_ptr_equal(q, p);
		assert_int_equal(stoa_usable(tx, p), 7 * SPAN);
		assert_int_equal(stoai_heap_check(pool), 0);
		memset(stoa_edit_bytes(tx, p, 7 * SPAN), 9, 7 * SPAN);
	} /* undone */
	holds(p, 5 * SPAN, 0);
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_usable(tx, p), 5 * SPAN);
		q = stoa_resize(tx, p, 7 * SPAN - 9, 0);
		assert_ptr_equal(q, p);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	holds(p, 5 * SPAN, 0);
	dropped(0);
	assert_int_equal(used(), before);
}

static void
longer_elsewhere(void **state)
{
	const uint8_t *p = kept(0, 2 * SPAN, 0), *wall = kept(1, SPAN, 0);
	uint64_t before = used();
	const uint8_t *q;

	(void)state;
	assert_ptr_equal(wall, p + 2 * SPAN);
	{
		STOA_TX(tx, pool);
		q = stoa_resize(tx, p, 3 * SPAN, 64);
		assert_ptr_not_equal(q, p);
		STOA_LINK(tx, st->block[0], q);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	holds(q, 2 * SPAN, 0);
	assert_int_equal(used(), before + SPAN);
}

static void
small_ones_stay_in_their_class(void **state)
{
	const uint8_t *p = kept(0, 100, 0);

	(void)state;
	STOA_TX(tx, pool);
	assert_int_equal(stoa_usable(tx, p), 112);
	assert_ptr_equal(stoa_resize(tx, p, 112, 0), p);
	assert_ptr_equal(stoa_resize(tx, p, 1, 0), p);
	assert_ptr_not_equal(stoa_resize(tx, p, 113, 0), p);
	(void)stoa_tx_fail(tx, -EDOM);
}

static void
shorter_in_place(void **state)
{
	const uint8_t *p = kept(0, 6 * SPAN, 0);
	uint64_t before = used();

	(void)state;
	{
		STOA_TX(tx, pool);
		assert_ptr_equal(stoa_resize(tx, p, 2 * SPAN, 0), p);
		assert_int_equal(stoa_usable(tx, p), 2 * SPAN);
		/* nobody has what was given up before it is committed */
		assert_int_equal(used(), before);
		assert_int_equal(stoai_heap_check(pool), 0);
	}
	assert_int_equal(used(), before);
	holds(p, 6 * SPAN, 0);
	{
		STOA_TX(tx, pool);
		assert_ptr_equal(stoa_resize(tx, p, 2 * SPAN, 0), p);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(used(), before - 4 * SPAN);
	holds(p, 2 * SPAN, 0);
}

static void
middle_is_kept(void **state)
{
	const uint8_t *p = kept(0, 6 * SPAN, 0), *q;
	uint64_t before = used();

	(void)state;
	{
		STOA_TX(tx, pool);
		q = stoa_keep(tx, p, 2 * SPAN + 5, SPAN);
		assert_ptr_equal(q, p + 2 * SPAN);
		STOA_LINK(tx, st->block[0], q);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	holds(q, 2 * SPAN, 0);
	assert_int_equal(used(), before - 4 * SPAN);
	{
		STOA_TX(tx, pool);
		(void)stoa_keep(tx, q, SPAN, 2 * SPAN);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
}

/* ---- wishes ---- */

static void
wish_both_ways(void **state)
{
	const uint8_t *front = kept(0, 3 * SPAN, 0), *p = kept(1, 2 * SPAN, 0);
	stoa_wish w = {.old = p,
		.size = 4 * SPAN,
		.how = STOA_WISH_BACKWARD | STOA_WISH_ZERO};

	(void)state;
	assert_ptr_equal(p, front + 3 * SPAN);
	{
		STOA_TX(tx, pool); /* nothing in front of it is free */
		assert_int_equal(stoa_obtain(tx, &w), -ENOSPC);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(w.usable, 2 * SPAN);
		assert_null(w.p);
	}
	dropped(0);
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_true(w.kept);
		assert_ptr_equal(w.p, p - 2 * SPAN);
		assert_int_equal(w.usable, 4 * SPAN);
		assert_int_equal(stoa_usable(tx, p), 0);
		assert_ptr_equal(stoa_block_of(tx, p + 100), w.p);
		assert_int_equal(p[-1], 0);
		assert_int_equal(stoai_heap_check(pool), 0);
	}
	holds(p, 2 * SPAN, 1);
	w.how = STOA_WISH_FORWARD | STOA_WISH_BACKWARD | STOA_WISH_NEW;
	w.size = 40 * SPAN;
	{
		STOA_TX(tx, pool); /* behind it is enough */
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_ptr_equal(w.p, p);
		assert_int_equal(w.usable, 40 * SPAN);
	}
	(void)kept(2, 50 * SPAN, 0); /* takes most of what is behind */
	{
		STOA_TX(tx, pool);
		w.size = 5 * SPAN;
		w.align = SPAN * 2;
		assert_int_equal(stoa_obtain(tx, &w), 0);
		STOA_LINK(tx, st->block[1], (const uint8_t *)w.p);
		if (!w.kept)
			stoa_free(tx, p);
		assert_int_equal(stoa_tx_commit(tx), 0);
		assert_int_equal((uintptr_t)w.p % (2 * SPAN), 0);
	}
}

static void
wish_less(void **state)
{
	const uint8_t *p = kept(0, 2 * SPAN, 0), *wall;
	stoa_wish w = {.old = p,
		.size = 10 * SPAN,
		.least = 3 * SPAN,
		.how = STOA_WISH_FORWARD};

	(void)state;
	(void)kept(1, 3 * SPAN, 0);
	wall = kept(2, SPAN, 0);
	dropped(1);
	{
		STOA_TX(tx, pool); /* what there is, between least and size */
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_ptr_equal(w.p, p);
		assert_int_equal(w.usable, 5 * SPAN);
		assert_ptr_equal(p + 5 * SPAN, wall);
	}
	w.least = 6 * SPAN;
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_obtain(tx, &w), -ENOSPC);
		w.how |= STOA_WISH_NEW;
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_false(w.kept);
		assert_int_equal(w.usable, 10 * SPAN);
	}
	w.size = 2 * SIZE;
	{
		STOA_TX(tx, pool); /* the largest piece that there is */
		stoa_memory_stat m;
		stoa_memory_statistics(pool, &m);
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_int_equal(w.usable, m.largest);
	}
	w.least = 2 * SIZE;
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_obtain(tx, &w), -ENOSPC);
		w.size = w.usable; /* the size that might be had */
		w.least = 0;
		assert_int_equal(stoa_obtain(tx, &w), 0);
	}
	w = (stoa_wish){.old = p, .size = SPAN, .how = STOA_WISH_SHRINK};
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_obtain(tx, &w), 0);
		assert_ptr_equal(w.p, p);
		assert_int_equal(w.usable, SPAN);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	w = (stoa_wish){.size = 100, .align = 24};
	{
		STOA_TX(tx, pool);
		assert_int_equal(stoa_obtain(tx, &w), -EINVAL);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
}

/* The heap's end is no wall: it grows. */
static void
longer_than_the_heap(void **state)
{
	stoa_segment *large = NULL;
	const void *p;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.limit = 64 << 20), &large),
		0);
	{
		STOA_TX(tx, large);
		p = stoa_alloc(tx, 128 << 10, 0);
		assert_ptr_equal(stoa_resize(tx, p, 20 << 20, 0), p);
		assert_true(stoa_usable(tx, p) >= 20 << 20);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(stoai_heap_check(large), 0);
	}
	stoa_segment_close(large);
}

/* Spans whose pages went back to the system get them again before they are merged. */
static void
longer_over_what_was_trimmed(void **state)
{
	const uint8_t *p = kept(0, 2 * SPAN, 0), *wall;
	uint8_t *q;

	(void)state;
	(void)kept(1, 3 * SPAN, 0);
	wall = kept(2, SPAN, 0);
	dropped(1);
	assert_true(stoa_segment_trim(pool) >= 3 * SPAN);
	assert_true(stoai_span_load(
			    pool, stoai_span_of(pool, stoai_off(pool, p)) + 2) &
		    STOAI_SPAN_PUNCHED);
	{
		STOA_TX(tx, pool);
		assert_ptr_equal(stoa_resize(tx, p, 4 * SPAN, 0), p);
		q = stoa_edit_bytes(tx, p + 2 * SPAN, 2 * SPAN);
		memset(q, 1, 2 * SPAN);
		assert_int_equal(stoai_heap_check(pool), 0);
		assert_ptr_equal(stoa_resize(tx, p, 5 * SPAN, 0), p);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_ptr_equal(p + 5 * SPAN, wall);
	holds(p, 4 * SPAN, 0);
}

/* Checked mode knows which bytes of a longer block are new, and which are not. */
static void
checked_mode_knows_what_is_new(void **state)
{
	stoa_segment *seg = NULL;
	const store *s = NULL;
	uint8_t *p;
	const uint8_t *q;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_CHECKED,
			STOA_SEGMENT_OPTIONS(.size = SIZE, .limit = SIZE),
			&seg),
		0);
	assert_int_equal(stoa_object_open(seg, "store", store, &s), 0);
	{
		STOA_TX(tx, seg);
		p = stoa_alloc(tx, 2 * SPAN, 0);
		memset(p, 1, 2 * SPAN);
		STOA_LINK(tx, s->block[0], p);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		q = stoa_resize(tx, p, 4 * SPAN, 0);
		assert_ptr_equal(q, p);
		memset(p + 2 * SPAN, 2, 2 * SPAN);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		(void)stoa_resize(tx, p, 6 * SPAN, 0);
		p[100] = 7; /* without undo */
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	p[100] = 1;
	stoa_segment_close(seg);
}

/* ---- the words ---- */

/* Whatever step a death came after, the undo from its top ends at the same words. */
static void
undo_from_every_step(void **state)
{
	uint64_t off, span, n = 3, k = 4, was[8], now[8];
	const uint8_t *p = kept(0, 7 * SPAN, 0);
	uint32_t me = stoai_seat_of(pool)->index;

	(void)state;
	off = stoai_off(pool, p);
	span = stoai_span_of(pool, off);
	for (int i = 0; i < 8; i++)
		was[i] = stoai_span_load(pool, span + (uint64_t)i);
	for (int step = 0; step < 3; step++) {
		assert_int_equal(stoai_heap_split(pool, me, off, n, k), 0);
		assert_int_equal(stoai_heap_check(pool), 0);
		if (step == 1) /* S1, S2 alone */
			for (uint64_t i = 1; i < k; i++)
				*stoai_span_at(pool, span + n + i) = was[n + i];
		if (step == 2) /* S1 alone */
			*stoai_span_at(pool, span) = was[0];
		assert_int_equal(stoai_heap_merge(pool, off, n, k), 0);
		assert_int_equal(stoai_heap_merge(pool, off, n, k), 0);
		for (int i = 0; i < 8; i++)
			now[i] = stoai_span_load(pool, span + (uint64_t)i);
		assert_memory_equal(was, now, sizeof was);
	}
}

static void
nothing_of_the_record_is_believed(void **state)
{
	const uint8_t *p = kept(0, 4 * SPAN, 0);
	uint64_t off = stoai_off(pool, p);
	uint64_t count = stoai_span_count(pool);

	(void)state;
	assert_int_equal(stoai_heap_split(pool, 0, off, 0, 4), -EBADMSG);
	assert_int_equal(stoai_heap_split(pool, 0, off, 4, 0), -EBADMSG);
	assert_int_equal(stoai_heap_split(pool, 0, off, 2, 3), -EBADMSG);
	assert_int_equal(stoai_heap_merge(pool, off, 4, 1), -EBADMSG);
	assert_int_equal(stoai_heap_merge(pool, off, 2, count), -EBADMSG);
	assert_int_equal(
		stoai_heap_merge(pool, off, UINT64_MAX - 1, 2), -EBADMSG);
	assert_int_equal(stoai_heap_split(pool, 0, off + SPAN, 1, 2), -EBADMSG);
}

/* I2 is demanded of what nobody resizes. */
static void
torn_insides_are_found(void **state)
{
	const uint8_t *p = kept(0, 4 * SPAN, 0);
	uint64_t *word = stoai_span_at(
		pool, stoai_span_of(pool, stoai_off(pool, p)) + 2);
	uint64_t was = *word;

	(void)state;
	*word = stoai_span_word(STOAI_SPAN_BODY, 0, 1);
	assert_int_equal(stoa_segment_check(pool), -EBADMSG);
	assert_non_null(strstr(stoa_error_text(), "heap I2"));
	*word = was;
}

/* Who asks all slots may ask the first few: a slot behind them is damage. */
static void
no_slot_is_behind_the_last(void **state)
{
	uint32_t *count = &stoai_header(pool)->slots_used, was = *count;

	(void)state;
	assert_int_equal(was, stoai_seat_of(pool)->index + 1);
	assert_int_equal(stoai_slots_used(pool), was);
	*count = 0; /* not known: all of them */
	assert_int_equal(stoai_slots_used(pool), pool->slot_count);
	*count = UINT32_MAX;
	assert_int_equal(stoai_slots_used(pool), pool->slot_count);
	*count = was;
	stoai_slot_at(pool, was)->paged = 1;
	assert_int_equal(stoa_segment_check(pool), -EBADMSG);
	assert_non_null(strstr(stoa_error_text(), "segment I6"));
	stoai_slot_at(pool, was)->paged = 0;
}

/* ---- looking ---- */

static void
references_as_text(void **state)
{
	const uint8_t *p = kept(0, 100, 0);
	char text[40];
	stoa_ref ref = {7};

	(void)state;
	STOA_READ(rd, pool);
	(void)snprintf(text, sizeof text, "%llu",
		(unsigned long long)stoa_ref_of(rd, p).off);
	assert_int_equal(stoa_ref_parse(text, &ref), 0);
	assert_ptr_equal(stoa_at(rd, ref, 100), p);
	(void)snprintf(text, sizeof text, "0x%llX",
		(unsigned long long)stoa_ref_of(rd, p).off);
	ref.off = 7;
	assert_int_equal(stoa_ref_parse(text, &ref), 0);
	assert_ptr_equal(stoa_at(rd, ref, 100), p);
	ref.off = 7;
	assert_int_equal(stoa_ref_parse("", &ref), -EINVAL);
	assert_int_equal(stoa_ref_parse(NULL, &ref), -EINVAL);
	assert_int_equal(stoa_ref_parse("0", &ref), -EINVAL);
	assert_int_equal(stoa_ref_parse("-16", &ref), -EINVAL);
	assert_int_equal(stoa_ref_parse(" 16", &ref), -EINVAL);
	assert_int_equal(stoa_ref_parse("16k", &ref), -EINVAL);
	assert_int_equal(
		stoa_ref_parse("99999999999999999999999", &ref), -EINVAL);
	assert_int_equal(ref.off, 7);
	assert_true(stoa_belongs(pool, p));
	assert_false(stoa_belongs(pool, &ref));
	assert_false(stoa_belongs(pool, NULL));
	assert_ptr_equal(stoa_block_of(rd, p + 99), p);
	assert_int_equal(stoa_usable(rd, p + 1), 0);
	assert_int_equal(stoa_usable(rd, &ref), 0);
	assert_null(stoa_block_of(rd, &ref));
}

static void
owned_goes_with_its_owner(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	(void)kept(0, 1000, 0);
	(void)kept(3, 5 * SPAN, 0);
	assert_int_equal(stoa_segment_leaked(pool), 0);
	{
		STOA_READ(rd, pool);
		assert_int_equal(
			stoa_type_dump(rd, stoa_type_of(store), st, out), 0);
	}
	(void)fclose(out);
	assert_non_null(strstr(text, "\"bytes\":1024}"));
	assert_non_null(strstr(text, "\"bytes\":81920}"));
	free(text);
	{
		STOA_TX(tx, pool);
		STOA_LINK(tx, st->block[0], NULL); /* nobody's now */
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_leaked(pool), 1);
	assert_int_equal(stoa_memory_unused(pool), 0);
	{
		STOA_TX(tx, pool);
		assert_true(stoa_object_destroy(tx, "store"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_leaked(pool), 1);
}

static int
end_with_one(void **state)
{
	(void)state;
	assert_int_equal(stoai_heap_check(pool), 0);
	pool = stoa_segment_close(pool);
	return 0;
}

static void
all_is_freed(void **state)
{
	stoa_memory_stat first, then;

	(void)state;
	assert_int_equal(stoa_memory_unused(pool), 0);
	stoa_memory_statistics(pool, &first);
	(void)kept(0, 3 * SPAN, 0);
	(void)kept(1, 300, 0);
	stoa_memory_statistics(pool, &then);
	assert_int_equal(first.free - then.free, 3 * SPAN + 320);
	assert_true(then.largest < first.largest);
	dropped(0);
	dropped(1);
	stoa_memory_statistics(pool, &then);
	assert_int_equal(first.free, then.free);
	assert_int_equal(then.free, then.free_max); /* the limit is reached */
	{
		STOA_TX(tx, pool);
		assert_true(stoa_object_destroy(tx, "store"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_memory_unused(pool), 1);
}

/* ---- zeroing ---- */

static const char secret[] = "a secret that must not stay in memory";

static unsigned
secrets(void)
{
	const char *at = pool->base;
	const char *to = at + stoai_committed(pool);
	unsigned n = 0;

	while ((at = memmem(at, (size_t)(to - at), secret + 8,
			sizeof secret - 8))) {
		n++;
		at++;
	}
	return n;
}

static void
spread(stoa_tx *tx)
{
	for (unsigned i = 0; i < 300; i++) {
		char *p = stoa_alloc(tx, 48 + i * 7, 0);

		memcpy(p + 8, secret, sizeof secret);
	}
	char *p = stoa_alloc(tx, 6 * SPAN, 0);
	for (unsigned at = 0; at < 6 * SPAN; at += 64)
		memcpy(p + at, secret, sizeof secret);
}

static void
zeroed(void **state)
{
	const uint8_t *p = kept(0, sizeof secret, 0);

	(void)state;
	{
		STOA_TX(tx, pool);
		spread(tx);
		memcpy(stoa_edit_bytes(tx, p, sizeof secret), secret,
			sizeof secret);
		assert_int_equal(stoa_memory_zero(pool), -EBUSY);
		(void)stoa_edit_bytes(tx, p, 8);
	}
	assert_true(secrets() > 300);
	assert_int_equal(stoa_memory_zero(pool), 0);
	assert_int_equal(secrets(), 0);
	holds(p, sizeof secret, 0);
	{
		STOA_TX(tx,
			pool); /* what is in use is let alone; the log is not */
		memcpy(stoa_edit_bytes(tx, p, sizeof secret), secret,
			sizeof secret);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, pool);
		memset(stoa_edit_bytes(tx, p, sizeof secret), 1, sizeof secret);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_true(secrets() > 0);
	assert_int_equal(stoa_memory_zero(pool), 0);
	assert_int_equal(secrets(), 0);
}

static pthread_barrier_t meet;

static void *
other_main(void *user)
{
	(void)user;
	{
		STOA_TX(tx, pool);
		spread(tx);
	}
	pthread_barrier_wait(&meet);
	pthread_barrier_wait(&meet);
	stoa_segment_detach(pool);
	return NULL;
}

/* What another thread keeps is told, and goes when the thread has gone. */
static void
zeroed_beside_others(void **state)
{
	pthread_t other;
	int64_t left;

	(void)state;
	pthread_barrier_init(&meet, NULL, 2);
	assert_int_equal(pthread_create(&other, NULL, other_main, NULL), 0);
	pthread_barrier_wait(&meet);
	left = stoa_memory_zero(pool);
	assert_true(left > 0);
	assert_true(secrets() * sizeof secret <= (uint64_t)left);
	assert_true(secrets() > 0);
	pthread_barrier_wait(&meet);
	pthread_join(other, NULL);
	assert_int_equal(stoa_memory_zero(pool), 0);
	assert_int_equal(secrets(), 0);
	pthread_barrier_destroy(&meet);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(aligned_without_waste),
		TEST(aligned_to_two_mebibytes),
		TEST(failures_stick),
		TEST(many_or_none),
		TEST(longer_in_place),
		TEST(longer_elsewhere),
		TEST(small_ones_stay_in_their_class),
		TEST(shorter_in_place),
		TEST(middle_is_kept),
		TEST(wish_both_ways),
		TEST(wish_less),
		TEST(longer_than_the_heap),
		TEST(longer_over_what_was_trimmed),
		TEST(checked_mode_knows_what_is_new),
		TEST(undo_from_every_step),
		TEST(nothing_of_the_record_is_believed),
		TEST(torn_insides_are_found),
		TEST(no_slot_is_behind_the_last),
		TEST(references_as_text),
		cmocka_unit_test_setup_teardown(
			owned_goes_with_its_owner, begin, end_with_one),
		TEST(all_is_freed),
		TEST(zeroed),
		TEST(zeroed_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
