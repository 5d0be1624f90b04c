/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How long does one work take, and how long does the same work take elsewhere?
 *
 *	run      for each family: open its sides; turns; close; print
 *	turn     every row once, shuffled
 *	row      its workers, forked (or threads of who is) and pinned: start; do
 *	         the work in batches that grow until one lasts a twentieth of the
 *	         run (that warms it up); wait for each other; work for --ms; stop
 *
 * A worker gives the time of one work: the time that it ran or slept. When it
 * could have run and others had its processor does not count (the kernel's
 * run_delay), so a shared machine can be measured on. Of several workers the rates add
 * up, as far as there are processors for them: a row of two processes that scale is
 * half of the row of one, and on two processors so is a row of four.
 *
 * The median is what is compared and what the goals are held against; min and max
 * stand beside it, and the ratio of the minima, which is what is left when others
 * use the machine.
 */
#include "measure.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	RUNS_MAX = 101,
	ROWS_MAX = 128, /* of a family */
	ROWS_ALL = 384,
	GOALS_MAX = 64,
	PATIENCE_S = 60
};

struct options {
	bool json;
	int runs;
	uint64_t run_ns;
	int names;
	char **name;
};

struct result {
	const struct measure_row *row;
	int runs;
	double value[RUNS_MAX];
	double median, min, max;
	bool failed;
};

/* What parent and workers tell each other. */
struct round {
	uint32_t ready, go, failed;
	double value[MEASURE_WORKERS];
};

static struct options options;
static struct round *ring; /* shared */
static struct result results[ROWS_ALL];
static size_t result_count;
static uint64_t shuffle_state;
static int status;
static cpu_set_t processors; /* that this program may use */

/* ---- for the works ---- */

uint64_t
measure_now(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "time run, time waited for a processor, slices", in ns; without it: real time. */
uint64_t
measure_clock(void)
{
	static __thread int fd = -1;
	static __thread pid_t whose;
	char text[80];
	ssize_t n;

	if (whose != getpid()) { /* a fork inherits its parent's */
		whose = getpid();
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	}
	n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return measure_now() -
	       (strchr(text, ' ') ? strtoull(strchr(text, ' '), NULL, 10) : 0);
}

bool
measure_failed(const char *format, ...)
{
	va_list args;

	(void)fputs("bench: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputs("\n", stderr);
	return false;
}

void
measure_pin(int processor)
{
	cpu_set_t one;
	int n = 0;

	CPU_ZERO(&one);
	processor %= CPU_COUNT(&processors);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &processors) && n++ == processor)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one))
		(void)sched_setaffinity(0, sizeof one, &one);
}

void
measure_touch(void *from, size_t size)
{
	/* Linux 5.14; before, the warming up has to do. */
#ifdef MADV_POPULATE_WRITE
	(void)madvise(from, size, MADV_POPULATE_WRITE);
#else
	(void)from;
	(void)size;
#endif
}

void *
measure_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	(void)measure_failed("mmap: %s", strerror(errno));
	return NULL;
}

int64_t
measure_resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = -1;

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		(void)measure_failed("/proc/self/statm cannot be read");
	if (f)
		(void)fclose(f);
	return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int
workers_of(const struct measure_row *row)
{
	return row->processes ? row->processes : 1;
}

static void
sleep_us(long us)
{
	struct timespec t = {0, us * 1000};

	(void)nanosleep(&t, NULL);
}

/* ---- a worker ---- */

/* The batch that lasts a twentieth of the run; 0: failed. Warms up on the way. */
static uint64_t
calibrate(const struct measure_row *row, int role)
{
	uint64_t count = 16, begin = measure_now();

	for (;;) {
		uint64_t from = measure_now(), to;

		if (!row->loop(row, role, count))
			return 0;
		to = measure_now();
		if ((to - from) * 20 >= options.run_ns &&
			(to - begin) * 4 >= options.run_ns)
			return count;
		if ((to - from) * 20 < options.run_ns)
			count *= 2;
	}
}

static bool
meet(int workers)
{
	const bool spins = workers > 1 && workers <= CPU_COUNT(&processors);

	__atomic_fetch_add(&ring->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&ring->go, __ATOMIC_ACQUIRE))
		if (!spins)
			sleep_us(50);
	return !ring->failed;
}

