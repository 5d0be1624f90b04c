/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Waiting on many: how does a thread sleep at several places at once, and what becomes of the
 * wake-ups that come to it at the others, while it leaves with one?
 *
 *	look     at each in turn; the first that has come about is taken: done
 *	list     an entry in the lane for each place: "waits there"
 *	look     at each again, which marks the words: somebody may sleep
 *	sleep    on all the words by one system call, and look again
 *	pass     leaving, with one or in vain: at each other place the word is marked
 *	         again, and if something is there the next one is woken
 *	unlist
 *
 * What the kinds differ in stands in their own files: a look and a pass (signal.h).
 *
 * Invariants
 *	I1  a thread that may sleep at a place, or may have been woken there and has not
 *	    yet passed that on, lists it
 *	I2  one is taken at most: a look that takes is the last
 *	I3  what stands first in the list and came about first is taken first: those
 *	    before one that is found are looked at again, and only then is one taken
 *
 * Crash argument. An entry owes its place a wake-up for as long as it stands, as those of
 * rolls do (roll.c); recovery wakes everybody there, and all look again. The slot's own
 * `waiting` has room for one place and is not used: who notifies an event count and
 * finds nobody there wakes all, so one who stands in a lane only is not missed.
 *
 * A place that is woken twice for one post is looked at by one more, who finds nothing
 * and marks the word: too many, never too few.
 *
 * The death of an owner is a change of its token, which is no place of the heap and is
 * listed nowhere: the kernel wakes one who sleeps there, who wakes the others. If that
 * one is killed before it does, they learn of it at their tick.
 */
#include "sync/many.h"
#include "sync/roll.h"

struct stoai_kind {
	stoai_look_fn *look;
	stoai_pass_fn *pass; /* NULL: all are woken, so none has another's */
	uint32_t size;
};

static const struct stoai_kind kinds[] = {
	[STOA_WAITABLE_EVENT] = {stoai_event_wait_look, NULL,
		sizeof(stoa_event)},
	[STOA_WAITABLE_TAKE] = {stoai_event_take_look, stoai_event_take_pass,
		sizeof(stoa_event)},
	[STOA_WAITABLE_SEMAPHORE] = {stoai_semaphore_look, stoai_semaphore_pass,
		sizeof(stoa_semaphore)},
	[STOA_WAITABLE_LATCH] = {stoai_latch_look, NULL, sizeof(stoa_latch)},
	[STOA_WAITABLE_EVENTCOUNT] = {stoai_eventcount_look,
		stoai_eventcount_pass, sizeof(stoa_eventcount)},
	[STOA_WAITABLE_OWNER] = {NULL, NULL, 0},
	[STOA_WAITABLE_FD] = {NULL, NULL, 0},
};

/* ---- owners ---- */

static bool
owner_gone(const struct stoai_seat *seat, const struct stoai_many_part *p)
{
	return !p->which || !stoai_owner_lives(seat->seg, p->which - 1, p->key);
}

static bool
gone_look(const struct stoai_seat *seat, const struct stoai_many_part *p,
	unsigned how, struct stoai_os_word *on)
{
	uint32_t *token, t;

	if (owner_gone(seat, p))
		return true;
	token = stoai_token_at(seat->seg, p->which - 1);
	t = a32_load_acquire(token);
	/* only a living one's is marked, and it lived after we had read it */
	while (how & STOAI_LOOK_SLEEP && t & STOAI_TOKEN_TID &&
		!(t & STOAI_TOKEN_WAITERS)) {
		if (owner_gone(seat, p))
			return true;
		if (a32_cas_seq_cst(token, &t, t | STOAI_TOKEN_WAITERS))
			t |= STOAI_TOKEN_WAITERS;
	}
	*on = (struct stoai_os_word){token, t};
	return owner_gone(seat, p);
}

/* ---- the parts ---- */

static int
part_begin(struct stoai_many_part *p, const stoa_waitable *w,
	struct stoai_seat **ret)
{
	stoa_segment *seg = (stoa_segment *)(uintptr_t)w->object_;
	int rc = 0;

