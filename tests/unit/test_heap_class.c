/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Other heaps behind one struct of functions: all of them do what the suite of
 * libstoa-explore asks, also one that a program brings; each mistake of a class is
 * found. Then what the library does with any of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>
#include "own_heap.h"
#include "segment/seat.h"
#include "stoa/conformance.h"
#include "stoa/stoa.h"

#define STOA_NAME words
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include "stoa/template/hashmap.h"
#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include "stoa/template/vec.h"

typedef STOA_REF(uint8_t) raw;
typedef struct kept {
	raw block[8];
	words map;
	numbers list;
} kept;
STOA_TYPE(kept, (block, uint8_t, own), (map, words), (list, numbers));

typedef struct room {
	stoa_mutex lock;
	stoa_cond changed;
	uint64_t n;
} room;
STOA_TYPE(room, lock, changed, n);
typedef STOA_REF(room) room_ref;
typedef struct rooms {
	room_ref room;
} rooms;
STOA_TYPE(rooms, (room, room, own));

static const stoa_heap_class *const classes[] = {&stoa_heap_best_fit,
	&stoa_heap_best_fit_64, &stoa_heap_best_fit_4096, &stoa_heap_first_fit,
	&own_heap};

static stoa_segment *seg;
static const kept *k;

static void
open_with(const stoa_heap_class *class, unsigned flags)
{
	seg = stoa_segment_close(seg);
	own_heap_mistake = OWN_HEAP_RIGHT;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE | flags,
				 STOA_SEGMENT_OPTIONS(.size = 1 << 20,
					 .limit = 8 << 20, .heap = class),
				 &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "kept", kept, &k), 0);
}

static int
end(void **state)
{
	(void)state;
	own_heap_mistake = OWN_HEAP_RIGHT;
	seg = stoa_segment_close(seg);
	(void)stoa_segment_unlink("heap-class", 0, NULL);
	return 0;
}

static void
sound(void)
{
	if (stoa_segment_check(seg) || stoa_segment_leaked(seg))
		fail_msg("%s", stoa_error_text());
}

/* ---- the suite ---- */

static void
built_in_and_own_conform(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		for (uint64_t seed = 1; seed <= 3; seed++)
			if (stoa_heap_conformance(
				    classes[i], seed, STOA_CONFORMANCE_QUICK))
				fail_msg("%s", stoa_error_text());
}

static void
killed_it_conforms(void **state)
{
	int rc;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	!defined(__x86_64__)
	skip();
#endif
	rc = stoa_heap_conformance(&own_heap, 1, 0);
	if (rc && rc != -ENOTSUP)
		fail_msg("%s", stoa_error_text());
}

static void
mistakes_do_not(void **state)
{
	(void)state;
	for (int i = OWN_HEAP_LINK_UNSAVED; i <= OWN_HEAP_CHECK; i++) {
		own_heap_mistake = (enum own_heap_mistake)i;
		if (stoa_heap_conformance(
			    &own_heap, 1, STOA_CONFORMANCE_QUICK) != -EBADMSG)
			fail_msg("mistake %d was not found", i);
		if (!strstr(stoa_error_text(), "heap 'own'"))
			fail_msg("mistake %d: %s", i, stoa_error_text());
	}
	own_heap_mistake = OWN_HEAP_RIGHT;
	assert_int_equal(stoa_heap_conformance(NULL, 1, 0), -EINVAL);
}

/* ---- which class ---- */

static int
open_named(unsigned flags, const stoa_heap_class *class, stoa_segment **ret)
{
	return stoa_segment_open("heap-class", flags,
		STOA_SEGMENT_OPTIONS(.limit = 1 << 20, .heap = class), ret);
}

static void
name_is_in_the_segment(void **state)
{
	stoa_heap_class other = own_heap;

	(void)state;
	(void)stoa_segment_unlink("heap-class", 0, NULL);
	assert_int_equal(open_named(STOA_CREATE, &own_heap, &seg), 0);
	assert_int_equal(stoa_object_open(seg, "kept", kept, &k), 0);
	seg = stoa_segment_close(seg);
	assert_int_equal(open_named(0, NULL, &seg), -ENOTSUP);
	assert_non_null(strstr(stoa_error_text(), "'own'"));
	assert_int_equal(open_named(0, &stoa_heap_first_fit, &seg), -ENOTSUP);
	assert_non_null(strstr(stoa_error_text(), "given was first-fit"));
	other.state = &stoa_type_uint64_t;
	assert_int_equal(open_named(0, &other, &seg), -EPROTOTYPE);
	assert_int_equal(open_named(0, &own_heap, &seg), 0);
	sound();
	/* brought by this process, so others in it need not */
	assert_int_equal(open_named(0, NULL, &seg), 0);
	seg = stoa_segment_close(stoa_segment_close(seg));
	seg = NULL;
}

