/* SPDX-License-Identifier: BSL-1.0 */
/*
 * One season: workers over one segment, and this process, which kills them.
 *
 *	storm   kills every 0.5 to 5 ms: anybody, or who waits, who recovers another,
 *	        who grows the heap, who attaches; the dead are replaced at once. Now
 *	        and then one, or all, are stopped for a while as by a debugger or a
 *	        freezer, which is not death: the others must not take it for that
 *	calm    nobody is killed until every thread has finished something: who
 *	        sleeps through it was forgotten (a lost wake-up, a lock of the dead)
 *	judge   sometimes all are killed, and this process looks alone
 *
 * Whatever stands still for two seconds is a failure, told with a picture.
 */
#include "base/atomic.h"
#include "segment/seat.h"
#include "soak.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum {
	AIM_TRIES = 400, /* looks for a victim of some kind, 5 us each */
	AIM_PAUSE_US = 5,
	PAUSE_KILLS = 4 /* of others, while one is stopped */
};

static uint32_t
random_below(uint32_t n)
{
	return (uint32_t)(next_random(&season.random) >> 33) % n;
}

/* ---- burials ---- */

static void
buried(pid_t pid, int status)
{
	unsigned i = 0;

	while (i < season.workers && season.pid[i] != pid)
		i++;
	if (i < season.workers)
		season.pid[i] = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		score->dead++;
	else if (WIFSIGNALED(status))
		broken("a worker died of signal %d", WTERMSIG(status));
	else if (i < season.workers)
		broken("a worker ended with %d", WEXITSTATUS(status));
}

static void
bury_and_replace(bool replace)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		buried(pid, status);
	for (unsigned i = 0; replace && i < season.workers; i++)
		if (!season.pid[i])
			start_worker(i);
}

/* ---- victims ---- */

static int
worker_in_slot(uint32_t slot)
{
	for (unsigned i = 0; i < season.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++)
			if (a32_load_relaxed(&board->actor[i][k].slot) ==
				slot + 1)
				return (int)i;
	return -1;
}

/* Of equal numbers, in namespaces, any. */
static int
worker_of_tid(uint32_t tid)
{
	const unsigned from = random_below(season.workers);

	for (unsigned n = 0; n < season.workers; n++) {
		const unsigned i = (from + n) % season.workers;

		for (unsigned k = 0; tid && k < THREADS_MAX; k++)
			if (a32_load_relaxed(&board->actor[i][k].tid) == tid)
				return (int)i;
	}
	return -1;
}

/* By the slots, as they are at this moment; -1: there is none. */
static int
find_by_slots(enum aim aim)
{
	const stoa_segment *seg = season.view;
	const uint32_t from = random_below(seg->slot_count);
	int found = -1;

	for (uint32_t n = 0; n < seg->slot_count && found < 0; n++) {
		const uint32_t i = (from + n) % seg->slot_count;
		const struct stoai_slot *s = stoai_slot_at(seg, i);

		if (!a32_load_relaxed(&s->paged))
			continue;
		if (aim == AIM_WAITER && (a64_load_relaxed(&s->waiting) ||
						 a64_load_relaxed(&s->woken)))
			found = worker_in_slot(i);
		if (aim == AIM_RECOVERER && a32_load_relaxed(&s->tries))
			found = worker_of_tid(
				a32_load_relaxed(stoai_token_at(seg, i)) &
				STOAI_TOKEN_TID);
	}
	return found;
}

static int
find_grower(void)
{
	for (unsigned i = 0; i < season.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++) {
			const uint32_t op =
				a32_load_relaxed(&board->actor[i][k].op);

			if (op && op_at(op - 1)->grows)
				return (int)i;
		}
	return -1;
}

static void
kill_worker(unsigned i, enum aim aim)
{
	if (!season.pid[i])
		return;
	kill(season.pid[i], SIGKILL);
	score->kills[aim]++;
}

