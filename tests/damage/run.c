/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Damaged segments by the million: does each end in an error or in a right answer?
 *
 *	damage [--images N] [--seed S] [--jobs N]      a run; the same for the same seed
 *	damage --first K --images N ...                images K to K+N-1 of it
 *	damage --replay S:INDEX                        one image, told and played here
 *	damage --seeds                                 the segments that are damaged
 *
 * Worker processes play image after image. The parent looks on: a worker that ends
 * has crashed at the image that it was playing (a signal, a sanitizer's report), or
 * found that it waits for ever; one that spends CPU_NS on one image hangs. Another
 * takes its place behind that image. So only failures cost a process.
 */
#include "damage.h"
#include "base/atomic.h"
#include "scene.h"
#include "stage.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPU_NS  UINT64_C(3000000000) /* an image takes a thousandth of it */
#define WALL_NS UINT64_C(120000000000)

enum {
	JOBS_MAX = 64,
	ERRNOS = 256,
	FAILURES_MAX = 40, /* then there is no point in going on */
	REPORT_MAX = 4096,
	LOOK_MS = 20,
	FILE_MAX =
		192 << 20, /* bytes: damaged words must not fill the machine */
	SEED = 1
};

static struct board {
	uint64_t next, end; /* of their numbers */
	uint64_t wanted;
	uint64_t images, right, other, refused;
	uint64_t error[ERRNOS];
	uint64_t crashes, hangs, inconsistent, lost;
	struct {
		uint64_t current; /* index + 1 */
	} worker[JOBS_MAX];
} * board;

static uint64_t run_seed = SEED;

/* Read by the sanitizers when they begin. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "max_allocation_size_mb=256:detect_stack_use_after_return=0:"
	       "allocator_may_return_null=0:print_legend=0:exitcode=99";
}
const char *__ubsan_default_options(void);
const char *
__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

/* ---- a worker ---- */

static void
tally(const struct image *image, const struct verdict *v, uint64_t index)
{
	a64_fetch_add_seq_cst(&board->images, 1);
	a64_fetch_add_seq_cst(&board->refused, v->refused);
	if (v->inconsistent) {
		a64_fetch_add_seq_cst(&board->inconsistent, 1);
		(void)fprintf(stderr,
			"INCONSISTENT %llu:%llu: no call failed, but then %s: "
			"%s\n",
			(unsigned long long)run_seed, (unsigned long long)index,
			v->doing, v->text);
	} else if (v->error) {
		a64_fetch_add_seq_cst(
			&board->error[v->error < -ERRNOS ? 0 : -v->error], 1);
	} else if (v->answer == image->seed->answer) {
		a64_fetch_add_seq_cst(&board->right, 1);
	} else {
		a64_fetch_add_seq_cst(&board->other, 1);
	}
}

static void
play(uint64_t index, FILE *told)
{
	struct image image;
	struct verdict v;

	damage_make(&image, run_seed, index, told);
	stage_begin();
	attack(&image, told, &v);
	stage_end();
	tally(&image, &v, index);
	if (told)
		(void)fprintf(told, "%s%s%s\n",
			v.inconsistent ? "INCONSISTENT: " : "",
			v.error ? "an error: "
			: v.answer == image.seed->answer
				? "the right answer"
				: "another value, where no rule is broken",
			v.error ? v.text : "");
}

static void
worker(int slot, int report)
{
	struct image image;
	struct verdict v;
	int fds;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(report, STDERR_FILENO);
	(void)setvbuf(stderr, NULL, _IOLBF, 0);
	image_put(&image, seed_at(1), IMAGE_FILE);
	stage_begin();
	attack(&image, NULL, &v); /* what is made once a process is made now */
	stage_end();
	fds = scene_fds();
	for (;;) {
		uint64_t i = a64_fetch_add_seq_cst(&board->next, 1);

		if (i >= board->end)
			break;
		a64_store_release(&board->worker[slot].current, i + 1);
		play(i, NULL);
	}
	a64_store_release(&board->worker[slot].current, 0);
	if (scene_fds() != fds) {
		(void)fprintf(stderr, "%d descriptors were left open\n",
			scene_fds() - fds);
		exit(1);
	}
	exit(0);
}

/* ---- the parent ---- */

struct watched {
	pid_t pid;
	int report; /* what it wrote to stderr */
	uint64_t current, cpu, since;
	bool silent;
};

static struct watched watched[JOBS_MAX];

static uint64_t
ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

static uint64_t
wall_now(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return ns_of(&t);
}

static uint64_t
cpu_of(pid_t pid)
{
	struct timespec t = {0, 0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return ns_of(&t);
}

static void
start(int slot)
{
	struct watched *w = &watched[slot];

	w->report = memfd_create("report", MFD_CLOEXEC);
	a64_store_release(&board->worker[slot].current, 0);
	(void)fflush(NULL);
	w->pid = fork();
	if (w->pid < 0 || w->report < 0) {
		perror("a worker");
		exit(1);
	}
	if (!w->pid)
		worker(slot, w->report);
	w->current = 0;
	w->cpu = 0;
	w->since = wall_now();
	w->silent = false;
}

/* The first lines of what a worker had to say, without what is the same always. */
static void
print_report(int fd)
{
	static char text[REPORT_MAX];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	if (n > 0) {
		text[n] = '\0';
		(void)fputs(text, stdout);
	}
	(void)close(fd);
}

static void
ended(int slot, int status)
{
	struct watched *w = &watched[slot];
	uint64_t at = a64_load_acquire(&board->worker[slot].current);
	bool stuck = WIFEXITED(status) && WEXITSTATUS(status) == STAGE_STUCK;
	bool failed = w->silent || status;

	w->pid = 0;
	if (failed) {
		*(w->silent || stuck ? &board->hangs : &board->crashes) += 1;
		(void)printf("%s %llu:%lld: %s %d\n",
			w->silent || stuck ? "HANG" : "CRASH",
			(unsigned long long)run_seed, (long long)at - 1,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status)
					    : WEXITSTATUS(status));
	}
	print_report(w->report);
	if (failed && board->crashes + board->hangs >= FAILURES_MAX) {
		(void)printf("too many failures: the rest is left out\n");
		a64_store_release(&board->next, board->end);
	}
	if (failed && a64_load_relaxed(&board->next) < board->end)
		start(slot);
}

static void
look_at(struct watched *w, int slot)
{
	uint64_t current = a64_load_acquire(&board->worker[slot].current);
	uint64_t cpu = cpu_of(w->pid), now = wall_now();

	if (current != w->current) {
		w->current = current;
		w->cpu = cpu;
		w->since = now;
	} else if ((current && cpu - w->cpu > CPU_NS) ||
		   now - w->since > WALL_NS) {
		w->silent = true;
		(void)kill(w->pid, SIGKILL);
	}
}

static void
progress(bool last)
{
	static uint64_t printed;
	uint64_t now = wall_now();

	if (!isatty(STDOUT_FILENO) || (!last && now - printed < 500000000))
		return;
	printed = now;
	(void)printf("\r%llu of %llu images, %llu crashes, %llu hangs ",
		(unsigned long long)a64_load_relaxed(&board->images),
		(unsigned long long)board->wanted,
		(unsigned long long)board->crashes,
		(unsigned long long)board->hangs);
	(void)printf(last ? "\r\033[K" : "");
	(void)fflush(stdout);
}

static int
sum_up(void)
{
	const char *separator = "";
	bool bad = board->crashes || board->hangs || board->inconsistent ||
		   board->images < board->wanted;

	(void)printf("%llu images: %llu refused; errors: ",
		(unsigned long long)board->images,
		(unsigned long long)board->refused);
	for (int i = 0; i < ERRNOS; i++)
		if (board->error[i]) {
			(void)printf("%s%s %llu", separator,
				strerrorname_np(i) ? strerrorname_np(i) : "?",
				(unsigned long long)board->error[i]);
			separator = ", ";
		}
	(void)printf("; right answers %llu, other values %llu; "
		     "%llu inconsistent, %llu crashes, %llu hangs\n",
		(unsigned long long)board->right,
		(unsigned long long)board->other,
		(unsigned long long)board->inconsistent,
		(unsigned long long)board->crashes,
		(unsigned long long)board->hangs);
	return bad;
}

static int
run(uint64_t first, uint64_t images, int jobs)
{
	int running;

	board->next = first;
	board->end = first + images;
	board->wanted = images;
	for (int i = 0; i < jobs; i++)
		start(i);
	do {
		struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};

		(void)nanosleep(&pause, NULL);
		running = 0;
		for (int i = 0; i < jobs; i++) {
			int status = 0;

			if (!watched[i].pid)
				continue;
			look_at(&watched[i], i);
			if (waitpid(watched[i].pid, &status, WNOHANG) ==
				watched[i].pid)
				ended(i, status);
			running += watched[i].pid != 0;
		}
		progress(!running);
	} while (running);
	return sum_up();
}

