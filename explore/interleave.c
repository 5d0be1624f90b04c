/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Two that live: A stops at an image of its own, B runs, A goes on. Do both end as
 * if one had come after the other?
 *
 *	A  ──store 1..n──┐                   ┌──────▶ its end
 *	B                └─▶ its end ────────┘        or until it would wait for A
 *
 * One of the two is op, the other one op or one of `others`; each pair in both
 * roles. What is right was found by running them one after the other, from the same
 * beginning: results and state of A;B or of B;A. Who gives up (-EAGAIN, -EBUSY,
 * -ETIMEDOUT, -EDEADLK: it would not wait, or could not) has done nothing.
 *
 *	interrupted    B has stops of its own: A goes on to its end while B stands
 *	               between two stores, and waits for B if it must
 *	bereaved       where B had to wait for A, A goes on for some stores and is
 *	               killed: B must end nevertheless, and recovery give one of
 *	               the states of A and B, each done or not
 *
 * Every stop is before or behind a store that makes an image: what A has read before
 * it is old when A goes on. Unless all pairs are asked for, A's stops are sampled
 * evenly where there are many, others beside another B; interrupted and bereaved
 * runs are a sample always.
 *
 * What this cannot show: turns pass at stores only, so each process sees all that
 * the other one has stored (sequential consistency); see README.md.
 */
#include "explore/death.h"
#include "explore/explorer.h"
#include "explore/turns.h"

#define FAIL(x, ...) stoai_explore_fail((x)->c, (x)->shared, __VA_ARGS__)

enum {
	OP = -1,    /* who: op; else index of others */
	STOPS = 20, /* of A, sampled */
	STOPS_ALL = 4096,
	CROSSED_ALL = 32 /* of B, for each of A's */
};

struct stops { /* before and behind each store that makes an image */
	uint32_t count;
	uint64_t stop[STOPS_ALL]; /* as stoai_step_until counts */
	uintptr_t at[STOPS_ALL];
};

struct outcome {
	int a, b; /* results */
	uint64_t state;
};

/* From the same beginning: nothing, one of them, one after the other. */
struct serial {
	struct outcome none, a, b, ab, ba;
};

static struct stoai_turns turns;
static struct stops stops_a, stops_b;

static int (*run_of(const struct stoai_explorer *x, int who))(
	stoa_segment *, void *)
{
	return who == OP ? x->c->op : x->c->others[who].run;
}

/* ---- the beginning ---- */

struct b_begins {
	struct stoai_explorer *x;
	bool prepares;
	int rc;
};

static void
b_begins(void *user)
{
	struct b_begins *b = user;
	const stoa_explore_case *c = b->x->c;

	stoai_explore_forget(turns.b.seg);
	stoai_explore_release(turns.b.seg);
	stoa_thread_recover();
	b->rc = stoa_segment_attach(turns.b.seg);
	if (!b->rc && b->prepares)
		b->rc = c->prepare(turns.b.seg, c->user);
}

/* The image before op, with A and B attached and all others recovered. */
static int
begin(struct stoai_explorer *x, int a, int b)
{
	uint64_t slots = stoai_explore_put(x, &x->images, 0);
	struct b_begins begins = {
		.x = x, .prepares = x->c->prepare && a != OP && b == OP};
	int rc;

	x->shared->place.doing = "beginning";
	stoai_explore_release(x->seg);
	stoai_death_mark(x->seg, slots);
	rc = stoai_explore_recover(x);
	if (!rc)
		stoai_turns_do(&turns, b_begins, &begins);
	if (!rc)
		rc = begins.rc;
	if (!rc && x->c->prepare && a == OP)
		rc = x->c->prepare(x->seg, x->c->user);
	if (rc)
		FAIL(x, "beginning: %d: %s", rc, stoa_error_text());
	return rc;
}

/* ---- where to stop ---- */

static int
a_acts(void *explorer)
{
	struct stoai_explorer *x = explorer;

	return turns.a.run(x->seg, x->c->user);
}

static int
b_acts(void *explorer)
{
	struct stoai_explorer *x = explorer;

	return turns.b.run(turns.b.seg, x->c->user);
}

static void
b_stepped(void *explorer)
{
	struct stoai_explorer *x = explorer;
	uint32_t last;

	(void)stoai_step(
		&x->stepper, &x->inner, STOAI_STEP_STORES, b_acts, x, &last);
}

