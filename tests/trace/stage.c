/* SPDX-License-Identifier: BSL-1.0 */
/*
 * One case: the call is surveyed once, then killed at every point that the survey
 * found, each time on a fresh copy of the segment and among fresh actors.
 *
 *	set      copy, survivor, newcomer, sleeper, victim up to its call, corpse
 *	run      the victim, to the point
 *	arrive   the newcomer attaches while the victim stands there
 *	kill
 *	strike   everybody goes on, one after the other, and is judged
 */
#include "stage.h"
#include "image.h"
#include "segment/explore.h"
#include <dirent.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

enum {
	STAGE_SECONDS = 30, /* what hangs is a failure */
	FAILURES_MAX = 4,
	TRIES = 8, /* until the call comes by the point */
	WAKE_MAX_MS = 1500
};

static int own_namespace = -1;

/* ---- the stage ---- */

struct company {
	struct play *p;
	struct peer survivor, newcomer, sleeper, victim;
	struct tracee tracee;
};

static struct {
	struct play *p;
	int (*body)(struct play *p);
} role;

static int
play_role(struct peer *me, void *user)
{
	(void)user;
	signal(SIGALRM, SIG_DFL);
	role.p->me = me;
	return role.body(role.p);
}

/* As pid 1 of a namespace of its own, in modes that want it. */
static int
actor_start(struct play *p, int (*body)(struct play *p), struct peer *ret)
{
	role.p = p;
	role.body = body;
	if (p->mode->twins && unshare(CLONE_NEWPID))
		return board_fail(p, "no namespace: %s", strerror(errno));
	*ret = peer_start(play_role, NULL);
	if (p->mode->twins && setns(own_namespace, CLONE_NEWPID))
		return board_fail(p, "setns: %s", strerror(errno));
	return 0;
}

static int
expect(struct play *p, struct peer *who, char letter, const char *whom)
{
	if (hear(who) == letter)
		return 0;
	return board_fail(p, "the %s did not come to '%c'", whom, letter);
}

static int
ask(struct play *p, struct peer *who, char order, char answer, const char *whom)
{
	return tell(who, order) ? expect(p, who, answer, whom)
				: board_fail(p, "the %s has gone", whom);
}

static void
forget(struct peer *who)
{
	if (who->in)
		peer_forget(who);
	memset(who, 0, sizeof *who);
}

/* It must end by itself, well. */
static int
ends(struct play *p, struct peer *who, const char *whom)
{
	int status = -1;

	if (waitpid(who->pid, &status, 0) < 0) { /* the alarm */
		kill(who->pid, SIGKILL);
		waitpid(who->pid, NULL, 0);
	}
	forget(who);
	return status ? board_fail(
				p, "the %s ended with status %#x", whom, status)
		      : 0;
}

static void
robust_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
}

/* The kernel has told that its owner died. */
static int
orphaned(struct play *p, pthread_mutex_t *m, const char *whose)
{
	int rc = pthread_mutex_trylock(m);

	if (rc != EOWNERDEAD)
		return board_fail(p, "A5: %s robust mutex: %s", whose,
			rc ? strerror(rc) : "nobody had it");
	pthread_mutex_consistent(m);
	pthread_mutex_unlock(m);
	return 0;
}

/* The survivor ended attached, and its list was whole. */
static int
token_is_marked(struct play *p)
{
	uint32_t token = 0;

	if (p->mode->without & STOA_WITHOUT_TOKENS)
		return 0;
	if (pread(p->shared, &token, sizeof token, p->board->token) !=
			(ssize_t)sizeof token ||
		!stoai_token_dead(token))
		return board_fail(p,
			"A5: the kernel did not mark the survivor: %#x", token);
	return 0;
}

static void
board_clear(struct board *b)
{
	memset(b, 0, sizeof *b);
	robust_init(&b->victim.before);
	robust_init(&b->victim.after);
	robust_init(&b->survivor.before);
	robust_init(&b->survivor.after);
}

/* Asleep, and stopped there: its own ticks shall not do others' work. */
static int
put_to_sleep(struct play *p, struct peer *who)
{
	char path[64], line[256];
	int status;

	snprintf(path, sizeof path, "/proc/%d/stat", who->pid);
	for (int i = 0; i < 2000; i++) {
		FILE *f = fopen(path, "re");
		char *state = f && fgets(line, sizeof line, f)
				      ? strrchr(line, ')')
				      : NULL;

		if (f)
			fclose(f);
		if (state && state[2] == 'S') {
			kill(who->pid, SIGSTOP);
			return waitpid(who->pid, &status, WUNTRACED) ==
						       who->pid &&
					       WIFSTOPPED(status)
				       ? 0
				       : -1;
		}
		usleep(100);
	}
	return board_fail(p, "the sleeper does not sleep");
}