static void
built_in_ones_need_not_be_given(void **state)
{
	stoa_segment *copy = NULL;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		(void)stoa_segment_unlink("heap-class", 0, NULL);
		assert_int_equal(open_named(STOA_CREATE, classes[i], &seg), 0);
		assert_int_equal(stoa_object_open(seg, "kept", kept, &k), 0);
		seg = stoa_segment_close(seg);
		assert_int_equal(open_named(0, NULL, &seg), 0);
		sound();
		assert_int_equal(open_named(STOA_PRIVATE, NULL, &copy), 0);
		assert_int_equal(stoa_segment_check(copy), 0);
		copy = stoa_segment_close(copy);
		assert_int_equal(open_named(STOA_RDONLY, NULL, &copy), 0);
		assert_int_equal(stoa_segment_check(copy), 0);
		copy = stoa_segment_close(copy);
		seg = stoa_segment_close(seg);
	}
}

static void
a_class_must_be_whole(void **state)
{
	stoa_heap_class c = own_heap;

	(void)state;
	c.usable = NULL;
	assert_int_equal(open_named(STOA_CREATE, &c, &seg), -EINVAL);
	c = own_heap;
	c.name = "";
	assert_int_equal(open_named(STOA_CREATE, &c, &seg), -EINVAL);
	assert_int_equal(open_named(0, NULL, &seg), -ENOENT);
}

/* ---- blocks ---- */

static uint64_t
blocks(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.blocks;
}

