/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphores without owners: one word, and what a death between any two instructions
 * does to it.
 *
 *	word_   bit 31: somebody may sleep    30..0: count
 *
 *	now          event                        next
 *	n > 0        wait                         n - 1; the bit stays, or is set by who slept
 *	0            must sleep                   0 with the bit
 *	n            post k                       n + k, no bit; if it was set, k are woken
 *
 * A post clears the bit, so posts that follow at once cost no system call; who was
 * woken sets it again, since others may sleep as well, and if it leaves more than
 * nothing it wakes the next one: a post that came between has woken nobody.
 *
 * Invariant
 *	I1  somebody sleeps and the bit is not set => a slot owes the place a wake-up:
 *	    the poster that has cleared it, or who was woken and has not yet looked
 *
 * Crash argument. The CAS is the commit of both calls. A poster that dies behind it and
 * before it woke anybody, and a waiter that dies after it was woken and before it
 * set the bit again or handed on, owe (signal.h): recovery wakes everybody, and each
 * who finds nothing sets the bit before it sleeps: I1. After its CAS a post only
 * wakes by address.
 *
 * A time-out that came with a wake-up: the word is looked at once more, and the bit is
 * set before one leaves.
 */
#include "stoa/semaphore.h"
#include "sync/signal.h"
#include "sync/spin.h"

#define SLEEPERS UINT32_C(0x80000000)

bool
stoai_semaphore_look(struct stoai_seat *seat, void *semaphore, uint32_t key,
	unsigned how, uint32_t *value)
{
	stoa_semaphore *s = semaphore;
	uint32_t w = a32_load_acquire(&s->word_);
	uint32_t slept = how & STOAI_LOOK_SLEPT ? SLEEPERS : 0;

	(void)key;
	for (;;) {
		if (w & ~SLEEPERS) {
			if (!(how & STOAI_LOOK_TAKE))
				return true;
			if (!a32_cas_seq_cst(&s->word_, &w, (w - 1) | slept))
				continue;
			if (slept && (w - 1) & ~SLEEPERS)
				stoai_wake_at(
					seat->seg, stoai_off(seat->seg, s), 1);
			return true;
		}
		/* I1: the caller owes */
		if (stoai_look_mark(&s->word_, &w, SLEEPERS, how, value))
			return false;
	}
}

/* Who was woken leaves with something else. */
void
stoai_semaphore_pass(struct stoai_seat *seat, void *semaphore, uint32_t key)
{
	stoa_semaphore *s = semaphore;

	(void)key;
	if (a32_fetch_or_seq_cst(&s->word_, SLEEPERS) & ~SLEEPERS)
		stoai_wake_at(seat->seg, stoai_off(seat->seg, s), 1);
}

/* A few looks before it sleeps: a post may be near. */
static bool
take_soon(stoa_semaphore *s)
{
	for (int i = 0; i < STOAI_SPINS; i++) {
		uint32_t w = a32_load_relaxed(&s->word_);

		if (w & ~SLEEPERS && a32_cas_seq_cst(&s->word_, &w, w - 1))
			return true;
		if (w & SLEEPERS) /* others sleep: queue up */
			return false;
		stoai_pause();
	}
	return false;
}

int
stoa_semaphore_wait_until(const stoa_semaphore *semaphore, uint64_t deadline)
{
	stoa_semaphore *s = (stoa_semaphore *)(uintptr_t)semaphore;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(s, sizeof *s, &rc);
	uint32_t w;

	if (stoai_unlikely(!seat))
		return rc;
	w = a32_load_relaxed(&s->word_);
	if (!(w & ~SLEEPERS) || !a32_cas_seq_cst(&s->word_, &w, w - 1)) {
		if (deadline == STOA_NOW || !take_soon(s))
			rc = stoai_look_until(seat, &s->word_, 0,
				stoai_semaphore_look, deadline);
		stoai_paid(seat);
	}
	seat->busy = 0;
	return stoai_wait_text(seat, rc, "the semaphore was not posted");
}

int
stoa_semaphore_wait(const stoa_semaphore *s)
{
	return stoa_semaphore_wait_until(s, STOA_FOREVER);
}

/* See spin.h: a semaphore has no owner, so its count is all that is watched. */
int
stoa_semaphore_spin(const stoa_semaphore *s, uint64_t deadline)
{
	int rc = stoa_semaphore_wait_until(s, STOA_NOW);
	struct stoai_spin spin;

	if (rc != -EAGAIN || deadline == STOA_NOW)
		return rc;
	spin = stoai_spin_begin(deadline);
	while (rc == -EAGAIN && stoai_spin_on(&spin))
		if (stoa_semaphore_value(s))
			rc = stoa_semaphore_wait_until(s, STOA_NOW);
	return rc == -EAGAIN ? stoa_semaphore_wait_until(s, deadline) : rc;
}

int
stoa_semaphore_post_many(const stoa_semaphore *semaphore, uint32_t n)
{
	stoa_semaphore *s = (stoa_semaphore *)(uintptr_t)semaphore;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(s, sizeof *s, &rc);
	uint64_t off;
	uint32_t w;

	if (stoai_unlikely(!seat))
		return rc;
	off = stoai_off(seat->seg, s);
	w = a32_load_relaxed(&s->word_);
	do {
		if (stoai_unlikely(n > STOA_SEMAPHORE_MAX - (w & ~SLEEPERS))) {
			stoai_paid(seat);
			return stoai_leave(seat,
				stoai_error(-EOVERFLOW,
					"%s: a semaphore of %u and %u more",
					stoai_name(seat->seg), w & ~SLEEPERS,
					n));
		}
		if (w & SLEEPERS)
			stoai_owe(seat, off);
	} while (!a32_cas_seq_cst(&s->word_, &w, (w & ~SLEEPERS) + n));
	if (w & SLEEPERS)
		stoai_wake_at(seat->seg, off, n);
	stoai_paid(seat);
	return stoai_leave(seat, 0);
}

int
stoa_semaphore_post(const stoa_semaphore *s)
{
	return stoa_semaphore_post_many(s, 1);
}

uint32_t
stoa_semaphore_value(const stoa_semaphore *s)
{
	return a32_load_acquire(&s->word_) & ~SLEEPERS;
}