/* The one thread of it that is not its leader, as we number it. */
static pid_t
thread_of(pid_t process)
{
	char path[64];
	struct dirent *e;
	pid_t thread = process;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", process);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (atoi(e->d_name) > 0 && atoi(e->d_name) != process)
			thread = atoi(e->d_name);
	if (dir)
		closedir(dir);
	return thread;
}

static int
corpse_lay(struct play *p)
{
	struct peer corpse;
	struct tracee t;

	if (actor_start(p, actor_corpse, &corpse))
		return -1;
	if (p->c->flags & CASE_OWED) {
		if (trace_begin(&t, corpse.pid, corpse.pid) ||
			trace_run_to_call(&t, SYS_futex) || trace_kill(&t))
			return board_fail(p, "corpse: no wake-up came");
		forget(&corpse);
		return 0;
	}
	if (expect(p, &corpse, 'd', "corpse"))
		return -1;
	kill(corpse.pid, SIGKILL);
	waitpid(corpse.pid, NULL, 0);
	forget(&corpse);
	return 0;
}

static int
others_set(struct company *c)
{
	struct play *p = c->p;

	if (actor_start(p, actor_survivor, &c->survivor) ||
		expect(p, &c->survivor, 'r', "survivor"))
		return -1;
	if (p->mode->twins && (actor_start(p, actor_newcomer, &c->newcomer) ||
				      expect(p, &c->newcomer, 'r', "newcomer")))
		return -1;
	if (p->c->flags & (CASE_OWED | CASE_SIGNALS))
		return actor_start(p, actor_sleeper, &c->sleeper) ||
				       expect(p, &c->sleeper, 'r', "sleeper") ||
				       put_to_sleep(p, &c->sleeper)
			       ? -1
			       : 0;
	return 0;
}

/* Up to the first instruction of the call. */
static int
stage_set(struct company *c, const struct image *image)
{
	struct play *p = c->p;
	pid_t thread;

	board_clear(p->board);
	if (image_put(image, p->path, &p->shared))
		return board_fail(p, "the image: %s", strerror(errno));
	if (others_set(c) || actor_start(p, actor_victim, &c->victim) ||
		expect(p, &c->victim, 'p', "victim"))
		return -1;
	if (p->c->flags & (CASE_CORPSE | CASE_OWED) && corpse_lay(p))
		return -1;
	thread = p->c->flags & CASE_THREAD ? thread_of(c->victim.pid)
					   : c->victim.pid;
	if (!tell(&c->victim, 'g') ||
		trace_begin(&c->tracee, c->victim.pid, thread) ||
		(p->c->flags & CASE_CHILD && trace_follow_fork(&c->tracee)))
		return board_fail(
			p, "the call does not begin: %s", strerror(errno));
	c->tracee.executes = p->c->flags & CASE_EXEC;
	return 0;
}

