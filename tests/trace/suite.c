/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Runs the cases of one program: each case and mode in a process of its own, more
 * at a time than there are processors, since some deaths are found by a tick that
 * everybody sleeps through.
 */
#include "suite.h"
#include <sched.h>
#include <sys/mman.h>

enum {
	CASES_MAX = 64
};

static const struct trace_mode modes[] = {
	{"", 0, false},
	{"twins", 0, true},
	{"no tokens", STOA_WITHOUT_TOKENS, false},
	{"no tokens, twins", STOA_WITHOUT_TOKENS, true},
	{"no waitv", STOA_WITHOUT_WAITV, false},
	{"no waitv, twins", STOA_WITHOUT_WAITV, true},
	{"neither", STOA_WITHOUT_TOKENS | STOA_WITHOUT_WAITV, false},
	{"neither, twins", STOA_WITHOUT_TOKENS | STOA_WITHOUT_WAITV, true},
};

enum {
	MODES = sizeof modes / sizeof modes[0],
	MODES_SHORT = 4
};

struct request {
	struct trace_settings settings;
	const char *part, *mode;
	bool all, list;
	unsigned at_a_time;
};

struct job {
	const struct trace_case *c;
	const struct trace_mode *mode;
	struct outcome *o;
	pid_t pid;
};

static bool
namespaces_allowed(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWPID) != 0);
	return waitpid(pid, &status, 0) == pid && !status;
}

static bool
passed(const struct outcome *o)
{
	return o->done && !o->error[0] && !o->failures && o->killed;
}

static void
print_job(const struct job *j)
{
	const struct outcome *o = j->o;

	printf("%-30s| %-17s| %7llu | %6u | %5u | %6u | %5u | %5u | %5.1f s\n",
		j->c->name, j->mode->name, (unsigned long long)o->instructions,
		o->points, o->calls, o->killed, o->stall_ms, o->failures,
		o->seconds);
	if (!o->done)
		printf("\t%s: the process that killed it ended\n", j->c->name);
	if (o->error[0])
		printf("\t%s: not run: %s\n", j->c->name, o->error);
	for (unsigned i = 0; i < o->failures; i++)
		printf("\t%s\n", o->text[i]);
	fflush(stdout);
}

static void
job_start(struct job *j, const struct trace_settings *settings)
{
	fflush(stdout);
	j->pid = fork();
	if (!j->pid) {
		uint64_t from = ms_now();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stage_run(j->c, j->mode, settings, j->o);
		j->o->seconds = (double)(ms_now() - from) / 1000;
		_exit(0);
	}
}

/* Returns how many failed. */
static unsigned
run_jobs(struct job *jobs, unsigned count, const struct request *r)
{
	unsigned started = 0, printed = 0, running = 0, bad = 0;

	while (printed < count) {
		pid_t pid;

		while (started < count && running < r->at_a_time) {
			job_start(&jobs[started++], &r->settings);
			running++;
		}
		pid = waitpid(-1, NULL, 0);
		for (unsigned i = 0; i < started; i++)
			if (jobs[i].pid == pid) {
				jobs[i].pid = 0;
				running--;
			}
		while (printed < started && !jobs[printed].pid) {
			bad += !passed(jobs[printed].o);
			print_job(&jobs[printed++]);
		}
	}
	return bad;
}

/*
 * Repeated string instructions trap behind each byte when they are stepped. libc
 * chooses wide stores instead, if it is told so before it starts.
 */
static void
without_string_instructions(char **argv)
{
	static const char tunables[] =
		"glibc.cpu.x86_rep_movsb_threshold=1000000:"
		"glibc.cpu.x86_rep_stosb_threshold=1000000";

	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", tunables, 1);
	execv("/proc/self/exe", argv);
}

static int
arguments(struct request *r, int argc, char **argv)
{
	r->settings.only = -1;
	r->at_a_time = 3 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--every"))
			r->settings.every = true;
		else if (!strcmp(argv[i], "--all"))
			r->all = true;
		else if (!strcmp(argv[i], "-l"))
			r->list = true;
		else if (!strcmp(argv[i], "--mode") && i + 1 < argc)
			r->mode = argv[++i];
		else if (!strcmp(argv[i], "--point") && i + 1 < argc)
			r->settings.only = atol(argv[++i]);
		else if (!strcmp(argv[i], "-j") && i + 1 < argc)
			r->at_a_time = (unsigned)atoi(argv[++i]);
		else if (argv[i][0] != '-')
			r->part = argv[i];
		else
			return fprintf(
				stderr, "%s: what is %s?\n", argv[0], argv[i]);
	}
	return r->at_a_time ? 0 : 1;
}

static unsigned
select_jobs(const struct request *r, const struct trace_case *cases,
	size_t count, struct job *jobs)
{
	bool twins = namespaces_allowed();
	unsigned n = 0;

	for (size_t c = 0; c < count; c++)
		for (size_t m = 0; m < MODES; m++) {
			if ((r->part && !strstr(cases[c].name, r->part)) ||
				(r->mode ? strcmp(modes[m].name, r->mode) != 0
					 : !r->all && m >= MODES_SHORT) ||
				(modes[m].twins && !twins))
				continue;
			jobs[n++] =
				(struct job){.c = &cases[c], .mode = &modes[m]};
		}
	if (!twins)
		printf("SKIPPED: namespaces with equal TIDs: making a PID "
		       "namespace is not allowed here\n");
	return n;
}

int
suite_main(const char *suite, const struct trace_case *cases, size_t count,
	int argc, char **argv)
{
	static struct job jobs[CASES_MAX * MODES];
	struct request r = {0};
	struct outcome *outcomes;
	uint64_t from = ms_now();
	unsigned n, bad;

	if (argc == 2 && !strcmp(argv[1], "--idle")) /* executed by a victim */
		for (;;)
			pause();
	without_string_instructions(argv);
	if (arguments(&r, argc, argv) || count > CASES_MAX)
		return 2;
	if (r.list) {
		for (size_t c = 0; c < count; c++)
			puts(cases[c].name);
		return 0;
	}
	n = select_jobs(&r, cases, count, jobs);
	outcomes = mmap(NULL, sizeof *outcomes * (n + 1),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED || !n) {
		fprintf(stderr, "%s: no case is called that\n", suite);
		return 2;
	}
	for (unsigned i = 0; i < n; i++)
		jobs[i].o = &outcomes[i];
	printf("%-30s| %-17s|  instr. | points | calls | killed | stall | "
	       "fail. |\n",
		"call", "mode");
	bad = run_jobs(jobs, n, &r);
	printf("%s: %u passed, %u failed, %.1f s\n", suite, n - bad, bad,
		(double)(ms_now() - from) / 1000);
	return bad != 0;
}
