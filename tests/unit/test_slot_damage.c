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
	OTHER = 1, /* a slot that nobody has */
	PATIENCE_MS = 2000
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
setup_checked(void **state)
{
	(void)state;
	return open_with(STOA_CHECKED);
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

	stoai_header(seg)->slots_used = OTHER + 1;
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

/* ---- lock words ---- */

static void
assert_nobody_holds(void)
{
	STOA_TX_UNTIL(tx, stoa_in_ms(PATIENCE_MS), seg, &p->lock, &p->mutex);
	assert_int_equal(stoa_tx_error(tx), -EBADMSG);
	assert_non_null(strstr(stoa_error_text(), "which nobody holds"));
}

/* The thread's own word, which it would have found in its lane. */
static void
word_names_myself(void **state)
{
	uint32_t *const words[] = {(uint32_t *)(uintptr_t)&p->lock.word_,
		(uint32_t *)(uintptr_t)&p->mutex.word_};

	(void)state;
	assert_int_equal(stoa_segment_attach(seg), 0);
	for (size_t i = 0; i < STOAI_COUNT(words); i++)
		for (uint32_t waiters = 0; waiters < 2; waiters++) {
			*words[i] = stoai_seat_of(seg)->word |
				    (waiters ? STOAI_WORD_WAITERS : 0);
			assert_nobody_holds();
			*words[i] = 0;
		}
	assert_sound();
}

/* Tokens that are neither somebody's nor 0: the slot is free. */
static void
word_names_a_free_slot(void **state)
{
	static const uint32_t tokens[] = {
		0, STOAI_TOKEN_WAITERS, STOAI_TOKEN_UNLISTED};
	struct stoai_lane *lane = other_holds(&p->lock, STOAI_HELD_EXCLUSIVE);
	uint32_t *word = (uint32_t *)(uintptr_t)&p->lock.word_;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(tokens); i++) {
		*stoai_token_at(seg, OTHER) = tokens[i];
		*word = stoai_lock_word(
			OTHER, stoai_slot_at(seg, OTHER)->generation);
		assert_nobody_holds();
		*word = 0;
		/* nor does it read there */
		lane->held[2] = offset(&p->lock) | STOAI_HELD_SHARED;
		((stoa_rwlock *)(uintptr_t)&p->lock)->readers_[0] |= 1u
								     << OTHER;
		{
			STOA_TX_UNTIL(
				tx, stoa_in_ms(PATIENCE_MS), seg, &p->lock);
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		lane->held[2] = offset(&p->lock) | STOAI_HELD_EXCLUSIVE;
	}
	*stoai_token_at(seg, OTHER) = 0;
	lane->held[2] = 0;
	assert_sound();
}

/* The lock is had before long, and the other slot is free again. */
static void
assert_recovered(void)
{
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(PATIENCE_MS), seg, &p->lock);
		if (stoa_tx_commit(tx))
			fail_msg("%s", stoa_error_text());
	}
	assert_int_equal(*stoai_token_at(seg, OTHER), 0);
	assert_int_equal(stoai_lane_at(seg, OTHER)->held[2], 0);
	assert_sound();
}

/* Nobody has the owner byte, whatever the token says: also what no kernel writes. */
static void
token_of_nobody_is_waited_for(void **state)
{
	static const uint32_t tokens[] = {12345, STOAI_TOKEN_UNLISTED | 12345,
		STOAI_TOKEN_OWNER_DIED | 12345,
		STOAI_TOKEN_OWNER_DIED | STOAI_TOKEN_WAITERS | 12345,
		STOAI_TOKEN_OWNER_DIED | STOAI_TOKEN_UNLISTED | 12345,
		UINT32_MAX};
	stoa_rwlock *l = (stoa_rwlock *)(uintptr_t)&p->lock;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(tokens); i++) {
		(void)other_holds(l, STOAI_HELD_EXCLUSIVE);
		*stoai_token_at(seg, OTHER) = tokens[i];
		l->word_ = stoai_lock_word(
			OTHER, stoai_slot_at(seg, OTHER)->generation);
		assert_recovered();
		(void)other_holds(l, STOAI_HELD_SHARED);
		*stoai_token_at(seg, OTHER) = tokens[i];
		l->readers_[0] |= 1u << OTHER;
		assert_recovered();
	}
}

/* Readers that take no lock: who is writing? */
static void
read_only_while_nobody_writes(void **state)
{
	stoa_rwlock *l = (stoa_rwlock *)(uintptr_t)&p->lock;
	stoa_segment *ro = NULL;
	const pair *q;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)), &ro),
		0);
	q = stoai_at(ro, offset(p));
	l->seq_ |= 1;
	for (uint32_t word = 0; word < 512; word += 511) {
		STOA_READ_UNTIL(rd, stoa_in_ms(PATIENCE_MS), ro, &q->lock);

		l->word_ = word;
		assert_int_equal(stoa_tx_error(rd), -EBADMSG);
		assert_non_null(strstr(stoa_error_text(), "by nobody"));
	}
	l->word_ = 0;
	l->seq_++;
	{
		STOA_READ(rd, ro, &q->lock);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	stoa_segment_close(ro);
}

/* ---- the log of the thread's own lane ---- */

static void
cursor_leads_elsewhere(void **state)
{
	const uint64_t to[] = {UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63,
		seg->size, seg->size + 8, 4, 12345};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(to); i++) {
		STOA_TX(tx, seg);
		struct stoai_lane *lane = stoai_lane_at(seg, 0);
		uint64_t was = lane->cursor;

		lane->cursor = to[i];
		STOA_SET(tx, p->a, 7);
		assert_int_equal(stoa_tx_error(tx), -EBADMSG);
		lane->cursor = was;
		assert_int_equal(stoa_tx_commit(tx), -EBADMSG);
	}
	assert_int_equal(p->a, 0);
	assert_sound();
}

/* Checked mode walks the log: not for ever, and not out of it. */
static void
checked_log_goes_round(void **state)
{
	uint64_t start = stoai_log_start(seg, 0);

	(void)state;
	STOA_TX(tx, seg);
	STOA_SET(tx, p->a, 7);
	*(uint64_t *)stoai_at(seg, start) =
		stoai_log_head(STOAI_LOG_NEXT, 0, start);
	assert_true(stoa_tx_commit(tx) < 0);
}

static void
checked_heap_ends_beyond(void **state)
{
	struct stoai_header *h = stoai_header(seg);
	uint64_t was = h->committed;

	(void)state;
	h->committed = seg->size;
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, p->a, 7)), 0);
	h->committed = 0;
	(void)!STOA_DO(tx, seg, STOA_SET(tx, p->a, 8));
	h->committed = was;
	assert_sound();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_CHECKED(f) \
 cmocka_unit_test_setup_teardown(f, setup_checked, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(free_slot_is_taken),
		TEST(free_slot_holds_nothing),
		TEST(word_names_myself),
		TEST(word_names_a_free_slot),
		TEST(token_of_nobody_is_waited_for),
		TEST(read_only_while_nobody_writes),
		TEST(cursor_leads_elsewhere),
		TEST_CHECKED(checked_log_goes_round),
		TEST_CHECKED(checked_heap_ends_beyond),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("slot damage", tests, NULL, NULL);
}
