/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the command is tried on: one process that does one thing to a segment, says
 * "ready" (or what it has to say) and waits until its input ends. Killing it is the
 * caller's.
 *
 *	actor SCENE NAME [FILE]    FILE: NAME is a path
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>
#include "segment/log.h"
#include "segment/seat.h"
#include "stoa/stoa.h"

typedef struct entry {
	int32_t amount;
	double rate;
} entry;
STOA_TYPE(entry, amount, rate);

#define STOA_NAME entries
#define STOA_VAL  entry
#include <stoa/template/vec.h>

#define STOA_NAME limits
#define STOA_KEY  stoa_str
#define STOA_VAL  int32_t
#include <stoa/template/hashmap.h>

typedef struct desk {
	uint32_t number;
	stoa_mutex key[2];
} desk;
STOA_TYPE(desk, number, key);

typedef struct account account;
typedef STOA_REF(account) account_ref;
struct account {
	stoa_rwlock lock;
	stoa_mutex guard;
	stoa_cond changed;
	char name[16];
	uint64_t id;
	int64_t balance;
	stoa_str note;
	entries history;
	limits limit;
	account_ref next;
	desk desk[3];
};
STOA_TYPE(account, lock, guard, changed, name, id, balance, note,
	(history, entries), (limit, limits), (next, account, own),
	(desk, desk));

static stoa_segment *seg;
static const account *first, *second;

static void
fail(const char *what)
{
	fprintf(stderr, "actor: %s: %s\n", what, stoa_error_text());
	exit(1);
}

static void
open_all(const char *name, bool file)
{
	const bool without = getenv("STOA_ACTOR_WITHOUT_TOKENS");

	if (stoa_segment_open(name, STOA_CREATE | (file ? STOA_FILE : 0),
		    STOA_SEGMENT_OPTIONS(.limit = 8 << 20, .threads = 6,
			    .without = without ? STOA_WITHOUT_TOKENS : 0),
		    &seg))
		fail("open");
	if (stoa_object_open(seg, "accounts/first", account, &first) ||
		stoa_object_open(seg, "accounts/second", account, &second))
		fail("objects");
}

