/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What do locks by hand cost: alone, beside another process that wants them without a
 * pause or now and then, and from one process to another and back?
 *
 * "bare" is the floor: one CAS and one exchange, which any lock of one word pays; for
 * a round trip, two futexes and nothing else. "mendable" is the floor of a lock whose
 * holder's death somebody else can mend: what is meant is listed before the CAS and
 * counted, who takes it looks whether a death was told, and it is unlisted after the
 * exchange. No seat is looked for and nothing is checked. Ours survive a kill at any
 * instruction; of the peers glibc's robust mutex does, as far as one who waits for it
 * is not killed.
 */
#include "death.h"
#include "ours.h"
#include "peer_boost.h"
#include "peer_ck.h"
#include "peer_glibc.h"
#include "trip.h"
#include "works.h"
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SIZE = 1 << 20
};

typedef struct kit {
	stoa_mutex mutex;
	uint64_t pad1[7];
	stoa_rwlock lock;
	uint64_t pad2[2];
	stoa_semaphore semaphore, way[2];
	uint64_t pad3[5];
	stoa_mutex guard;
	stoa_cond changed;
	uint32_t ball[2]; /* under guard */
} kit;
STOA_TYPE(kit, mutex, pad1, lock, pad2, semaphore, way, pad3, guard, changed,
	ball);

static const kit *mine;

static bool
open_ours(void)
{
	return trip_open() && death_open() && ours_open(SIZE) &&
	       ours_done(stoa_object_open(ours_segment, "kit", kit, &mine));
}

static const struct measure_side ours = {.open = open_ours,
	.start = ours_start,
	.stop = ours_stop,
	.close = ours_close};

/* ---- ours ---- */

static bool
mutex_loop(const struct measure_row *row, int role, uint64_t count)
{
	const stoa_mutex *m = &mine->mutex;

	(void)role;
	for (; count > 0; count--) {
		if (stoa_mutex_lock(m))
			return ours_done(-1);
		measure_use(m);
		stoa_mutex_unlock(m);
		measure_between(row);
	}
	return true;
}

static bool
mode_loop(const struct measure_row *row, int role, uint64_t count)
{
	enum stoa_mode mode = (enum stoa_mode)row->param;
	const stoa_rwlock *l = &mine->lock;

	(void)role;
	for (; count > 0; count--) {
		if (stoa_rwlock_lock_as(l, mode, STOA_FOREVER))
			return ours_done(-1);
		measure_use(l);
		stoa_rwlock_unlock(l);
		measure_between(row);
	}
	return true;
}

static bool
semaphore_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	for (; count > 0; count--) {
		if (stoa_semaphore_post(&mine->semaphore) ||
			stoa_semaphore_wait(&mine->semaphore))
			return ours_done(-1);
		measure_use(mine);
		measure_between(row);
	}
	return true;
}

static bool
semaphore_give(int from)
{
	return ours_done(stoa_semaphore_post(&mine->way[from]));
}

static bool
semaphore_take(int from)
{
	return ours_done(stoa_semaphore_wait(&mine->way[from]));
}

static bool
condition_give(int from)
{
	kit *k = (kit *)(uintptr_t)mine;
	int rc = stoa_mutex_lock(&k->guard);

	if (rc)
		return ours_done(rc);
	k->ball[from] = 1;
	rc = stoa_cond_signal(&k->changed);
	stoa_mutex_unlock(&k->guard);
	return ours_done(rc);
}

static bool
condition_take(int from)
{
	kit *k = (kit *)(uintptr_t)mine;
	int rc = stoa_mutex_lock(&k->guard);

	if (rc)
		return ours_done(rc);
	while (!rc && !k->ball[from])
		rc = stoa_cond_wait(&k->changed, &k->guard, STOA_FOREVER);
	k->ball[from] = 0;
	stoa_mutex_unlock(&k->guard);
	return ours_done(rc);
}

static bool
mutex_take(int who)
{
	int rc;

	death_waiting(who);
	rc = stoa_mutex_lock(&mine->mutex);
	if (rc == -EOWNERDEAD)
		rc = 0;
	else if (who == DEATH_WAITER)
		return measure_failed("stoa: nobody told of a death (%d)", rc);
	death_holding(who);
	stoa_mutex_mend(&mine->mutex);
	stoa_mutex_unlock(&mine->mutex);
	return ours_done(rc);
}

static double
mutex_deaths(const struct measure_row *row, int role, uint64_t ns)
{
	(void)role;
	(void)ns;
	return death_percentile(mutex_take, row->param);
}

/* ---- floors ---- */

