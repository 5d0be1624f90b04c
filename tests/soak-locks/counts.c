/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphore and permits: is the count what its users have said before and after their
 * calls, but for the calls in which they died?
 */
#include "locks.h"

/* ---- semaphore ---- */

static int
post_some(struct actor *me)
{
	int rc;

	if (stoa_semaphore_value(&p->sem) >= PILE) {
		sched_yield();
		return SKIPPED;
	}
	me->begun++;
	stoai_kill_fence();
	rc = stoa_semaphore_post(&p->sem);
	stoai_kill_fence();
	me->done++;
	return rc;
}

static int
take_one(struct actor *me)
{
	int rc;

	me->begun++;
	stoai_kill_fence();
	rc = stoa_semaphore_wait_until(&p->sem, some_deadline(me));
	stoai_kill_fence();
	if (in_vain(rc)) {
		me->begun--;
		return SKIPPED;
	}
	me->done++;
	return rc;
}

static bool
none_is_there(void)
{
	return stoa_semaphore_value(&p->sem) == 0;
}

static int
post_for_all(struct actor *me)
{
	me->begun += CREW;
	return stoa_semaphore_post_many(&p->sem, CREW);
}

static void
semaphore_fresh(void)
{
	memset(&p->sem, 0, sizeof p->sem);
}

static bool
semaphore_whole(void)
{
	const int64_t value = stoa_semaphore_value(&p->sem);
	const int64_t posted = (int64_t)board->done[0];
	const int64_t taken = (int64_t)board->done[1];

	if (value <= posted + (int64_t)board->maybe[0] - taken &&
		value >= posted - taken - (int64_t)board->maybe[1])
		return true;
	broken("%" PRId64 " posted (and %" PRIu64 " perhaps), %" PRId64
	       " taken (and %" PRIu64 " perhaps), %" PRId64 " are left",
		posted, board->maybe[0], taken, board->maybe[1], value);
	return false;
}

const struct play semaphore_play = {"semaphore", .role = {post_some, take_one},
	.makers = true, .fresh = semaphore_fresh, .rest = none_is_there,
	.whole = semaphore_whole, .act = post_for_all};

/* ---- permits ---- */

static unsigned
stays(uint64_t stay[CREW])
{
	unsigned n = 0;

	for (unsigned k = 0; k < CREW; k++) {
		const struct actor *it = &board->actor[k];

		stay[k] = a64_load_seq_cst(&it->inside);
		if (a32_load_seq_cst(&it->dying))
			stay[k] = 0;
		else
			stay[k] += stay[k] ? (uint64_t)it->life << 40 : 0;
		n += stay[k] != 0;
	}
	return n;
}

/* Seen twice, they have all been inside at one time. */
static void
count_those_inside(void)
{
	uint64_t first[CREW], again[CREW];
	const unsigned n = stays(first);

	if (n > POOL && stays(again) == n &&
		!memcmp(first, again, sizeof first))
		broken("%u have one of %u permits", n, POOL);
}

static int
borrow(struct actor *me)
{
	int rc = stoa_permits_take_until(&p->pool, some_deadline(me));

	if (rc)
		return in_vain(rc) ? SKIPPED : rc;
	a64_store_relaxed(&me->at, me->at + 1);
	a64_exchange_seq_cst(&me->inside, me->at);
	linger(me);
	count_those_inside();
	a64_exchange_seq_cst(&me->inside, 0);
	return stoa_permits_give(&p->pool);
}

static int
take_all(struct actor *me)
{
	int rc = 0;

	(void)me;
	for (int i = 0; !rc && i < POOL; i++)
		rc = stoa_permits_take(&p->pool);
	return rc;
}

static int
give_one(struct actor *me)
{
	(void)me;
	return stoa_permits_give(&p->pool);
}

static void
permits_fresh(void)
{
	memset(&p->pool, 0, sizeof p->pool);
	if (stoa_permits_set_total(&p->pool, POOL))
		broken("set_total: %s", stoa_error_text());
}

static bool
permits_whole(void)
{
	const int64_t n = stoa_permits_available(&p->pool);

	if (n != POOL)
		broken("%" PRId64 " of %u permits are free, and nobody lives",
			n, POOL);
	return n == POOL;
}

const struct play permits_play = {"permits", .role = {borrow}, .each = true,
	.fresh = permits_fresh, .whole = permits_whole, .before = take_all,
	.act = give_one};
