/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A worker: a process of one or three threads that does random operations until it
 * is killed. Before each it tells the board what it is about to do, and in which
 * slot it sits, so that it can be killed or paused with a purpose.
 */
#include "base/atomic.h"
#include "segment/seat.h"
#include "soak.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILD_OPS = 30,
	RETRY_US = 2000
};

int
open_world(stoa_segment **seg, const world **w)
{
	const struct variant *v = season.variant;
	int rc = stoa_segment_open("soak", STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.limit = 256 << 20, .threads = v->slots,
			.without = v->without),
		seg);

	return rc ? rc : stoa_object_open(*seg, "world", world, w);
}

static bool
is_expected_here(int rc)
{
	const int *also = season.variant->also;

	return is_expected(rc) || rc == also[0] || rc == also[1];
}

static uint32_t
slot_of(const stoa_segment *seg)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);

	return seat ? seat->index + 1 : 0;
}

static void
run_op(struct actor *me, unsigned worker, unsigned thread)
{
	const uint32_t i = choose_op(me);
	int rc;

	a64_store_relaxed(&board->actor[worker][thread].started, ms_now());
	a32_store_relaxed(&board->actor[worker][thread].slot,
		op_at(i)->detaches ? 0 : slot_of(me->seg));
	a32_store_release(&board->actor[worker][thread].op, i + 1);
	rc = op_at(i)->run(me);
	if (!is_expected_here(rc))
		broken("%s: %s (%s)", op_at(i)->name, stoa_strerror(rc),
			stoa_error_text());
	a32_store_release(&board->actor[worker][thread].op, 0);
	a64_fetch_add_seq_cst(&board->actor[worker][thread].ops, 1);
	a64_fetch_add_seq_cst(&score->per_op[i], 1);
	if (rc && !is_expected(rc))
		a64_fetch_add_seq_cst(&score->special, 1);
	if (rc == -EUSERS) /* others have all the slots; they will detach */
		us_sleep(RETRY_US);
}

/* A child of a worker, which inherits all its pointers, works a little too. */
static void
fork_child(struct actor *me, unsigned worker)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid > 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (pid < 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	me->owns = 0;
	for (int i = 0; i < CHILD_OPS; i++)
		run_op(me, worker, 0);
	_exit(0);
}

/* Where slots or memory are short, an open may fail until somebody else gives some up. */
static bool
begin(struct actor *me)
{
	int rc;

	while ((rc = open_world(&me->seg, &me->w)) != 0) {
		if (!is_expected_here(rc)) {
			broken("open: %s (%s)", stoa_strerror(rc),
				stoa_error_text());
			return false;
		}
		if (me->seg)
			me->seg = stoa_segment_close(me->seg);
		us_sleep(RETRY_US);
	}
	return true;
}

struct thread_start {
	unsigned worker, thread;
	uint64_t seed;
};

static void *
act(void *user)
{
	const struct thread_start *start = user;
	struct actor me = {NULL, NULL, start->seed, 0};
	const bool forks = start->thread == 0 && start->seed % 4 == 0;

	a32_store_relaxed(&board->actor[start->worker][start->thread].tid,
		(uint32_t)gettid());
	a32_store_release(
		&board->actor[start->worker][start->thread].forks, forks);
	if (!begin(&me))
		return NULL;
	if (season.namespace_fd >= 0 && getpid() == 1)
		a64_fetch_add_seq_cst(&score->special, 1);
	a32_store_release(&board->actor[start->worker][start->thread].alive, 1);
	for (;;) {
		run_op(&me, start->worker, start->thread);
		if (forks && below(&me, 300) == 0)
			fork_child(&me, start->worker);
		if (season.variant->slots && below(&me, 20) == 0) {
			me.owns = 0;
			a32_store_relaxed(
				&board->actor[start->worker][start->thread]
					 .slot,
				0);
			stoa_segment_detach(me.seg);
			sched_yield();
		}
		if (below(&me, 2000) == 0) { /* another handle, for a moment */
			stoa_segment *again = NULL;
			const world *w = NULL;

			if (!open_world(&again, &w) && w != me.w)
				broken("a second mapping");
			stoa_segment_close(again);
		}
	}
	return NULL;
}

/* A quarter have three threads, and of the others a quarter forks. */
static void
be_worker(unsigned worker, uint64_t seed)
{
	struct thread_start start[THREADS_MAX];
	const unsigned threads = seed % 4 == 1 ? THREADS_MAX : 1;
	pthread_t t;

	for (unsigned i = 0; i < THREADS_MAX; i++)
		start[i] = (struct thread_start){worker, i, seed + i * 4};
	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&t, NULL, act, &start[i]))
			_exit(3);
	act(&start[0]);
	_exit(2);
}

/* The next child is pid 1 of a new namespace; this process stays where it is. */
static bool
new_namespace(void)
{
	return !setns(season.namespace_fd, CLONE_NEWPID) &&
	       !unshare(CLONE_NEWPID);
}

void
start_worker(unsigned i)
{
	const bool apart = season.namespace_fd >= 0;
	const pid_t parent = getpid();
	uint64_t seed = season.seed + ++season.generation * UINT64_C(0x10001);
	pid_t pid;

	memset(board->actor[i], 0, sizeof board->actor[i]);
	if (apart && !new_namespace())
		broken("namespace: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == (apart ? 0 : parent))
			be_worker(i, next_random(&seed));
		_exit(0);
	}
	if (pid < 0)
		broken("fork: %s", strerror(errno));
	season.pid[i] = pid > 0 ? pid : 0;
	if (apart) /* whom this process starts otherwise is not of that namespace */
		(void)setns(season.namespace_fd, CLONE_NEWPID);
}