/* < 0: failed */
static double
work(const struct measure_row *row, int role)
{
	uint64_t batch = 0, count = 0, from, now;

	if (row->loop && (batch = calibrate(row, role)) == 0)
		return -1;
	if (!meet(workers_of(row)))
		return -1;
	if (row->figure)
		return row->figure(row, role, options.run_ns);
	from = measure_clock();
	do {
		if (!row->loop(row, role, batch))
			return -1;
		count += batch;
		now = measure_clock();
	} while (now - from < options.run_ns);
	return (double)(now - from) / (double)count;
}

static void
work_as(const struct measure_row *row, int role)
{
	measure_pin(role);
	if (!row->side->start || row->side->start(row, role))
		ring->value[role] = work(row, role);
	if (row->side->stop)
		row->side->stop(row, role);
}

static const struct measure_row *thread_row;

static void *
work_as_thread(void *role)
{
	work_as(thread_row, (int)(intptr_t)role);
	return NULL;
}

/* False: not all of them have done it. */
static bool
work_as_threads(const struct measure_row *row)
{
	pthread_t t[MEASURE_WORKERS];

	thread_row = row;
	for (int i = 1; i < workers_of(row); i++)
		if (pthread_create(
			    &t[i], NULL, work_as_thread, (void *)(intptr_t)i))
			return measure_failed("no thread");
	work_as(row, 0);
	for (int i = 1; i < workers_of(row); i++)
		if (pthread_join(t[i], NULL))
			return measure_failed("a thread cannot be joined");
	for (int i = 1; i < workers_of(row); i++)
		if (ring->value[i] < 0)
			return false;
	return true;
}

static void
worker(const struct measure_row *row, int role)
{
	bool good = true;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (row->threads)
		good = work_as_threads(row);
	else
		work_as(row, role);
	_exit(!good || ring->value[role] < 0);
}

/* ---- a row, once ---- */

static void
collect(const pid_t *pid, int n, bool *failed)
{
	for (int i = 0; i < n; i++) {
		int how = -1;

		if (waitpid(pid[i], &how, 0) != pid[i] || how)
			*failed = true;
		if (WIFSIGNALED(how))
			(void)measure_failed(
				"a worker died of signal %d", WTERMSIG(how));
	}
}

/* All n workers in so many processes are ready, or one has ended. */
static bool
all_ready(const pid_t *pid, int processes, int n)
{
	uint64_t until = measure_now() + PATIENCE_S * UINT64_C(1000000000);

	while (__atomic_load_n(&ring->ready, __ATOMIC_SEQ_CST) < (uint32_t)n) {
		for (int i = 0; i < processes; i++) {
			siginfo_t info = {0};

			if (!waitid(P_PID, (id_t)pid[i], &info,
				    WEXITED | WNOHANG | WNOWAIT) &&
				info.si_pid)
				return false;
		}
		if (measure_now() > until)
			return false;
		sleep_us(200);
	}
	return true;
}

/* ns of one work, when all n have as much of the machine as it has for them. */
static double
together(int n)
{
	const int there = CPU_COUNT(&processors);
	double rate = 0;

	for (int i = 0; i < n; i++) {
		if (ring->value[i] < 0)
			return -1;
		rate += 1 / ring->value[i];
	}
	return 1 / (n > there ? rate * there / n : rate);
}

/* < 0: failed */
static double
measure_once(const struct measure_row *row)
{
	int n = workers_of(row), forks = row->threads ? 1 : n, started = 0;
	bool failed = false;
	pid_t pid[MEASURE_WORKERS];

	memset(ring, 0, sizeof *ring);
	for (int i = 0; i < n; i++)
		ring->value[i] = -1;
	(void)fflush(NULL);
	for (; started < forks; started++) {
		pid[started] = fork();
		if (!pid[started])
			worker(row, started);
		if (pid[started] < 0)
			break;
	}
	if (started < forks || !all_ready(pid, forks, n)) {
		failed = true;
		ring->failed = 1;
	}
	__atomic_store_n(&ring->go, 1, __ATOMIC_RELEASE);
	collect(pid, started, &failed);
	if (failed)
		return -1;
	return row->figure ? ring->value[0] : together(n);
}

