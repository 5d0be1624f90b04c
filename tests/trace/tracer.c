/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How is a call of another process stopped at any instruction, and fast?
 *
 * The call stands between two breakpoint instructions (trace_call). The survey
 * single-steps from the first to the second, which costs tens of microseconds an
 * instruction, and gives each point a name that holds in every run of the same call
 * on the same bytes: the address, and how often it was reached. To go there, a
 * hardware breakpoint counts arrivals: the processor runs at full speed between them.
 *
 * A repeated string instruction traps behind each round when it is stepped, and
 * once when a breakpoint lies on it; rounds are therefore counted apart (steps).
 */
#include "tracer.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PLACES = 1 << 17, /* addresses of a call; a power of two */
	LIST_MAX = 32,    /* entries of a robust list that are looked at */
	SYSCALL_STOP = SIGTRAP | 0x80,
	OPTIONS = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC
};

/* ---- in the victim ---- */

int
trace_call(int (*call)(void *user), void *user)
{
	int rc;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		return -errno;
	__asm__ volatile("int3" ::: "memory");
	rc = call(user);
	__asm__ volatile("int3" ::: "memory");
	return rc;
}

void
trace_last_call(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	__asm__ volatile("int3" ::: "memory");
}

/* ---- stops ---- */

/* Either of two, one of which may be nobody (any more). */
static pid_t
wait_for_either(pid_t one, pid_t other, int *status)
{
	for (;;) {
		pid_t first = waitpid(one, status, __WALL | WNOHANG), second;

		if (first > 0)
			return first;
		second = waitpid(other, status, __WALL | WNOHANG);
		if (second || usleep(20))
			return second;
	}
}

/*
 * The next stop of the thread; its end counts as one (t->gone). A thread that
 * executes another program goes on under its leader's number.
 */
static int
next_stop(struct tracee *t, int *status)
{
	pid_t pid = t->executes && t->thread != t->process
			    ? wait_for_either(t->thread, t->process, status)
			    : waitpid(t->thread, status, __WALL);

	if (pid < 0)
		return -1;
	t->thread = pid;
	if (!WIFSTOPPED(*status))
		t->gone = t->ended = true;
	return 0;
}

static uint64_t
rip_of(const struct tracee *t)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, t->thread,
		(void *)offsetof(struct user, regs.rip), NULL);
}

static bool
is_event(int status, int event)
{
	return status >> 8 == (SIGTRAP | event << 8);
}

/* The breakpoint instruction of trace_call, and not a step or a watched address. */
static bool
is_mark(const struct tracee *t, int status)
{
	siginfo_t si;

	return WIFSTOPPED(status) && status >> 8 == SIGTRAP &&
	       !ptrace(PTRACE_GETSIGINFO, t->thread, NULL, &si) &&
	       si.si_code == SI_KERNEL;
}

/* Lets it go on and waits for its next stop; notes when the call is over. */
static int
resume(struct tracee *t, enum __ptrace_request how, int *status)
{
	int deliver = 0;

	for (;;) {
		if (ptrace(how, t->thread, NULL, (void *)(long)deliver) ||
			next_stop(t, status))
			return -1;
		if (t->gone)
			return 0;
		if (is_event(*status, PTRACE_EVENT_EXEC) ||
			(how != PTRACE_SINGLESTEP && is_mark(t, *status)))
			t->ended = true;
		deliver = WSTOPSIG(*status);
		if (deliver == SIGTRAP || deliver == SYSCALL_STOP)
			return 0; /* else a signal of its own */
	}
}

int
trace_begin(struct tracee *t, pid_t process, pid_t thread)
{
	int status, tries = 0;

	memset(t, 0, sizeof *t);
	t->process = process;
	t->thread = thread;
	/* a thread is nobody's to wait for until it has asked to be traced */
	while (waitpid(thread, &status, __WALL) < 0)
		if (errno != ECHILD || tries++ > 20000 || usleep(50))
			return -1;
	if (!WIFSTOPPED(status))
		t->gone = t->ended = true;
	if (!is_mark(t, status)) {
		errno = ESRCH;
		return -1;
	}
	return ptrace(PTRACE_SETOPTIONS, t->thread, NULL, (void *)(long)OPTIONS)
		       ? -1
		       : 0;
}

int
trace_follow_fork(struct tracee *t)
{
	struct tracee parent = *t;
	unsigned long child;
	int status;

	if (ptrace(PTRACE_SETOPTIONS, t->thread, NULL,
		    (void *)(long)(OPTIONS | PTRACE_O_TRACEFORK)) ||
		resume(&parent, PTRACE_CONT, &status) ||
		!is_event(status, PTRACE_EVENT_FORK) ||
		ptrace(PTRACE_GETEVENTMSG, t->thread, NULL, &child))
		return -1;
	t->thread = t->process = (pid_t)child;
	if (next_stop(t, &status) || t->gone ||
		ptrace(PTRACE_SETOPTIONS, t->thread, NULL,
			(void *)(long)OPTIONS))
		return -1;
	return ptrace(PTRACE_DETACH, parent.thread, NULL, NULL) ? -1 : 0;
}

