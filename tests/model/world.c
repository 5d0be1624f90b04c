/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The world that the threads of the model live in, and its laws.
 *
 *	0       header      1024
 *	1024    slots       128 each
 *	2048    lanes       512 each: held locks, a short log, the token
 *	4608    table, metas
 *	6144    heap        4 spans of 256 bytes, or the subject's own memory
 *
 * Each thread is a process with a segment handle of its own, as they would have
 * it: own window pages, own owner bytes, own list. They share the mapping, which
 * makes no difference to code that only knows offsets.
 */
#include <stdio.h>
#include <string.h>
#include "heap/span.h"
#include "os/os.h"
#include "segment/registry.h"
#include "segment/upper.h"
#include "tx/local.h"
#include "world.h"

enum {
	SLOTS_OFF = 1024,
	LANES_OFF = 2048,
	LANE = STOAI_LANE_MIN,
	TABLE_OFF = LANES_OFF + WORLD_SLOTS * LANE,
	META_OFF = TABLE_OFF + 64,
	HEAP_OFF = 6144,
	SPANS = (WORLD_SIZE - HEAP_OFF) >> WORLD_SPAN_SHIFT,
	LOG_USED = 96, /* bytes of a lane's log that any subject fills */
	BRIEFLY_NS = 30 * 1000 * 1000 /* less than any other tick */
};

struct process world_process[MODEL_THREADS + 1];
struct notes world_notes;
static char segment[WORLD_SIZE] __attribute__((aligned(4096)));
static unsigned threads, flags;
void (*world_undone)(uint32_t slot);
void (*world_done)(void);

struct process *
world_me(void)
{
	return &world_process[model_thread()];
}

struct stoai_seat *
world_seat(void)
{
	return &world_me()->mine.seat;
}

void *
world_at(uint64_t n)
{
	return segment + HEAP_OFF + n;
}

/* ---- the laws ---- */

void
world_ok(int rc)
{
	if (rc)
		model_wrong(rc == -EBADMSG
				    ? "-EBADMSG: damage where there is none"
			    : rc == -ETIMEDOUT ? "-ETIMEDOUT without a deadline"
			    : rc == -EDEADLK
				    ? "-EDEADLK: a circle where there is none"
			    : rc == -ENOTRECOVERABLE
				    ? "-ENOTRECOVERABLE: a slot is quarantined"
				    : "a call failed that must not");
}

/* Readers beside each other, and beside one that is upgradable. */
static bool
excludes(enum stoai_lock_mode a, enum stoai_lock_mode b)
{
	return (a != STOAI_MODE_SHARED && b != STOAI_MODE_SHARED) ||
	       (a != STOAI_MODE_SHARED && a != STOAI_MODE_UPGRADABLE) ||
	       (b != STOAI_MODE_SHARED && b != STOAI_MODE_UPGRADABLE);
}

void
world_enter(enum stoai_lock_mode mode)
{
	uint32_t *me = &world_notes.inside[world_seat()->index];

	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		if (world_notes.inside[i] &&
			excludes(mode,
				(enum stoai_lock_mode)world_notes.inside[i]))
			model_wrong("two are inside that exclude each other");
	*me = mode;
	model_point(MODEL_CHANGE, me, sizeof *me);
}

void
world_leave(void)
{
	world_notes.inside[world_seat()->index] = 0;
}

static void
world_committed(void)
{
	if (world_done)
		world_done();
}

void
world_commit_of(struct stoai_seat *seat)
{
	struct stoai_lane *lane = seat->lane;

	if (seat->effects) {
		a32_store_kill(&lane->state, STOAI_LANE_COMMITTED);
		world_committed();
		world_ok(stoai_lane_signal(seat->seg, seat->index, true));
		stoai_unlock_all(seat);
		world_ok(stoai_lane_finish(seat->seg, seat->index, true));
		seat->effects = 0;
	} else {
		a64_store_kill(
			&lane->cursor, stoai_log_start(seat->seg, seat->index));
		world_committed();
		stoai_unlock_all(seat);
	}
	stoai_cond_settle(seat, false);
}

void
world_commit(void)
{
	world_commit_of(world_seat());
}

/* The slot is taken, and not by a thread that lives. */
static bool
unburied(uint32_t slot)
{
	unsigned owner = kernel_owner(slot);

	return *stoai_token_at(&world_process[0].seg, slot) &&
	       (owner == MODEL_NOBODY || model_state_of(owner) == MODEL_DEAD);
}

