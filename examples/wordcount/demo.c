/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Workers count words into one shared hash map while a killer sends SIGKILL to
 * random ones, many times a second, and new ones take their place. At the end
 * the counts must be what one process finds that nobody disturbs.
 *
 *	wordcount_demo [--kills N] [--workers N] [--seed N] [FILE|FOLDER...]
 *
 * The workers are the program `wordcount` as it is, started by exec. Rounds are
 * repeated until N kills were survived, and each must be right.
 */
#include "plain.h"
#include "wordcount.h"
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 64,
	TOP = 10,
	KILL_US_MIN = 3000, /* between two kills */
	KILL_US_MAX = 25000,
	STALL_S = 20
};

/* Without arguments: as much of these as fits. */
static const char *const default_input[] = {
	"/usr/share/common-licenses", "/usr/include"};
static const uint64_t default_bytes = 24 << 20;

static struct {
	char **path;
	size_t count, room;
	uint64_t bytes, bytes_max;
	bool headers_only;
} input;

static struct {
	unsigned workers, kills_wanted;
	uint64_t random;
	char name[64], program[4096];
	pid_t pid[WORKERS_MAX]; /* 0: none */
	uint64_t kills, rolled_back, words, rounds;
	int64_t leaked;
	double seconds;
	bool tty;
} demo;

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int complain(const char *format, ...) STOA_PRINTF_(1, 2);

static int
complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs(demo.tty ? "\r\033[Kdemo: " : "demo: ", stdout);
	vprintf(format, ap);
	puts("");
	va_end(ap);
	return -1;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
random_below(uint64_t n)
{
	demo.random ^= demo.random << 13;
	demo.random ^= demo.random >> 7;
	demo.random ^= demo.random << 17;
	return (demo.random >> 11) % n;
}

/* ---- input ---- */

static int
add_input(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	const size_t n = strlen(path);

	(void)at;
	if (kind != FTW_F || !S_ISREG(st->st_mode) || !st->st_size ||
		access(path, R_OK))
		return 0;
	if (input.headers_only && strstr(path, "/include/") &&
		strcmp(path + n - 2, ".h"))
		return 0;
	if (input.bytes + (uint64_t)st->st_size > input.bytes_max)
		return 0;
	if (input.count == input.room) {
		input.room = input.room * 2 + 64;
		input.path =
			realloc(input.path, input.room * sizeof *input.path);
		if (!input.path)
			return -1;
	}
	input.path[input.count] = strdup(path);
	input.bytes += (uint64_t)st->st_size;
	return input.path[input.count++] ? 0 : -1;
}

static int
find_input(int argc, char **argv)
{
	const char *const *from = (const char *const *)argv;
	int n = argc;

	input.bytes_max = UINT64_MAX;
	if (!argc) {
		input.bytes_max = default_bytes;
		input.headers_only = true;
		from = default_input;
		n = 2;
	}
	for (int i = 0; i < n; i++)
		if (nftw(from[i], add_input, 16, 0) && argc)
			return complain("%s: %s", from[i], strerror(errno));
	if (!input.count)
		return complain("nothing to count");
	return 0;
}

/* ---- workers ---- */

static pid_t
start_worker(void)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* leave nobody behind */
	if (getppid() == parent)
		execl(demo.program, "wordcount", demo.name, "work",
			(char *)NULL);
	_exit(127);
}

/* Count the dead; the living stay. -1: one ended otherwise than by our kill. */
static int
reap(bool wait, unsigned *ret_living)
{
	unsigned living = 0;

	for (unsigned i = 0; i < demo.workers; i++) {
		int status;
		pid_t pid = demo.pid[i];

		if (!pid)
			continue;
		if (waitpid(pid, &status, wait ? 0 : WNOHANG) != pid) {
			living++;
			continue;
		}
		demo.pid[i] = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			demo.kills++;
		else if (status)
			return complain("a worker ended with %s %d",
				WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status)
						    : WEXITSTATUS(status));
	}
	*ret_living = living;
	return 0;
}

static void
kill_all(void)
{
	for (unsigned i = 0; i < demo.workers; i++) {
		if (!demo.pid[i])
			continue;
		kill(demo.pid[i], SIGKILL);
		waitpid(demo.pid[i], NULL, 0);
		demo.pid[i] = 0;
	}
}

/* ---- progress ---- */

static void
show_progress(uint64_t done, uint64_t all, double seconds, bool last)
{
	static double next;
	char bar[31] = "..............................";
	const unsigned percent = all ? (unsigned)(done * 100 / all) : 100;

	if (!last && seconds < next)
		return;
	next = last ? 0 : seconds + (demo.tty ? 0.1 : 2);
	memset(bar, '#', percent * 30 / 100);
	printf("%sround %" PRIu64 " [%s] %3u %%  %" PRIu64 " of %" PRIu64
	       " chunks, %" PRIu64 " kills, %.1f s%s",
		demo.tty ? "\r\033[K" : "", demo.rounds, bar, percent, done,
		all, demo.kills, seconds, demo.tty && !last ? "" : "\n");
	fflush(stdout);
}

