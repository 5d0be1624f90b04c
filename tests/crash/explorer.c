/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Does the explorer find what is wrong? Cases with a known mistake, each of which
 * must be reported, and right ones, which must not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <stdlib.h>
#include "data.h"
#include <cmocka.h>

static struct test test;

static stoa_explore_case
case_of(int (*op)(stoa_segment *, void *))
{
	return (stoa_explore_case){.name = "case",
		.setup = data_setup,
		.op = op,
		.check = data_check,
		.state = data_state,
		.others = data_side_others,
		.other_count = COUNT(data_side_others),
		.user = &test};
}

static int
right(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	STOA_ADD(tx, d->word[0], 1);
	STOA_ADD(tx, d->word[1], 1);
	return stoa_tx_commit(tx);
}

static void
nothing_wrong(void **unused)
{
	stoa_explore_case c = case_of(right);
	stoa_explore_result r;

	(void)unused;
	assert_int_equal(stoa_explore_run(&c, 0, &r), 0);
	if (r.failures)
		fail_msg("%s", r.text);
	assert_string_equal(r.text, "");
	assert_true(r.instructions > r.images);
	assert_true(r.images > 10);
	assert_true(r.recovery_images > r.images);
	assert_int_equal(
		r.survivor_runs, r.images * c.other_count + r.recovery_images);
	assert_true(r.pairs > r.images);
	assert_true(r.interleaved > r.images);
}

/* Trapping stores and single step find the same images inside recoveries. */
static void
both_ways_agree(void **unused)
{
	stoa_explore_case c = case_of(right);
	stoa_explore_result stores, each;
	unsigned flags = STOA_EXPLORE_NO_PAIRS | STOA_EXPLORE_NO_SURVIVOR |
			 STOA_EXPLORE_NO_INTERLEAVE | STOA_EXPLORE_SAMPLE;

	(void)unused;
	assert_int_equal(stoa_explore_run(&c, flags, &stores), 0);
	assert_int_equal(
		stoa_explore_run(&c, flags | STOA_EXPLORE_STEP_ALL, &each), 0);
	assert_int_equal(stores.failures + each.failures, 0);
	assert_int_equal(stores.images, each.images);
	assert_int_equal(stores.recovery_images, each.recovery_images);
}

static void
must_fail(int (*op)(stoa_segment *, void *),
	int (*check)(stoa_segment *, void *), const char *text)
{
	stoa_explore_case c = case_of(op);
	stoa_explore_result r;

	if (check)
		c.check = check;
	c.patience_ms = 1000; /* some of them hang */
	assert_int_equal(stoa_explore_run(&c, STOA_EXPLORE_NO_NESTED, &r), 0);
	assert_true(r.failures > 0);
	if (!strstr(r.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, r.text);
}

/* The first word is changed behind the transaction's back. */
static int
without_undo(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	uint64_t *word;

	STOA_TX(tx, seg);
	memcpy(&word, &(const uint64_t *){&d->word[0]}, sizeof word);
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	STOA_ADD(tx, d->word[1], 1);
	return stoa_tx_commit(tx);
}

static void
without_undo_is_found(void **unused)
{
	(void)unused;
	must_fail(without_undo, NULL, "recovery, image");
}

/* Two transactions where one was meant. */
static int
in_two(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	int rc = STOA_DO(tx, seg, STOA_ADD(tx, d->word[0], 1));

	return rc ? rc : STOA_DO(tx, seg, STOA_ADD(tx, d->word[1], 1));
}

static void
in_two_is_found(void **unused)
{
	(void)unused;
	must_fail(in_two, NULL, "none of the 2 that are right");
}

static int
leak(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	(void)stoa_new(tx, node);
	STOA_ADD(tx, d->word[0], 1);
	return stoa_tx_commit(tx);
}

static void
leak_is_found(void **unused)
{
	(void)unused;
	must_fail(leak, NULL, "stoa_segment_leaked: 1");
}

/* ---- what only two that live can get wrong ---- */

enum {
	ONLY_INTERLEAVE = STOA_EXPLORE_NO_NESTED | STOA_EXPLORE_NO_SURVIVOR |
			  STOA_EXPLORE_NO_PAIRS
};

/* Every death is harmless, and two that live give something that is wrong. */
static void
must_fail_when_two_live(int (*op)(stoa_segment *, void *), const char *text)
{
	stoa_explore_case c = case_of(op);
	stoa_explore_result r;

	assert_int_equal(
		stoa_explore_run(&c, STOA_EXPLORE_NO_INTERLEAVE, &r), 0);
	if (r.failures)
		fail_msg("%s", r.text);
	assert_int_equal(r.interleaved, 0);
	c.patience_ms = 1000; /* some of them hang */
	assert_int_equal(stoa_explore_run(&c, ONLY_INTERLEAVE, &r), 0);
	assert_true(r.failures > 0);
	if (!strstr(r.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, r.text);
}

/* What is read before the lock is had may be old when it is used. */
static int
read_too_early(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	uint64_t was = d->word[0];

	STOA_TX(tx, seg);
	STOA_SET(tx, d->word[0], was + 1);
	return stoa_tx_commit(tx);
}

static void
reading_too_early_is_found(void **unused)
{
	(void)unused;
	must_fail_when_two_live(
		read_too_early, "neither the first before the second");
}

/* A lock that only its writer takes: the reader sees the half of a change. */
static int
half_locked(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	uint64_t word[2] = {d->word[0], d->word[1]};

	STOA_TX(tx, seg, &d->lock);
	STOA_SET(tx, d->word[0], word[0] + 1);
	STOA_SET(tx, d->word[1], word[1] + 1);
	return word[0] == word[1] ? stoa_tx_commit(tx)
				  : stoa_tx_fail(tx, -EDOM);
}

static void
half_a_lock_is_found(void **unused)
{
	(void)unused;
	must_fail_when_two_live(half_locked, "results ");
}

/* Two locks in two orders: one of the two is told, and gives up. */
static int
in_both_orders(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg, &d->lock);
	if (stoa_tx_lock_mutex(tx, &d->side))
		return stoa_tx_error(tx);
	STOA_ADD(tx, d->word[0], 1);
	return stoa_tx_commit(tx);
}

static int
other_order(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg, &d->side);
	if (stoa_tx_lock(tx, &d->lock))
		return stoa_tx_error(tx);
	STOA_ADD(tx, d->word[1], 1);
	return stoa_tx_commit(tx);
}