bool
world_buried(void)
{
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		if (unburied(i))
			return false;
	return true;
}

/*
 * A tick is needed when a wake-up died with whom it had woken, or when the kernel
 * could not mark a death. It is not needed when nobody died, when all who died
 * have been recovered, or when the one who sleeps does so for a lock of a dead
 * slot that is marked: the kernel wakes him.
 */
const char *
world_idle(void)
{
	const stoa_segment *seg = &world_process[0].seg;

	if (world_buried())
		return model_deaths() ? "a wake-up is lost: all dead are "
					"recovered and the others sleep"
				      : "a wake-up is lost: all sleep";
	if (flags & (WORLD_NO_WAITV | WORLD_TOKENLESS) || model_deaths() > 1)
		return NULL;
	for (unsigned t = 0; t < threads; t++)
		for (unsigned i = 0; i < WORLD_SLOTS; i++) {
			const uint32_t *token = stoai_token_at(seg, i);

			if (stoai_token_dead(*token) &&
				model_sleeps_on(t, token))
				return "who sleeps on a dead one's token was "
				       "not woken";
		}
	return NULL;
}

/* Does a dead slot name the place, as what it waits at or as an entry? */
static bool
owed(const stoa_segment *seg, uint64_t off)
{
	for (unsigned i = 0; i < threads; i++) {
		const struct stoai_lane *lane = stoai_lane_at(seg, i);

		if (!unburied(i))
			continue;
		if (stoai_held_off(stoai_slot_at(seg, i)->waiting) == off)
			return true;
		for (unsigned k = 0; k < STOAI_HELD_MAX; k++)
			if (stoai_held_off(lane->held[k]) == off)
				return true;
	}
	return false;
}

/* Who has seen that one is dying looks again by itself: sync/wait.c. */
static bool
sleeps_briefly(unsigned t)
{
	return model_deaths() && kernel_sleeps_for(t) < BRIEFLY_NS;
}

const char *
world_idle_at(const uint32_t *word, bool there)
{
	const stoa_segment *seg = &world_process[0].seg;
	unsigned here = 0, briefly = 0, elsewhere = 0;

	for (unsigned t = 0; t < threads; t++)
		if (model_state_of(t) != MODEL_ASLEEP)
			continue;
		else if (!model_sleeps_on(t, word))
			elsewhere++;
		else if (sleeps_briefly(t))
			briefly++;
		else
			here++;
	if (!there && !elsewhere && world_buried())
		return model_over;
	if (there && here && !owed(seg, stoai_off(seg, word)))
		return "a wake-up is lost: what they sleep for is there, and "
		       "nobody owes it";
	return briefly && !here && !elsewhere ? NULL : world_idle();
}

static const char *
slot_end(const stoa_segment *seg, uint32_t slot)
{
	const struct stoai_lane *lane = stoai_lane_at(seg, slot);

	/* rightly: the subject said so */
	if (model_state_of(kernel_owner(slot)) == MODEL_ASLEEP)
		return NULL;
	if (unburied(slot))
		return "a dead slot was not recovered";
	if (stoai_token_dead(*stoai_token_at(seg, slot)))
		return "a living thread was marked dead";
	for (unsigned k = 0; k < STOAI_HELD_MAX; k++)
		if (lane->held[k])
			return "a lane lists a lock at the end";
	return stoai_slot_at(seg, slot)->waiting
		       ? "a slot says at the end that it waits"
		       : NULL;
}

const char *
world_end(void)
{
	stoa_segment *seg = &world_process[MODEL_NOBODY].seg;
	const char *wrong = NULL;

	model_judge(true);
	(void)stoai_sweep(seg, true);
	model_judge(false);
	if (stoai_header(seg)->flags & STOAI_SEGMENT_DAMAGED)
		return "a slot is quarantined";
	for (unsigned i = 0; i < threads && !wrong; i++)
		wrong = slot_end(seg, i);
	for (unsigned t = 0; t < threads && !wrong; t++) {
		const struct stoai_seat *seat = &world_process[t].mine.seat;

		if (model_state_of(t) != MODEL_DEAD && seat->seg &&
			(kernel_owner(seat->index) != t ||
				!*stoai_token_at(seg, seat->index)))
			return "a living thread has lost its slot";
	}
	return wrong;
}

