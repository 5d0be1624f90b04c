/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Spinning: how does one wait for a word without a system call, and neither for ever
 * nor for the dead?
 *
 *	watch   loads only, with pauses of 1, 2, 4 .. 64; nothing shared is written
 *	try     the usual call, with STOA_NOW: when the word looks free, or when the
 *	        token of its owner says that he is dead, whom that call recovers
 *	sleep   the usual call, with the caller's deadline: when STOAI_SPIN_NS are over
 *
 * There is no protocol of its own here, so there is nothing that a death could break,
 * and the end is the clock's: also where the owner cannot run before we sleep (one
 * processor, SCHED_FIFO) a spin costs its time once, and then gives way.
 */
#ifndef STOAI_SYNC_SPIN_H
#define STOAI_SYNC_SPIN_H
#include "os/os.h"
#include "sync/word.h"

enum {
	STOAI_SPIN_NS = 50 * 1000, /* some sleeps and wake-ups */
	STOAI_SPIN_PAUSES = 64     /* and then a look at the clock */
};

struct stoai_spin {
	uint64_t until;
	uint32_t pauses;
};

static inline struct stoai_spin
stoai_spin_begin(uint64_t deadline)
{
	return (struct stoai_spin){
		stoai_min(deadline, stoai_os_now() + STOAI_SPIN_NS), 1};
}

/* A pause, longer than the one before. False: the time is over. */
static inline bool
stoai_spin_on(struct stoai_spin *s)
{
	for (uint32_t i = 0; i < s->pauses; i++)
		stoai_pause();
	if (s->pauses < STOAI_SPIN_PAUSES) {
		s->pauses *= 2;
		return true;
	}
	return stoai_os_now() < s->until;
}

/* Is it of use to try for a lock whose word is w: free, mine, or left by somebody? */
static inline bool
stoai_spin_lock_due(const struct stoai_seat *seat, uint32_t w)
{
	uint32_t owner = stoai_word_slot(seat->seg, w);

	return !stoai_word_owner(w) || stoai_word_owner(w) == seat->word ||
	       owner == UINT32_MAX ||
	       stoai_token_dead(
		       a32_load_acquire(stoai_token_at(seat->seg, owner)));
}

#endif
