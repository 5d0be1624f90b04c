/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Recovery of threads that were really killed: when is a slot quarantined, what
 * does a damaged lane do, whose locks are given back, who is woken?
 *
 * The victim is a child that dies by SIGKILL in the middle of something; what is
 * to be damaged is damaged by this process before it recovers the slot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "heap/heap.h"
#include "heap/span.h"
#include "os/os.h"
#include "scene.h"
#include "segment/log.h"
#include "stoa/stoa.h"
#include "sync/lock.h"
#include "tx/tx.h"

typedef struct scene {
	stoa_rwlock lock;
	stoa_mutex mutex, other;
	stoa_cond changed, unused;
	uint64_t a, b;
	stoa_owner who;
} scene;
STOA_TYPE(scene, lock, mutex, other, changed, unused, a, b, who);

typedef struct lockable {
	stoa_rwlock lock;
	uint64_t n;
} lockable;
STOA_TYPE(lockable, lock, n);

enum {
	SLABS = 100,
	DEATHS = 5,
	BLOCK = 8000, /* two in a span */
	SLEEPERS = 5
};

static stoa_segment *seg;
static scene *at;

static int
setup(void **state)
{
	const scene *found = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 2 << 20, .limit = 2 << 20,
			.threads = 8),
		&seg);

	(void)state;
	if (!rc)
		rc = stoa_object_open(seg, "scene", scene, &found);
	at = (scene *)(uintptr_t)found;
	return rc ? rc : stoa_segment_attach(seg);
}

static int
teardown(void **state)
{
	stoai_os_fault = NULL;
	seg = stoa_segment_close(seg);
	(void)state;
	return 0;
}

/* Nothing is broken, nothing lost, and nobody but us is there. */
static void
all_is_well(void)
{
	stoa_segment_stat st;

	stoa_segment_statistics(seg, &st);
	assert_int_equal(st.threads, 1);
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
}

/* Runs body in a child until it is killed; its slot. */
static uint32_t
victim(void (*body)(struct stoai_seat *seat))
{
	int status;
	uint32_t *index = mmap(NULL, sizeof *index, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t slot;
	pid_t pid = fork();

	if (!pid) {
		struct stoai_seat *seat = NULL;

		must(!stoai_attach(seg, STOA_NOW, &seat));
		*index = seat->index;
		body(seat);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	slot = *index;
	munmap(index, sizeof *index);
	return slot;
}

static bool
quarantined(uint32_t slot)
{
	return a32_load_relaxed(&stoai_slot_at(seg, slot)->tries) >
		       STOAI_TRIES_MAX &&
	       stoai_token_dead(a32_load_relaxed(stoai_token_at(seg, slot)));
}

/* ---- deaths of recoverers ---- */

static void
owns_slabs(struct stoai_seat *seat)
{
	struct stoai_cached block;

	for (int i = 0; i < 2 * SLABS; i++)
		must(!stoai_heap_alloc(seat, BLOCK, 16, &block));
}

/*
 * The nth page of metas, from 1, in which the dead slot owns a slab, cannot be
 * written to from now on: whoever buries that slab dies. Recovery takes slabs by
 * their place.
 */
static void
trap_page(uint32_t slot, int n)
{
	uintptr_t page = stoai_os_page_size(), last = 0;

	for (uint64_t i = 0; i < stoai_span_count(seg); i++) {
		uintptr_t meta = (uintptr_t)stoai_meta_at(seg, i) & ~(page - 1);
		uint32_t owner = (uint32_t)stoai_meta_at(seg, i)->owner;

		if (stoai_span_state(stoai_span_load(seg, i)) !=
				STOAI_SPAN_SLAB ||
			stoai_word_slot(seg, owner) != slot || meta == last)
			continue;
		last = meta;
		if (--n)
			continue;
		must(!mprotect((void *)meta, page, PROT_READ));
		return;
	}
	must(n <= 0); /* there are not so many */
}

struct recoverer {
	uint32_t slot;
	int page;
};

static int
recover_with_trap(void *p)
{
	const struct recoverer *r = p;

	trap_page(r->slot, r->page);
	return stoai_recover(seg, r->slot) == -ENOTRECOVERABLE ? 1 : 0;
}

/*
 * Recoverers are killed from outside, as in a storm of kills: each came further
 * than the one before, so nothing says that this slot's state is what kills.
 */
static void
came_further_each_time(void **state)
{
	struct recoverer r = {victim(owns_slabs), 2};

	(void)state;
	for (int i = 0; i < DEATHS; i++) {
		assert_int_equal(scene_child(recover_with_trap, &r), -SIGSEGV);
		assert_false(quarantined(r.slot));
	}
	assert_int_equal(stoa_segment_recover(seg), 1);
	assert_int_equal(stoai_segment_usable(seg), 0);
	all_is_well();
}

/* What kills at one place again and again does not kill everybody. */
static void
died_at_one_place(void **state)
{
	struct recoverer r = {victim(owns_slabs), 1};
	int rc, deaths = 0;

	(void)state;
	/* the first one begins elsewhere; then three at this place */
	while ((rc = scene_child(recover_with_trap, &r)) == -SIGSEGV)
		assert_true(++deaths <= STOAI_TRIES_MAX + 1);
	assert_int_equal(rc, 1);
	assert_int_equal(deaths, STOAI_TRIES_MAX + 1);
	assert_true(quarantined(r.slot));
	{
		STOA_TX(tx, seg, &at->lock);
		assert_int_equal(stoa_tx_commit(tx), -ENOTRECOVERABLE);
	}
}

/* ---- damage ---- */

static void
changes(struct stoai_seat *seat)
{
	(void)seat;
	STOA_TX(tx, seg, &at->lock);
	STOA_SET(tx, at->a, 1);
	must(!stoa_tx_error(tx));
	(void)kill(getpid(), SIGKILL);
}

/* Refused, said to everybody, and what it locked stays locked. */
static void
must_be_quarantined(uint32_t slot, uint32_t word)
{
	assert_int_equal(stoai_recover(seg, slot), -ENOTRECOVERABLE);
	assert_true(quarantined(slot));
	assert_int_equal(at->lock.word_, word);
	assert_int_equal(stoai_segment_usable(seg), -ENOTRECOVERABLE);
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(1000), seg, &at->mutex);
		assert_int_equal(stoa_tx_commit(tx), -ENOTRECOVERABLE);
	}
	assert_int_equal(stoa_segment_recover(seg), 0); /* it is over */
}

