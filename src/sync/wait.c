/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Waiting: the only place that sleeps. How does a sleeper learn of a change, of
 * the death of whom it waits for, and of a wake-up that died on its way?
 *
 *	change   somebody wakes the word
 *	death    the kernel wakes the owner's token, on which we sleep as well; it
 *	         wakes one sleeper only, who wakes the others
 *	lost     the tick: 50 ms at first, doubling to 1 s. It proves deaths that
 *	         the kernel did not mark and recovers every dead slot, which
 *	         replays the wake-ups that the dead consumed or owed
 *	dying    the kernel marks the token before it closes the files, among them
 *	         the owner byte without which nobody may recover, and then wakes
 *	         nobody: short ticks, from 100 us to 50 ms and again
 *
 *	blind    on several words, where there is no futex_waitv: on the first of
 *	         them, and the others are looked at every 2 ms
 *
 * Time never decides that somebody is dead; it only makes us look.
 */
#include "os/os.h"
#include "sync/signal.h"

enum {
	TICK_DEAD_NS = 100 * 1000,
	TICK_FIRST_NS = 50 * 1000 * 1000,
	TICK_MAX_NS = 1000 * 1000 * 1000,
	TICK_BLIND_NS = 2 * 1000 * 1000
};

/* A quarter to either side, so that sleepers do not tick in step. */
static uint64_t
jittered(uint64_t tick, uint64_t now)
{
	uint64_t quarter = tick / 4;

	return tick - quarter + now / 1000 % (2 * quarter);
}

/* On the word and on the owner's token, which must stay as it is. */
static int
sleep_watching(
	const uint32_t *word, uint32_t value, uint32_t *token, uint64_t until)
{
	uint32_t t = a32_load_acquire(token);
	int rc;

	/* a TID beside the kernel's mark is damage: slept on, so that a tick proves it */
	if (!(t & STOAI_TOKEN_TID))
		return 0; /* left or dead meanwhile: look again */
	if (t & STOAI_TOKEN_UNLISTED)
		return stoai_os_futex_wait(word, value, until);
	/* the kernel wakes a token only if it is asked to; never taint a free one */
	if (!(t & STOAI_TOKEN_WAITERS) &&
		!a32_cas_seq_cst(token, &t, t | STOAI_TOKEN_WAITERS))
		return 0;
	t |= STOAI_TOKEN_WAITERS;
	rc = stoai_os_futex_wait2(word, value, token, t, until);
	if (rc == -ENOSYS)
		return stoai_os_futex_wait(word, value, until);
	if (rc == 1)
		(void)stoai_os_futex_wake(token, UINT32_MAX);
	return rc < 0 ? rc : 0;
}

static uint64_t
tick_next(uint64_t tick, uint32_t owner)
{
	if (owner == STOAI_OWNER_DEAD)
		return tick && tick < TICK_FIRST_NS ? 2 * tick : TICK_DEAD_NS;
	return tick ? stoai_min(2 * tick, TICK_MAX_NS) : TICK_FIRST_NS;
}

/* When to look although nobody has woken us. */
static uint64_t
next_look(uint64_t *tick_ns, uint32_t owner, uint64_t now, uint64_t deadline)
{
	*tick_ns = tick_next(*tick_ns, owner);
	return stoai_min(deadline, now + jittered(*tick_ns, now));
}

static void
look_around(stoa_segment *seg, uint32_t owner, uint64_t tick)
{
	if (owner < seg->slot_count)
		(void)stoai_confirm_dead(seg, owner);
	(void)stoai_sweep(seg, tick >= TICK_MAX_NS / 2);
}

enum {
	LOOK_AROUND = 1
};

/* What a sleep has come to: 0, woken; LOOK_AROUND, for nobody woke us; or an error. */
static int
sleep_result(int rc, uint64_t deadline, const char *where)
{
	if (rc >= 0)
		return 0;
	if (rc != -ETIMEDOUT)
		return stoai_error(rc, "%s: this system lets nobody wait: %s",
			where, stoa_strerror(rc));
	return stoai_os_now() >= deadline ? -ETIMEDOUT : LOOK_AROUND;
}

int
stoai_sleep(struct stoai_seat *seat, const uint32_t *word, uint32_t value,
	uint32_t owner, uint64_t deadline, uint64_t *tick_ns)
{
	uint64_t now = stoai_os_now(), until;
	int rc;

	if (now >= deadline)
		return -ETIMEDOUT;
	until = next_look(tick_ns, owner, now, deadline);
	if (!seat->slot->waiting_since_ns)
		seat->slot->waiting_since_ns = now;
	rc = owner < seat->seg->slot_count
		     ? sleep_watching(word, value,
			       stoai_token_at(seat->seg, owner), until)
		     : stoai_os_futex_wait(word, value, until);
	rc = sleep_result(rc, deadline, stoai_name(seat->seg));
	if (rc != LOOK_AROUND)
		return rc;
	look_around(seat->seg, owner, *tick_ns);
	return 0;
}

/* Each of them once. */
static void
look_around_all(struct stoai_seat *const *seat, unsigned n, uint64_t tick)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned first = 0;

		while (seat[first] != seat[i])
			first++;
		if (seat[i] && first == i)
			look_around(seat[i]->seg, STOAI_OWNER_NONE, tick);
	}
}

int
stoai_sleep_any(struct stoai_seat *const *seat, const struct stoai_os_word *on,
	unsigned n, uint64_t deadline, uint64_t *tick_ns)
{
	uint64_t now = stoai_os_now(), until;
	int rc;

	if (now >= deadline)
		return -ETIMEDOUT;
	until = next_look(tick_ns, STOAI_OWNER_NONE, now, deadline);
	for (unsigned i = 0; i < n; i++)
		if (seat[i] && !seat[i]->slot->waiting_since_ns)
			seat[i]->slot->waiting_since_ns = now;
	rc = n == 1 ? stoai_os_futex_wait(on->word, on->value, until)
		    : stoai_os_futex_wait_any(on, n, until);
	if (rc == -ENOSYS) {
		until = stoai_min(deadline, now + TICK_BLIND_NS);
		rc = stoai_os_futex_wait(on->word, on->value, until);
	}
	rc = sleep_result(rc, deadline, "stoa_wait_any");
	if (rc != LOOK_AROUND)
		return rc;
	look_around_all(seat, n, *tick_ns);
	return 0;
}

int
stoai_look_until(struct stoai_seat *seat, uint32_t *word, uint32_t key,
	stoai_look_fn *look, uint64_t deadline)
{
	unsigned how = STOAI_LOOK_TAKE | STOAI_LOOK_SLEEP;
	uint64_t tick = 0;
	uint32_t value = 0;
	int rc = 0;

	if (look(seat, word, key, STOAI_LOOK_TAKE, &value))
		return 0;
	if (deadline == STOA_NOW)
		return -EAGAIN;
	stoai_owe(seat, stoai_off(seat->seg, word));
	while (!look(seat, word, key, how, &value)) {
		if (rc) /* gave up, and the word says that others may sleep */
			return rc;
		rc = stoai_sleep(
			seat, word, value, STOAI_OWNER_NONE, deadline, &tick);
		how |= STOAI_LOOK_SLEPT;
	}
	return 0;
}
