/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Attaching: how does a thread get its place in a segment, and give it back?
 *
 *	byte    the slot's owner byte       killed after it: the kernel drops it
 *	lane    memory for the slot's page  killed after it: kept for the next
 *	token   the word, then the list     killed between: liveness.c, proof 2
 *	slot    LIVE, and who it is
 *
 * A slot whose thread died is recovered by whoever comes to take it: when all
 * slots are dead nobody else could.
 *
 * The thread's own side (seat, magazines, transactions) lives in pages that the
 * kernel zeroes in a fork child, so a child finds itself detached even after a
 * raw clone(). Seats of threads that end are given back by a thread-specific
 * destructor; a thread that ends without it dies like a killed one.
 */
#include "os/os.h"
#include "segment/liveness.h"
#include "segment/recover.h"
#include "segment/registry.h"
#include "segment/token.h"
#include "segment/upper.h"

STOAI_THREAD struct stoai_self *stoai_self;
STOAI_THREAD struct stoai_seat *stoai_seat_last;

static pthread_key_t thread_end_key;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;

static size_t
seat_size(void)
{
	return sizeof(struct stoai_seat) + stoai_upper.seat_size;
}

static void
thread_end(void *p)
{
	struct stoai_self *self = p;

	if (self != stoai_self || !self->ready)
		return;
	for (size_t i = 0; i < STOAI_SEGMENTS_MAX; i++)
		if (self->seat[i] && self->seat[i]->seg)
			stoai_detach(self->seat[i]);
	for (size_t i = 0; i < STOAI_SEGMENTS_MAX; i++)
		if (self->seat[i])
			stoai_os_unmap(self->seat[i], seat_size());
	stoai_upper.self_end(self);
	stoai_self = NULL;
	stoai_seat_last = NULL;
	stoai_os_unmap(self, sizeof *self + stoai_upper.self_size);
}

static void
thread_end_init(void)
{
	(void)pthread_key_create(&thread_end_key, thread_end);
}

struct stoai_self *
stoai_self_get(void)
{
	struct stoai_self *self = stoai_self;
	size_t size = sizeof *self + stoai_upper.self_size;
	void *at;

	if (stoai_likely(self && self->ready))
		return self;
	if (!self) {
		if (stoai_os_map_private(
			    size, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at))
			return NULL;
		if (stoai_os_wipe_on_fork(at, size)) {
			stoai_os_unmap(at, size);
			return NULL;
		}
		self = at;
	}
	pthread_once(&thread_end_once, thread_end_init);
	(void)pthread_setspecific(thread_end_key, self);
	self->tx = self + 1;
	self->ready = 1;
	stoai_self = self;
	return self;
}

static struct stoai_seat *
seat_new(void)
{
	void *at;

	if (stoai_os_map_private(
		    seat_size(), STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at))
		return NULL;
	if (stoai_os_wipe_on_fork(at, seat_size())) {
		stoai_os_unmap(at, seat_size());
		return NULL;
	}
	return at;
}

/* Before the slot says anything: who looks at slots finds it. */
static void
slot_count_in(stoa_segment *seg, uint32_t index)
{
	uint32_t *used = &stoai_header(seg)->slots_used;
	uint32_t seen = a32_load_relaxed(used);

	while (seen <= index && !a32_cas_seq_cst(used, &seen, index + 1))
		;
}

/* Memory for the slot's page; before its token may be looked at. */
static int
lane_page(stoa_segment *seg, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(seg, index);
	int rc = 0;

	if (a32_load_relaxed(&slot->paged))
		return 0;
	if (seg->fd >= 0 && !seg->caller_memory)
		rc = stoai_os_allocate(seg->fd,
			seg->lanes_off + (uint64_t)index * seg->lane_stride,
			seg->lane_stride);
	if (rc)
		return rc;
	slot_count_in(seg, index);
	a32_store_release(&slot->paged, 1);
	return 0;
}

