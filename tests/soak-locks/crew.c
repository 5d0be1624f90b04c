/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The workers: how does one begin, how does it die, and at which moment?
 *
 * They are forked from the supervisor, which has the segment open and no slot in it,
 * without exec. Any time will do for a SIGKILL. One moment is too short to be met by
 * it: after a call has changed the word that others sleep for, and before it has woken
 * them. Who is doomed forbids itself the system call that wakes, so that it dies exactly
 * there; that holds for the peers' objects as well.
 */
#include "locks.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	DOOM_PAUSE_US = 20,
	BREATHER = 64, /* one in so many steps is followed by a pause */
	BREATHER_US = 100,
	COMMAND = 127 /* FUTEX_CMD_MASK */
};

static pid_t pid[CREW];
static uint32_t state = 2463534242u;

uint64_t
us_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
us_sleep(unsigned us)
{
	struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

uint32_t
dice(uint32_t below)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 16) % below;
}

void
broken(const char *format, ...)
{
	uint32_t nobody = 0;
	va_list list;

	if (!a32_cas_seq_cst(&board->broken, &nobody, 1))
		return;
	va_start(list, format);
	vsnprintf(board->why, WHY, format, list);
	va_end(list);
	a32_store_release(&board->broken, 2);
}

unsigned
roles(void)
{
	unsigned n = 0;

	while (n < ROLES && play->role[n])
		n++;
	return n;
}

bool
alive(unsigned k)
{
	return pid[k] != 0;
}

/* ---- in the worker ---- */

/* From now on its futex calls that wake kill it. False: not allowed here. */
static bool
die_when_waking(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, COMMAND),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_REQUEUE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = {sizeof code / sizeof code[0], code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);
}

static void
take_step(struct actor *me, step *one)
{
	const int rc = one(me);

	if (rc < 0)
		broken("worker %u: %s (%s)", me->id, stoa_strerror(rc),
			play->control ? "" : stoa_error_text());
	if (!rc)
		a64_fetch_add_seq_cst(&me->beat, 1);
}

int
keep_on(struct actor *me)
{
	step *const own = play->role[(me->id - 1) % roles()];
	bool filtered = false;

	while (a32_load_relaxed(&board->broken) != 2) {
		if (a32_load_relaxed(&me->doomed) && !filtered)
			filtered = die_when_waking();
		take_step(me, own);
		if (chance(me, BREATHER) == 0)
			us_sleep(chance(me, BREATHER_US));
	}
	return 0;
}

int
act_and_die(struct actor *me)
{
	if (play->before)
		take_step(me, play->before);
	a32_store_release(&board->ready, 1);
	while (!a32_load_acquire(&board->go))
		us_sleep(500);
	(void)die_when_waking();
	take_step(me, play->act);
	return 0;
}

/* ---- in the supervisor ---- */

bool
hire(unsigned k, int (*work)(struct actor *me))
{
	struct actor *me = &board->actor[k];

	a32_fetch_add_seq_cst(&me->life, 1);
	a64_store_relaxed(&me->inside, 0);
	a64_store_relaxed(&me->at, 0);
	me->begun = me->done = 0;
	me->slot = me->doomed = 0;
	me->id = k + 1;
	me->random = dice(UINT16_MAX) << 8;
	a32_store_release(&me->dying, 0);
	fflush(NULL);
	pid[k] = fork();
	if (!pid[k]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!play->control) {
			if (stoa_segment_attach(seg))
				broken("attach: %s", stoa_error_text());
			else
				a32_store_relaxed(&me->slot,
					stoai_seat_of(seg)->index + 1);
		}
		_exit(work(me));
	}
	if (pid[k] > 0)
		return true;
	pid[k] = 0;
	broken("fork: %s", strerror(errno));
	return false;
}

static void
buried(unsigned k, int status)
{
	const struct actor *it = &board->actor[k];
	const unsigned role = k % roles();
	const int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	pid[k] = 0;
	board->done[role] += it->done;
	board->maybe[role] += it->begun - it->done;
	if (sig == SIGKILL || sig == SIGSYS)
		score.kills++;
	score.in_wake += sig == SIGSYS;
	if (sig && sig != SIGKILL && sig != SIGSYS)
		broken("worker %u died of signal %d", k + 1, sig);
}

void
kill_one(unsigned k)
{
	int status = 0;

	if (!pid[k])
		return;
	a32_store_release(&board->actor[k].dying, 1);
	kill(pid[k], SIGKILL);
	while (waitpid(pid[k], &status, 0) < 0 && errno == EINTR)
		;
	buried(k, status);
}

void
kill_all(void)
{
	for (unsigned k = 0; k < CREW; k++)
		if (pid[k]) {
			a32_store_release(&board->actor[k].dying, 1);
			kill(pid[k], SIGKILL);
		}
	for (unsigned k = 0; k < CREW; k++)
		kill_one(k);
}

bool
doom(unsigned k, unsigned us)
{
	const uint64_t until = us_now() + us;
	int status = 0;

	if (!pid[k])
		return false;
	a32_store_release(&board->actor[k].dying, 1);
	a32_store_release(&board->actor[k].doomed, 1);
	while (us_now() < until) {
		if (waitpid(pid[k], &status, WNOHANG) == pid[k]) {
			buried(k, status);
			return WIFSIGNALED(status) &&
			       WTERMSIG(status) == SIGSYS;
		}
		us_sleep(DOOM_PAUSE_US);
	}
	kill_one(k);
	return false;
}
