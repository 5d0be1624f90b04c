/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Verification: is everything right again when nobody is dead any more?
 *
 *	V1  no slot is live and no token is held, but the survivor's own
 *	V2  no lock is held: no held[] entry, no lock word of the header
 *	V3  stoa_segment_check finds nothing
 *	V4  stoa_segment_leaked finds nothing
 *	V5  the case's own check finds nothing
 *	V6  the state is one of those that an undisturbed run can give
 *	V7  op, run by the survivor, does what it does in an undisturbed run
 */
#include "explore/death.h"
#include "explore/explorer.h"

#define FAIL(x, ...) stoai_explore_fail((x)->c, (x)->shared, __VA_ARGS__)

uint64_t
stoai_explore_put(struct stoai_explorer *x, const struct stoai_images *images,
	uint32_t index)
{
	x->shared->watch.beat++;
	x->shared->place.doing = "restoring";
	stoai_image_restore(&x->view, images, index);
	stoai_explore_forget(x->seg);
	stoai_death_pending(x->seg, 0);
	return stoai_death_holders(x->seg);
}

int
stoai_explore_op(struct stoai_explorer *x)
{
	int rc = 0;

	x->shared->place.doing = "op";
	if (x->c->prepare)
		rc = x->c->prepare(x->seg, x->c->user);
	return rc ? rc : x->c->op(x->seg, x->c->user);
}

uint64_t
stoai_explore_state(struct stoai_explorer *x)
{
	x->shared->place.doing = "state";
	return x->c->state ? x->c->state(x->seg, x->c->user) : 0;
}

int
stoai_explore_recover(void *explorer)
{
	struct stoai_explorer *x = explorer;
	int rc;

	x->shared->place.doing = "recovery";
	rc = stoa_segment_attach(x->seg);
	if (!rc)
		rc = stoa_segment_recover(x->seg);
	return rc < 0 ? rc : 0;
}

void
stoai_expect_add(struct stoai_expect *expect, uint64_t state)
{
	unsigned room = sizeof expect->state / sizeof expect->state[0];

	for (unsigned i = 0; i < expect->count; i++)
		if (expect->state[i] == state)
			return;
	if (expect->count < room)
		expect->state[expect->count++] = state;
}

static bool
expected(const struct stoai_expect *expect, uint64_t state)
{
	for (unsigned i = 0; i < expect->count; i++)
		if (expect->state[i] == state)
			return true;
	return false;
}

/* V1, V2 for one slot */
static int
verify_slot(struct stoai_explorer *x, uint32_t slot)
{
	const struct stoai_lane *lane = stoai_lane_at(x->seg, slot);
	uint32_t token = a32_load_relaxed(stoai_token_at(x->seg, slot));
	uint32_t state = a32_load_relaxed(&stoai_slot_at(x->seg, slot)->state);
	bool own = stoai_explore_slot(x->seg) == slot ||
		   (slot < 64 && x->living >> slot & 1);

	if (!own && token)
		FAIL(x, "slot %u: its token is %#x after recovery", slot,
			token);
	else if (!own && state != STOAI_SLOT_FREE)
		FAIL(x, "slot %u: not free after recovery", slot);
	else
		for (uint32_t i = 0; i < STOAI_HELD_MAX; i++)
			if (a64_load_relaxed(&lane->held[i])) {
				FAIL(x,
					"slot %u: still holds a lock: held[%u] "
					"is %#llx",
					slot, i,
					(unsigned long long)lane->held[i]);
				return -1;
			}
	return (!own && (token || state != STOAI_SLOT_FREE)) ? -1 : 0;
}

static int
verify_locks(struct stoai_explorer *x)
{
	const struct stoai_header *h = stoai_header(x->seg);

	for (uint32_t i = 0; i < x->seg->slot_count; i++)
		if (verify_slot(x, i))
			return -1;
	if (h->lock.word_ || h->names.word_ || h->heap_lock.word_) {
		FAIL(x,
			"a lock of the segment is held by nobody: lock %#x, "
			"names %#x, heap %#x",
			h->lock.word_, h->names.word_, h->heap_lock.word_);
		return -1;
	}
	if ((h->lock.seq_ | h->names.seq_) & 1) {
		FAIL(x, "a lock's sequence is odd and nobody writes");
		return -1;
	}
	return 0;
}

static int
verify_segment(struct stoai_explorer *x)
{
	int64_t leaked;

	if (x->seg->header_off) /* no heap, and no objects */
		return 0;
	x->shared->place.doing = "stoa_segment_check";
	if (stoa_segment_check(x->seg)) {
		FAIL(x, "stoa_segment_check: %s", stoa_error_text());
		return -1;
	}
	x->shared->place.doing = "stoa_segment_leaked";
	leaked = stoa_segment_leaked(x->seg);
	if (leaked) {
		FAIL(x, "stoa_segment_leaked: %lld%s%s", (long long)leaked,
			leaked < 0 ? ": " : "",
			leaked < 0 ? stoa_error_text() : "");
		return -1;
	}
	return 0;
}

int
stoai_explore_verify(struct stoai_explorer *x,
	const struct stoai_expect *expect, uint64_t *ret)
{
	int rc;

	if (verify_locks(x) || verify_segment(x))
		return -1;
	x->shared->place.doing = "check";
	rc = x->c->check ? x->c->check(x->seg, x->c->user) : 0;
	if (rc) {
		FAIL(x, "check: %s: %s", stoa_strerror(rc), stoa_error_text());
		return -1;
	}
	*ret = stoai_explore_state(x);
	if (expect && x->c->state && !expected(expect, *ret)) {
		FAIL(x,
			"state %016llx is none of the %u that are right; "
			"before "
			"op it is %016llx, after it %016llx",
			(unsigned long long)*ret, expect->count,
			(unsigned long long)x->before,
			(unsigned long long)x->after);
		return -1;
	}
	return 0;
}

/* Did op, from `state`, end as it did in the undisturbed run? */
static bool
same_end(const struct stoai_explorer *x, uint64_t state, int rc, uint64_t end)
{
	return (state == x->before && rc == x->result && end == x->after) ||
	       (state == x->after && rc == x->result_again && end == x->again);
}

int
stoai_explore_go_on(struct stoai_explorer *x, const struct stoai_expect *expect,
	uint64_t state)
{
	uint64_t end;
	int rc = stoai_explore_op(x);

	if (stoai_explore_verify(x, NULL, &end))
		return -1;
	if (!expect->exact || !x->c->state || same_end(x, state, rc, end))
		return 0;
	FAIL(x,
		"going on: op returned %d and gave state %016llx, unlike an "
		"undisturbed run (%d, %016llx; then %d, %016llx)",
		rc, (unsigned long long)end, x->result,
		(unsigned long long)x->after, x->result_again,
		(unsigned long long)x->again);
	return -1;
}