/* ---- the program ---- */

static int
list_seeds(void)
{
	for (size_t i = 0; i < seeds_count(); i++) {
		const struct seed *s = seed_at(i);

		(void)printf("%-36s %9llu bytes %6zu places %6zu references "
			     "%016llx\n",
			s->name, (unsigned long long)s->size, s->places,
			s->refs, (unsigned long long)s->answer);
	}
	return 0;
}

static void
prepare(void)
{
	const struct rlimit none = {0, 0}, file = {FILE_MAX, FILE_MAX};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_FSIZE, &file);
	(void)signal(SIGXFSZ, SIG_IGN);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	stage_make();
	if (!seeds_make(false))
		exit(1);
}

static int
usage(void)
{
	(void)fprintf(stderr, "damage [--first K] [--images N] [--seed S] "
			      "[--jobs N] [--replay S:INDEX] [--seeds]\n");
	return 2;
}

static bool
number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && end != text && !*end;
}

static int
replay(const char *text)
{
	char first[32];
	const char *colon = strchr(text, ':');
	uint64_t index;

	if (!colon || (size_t)(colon - text) >= sizeof first)
		return usage();
	memcpy(first, text, (size_t)(colon - text));
	first[colon - text] = '\0';
	if (!number(first, &run_seed) || !number(colon + 1, &index))
		return usage();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	prepare();
	play(index, stdout);
	return board->inconsistent != 0;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"first", required_argument, NULL, 'f'},
		{"images", required_argument, NULL, 'i'},
		{"seed", required_argument, NULL, 's'},
		{"jobs", required_argument, NULL, 'j'},
		{"replay", required_argument, NULL, 'r'},
		{"seeds", no_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	uint64_t first = 0, images = 20000;
	uint64_t jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	bool list = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool good = option == 'i'   ? number(optarg, &images)
			    : option == 'f' ? number(optarg, &first)
			    : option == 's' ? number(optarg, &run_seed)
			    : option == 'j' ? number(optarg, &jobs)
					    : option == 'l' || option == 'r';

		if (!good || !jobs)
			return usage();
		if (option == 'r')
			return replay(optarg);
		list |= option == 'l';
	}
	if (optind < argc)
		return usage();
	prepare();
	if (list)
		return list_seeds();
	return run(first, images, (int)(jobs < JOBS_MAX ? jobs : JOBS_MAX));
}