/* Under claims, byte ours: the token too, recovered if need be. -EAGAIN: taken. */
static int
token_claim(stoa_segment *seg, uint32_t index)
{
	uint32_t token = a32_load_acquire(stoai_token_at(seg, index));
	int rc;

	if (token & STOAI_TOKEN_TID)
		return -EAGAIN; /* an unmarked death: a sweep proves it */
	if (a32_load_relaxed(&stoai_slot_at(seg, index)->tries) >
		STOAI_TRIES_MAX)
		return -EAGAIN;
	rc = stoai_token_take(seg, index, token);
	if (rc || !stoai_token_dead(token))
		return rc;
	rc = stoai_recover_owned(seg, index);
	if (rc) {
		stoai_token_drop(seg, index, STOAI_TOKEN_OWNER_DIED);
		return -EAGAIN;
	}
	a64_fetch_add_seq_cst(&stoai_header(seg)->recovered, 1);
	return 0;
}

/* 0: the slot is ours; -EAGAIN: somebody else's; else a failure. */
static int
slot_claim(stoa_segment *seg, uint32_t index)
{
	int rc;

	if (a32_load_relaxed(&stoai_slot_at(seg, index)->paged) &&
		a32_load_relaxed(stoai_token_at(seg, index)) & STOAI_TOKEN_TID)
		return -EAGAIN;
	rc = stoai_owner_byte_take(seg, index);
	if (rc)
		return rc;
	rc = lane_page(seg, index);
	if (!rc)
		rc = token_claim(seg, index);
	if (rc)
		stoai_owner_byte_drop(seg, index);
	return rc;
}

static int
any_slot_claim(stoa_segment *seg, uint32_t *ret)
{
	uint32_t count = stoai_threads_max(seg);
	int rc = -EAGAIN;

	pthread_mutex_lock(&seg->claims);
	for (uint32_t i = 0; i < count && rc == -EAGAIN; i++) {
		rc = slot_claim(seg, i);
		if (!rc)
			*ret = i;
	}
	pthread_mutex_unlock(&seg->claims);
	return rc;
}

/* Until the deadline: the first slot that is free, or whose thread is dead. */
static int
slot_wait(stoa_segment *seg, uint64_t deadline, uint32_t *ret)
{
	uint64_t pause = 1000000;

	for (;;) {
		uint64_t now;
		int rc = any_slot_claim(seg, ret);

		if (rc != -EAGAIN)
			return rc;
		if (stoai_sweep(seg, true) > 0)
			continue;
		if (deadline == STOA_NOW)
			return -EUSERS;
		now = stoai_os_now();
		if (now >= deadline)
			return -ETIMEDOUT;
		stoai_os_sleep(stoai_min(pause, deadline - now));
		pause = stoai_min(2 * pause, 100000000);
	}
}

/*
 * Who gave the slot up has left nothing in it, or nobody ever used it. What it says
 * all the same is damage, and must not become ours: a log's end that leads
 * elsewhere, locks that we never took, a free that nobody makes.
 */
static void
slot_begin(stoa_segment *seg, uint32_t index)
{
	struct stoai_slot *slot = stoai_slot_at(seg, index);
	struct stoai_lane *lane = stoai_lane_at(seg, index);

	a64_store_kill(&lane->cursor, stoai_log_start(seg, index));
	a32_store_kill(&lane->state, STOAI_LANE_OPEN);
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		if (a64_load_relaxed(&lane->held[k]))
			a64_store_kill(&lane->held[k], 0);
	a64_store_kill(&slot->freeing, 0);
	a64_store_kill(&slot->waiting, 0);
	a64_store_kill(&slot->woken, 0);
	slot->pid = stoai_os_pid();
	slot->tid = stoai_os_tid();
	slot->pid_namespace = stoai_os_pid_namespace();
	slot->since_ns = stoai_os_now();
	slot->waiting_since_ns = 0;
	a32_store_relaxed(&slot->commits, 0);
	a32_store_release(&slot->state, STOAI_SLOT_LIVE);
}

static int
attach_failed(stoa_segment *seg, int rc)
{
	switch (rc) {
	case -EUSERS:
	case -ETIMEDOUT:
		return stoai_error(rc,
			"%s: all %u slots are taken by living threads; detach "
			"threads that idle, or create it with more .threads",
			stoai_name(seg), stoai_threads_max(seg));
	case -ENOSPC:
		return stoai_error(rc,
			"%s: no room for a thread's page: the file system is "
			"full",
			stoai_name(seg));
	default:
		return stoai_error(rc, "%s: attaching failed: %s",
			stoai_name(seg), stoa_strerror(rc));
	}
}