/* ---- a family ---- */

static bool
selected(const struct measure_family *f, const struct measure_row *row)
{
	for (int i = 0; i < options.names; i++)
		if (strstr(f->name, options.name[i]) ||
			strstr(row->work, options.name[i]))
			return true;
	return options.names == 0;
}

static bool
usable(const struct measure_row *row)
{
	if (row->side->there && !row->side->there())
		return false;
	return workers_of(row) < 2 || CPU_COUNT(&processors) > 1;
}

/* Each side once, though several rows have it. */
static void
sides_open(struct result *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct measure_side *side = r[i].row->side;
		size_t first = 0;

		while (r[first].row->side != side)
			first++;
		if (first < i)
			r[i].failed = r[first].failed;
		else if (side->open && !side->open())
			r[i].failed = true;
		if (r[i].failed)
			status = 1;
	}
}

static void
sides_close(struct result *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct measure_side *side = r[i].row->side;
		size_t first = 0;

		while (r[first].row->side != side)
			first++;
		if (first == i && side->close && !r[i].failed)
			side->close();
	}
}

static void
turn(struct result *r, size_t n)
{
	size_t order[ROWS_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t j = measure_random(&shuffle_state) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < n; i++) {
		struct result *one = &r[order[i]];
		double value;

		if (one->failed ||
			(one->row->runs && one->runs == one->row->runs))
			continue;
		value = measure_once(one->row);
		if (value < 0) {
			one->failed = true;
			status = 1;
			(void)measure_failed("%s: %s failed", one->row->work,
				one->row->peer);
			continue;
		}
		one->value[one->runs++] = value;
	}
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
judge(struct result *r)
{
	if (r->failed)
		return;
	qsort(r->value, (size_t)r->runs, sizeof r->value[0], compare);
	r->min = r->value[0];
	r->max = r->value[r->runs - 1];
	r->median = r->value[r->runs / 2];
}

/* ---- telling ---- */

static const struct result *
find(const char *name, const char *peer)
{
	for (size_t i = 0; i < result_count; i++)
		if (!results[i].failed && !strcmp(results[i].row->work, name) &&
			!strcmp(results[i].row->peer, peer))
			return &results[i];
	return NULL;
}

static const char *
unit(const struct result *r)
{
	return r->row->unit ? r->row->unit : "ns";
}

static void
print_json(const struct result *r)
{
	(void)printf("{\"work\": \"%s\", \"peer\": \"%s\", \"unit\": \"%s\", "
		     "\"median\": %.3f, \"min\": %.3f, \"max\": %.3f, "
		     "\"runs\": %d}\n",
		r->row->work, r->row->peer, unit(r), r->median, r->min, r->max,
		r->runs);
}

static void
print_text(const struct result *r, bool first)
{
	const struct result *ours = find(r->row->work, "stoa");

	(void)printf("%-36s %-18s %11.1f %11.1f %11.1f %-2s %4d",
		first ? r->row->work : "", r->row->peer, r->median, r->min,
		r->max, unit(r), r->runs);
	if (ours && ours != r)
		(void)printf(" %8.2f %8.2f", r->median / ours->median,
			r->min / ours->min);
	(void)printf("\n");
}

static void
print(const struct result *r, size_t n)
{
	const char *last = "";

	for (size_t i = 0; i < n; i++) {
		if (r[i].failed)
			continue;
		if (options.json)
			print_json(&r[i]);
		else
			print_text(&r[i], strcmp(r[i].row->work, last) != 0);
		last = r[i].row->work;
	}
	(void)fflush(stdout);
}

static void
run_family(const struct measure_family *f)
{
	struct result *r = &results[result_count];
	size_t n = 0;

	for (size_t i = 0; i < f->row_count; i++) {
		const struct measure_row *row = &f->rows[i];

		if (!selected(f, row) || !usable(row))
			continue;
		if (n == ROWS_MAX || result_count + n == ROWS_ALL) {
			(void)measure_failed("%s: too many rows", f->name);
			status = 1;
			break;
		}
		r[n++] = (struct result){.row = row};
	}
	if (!n)
		return;
	sides_open(r, n);
	for (int i = 0; i < options.runs; i++)
		turn(r, n);
	sides_close(r, n);
	for (size_t i = 0; i < n; i++)
		judge(&r[i]);
	result_count += n;
	print(r, n);
}

/* ---- goals ---- */

static double
ratio_of(const struct measure_goal *g, double ours, double theirs)
{
	if (g->peer && g->limit > 0)
		return (ours - theirs) / g->limit;
	return g->at_most ? ours / theirs : theirs / ours;
}

static void
print_goal(const struct measure_goal *g)
{
	const struct result *ours = find(g->work, "stoa"), *other = NULL;
	char versus[64];
	double ratio, best;
	bool met;

	if (g->peer)
		other = find(g->work, g->peer);
	else if (g->one)
		other = find(g->one, "stoa");
	if (!ours || (!other && (g->limit <= 0 || g->peer)))
		return;
	ratio = ratio_of(g, ours->median, other ? other->median : g->limit);
	best = ratio_of(g, ours->min, other ? other->min : g->limit);
	met = g->at_most ? ratio <= g->goal : ratio >= g->goal;
	(void)snprintf(versus, sizeof versus, "%s",
		g->peer  ? g->peer
		: g->one ? "stoa, one process"
			 : "");
	if (!other)
		(void)snprintf(
			versus, sizeof versus, "%g %s", g->limit, unit(ours));
	else if (g->peer && g->limit > 0)
		(void)snprintf(versus, sizeof versus, "%g %s beyond %s",
			g->limit, unit(ours), g->peer);
	if (options.json)
		(void)printf(
			"{\"work\": \"%s\", \"versus\": \"%s\", "
			"\"ratio\": %.3f, \"goal\": %g, \"sense\": \"%s\", "
			"\"met\": %s}\n",
			g->work, versus, ratio, g->goal,
			g->at_most ? "at most" : "at least",
			met ? "true" : "false");
	else
		(void)printf("%-36s %-18s %8.2f %8.2f  %s %5g  %s\n", g->work,
			versus, ratio, best, g->at_most ? "<=" : ">=", g->goal,
			met ? "met" : "NOT MET");
}

/* ---- main ---- */

static bool
number(const char *text, int from, int to, int *ret)
{
	char *end = NULL;
	long n;

	errno = 0;
	n = text ? strtol(text, &end, 10) : 0;
	if (!text || errno || end == text || *end || n < from || n > to)
		return false;
	*ret = (int)n;
	return true;
}

static bool
parse(int argc, char **argv)
{
	int ms = 50;

	options.runs = 11;
	options.name = argv;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options.json = true;
		} else if (strcmp(argv[i], "--runs") == 0) {
			if (!number(argv[++i], 1, RUNS_MAX, &options.runs))
				return false;
		} else if (strcmp(argv[i], "--ms") == 0) {
			if (!number(argv[++i], 1, 10000, &ms))
				return false;
		} else if (argv[i][0] == '-') {
			return false;
		} else { /* i > names: never ahead */
			options.name[options.names++] = argv[i];
		}
	}
	options.run_ns = (uint64_t)ms * 1000000u;
	return true;
}

int
measure_main(int argc, char **argv, const struct measure_family *family,
	size_t count)
{
	if (!parse(argc, argv)) {
		(void)fprintf(stderr,
			"usage: %s [NAME...] [--json] [--runs 1..%d] "
			"[--ms 1..10000]\n",
			argv[0], RUNS_MAX);
		return 2;
	}
	ring = measure_shared(sizeof *ring);
	if (!ring)
		return 1;
	(void)sched_getaffinity(0, sizeof processors, &processors);
	shuffle_state = measure_now();
	machine_print(options.json ? stderr : stdout);
	if (!options.json)
		(void)printf("%-36s %-18s %11s %11s %11s %-2s %4s %8s %8s\n",
			"work", "peer", "median", "min", "max", "", "runs",
			"/ stoa", "at best");
	for (size_t i = 0; i < count; i++)
		run_family(&family[i]);
	if (!result_count) {
		(void)measure_failed("no work of that name");
		return 2;
	}
	if (!options.json)
		(void)printf("\n%-36s %-18s %8s %8s\n", "goal", "versus",
			"ratio", "at best");
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < family[i].goal_count; j++)
			print_goal(&family[i].goals[j]);
	return status;
}