static void
ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void
stay(void)
{
	char c;

	ready();
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

/* ---- scenes ---- */

static void
make(void)
{
	STOA_TX(tx, seg, &first->lock);
	STOA_SET(tx, first->name, "first");
	STOA_SET(tx, first->id, UINT64_MAX);
	STOA_SET(tx, first->balance, -5);
	stoa_str_set(tx, &first->note, "a \"note\",\n with {brackets}");
	entries_push(tx, &first->history, (entry){-3, 0.5});
	entries_push(tx, &first->history, (entry){-2, 1e300});
	limits_put(tx, &first->limit, "day", 100);

	account *next = stoa_new(tx, account);
	STOA_SET(tx, next->name, "next");
	STOA_LINK(tx, first->next, next);
	if (stoa_tx_commit(tx))
		fail("make");
}

/* A transaction in the middle: changed and not committed. */
static void
hold_segment(void)
{
	STOA_TX(tx, seg);
	STOA_SET(tx, first->balance, 1000);
	limits_put(tx, &first->limit, "night", 7);
	stay();
	if (stoa_tx_commit(tx))
		fail("commit");
}

static void
attach(void)
{
	if (stoa_segment_attach(seg))
		fail("attach");
	stay();
}

static void
hold_first(void)
{
	STOA_TX(tx, seg, &first->lock);
	STOA_SET(tx, first->balance, 1000);
	stay();
}

static void
hold_guard(void)
{
	STOA_TX(tx, seg, &first->guard);
	STOA_SET(tx, first->balance, 1000);
	stay();
}

static void
hold_desk(void)
{
	STOA_TX(tx, seg, &first->desk[1].key[1]);
	stay();
}

static void
read_first(void)
{
	STOA_READ(rd, seg, &first->lock);
	stay();
}

/* ---- permits and members; an object beside the accounts ---- */

typedef struct pool {
	stoa_permits seats;
	stoa_semaphore jobs;
	stoa_barrier round;
} pool;
STOA_TYPE(pool, seats, jobs, round);

static const pool *
pool_open(void)
{
	const pool *p = NULL;

	if (stoa_object_open(seg, "pool", pool, &p))
		fail("pool");
	return p;
}

static void
sit_and_join(void)
{
	const pool *p = pool_open();

	if (stoa_permits_set_total(&p->seats, 2) ||
		stoa_permits_take(&p->seats) || stoa_permits_take(&p->seats) ||
		stoa_barrier_join(&p->round))
		fail("sit");
	stay();
}

static void
wait_job(void)
{
	const pool *p = pool_open();

	ready();
	if (stoa_semaphore_wait(&p->jobs))
		fail("wait");
}

static void
wait_seat(void)
{
	const pool *p = pool_open();

	ready();
	if (stoa_permits_take(&p->seats))
		fail("wait");
}

static void
wait_first(void)
{
	ready();
	STOA_TX(tx, seg, &first->lock);
	if (stoa_tx_commit(tx))
		fail("wait");
}

static void
wait_guard(void)
{
	ready();
	STOA_TX(tx, seg, &first->guard);
	if (stoa_tx_commit(tx))
		fail("wait");
}

static void
wait_changed(void)
{
	STOA_TX(tx, seg, &first->guard);
	ready();
	if (stoa_tx_wait(tx, &first->changed, stoa_in_ms(60000)) &&
		stoa_tx_commit(tx))
		fail("wait");
}

/* Holds one lock, waits for the segment's. */
static void
hold_guard_wait_segment(void)
{
	STOA_TX(tx, seg, &first->guard);
	ready();
	if (stoa_tx_lock(tx, stoa_segment_lock(seg)) || stoa_tx_commit(tx))
		fail("wait");
}

static void
leak(void)
{
	STOA_TX(tx, seg);
	STOA_SET(tx, stoa_new(tx, account)->balance, 1);
	if (stoa_tx_commit(tx))
		fail("leak");
}

/* Allocates, and caches what it frees. */
static void
grow_and_stay(void)
{
	STOA_TX(tx, seg, &first->lock);
	for (int i = 0; i < 2000; i++)
		entries_push(tx, &first->history, (entry){i, i});
	stoa_delete(tx, account, stoa_new(tx, account));
	if (stoa_tx_commit(tx))
		fail("grow");
	stay();
}

/* Commits under the account's own lock until the input ends. */
static void
work(void)
{
	const bool pauses = !getenv("STOA_ACTOR_WITHOUT_PAUSE");
	int flags = 0;

	ready();
	while (!flags) {
		struct timespec pause = {0, 200000};
		fd_set in;
		struct timeval now = {0, 0};

		STOA_TX(tx, seg, &second->lock);
		STOA_ADD(tx, second->balance, 1);
		if (stoa_tx_commit(tx))
			fail("work");
		if (pauses)
			nanosleep(&pause, NULL);
		FD_ZERO(&in);
		FD_SET(STDIN_FILENO, &in);
		flags = select(1, &in, NULL, NULL, &now);
	}
}

/*
 * The balance is the sum of the history, at every commit; half of the time under a
 * lock that readers can compare, half of the time under a mutex.
 */
static void
mix_one(bool mutex, int32_t amount)
{
	const account *a = mutex ? second : first;
	stoa_tx *tx =
		mutex ? stoa_tx_begin(seg, &(const stoa_hold){&a->guard, 1, 2},
				1, STOA_FOREVER)
		      : stoa_tx_begin(seg, &(const stoa_hold){&a->lock, 2, 0},
				1, STOA_FOREVER);

	STOA_SET(tx, a->balance,
		entries_count(tx, &a->history) < 40 ? a->balance + amount
						    : amount);
	if (entries_count(tx, &a->history) >= 40)
		entries_clear(tx, &a->history);
	entries_push(tx, &a->history, (entry){amount, amount / 3.0});
	stoa_str_set(tx, &a->note, amount % 2 ? "odd" : "an even number");
	limits_put(tx, &a->limit, amount % 3 ? "three" : "none", amount);
	if (stoa_tx_commit(tx))
		fail("mix");
	stoa_tx_end(tx);
}

static void
mix(void)
{
	const struct timespec pause = {
		0, getenv("STOA_ACTOR_WITHOUT_PAUSE") ? 0 : 200000};

	ready();
	for (int32_t i = 0; getppid() > 1; i++) {
		mix_one(i % 2, (int32_t)((uint32_t)i * 7919 % 1000));
		if (pause.tv_nsec)
			nanosleep(&pause, NULL);
	}
}

static void *
attach_and_stay(void *user)
{
	int *rc = user;

	*rc = stoa_segment_attach(seg);
	puts(*rc ? "full" : "attached");
	fflush(stdout);
	for (;;)
		pause();
	return NULL;
}

/* Threads until there is no slot left. */
static void
fill(void)
{
	for (int i = 0; i < 300; i++) {
		pthread_t t;
		static int rc[300];

		rc[i] = 1;
		if (pthread_create(&t, NULL, attach_and_stay, &rc[i]))
			fail("thread");
		while (*(volatile int *)&rc[i] == 1)
			usleep(1000);
		if (rc[i])
			break;
	}
	stay();
}

/* ---- what the library itself never does ---- */

static pthread_barrier_t barrier;

/*
 * The library refuses to wait in a circle, so the slots are made to say it: each
 * of two threads holds what the other says that it waits for.
 */
static void *
circle_thread(void *user)
{
	const account *mine = user;
	const account *other = mine == first ? second : first;
	struct stoai_seat *seat;

	STOA_TX(tx, seg, &mine->guard);
	pthread_barrier_wait(&barrier);
	seat = stoai_seat_of(seg);
	seat->slot->waiting = stoai_off(seg, &other->guard) | STOAI_HELD_MUTEX;
	seat->slot->waiting_since_ns = 1;
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return NULL;
}

static void
circle(void)
{
	pthread_t t;

	stoa_segment_detach(seg);
	pthread_barrier_init(&barrier, NULL, 3);
	if (pthread_create(&t, NULL, circle_thread, (void *)(uintptr_t)first) ||
		pthread_create(
			&t, NULL, circle_thread, (void *)(uintptr_t)second))
		fail("thread");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	stay();
}

/* This process holds the lock, and its log makes no sense: killed, it is damage. */
static void
damage_log(void)
{
	struct stoai_seat *seat;
	uint64_t *size;

	STOA_TX(tx, seg, &first->lock);
	STOA_SET(tx, first->balance, 1000);
	seat = stoai_seat_of(seg);
	size = stoai_at(seg, seat->lane->cursor - 8);
	*size = 12345;
	stay();
}

/* The same, with a second damage: a lock where none can lie. */
static void
damage_held(void)
{
	STOA_TX(tx, seg, &first->lock);
	stoai_seat_of(seg)->lane->held[5] = 0x13 | STOAI_HELD_MUTEX;
	stay();
}

/* Says that three recoverers died with it: killed, it is quarantined. */
static void
three_deaths(void)
{
	struct stoai_seat *seat;

	STOA_TX(tx, seg, &first->lock);
	STOA_SET(tx, first->balance, 1000);
	seat = stoai_seat_of(seg);
	seat->slot->tries = STOAI_TRIES_MAX + 1;
	stoai_header(seg)->flags |= STOAI_SEGMENT_DAMAGED;
	stay();
}

static void
flag_damaged(void)
{
	stoai_header(seg)->flags |= STOAI_SEGMENT_DAMAGED;
}

static void
other_boot(void)
{
	stoai_header(seg)->boot_id[0] ^= 1;
}

/* An array, and one of its type. */
static void
kinds(void)
{
	const entry *e;

	if (stoa_object_open(seg, NULL, entry, &e) ||
		STOA_DO(tx, seg, STOA_SET(tx, e->amount, 7)))
		fail("unique");
	STOA_TX(tx, seg);
	entry *three = stoa_object_create_array(tx, "three", entry, 3);

	for (int i = 0; i < 3; i++)
		three[i].amount = i;
	if (stoa_tx_commit(tx))
		fail("array");
}

/* Another segment, with an index that only this program has. */
static void
foreign(void)
{
	stoa_index_class mine = stoa_index_none;
	stoa_segment *other = NULL;

	mine.name = "of the actor";
	if (stoa_segment_open("foreign", STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.index = &mine), &other))
		fail("foreign");
	stoa_segment_close(other);
}

