/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Runs the cases of one crash suite: each in a process of its own, as many at a
 * time as there are processors, results printed in the order of the table.
 */
#include "crash.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CASES_MAX = 256,
	TEXTS_MAX = 4
};

struct outcome { /* shared with the process that explores */
	int rc;
	bool wanted, started, done;
	pid_t pid;
	double seconds;
	stoa_explore_result result;
	unsigned texts;
	char text[TEXTS_MAX][1024];
	char error[256];
};

static struct outcome *outcomes;
static struct outcome *mine; /* in the process that explores */

static void
report(void *user, const char *text)
{
	(void)user;
	if (mine->texts < TEXTS_MAX)
		snprintf(mine->text[mine->texts++], sizeof mine->text[0], "%s",
			text);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
run_one(const struct crash_case *c, unsigned flags, struct outcome *o)
{
	stoa_explore_case explore = c->explore;
	double began = now();

	mine = o;
	explore.report = report;
	o->rc = stoa_explore_run(&explore, c->flags | flags, &o->result);
	if (o->rc)
		snprintf(o->error, sizeof o->error, "%s", stoa_error_text());
	o->seconds = now() - began;
	o->done = true;
}

static bool
passed(const struct outcome *o)
{
	return o->done && !o->rc && !o->result.failures;
}

static void
print_one(const struct crash_case *c, const struct outcome *o)
{
	const stoa_explore_result *r = &o->result;

	printf("%-34s| %6llu | %6llu | %8llu | %8llu | %7llu | %11llu | %8llu "
	       "| "
	       "%5.1f s\n",
		c->explore.name, (unsigned long long)r->instructions,
		(unsigned long long)r->images,
		(unsigned long long)r->recovery_images,
		(unsigned long long)r->survivor_runs,
		(unsigned long long)r->pairs,
		(unsigned long long)r->interleaved,
		(unsigned long long)r->failures, o->seconds);
	if (!o->done)
		printf("\t%s: the process that explored it ended\n",
			c->explore.name);
	if (o->rc)
		printf("\t%s: not explored: %d: %s\n", c->explore.name, o->rc,
			o->error);
	for (unsigned i = 0; i < o->texts; i++)
		printf("\t%s\n", o->text[i]);
	fflush(stdout);
}

/* Start the next one; false: there is none. */
static bool
start(const struct crash_case *cases, size_t count, unsigned flags)
{
	for (size_t i = 0; i < count; i++) {
		struct outcome *o = &outcomes[i];
		pid_t pid;

		if (!o->wanted || o->started)
			continue;
		o->started = true;
		fflush(stdout);
		pid = fork();
		if (!pid) {
			run_one(&cases[i], flags, o);
			_exit(0);
		}
		o->pid = pid;
		return true;
	}
	return false;
}

static void
run_all(const struct crash_case *cases, size_t count, unsigned flags, long jobs)
{
	size_t printed = 0;
	long running = 0;

	while (running < jobs && start(cases, count, flags))
		running++;
	while (running) {
		pid_t pid = waitpid(-1, NULL, 0);

		for (size_t i = 0; i < count; i++)
			if (outcomes[i].pid == pid)
				outcomes[i].pid = -1;
		if (!start(cases, count, flags))
			running--;
		for (; printed < count && (!outcomes[printed].wanted ||
						  outcomes[printed].pid == -1);
			printed++)
			if (outcomes[printed].wanted)
				print_one(&cases[printed], &outcomes[printed]);
	}
}

static int
sum_up(const char *suite, size_t count)
{
	unsigned good = 0, bad = 0;

	for (size_t i = 0; i < count; i++)
		if (outcomes[i].wanted && passed(&outcomes[i]))
			good++;
		else if (outcomes[i].wanted)
			bad++;
	printf("crash/%s: %u passed, %u failed\n", suite, good, bad);
	return bad || !good;
}

int
crash_main(const char *suite, const struct crash_case *cases, size_t count,
	int argc, char **argv)
{
	/*
	 * Copies by wide stores: a repeated string instruction leaves an image
	 * behind each byte, thousands of them, of which none is any different.
	 */
	static const char tunables[] =
		"glibc.cpu.x86_rep_movsb_threshold=1000000:"
		"glibc.cpu.x86_rep_stosb_threshold=1000000";
	long jobs = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned flags = 0;
	bool list = false;
	int option;

	if (!getenv("GLIBC_TUNABLES") && !setenv("GLIBC_TUNABLES", tunables, 1))
		(void)execv("/proc/self/exe", argv);
	while ((option = getopt(argc, argv, "qaslj:")) != -1)
		switch (option) {
		case 'q':
			flags |= STOA_EXPLORE_SAMPLE;
			break;
		case 'a':
			flags |= STOA_EXPLORE_ALL_PAIRS;
			break;
		case 's':
			flags |= STOA_EXPLORE_STEP_ALL;
			break;
		case 'l':
			list = true;
			break;
		case 'j':
			jobs = strtol(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	outcomes = mmap(NULL, CASES_MAX * sizeof *outcomes,
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED || count > CASES_MAX)
		return 2;
	for (size_t i = 0; i < count; i++) {
		outcomes[i].wanted =
			optind >= argc ||
			strstr(cases[i].explore.name, argv[optind]);
		if (list)
			printf("%s: %s\n", cases[i].explore.name,
				cases[i].covers);
	}
	if (list)
		return 0;
	printf("%-34s| %6s | %6s | %8s | %8s | %7s | %11s | %8s |\n", "call",
		"steps", "images", "inside", "survivor", "pairs", "interleaved",
		"failures");
	run_all(cases, count, flags, jobs < 1 ? 1 : jobs);
	return sum_up(suite, count);
}
