/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The explorer from outside: who watches the code that may crash?
 *
 *	parent ──fork──▶ child: explores; writes where it stands into shared memory
 *	       ◀──end or silence──
 *	       a child that ended early, or shows no progress for ten seconds or so, has
 *	       failed at the place that it wrote down; another one is started behind
 *	       that place
 *
 * Invariant: whatever the code under test does to its own process, the parent
 * returns and says at which image it happened.
 */
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "explore/explorer.h"

enum {
	PATIENCE_MS = 30000,
	LOOKS = 40,      /* in that time */
	CHILDREN_MAX = 8 /* then the case is given up: it fails anyway */
};

static const char *const phase_names[] = {
	[STOAI_PHASE_SETUP] = "setup",
	[STOAI_PHASE_OP] = "op",
	[STOAI_PHASE_REFERENCE] = "undisturbed run",
	[STOAI_PHASE_RECOVER] = "recovery",
	[STOAI_PHASE_NESTED] = "inside recovery",
	[STOAI_PHASE_SURVIVOR] = "survivor first",
	[STOAI_PHASE_PAIRS] = "two dead",
	[STOAI_PHASE_INTERLEAVE] = "interleaved",
};

static const char *
file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "libstoa.so.0+0x1234", which addr2line understands, or "function (...)". */
static void
code_text(char *buf, size_t size, uintptr_t at)
{
	Dl_info info;
	void *p;

	memcpy(&p, &at, sizeof p);
	if (!at || !dladdr(p, &info) || !info.dli_fname)
		snprintf(buf, size, "%#lx", (unsigned long)at);
	else
		snprintf(buf, size, "%s (%s+%#lx)",
			info.dli_sname ? info.dli_sname : "?",
			file_name(info.dli_fname),
			(unsigned long)(at - (uintptr_t)info.dli_fbase));
}

static const char *
other_name(const stoa_explore_case *c, uint32_t other)
{
	return other < c->other_count && c->others[other].name
		       ? c->others[other].name
		       : "nobody";
}

static const char *
actor_name(const stoa_explore_case *c, uint32_t other)
{
	return other == UINT32_MAX ? "op" : other_name(c, other);
}

/* "behind store 12", as stoai_step_until counts. */
static void
stop_text(char *buf, size_t size, const char *before, uint64_t stop)
{
	snprintf(buf, size, "%s%s store %llu", before,
		stop % 2 ? "before" : "behind",
		(unsigned long long)(stop + 1) / 2);
}

/* "interleaved, op up to behind store 12 (f (...)), then free and link" */
static void
meeting_text(const stoa_explore_case *c, const struct stoai_place *p, char *buf,
	size_t size)
{
	char at[96], stop[40], more[64] = "";

	code_text(at, sizeof at, p->at);
	stop_text(stop, sizeof stop, "", p->step);
	if (p->other_stop)
		stop_text(more, sizeof more, " up to ", p->other_stop);
	else if (p->dies)
		stop_text(more, sizeof more, ", the first killed ",
			p->step + p->dies - 1);
	snprintf(buf, size, "%s, %s up to %s (%s), then %s%s",
		phase_names[p->phase], actor_name(c, p->other), stop, at,
		actor_name(c, p->then), more);
}

/* "recovery of image 12 (op +340, behind tx_commit (libstoa.so+0x99))" */
static void
place_text(const stoa_explore_case *c, const struct stoai_place *p, char *buf,
	size_t size)
{
	char at[96];
	int n;

	if (p->phase < STOAI_PHASE_RECOVER) {
		snprintf(buf, size, "%s", phase_names[p->phase]);
		return;
	}
	if (p->phase == STOAI_PHASE_INTERLEAVE) {
		meeting_text(c, p, buf, size);
		return;
	}
	code_text(at, sizeof at, p->at);
	n = snprintf(buf, size, "%s, image %u (op +%llu, behind %s)",
		phase_names[p->phase], p->image, (unsigned long long)p->step,
		at);
	if (p->other != UINT32_MAX && n > 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, ", %s",
			other_name(c, p->other));
	if (p->inner != UINT32_MAX && n > 0 && (size_t)n < size) {
		code_text(at, sizeof at, p->inner_at);
		n += snprintf(buf + n, size - (size_t)n,
			", inner image %u (behind %s)", p->inner, at);
	}
	if (p->order != UINT32_MAX && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n,
			", %s recovered first, %s between",
			p->inner == UINT32_MAX ? "one of setup's threads"
			: p->order             ? "the second"
					       : "the first",
			other_name(c, p->then));
}