/* ---- its making ---- */

static void
segment_begin(void)
{
	struct stoai_header *h = (struct stoai_header *)(void *)segment;

	memset(segment, 0, sizeof segment);
	h->slot_count = threads + 1; /* one is kept for the command */
	h->committed = flags & WORLD_HEAP
			       ? HEAP_OFF + (WORLD_SPANS << WORLD_SPAN_SHIFT)
			       : WORLD_SIZE;
	for (unsigned i = 0; i < threads && !(flags & WORLD_DETACHED); i++)
		((struct stoai_slot *)(void *)(segment + SLOTS_OFF))[i].paged =
			1;
	/* the subject's memory may be written by an undo: it is in use */
	for (unsigned i = 0; i < SPANS && !(flags & WORLD_HEAP); i++)
		((uint64_t *)(void *)(segment + TABLE_OFF))[i] =
			stoai_span_word(STOAI_SPAN_SLAB, 0, 1);
}

static void
process_begin(unsigned p)
{
	struct process *it = &world_process[p];
	stoa_segment *seg = &it->seg;

	memset(it, 0, sizeof *it);
	seg->base = segment;
	seg->size = WORLD_SIZE;
	seg->room = WORLD_SIZE;
	seg->heap_off = HEAP_OFF;
	seg->committed = ((struct stoai_header *)(void *)segment)->committed;
	seg->span_shift = WORLD_SPAN_SHIFT;
	seg->meta_stride = stoai_heap_meta_stride(WORLD_SPAN_SHIFT);
	seg->lane_stride = LANE;
	seg->slot_count = threads + 1;
	seg->table_off = TABLE_OFF;
	seg->meta_off = META_OFF;
	seg->slots_off = SLOTS_OFF;
	seg->lanes_off = LANES_OFF;
	seg->fd = (int)p + 1; /* kernel.c: who locks a byte */
	seg->tokenless = flags & WORLD_TOKENLESS;
	memcpy(seg->name, "model", 6);
	pthread_mutex_init(&seg->claims, NULL);
	for (uint32_t s = 0; s < WORLD_SLOTS; s++)
		seg->window[s] = kernel_window(p, s);
	it->self.ready = 1;
	it->self.seat[0] = &it->mine.seat;
}

static void
track(void)
{
	model_shared(segment, sizeof segment);
	model_track(segment + STOAI_STATIC_SIZE,
		offsetof(struct stoai_header, pad6) - STOAI_STATIC_SIZE,
		MODEL_NOBODY);
	model_track(segment + SLOTS_OFF, threads * sizeof(struct stoai_slot),
		MODEL_NOBODY);
	for (unsigned t = 0; t < threads; t++) {
		struct process *it = &world_process[t];
		char *lane = segment + LANES_OFF + t * LANE;

		model_track(lane, STOAI_LANE_LOG + LOG_USED, MODEL_NOBODY);
		model_track(
			lane + LANE - STOAI_TOKEN_FROM_END, 4, MODEL_NOBODY);
		model_kernels(stoai_token_at(&it->seg, t));
		model_track(&it->self, offsetof(struct stoai_self, seat), t);
		model_track(&it->mine.seat, sizeof it->mine.seat, t);
		model_track(&it->seg.claims,
			sizeof it->seg.claims + sizeof it->seg.mine, t);
	}
	model_track(&world_notes, sizeof world_notes, MODEL_NOBODY);
}

/* After attaching, when it is known how much of the caches is used. */
static void
track_heap(void)
{
	model_track(segment + TABLE_OFF, HEAP_OFF - TABLE_OFF, MODEL_NOBODY);
	model_track(segment + HEAP_OFF, WORLD_SPANS << WORLD_SPAN_SHIFT,
		MODEL_NOBODY);
	for (unsigned t = 0; t < threads; t++) {
		struct stoai_cache *h = &world_process[t].mine.cache;
		struct stoai_class *last = &h->classes[h->class_count];

		model_track(h, (size_t)((char *)last - (char *)h), t);
		model_track(h->stacks,
			(size_t)((char *)last[-1].limit - (char *)h->stacks),
			t);
	}
}

