/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Barriers: who is a member, and who has arrived, stands in the lanes (roll.c). The
 * object has a phase, and nothing else that matters.
 *
 *	entry        event                        next
 *	none         join                         0: a member, not there
 *	0, stale     arrive in phase p            mark(p): there
 *	mark(p)      the phase moves on           the same: stale, as mark(p) is no mark
 *	                                          of the phase that comes
 *	mark(p)      gives up, phase still p      0
 *	any          leave; dies (recovery)       none, and all look again
 *
 *	phase_       p, all there                 the next whose mark nobody has: a mark is
 *	                                          one of 255, and who was let go may not
 *	                                          have run since
 *
 * All but deaths is under the object's lock: whether all are there is asked of one
 * moment. Not by the dead, whom recovery takes from the roll at any time; that
 * only helps the others.
 *
 * Who waits for so many, and not as a member, lists itself for as long as it waits:
 * then the marks of this phase are counted, and who died is not among them.
 *
 * Crash argument. The store of phase_ is the commit. Who makes it has an entry, which
 * recovery clears and wakes all (roll.c), or, leaving, owes the wake-up (signal.h).
 * Who dies before it is not there, as its entry goes. Beside the phase, who sleeps watches the first one who is missing
 * (wait.c); if another one who is missing dies, that is found when the first one comes
 * or dies, since who arrives last looks at all. So no death is missed.
 */
#include "stoa/barrier.h"
#include "sync/roll.h"

enum {
	MARKS = STOAI_ROLL_MAX
};

static uint32_t
mark_of(uint32_t phase)
{
	return 1 + phase % MARKS;
}

struct presence {
	uint32_t mark; /* of the phase */
	uint32_t members, there;
	uint32_t missing; /* one who is not there; OWNER_NONE: all are */
	uint64_t used[4]; /* marks that somebody has */
};

static void
see(void *user, uint32_t slot, uint32_t count)
{
	struct presence *at = user;

	at->used[count / 64] |= UINT64_C(1) << (count % 64);
	if (slot == STOAI_OWNER_DEAD)
		return; /* not yet recovered, and not there any more */
	at->members++;
	if (count == at->mark)
		at->there++;
	else if (at->missing == STOAI_OWNER_NONE)
		at->missing = slot;
}

static uint64_t
held_of(const struct stoai_seat *seat, const stoa_barrier *b)
{
	return stoai_roll_held(seat->seg, &b->phase_, STOAI_HELD_MEMBER);
}

static int
barrier_look(struct stoai_seat *seat, stoa_barrier *b, struct presence *at)
{
	*at = (struct presence){.mark = mark_of(a32_load_relaxed(&b->phase_)),
		.missing = STOAI_OWNER_NONE};
	return stoai_roll_call(seat, b->members_, held_of(seat, b), see, at);
}

/* Under the lock: is everybody there? Then the phase moves on: 1. < 0: cannot tell. */
static int
move_on(struct stoai_seat *seat, stoa_barrier *b, uint32_t n,
	struct presence *at)
{
	uint32_t phase = a32_load_relaxed(&b->phase_), next = phase + 1;
	int rc = barrier_look(seat, b, at);

	if (rc)
		return rc;
	if (n ? at->there < n : !at->members || at->there < at->members)
		return 0;
	while (next - phase < MARKS &&
		at->used[mark_of(next) / 64] >> (mark_of(next) % 64) & 1)
		next++;
	a32_store_release(&b->phase_, next);
	stoai_kill_fence();
	return 1;
}

/* The lock is given up; if the phase has moved, everybody learns of it. */
static void
barrier_unlock(struct stoai_seat *seat, stoa_barrier *b, int moved)
{
	uint64_t off = stoai_off(seat->seg, &b->phase_);

	stoai_unlock(seat, &b->lock_);
	if (moved > 0)
		stoai_wake_at(seat->seg, off, UINT32_MAX);
	stoai_paid(seat);
}

/* ---- members ---- */

int
stoa_barrier_join(const stoa_barrier *barrier)
{
	stoa_barrier *b = (stoa_barrier *)(uintptr_t)barrier;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(b, sizeof *b, &rc);

	if (stoai_unlikely(!seat))
		return rc;
	if (stoai_roll_find(seat, held_of(seat, b)))
		return stoai_leave(seat,
			stoai_error(-EALREADY,
				"%s: this thread is a member of the barrier",
				stoai_name(seat->seg)));
	rc = stoai_roll_lock(seat, &b->lock_);
	if (!rc) {
		stoai_roll_mark(seat, b->members_);
		if (!stoai_roll_add(seat, held_of(seat, b)))
			rc = -EOVERFLOW;
		barrier_unlock(seat, b, 0);
	}
	return stoai_leave(seat, rc);
}

static int
no_member(const struct stoai_seat *seat)
{
	return stoai_error(-EPERM,
		"%s: this thread is no member of the barrier",
		stoai_name(seat->seg));
}