static int
look(stoa_segment *seg, const job *j, uint64_t *ret_left)
{
	STOA_READ(rd, seg);
	*ret_left = j->left;
	return stoa_tx_error(rd);
}

/* ---- one round ---- */

/* Kill and replace until all is done. */
static int
disturb(stoa_segment *seg, const job *j, uint64_t chunks_all)
{
	const double start = now();
	double kill_at = start, progress_at = start, t;
	uint64_t left = chunks_all, before = chunks_all;
	unsigned living;

	while (left) {
		if (look(seg, j, &left))
			return complain("%s", stoa_error_text());
		if (reap(false, &living))
			return -1;
		for (unsigned i = 0; left && i < demo.workers; i++)
			if (!demo.pid[i] && (demo.pid[i] = start_worker()) < 0)
				return complain("fork: %s", strerror(errno));
		t = now();
		if (left && t >= kill_at) {
			kill(demo.pid[random_below(demo.workers)], SIGKILL);
			kill_at =
				t + 1e-6 * (double)(KILL_US_MIN +
						    random_below(KILL_US_MAX -
								 KILL_US_MIN));
		}
		if (left != before)
			progress_at = t;
		else if (t - progress_at > STALL_S)
			return complain("nothing happened for %d s", STALL_S);
		before = left;
		show_progress(chunks_all - left, chunks_all, t - start, !left);
		if (interrupted)
			return complain("interrupted");
		usleep(1000);
	}
	demo.seconds += now() - start;
	return reap(true, &living); /* they find nothing left, and end */
}

/* Every word and no other, as often as the plain count found it. */
static int
compare_counts(stoa_segment *seg, const job *j, const struct plain *p)
{
	uint64_t different = 0, words = 0;

	STOA_READ(rd, seg);
	for (counts_iter it = counts_begin(rd, &j->words); counts_next(&it);) {
		const uint64_t wanted = plain_get(p, it.key, strlen(it.key));

		words++;
		demo.words += *it.val;
		if (*it.val == wanted)
			continue;
		if (different++ < 5)
			complain("'%s': %" PRIu64 ", should be %" PRIu64,
				it.key, *it.val, wanted);
	}
	if (stoa_tx_error(rd))
		return complain("%s", stoa_error_text());
	if (words != p->words)
		return complain("%" PRIu64 " different words, should be %zu",
			words, p->words);
	return different ? complain("%" PRIu64 " counts differ", different) : 0;
}

/* Each time but the first that a chunk was taken, a worker had died with it. */
static int
count_rolled_back(stoa_segment *seg, const job *j)
{
	STOA_READ(rd, seg);
	const size_t n = chunks_count(rd, &j->list);

	for (size_t i = 0; i < n; i++) {
		const chunk *c = chunks_get(rd, &j->list, i);

		if (c && (!c->done || !c->tries))
			return complain("chunk %zu is not done", i);
		if (c)
			demo.rolled_back += c->tries - 1;
	}
	return stoa_tx_error(rd);
}

static void
print_top(stoa_segment *seg, const job *j)
{
	struct {
		const char *word;
		uint64_t count;
	} top[TOP + 1] = {{NULL, 0}};

	STOA_READ(rd, seg);
	for (counts_iter it = counts_begin(rd, &j->words); counts_next(&it);) {
		int i = TOP;

		for (; i && *it.val > top[i - 1].count; i--)
			top[i] = top[i - 1];
		top[i].word = it.key;
		top[i].count = *it.val;
	}
	for (int i = 0; i < TOP && top[i].word; i++)
		printf("  %10" PRIu64 "  %s\n", top[i].count, top[i].word);
}

static int
judge(stoa_segment *seg, const job *j, const struct plain *p,
	stoa_segment_stat *ret_stat)
{
	if (compare_counts(seg, j, p) || count_rolled_back(seg, j))
		return -1;
	stoa_segment_recover(seg);
	if (stoa_segment_check(seg))
		return complain("check: %s", stoa_error_text());
	demo.leaked = stoa_segment_leaked(seg);
	if (demo.leaked)
		return complain("%" PRId64 " blocks leaked (%s)", demo.leaked,
			stoa_error_text());
	stoa_segment_statistics(seg, ret_stat);
	return 0;
}

