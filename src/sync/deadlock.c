/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Deadlock: does the calling thread wait, over any number of others, for itself?
 *
 * Every sleeper says in its slot what it waits for. A lock leads to its owner, and
 * for a writer to every slot that lists it as shared. We follow these arrows from
 * what we want; a way back to us is a cycle. Others move meanwhile, so a way counts
 * only if it is found twice, the same slots waiting for the same locks. A dead slot
 * leads nowhere: it will be recovered.
 */
#include "sync/word.h"

enum {
	WAY_MAX = 64
}; /* slots on a way that is believed */

struct walk {
	uint64_t seen[STOAI_SLOTS_MAX / 64];
	uint16_t stack[STOAI_SLOTS_MAX], from[STOAI_SLOTS_MAX];
	uint32_t depth, at; /* at: whose blockers are pushed */
};

/* The way back: who waits, and for what. */
struct way {
	uint64_t waiting[WAY_MAX];
	uint16_t slot[WAY_MAX];
	uint32_t length;
};

static void
push(const stoa_segment *seg, struct walk *w, uint32_t slot)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (w->seen[slot / 64] & bit ||
		!a32_load_relaxed(&stoai_slot_at(seg, slot)->paged) ||
		stoai_token_dead(a32_load_acquire(stoai_token_at(seg, slot))))
		return;
	w->seen[slot / 64] |= bit;
	w->from[slot] = (uint16_t)w->at;
	w->stack[w->depth++] = (uint16_t)slot;
}

/* Whom does a waiter for this held word wait for? */
static void
push_blockers(stoa_segment *seg, struct walk *w, uint64_t held)
{
	unsigned mode = stoai_held_mode(held);
	uint64_t off = stoai_held_off(held);
	const stoa_rwlock *l = stoai_at(seg, off);
	uint32_t owner;

	/* what is no lock has no owner */
	if (!stoai_held_lock(mode) || off < STOAI_STATIC_SIZE ||
		off > seg->size - sizeof *l ||
		(off >= STOAI_HEADER_SIZE && !stoai_in_heap(seg, off, 8)))
		return;
	owner = stoai_word_slot(seg, a32_load_acquire(&l->word_));
	if (owner != UINT32_MAX)
		push(seg, w, owner);
	if (mode != STOAI_HELD_EXCLUSIVE)
		return;
	if (off >= STOAI_HEADER_SIZE && !stoai_in_heap(seg, off, sizeof *l))
		return;
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t bits = a64_load_acquire(&l->readers_[i]);

		for (; bits; bits &= bits - 1) {
			uint32_t s = i * 64 + stoai_ctz64(bits);

			if (s < seg->slot_count &&
				stoai_lane_lists(
					seg, s, off | STOAI_HELD_SHARED))
				push(seg, w, s);
		}
	}
}

/* From the end of the walk back to us. */
static void
way_back(const struct stoai_seat *seat, const struct walk *w, struct way *ret)
{
	uint32_t slot = w->from[seat->index];

	ret->length = 0;
	while (slot != seat->index && ret->length < WAY_MAX) {
		ret->slot[ret->length] = (uint16_t)slot;
		ret->waiting[ret->length++] = a64_load_seq_cst(
			&stoai_slot_at(seat->seg, slot)->waiting);
		slot = w->from[slot];
	}
}

static bool
cycle(struct stoai_seat *seat, uint64_t held, struct way *ret)
{
	struct walk w = {.depth = 0, .at = seat->index};

	push_blockers(seat->seg, &w, held);
	/* a writer that waits for readers owns the word itself */
	w.seen[seat->index / 64] &= ~(UINT64_C(1) << (seat->index % 64));
	if (w.depth && w.stack[0] == seat->index)
		w.stack[0] = w.stack[--w.depth];
	while (w.depth) {
		uint32_t slot = w.stack[--w.depth];
		uint64_t waiting;

		if (slot == seat->index) {
			way_back(seat, &w, ret);
			return true;
		}
		waiting = a64_load_seq_cst(
			&stoai_slot_at(seat->seg, slot)->waiting);
		w.at = slot;
		if (waiting)
			push_blockers(seat->seg, &w, waiting);
	}
	return false;
}

bool
stoai_deadlock(struct stoai_seat *seat, uint64_t held)
{
	struct way first, second;

	return cycle(seat, held, &first) && cycle(seat, held, &second) &&
	       first.length == second.length && first.length &&
	       !memcmp(first.slot, second.slot,
		       first.length * sizeof *first.slot) &&
	       !memcmp(first.waiting, second.waiting,
		       first.length * sizeof *first.waiting);
}