int
stoa_barrier_leave(const stoa_barrier *barrier)
{
	stoa_barrier *b = (stoa_barrier *)(uintptr_t)barrier;
	int rc = 0, moved;
	struct stoai_seat *seat = stoai_enter(b, sizeof *b, &rc);
	struct presence at;
	uint64_t *entry;

	if (stoai_unlikely(!seat))
		return rc;
	entry = stoai_roll_find(seat, held_of(seat, b));
	rc = entry ? stoai_roll_lock(seat, &b->lock_) : no_member(seat);
	if (rc)
		return stoai_leave(seat, rc);
	/* from before it is gone on: who dies here has left, and all look again */
	stoai_owe(seat, stoai_off(seat->seg, &b->phase_));
	stoai_roll_drop(seat, entry);
	moved = move_on(seat, b, 0, &at);
	barrier_unlock(seat, b, moved);
	return stoai_leave(seat, moved < 0 ? moved : 0);
}

/* ---- waiting ---- */

/*
 * It is there. n: so many are wanted; 0: all members. 1: the phase has moved on, by
 * us; 0: by somebody else; < 0: not, and it is there no more.
 */
static int
wait_there(struct stoai_seat *seat, stoa_barrier *b, uint64_t *entry,
	uint32_t n, uint64_t deadline)
{
	uint64_t tick = 0;
	uint32_t phase = 0;
	bool arrived = false;
	int rc = 0;

	for (;;) {
		struct presence at;
		int moved = stoai_roll_lock(seat, &b->lock_);

		if (moved) {
			if (a32_load_acquire(&b->phase_) != phase && arrived)
				return 0;
			stoai_roll_set(entry, held_of(seat, b), 0);
			return moved;
		}
		if (!arrived) {
			phase = a32_load_relaxed(&b->phase_);
			stoai_roll_mark(seat, b->members_);
			stoai_roll_set(entry, held_of(seat, b), mark_of(phase));
			arrived = true;
		}
		if (a32_load_relaxed(&b->phase_) != phase) {
			barrier_unlock(seat, b, 0);
			return 0;
		}
		moved = move_on(seat, b, n, &at);
		if (!moved && deadline == STOA_NOW)
			rc = -EAGAIN;
		if (moved < 0)
			rc = moved;
		if (moved <= 0 && rc) /* gave up: not there any more */
			stoai_roll_set(entry, held_of(seat, b), 0);
		barrier_unlock(seat, b, moved);
		if (moved > 0 || rc)
			return moved > 0 ? 1 : rc;
		stoai_owe(seat, stoai_off(seat->seg, &b->phase_));
		rc = stoai_sleep(seat, &b->phase_, phase,
			n ? STOAI_OWNER_NONE : at.missing, deadline, &tick);
		if (a32_load_acquire(&b->phase_) != phase)
			return 0;
	}
}

int
stoa_barrier_wait_until(const stoa_barrier *barrier, uint64_t deadline)
{
	stoa_barrier *b = (stoa_barrier *)(uintptr_t)barrier;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(b, sizeof *b, &rc);
	uint64_t *entry;

	if (stoai_unlikely(!seat))
		return rc;
	entry = stoai_roll_find(seat, held_of(seat, b));
	rc = entry ? wait_there(seat, b, entry, 0, deadline) : no_member(seat);
	return stoai_wait_leave(seat, rc, "not all members were there");
}

int
stoa_barrier_wait(const stoa_barrier *b)
{
	return stoa_barrier_wait_until(b, STOA_FOREVER);
}

int
stoa_barrier_wait_for(
	const stoa_barrier *barrier, uint32_t n, uint64_t deadline)
{
	stoa_barrier *b = (stoa_barrier *)(uintptr_t)barrier;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(b, sizeof *b, &rc);
	uint64_t *entry;

	if (stoai_unlikely(!seat))
		return rc;
	if (!n)
		rc = stoai_error(-EINVAL, "stoa_barrier_wait_for: nobody");
	else if (stoai_roll_find(seat, held_of(seat, b)))
		rc = stoai_error(-EALREADY,
			"%s: this thread is a member of the barrier",
			stoai_name(seat->seg));
	entry = rc ? NULL : stoai_roll_add(seat, held_of(seat, b));
	if (!entry)
		return stoai_leave(seat, rc ? rc : -EOVERFLOW);
	rc = wait_there(seat, b, entry, n, deadline);
	stoai_paid(seat);
	stoai_roll_drop(seat, entry);
	seat->busy = 0;
	return stoai_wait_text(seat, rc, "not as many were there");
}

/* ---- looking ---- */

uint32_t
stoa_barrier_phase(const stoa_barrier *b)
{
	return a32_load_acquire(&b->phase_);
}

int
stoa_barrier_members(const stoa_barrier *barrier)
{
	stoa_barrier *b = (stoa_barrier *)(uintptr_t)barrier;
	int rc = 0;
	struct stoai_seat *seat = stoai_enter(b, sizeof *b, &rc);
	struct presence at = {0};

	if (stoai_unlikely(!seat))
		return rc;
	rc = stoai_roll_lock(seat, &b->lock_);
	if (!rc) {
		rc = barrier_look(seat, b, &at);
		barrier_unlock(seat, b, 0);
	}
	return stoai_leave(seat, rc ? rc : (int)at.members);
}
