/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks of a stoa_slots, in memory that is no segment: every kind, before and behind the
 * table, killed at every instruction. The protocols are those of raw.c and signals.c;
 * what is new is where the slots lie, and that there is nothing but slots.
 */
#include "crash.h"
#include "explore/explorer.h"
#include "segment/seat.h"
#include "stoa/stoa.h"

/* At offset 0 of the memory, and behind the table. */
struct before {
	stoa_mutex m;
	uint64_t first, second; /* differ only while somebody has m */
	stoa_semaphore sem;
	stoa_permits permits;
};

struct behind {
	stoa_rwlock l;
	stoa_cond c;
	stoa_event event;
	stoa_barrier barrier;
	uint64_t first, second; /* l */
};

enum {
	POSTED = 2,
	POOL = 2
};

static struct before *a;
static struct behind *b;

static int
setup(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	a = stoai_at(seg, seg->skip);
	b = stoai_at(
		seg, seg->skip + STOAI_IMAGE_PAGE + 64 + sizeof(stoa_slots));
	if (!rc)
		rc = stoa_semaphore_post_many(&a->sem, POSTED);
	return rc ? rc : stoa_permits_set_total(&a->permits, POOL);
}

/* It was taken, with that result: the data are right afterwards, or < 0. */
static int
entered_a(int rc)
{
	if (rc != -EOWNERDEAD)
		return rc;
	*(volatile uint64_t *)&a->first = a->second;
	stoa_mutex_mend(&a->m);
	return 0;
}

static int
entered_b(int rc)
{
	if (rc != -EOWNERDEAD)
		return rc;
	*(volatile uint64_t *)&b->first = b->second;
	stoa_rwlock_mend(&b->l);
	return 0;
}

static void
add(uint64_t *first, uint64_t *second)
{
	++*(volatile uint64_t *)first;
	++*(volatile uint64_t *)second;
}

static int
with_mutex(int (*lock)(const stoa_mutex *m))
{
	int rc = entered_a(lock(&a->m));

	if (rc)
		return rc;
	add(&a->first, &a->second);
	stoa_mutex_unlock(&a->m);
	return 0;
}

static int
with_rwlock(enum stoa_mode mode)
{
	int rc = stoa_rwlock_lock_as(&b->l, mode, STOA_FOREVER);

	if (mode == STOA_UPGRADABLE && (!rc || rc == -EOWNERDEAD)) {
		int died = rc;

		rc = stoa_rwlock_upgrade(&b->l);
		if (!rc)
			rc = died;
	}
	rc = entered_b(rc);
	if (rc)
		return rc;
	add(&b->first, &b->second);
	stoa_rwlock_unlock(&b->l);
	return 0;
}

static int
check(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = entered_a(stoa_mutex_lock(&a->m));
	if (rc)
		return rc;
	stoa_mutex_unlock(&a->m);
	rc = entered_b(stoa_rwlock_lock(&b->l));
	if (rc)
		return rc;
	stoa_rwlock_unlock(&b->l);
	if (a->first != a->second || b->first != b->second ||
		stoa_permits_available(&a->permits) != POOL ||
		stoa_barrier_members(&b->barrier))
		return -EBADMSG;
	if (a->m.word_ || b->l.word_ || b->l.seq_ % 2 ||
		a->permits.lock_.word_ || b->barrier.lock_.word_)
		return -EBUSY;
	return 0;
}

static uint64_t
state(stoa_segment *seg, void *user)
{
	uint64_t sum = stoa_semaphore_value(&a->sem);

	(void)seg;
	(void)user;
	sum = sum * 1000 + a->second;
	sum = sum * 1000 + b->second;
	sum = sum * 1000 + stoa_event_is_set(&b->event);
	return sum * 1000 + stoa_barrier_phase(&b->barrier);
}

/* Two handles of one memory: the calls are to be of this one's thread. */
#define OP(name, call) \
 static int name(stoa_segment *seg, void *user) \
 { \
  int rc = stoa_segment_attach(seg); \
\
  (void)user; \
  return rc ? rc : (call); \
 }

static int
spin(const stoa_mutex *m)
{
	return stoa_mutex_spin(m, STOA_FOREVER);
}

static int
borrow(void)
{
	int rc = stoa_permits_take_until(&a->permits, STOA_NOW);

	return rc ? rc : stoa_permits_give(&a->permits);
}

static int
join_and_leave(void)
{
	int rc = stoa_barrier_join(&b->barrier);

	return rc ? rc : stoa_barrier_leave(&b->barrier);
}

static int
wait_in_vain(void)
{
	int rc = entered_a(stoa_mutex_lock(&a->m));

	if (rc)
		return rc;
	do
		rc = entered_a(stoa_cond_wait(&b->c, &a->m, STOA_NOW));
	while (!rc);
	add(&a->first, &a->second);
	stoa_mutex_unlock(&a->m);
	return rc == -ETIMEDOUT ? 0 : rc;
}

OP(mutex, with_mutex(stoa_mutex_lock))
OP(spinning, with_mutex(spin))
OP(exclusive, with_rwlock(STOA_EXCLUSIVE))
OP(upgraded, with_rwlock(STOA_UPGRADABLE))
OP(post, stoa_semaphore_post(&a->sem))
OP(take, stoa_semaphore_wait_until(&a->sem, STOA_NOW))
OP(permit, borrow())
OP(set, stoa_event_set(&b->event))
OP(member, join_and_leave())
OP(signals, stoa_cond_signal(&b->c))
OP(waits, wait_in_vain())

static int
shared(stoa_segment *seg, void *user)
{
	int rc = stoa_segment_attach(seg);

	(void)user;
	if (!rc)
		rc = stoa_rwlock_share(&b->l);
	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (!rc && b->first != b->second)
		rc = -EBADMSG;
	stoa_rwlock_unlock(&b->l);
	return rc;
}

static int
attach_and_detach(stoa_segment *seg, void *user)
{
	int rc;

	(void)user;
	stoa_segment_detach(seg);
	rc = stoa_segment_attach(seg);
	stoa_segment_detach(seg);
	return rc;
}

static const stoa_explore_op others[] = {{"locks", mutex, false},
	{"writes", exclusive, false}, {"takes", take, false},
	{"borrows", permit, false}, {"signals", signals, false}};

#define CASE_IN(title, op_, flags_) \
 { \
  .explore = {.name = title, \
	  .setup = setup, \
	  .op = op_, \
	  .check = check, \
	  .state = state, \
	  .others = others, \
	  .other_count = 5}, \
  .flags = STOAI_EXPLORE_SLOTS | (flags_) \
 }
#define CASE(title, op_) CASE_IN(title, op_, 0)

static const struct crash_case cases[] = {
	CASE("slots: attach and detach", attach_and_detach),
	CASE("slots: mutex", mutex),
	CASE("slots: mutex, spinning", spinning),
	CASE("slots: exclusive", exclusive),
	CASE("slots: upgraded", upgraded),
	CASE_IN("slots: shared", shared, STOA_EXPLORE_LOOSE),
	CASE_IN("slots: wait in vain", waits, STOA_EXPLORE_LOOSE),
	CASE("slots: signal", signals),
	CASE("slots: post", post),
	CASE("slots: take", take),
	CASE("slots: permit", permit),
	CASE("slots: event", set),
	CASE("slots: member", member),
};

int
main(int argc, char **argv)
{
	return crash_main(
		"slots", cases, sizeof cases / sizeof cases[0], argc, argv);
}