	*ret = NULL;
	if (w->kind_ >= STOAI_COUNT(kinds) ||
		(!w->object_ && w->kind_ != STOA_WAITABLE_FD))
		return stoai_error(-EINVAL, "stoa_wait_any: no waitable");
	*p = (struct stoai_many_part){.kind = &kinds[w->kind_],
		.object = (void *)(uintptr_t)w->object_,
		.key = w->key_,
		.which = w->which_};
	if (w->kind_ == STOA_WAITABLE_FD)
		return (int)w->which_ < 0
			       ? stoai_error(-EBADF,
					 "stoa_wait_any: descriptor %d",
					 (int)w->which_)
			       : 0;
	if (w->kind_ != STOA_WAITABLE_OWNER) {
		*ret = stoai_seat_at(p->object, p->kind->size, &rc);
		if (*ret && w->kind_ == STOA_WAITABLE_EVENT &&
			w->which_ != STOAI_KEY_GIVEN)
			p->key = a32_load_acquire(p->object);
		return rc;
	}
	rc = stoai_attach(seg, STOA_NOW, ret);
	if (!rc)
		rc = stoai_seat_busy(*ret);
	return rc ? rc : stoai_segment_usable(seg);
}

int
stoai_many_begin(struct stoai_many *m, const stoa_waitable *on, unsigned n)
{
	if (!n || n > STOA_WAIT_MAX)
		return stoai_error(-EINVAL,
			"stoa_wait_any: %u waitables; 1 to %d can be waited "
			"for",
			n, STOA_WAIT_MAX);
	m->n = n;
	m->how = 0;
	for (unsigned i = 0; i < n; i++) {
		int rc = part_begin(&m->part[i], &on[i], &m->seat[i]);

		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < n; i++)
		if (m->seat[i])
			m->seat[i]->busy = 1;
	return 0;
}

void
stoai_many_end(struct stoai_many *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->seat[i])
			m->seat[i]->busy = 0;
}

static bool
fd_look(const struct stoai_many_part *p)
{
	struct pollfd fd = {(int)p->which, (short)p->key, 0};

	return stoai_os_poll(&fd, 1, 0) > 0;
}

static bool
part_look(struct stoai_many *m, unsigned i, unsigned how)
{
	struct stoai_many_part *p = &m->part[i];

	m->on[i].word = p->object;
	if (p->kind->look)
		return p->kind->look(
			m->seat[i], p->object, p->key, how, &m->on[i].value);
	return m->seat[i] ? gone_look(m->seat[i], p, how, &m->on[i])
			  : fd_look(p);
}

int
stoai_many_look(struct stoai_many *m, unsigned how)
{
	if (part_look(m, 0, how))
		return 0;
	for (unsigned i = 1; i < m->n; i++) {
		if (!part_look(m, i, how & ~(unsigned)STOAI_LOOK_TAKE))
			continue;
		for (unsigned k = 0; k <= i; k++) /* I3 */
			if (part_look(m, k, how))
				return (int)k; /* I2 */
	}
	return -EAGAIN;
}

int
stoai_many_list(struct stoai_many *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct stoai_many_part *p = &m->part[i];

		if (!p->kind->look)
			continue;
		p->entry = stoai_roll_add(
			m->seat[i], stoai_roll_held(m->seat[i]->seg, p->object,
					    STOAI_HELD_WATCH));
		if (!p->entry) {
			stoai_many_unlist(m, -1);
			return -EOVERFLOW;
		}
	}
	return 0;
}

/* Whoever sleeps at the token of a dead one, and was not woken by the kernel. */
static void
owner_pass(const struct stoai_seat *seat, const struct stoai_many_part *p)
{
	if (p->which && p->which <= seat->seg->slot_count &&
		owner_gone(seat, p))
		(void)stoai_os_futex_wake(
			stoai_token_at(seat->seg, p->which - 1), UINT32_MAX);
}