static void
find_stops(struct stoai_explorer *x, bool of_b, struct stops *stops)
{
	uint32_t last;

	stoai_pool_back(&x->pool, &x->view, x->pool_kept);
	if (of_b)
		stoai_turns_do(&turns, b_stepped, x);
	else
		(void)stoai_step(&x->stepper, &x->inner, STOAI_STEP_STORES,
			a_acts, x, &last);
	stops->count = 0;
	for (uint32_t i = 1; i < x->inner.count; i++) {
		const struct stoai_image *made = &x->inner.info[i];

		for (unsigned k = 0; made->at && k < 2; k++) {
			if (stops->count == STOPS_ALL)
				return;
			stops->stop[stops->count] = 2 * made->step - 1 + k;
			stops->at[stops->count++] = made->at;
		}
	}
}

/* ---- what is right ---- */

static void
run(struct stoai_explorer *x, int (*a)(stoa_segment *, void *),
	int (*b)(stoa_segment *, void *), uint64_t a_stop, uint64_t b_stop,
	uint64_t dies)
{
	x->shared->place.doing = "interleaved";
	turns.user = x->c->user;
	turns.a.run = a;
	turns.b.run = b;
	turns.a.stop = a_stop;
	turns.b.stop = b_stop;
	turns.a.dies = dies;
	turns.b.dies = STOAI_NEVER;
	stoai_turns_run(&turns);
}

static void
plain(struct stoai_explorer *x, int who, bool by_b, struct outcome *o)
{
	int (*f)(stoa_segment *, void *) = run_of(x, who);

	run(x, by_b ? NULL : f, by_b ? f : NULL, STOAI_NEVER, STOAI_NEVER,
		STOAI_NEVER);
	if (by_b)
		o->b = turns.b.rc;
	else
		o->a = turns.a.rc;
	o->state = stoai_explore_state(x);
}

static int
find_serial(struct stoai_explorer *x, int a, int b, struct serial *s)
{
	int rc = begin(x, a, b);

	memset(s, 0, sizeof *s);
	if (rc)
		return rc;
	s->none.state = stoai_explore_state(x);
	plain(x, a, false, &s->a);
	s->ab = s->a;
	plain(x, b, true, &s->ab);
	rc = begin(x, a, b);
	if (rc)
		return rc;
	plain(x, b, true, &s->b);
	s->ba = s->b;
	plain(x, a, false, &s->ba);
	return 0;
}

static bool
same(const struct outcome *o, int a, int b, uint64_t state)
{
	return o->a == a && o->b == b && o->state == state;
}

/* Would not, or could not, wait for the other one. */
static bool
gave_up(int rc)
{
	return rc == -EAGAIN || rc == -EBUSY || rc == -ETIMEDOUT ||
	       rc == -EDEADLK;
}

/* Nobody died. */
static bool
is_right(const struct stoai_explorer *x, const struct serial *s, int a, int b,
	uint64_t state)
{
	if (same(&s->ab, a, b, state) || same(&s->ba, a, b, state))
		return true;
	if (x->flags & STOA_EXPLORE_LOOSE)
		return true;
	if (gave_up(a) && gave_up(b))
		return state == s->none.state;
	if (gave_up(b))
		return a == s->a.a && state == s->a.state;
	return gave_up(a) && b == s->b.b && state == s->b.state;
}

static void
expect_after_death(const struct serial *s, int b, struct stoai_expect *e)
{
	memset(e, 0, sizeof *e);
	if (b < 0) {
		stoai_expect_add(e, s->none.state);
		stoai_expect_add(e, s->a.state);
		return;
	}
	stoai_expect_add(e, s->b.state);
	stoai_expect_add(e, s->ab.state);
	stoai_expect_add(e, s->ba.state);
}

/* ---- one meeting ---- */

static void
judge(struct stoai_explorer *x, const struct serial *s)
{
	struct stoai_expect expect;
	bool died = turns.a.died;
	uint64_t state;
	int rc;

	x->shared->result.interleaved++;
	expect_after_death(s, turns.b.rc, &expect);
	if (died && stoai_explore_recover(x)) {
		FAIL(x, "recovery failed: %s", stoa_error_text());
		return;
	}
	x->living = turns.a.slots | turns.b.slots;
	rc = stoai_explore_verify(x, died ? &expect : NULL, &state);
	x->living = 0;
	if (rc || died || !x->c->state ||
		is_right(x, s, turns.a.rc, turns.b.rc, state))
		return;
	FAIL(x,
		"results %d and %d, state %016llx: neither the first before "
		"the "
		"second (%d, %d, %016llx) nor after it (%d, %d, %016llx)",
		turns.a.rc, turns.b.rc, (unsigned long long)state, s->ab.a,
		s->ab.b, (unsigned long long)s->ab.state, s->ba.a, s->ba.b,
		(unsigned long long)s->ba.state);
}