void
world_begin(unsigned count, unsigned wanted)
{
	struct stoai_seat *seat;

	threads = count;
	flags = wanted;
	memset(&world_notes, 0, sizeof world_notes);
	kernel_begin(flags);
	segment_begin();
	for (unsigned p = 0; p <= MODEL_THREADS; p++)
		process_begin(p);
	track();
	kernel_switch(MODEL_NOBODY);
	if (flags & WORLD_HEAP)
		world_ok(stoai_heap_format(
			&world_process[MODEL_NOBODY].seg, 1024));
	for (unsigned t = 0; t < threads && !(flags & WORLD_DETACHED); t++) {
		kernel_switch(t);
		world_ok(stoai_attach(&world_process[t].seg, STOA_NOW, &seat));
	}
	if (flags & WORLD_HEAP)
		track_heap();
	kernel_switch(MODEL_NOBODY);
}

void
model_place(const void *at, char *buf, size_t size)
{
	size_t off = (size_t)((const char *)at - segment);

	if (off >= WORLD_SIZE)
		(void)snprintf(
			buf, size, "%s", at ? "local memory" : "nothing");
	else if (off >= HEAP_OFF)
		(void)snprintf(buf, size, "heap+%zu", off - HEAP_OFF);
	else if (off >= TABLE_OFF)
		(void)snprintf(buf, size, "table+%zu", off - TABLE_OFF);
	else if (off >= LANES_OFF)
		(void)snprintf(buf, size, "lane[%zu]+%zu",
			(off - LANES_OFF) / LANE, (off - LANES_OFF) % LANE);
	else if (off >= SLOTS_OFF)
		(void)snprintf(buf, size, "slot[%zu]+%zu",
			(off - SLOTS_OFF) / 128, (off - SLOTS_OFF) % 128);
	else
		(void)snprintf(buf, size, "header+%zu", off);
}

/* ---- what the layers that are not here would do ---- */

uint64_t
stoai_committed(stoa_segment *seg)
{
	return a64_load_acquire(&stoai_header(seg)->committed);
}

void
stoai_registry_process_check(void)
{
}

void
stoai_registry_lock(void)
{
}

void
stoai_registry_unlock(void)
{
}

/* Every thread has a seat in the only segment before it is asked for. */
stoa_segment *
stoai_registry_at(const void *address)
{
	(void)address;
	return NULL;
}

void
stoai_registry_attached(stoa_segment *seg, int by)
{
	(void)seg, (void)by;
}

int
stoai_segment_map(
	int fd, uint64_t from, size_t size, unsigned prot, void *at, void **ret)
{
	(void)fd, (void)from, (void)size, (void)prot, (void)at, (void)ret;
	return -ENOMEM;
}

int
stoai_scratch_begin(void)
{
	return 0;
}

void
stoai_scratch_end(struct stoai_self *self)
{
	(void)self;
}

void
stoai_checked_segment_end(stoa_segment *seg)
{
	(void)seg;
}

void
stoai_profile_free(const stoa_segment *seg, uint64_t off)
{
	(void)seg, (void)off;
}

void
stoai_profile_segment_end(stoa_segment *seg)
{
	(void)seg;
}

static void
seat_end(struct stoai_seat *seat)
{
	(void)seat;
}

/*
 * What the dead one did inside is undone, or was whole when it committed, before
 * any lock goes. A slot is recovered by one thread at a time.
 */
static int
recover_lane(stoa_segment *seg, uint32_t slot)
{
	uint32_t other = world_notes.recovering[slot];
	int rc;

	if (other && model_state_of(other - 1) != MODEL_DEAD)
		model_wrong("two recover one slot");
	world_notes.recovering[slot] = model_thread() + 1;
	if (a32_load_relaxed(&stoai_lane_at(seg, slot)->state) !=
		STOAI_LANE_OPEN)
		world_notes.inside[slot] = 0;
	rc = stoai_tx_recover(seg, slot);
	world_notes.inside[slot] = 0;
	if (world_undone)
		world_undone(slot);
	return rc;
}

static int
recover_locks(stoa_segment *seg, uint32_t slot)
{
	int rc = stoai_locks_recover(seg, slot);

	world_notes.recovering[slot] = 0;
	return rc;
}

const struct stoai_upper stoai_upper = {
	.self_size = 0,
	.seat_size = STOAI_HEAP_SEAT_SIZE,
	.seat_begin = stoai_heap_seat_begin,
	.seat_end = seat_end,
	.lane = recover_lane,
	.heap = stoai_heap_recover,
	.locks = recover_locks,
};