static void
damage_is_quarantined(void **state)
{
	uint32_t slot = victim(changes);

	(void)state;
	assert_int_equal(at->a, 1);
	stoai_lane_at(seg, slot)->state = STOAI_LANE_FREEING + 1;
	must_be_quarantined(slot, at->lock.word_);
	assert_int_equal(at->a, 1);
}

/* The one record of `changes`: a head, eight bytes, its size. */
static uint64_t *
record_of(uint32_t slot)
{
	assert_int_equal(stoai_lane_at(seg, slot)->cursor,
		stoai_log_start(seg, slot) + STOAI_LOG_FIXED + 8);
	return stoai_at(seg, stoai_log_start(seg, slot));
}

static void
log_leads_outside(void **state)
{
	uint32_t slot = victim(changes);
	uint64_t off = seg->table_off + 8, before;

	(void)state;
	memcpy(&before, stoai_at(seg, off), 8);
	record_of(slot)[0] = stoai_log_head(STOAI_LOG_SAVE, 8, off);
	record_of(slot)[1] = ~before;
	must_be_quarantined(slot, at->lock.word_);
	assert_memory_equal(stoai_at(seg, off), &before, 8);
}

/* A link to itself. */
static void
log_goes_round(void **state)
{
	uint32_t slot = victim(changes);
	uint64_t *record = record_of(slot);
	uint64_t end = stoai_lane_at(seg, slot)->cursor + STOAI_LOG_FIXED;

	(void)state;
	record[3] = stoai_log_head(STOAI_LOG_LINK, 0, end);
	record[4] = STOAI_LOG_FIXED;
	stoai_lane_at(seg, slot)->cursor = end;
	must_be_quarantined(slot, at->lock.word_);
}

/* It would begin in another lane, where a record lies that looks right. */
static void
record_too_long(void **state)
{
	uint32_t slot = victim(changes);
	uint64_t *record = record_of(slot), *fake = record - 64;
	uint64_t size = (uint64_t)(record + 3 - fake) * 8, b = at->b;

	(void)state;
	assert_true((char *)fake < (char *)stoai_lane_at(seg, slot));
	record[2] = size;
	fake[0] = stoai_log_head(STOAI_LOG_SAVE,
		(uint32_t)(size - STOAI_LOG_FIXED), stoai_off(seg, &at->b));
	fake[1] = ~b;
	must_be_quarantined(slot, at->lock.word_);
	assert_int_equal(at->b, b);
}

