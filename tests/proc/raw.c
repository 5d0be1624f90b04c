/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions without a transaction: SIGKILL of holders of each kind, of
 * waiters and of those who were just woken. Also when all of them are pid 1, each in
 * a PID namespace of its own.
 */
#include "namespace.h"

enum {
	STUCK_MS = 2500,
	ROUNDS = 20
};

typedef struct box {
	stoa_mutex m;
	stoa_rwlock l;
	stoa_cond c;
	uint64_t tokens, taken;
} box;
STOA_TYPE(box, m, l, c, tokens, taken);

static stoa_segment *seg;
static const box *b;

static void
open_box(void)
{
	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "box", box, &b), 0);
}

static void
close_box(void)
{
	segment_judge(seg);
	seg = stoa_segment_close(seg);
}

static uint64_t *
writable(const uint64_t *word)
{
	return (uint64_t *)(uintptr_t)word;
}

/* ---- holders ---- */

enum kind { /* as STOA_SHARED and so on of the lock, and the mutex */
	KIND_MUTEX
};

static int
take(int kind, uint64_t deadline)
{
	return kind == KIND_MUTEX ? stoa_mutex_lock_until(&b->m, deadline)
				  : stoa_rwlock_lock_as(&b->l,
					    (enum stoa_mode)kind, deadline);
}

static void
give(int kind)
{
	if (kind == KIND_MUTEX)
		stoa_mutex_unlock(&b->m);
	else
		stoa_rwlock_unlock(&b->l);
}

static int held_kind; /* of the child that is about to be started */

static int
hold(struct peer *me)
{
	MUST((seg = segment_open()) != NULL);
	MUST(!stoa_object_open(seg, "box", box, &b));
	MUST(!take(held_kind, STOA_FOREVER));
	tell(me, 'h');
	hear(me);
	return 1;
}

static int
hold_here(struct peer *me, void *user)
{
	(void)user;
	return hold(me);
}

/* What excludes it, and says how it got it: 'g', or 'd' of a death. */
static int
await(struct peer *me)
{
	const int kind = held_kind == KIND_MUTEX ? KIND_MUTEX : STOA_EXCLUSIVE;
	int rc;

	MUST((seg = segment_open()) != NULL);
	MUST(!stoa_object_open(seg, "box", box, &b));
	MUST(take(kind, STOA_NOW) == -EAGAIN);
	tell(me, 'w');
	rc = take(kind, STOA_FOREVER);
	MUST(!rc || rc == -EOWNERDEAD);
	stoa_mutex_mend(&b->m);
	stoa_rwlock_mend(&b->l);
	give(kind);
	tell(me, rc ? 'd' : 'g');
	return 0;
}

static int
await_here(struct peer *me, void *user)
{
	(void)user;
	return await(me);
}

static void
holders_die_beside(int (*holds)(struct peer *, void *),
	int (*awaits)(struct peer *, void *), void *hold_part, void *await_part)
{
	open_box();
	for (held_kind = KIND_MUTEX; held_kind <= STOA_EXCLUSIVE; held_kind++) {
		struct peer holder = peer_start(holds, hold_part), waiter;

		assert_int_equal(hear(&holder), 'h');
		waiter = peer_start(awaits, await_part);
		assert_int_equal(hear(&waiter), 'w');
		ms_sleep(20); /* it sleeps, mostly */
		peer_kill(&holder);
		assert_int_equal(hear_within(&waiter, STUCK_MS),
			held_kind == STOA_SHARED || held_kind == STOA_UPGRADABLE
				? 'g'
				: 'd');
		peer_join(&waiter);
	}
	close_box();
}

static void
holders_die(void **state)
{
	(void)state;
	holders_die_beside(hold_here, await_here, NULL, NULL);
}

static void
holders_of_one_number_die(void **state)
{
	struct part holds = {hold}, awaits = {await};

	(void)state;
	if (!namespaces_allowed())
		skip();
	holders_die_beside(in_namespace, in_namespace, &holds, &awaits);
}

/* ---- waiters ---- */