void
stoai_explore_fail(const stoa_explore_case *c,
	struct stoai_explore_shared *shared, const char *format, ...)
{
	char where[400], what[500];
	char *to = shared->reports < STOAI_REPORTS_MAX
			   ? shared->report[shared->reports++]
			   : NULL;
	va_list args;

	shared->result.failures++;
	if (!to)
		return;
	place_text(c, &shared->place, where, sizeof where);
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(to, STOAI_REPORT_SIZE, "%.80s: %s: %s", c->name, where, what);
}

static void
child(const stoa_explore_case *c, unsigned flags,
	struct stoai_explore_shared *shared)
{
	static struct stoai_explorer x; /* large; one a process */

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	x.c = c;
	x.flags = flags;
	x.shared = shared;
	shared->rc = stoai_explore_child(&x);
	if (shared->rc)
		snprintf(shared->error, sizeof shared->error, "%s",
			stoa_error_text());
	shared->done = 1;
	_exit(0);
}

/* Until the child has ended; true: it was silent for too long, and killed. */
static bool
watch(struct stoai_explore_shared *shared, pid_t pid, int end,
	unsigned patience_ms)
{
	unsigned look_ms = patience_ms / LOOKS + 1;
	struct pollfd wait = {.fd = end, .events = POLLIN};
	uint64_t beat = 0;
	unsigned silence = 0;

	while (poll(&wait, 1, (int)look_ms) <= 0) {
		uint64_t now = a64_load_relaxed(&shared->watch.beat);

		silence = now == beat ? silence + look_ms : 0;
		beat = now;
		if (silence >= patience_ms) {
			(void)kill(pid, SIGKILL);
			return true;
		}
	}
	return false;
}

/* One child: 1: it did all of it, or all is over; 0: it died and that is noted. */
static int
explore_once(const stoa_explore_case *c, unsigned flags,
	struct stoai_explore_shared *shared)
{
	int ends[2], status = 0;
	bool silent;
	pid_t pid;

	if (pipe(ends))
		return stoai_explore_error(-errno, "%s: no pipe", c->name);
	memset(&shared->watch, 0, sizeof shared->watch);
	memset(&shared->place, 0, sizeof shared->place);
	shared->unit = shared->resume;
	pid = fork();
	if (!pid) {
		close(ends[0]);
		child(c, flags, shared);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return stoai_explore_error(
			-errno, "%s: no child process", c->name);
	}
	silent = watch(shared, pid, ends[0],
		c->patience_ms ? c->patience_ms : PATIENCE_MS);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (shared->done)
		return 1;
	if (silent)
		stoai_explore_fail(c, shared, "%s hangs",
			shared->place.doing ? shared->place.doing : "?");
	else if (WIFSIGNALED(status)) {
		char at[96];

		code_text(at, sizeof at, shared->watch.fault_at);
		stoai_explore_fail(c, shared,
			"%s crashed: %s, at %s, address "
			"%#lx",
			shared->place.doing ? shared->place.doing : "?",
			sigdescr_np(WTERMSIG(status)), at,
			(unsigned long)shared->watch.fault_on);
	} else
		stoai_explore_fail(c, shared, "the process ended (%d)",
			WEXITSTATUS(status));
	/* without a unit of work it would happen again */
	if (shared->place.phase < STOAI_PHASE_RECOVER)
		return 1;
	shared->resume = shared->unit;
	return 0;
}

static int
explore(const stoa_explore_case *c, unsigned flags,
	struct stoai_explore_shared *shared)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < CHILDREN_MAX; i++)
		rc = explore_once(c, flags, shared);
	if (rc < 0)
		return rc;
	if (shared->done && shared->rc)
		return stoai_explore_error(
			shared->rc, "%s: %s", c->name, shared->error);
	return 0;
}

int
stoa_explore_run(
	const stoa_explore_case *c, unsigned flags, stoa_explore_result *ret)
{
	struct stoai_explore_shared *shared;
	int rc;

	if (!c || !ret || !c->name || !c->setup || !c->op ||
		(c->other_count && !c->others) ||
		c->other_count > STOAI_OTHERS_MAX)
		return stoai_explore_error(-EINVAL,
			"stoa_explore_run: a case has a name, setup, op and at "
			"most %d others",
			STOAI_OTHERS_MAX);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return stoai_explore_error(
			-errno, "%s: no shared memory", c->name);
	rc = explore(c, flags, shared);
	*ret = shared->result;
	if (shared->reports)
		memcpy(ret->text, shared->report[0], sizeof ret->text);
	for (uint32_t i = 0; c->report && i < shared->reports; i++)
		c->report(c->user, shared->report[i]);
	(void)munmap(shared, sizeof *shared);
	return rc;
}