static void
damaged_held_word(void **state)
{
	uint32_t slot = victim(changes), word = at->lock.word_;
	struct stoai_slot *s = stoai_slot_at(seg, slot);

	(void)state;
	/* a word of no lock that looks like one of the dead */
	s->pid = word;
	stoai_lane_at(seg, slot)->held[0] =
		stoai_off(seg, &s->pid) | STOAI_HELD_MUTEX;
	must_be_quarantined(slot, word);
	assert_int_equal(s->pid, word);
}

/* ---- locks ---- */

static void
waits_for_mutex(struct stoai_seat *seat)
{
	(void)alarm(0);
	must(stoai_lock(seat, &at->mutex, STOAI_MODE_MUTEX, stoa_in_ms(20),
		     STOAI_LOCK_USER) == -ETIMEDOUT);
	/* as it was while it waited */
	seat->lane->held[0] = stoai_off(seg, &at->mutex) | STOAI_HELD_MUTEX;
	seat->slot->waiting = seat->lane->held[0];
}

static void
waiters_death_leaves_the_holder(void **state)
{
	struct stoai_seat *seat = stoai_seat_of(seg);
	uint32_t slot;

	(void)state;
	assert_int_equal(stoai_lock(seat, &at->mutex, STOAI_MODE_MUTEX,
				 STOA_NOW, STOAI_LOCK_USER),
		0);
	slot = victim(waits_for_mutex);
	assert_int_equal(stoai_lane_at(seg, slot)->held[0],
		stoai_off(seg, &at->mutex) | STOAI_HELD_MUTEX);
	assert_int_equal(stoa_segment_recover(seg), 1);
	assert_int_equal(at->mutex.word_ & ~STOAI_WORD_WAITERS, seat->word);
	stoai_unlock(seat, &at->mutex);
	all_is_well();
}

static void
says_who(struct stoai_seat *seat)
{
	(void)seat;
	must(!STOA_DO(tx, (seg, &at->lock),
		STOA_SET(tx, at->who, stoa_owner_self(tx))));
}

struct next { /* who has the slot after it */
	uint32_t slot;
	bool told, go;
};

static void *
next_life(void *p)
{
	struct next *next = p;
	struct stoai_seat *seat = NULL;

	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	next->slot = seat->index;
	__atomic_store_n(&next->told, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&next->go, __ATOMIC_ACQUIRE))
		usleep(1000);
	return NULL;
}

static void
former_owner_is_dead(void **state)
{
	uint32_t slot = victim(says_who);
	struct next next = {0};
	pthread_t t;

	(void)state;
	assert_int_equal(at->who.slot_, slot + 1);
	assert_int_equal(stoa_segment_recover(seg), 1);
	pthread_create(&t, NULL, next_life, &next);
	while (!__atomic_load_n(&next.told, __ATOMIC_ACQUIRE))
		usleep(1000);
	assert_int_equal(next.slot, slot);
	{
		STOA_READ(rd, seg, &at->lock);
		assert_false(stoa_owner_alive(rd, at->who));
	}
	__atomic_store_n(&next.go, true, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	all_is_well();
}

/* Without tokens nobody marks a death: who asks, looks. */
static void
unlisted_owner_is_dead(void **state)
{
	stoa_segment *without = NULL;
	const scene *found = NULL;

	(void)state;
	seg = stoa_segment_close(seg);
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.without = STOA_WITHOUT_TOKENS),
			&without),
		0);
	seg = without;
	assert_int_equal(stoa_object_open(seg, "scene", scene, &found), 0);
	at = (scene *)(uintptr_t)found;
	(void)victim(says_who);
	{
		STOA_READ(rd, seg, &at->lock);
		assert_false(stoa_owner_alive(rd, at->who));
		assert_true(stoa_owner_alive(rd, stoa_owner_self(rd)));
	}
}

/* ---- readers that cannot write ---- */