/* ---- what a death leaves, apart from memory: the robust list ---- */

struct robust {
	uint64_t head; /* its address; 0: none */
	uint64_t entry[LIST_MAX];
	uint64_t end; /* what the last entry leads to: the head */
	uint64_t pending;
	int64_t offset;
	unsigned count;
};

static bool
peek(const struct tracee *t, uint64_t at, void *to, size_t size)
{
	struct iovec here = {to, size}, there = {(void *)at, size};

	return process_vm_readv(t->thread, &here, 1, &there, 1, 0) ==
	       (ssize_t)size;
}

/* As the kernel would walk it. */
static void
robust_read(const struct tracee *t, uint64_t head, struct robust *ret)
{
	uint64_t words[3], at;

	memset(ret, 0, sizeof *ret);
	ret->head = head;
	if (!head || !peek(t, head, words, sizeof words))
		return;
	ret->offset = (int64_t)words[1];
	ret->pending = words[2];
	for (at = words[0];
		(at & ~UINT64_C(1)) != head && ret->count < LIST_MAX;) {
		ret->entry[ret->count++] = at;
		if (!peek(t, at & ~UINT64_C(1), &at, sizeof at))
			return;
	}
	ret->end = at;
}

/* The same as last time? One system call says so, nearly always. */
static bool
robust_same(const struct tracee *t, const struct robust *last)
{
	uint64_t head[3], next[LIST_MAX];
	struct iovec here[LIST_MAX + 1] = {{head, sizeof head}};
	struct iovec there[LIST_MAX + 1] = {{(void *)last->head, sizeof head}};
	size_t size = sizeof head + 8 * (size_t)last->count;

	if (!last->head)
		return true;
	for (unsigned i = 0; i < last->count; i++) {
		here[i + 1] = (struct iovec){&next[i], 8};
		there[i + 1] = (struct iovec){
			(void *)(last->entry[i] & ~UINT64_C(1)), 8};
	}
	if (process_vm_readv(t->thread, here, last->count + 1, there,
		    last->count + 1, 0) != (ssize_t)size ||
		(int64_t)head[1] != last->offset || head[2] != last->pending)
		return false;
	for (unsigned i = 0; i < last->count; i++) {
		if ((i ? next[i - 1] : head[0]) != last->entry[i])
			return false;
	}
	return (last->count ? next[last->count - 1] : head[0]) == last->end;
}

static uint64_t
robust_head(const struct tracee *t)
{
	void *head = NULL;
	size_t size;

	return syscall(SYS_get_robust_list, t->thread, &head, &size)
		       ? 0
		       : (uint64_t)(uintptr_t)head;
}

/* ---- the survey ---- */

struct places { /* how often each address was reached */
	uint64_t rip[PLACES];
	uint32_t arrivals[PLACES];
};

static uint32_t *
arrivals_at(struct places *p, uint64_t rip)
{
	uint64_t i = rip * UINT64_C(0x9e3779b97f4a7c15) >> 47;

	while (p->rip[i] && p->rip[i] != rip)
		i = (i + 1) % PLACES;
	p->rip[i] = rip;
	return &p->arrivals[i];
}

static void
add_point(struct trace_survey *s, struct trace_point p)
{
	if (s->count < TRACE_POINTS_MAX)
		s->point[s->count++] = p;
}

struct surveyor {
	struct tracee *t;
	bool (*changed)(void *user, bool called);
	void *user;
	bool every;
	struct trace_survey *s;
	struct places *places;
	struct robust last;
	uint64_t rip;   /* now */
	uint32_t steps; /* rounds of the instruction there */
};

enum {
	OP_CALL = 0x050f, /* the two bytes of `syscall` */
	OP_MARK = 0xcc    /* the byte of `int3` */
};

static long
number_of(const struct tracee *t)
{
	return ptrace(PTRACE_PEEKUSER, t->thread,
		(void *)offsetof(struct user, regs.rax), NULL);
}

static void
note(struct surveyor *v, bool called)
{
	bool differs = called || !robust_same(v->t, &v->last);
	struct robust now;

	if (differs) {
		robust_read(
			v->t, called ? robust_head(v->t) : v->last.head, &now);
		differs = memcmp(&now, &v->last, sizeof now) != 0;
		v->last = now;
	}
	if (v->changed(v->user, called) || differs || v->every)
		add_point(v->s, (struct trace_point){.place = TRACE_AT,
					.nth = *arrivals_at(v->places, v->rip),
					.steps = v->steps,
					.rip = v->rip});
}