static void
make_and_free(const stoa_heap_class *class)
{
	uint64_t before, sizes[3] = {10, 500, 5000};
	const uint8_t *p;
	void *many[100];

	open_with(class, 0);
	before = blocks();
	{
		STOA_TX(tx, seg);
		uint8_t *fresh = stoa_alloc(tx, 100, 256);

		assert_int_equal(stoa_ref_of(tx, fresh).off % 256, 0);
		assert_true(stoa_usable(tx, fresh) >= 100);
		assert_ptr_equal(stoa_block_of(tx, fresh + 99), fresh);
		assert_null(stoa_block_of(tx, fresh - 1));
		assert_int_equal(stoa_usable(tx, fresh + 16), 0);
		memset(fresh, 7, 100);
		STOA_LINK(tx, k->block[0], fresh);
		assert_true(stoa_alloc_many(tx, 100, 48, 0, many));
		stoa_free_many(tx, 100, (const void *const *)many);
		assert_true(stoa_alloc_sizes(tx, 3, sizes, 0, many));
		for (int i = 0; i < 3; i++)
			STOA_LINK(tx, k->block[i + 1], (uint8_t *)many[i]);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(blocks(), before + 4);
	sound();
	{
		STOA_TX(tx, seg);
		p = stoa_resize(tx, stoa_get(tx, k->block[0]), 9000, 64);
		STOA_LINK(tx, k->block[0], p);
		assert_int_equal(stoa_tx_commit(tx), 0);
		assert_true(p[0] == 7 && p[99] == 7);
	}
	sound();
	{
		STOA_TX(tx, seg);
		for (int i = 0; i < 4; i++) {
			stoa_free(tx, stoa_get(tx, k->block[i]));
			STOA_LINK(tx, k->block[i], NULL);
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(blocks(), before);
	sound();
}

static void
blocks_are_made_and_freed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		make_and_free(classes[i]);
}

static void
least_alignment(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		open_with(classes[i], 0);
		STOA_TX(tx, seg);
		for (uint64_t n = 1; n < 300; n += 7)
			assert_int_equal(
				stoa_ref_of(tx, stoa_alloc(tx, n, 0)).off %
					(i == 0          ? 16
						: i == 1 ? 64
							 : 4096),
				0);
		assert_int_equal(stoa_tx_error(tx), 0);
	}
}

/* Eight bytes a block beside the block itself, as the head comment says. */
static void
small_headers(void **state)
{
	uint64_t last = 0;

	(void)state;
	open_with(&stoa_heap_best_fit, 0);
	STOA_TX(tx, seg);
	for (int i = 0; i < 8; i++) {
		void *p = stoa_alloc(tx, 56, 0);
		uint64_t off = stoa_ref_of(tx, p).off;

		assert_int_equal(stoa_usable(tx, p), 56);
		if (i)
			assert_int_equal(last - off, 64);
		last = off;
	}
}

static void
best_fit_is_best(void **state)
{
	const void *gap[3];
	void *wall[3];

	(void)state;
	open_with(&stoa_heap_best_fit, 0);
	STOA_TX(tx, seg);
	for (int i = 0; i < 3; i++) {
		gap[i] = stoa_alloc(
			tx, i == 1 ? 200u : 400u + 100u * (unsigned)i, 0);
		wall[i] = stoa_alloc(tx, 24, 0);
		STOA_LINK(tx, k->block[i], (const uint8_t *)wall[i]);
	}
	for (int i = 0; i < 3; i++)
		stoa_free(tx, gap[i]);
	assert_int_equal(stoa_tx_commit(tx), 0);
	STOA_TX(next, seg);
	assert_ptr_equal(stoa_alloc(next, 200, 0), gap[1]);
	assert_ptr_equal(stoa_alloc(next, 590, 0), gap[2]);
	assert_ptr_equal(stoa_alloc(next, 390, 0), gap[0]);
}

/* What is freed is not given again before nobody can want it back. */
static void
freed_bytes_come_back(void **state)
{
	const uint8_t *p;

	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		open_with(classes[i], 0);
		{
			STOA_TX(tx, seg);
			uint8_t *q = stoa_alloc(tx, 300, 0);

			memset(q, 9, 300);
			STOA_LINK(tx, k->block[0], q);
			assert_int_equal(stoa_tx_commit(tx), 0);
			p = q;
		}
		{
			STOA_TX(tx, seg);
			stoa_free(tx, p);
			for (int n = 0; n < 50; n++) {
				void *q = stoa_alloc(tx, 300, 0);

				assert_ptr_not_equal(q, p);
				memset(q, 1, stoa_usable(tx, q));
			}
		}
		for (int n = 0; n < 300; n++)
			assert_int_equal(p[n], 9);
		sound();
	}
}

static void
freed_twice(void **state)
{
	const uint8_t *p;

	(void)state;
	open_with(&stoa_heap_best_fit, 0);
	STOA_TX(tx, seg);
	p = stoa_alloc(tx, 300, 0);
	stoa_free(tx, p);
	stoa_free(tx, p);
	assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	assert_non_null(strstr(stoa_error_text(), "twice"));
	sound();
	STOA_TX(other, seg);
	stoa_free(other, (const char *)stoa_alloc(other, 300, 0) + 16);
	assert_int_equal(stoa_tx_commit(other), -EFAULT);
}

static void
memory_ends(void **state)
{
	stoa_wish wish = {.size = 64 << 20, .least = 64 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		open_with(classes[i], 0);
		STOA_TX(tx, seg);
		assert_int_equal(stoa_obtain(tx, &wish), -ENOSPC);
		assert_int_equal(stoa_tx_error(tx), 0);
		wish.least = 100;
		assert_int_equal(stoa_obtain(tx, &wish), 0);
		assert_true(wish.usable >= 100);
		wish.least = wish.size;
		(void)stoa_alloc(tx, 64 << 20, 0);
		assert_int_equal(stoa_tx_commit(tx), -ENOSPC);
		sound();
	}
}

/* The object that holds the lock and the condition goes, with both in use. */
static void
locks_in_what_is_freed(void **state)
{
	const rooms *r;

	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		open_with(classes[i], 0);
		assert_int_equal(stoa_object_open(seg, "rooms", rooms, &r), 0);
		for (int n = 0; n < 4; n++) {
			{
				STOA_TX(tx, seg);
				room *fresh = stoa_new(tx, room);

				STOA_LINK(tx, r->room, fresh);
				assert_int_equal(
					stoa_tx_lock_mutex(tx, &fresh->lock),
					0);
				if (n % 2)
					assert_int_equal(stoa_tx_commit(tx), 0);
			}
			sound();
			if (n % 2 == 0)
				continue;
			STOA_TX(tx, seg);
			const room *old = stoa_get(tx, r->room);

			assert_int_equal(stoa_tx_lock_mutex(tx, &old->lock), 0);
			stoa_tx_broadcast(tx, &old->changed);
			stoa_delete(tx, room, old);
			STOA_LINK(tx, r->room, NULL);
			assert_int_equal(stoa_tx_commit(tx), 0);
			sound();
		}
	}
}