void
stoai_seat_look(struct stoai_seat *seat)
{
	uint64_t end = a64_load_relaxed(&seat->seg->committed);

	seat->near_from = seat->seg->heap_off;
	seat->near_size = end > seat->near_from + STOAI_NEAR
				  ? end - seat->near_from - STOAI_NEAR
				  : 0;
}

/* The slot is ours: the seat says so from its last line on. */
static void
seat_begin(stoa_segment *seg, struct stoai_seat *seat, uint32_t index)
{
	slot_begin(seg, index);
	seat->slot = stoai_slot_at(seg, index);
	seat->lane = stoai_lane_at(seg, index);
	seat->index = index;
	seat->word = stoai_lock_word(index, seat->slot->generation);
	seat->log_end = stoai_log_lane_end(seg, index);
	seat->heap = seat + 1;
	seat->base = seg->base;
	seat->flags = &stoai_header(seg)->flags;
	seat->busy = 1;
	stoai_kill_fence();
	seat->seg = seg;
	stoai_seat_look(seat);
	stoai_registry_attached(seg, 1);
	stoai_upper.seat_begin(seat);
	stoai_kill_fence();
	seat->busy = 0;
}

int
stoai_attach(stoa_segment *seg, uint64_t deadline, struct stoai_seat **ret)
{
	struct stoai_seat *seat = stoai_seat_of(seg);
	struct stoai_self *self;
	uint32_t index = 0;
	int rc;

	*ret = seat;
	if (seat) {
		stoai_seat_last = seat;
		return 0;
	}
	stoai_registry_process_check();
	if (seg->readonly)
		return stoai_error(
			-EROFS, "%s is open for reading only", stoai_name(seg));
	self = stoai_self_get();
	seat = self ? self->seat[seg->id] : NULL;
	if (self && !seat)
		seat = seat_new();
	if (!seat)
		return stoai_error(-ENOMEM, "%s: no memory for a thread's seat",
			stoai_name(seg));
	if (self->attaching)
		return stoai_error(-EDEADLK,
			"%s: called from a signal handler that interrupted "
			"attaching or detaching",
			stoai_name(seg));
	self->seat[seg->id] = seat;
	self->attaching = 1;
	rc = slot_wait(seg, deadline, &index);
	if (!rc)
		seat_begin(seg, seat, index);
	self->attaching = 0;
	if (rc)
		return attach_failed(seg, rc);
	stoai_seat_last = seat;
	(void)stoai_sweep(seg, false);
	*ret = seat;
	return 0;
}

void
stoai_detach(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	uint32_t index = seat->index;
	int rc;

	stoai_self->attaching = 1;
	seat->busy = 1;
	stoai_upper.seat_end(seat);
	seat->seg = NULL; /* who interrupts us finds no seat */
	seat->near_size = 0;
	pthread_mutex_lock(&seg->claims);
	rc = stoai_recover_owned(seg, index);
	stoai_token_drop(seg, index, rc ? STOAI_TOKEN_OWNER_DIED : 0);
	stoai_owner_byte_drop(seg, index);
	pthread_mutex_unlock(&seg->claims);
	memset(seat, 0, seat_size());
	stoai_registry_attached(seg, -1);
	stoai_self->attaching = 0;
}

void
stoai_segment_forget(stoa_segment *seg)
{
	struct stoai_seat *seat = stoai_self ? stoai_self->seat[seg->id] : NULL;

	if (seat)
		memset(seat, 0, seat_size());
	if (stoai_self)
		stoai_self->attaching = 0;
	memset(seg->mine, 0, sizeof seg->mine);
	stoai_segment_annotate(seg);
	seg->attached = 0;
	seg->committed = a64_load_relaxed(&stoai_header(seg)->committed);
}

int
stoa_segment_attach(stoa_segment *seg)
{
	return stoa_segment_attach_until(seg, STOA_NOW);
}

int
stoa_segment_attach_until(stoa_segment *seg, uint64_t deadline)
{
	struct stoai_seat *seat;

	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_attach: no segment");
	return stoai_attach(seg, deadline, &seat);
}

void
stoa_segment_detach(stoa_segment *seg)
{
	struct stoai_seat *seat = seg ? stoai_seat_of(seg) : NULL;

	if (seat)
		stoai_detach(seat);
}