/* Of two who wait the first dies; the second must have it all the same. */
static void
waiters_die(void **state)
{
	(void)state;
	open_box();
	for (held_kind = KIND_MUTEX; held_kind <= STOA_EXCLUSIVE; held_kind++)
		for (unsigned i = 0; i < 5; i++) {
			struct peer waiter[2];

			assert_int_equal(take(held_kind, STOA_NOW), 0);
			for (int k = 0; k < 2; k++) {
				waiter[k] = peer_start(await_here, NULL);
				assert_int_equal(hear(&waiter[k]), 'w');
			}
			ms_sleep(10);
			if (i % 2) { /* before it can be woken, or just then */
				peer_kill(&waiter[0]);
				give(held_kind);
			} else {
				give(held_kind);
				kill(waiter[0].pid, SIGKILL);
				peer_kill(&waiter[0]);
			}
			/* the dead one may have had it for a moment */
			assert_true(hear_within(&waiter[1], STUCK_MS) != 0);
			peer_join(&waiter[1]);
		}
	/* it may have died inside, after the last one was told */
	if (stoa_mutex_lock(&b->m) == -EOWNERDEAD)
		stoa_mutex_mend(&b->m);
	stoa_mutex_unlock(&b->m);
	if (stoa_rwlock_lock(&b->l) == -EOWNERDEAD)
		stoa_rwlock_mend(&b->l);
	stoa_rwlock_unlock(&b->l);
	close_box();
}

/* ---- conditions ---- */

static int
enter(void)
{
	int rc = stoa_mutex_lock(&b->m);

	if (rc == -EOWNERDEAD) {
		stoa_mutex_mend(&b->m);
		rc = 0;
	}
	return rc;
}

/* Takes tokens, for ever. */
static int
take_tokens(struct peer *me, void *user)
{
	(void)user;
	MUST((seg = segment_open()) != NULL);
	MUST(!stoa_object_open(seg, "box", box, &b));
	MUST(!enter());
	tell(me, 'r');
	for (;;) {
		while (!b->tokens) {
			int rc = stoa_cond_wait(&b->c, &b->m, STOA_FOREVER);

			MUST(!rc || rc == -EOWNERDEAD);
			if (rc)
				stoa_mutex_mend(&b->m);
		}
		--*writable(&b->tokens);
		++*writable(&b->taken);
	}
	return 0;
}

static bool
all_taken_within(unsigned ms)
{
	const uint64_t until = ms_now() + ms;
	uint64_t left = 1;

	while (left && ms_now() < until) {
		assert_int_equal(enter(), 0);
		left = b->tokens;
		stoa_mutex_unlock(&b->m);
		if (left)
			ms_sleep(1);
	}
	return !left;
}

/* One is signalled and killed at that moment: the other one takes what is there. */
static void
signalled_waiters_die(void **state)
{
	struct peer stays;

	(void)state;
	open_box();
	*writable(&b->tokens) = 0;
	stays = peer_start(take_tokens, NULL);
	assert_int_equal(hear(&stays), 'r');
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct peer dies = peer_start(take_tokens, NULL);
		struct timespec soon = {0, (long)(i * 13 % 30) * 10000};

		assert_int_equal(hear(&dies), 'r');
		ms_sleep(2);
		assert_int_equal(enter(), 0);
		*writable(&b->tokens) += 1;
		stoa_mutex_unlock(&b->m);
		assert_int_equal(stoa_cond_signal(&b->c), 0);
		nanosleep(&soon, NULL);
		peer_kill(&dies);
		if (!all_taken_within(STUCK_MS))
			fail_msg("a wake-up died in round %u", i);
	}
	peer_kill(&stays);
	assert_int_equal(enter(), 0);
	stoa_mutex_unlock(&b->m);
	close_box();
}

/* Adds a token and signals, without the lock between the two. */
static int
signal_once(struct peer *me, void *user)
{
	(void)user;
	MUST((seg = segment_open()) != NULL);
	MUST(!stoa_object_open(seg, "box", box, &b));
	tell(me, 'r');
	for (;;) {
		MUST(!enter());
		*writable(&b->tokens) += 1;
		MUST(!stoa_cond_signal(&b->c));
		stoa_mutex_unlock(&b->m);
	}
	return 0;
}

/* Killed amid its signals, it owes none. */
static void
signallers_die(void **state)
{
	struct peer waiter;

	(void)state;
	open_box();
	*writable(&b->tokens) = 0;
	waiter = peer_start(take_tokens, NULL);
	assert_int_equal(hear(&waiter), 'r');
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct peer dies = peer_start(signal_once, NULL);
		struct timespec soon = {0, (long)(i * 17 % 40) * 20000};

		assert_int_equal(hear(&dies), 'r');
		nanosleep(&soon, NULL);
		peer_kill(&dies);
		if (!all_taken_within(STUCK_MS))
			fail_msg("a wake-up died in round %u", i);
	}
	peer_kill(&waiter);
	assert_int_equal(enter(), 0);
	stoa_mutex_unlock(&b->m);
	close_box();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_die),
		cmocka_unit_test(holders_of_one_number_die),
		cmocka_unit_test(waiters_die),
		cmocka_unit_test(signalled_waiters_die),
		cmocka_unit_test(signallers_die),
	};

	return RUN_IN_ALL_WAYS("raw", tests);
}