static uint64_t
fill_and_empty(void)
{
	const void *block[600];
	stoa_segment_stat s;

	{
		STOA_TX(tx, seg);
		for (int i = 0; i < 600; i++)
			block[i] = stoa_alloc(tx, 5000, 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		stoa_free_many(tx, 600, block);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	stoa_segment_statistics(seg, &s);
	return s.size;
}

/* Spans of 64 KiB, runs of megabytes, whose maps are longer than a span. */
static void
large_segments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		uint64_t at;

		seg = stoa_segment_close(seg);
		assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
					 STOA_SEGMENT_OPTIONS(.size = 128 << 20,
						 .heap = classes[i]),
					 &seg),
			0);
		STOA_TX(tx, seg);
		at = stoa_ref_of(tx, stoa_alloc(tx, 9 << 20, 0)).off;
		assert_int_equal(
			stoa_ref_of(
				tx, stoa_block_of(tx,
					    (char *)seg->base + at + (8 << 20)))
				.off,
			at);
		for (int n = 0; n < 20; n++)
			(void)stoa_alloc(tx, 1 << 20, n % 2 ? 1 << 20 : 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
		assert_int_equal(stoa_segment_check(seg), 0);
		assert_int_equal(stoa_segment_leaked(seg), 21);
	}
}

/* A class grows with what is asked for; trimming takes back what it does not use. */
static void
grows_and_shrinks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		stoa_segment_stat s;
		uint64_t full;

		open_with(classes[i], 0);
		full = fill_and_empty();
		assert_true(full > 3000000);
		sound();
		{
			STOA_TX(tx, seg);
			STOA_LINK(tx, k->block[0],
				(uint8_t *)stoa_alloc(tx, 100, 0));
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		assert_true(stoa_segment_trim(seg) >= 0);
		sound();
		stoa_segment_statistics(seg, &s);
		assert_int_equal(s.size < full / 2, i < 4); /* own: no reduce */
		assert_true(fill_and_empty() < 2 * full);
		sound();
	}
}

static void
shrinks_while_nobody_has_it(void **state)
{
	int64_t size;

	(void)state;
	(void)stoa_segment_unlink("heap-class", 0, NULL);
	assert_int_equal(
		stoa_segment_open("heap-class", STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 8 << 20,
				.heap = &stoa_heap_best_fit),
			&seg),
		0);
	(void)fill_and_empty();
	seg = stoa_segment_close(seg);
	size = stoa_segment_resize("heap-class", 0, NULL, 0);
	assert_true(size > 0 && size < 500000);
	assert_int_equal(open_named(0, NULL, &seg), 0);
	sound();
	(void)fill_and_empty();
	sound();
}

/* ---- with everything else ---- */

static void
containers_in(const stoa_heap_class *class, unsigned flags, int rounds)
{
	char key[32], long_text[200];

	open_with(class, flags);
	memset(long_text, 'x', sizeof long_text);
	for (int round = 0; round < rounds; round++) {
		STOA_TX(tx, seg);
		for (int i = 0; i < 20; i++) {
			(void)snprintf(key, sizeof key, "%s%d",
				i % 2 ? "a key that is too long for its word "
				      : "",
				(round * 7 + i * 3) % 100);
			long_text[50 + i] = '\0';
			if ((round + i) % 3)
				words_put(tx, &k->map, key, long_text);
			else
				words_remove(tx, &k->map, key);
			long_text[50 + i] = 'x';
			numbers_push(tx, &k->list, (uint64_t)i);
		}
		if (round % 4 == 3)
			(void)stoa_tx_fail(tx, -EDOM);
		assert_int_equal(
			stoa_tx_commit(tx), round % 4 == 3 ? -EDOM : 0);
	}
	sound();
	assert_int_equal(stoa_memory_unused(seg), 0);
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "kept")), 0);
	sound();
	assert_int_equal(stoa_memory_unused(seg), 1);
	assert_true(stoa_memory_zero(seg) >= 0);
	sound();
}

