/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Slots run out: who finds all of them in use by living threads is told so or
 * waits, and the dead do not count.
 */
#include "proc.h"

enum {
	THREADS = 8,
	MANY = 40
};

static stoa_segment *
open_small(void)
{
	stoa_segment *seg = NULL;

	if (stoa_segment_open("small", STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.threads = THREADS,
			    .without = way->without),
		    &seg))
		fprintf(stderr, "open: %s\n", stoa_error_text());
	return seg;
}

static int
attach_and_stay(struct peer *me, void *user)
{
	stoa_segment *seg = open_small();
	int rc;

	(void)user;
	MUST(seg);
	rc = stoa_segment_attach(seg);
	MUST(!rc || rc == -EUSERS);
	MUST(!rc || strlen(stoa_error_text()) > 10);
	tell(me, rc ? 'f' : 'a');
	hear(me);
	return 0;
}

static int
attach_in_time(struct peer *me, void *user)
{
	stoa_segment *seg = open_small();

	(void)user;
	MUST(seg);
	MUST(stoa_segment_attach_until(seg, stoa_in_ms(200)) == -ETIMEDOUT);
	tell(me, 'w');
	MUST(!stoa_segment_attach_until(seg, stoa_in_ms(8000)));
	MUST(!STOA_DO(tx, seg, (void)tx));
	tell(me, 'a');
	return 0;
}

/* Attach children until one is refused; returns how many were not. */
static int
fill(struct peer *child)
{
	int n = 0;
	char answer;

	for (;; n++) {
		assert_true(n < MANY);
		child[n] = peer_start(attach_and_stay, NULL);
		answer = hear(&child[n]);
		if (answer == 'f')
			break;
		assert_int_equal(answer, 'a');
	}
	tell(&child[n], 'e');
	peer_join(&child[n]);
	return n;
}

static void
slots_run_out_and_come_back(void **state)
{
	struct peer child[MANY], late;
	stoa_segment *seg;
	uint64_t from;
	int n;

	(void)state;
	seg = open_small();
	assert_non_null(seg);
	n = fill(child);
	assert_true(n >= THREADS - 2 && n <= THREADS);

	late = peer_start(attach_in_time, NULL);
	assert_int_equal(hear(&late), 'w');
	tell(&child[0], 'e'); /* one leaves in peace */
	peer_join(&child[0]);
	assert_int_equal(hear_within(&late, 2500), 'a');
	peer_join(&late);

	child[0] = peer_start(attach_and_stay, NULL);
	assert_int_equal(hear(&child[0]), 'a');
	late = peer_start(attach_in_time, NULL);
	assert_int_equal(hear(&late), 'w');
	peer_kill(&child[1]); /* one is killed */
	assert_int_equal(hear_within(&late, 2500), 'a');
	peer_join(&late);

	child[1] = peer_start(attach_and_stay, NULL);
	assert_int_equal(hear(&child[1]), 'a');
	for (int i = 0; i < n; i++)
		peer_kill(&child[i]);
	from = ms_now(); /* all slots are dead: nobody has one to recover from */
	assert_int_equal(stoa_segment_attach_until(seg, stoa_in_ms(5000)), 0);
	assert_true(ms_now() - from < 2500);
	segment_judge(seg);
	assert_int_equal(fill(child), n - 1);
	for (int i = 0; i < n - 1; i++)
		peer_kill(&child[i]);
	segment_judge(seg);
	stoa_segment_close(seg);
}

static int
come_and_go(struct peer *me, void *user)
{
	stoa_segment *seg = open_small();

	(void)user;
	MUST(seg);
	tell(me, 'r');
	for (int i = 0; i < 200; i++) {
		MUST(!stoa_segment_attach_until(seg, stoa_in_ms(8000)));
		MUST(!STOA_DO(tx, seg, (void)tx));
		stoa_segment_detach(seg);
	}
	return 0;
}

/* Three times as many threads as slots share them by turns. */
static void
more_processes_than_slots(void **state)
{
	struct peer child[THREADS * 3];

	(void)state;
	for (int i = 0; i < THREADS * 3; i++)
		child[i] = peer_start(come_and_go, NULL);
	for (int i = 0; i < THREADS * 3; i++)
		peer_join(&child[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_run_out_and_come_back),
		cmocka_unit_test(more_processes_than_slots),
	};

	return RUN_IN_ALL_WAYS("slots", tests);
}