/* A deadlock is seen by the library, so it ends, and nothing is half done. */
static void
deadlock_ends(void **unused)
{
	const stoa_explore_op others[] = {{"other order", other_order, false}};
	stoa_explore_case c = case_of(in_both_orders);
	stoa_explore_result r;

	(void)unused;
	c.others = others;
	c.other_count = 1;
	assert_int_equal(stoa_explore_run(&c, ONLY_INTERLEAVE, &r), 0);
	if (r.failures)
		fail_msg("%s", r.text);
	assert_true(r.interleaved > 0);
}

/* A place that one may have as long as it lives: the other waits for ever. */
static int
stay(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	stoa_owner self;

	STOA_TX(tx, seg);
	self = stoa_owner_self(tx);
	while (d->who.slot_ != self.slot_ && stoa_owner_alive(tx, d->who))
		if (stoa_tx_wait(tx, &d->changed, STOA_FOREVER))
			return stoa_tx_error(tx);
	STOA_SET(tx, d->who, self);
	return stoa_tx_commit(tx);
}

static void
waiting_for_ever_is_found(void **unused)
{
	(void)unused;
	must_fail_when_two_live(stay, "interleaved hangs");
}

/* Only the state in the middle of in_two: an image, not the beginning or end. */
static bool
in_the_middle(const data *d)
{
	return d->word[0] != d->word[1];
}

static int
crashing_check(stoa_segment *seg, void *user)
{
	volatile uintptr_t nowhere = 64; /* no page is there */

	(void)seg;
	if (in_the_middle(((struct test *)user)->d))
		*(volatile int *)nowhere = 1;
	return 0;
}

static void
crash_is_found(void **unused)
{
	(void)unused;
	must_fail(in_two, crashing_check, "check crashed: Segmentation fault");
}

static int
hanging_check(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	(void)seg;
	for (volatile int again = in_the_middle(d); again;)
		;
	return 0;
}

static void
hang_is_found(void **unused)
{
	(void)unused;
	must_fail(in_two, hanging_check, "check hangs");
}

static int
ending_check(stoa_segment *seg, void *user)
{
	(void)seg;
	if (in_the_middle(((struct test *)user)->d))
		_exit(3);
	return 0;
}

static void
exit_is_found(void **unused)
{
	(void)unused;
	must_fail(in_two, ending_check, "the process ended (3)");
}

static int
no_setup(stoa_segment *seg, void *user)
{
	(void)seg;
	(void)user;
	return -EDOM;
}

static void
wrong_cases_are_refused(void **unused)
{
	stoa_explore_case c = case_of(right);
	stoa_explore_result r;

	(void)unused;
	c.setup = no_setup;
	assert_int_equal(stoa_explore_run(&c, 0, &r), -EDOM);
	c = case_of(NULL);
	assert_int_equal(stoa_explore_run(&c, 0, &r), -EINVAL);
	assert_int_equal(stoa_explore_run(NULL, 0, &r), -EINVAL);
	c = case_of(right);
	c.options = STOA_SEGMENT_OPTIONS(.size = 64 << 20);
	assert_int_equal(stoa_explore_run(&c, 0, &r), -EINVAL);
	assert_non_null(strstr(stoa_error_text(), "4 MiB"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_wrong),
		cmocka_unit_test(both_ways_agree),
		cmocka_unit_test(without_undo_is_found),
		cmocka_unit_test(in_two_is_found),
		cmocka_unit_test(leak_is_found),
		cmocka_unit_test(reading_too_early_is_found),
		cmocka_unit_test(half_a_lock_is_found),
		cmocka_unit_test(deadlock_ends),
		cmocka_unit_test(waiting_for_ever_is_found),
		cmocka_unit_test(crash_is_found),
		cmocka_unit_test(hang_is_found),
		cmocka_unit_test(exit_is_found),
		cmocka_unit_test(wrong_cases_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
