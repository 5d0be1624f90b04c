/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Slots, lanes and lock words that say what nobody can have said: an error or
 * nothing, and nobody waits for it. What a slot says counts as long as somebody has
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segment/log.h"
#include "stoa/stoa.h"

enum {
	OTHER = 1 /* a slot that nobody has */
};

typedef struct pair {
	stoa_rwlock lock;
	stoa_mutex mutex;
	uint64_t a, b;
} pair;
STOA_TYPE(pair, lock, mutex, a, b);

static stoa_segment *seg;
static const pair *p;

static int
open_with(unsigned flags)
{
	if (stoa_segment_open(NULL, STOA_CREATE | flags, NULL, &seg))
		return -1;
	return stoa_object_open(seg, "pair", pair, &p);
}

static int
setup(void **state)
{
	(void)state;
	return open_with(0);
}

static int
teardown(void **state)
{
	(void)state;
	seg = stoa_segment_close(seg);
	return 0;
}

static void
assert_sound(void)
{
	if (stoa_segment_check(seg) || stoa_segment_leaked(seg))
		fail_msg("%s", stoa_error_text());
}

static uint64_t
offset(const void *at)
{
	return stoai_off(seg, at);
}

/* The other slot has been somebody's, and says that it holds the lock. */
static struct stoai_lane *
other_holds(const void *lock, unsigned mode)
{
	struct stoai_lane *lane = stoai_lane_at(seg, OTHER);

	stoai_slot_at(seg, OTHER)->paged = 1;
	lane->held[2] = offset(lock) | mode;
	return lane;
}

/* ---- what is left in a slot ---- */

static void
free_slot_is_taken(void **state)
{
	struct stoai_slot *slot = stoai_slot_at(seg, 0);
	struct stoai_lane *lane = stoai_lane_at(seg, 0);
	static const uint64_t cursors[] = {
		UINT64_MAX, UINT64_C(1) << 63, 12345, 8, 0};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(cursors); i++) {
		stoa_segment_detach(seg);
		assert_int_equal(*stoai_token_at(seg, 0), 0);
		lane->cursor = cursors[i];
		lane->state = (uint32_t)i + STOAI_LANE_COMMITTED;
		lane->held[3] = offset(&p->lock) | STOAI_HELD_EXCLUSIVE;
		slot->freeing = offset(p);
		slot->waiting = offset(&p->lock) | STOAI_HELD_EXCLUSIVE;
		slot->woken = offset(&p->lock);
		assert_int_equal(STOA_DO(tx, seg, STOA_ADD(tx, p->a, 1)), 0);
		assert_sound();
	}
	assert_int_equal(p->a, STOAI_COUNT(cursors));
}

/* What nobody's slot names may be deleted. */
static void
free_slot_holds_nothing(void **state)
{
	(void)state;
	(void)other_holds(&p->lock, STOAI_HELD_EXCLUSIVE);
	stoai_slot_at(seg, OTHER)->waiting = offset(&p->mutex);
	assert_int_equal(
		STOA_DO(tx, seg, (void)stoa_object_destroy(tx, "pair")), 0);
	stoai_lane_at(seg, OTHER)->held[2] = 0;
	stoai_slot_at(seg, OTHER)->waiting = 0;
	assert_sound();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(free_slot_is_taken),
		TEST(free_slot_holds_nothing),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("slot damage", tests, NULL, NULL);
}