/* Who is hard to meet is looked for a while; nobody of the kind: anybody. */
static void
kill_by_aim(enum aim aim)
{
	int i = -1;

	for (unsigned n = 0; i < 0 && n < AIM_TRIES; n++) {
		if (n)
			us_sleep(AIM_PAUSE_US);
		i = aim == AIM_GROWER ? find_grower() : find_by_slots(aim);
	}
	kill_worker(i < 0 ? random_below(season.workers) : (unsigned)i,
		i < 0 ? AIM_ANYBODY : aim);
}

static enum aim
choose_aim(void)
{
	const uint32_t what = random_below(100);

	if (what < 40)
		return AIM_ANYBODY;
	if (what < 60)
		return AIM_WAITER;
	if (what < 75)
		return AIM_RECOVERER;
	return what < 80 ? AIM_GROWER : AIM_ATTACHER;
}

static void
kill_somebody(void)
{
	const enum aim aim = choose_aim();
	const unsigned i = random_below(season.workers);

	if (aim == AIM_WAITER || aim == AIM_GROWER) {
		kill_by_aim(aim);
	} else {
		kill_worker(i, AIM_ANYBODY);
		if (aim == AIM_RECOVERER) /* of the one just killed */
			kill_by_aim(aim);
	}
	bury_and_replace(true);
	if (aim == AIM_ATTACHER) {
		us_sleep(random_below(1500));
		kill_worker(i, AIM_ATTACHER);
	}
}

/* Workers and their children, of whom this process is the reaper. */
static void
kill_all(void)
{
	int status;
	pid_t pid;

	for (unsigned i = 0; i < season.workers; i++)
		if (season.pid[i])
			kill(season.pid[i], SIGKILL);
	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		if (pid > 0)
			buried(pid, status);
	score->kills[AIM_EVERYBODY]++;
}

/* ---- progress ---- */

static uint64_t
ops_done(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < OPS; i++)
		n += a64_load_relaxed(&score->per_op[i]);
	return n;
}

static void
note_stall(uint64_t ms)
{
	if (ms > score->longest_stall)
		score->longest_stall = ms;
}

static uint64_t moved_ops, moved_ms; /* when something was last seen to end */

/* Some operation must end now and then; called often. */
static bool
moves(void)
{
	const uint64_t now = ms_now(), done = ops_done();

	if (done != moved_ops || !moved_ms) {
		moved_ops = done;
		moved_ms = now;
		return true;
	}
	note_stall(now - moved_ms);
	if (now - moved_ms < season.stall_ms)
		return true;
	broken("nobody finished anything for %" PRIu64 " ms", now - moved_ms);
	picture();
	moved_ms = now;
	return false;
}

/* Has every thread that has begun finished more than it had? */
static bool
all_moved(uint64_t seen[WORKERS_MAX][THREADS_MAX])
{
	for (unsigned i = 0; i < season.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++)
			if (a64_load_relaxed(&board->actor[i][k].ops) ==
					seen[i][k] &&
				(!k || a32_load_acquire(
					       &board->actor[i][k].alive)))
				return false;
	return true;
}

/* Nobody is killed: every thread must finish something. */
static bool
calm(void)
{
	uint64_t seen[WORKERS_MAX][THREADS_MAX];
	const uint64_t from = ms_now();
	uint64_t waited = 0;
	bool all = false;

	for (unsigned i = 0; i < season.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++)
			seen[i][k] = board->actor[i][k].ops;
	while (!all && waited < season.stall_ms) {
		us_sleep(1000);
		bury_and_replace(true);
		waited = ms_now() - from;
		all = all_moved(seen);
	}
	note_stall(waited);
	if (all)
		return true;
	broken("somebody finished nothing for %" PRIu64 " ms", waited);
	picture();
	return false;
}

/* ---- pauses ---- */

struct sleeper {
	uint32_t slot[THREADS_MAX]; /* index + 1 */
	uint32_t generation[THREADS_MAX];
};