/* Whoever is left, whatever it does. */
static void
stage_clear(struct company *c)
{
	struct peer *all[] = {
		&c->survivor, &c->newcomer, &c->sleeper, &c->victim};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (!all[i]->pid)
			continue;
		kill(all[i]->pid, SIGKILL);
		if (all[i] == &c->victim && c->tracee.process)
			(void)trace_kill(&c->tracee);
		while (waitpid(all[i]->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		forget(all[i]);
	if (c->p->shared >= 0)
		close(c->p->shared);
	c->p->shared = -1;
}

/* The other one of parent and child: it lives and goes on. */
static int
relative_goes_on(struct company *c)
{
	bool child = c->p->c->flags & CASE_CHILD;
	uint64_t from = ms_now();
	char letter;

	/* a child that was never made, or that its namespace took along, is silent */
	letter = tell(&c->victim, 'c') ? hear(&c->victim) : 0;
	if (letter != 'k' && (child || letter || ms_now() - from >= HEAR_MS))
		return board_fail(c->p, "the %s of the dead did not go on",
			child ? "parent" : "child");
	return child ? ends(c->p, &c->victim, "parent of the dead") : 0;
}

static int
sleeper_wakes(struct company *c)
{
	uint64_t from = ms_now();
	unsigned took;

	kill(c->sleeper.pid, SIGCONT);
	if (expect(c->p, &c->sleeper, 'w', "sleeper"))
		return -1;
	took = (unsigned)(ms_now() - from);
	if (took > c->p->board->stall_ms)
		c->p->board->stall_ms = took;
	if (took > WAKE_MAX_MS)
		return board_fail(c->p, "A6: the sleeper slept %u ms", took);
	return ends(c->p, &c->sleeper, "sleeper");
}

static int
opener_goes_on(struct play *p)
{
	struct peer opener;

	role.p = p;
	role.body = actor_opener;
	opener = peer_start(play_role, NULL);
	return ends(p, &opener, "opener");
}

/* Everybody goes on. */
static int
stage_judge(struct company *c)
{
	struct play *p = c->p;

	if (ask(p, &c->survivor, 'v', 'i', "survivor") ||
		(c->newcomer.pid &&
			ask(p, &c->newcomer, 'v', 'i', "newcomer")) ||
		(p->c->flags & CASE_CHILD && relative_goes_on(c)) ||
		opener_goes_on(p) ||
		(p->c->flags & CASE_PARENT && relative_goes_on(c)) ||
		(c->sleeper.pid && sleeper_wakes(c)))
		return -1;
	if (c->newcomer.pid &&
		(!tell(&c->newcomer, 'c') || ends(p, &c->newcomer, "newcomer")))
		return -1;
	if (!tell(&c->survivor, 'c') || ends(p, &c->survivor, "survivor"))
		return -1;
	return orphaned(
		       p, &p->board->survivor.before, "the survivor's first") ||
			       orphaned(p, &p->board->survivor.after,
				       "the survivor's second") ||
			       token_is_marked(p)
		       ? -1
		       : 0;
}

/* The kernel marks nothing for a thread that has got another number by exec. */
static bool
victims_mutexes_tell(const struct company *c)
{
	unsigned flags = c->p->c->flags;

	return !(flags & CASE_CHILD) &&
	       !(c->tracee.executes && flags & CASE_THREAD &&
		       c->tracee.thread == c->tracee.process);
}

/* A program that was executed lives on while everybody is judged. */
static int
stage_strike(struct company *c)
{
	struct play *p = c->p;
	bool lives = c->tracee.executes && c->tracee.ended;

	p->board->dead = lives + !!(p->c->flags & (CASE_CORPSE | CASE_OWED));
	if (c->newcomer.pid && ask(p, &c->newcomer, 'g', 'n', "newcomer"))
		return -1;
	if (lives ? ptrace(PTRACE_DETACH, c->tracee.thread, NULL, NULL)
		  : trace_kill(&c->tracee))
		return board_fail(p, "the victim was not killed");
	if (!lives && !(p->c->flags & CASE_CHILD))
		c->victim.pid = 0; /* gone; its pipes are its child's */
	if (victims_mutexes_tell(c) &&
		(orphaned(p, &p->board->victim.before, "the victim's first") ||
			orphaned(p, &p->board->victim.after,
				"the victim's second")))
		return -1;
	return stage_judge(c);
}

/* ---- all points ---- */

static volatile sig_atomic_t late;

static void
on_alarm(int signal_number)
{
	(void)signal_number;
	late = 1;
}

struct run {
	struct play p;
	struct image *image;
	struct trace_survey *survey;
	const struct trace_settings *settings;
	struct outcome *o;
	struct views views;
};

static const char *const place_text[] = {"at", "entry of", "exit of"};

static void
failed(struct run *r, uint32_t i)
{
	const struct trace_point *p = &r->survey->point[i];
	char where[80];

	r->o->failures++;
	if (p->place == TRACE_AT)
		snprintf(where, sizeof where, "at %#llx, arrival %u+%u",
			(unsigned long long)p->rip, p->nth, p->steps);
	else
		snprintf(where, sizeof where, "%s system call %u (%ld)",
			place_text[p->place], p->nth, p->call);
	snprintf(r->o->text[r->o->failures - 1], sizeof r->o->text[0],
		"point %u, %s: %s%s", i, where,
		r->p.board->failed ? r->p.board->text : "not come by again",
		late ? " (it hung)" : "");
}

/* 0: done; 1: the call did not come by the point; -1: a failure. */
static int
kill_at(struct run *r, const struct trace_point *point)
{
	struct company c = {.p = &r->p};
	int rc;

	late = 0;
	alarm(STAGE_SECONDS);
	rc = stage_set(&c, r->image);
	if (!rc)
		rc = trace_run_to(&c.tracee, point);
	if (rc < 0)
		board_fail(&r->p, "the point was not reached: %s",
			strerror(errno));
	if (!rc || (rc > 0 && c.tracee.executes))
		rc = stage_strike(&c);
	alarm(0);
	stage_clear(&c);
	return rc;
}

/*
 * Random bytes (a new segment's seed, a temporary name) make a loop shorter than it
 * was in the survey: then an arrival earlier will do.
 */
static int
kill_near(struct run *r, uint32_t i)
{
	struct trace_point p = r->survey->point[i];
	int rc = 1;

	for (int n = 0; n < TRIES && rc == 1; n++) {
		rc = kill_at(r, &p);
		if (n && p.place == TRACE_AT && p.nth > 1)
			p.nth--;
	}
	return rc;
}

static int
survey(struct run *r)
{
	struct company c = {.p = &r->p};
	struct views *v = &r->views;
	int rc;

	views_open(v, r->p.path);
	late = 0;
	alarm(4 * STAGE_SECONDS);
	rc = stage_set(&c, r->image);
	if (!rc && (trace_survey(&c.tracee, views_changed, v,
			    r->settings->every, r->survey) ||
			   r->p.board->failed))
		rc = board_fail(
			&r->p, "the survey failed: %s", strerror(errno));
	alarm(0);
	stage_clear(&c);
	views_close(v);
	r->o->instructions = r->survey->instructions;
	r->o->points = r->survey->count;
	r->o->calls = r->survey->calls;
	return rc;
}

static void
kill_everywhere(struct run *r)
{
	/* a call that is broken need not be killed everywhere */
	for (uint32_t i = 0;
		i < r->survey->count && r->o->failures < FAILURES_MAX; i++) {
		int rc;

		if (r->settings->only >= 0 && r->settings->only != (long)i)
			continue;
		rc = kill_near(r, i);
		r->o->killed += rc == 0;
		if (r->p.board->stall_ms > r->o->stall_ms)
			r->o->stall_ms = r->p.board->stall_ms;
		if (rc)
			failed(r, i);
	}
}

/*
 * Victims inherit this process's heap: let it be as long in the survey as behind
 * it, or malloc would make a system call in the one and not in the others.
 */
static void
heap_settle(void)
{
	enum {
		PIECES = 4, /* more than what the heap has at first */
		PIECE = 100 << 10
	};
	char *volatile piece[PIECES];

	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, 1 << 20);
	for (int i = 0; i < PIECES; i++)
		piece[i] = malloc(PIECE);
	for (int i = 0; i < PIECES; i++)
		free(piece[i]);
}

static int
directory_make(struct play *p)
{
	bool file = p->c->flags & CASE_FILE;

	snprintf(p->directory, sizeof p->directory, "%s/stoa-trace-XXXXXX",
		file ? "/var/tmp" : "/dev/shm");
	if (!mkdtemp(p->directory) || setenv("STOA_DIRECTORY", p->directory, 1))
		return -1;
	unsetenv("STOA_DOMAIN");
	snprintf(p->path, sizeof p->path, "%s%s/stage", p->directory,
		file ? "" : "/default");
	return 0;
}

static void
directory_remove(const struct play *p)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf '%s'", p->directory);
	if (system(command))
		fprintf(stderr, "%s remains\n", p->directory);
}

void
stage_run(const struct trace_case *c, const struct trace_mode *mode,
	const struct trace_settings *settings, struct outcome *ret)
{
	struct run r = {.p = {.c = c, .mode = mode, .shared = -1},
		.settings = settings,
		.o = ret,
		.survey = malloc(sizeof *r.survey)};
	struct sigaction alarmed = {.sa_handler = on_alarm};

	heap_settle();
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGALRM, &alarmed, NULL); /* no SA_RESTART: waits end */
	own_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	r.p.board = mmap(NULL, sizeof *r.p.board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!r.survey || r.p.board == MAP_FAILED || directory_make(&r.p)) {
		snprintf(ret->error, sizeof ret->error, "no stage: %s",
			strerror(errno));
		return;
	}
	r.image = image_make(&r.p);
	if (!r.image || survey(&r))
		snprintf(ret->error, sizeof ret->error, "%s", r.p.board->text);
	else
		kill_everywhere(&r);
	image_free(r.image);
	free(r.survey);
	directory_remove(&r.p);
	ret->done = true;
}
