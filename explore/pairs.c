/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Two dead: A dies in op, B in one of `others` that it began meanwhile.
 *
 *	image i of op ── B attaches and acts, stepped ──▶ images j
 *	each (i, j):  mark A, recover, [C acts,]  mark B, recover, verify
 *	              and the same with B first
 *
 * C is another of `others`, by turns each of them and none, run by the survivor
 * between the two recoveries: what the first recovery gave back may be in its
 * hands when the second comes.
 *
 * The same without B, when setup left other threads attached: they die with A, and
 * each of them is recovered first once.
 *
 * The states that are right are those of op, B and C, each done or not, in any
 * order, one after the other.
 *
 * All pairs are many: unless asked for, i and j are sampled evenly, always with the
 * first and the last.
 */
#include "explore/death.h"
#include "explore/explorer.h"

#define FAIL(x, ...) stoai_explore_fail((x)->c, (x)->shared, __VA_ARGS__)

enum {
	SAMPLES = 24,
	NOBODY = -1,
	OP = -2
};

static void
act(struct stoai_explorer *x, int who)
{
	if (who == OP) {
		(void)stoai_explore_op(x);
	} else if (who != NOBODY) {
		x->shared->place.doing = "other";
		(void)x->c->others[who].run(x->seg, x->c->user);
	}
}

/* All orders of subsets of three, as indexes into {op, B, C}. */
static const signed char orders[][3] = {{-1, -1, -1}, {0, -1, -1}, {1, -1, -1},
	{2, -1, -1}, {0, 1, -1}, {0, 2, -1}, {1, 0, -1}, {1, 2, -1}, {2, 0, -1},
	{2, 1, -1}, {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1},
	{2, 1, 0}};

static void
expect_orders(struct stoai_explorer *x, int b, int c, struct stoai_expect *e)
{
	int who[3] = {OP, b, c};

	e->count = 0;
	e->exact = false;
	for (size_t i = 0; i < STOAI_COUNT(orders); i++) {
		stoai_death_mark(x->seg, stoai_explore_put(x, &x->images, 0));
		if (stoai_explore_recover(x))
			continue;
		for (unsigned k = 0; k < 3; k++)
			if (orders[i][k] >= 0)
				act(x, who[(unsigned)orders[i][k]]);
		stoai_expect_add(e, stoai_explore_state(x));
	}
}

struct second { /* what B does, stepped */
	struct stoai_explorer *x;
	uint32_t other;
	uint64_t a;
};

static int
second_acts(void *user)
{
	struct second *second = user;
	struct stoai_explorer *x = second->x;
	int rc = stoa_segment_attach(x->seg);

	if (!rc) {
		stoai_death_pending(x->seg, second->a);
		act(x, (int)second->other);
		stoai_death_pending(x->seg, 0);
	}
	return rc;
}

/* All dead at that image; `first` are recovered, then c acts, then the rest. */
static void
pair(struct stoai_explorer *x, const struct stoai_images *images,
	uint32_t index, uint64_t first, int c,
	const struct stoai_expect *expect)
{
	uint64_t all, state;

	if (images == &x->inner) {
		x->shared->place.inner = index;
		x->shared->place.inner_at = images->info[index].at;
	}
	x->shared->place.then = (uint32_t)c;
	x->shared->result.pairs++;
	all = stoai_explore_put(x, images, index);
	stoai_death_mark(x->seg, all & first);
	if (stoai_explore_recover(x)) {
		FAIL(x, "first recovery failed: %s", stoa_error_text());
		return;
	}
	stoai_death_pending(x->seg, all & ~first);
	act(x, c);
	stoai_death_pending(x->seg, 0);
	stoai_death_mark(x->seg, all & ~first);
	if (stoai_explore_recover(x)) {
		FAIL(x, "second recovery failed: %s", stoa_error_text());
		return;
	}
	if (!stoai_explore_verify(x, expect, &state))
		(void)stoai_explore_go_on(x, expect, state);
}

/* The sample's next image after i; the last one always comes. */
static uint32_t
next_sample(const struct stoai_explorer *x, uint32_t i, uint32_t count)
{
	uint32_t stride = x->flags & STOA_EXPLORE_ALL_PAIRS
				  ? 1
				  : (count + SAMPLES - 1) / SAMPLES;

	if (i + 1 < count && i + stride >= count)
		return count - 1;
	return i + stride;
}

/*
 * Threads that setup left attached die with op's thread: any of them may be
 * recovered first.
 */
static void
companions_of(struct stoai_explorer *x, uint32_t image, int c,
	const struct stoai_expect *expect)
{
	uint64_t slots = stoai_explore_put(x, &x->images, image);

	if (!(slots & (slots - 1)) ||
		!stoai_explore_unit(x, STOAI_PHASE_PAIRS, image, UINT32_MAX))
		return;
	for (; slots; slots &= slots - 1) {
		x->shared->place.order = stoai_ctz64(slots);
		pair(x, &x->images, image, slots & -slots, c, expect);
	}
}

static void
companions(struct stoai_explorer *x)
{
	struct stoai_expect expect;

	for (int c = NOBODY; c < (int)x->c->other_count; c++) {
		x->shared->place.phase = STOAI_PHASE_REFERENCE;
		expect_orders(x, NOBODY, c, &expect);
		for (uint32_t i = 0; i < x->images.count; i++)
			companions_of(x, i, c, &expect);
	}
}

static void
pairs_of(struct stoai_explorer *x, uint32_t image, uint32_t other,
	const struct stoai_expect *expect)
{
	struct second second = {x, other, 0};
	uint32_t turn = image, last;

	if (!stoai_explore_unit(x, STOAI_PHASE_PAIRS, image, other))
		return;
	stoai_pool_back(&x->pool, &x->view, x->pool_kept);
	second.a = stoai_explore_put(x, &x->images, image);
	if (stoai_step(&x->stepper, &x->inner, STOAI_STEP_STORES, second_acts,
		    &second, &last)) {
		FAIL(x, "attach failed: %s", stoa_error_text());
		return;
	}
	for (uint32_t j = 0; j < x->inner.count;
		j = next_sample(x, j, x->inner.count)) {
		int c = (int)(turn++ % (x->c->other_count + 1)) - 1;

		x->shared->place.order = 0;
		pair(x, &x->inner, j, second.a, c, &expect[c + 1]);
		x->shared->place.order = 1;
		pair(x, &x->inner, j, ~second.a, c, &expect[c + 1]);
	}
}

void
stoai_explore_pairs(struct stoai_explorer *x)
{
	struct stoai_expect expect[STOAI_OTHERS_MAX + 1];
	uint32_t others = (uint32_t)x->c->other_count;

	companions(x);
	for (uint32_t b = 0; b < others; b++) {
		if (x->c->others[b].whole)
			continue;
		x->shared->place.phase = STOAI_PHASE_REFERENCE;
		for (uint32_t c = 0; c <= others; c++)
			expect_orders(x, (int)b, (int)c - 1, &expect[c]);
		for (uint32_t i = 0; i < x->images.count;
			i = next_sample(x, i, x->images.count))
			pairs_of(x, i, b, expect);
	}
}