static void
containers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		containers_in(classes[i], 0, 60);
}

static void
checked_mode(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		containers_in(classes[i], STOA_CHECKED, 12);
		open_with(classes[i], STOA_CHECKED);
		{
			STOA_TX(tx, seg);
			STOA_LINK(tx, k->block[0],
				(uint8_t *)stoa_alloc(tx, 64, 0));
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		STOA_TX(tx, seg);
		*(uint8_t *)(uintptr_t)stoa_get(tx, k->block[0]) ^= 1;
		numbers_push(tx, &k->list, 1);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
}

static void *
worker(void *arg)
{
	uint64_t n = 0, x = (uint64_t)(uintptr_t)arg;

	while (n < 500) {
		STOA_TX(tx, seg);
		unsigned i =
			(unsigned)((x = x * 6364136223846793005u + 1) >> 61);

		stoa_free(tx, stoa_get(tx, k->block[i]));
		STOA_LINK(tx, k->block[i],
			(uint8_t *)stoa_alloc(tx, 16 + (x >> 33) % 3000, 0));
		if (stoa_tx_commit(tx))
			return (void *)(uintptr_t)stoa_error_text();
		n++;
	}
	return NULL;
}

static void
threads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		pthread_t t[3];
		void *what;

		open_with(classes[i], 0);
		for (size_t n = 0; n < 3; n++)
			assert_int_equal(pthread_create(&t[n], NULL, worker,
						 (void *)(n + 1)),
				0);
		for (size_t n = 0; n < 3; n++) {
			assert_int_equal(pthread_join(t[n], &what), 0);
			assert_null(what);
		}
		sound();
	}
}

/* ---- damage ---- */

static void
damage_is_found(void **state)
{
	uint64_t off;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		open_with(classes[i], 0);
		{
			STOA_TX(tx, seg);
			uint8_t *p = stoa_alloc(tx, 300, 0);

			STOA_LINK(tx, k->block[0], p);
			off = stoa_ref_of(tx, p).off;
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		sound();
		*(uint64_t *)(void *)(seg->base + off - (i == 3 ? 16 : 8)) ^=
			1 << 20;
		if (i < 3)
			assert_int_equal(stoa_segment_check(seg), -EBADMSG);
		*(uint64_t *)(void *)(seg->base + off - (i == 3 ? 16 : 8)) ^=
			1 << 20;
		sound();
		/* the state: root, or first */
		*(uint64_t *)(void *)(seg->base + seg->heap_state) ^= 1 << 4;
		assert_int_equal(stoa_segment_check(seg), -EBADMSG);
		*(uint64_t *)(void *)(seg->base + seg->heap_state) ^= 1 << 4;
		sound();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(built_in_and_own_conform, end),
		cmocka_unit_test_teardown(killed_it_conforms, end),
		cmocka_unit_test_teardown(mistakes_do_not, end),
		cmocka_unit_test_teardown(name_is_in_the_segment, end),
		cmocka_unit_test_teardown(built_in_ones_need_not_be_given, end),
		cmocka_unit_test_teardown(a_class_must_be_whole, end),
		cmocka_unit_test_teardown(blocks_are_made_and_freed, end),
		cmocka_unit_test_teardown(least_alignment, end),
		cmocka_unit_test_teardown(small_headers, end),
		cmocka_unit_test_teardown(best_fit_is_best, end),
		cmocka_unit_test_teardown(freed_bytes_come_back, end),
		cmocka_unit_test_teardown(freed_twice, end),
		cmocka_unit_test_teardown(memory_ends, end),
		cmocka_unit_test_teardown(locks_in_what_is_freed, end),
		cmocka_unit_test_teardown(large_segments, end),
		cmocka_unit_test_teardown(grows_and_shrinks, end),
		cmocka_unit_test_teardown(shrinks_while_nobody_has_it, end),
		cmocka_unit_test_teardown(containers, end),
		cmocka_unit_test_teardown(checked_mode, end),
		cmocka_unit_test_teardown(threads, end),
		cmocka_unit_test_teardown(damage_is_found, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
