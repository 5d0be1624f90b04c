/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Turns: how do two threads meet at a chosen store, again and again in the same way?
 *
 *	a  ──to a store──┐              ┌── to its end, or to a store and dead
 *	b                └── its turn ──┘
 *
 * One runs, the other waits for its turn: in the handler at its store, at a place
 * where it would have to sleep, or at its beginning or end. The turn passes
 * at those places only, so a run follows from the two numbers.
 *
 * b is another process, as far as the library can tell: a thread, with a handle of
 * its own (segment/explore.h, twin). What only one process has in common, its
 * mutex and its list of slots, they have not.
 *
 * Nobody sleeps while the other one can run. Who would sleep gives its turn away,
 * and then looks at its word in earnest: what it waited for has happened. Two that
 * wait for each other see their ticks pass, until the library tells one of them.
 *
 * A death is a jump out of the handler: what the thread keeps for itself is
 * forgotten like after any death here.
 */
#include "explore/turns.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <unistd.h>
#include "explore/death.h"

static struct stoai_turns *here;
static sigjmp_buf grave;
static uint64_t dead; /* slots of who died and is not known to be */
static __thread struct stoai_actor *me;

static struct stoai_actor *
other_than(const struct stoai_actor *self)
{
	return self == &here->a ? &here->b : &here->a;
}

static void
wait_turn(struct stoai_actor *self)
{
	while (sem_wait(&self->turn) && errno == EINTR)
		;
}

static void
pass(struct stoai_actor *self)
{
	sem_post(&other_than(self)->turn);
	wait_turn(self);
}

/* ---- where turns pass ---- */

static void
die(void)
{
	me->died = true;
	siglongjmp(grave, 1);
}

/* In the handler, at the store where it was to stop. */
static void
stopped(void)
{
	struct stoai_actor *self = me;
	int saved = errno;

	self->trapped = false;
	if (!other_than(self)->over)
		pass(self);
	errno = saved;
	if (self->dies == 0)
		die();
	if (self->dies != STOAI_NEVER) {
		self->trapped = true;
		stoai_step_until(here->stepper, self->dies, die);
	}
}

static void
untrap(struct stoai_actor *self)
{
	if (self->trapped)
		stoai_step_until(here->stepper, 0, NULL);
	self->trapped = false;
}

/* Would sleep. true: something may have happened meanwhile, look in earnest. */
static bool
give_way(struct stoai_actor *self)
{
	struct stoai_actor *other = other_than(self);
	bool tick = other->waits;

	if (self->trapped && self == &here->a)
		return false; /* b must find it at its stop, not here */
	untrap(self);
	self->waited = self->waits = true;
	other->waits = false;
	pass(self);
	self->waits = false;
	return !tick && !other->waits;
}

/* Asked before each system call of the library. */
static int
on_call(enum stoai_os_call call)
{
	struct stoai_actor *self = me;

	if (call != STOAI_OS_FUTEX_WAIT && call != STOAI_OS_FUTEX_WAITV)
		return 0;
	if (!self || !self->run || self->over)
		return -ETIMEDOUT;
	if (!dead && !other_than(self)->over)
		if (!give_way(self))
			return -ETIMEDOUT;
	if (dead) { /* the kernel tells a waiter */
		stoai_death_mark(self->seg, dead);
		dead = 0;
		return -ETIMEDOUT;
	}
	untrap(self); /* the kernel wants to write where it waits */
	return 0;
}

static void
on_idle(void)
{
	struct stoai_actor *self = me;

	if (self && self->run && !self->over && !dead &&
		!other_than(self)->over)
		(void)give_way(self);
}

/* ---- one run ---- */

/* Slots whose token the calling thread holds. */
static uint64_t
own_slots(const stoa_segment *seg)
{
	uint32_t tid = (uint32_t)gettid() & STOAI_TOKEN_TID;
	uint64_t slots = stoai_death_holders(seg), own = 0;

	for (; slots; slots &= slots - 1)
		if ((a32_load_relaxed(stoai_token_at(seg, stoai_ctz64(slots))) &
			    STOAI_TOKEN_TID) == tid)
			own |= slots & -slots;
	return own;
}

static void
act(struct stoai_actor *self)
{
	me = self;
	if (self->stop != STOAI_NEVER) {
		self->trapped = true;
		stoai_step_until(here->stepper, self->stop, stopped);
	}
	self->rc = self->run(self->seg, here->user);
	untrap(self);
	self->slots = own_slots(self->seg);
	self->over = true;
}

static void *
b_main(void *unused)
{
	(void)unused;
	for (;;) {
		wait_turn(&here->b);
		if (here->job)
			here->job(here->job_user);
		else
			act(&here->b);
		sem_post(&here->a.turn);
	}
	return NULL;
}

int
stoai_turns_make(struct stoai_turns *turns, struct stoai_stepper *stepper,
	stoa_segment *seg)
{
	pthread_t thread;
	int rc;

	memset(turns, 0, sizeof *turns);
	turns->stepper = stepper;
	turns->a.seg = seg;
	sem_init(&turns->a.turn, 0, 0);
	sem_init(&turns->b.turn, 0, 0);
	here = turns;
	rc = stoai_explore_twin(seg, &turns->b.seg);
	if (!rc && pthread_create(&thread, NULL, b_main, NULL))
		rc = stoai_explore_error(-EAGAIN, "no second thread");
	return rc;
}

void
stoai_turns_do(struct stoai_turns *turns, void (*f)(void *), void *user)
{
	turns->job = f;
	turns->job_user = user;
	pass(&turns->a);
	turns->job = NULL;
}

static void
begin(struct stoai_actor *actor)
{
	actor->rc = 0;
	actor->over = !actor->run;
	actor->waited = actor->waits = actor->died = actor->trapped = false;
}

/* What the jump out of a handler has left of a. */
static void
bury(struct stoai_actor *a)
{
	dead = own_slots(a->seg);
	a->slots = 0;
	a->over = true;
	stoai_explore_forget(a->seg);
	stoai_explore_release(a->seg);
	stoa_thread_recover(); /* its scopes are nobody's */
}

void
stoai_turns_run(struct stoai_turns *turns)
{
	struct stoai_actor *a = &turns->a;

	begin(a);
	begin(&turns->b);
	dead = 0;
	stoai_explore_on_call(on_call);
	stoai_explore_on_idle(on_idle);
	if (!sigsetjmp(grave, 1)) {
		if (!a->over)
			act(a);
	} else {
		bury(a);
	}
	if (!turns->b.over)
		pass(a);
	me = NULL;
	stoai_explore_on_idle(NULL);
	stoai_death_pending(a->seg, 0);
	stoai_death_mark(a->seg, dead);
	dead = 0;
}