/* False: it died instead. Its slots are noted once it stands still. */
static bool
stop_worker(unsigned i, struct sleeper *s)
{
	const pid_t pid = season.pid[i];
	int status;

	memset(s, 0, sizeof *s);
	if (!pid || a32_load_relaxed(&board->actor[i][0].forks) ||
		kill(pid, SIGSTOP))
		return false;
	if (waitpid(pid, &status, WUNTRACED) != pid)
		return false;
	if (!WIFSTOPPED(status)) {
		buried(pid, status);
		return false;
	}
	for (unsigned k = 0; k < THREADS_MAX; k++) {
		const uint32_t slot =
			a32_load_relaxed(&board->actor[i][k].slot);

		s->slot[k] = slot;
		if (slot)
			s->generation[k] = stoai_slot_at(season.view, slot - 1)
						   ->generation;
	}
	return true;
}

static void
go_on(unsigned i, const struct sleeper *s)
{
	for (unsigned k = 0; k < THREADS_MAX; k++) {
		const uint32_t slot = s->slot[k] - 1;

		if (s->slot[k] &&
			(stoai_slot_at(season.view, slot)->generation !=
					s->generation[k] ||
				stoai_token_dead(a32_load_acquire(
					stoai_token_at(season.view, slot)))))
			broken("a stopped thread, slot %u, was taken for dead",
				slot);
	}
	kill(season.pid[i], SIGCONT);
	score->pauses++;
}

/* One, while others are killed; it may hold what all wait for. */
static void
pause_one(unsigned us)
{
	const unsigned i = random_below(season.workers);
	struct sleeper s;

	if (!stop_worker(i, &s))
		return;
	for (int n = 0; n < PAUSE_KILLS; n++) {
		const unsigned other = random_below(season.workers);

		us_sleep(us / PAUSE_KILLS);
		if (other == i)
			continue;
		kill_worker(other, AIM_ANYBODY);
		bury_and_replace(true);
	}
	go_on(i, &s);
}

static void
pause_all(unsigned us)
{
	struct sleeper s[WORKERS_MAX];
	bool stopped[WORKERS_MAX];

	for (unsigned i = 0; i < season.workers; i++)
		stopped[i] = stop_worker(i, &s[i]);
	us_sleep(us);
	for (unsigned i = 0; i < season.workers; i++)
		if (stopped[i])
			go_on(i, &s[i]);
}

/* Mostly short; now and then longer than a waiter needs to be sure of a death. */
static void
pause_somebody(void)
{
	const unsigned us =
		random_below(8) ? 5000 + random_below(50000) : 1200000;

	if (random_below(4))
		pause_one(us);
	else
		pause_all(us);
	moved_ms = 0;
}

/* ---- the season ---- */

static bool
storm(void)
{
	for (uint32_t n = 20 + random_below(150); n; n--) {
		us_sleep(500 + random_below(4500));
		if (random_below(150) == 0)
			pause_somebody();
		kill_somebody();
		note_memory();
		if (!moves())
			return false;
	}
	return true;
}

void
run_season(void)
{
	const uint64_t end = ms_now() + (uint64_t)season.seconds * 1000;
	uint64_t report_at = ms_now() + 10000;
	bool good = true;

	bury_and_replace(true);
	while (good && ms_now() < end &&
		a32_load_acquire(&score->errors) < ERRORS_MAX) {
		good = storm() && calm();
		if (good && random_below(3) == 0) {
			kill_all();
			good = judge();
			if (!good)
				picture();
			bury_and_replace(true);
		}
		if (ms_now() < report_at)
			continue;
		report_at += 10000;
		printf("  %" PRIu64 " dead, %" PRIu64
		       " operations, %u errors\n",
			score->dead, ops_done(), score->errors);
		fflush(stdout);
	}
	kill_all();
	if (!judge())
		picture();
	if (season.variant->about == BLOCKS)
		judge_memory();
	score->ops = ops_done();
}