/* Nobody who may has repaired what a writer left: they hear it, and do not wait. */
static void
writer_of_a_reader_is_dead(void **state)
{
	stoa_segment *readonly = NULL;
	const scene *theirs;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)),
			&readonly),
		0);
	theirs = stoai_at(readonly, stoai_off(seg, at));
	(void)victim(changes);
	for (int i = 0; i < 2; i++) {
		STOA_READ_UNTIL(rd, stoa_in_ms(2000), readonly, &theirs->lock);
		assert_int_equal(stoa_tx_error(rd), i ? 0 : -EOWNERDEAD);
		if (!i)
			assert_int_equal(stoa_segment_recover(seg), 1);
		else
			assert_int_equal(theirs->a, 0);
	}
	stoa_segment_close(readonly);
}

/* ---- what was committed ---- */

static uint64_t watched; /* a block */
static bool was_there;

/* At the first wake-up: is the block still one? */
static int
look_at_wake(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAKE && watched) {
		was_there = stoai_heap_usable(seg, watched) != 0;
		watched = 0;
	}
	return 0;
}

static int
die_at_wake(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAKE)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

/* Deletes an object whose lock it holds, and dies as it gives the lock up. */
static void
deletes_with_lock(struct stoai_seat *seat)
{
	lockable *l = stoai_at(seg, at->a);

	(void)seat;
	STOA_TX(tx, seg, &l->lock);
	must(stoai_tx_free(tx, at->a));
	l->lock.word_ |= STOAI_WORD_WAITERS;
	stoai_os_fault = die_at_wake;
	must(stoa_tx_commit(tx));
}

/* Recovery gives locks up before it frees: afterwards it would write to others. */
static void
dead_ones_lock_deleted(void **state)
{
	const lockable *l = NULL;
	uint32_t slot;

	(void)state;
	{
		STOA_TX(tx, seg, &at->lock);
		l = stoa_new(tx, lockable);
		STOA_SET(tx, at->a, stoai_off(seg, l));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	slot = victim(deletes_with_lock);
	assert_int_equal(stoai_lane_at(seg, slot)->state, STOAI_LANE_SIGNALLED);
	watched = at->a;
	was_there = false;
	stoai_os_fault = look_at_wake;
	assert_int_equal(stoa_segment_recover(seg), 1);
	assert_true(was_there);
	assert_int_equal(stoai_heap_usable(seg, at->a), 0);
	all_is_well();
}

/* ---- wake-ups ---- */

struct sleeper {
	const uint32_t *word;
	pthread_t thread;
	int rc, tid;
};

static void *
sleep_on(void *p)
{
	struct sleeper *s = p;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->rc = stoai_os_futex_wait(
		s->word, a32_load_relaxed(s->word), stoa_in_ms(2000));
	return NULL;
}

static void
sleepers_start(struct sleeper *s, int n)
{
	for (int i = 0; i < n; i++)
		pthread_create(&s[i].thread, NULL, sleep_on, &s[i]);
	for (int i = 0; i < n; i++)
		scene_until_asleep(&s[i].tid);
}

/* All were woken, and did not merely run out of time. */
static void
sleepers_join(struct sleeper *s, int n)
{
	for (int i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		assert_int_equal(s[i].rc, 0);
	}
}

static void
leaves_sleepers(struct stoai_seat *seat)
{
	must(!stoai_lock(
		seat, &at->mutex, STOAI_MODE_MUTEX, STOA_NOW, STOAI_LOCK_USER));
	must(!stoai_lock(
		seat, &at->lock, STOAI_MODE_SHARED, STOA_NOW, STOAI_LOCK_USER));
	/* woken for a lock, and by a condition, and killed before it went on */
	seat->slot->waiting = stoai_off(seg, &at->other) | STOAI_HELD_MUTEX;
	seat->slot->woken = stoai_off(seg, &at->changed);
}

/* Whoever may sleep because of the dead one is woken, each by a wake-up of his. */
static void
wake_ups_are_replayed(void **state)
{
	struct sleeper s[SLEEPERS] = {{&at->mutex.word_, 0, 0, 0},
		{&at->lock.word_, 0, 0, 0}, {&at->lock.left_, 0, 0, 0},
		{&at->other.word_, 0, 0, 0}, {&at->changed.seq_, 0, 0, 0}};

	(void)state;
	(void)victim(leaves_sleepers);
	sleepers_start(s, SLEEPERS);
	assert_int_equal(stoa_segment_recover(seg), 1);
	sleepers_join(s, SLEEPERS);
	all_is_well();
}

static void
signals_and_dies(struct stoai_seat *seat)
{
	(void)seat;
	STOA_TX(tx, seg, &at->lock);
	stoa_tx_signal(tx, &at->changed);
	stoai_os_fault = die_at_wake;
	must(!stoa_tx_commit(tx));
}

static void
signals_by_hand_and_dies(struct stoai_seat *seat)
{
	(void)seat;
	stoai_os_fault = die_at_wake;
	must(!stoa_cond_signal(&at->changed));
}

static void
wake_up_of_a_dead_one_is_made(void (*body)(struct stoai_seat *))
{
	struct sleeper s = {&at->changed.seq_, 0, 0, 0};
	int rc;

	at->changed.seq_ = 1; /* somebody sleeps there */
	sleepers_start(&s, 1);
	(void)victim(body);
	rc = stoa_segment_recover(seg);
	sleepers_join(&s, 1);
	assert_int_equal(at->changed.seq_ & 1, 0);
	assert_int_equal(rc, 1);
	all_is_well();
}

static void
signal_of_the_dead_is_made(void **state)
{
	(void)state;
	wake_up_of_a_dead_one_is_made(signals_and_dies);
}

static void
raw_signal_of_the_dead_is_made(void **state)
{
	(void)state;
	wake_up_of_a_dead_one_is_made(signals_by_hand_and_dies);
}

/* ---- slots ---- */

static void
holds_nothing(struct stoai_seat *seat)
{
	(void)seat;
}

/*
 * Each dies holding nothing, and its death is not marked, so nobody waits for it:
 * who finds no slot looks for the dead himself.
 */
static void
slots_of_the_dead_are_taken(void **state)
{
	(void)state;
	seg = stoa_segment_close(seg);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.threads = 4,
					 .without = STOA_WITHOUT_TOKENS),
				 &seg),
		0);
	for (int i = 0; i < 12; i++)
		(void)victim(holds_nothing);
	assert_int_equal(stoa_segment_attach(seg), 0);
	(void)stoa_segment_recover(seg);
	all_is_well();
}

