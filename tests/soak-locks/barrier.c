/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Barriers: does nobody go on before all members are there, and does everybody go on
 * when one that was missing dies?
 */
#include "locks.h"

/* The others that were members before this one arrived, by their lives. */
static void
note_members(const struct actor *me, uint32_t life[CREW])
{
	for (unsigned k = 0; k < CREW; k++) {
		const struct actor *it = &board->actor[k];

		life[k] = a32_load_seq_cst(&it->life);
		if (it == me || !a64_load_seq_cst(&it->inside) ||
			a32_load_seq_cst(&it->dying))
			life[k] = 0;
	}
}

/* Those who still live as then must have arrived where this one did. */
static void
all_were_there(const struct actor *me, const uint32_t life[CREW])
{
	for (unsigned k = 0; k < CREW; k++) {
		const struct actor *it = &board->actor[k];
		const uint64_t at = a64_load_seq_cst(&it->at);

		if (life[k] && at < me->at && !a32_load_seq_cst(&it->dying) &&
			a32_load_seq_cst(&it->life) == life[k])
			broken("worker %u went on from phase %" PRIu64
			       ", and %u was at %" PRIu64,
				me->id, me->at, it->id, at);
	}
}

static int
become_member(struct actor *me)
{
	const int rc = stoa_barrier_join(&p->barrier);

	if (!rc)
		a64_exchange_seq_cst(&me->inside, 1);
	return rc;
}

static int
leave_it(struct actor *me)
{
	a64_exchange_seq_cst(&me->inside, 0);
	a32_fetch_add_seq_cst(&me->life, 1); /* what was noted is void */
	return stoa_barrier_leave(&p->barrier);
}

static int
meet(struct actor *me)
{
	uint32_t life[CREW];
	int rc = me->inside ? 0 : become_member(me);

	if (rc)
		return rc;
	note_members(me, life);
	a64_exchange_seq_cst(
		&me->at, (uint64_t)stoa_barrier_phase(&p->barrier) + 1);
	rc = stoa_barrier_wait_until(&p->barrier, some_deadline(me));
	if (in_vain(rc))
		return SKIPPED;
	if (rc < 0)
		return rc;
	all_were_there(me, life);
	return chance(me, 16) ? 0 : leave_it(me);
}

static int
arrive_last(struct actor *me)
{
	(void)me;
	return stoa_barrier_wait(&p->barrier) < 0;
}

static void
barrier_fresh(void)
{
	memset(&p->barrier, 0, sizeof p->barrier);
}

static bool
no_members(void)
{
	const int n = stoa_barrier_members(&p->barrier);

	if (n)
		broken("%d members, and nobody lives", n);
	return !n;
}

const struct play barrier_play = {"barrier", .role = {meet}, .each = true,
	.fresh = barrier_fresh, .whole = no_members, .before = become_member,
	.act = arrive_last};

/* ---- so many ---- */

static int
meet_two(struct actor *me)
{
	const uint32_t before = stoa_barrier_phase(&p->barrier);
	const int rc = stoa_barrier_wait_for(&p->barrier, 2, some_deadline(me));

	if (rc < 0)
		return in_vain(rc) ? SKIPPED : rc;
	if (stoa_barrier_phase(&p->barrier) == before)
		broken("one went on alone");
	return 0;
}

const struct play barrier_for_play = {"barrier-for", .role = {meet_two},
	.each = true, .fresh = barrier_fresh, .whole = no_members};
