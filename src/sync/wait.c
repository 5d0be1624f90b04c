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
 * Time never decides that somebody is dead; it only makes us look.
 */
#include "os/os.h"
#include "sync/lock.h"

enum {
	TICK_DEAD_NS = 100 * 1000,
	TICK_FIRST_NS = 50 * 1000 * 1000,
	TICK_MAX_NS = 1000 * 1000 * 1000
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

	if (!(t & STOAI_TOKEN_TID) || t & STOAI_TOKEN_OWNER_DIED)
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

static void
look_around(stoa_segment *seg, uint32_t owner, uint64_t tick)
{
	if (owner < seg->slot_count)
		(void)stoai_confirm_dead(seg, owner);
	(void)stoai_sweep(seg, tick >= TICK_MAX_NS / 2);
}

int
stoai_sleep(struct stoai_seat *seat, const uint32_t *word, uint32_t value,
	uint32_t owner, uint64_t deadline, uint64_t *tick_ns)
{
	uint64_t now = stoai_os_now(), until;
	int rc;

	if (now >= deadline)
		return -ETIMEDOUT;
	*tick_ns = tick_next(*tick_ns, owner);
	until = stoai_min(deadline, now + jittered(*tick_ns, now));
	if (!seat->slot->waiting_since_ns)
		seat->slot->waiting_since_ns = now;
	rc = owner < seat->seg->slot_count
		     ? sleep_watching(word, value,
			       stoai_token_at(seat->seg, owner), until)
		     : stoai_os_futex_wait(word, value, until);
	if (!rc)
		return 0;
	if (rc != -ETIMEDOUT)
		return stoai_error(rc, "%s: this system lets nobody wait: %s",
			stoai_name(seat->seg), stoa_strerror(rc));
	if (stoai_os_now() >= deadline)
		return -ETIMEDOUT;
	look_around(seat->seg, owner, *tick_ns);
	return 0;
}