void
stoai_many_unlist(struct stoai_many *m, int but)
{
	if (but >= 0 &&
		m->part[but].entry) /* it was waited for, the others not */
		stoai_waited(m->seat[but],
			stoai_off(m->seat[but]->seg, m->part[but].object));
	for (unsigned i = 0; i < m->n; i++) {
		struct stoai_many_part *p = &m->part[i];
		bool slept = m->how & STOAI_LOOK_SLEPT;

		if (!p->kind->look && slept && m->seat[i])
			owner_pass(m->seat[i], p);
		if (!p->entry || !m->seat[i])
			continue;
		if (slept && p->kind->pass && (int)i != but)
			p->kind->pass(m->seat[i], p->object, p->key);
		stoai_roll_drop(m->seat[i], p->entry); /* I1 */
		p->entry = NULL;
		m->seat[i]->slot->waiting_since_ns = 0;
	}
}

/* None has come about yet: sleep, as often as it takes. */
static int
wait_slow(struct stoai_many *m, uint64_t deadline)
{
	const unsigned how = STOAI_LOOK_TAKE | STOAI_LOOK_SLEEP;
	uint64_t tick = 0;
	int rc = stoai_many_list(m), which;

	if (rc)
		return rc;
	for (;;) {
		which = stoai_many_look(m, how | m->how);
		if (which >= 0 || rc)
			break;
		rc = stoai_sleep_any(m->seat, m->on, m->n, deadline, &tick);
		m->how = STOAI_LOOK_SLEPT;
	}
	stoai_many_unlist(m, which);
	return which >= 0 ? which : rc;
}

/*
 * With descriptors among them: these are polled, beside a pollable of all others. So many
 * polled ones, or an error.
 */
static int
polled(const struct stoai_many *m, const stoa_waitable *on,
	struct pollfd fds[STOA_WAIT_MAX + 1], stoa_pollable **ret)
{
	stoa_waitable rest[STOA_WAIT_MAX];
	unsigned count = 0, others = 0;
	int rc;

	for (unsigned i = 0; i < m->n; i++) {
		if (!m->seat[i]) {
			fds[count++] = (struct pollfd){
				(int)on[i].which_, (short)on[i].key_, 0};
			continue;
		}
		rest[others] = on[i];
		if (on[i].kind_ == STOA_WAITABLE_EVENT) {
			rest[others].key_ = m->part[i].key;
			rest[others].which_ = STOAI_KEY_GIVEN;
		}
		others++;
	}
	if (!others)
		return (int)count;
	rc = stoai_pollable_open(rest, others, ret);
	if (rc)
		return rc;
	fds[count] = (struct pollfd){stoa_pollable_fd(*ret), POLLIN, 0};
	return (int)count + 1;
}

static int
wait_polling(struct stoai_many *m, const stoa_waitable *on, uint64_t deadline)
{
	struct pollfd fds[STOA_WAIT_MAX + 1];
	stoa_pollable *others = NULL;
	int n = polled(m, on, fds, &others), which = -EAGAIN, rc = 0;

	if (n < 0)
		return n;
	while (which < 0 && rc >= 0) {
		if (others)
			stoai_pollable_arm(others);
		rc = stoai_os_poll(fds, (unsigned)n, deadline);
		which = stoai_many_look(m, STOAI_LOOK_TAKE);
		if (!rc)
			rc = -ETIMEDOUT;
	}
	(void)stoa_pollable_close(others);
	return which >= 0 ? which : rc;
}

static bool
any_polled(const struct stoai_many *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (!m->seat[i])
			return true;
	return false;
}

int
stoa_wait_any(const stoa_waitable *on, unsigned n, uint64_t deadline)
{
	struct stoai_many m;
	int rc = stoai_many_begin(&m, on, n);

	if (rc)
		return rc;
	rc = stoai_many_look(&m, STOAI_LOOK_TAKE);
	if (rc == -EAGAIN && deadline != STOA_NOW)
		rc = any_polled(&m) ? wait_polling(&m, on, deadline)
				    : wait_slow(&m, deadline);
	stoai_many_end(&m);
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		return stoai_error(rc,
			"nothing of what is waited for has come about %s",
			rc == -EAGAIN ? "yet" : "in time");
	return rc;
}
