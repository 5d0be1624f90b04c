/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Latches: everybody goes on when the count is zero.
 *
 *	word_   bit 31: somebody may sleep    30..0: count
 *
 *	now      event            next
 *	n        add k            n + k
 *	n > k    count down k     n - k
 *	k        count down k     0, no bit; if it was set all are woken
 *	0        wait             in
 *	n > 0    must sleep       n with the bit
 *
 * Crash argument. The CAS is the commit. Who makes it zero owes from before it until
 * it has woken all (signal.h). A waiter takes nothing away, so its death costs nobody
 * a wake-up. After the CAS only the address is used.
 */
#include "stoa/event.h"
#include "sync/signal.h"

#define SLEEPERS UINT32_C(0x80000000)

int
stoa_latch_add(const stoa_latch *latch, uint32_t n)
{
	stoa_latch *l = (stoa_latch *)(uintptr_t)latch;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(l, sizeof *l, &rc);
	uint32_t w;

	if (stoai_unlikely(!seat))
		return rc;
	w = a32_load_relaxed(&l->word_);
	do {
		if (n > ~SLEEPERS - (w & ~SLEEPERS))
			return stoai_leave(
				seat, stoai_error(-EOVERFLOW,
					      "%s: a latch of %u and %u more",
					      stoai_name(seat->seg),
					      w & ~SLEEPERS, n));
	} while (!a32_cas_seq_cst(&l->word_, &w, w + n));
	return stoai_leave(seat, 0);
}

int
stoa_latch_count_down(const stoa_latch *latch, uint32_t n)
{
	stoa_latch *l = (stoa_latch *)(uintptr_t)latch;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(l, sizeof *l, &rc);
	uint64_t off;
	uint32_t w, next;
	bool wake;

	if (stoai_unlikely(!seat))
		return rc;
	off = stoai_off(seat->seg, l);
	w = a32_load_relaxed(&l->word_);
	do {
		if (n > (w & ~SLEEPERS)) {
			stoai_paid(seat);
			return stoai_leave(seat,
				stoai_error(-EINVAL,
					"%s: a latch of %u counts down %u",
					stoai_name(seat->seg), w & ~SLEEPERS,
					n));
		}
		next = (w - n) & ~SLEEPERS ? w - n : 0;
		wake = !next && w & SLEEPERS;
		if (wake)
			stoai_owe(seat, off);
	} while (!a32_cas_seq_cst(&l->word_, &w, next));
	if (wake)
		stoai_wake_at(seat->seg, off, UINT32_MAX);
	stoai_paid(seat);
	return stoai_leave(seat, 0);
}

bool
stoai_latch_look(struct stoai_seat *seat, void *latch, uint32_t key,
	unsigned how, uint32_t *value)
{
	stoa_latch *l = latch;
	uint32_t w = a32_load_acquire(&l->word_);

	(void)seat;
	(void)key;
	for (;;) {
		if (!(w & ~SLEEPERS))
			return true;
		if (stoai_look_mark(&l->word_, &w, SLEEPERS, how, value))
			return false;
	}
}

int
stoa_latch_wait_until(const stoa_latch *latch, uint64_t deadline)
{
	stoa_latch *l = (stoa_latch *)(uintptr_t)latch;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(l, sizeof *l, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_look_until(seat, &l->word_, 0, stoai_latch_look, deadline);
	return stoai_wait_leave(seat, rc, "the latch was not counted down");
}

int
stoa_latch_wait(const stoa_latch *l)
{
	return stoa_latch_wait_until(l, STOA_FOREVER);
}

uint32_t
stoa_latch_count(const stoa_latch *l)
{
	return a32_load_acquire(&l->word_) & ~SLEEPERS;
}
