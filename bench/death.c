/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How long after SIGKILL of a lock's holder does who waits for the lock go on?
 *
 * A holder takes the lock and sleeps, a waiter blocks on it; the worker stops the
 * clock from just before kill() to the waiter's first instruction under the lock.
 * One run is a hundred deaths; it gives their p50, or their p99 (each of the two
 * rows kills anew). Ours has the holder's change undone by then; glibc's waiter is
 * told EOWNERDEAD and declares the mutex consistent, with nothing repaired.
 *
 * Boost has no row: its waiter gets an exception, as does everybody after it, so
 * there is no progress to be measured.
 */
#include "death.h"
#include "ours.h"
#include "peer_glibc.h"
#include "works.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	DEATHS = 100,
	SIZE = 1 << 20,
	SETTLE_US = 1000, /* until the waiter sleeps */
	PATIENCE_S = 10
};

struct scene {
	uint32_t held, waits;
	uint64_t got; /* when the waiter had the lock */
};

static struct scene *scene;

/* ---- who takes the lock ---- */

static void
told(uint32_t *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

void
death_waiting(int who)
{
	if (who == DEATH_WAITER)
		told(&scene->waits);
}

void
death_holding(int who)
{
	if (who == DEATH_WAITER) {
		__atomic_store_n(&scene->got, measure_now(), __ATOMIC_RELEASE);
		return;
	}
	told(&scene->held);
	for (;;)
		(void)pause();
}

static bool
ours_take(int who)
{
	death_waiting(who);
	{
		STOA_TX(tx, ours_segment, &ours_cell->mutex);
		STOA_ADD(tx, ours_cell->value, who == DEATH_HOLDER);
		death_holding(who);
		/* the holder's change must be gone */
		if (ours_cell->value)
			return false;
		return !stoa_tx_commit(tx);
	}
}

static bool
glibc_take(int who)
{
	int rc;

	death_waiting(who);
	rc = pthread_mutex_lock(glibc_mutex());
	if (rc == EOWNERDEAD)
		rc = pthread_mutex_consistent(glibc_mutex());
	death_holding(who);
	return !rc && !pthread_mutex_unlock(glibc_mutex());
}

/* ---- a death ---- */

static void
sleep_us(long us)
{
	struct timespec t = {0, us * 1000};

	(void)nanosleep(&t, NULL);
}

static pid_t
start(bool (*take)(int who), int who)
{
	pid_t pid = fork();

	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		measure_pin(who);
		_exit(!take(who));
	}
	return pid;
}

static bool
await(const uint32_t *flag)
{
	const uint64_t end = measure_now() + PATIENCE_S * UINT64_C(1000000000);

	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		if (measure_now() > end)
			return false;
		sleep_us(50);
	}
	return true;
}

/* Ends by itself within the patience, or is killed and has failed. */
static bool
joined(pid_t pid)
{
	const uint64_t end = measure_now() + PATIENCE_S * UINT64_C(1000000000);
	int how = -1;

	while (!waitpid(pid, &how, WNOHANG)) {
		if (measure_now() > end)
			(void)kill(pid, SIGKILL);
		sleep_us(50);
	}
	return how == 0;
}

/* ns; < 0: failed */
static double
one_death(bool (*take)(int who))
{
	pid_t holder, waiter;
	uint64_t from;
	bool ok;

	scene->held = scene->waits = 0;
	holder = start(take, DEATH_HOLDER);
	ok = holder > 0 && await(&scene->held);
	waiter = ok ? start(take, DEATH_WAITER) : -1;
	ok = ok && waiter > 0 && await(&scene->waits);
	sleep_us(SETTLE_US);
	from = measure_now();
	if (holder > 0) {
		(void)kill(holder, SIGKILL);
		(void)waitpid(holder, NULL, 0);
	}
	if (waiter > 0)
		ok = joined(waiter) && ok;
	return ok ? (double)(scene->got - from) : -1;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
death_percentile(bool (*take)(int who), uintptr_t percent)
{
	double ns[DEATHS];

	for (int i = 0; i < DEATHS; i++) {
		ns[i] = one_death(take);
		if (ns[i] < 0)
			return -1;
	}
	qsort(ns, DEATHS, sizeof *ns, compare);
	return ns[percent * DEATHS / 100];
}

static double
ours_deaths(const struct measure_row *row, int role, uint64_t ns)
{
	(void)role;
	(void)ns;
	return death_percentile(ours_take, row->param);
}

double
glibc_deaths(const struct measure_row *row, int role, uint64_t ns)
{
	(void)role;
	(void)ns;
	return death_percentile(glibc_take, row->param);
}

/* ---- sides ---- */

bool
death_open(void)
{
	if (!scene)
		scene = measure_shared(sizeof *scene);
	return scene != NULL;
}

static bool
open_ours(void)
{
	return death_open() && ours_open(SIZE);
}

static bool
open_glibc(void)
{
	return death_open() && glibc_open();
}

static const struct measure_side ours = {
	.open = open_ours, .close = ours_close};
static const struct measure_side glibc = {.open = open_glibc};

#define ROW(w, p, s, f, a) \
 { \
  .work = (w), .peer = (p), .side = &(s), .figure = (f), .param = (a) \
 }
static const struct measure_row rows[] = {
	ROW("death to progress, p50", "stoa", ours, ours_deaths, 50),
	ROW("death to progress, p50", "glibc robust", glibc, glibc_deaths, 50),
	ROW("death to progress, p99", "stoa", ours, ours_deaths, 99),
	ROW("death to progress, p99", "glibc robust", glibc, glibc_deaths, 99),
};

static const struct measure_goal goals[] = {
	{.work = "death to progress, p99",
		.limit = 10e6,
		.goal = 1,
		.at_most = true},
};

const struct measure_family death_family = MEASURE_FAMILY("death", rows, goals);