/* One instruction. */
static int
step(struct surveyor *v)
{
	long op = ptrace(PTRACE_PEEKTEXT, v->t->thread, (void *)v->rip, NULL);
	bool call = (op & 0xffff) == OP_CALL;
	long number = call ? number_of(v->t) : -1;
	uint64_t rip;
	int status;

	if ((op & 0xff) == OP_MARK) {
		v->t->ended = true;
		return 0;
	}
	if (call) {
		v->s->calls++;
		add_point(v->s, (struct trace_point){.place = TRACE_ENTRY,
					.nth = v->s->calls,
					.call = number});
	}
	if (resume(v->t, PTRACE_SINGLESTEP, &status))
		return -1;
	v->s->instructions++;
	if (call && !v->t->gone)
		add_point(v->s, (struct trace_point){.place = TRACE_EXIT,
					.nth = v->s->calls,
					.call = number});
	if (v->t->ended)
		return 0;
	rip = rip_of(v->t);
	v->steps = rip == v->rip ? v->steps + 1 : 0;
	v->rip = rip;
	if (!v->steps)
		++*arrivals_at(v->places, rip);
	note(v, call);
	return 0;
}

int
trace_survey(struct tracee *t, bool (*changed)(void *user, bool called),
	void *user, bool every, struct trace_survey *ret)
{
	struct surveyor v = {.t = t,
		.changed = changed,
		.user = user,
		.every = true,
		.s = ret,
		.places = calloc(1, sizeof *v.places)};
	int rc = v.places ? 0 : -1;

	ret->instructions = ret->calls = ret->count = 0;
	if (v.places) {
		v.rip = rip_of(t);
		*arrivals_at(v.places, v.rip) = 1;
		note(&v, true); /* the first point: before the call */
		v.every = every;
	}
	while (!rc && !t->ended) {
		rc = step(&v);
		if (!rc && ret->instructions > TRACE_CALL_MAX)
			rc = -1;
	}
	free(v.places);
	return rc;
}

/* ---- to a point ---- */

static int
watch(const struct tracee *t, uint64_t rip)
{
	return ptrace(PTRACE_POKEUSER, t->thread,
		       (void *)offsetof(struct user, u_debugreg[0]),
		       (void *)rip) ||
			       ptrace(PTRACE_POKEUSER, t->thread,
				       (void *)offsetof(
					       struct user, u_debugreg[7]),
				       (void *)(rip ? 1L : 0L))
		       ? -1
		       : 0;
}

static int
run_to_address(struct tracee *t, const struct trace_point *p)
{
	/* before its first instruction it is there once already; leave first */
	uint32_t nth = rip_of(t) == p->rip;
	int status;

	if (nth && nth < p->nth && resume(t, PTRACE_SINGLESTEP, &status))
		return -1;
	if (nth < p->nth && watch(t, p->rip))
		return -1;
	while (nth < p->nth) {
		if (resume(t, PTRACE_CONT, &status))
			return -1;
		if (t->ended)
			return 1;
		if (rip_of(t) == p->rip)
			nth++;
	}
	for (uint32_t i = 0; i < p->steps; i++)
		if (resume(t, PTRACE_SINGLESTEP, &status))
			return -1;
	return t->ended;
}

static int
run_to_stop(struct tracee *t, uint32_t nth, long number, bool entry)
{
	uint32_t calls = 0;
	bool inside = false;
	int status;

	for (;;) {
		if (resume(t, PTRACE_SYSCALL, &status))
			return -1;
		if (t->gone)
			return 1;
		if (is_event(status, PTRACE_EVENT_EXEC))
			continue; /* inside execve, which has an exit */
		if (t->ended)
			return 1;
		if (WSTOPSIG(status) != SYSCALL_STOP)
			continue;
		inside = !inside;
		calls += inside;
		if (number >= 0 && inside &&
			ptrace(PTRACE_PEEKUSER, t->thread,
				(void *)offsetof(struct user, regs.orig_rax),
				NULL) == number)
			return 0;
		if (calls == nth && inside == entry)
			return 0;
	}
}

int
trace_run_to(struct tracee *t, const struct trace_point *p)
{
	return p->place == TRACE_AT
		       ? run_to_address(t, p)
		       : run_to_stop(t, p->nth, -1, p->place == TRACE_ENTRY);
}

int
trace_run_to_call(struct tracee *t, long number)
{
	return run_to_stop(t, 0, number, true);
}

int
trace_kill(struct tracee *t)
{
	int status = 0, last = 0;

	kill(t->process, SIGKILL);
	while (!t->gone && waitpid(t->thread, &status, __WALL) == t->thread) {
		if (WIFSTOPPED(status))
			continue;
		t->gone = true;
		last = status;
	}
	if (t->thread != t->process || !last)
		if (waitpid(t->process, &last, __WALL) != t->process)
			return -1;
	return WIFSIGNALED(last) && WTERMSIG(last) == SIGKILL ? 0 : -1;
}