static const struct scene {
	const char *name;
	void (*play)(void);
} scenes[] = {{"make", make}, {"kinds", kinds}, {"foreign", foreign},
	{"attach", attach}, {"hold-segment", hold_segment},
	{"hold-first", hold_first}, {"hold-guard", hold_guard},
	{"read-first", read_first}, {"hold-desk", hold_desk},
	{"wait-first", wait_first}, {"wait-guard", wait_guard},
	{"wait-changed", wait_changed}, {"sit-and-join", sit_and_join},
	{"wait-job", wait_job}, {"wait-seat", wait_seat},
	{"hold-guard-wait-segment", hold_guard_wait_segment}, {"leak", leak},
	{"grow-and-stay", grow_and_stay}, {"work", work}, {"mix", mix},
	{"fill", fill}, {"circle", circle}, {"damage-log", damage_log},
	{"damage-held", damage_held}, {"three-deaths", three_deaths},
	{"flag-damaged", flag_damaged}, {"other-boot", other_boot}};

int
main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc < 3)
		return 2;
	open_all(argv[2], argc > 3);
	for (size_t i = 0; i < STOAI_COUNT(scenes); i++)
		if (!strcmp(argv[1], scenes[i].name)) {
			scenes[i].play();
			stoa_segment_close(seg);
			return 0;
		}
	return 2;
}