/* ---- memory ---- */

static void
owns_all(struct stoai_seat *seat)
{
	struct stoai_cached block;

	while (!stoai_heap_alloc(seat, BLOCK, 16, &block))
		;
}

/* Nobody is told -ENOSPC for what belongs to the dead. */
static void
memory_of_the_dead_is_found(void **state)
{
	(void)state;
	(void)victim(owns_all);
	{
		STOA_TX(tx, seg, &at->lock);
		STOA_SET(tx, at->a, stoai_off(seg, stoa_new(tx, lockable)));
		for (int i = 0; i < SLABS; i++)
			assert_true(stoai_tx_alloc(tx, BLOCK, 16));
		assert_int_equal(stoa_tx_error(tx), 0);
	}
	all_is_well();
}

/* It died after its last free was counted: nothing is freed again. */
static void
the_dead_name_nothing(void **state)
{
	uint32_t dead = 0;

	(void)state;
	(void)victim(owns_all);
	for (uint32_t i = 0; i < stoai_slots_used(seg); i++) {
		struct stoai_slot *slot = stoai_slot_at(seg, i);

		if (slot->state != STOAI_SLOT_LIVE ||
			i == stoai_seat_of(seg)->index)
			continue;
		slot->freeing = stoai_span_off(seg, 1);
		dead = i;
	}
	assert_int_equal(stoa_segment_recover(seg), 1);
	assert_int_equal(stoai_slot_at(seg, dead)->state, STOAI_SLOT_FREE);
	assert_int_equal(stoai_slot_at(seg, dead)->freeing, 0);
	all_is_well();
}

#define ALL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(came_further_each_time),
		ALL(died_at_one_place),
		ALL(damage_is_quarantined),
		ALL(log_leads_outside),
		ALL(log_goes_round),
		ALL(record_too_long),
		ALL(damaged_held_word),
		ALL(waiters_death_leaves_the_holder),
		ALL(former_owner_is_dead),
		ALL(unlisted_owner_is_dead),
		ALL(writer_of_a_reader_is_dead),
		ALL(dead_ones_lock_deleted),
		ALL(wake_ups_are_replayed),
		ALL(signal_of_the_dead_is_made),
		ALL(raw_signal_of_the_dead_is_made),
		ALL(slots_of_the_dead_are_taken),
		ALL(memory_of_the_dead_is_found),
		ALL(the_dead_name_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