static int
play_round(const struct plain *p, bool *ret_enough, stoa_segment_stat *ret_stat)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const job *j = NULL;
	uint64_t chunks_all = 0;
	int rc;

	demo.rounds++;
	if (stoa_segment_open(demo.name, STOA_CREATE | STOA_EXCL, NULL, &seg) ||
		stoa_object_open(seg, "job", job, &j))
		return complain("%s", stoa_error_text());
	for (size_t i = 0; i < input.count; i++)
		if ((rc = add(seg, j, input.path[i])))
			return complain(
				"%s: %s", input.path[i], stoa_strerror(rc));
	if (look(seg, j, &chunks_all) || disturb(seg, j, chunks_all) ||
		judge(seg, j, p, ret_stat))
		return -1;
	*ret_enough = demo.kills >= demo.kills_wanted;
	if (*ret_enough) {
		puts("\nmost frequent words");
		print_top(seg, j);
	}
	return 0;
}

/* ---- the whole ---- */

static void
report(const struct plain *p, double plain_seconds,
	const stoa_segment_stat *stat)
{
	printf("\n%" PRIu64 " words, %zu different, in %zu files of %.1f MiB\n"
	       "  rounds              %10" PRIu64 "\n"
	       "  workers             %10u\n"
	       "  kills survived      %10" PRIu64 "\n"
	       "  chunks rolled back  %10" PRIu64 "\n"
	       "  words per second    %10.0f   (one process, undisturbed, in "
	       "ordinary memory: %.0f)\n"
	       "  memory used         %10.1f MiB in %" PRIu64 " blocks\n"
	       "  blocks leaked       %10" PRId64 "\n",
		p->total, p->words, input.count, (double)input.bytes / 1048576,
		demo.rounds, demo.workers, demo.kills, demo.rolled_back,
		(double)demo.words / demo.seconds,
		(double)p->total / plain_seconds, (double)stat->used / 1048576,
		stat->blocks, demo.leaked);
	printf("\n%" PRIu64 " kills, all counts identical, %" PRId64
	       " leaked\n",
		demo.kills, demo.leaked);
}

static int
run(void)
{
	struct plain plain = {0};
	stoa_segment_stat stat = {0};
	double plain_seconds = now();
	bool enough = false;
	int rc = 0;

	for (size_t i = 0; i < input.count && !rc; i++)
		rc = plain_count(&plain, input.path[i]);
	plain_seconds = now() - plain_seconds;
	if (rc)
		return complain("plain count: %s", strerror(-rc));
	printf("%zu files of %.1f MiB, %u workers, at least %u kills\n",
		input.count, (double)input.bytes / 1048576, demo.workers,
		demo.kills_wanted);
	while (!rc && !enough) {
		rc = play_round(&plain, &enough, &stat);
		kill_all();
		stoa_segment_unlink(demo.name, 0, NULL);
	}
	if (!rc)
		report(&plain, plain_seconds, &stat);
	plain_free(&plain);
	return rc;
}

static int
find_program(void)
{
	ssize_t n = readlink("/proc/self/exe", demo.program,
		sizeof demo.program - sizeof "wordcount");
	char *slash;

	if (n < 0)
		return -1;
	demo.program[n] = '\0';
	slash = strrchr(demo.program, '/');
	strcpy(slash + 1, "wordcount");
	return access(demo.program, X_OK);
}

static int
options(int argc, char **argv)
{
	static const struct option known[] = {{"help", no_argument, NULL, 'h'},
		{"kills", required_argument, NULL, 'k'},
		{"workers", required_argument, NULL, 'w'},
		{"seed", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int c;

	demo.workers = cores < 1 ? 2 : 2 * (unsigned)cores;
	demo.kills_wanted = 200;
	demo.random = (uint64_t)getpid() << 32 | (uint64_t)time(NULL);
	demo.tty = isatty(STDOUT_FILENO);
	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (c == 'k')
			demo.kills_wanted = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'w')
			demo.workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			demo.random = strtoull(optarg, NULL, 0) | 1;
		else
			return c == 'h' ? 1 : -1;
	}
	if (demo.workers < 1 || demo.workers > WORKERS_MAX)
		demo.workers = demo.workers ? WORKERS_MAX : 1;
	snprintf(demo.name, sizeof demo.name, "wordcount-demo-%d",
		(int)getpid());
	return 0;
}

int
main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_interrupt};
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	rc = options(argc, argv);
	if (rc) {
		fputs("usage: wordcount_demo [--kills N] [--workers N] "
		      "[--seed N] [FILE|FOLDER...]\n",
			rc < 0 ? stderr : stdout);
		return rc < 0 ? 2 : 0;
	}
	if (find_program()) {
		fprintf(stderr, "demo: no program %s\n", demo.program);
		return 2;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (find_input(argc - optind, argv + optind) || run())
		return 1;
	return 0;
}