/* A's stop i; B's stop, or NEVER; A's death, counted from its stop, or NEVER. */
static void
meet(struct stoai_explorer *x, int a, int b, uint32_t i, uint64_t b_stop,
	uint64_t dies, const struct serial *s)
{
	struct stoai_place *place = &x->shared->place;

	if (begin(x, a, b))
		return;
	place->other_stop = b_stop == STOAI_NEVER ? 0 : b_stop;
	place->dies = dies == STOAI_NEVER ? 0 : dies + 1;
	run(x, run_of(x, a), run_of(x, b), stops_a.stop[i], b_stop, dies);
	judge(x, s);
}

/* ---- all of them ---- */

/* Odd, so that stops before and behind stores take turns. */
static uint32_t
stride_of(uint32_t count, uint32_t samples)
{
	return ((count + samples - 1) / samples) | 1;
}

static void
stop_at(struct stoai_explorer *x, int a, int b, uint32_t i,
	const struct serial *s)
{
	struct stoai_place *place = &x->shared->place;
	uint32_t later = i + i % (stops_a.count - i);

	place->then = b == OP ? UINT32_MAX : (uint32_t)b;
	place->step = stops_a.stop[i];
	place->at = stops_a.at[i];
	meet(x, a, b, i, STOAI_NEVER, STOAI_NEVER, s);
	if (!turns.b.waited)
		return;
	/* bereaved: at this stop, and at a later one */
	meet(x, a, b, i, STOAI_NEVER, 0, s);
	if (later > i)
		meet(x, a, b, i, STOAI_NEVER,
			stops_a.stop[later] - stops_a.stop[i], s);
}

/* B has stops too: one of them for each of A's, by turns all of them. */
static void
cross(struct stoai_explorer *x, int a, int b, uint32_t i, uint32_t turn,
	const struct serial *s)
{
	uint32_t stride = x->flags & STOA_EXPLORE_ALL_PAIRS
				  ? stride_of(stops_b.count, CROSSED_ALL)
				  : stops_b.count;

	/* 0.618 of the way on, so that few turns are spread evenly */
	for (uint32_t j = turn * 618 % 1000 * stride / 1000; j < stops_b.count;
		j += stride)
		meet(x, a, b, i, stops_b.stop[j], STOAI_NEVER, s);
}

static void
pair(struct stoai_explorer *x, int a, int b)
{
	bool all = x->flags & STOA_EXPLORE_ALL_PAIRS &&
		   (a == OP || !x->c->others[a].whole);
	uint32_t stride, turn = 0;
	struct serial serial;

	x->shared->place.phase = STOAI_PHASE_REFERENCE;
	turns.a.run = run_of(x, a);
	turns.b.run = run_of(x, b);
	if (begin(x, a, b))
		return;
	find_stops(x, false, &stops_a);
	stops_b.count = 0;
	if (b == OP || !x->c->others[b].whole) {
		if (begin(x, a, b))
			return;
		find_stops(x, true, &stops_b);
	}
	if (find_serial(x, a, b, &serial))
		return;
	stride = stride_of(stops_a.count, all ? STOPS_ALL : STOPS);
	/* beside different B at different stops */
	for (uint32_t i = (uint32_t)(a + b + 2) % stride; i < stops_a.count;
		i += stride) {
		if (!stoai_explore_unit(x, STOAI_PHASE_INTERLEAVE, 0,
			    a == OP ? UINT32_MAX : (uint32_t)a))
			continue;
		stop_at(x, a, b, i, &serial);
		cross(x, a, b, i, turn++, &serial);
	}
}

int
stoai_explore_interleave(struct stoai_explorer *x)
{
	int others = (int)x->c->other_count;
	int rc = stoai_turns_make(&turns, &x->stepper, x->seg);

	if (rc)
		return rc;
	for (int b = OP; b < others; b++)
		pair(x, OP, b);
	for (int a = 0; a < others; a++)
		if (!x->c->others[a].whole || x->flags & STOA_EXPLORE_ALL_PAIRS)
			pair(x, a, OP);
	return 0;
}