static struct {
	uint32_t word, flags;
	uint32_t ball[2] __attribute__((aligned(64)));
	struct {
		uint32_t counted;
		uint64_t held;
	} lane[2] __attribute__((aligned(64)));
} * words;

static bool
open_words(void)
{
	if (!words)
		words = measure_shared(sizeof *words);
	return words && trip_open();
}

static const struct measure_side floor_side = {.open = open_words};

static bool
nothing_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	for (; count > 0; count--)
		measure_between(row);
	return true;
}

static inline void
word_lock(uint32_t *word, uint32_t me)
{
	uint32_t w = 0;

	while (!__atomic_compare_exchange_n(
		word, &w, me, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		w = 0;
}

static inline void
word_unlock(uint32_t *word)
{
	(void)__atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

static bool
bare_loop(const struct measure_row *row, int role, uint64_t count)
{
	uint32_t *word = &words->word;

	(void)role;
	for (; count > 0; count--) {
		word_lock(word, 1);
		measure_use(word);
		word_unlock(word);
		measure_between(row);
	}
	return true;
}

static bool
mendable_loop(const struct measure_row *row, int role, uint64_t count)
{
	uint32_t *word = &words->word, *flags = &words->flags;
	uint64_t *held = &words->lane[role].held;
	uint32_t *counted = &words->lane[role].counted;

	for (; count > 0; count--) {
		__atomic_store_n(held, 1, __ATOMIC_RELEASE);
		measure_use(held);
		__atomic_store_n(counted, *counted + 1, __ATOMIC_RELEASE);
		measure_use(counted);
		word_lock(word, (uint32_t)role + 1);
		if (__atomic_load_n(flags, __ATOMIC_RELAXED))
			return false;
		measure_use(word);
		word_unlock(word);
		measure_use(held);
		__atomic_store_n(held, 0, __ATOMIC_RELEASE);
		measure_between(row);
	}
	return true;
}

static long
futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static bool
bare_give(int from)
{
	__atomic_store_n(&words->ball[from], 1, __ATOMIC_SEQ_CST);
	return futex(&words->ball[from], FUTEX_WAKE, 1) >= 0;
}

static bool
bare_take(int from)
{
	while (!__atomic_exchange_n(&words->ball[from], 0, __ATOMIC_SEQ_CST))
		(void)futex(&words->ball[from], FUTEX_WAIT, 0);
	return true;
}

/* ---- Boost ---- */

#ifdef BENCH_BOOST
static bool
open_boost(void)
{
	return trip_open() && boost_open(SIZE);
}

static const struct measure_side boost_side = {
	.open = open_boost, .start = boost_start, .close = boost_close};
#endif

/* ---- the rows ---- */

static bool
open_glibc(void)
{
	return trip_open() && death_open() && glibc_open();
}

static const struct measure_side glibc = {.open = open_glibc};

static const struct trip semaphore_trip = {semaphore_give, semaphore_take},
			 condition_trip = {condition_give, condition_take},
			 bare_trip = {bare_give, bare_take},
			 glibc_semaphore_trip = {glibc_semaphore_give,
				 glibc_semaphore_take},
			 glibc_condition_trip = {
				 glibc_condition_give, glibc_condition_take};
#ifdef BENCH_BOOST
static const struct trip boost_semaphore_trip = {boost_semaphore_give,
				 boost_semaphore_take},
			 boost_condition_trip = {
				 boost_condition_give, boost_condition_take};
#endif

#define ROW(w, p, s, f, a, n, b) \
 { \
  .work = (w), .peer = (p), .side = &(s), .loop = (f), .param = (a), \
  .processes = (n), .between = (b) \
 }
#define FIGURE(w, p, s, f, a, n) \
 { \
  .work = (w), .peer = (p), .side = &(s), .figure = (f), \
  .param = (uintptr_t)(a), .processes = (n) \
 }
#define TRIP(w, p, s, t) FIGURE(w, p, s, trip_figure, &(t), 2)

/* A peer that is not here has no row. */
#ifdef BENCH_BOOST
 #define BOOST(w, f, n, b) ROW(w, "boost", boost_side, f, 0, n, b),
 #define BOOST_TRIP(w, t)  TRIP(w, "boost", boost_side, t),
#else
 #define BOOST(w, f, n, b)
 #define BOOST_TRIP(w, t)
#endif
#ifdef BENCH_CK
 #define CK(w, p, f, a, n, b) ROW(w, p, ck_side, f, a, n, b),
#else
 #define CK(w, p, f, a, n, b)
#endif

/* clang-format off */
#define MUTEX(w, n, b) \
 ROW(w, "stoa", ours, mutex_loop, 0, n, b), \
 ROW(w, "bare", floor_side, bare_loop, 0, n, b), \
 ROW(w, "mendable", floor_side, mendable_loop, 0, n, b), \
 ROW(w, "glibc robust", glibc, glibc_mutex_loop, GLIBC_ROBUST, n, b), \
 BOOST(w, boost_lock_loop, n, b) \
 CK(w, "ck spinlock", ck_spinlock_loop, 0, n, b)
#define SHARED(w, n, b) \
 ROW(w, "stoa", ours, mode_loop, STOA_SHARED, n, b), \
 ROW(w, "glibc", glibc, glibc_rwlock_loop, STOA_SHARED, n, b), \
 BOOST(w, boost_shared_loop, n, b) \
 CK(w, "ck rwlock", ck_rwlock_loop, STOA_SHARED, n, b) \
 CK(w, "ck bytelock", ck_bytelock_loop, STOA_SHARED, n, b)
#define EXCLUSIVE(w, n, b) \
 ROW(w, "stoa", ours, mode_loop, STOA_EXCLUSIVE, n, b), \
 ROW(w, "glibc", glibc, glibc_rwlock_loop, STOA_EXCLUSIVE, n, b), \
 BOOST(w, boost_exclusive_loop, n, b) \
 CK(w, "ck rwlock", ck_rwlock_loop, STOA_EXCLUSIVE, n, b) \
 CK(w, "ck bytelock", ck_bytelock_loop, STOA_EXCLUSIVE, n, b)
#define UPGRADABLE(w, n, b) \
 ROW(w, "stoa", ours, mode_loop, STOA_UPGRADABLE, n, b), \
 BOOST(w, boost_upgradable_loop, n, b)
#define SEMAPHORE(w, n, b) \
 ROW(w, "stoa", ours, semaphore_loop, 0, n, b), \
 ROW(w, "glibc", glibc, glibc_semaphore_loop, 0, n, b), \
 BOOST(w, boost_semaphore_loop, n, b)
/* One process; two that want it without a pause; two that do other work between. */
#define THREE(rows_of, w) \
 rows_of(w, 1, 0) rows_of(w ", two", 2, 0) \
 rows_of(w ", two spaced", 2, MEASURE_SPACED)
static const struct measure_row rows[] = {
	ROW("the work between, two", "nothing", floor_side, nothing_loop, 0, 2,
		MEASURE_SPACED),
	THREE(MUTEX, "raw mutex")
	THREE(SHARED, "raw shared")
	THREE(EXCLUSIVE, "raw exclusive")
	THREE(UPGRADABLE, "raw upgradable")
	THREE(SEMAPHORE, "semaphore")
	TRIP("round trip", "stoa", ours, semaphore_trip),
	TRIP("round trip", "bare", floor_side, bare_trip),
	TRIP("round trip", "glibc", glibc, glibc_semaphore_trip),
	BOOST_TRIP("round trip", boost_semaphore_trip)
	TRIP("condition round trip", "stoa", ours, condition_trip),
	TRIP("condition round trip", "bare", floor_side, bare_trip),
	TRIP("condition round trip", "glibc", glibc, glibc_condition_trip),
	BOOST_TRIP("condition round trip", boost_condition_trip)
	FIGURE("raw mutex, death, p50", "stoa", ours, mutex_deaths, 50, 1),
	FIGURE("raw mutex, death, p50", "glibc robust", glibc, glibc_deaths, 50,
		1),
	FIGURE("raw mutex, death, p99", "stoa", ours, mutex_deaths, 99, 1),
	FIGURE("raw mutex, death, p99", "glibc robust", glibc, glibc_deaths, 99,
		1),
};
/* clang-format on */

static const struct measure_goal goals[] = {
	{.work = "raw mutex", .peer = "bare", .goal = 1.1, .at_most = true},
	{.work = "raw mutex",
		.peer = "glibc robust",
		.goal = 1.05,
		.at_most = true},
	{.work = "raw shared", .peer = "boost", .goal = 0.5, .at_most = true},
	{.work = "raw shared, two", .one = "raw shared", .goal = 1.8},
	{.work = "round trip", .peer = "bare", .goal = 1.1, .at_most = true},
	{.work = "condition round trip",
		.peer = "bare",
		.goal = 1.1,
		.at_most = true},
	{.work = "raw mutex, death, p99",
		.limit = 10e6,
		.goal = 1,
		.at_most = true},
};

const struct measure_family locks_family = MEASURE_FAMILY("locks", rows, goals);
