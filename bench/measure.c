/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How long does one work take, and how long does the same work take elsewhere?
 *
 * A run does the work often enough to last some milliseconds (found by doubling)
 * and gives one number: nanoseconds for one work. All who do it take their runs
 * in turns; the first turn is thrown away. The median is what is compared; min
 * and max stand beside it, because on a shared machine they say how much to
 * believe it.
 */
#include "measure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
	bool json;
	int runs;
	uint64_t run_ns;
	int names;
	char **name;
};

struct result {
	uint64_t count; /* works in a run */
	double ns[MEASURE_RUNS_MAX];
	double median, min, max;
};

void
measure_use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static uint64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* 0: the work failed */
static uint64_t
run(const struct measure_who *who, uint64_t count)
{
	uint64_t from = now();

	if (!who->work(who->user, count)) {
		(void)fprintf(stderr, "bench: %s failed\n", who->name);
		return 0;
	}
	from = now() - from;
	return from ? from : 1;
}

/* How often makes a run of the wanted length? 0: the work failed. */
static uint64_t
calibrate(const struct measure_who *who, uint64_t run_ns)
{
	uint64_t count = 64, ns;

	for (;;) {
		ns = run(who, count);
		if (ns == 0)
			return 0;
		if (ns * 4 >= run_ns)
			break;
		count *= 2;
	}
	count = count * run_ns / ns;
	return count ? count : 1;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool
measure(const struct measure *m, const struct options *o, struct result *r)
{
	int n = 0;

	while (n < 1 + MEASURE_PEERS_MAX && m->who[n].work)
		n++;
	for (int i = 0; i < n; i++) {
		r[i].count = calibrate(&m->who[i], o->run_ns);
		if (r[i].count == 0)
			return false;
	}
	for (int turn = -1; turn < o->runs; turn++) {
		for (int i = 0; i < n; i++) {
			uint64_t ns = run(&m->who[i], r[i].count);

			if (ns == 0)
				return false;
			if (turn >= 0)
				r[i].ns[turn] = (double)ns / (double)r[i].count;
		}
	}
	for (int i = 0; i < n; i++) {
		qsort(r[i].ns, (size_t)o->runs, sizeof r[i].ns[0], compare);
		r[i].min = r[i].ns[0];
		r[i].max = r[i].ns[o->runs - 1];
		r[i].median = r[i].ns[o->runs / 2];
	}
	return true;
}

static void
print(const struct measure *m, const struct options *o, const struct result *r,
	bool *first)
{
	for (int i = 0; i < 1 + MEASURE_PEERS_MAX && m->who[i].work; i++) {
		double ratio = r[0].median / r[i].median;
		double best = r[0].min / r[i].min;

		if (o->json) {
			(void)printf(
				"%s\n  {\"work\": \"%s\", \"who\": \"%s\", "
				"\"unit\": \"ns\", \"median\": %.2f, "
				"\"min\": %.2f, \"max\": %.2f, \"runs\": %d, "
				"\"ours_to_this\": %.3f, "
				"\"ours_to_this_at_best\": %.3f}",
				*first ? "" : ",", m->name, m->who[i].name,
				r[i].median, r[i].min, r[i].max, o->runs, ratio,
				best);
		} else {
			(void)printf("%-34s %-26s %9.1f %9.1f %9.1f %5d",
				i == 0 ? m->name : "", m->who[i].name,
				r[i].median, r[i].min, r[i].max, o->runs);
			if (i > 0)
				(void)printf(" %8.2fx %8.2fx", ratio, best);
			(void)printf("\n");
		}
		*first = false;
	}
	(void)fflush(stdout);
}

static bool
selected(const struct measure *m, const struct options *o)
{
	for (int i = 0; i < o->names; i++)
		if (strstr(m->group, o->name[i]) || strstr(m->name, o->name[i]))
			return true;
	return o->names == 0;
}

static bool
number(const char *text, int from, int to, int *ret)
{
	char *end;
	long n;

	errno = 0;
	n = text ? strtol(text, &end, 10) : 0;
	if (!text || errno || *end || n < from || n > to)
		return false;
	*ret = (int)n;
	return true;
}

static bool
parse(int argc, char **argv, struct options *o)
{
	int ms = 20;

	o->runs = 11;
	o->name = argv;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			o->json = true;
		} else if (strcmp(argv[i], "--runs") == 0) {
			if (!number(argv[++i], 3, MEASURE_RUNS_MAX, &o->runs))
				return false;
		} else if (strcmp(argv[i], "--ms") == 0) {
			if (!number(argv[++i], 1, 10000, &ms))
				return false;
		} else if (argv[i][0] == '-') {
			return false;
		} else {
			o->name[o->names++] =
				argv[i]; /* i > names: never ahead */
		}
	}
	o->run_ns = (uint64_t)ms * 1000000u;
	return true;
}

int
measure_main(int argc, char **argv, const struct measure *table, int n)
{
	struct options o = {0};
	bool first = true;
	int status = 0;

	if (!parse(argc, argv, &o)) {
		(void)fprintf(stderr,
			"usage: %s [NAME...] [--json] "
			"[--runs 3..51] [--ms 1..10000]\n",
			argv[0]);
		return 2;
	}
	if (o.json)
		(void)printf("[");
	else
		(void)printf("%-34s %-26s %9s %9s %9s %5s %9s %9s\n",
			"work (ns for one)", "who", "median", "min", "max",
			"runs", "ours/this", "at best");
	for (int i = 0; i < n; i++) {
		static struct result result[1 + MEASURE_PEERS_MAX];

		if (!selected(&table[i], &o))
			continue;
		if (measure(&table[i], &o, result))
			print(&table[i], &o, result, &first);
		else
			status = 1;
	}
	if (o.json)
		(void)printf("\n]\n");
	return status;
}
