/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The kill soak: more worker processes than processors make random transactions
 * over one segment, and SIGKILL takes them at random moments, or at chosen ones.
 *
 *	soak [--seconds N] [--variant NAME] [--workers N] [--stall-ms N]
 *
 * The time is shared by seasons, a variant each: the ordinary one, one about the heap
 * alone (blocks.c), without the kernel's marks, without futex_waitv, in PID namespaces
 * where all have the same numbers, with fewer slots than threads, on a disk that is
 * full. Each season is a process of its own with a segment of its own; storm.c says
 * what happens in it.
 *
 * STOA_SEED repeats the random choices, though not their moments.
 */
#include "soak.h"
#include "base/atomic.h"
#include "scene.h"
#include "segment/seat.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct variant variants[] = {
	{.name = "ordinary", .share = 8, .about = WORLD},
	{.name = "blocks", .share = 6, .about = BLOCKS},
	{.name = "without tokens",
		.share = 2,
		.about = WORLD,
		.without = STOA_WITHOUT_TOKENS},
	{.name = "without waitv",
		.share = 2,
		.about = WORLD,
		.without = STOA_WITHOUT_WAITV},
	{.name = "without both",
		.share = 2,
		.about = WORLD,
		.without = STOA_WITHOUT_TOKENS | STOA_WITHOUT_WAITV},
	{.name = "namespaces",
		.share = 2,
		.about = WORLD,
		.namespaces = true,
		.special = "a worker was pid 1"},
	{.name = "few slots",
		.share = 2,
		.about = WORLD,
		.slots = 5,
		.also = {-EUSERS},
		.special = "a thread found no slot"},
	{.name = "full disk",
		.share = 2,
		.about = WORLD,
		.disk_kb = 1600,
		.also = {-ENOSPC},
		.special = "the disk was full"},
};

enum {
	VARIANTS = sizeof variants / sizeof variants[0],
	STALL_MS = 2000
};

struct board *board;
struct score *score;
struct season season = {.namespace_fd = -1};

static struct {
	unsigned seconds, workers, stall_ms;
	uint64_t seed;
	const char *only;
	char *folder;
} soak;

void
broken(const char *format, ...)
{
	const uint32_t i = a32_fetch_add_seq_cst(&score->errors, 1);
	va_list ap;

	if (i >= ERRORS_MAX)
		return;
	va_start(ap, format);
	vsnprintf(score->error[i], ERROR_TEXT, format, ap);
	va_end(ap);
	fprintf(stderr, "soak: %s\n", score->error[i]);
}

uint64_t
ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
us_sleep(unsigned us)
{
	struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

static void *
shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	perror("soak: mmap");
	exit(2);
}

/* ---- one season, in a process of its own ---- */

static int
fill_world(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const world *w = NULL;
	int rc = open_world(&seg, &w);

	if (rc)
		return rc;
	STOA_TX(tx, seg, &w->account[0].lock);
	for (int i = 0; i < ACCOUNTS; i++) {
		if (i && stoa_tx_lock(tx, &w->account[i].lock))
			return stoa_tx_error(tx);
		STOA_SET(tx, w->account[i].balance, START_BALANCE);
	}
	STOA_SET(tx, w->filled, 1);
	season.world_off = (uint64_t)((const char *)w - seg->base);
	return stoa_tx_commit(tx);
}

enum {
	SEASON_DONE = 0,
	SEASON_IMPOSSIBLE = 77
};

/* What the variant needs of the system. */
static bool
prepare(void)
{
	const struct variant *v = season.variant;
	char size[32];

	if (v->namespaces) {
		season.namespace_fd =
			open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (season.namespace_fd < 0 || unshare(CLONE_NEWPID) ||
			setns(season.namespace_fd, CLONE_NEWPID))
			return false;
	}
	if (v->disk_kb) {
		snprintf(size, sizeof size, "size=%uk", v->disk_kb);
		if (!scene_own_mounts() ||
			mount("soak", soak.folder, "tmpfs", 0, size))
			return false;
	}
	return true;
}

static int
be_season(void)
{
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!prepare())
		return SEASON_IMPOSSIBLE;
	rc = fill_world();
	if (!rc)
		rc = stoa_segment_open("soak",
			season.variant->about == BLOCKS ? 0 : STOA_RDONLY, NULL,
			&season.view);
	if (rc) {
		broken("%s (%s)", stoa_strerror(rc), stoa_error_text());
		return SEASON_DONE;
	}
	run_season();
	if (season.variant->special && !score->special && season.seconds)
		broken("never: %s", season.variant->special);
	season.view = stoa_segment_close(season.view);
	return SEASON_DONE;
}

static void
show_score(void)
{
	printf("%-15s %6" PRIu64, season.variant->name, score->dead);
	for (int i = 0; i < AIMS; i++)
		printf(" %6" PRIu64, score->kills[i]);
	printf(" %6" PRIu64 " %9" PRIu64 " %6" PRIu64 " %6" PRIu64 " %7" PRId64
	       " %6u\n",
		score->pauses, score->ops, score->judged, score->longest_stall,
		score->leaked, score->errors);
	if (score->alive_most && season.variant->about == BLOCKS)
		printf("%-15s %" PRIu64 " KiB at most, of %" PRIu64
		       " KiB of heap at most\n",
			"", score->alive_most >> 10, score->heap_most >> 10);
	fflush(stdout);
}

static void
one_season(const struct variant *v, unsigned seconds, struct score *s)
{
	int status = -1;
	pid_t pid;

	score = s;
	season.variant = v;
	season.seconds = seconds;
	season.workers = soak.workers;
	season.stall_ms = soak.stall_ms;
	season.seed = season.random = soak.seed;
	memset(board, 0, sizeof *board);
	soak.folder = scene_directory(false);
	if (!soak.folder || setenv("STOA_DIRECTORY", soak.folder, 1)) {
		broken("a folder: %s", strerror(errno));
		return;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(be_season());
	waitpid(pid, &status, 0);
	scene_remove(soak.folder);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SEASON_IMPOSSIBLE) {
		scene_skipped(v->name, "this system does not allow it");
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != SEASON_DONE)
		broken("the season ended with status %#x", (unsigned)status);
	show_score();
}

/* ---- all of them ---- */

static bool
is_chosen(const struct variant *v)
{
	return !soak.only || !strcmp(soak.only, v->name);
}

/* The first errors once more, at the end, where they are looked for. */
static uint32_t
report(const struct score *scores)
{
	uint64_t dead = 0, stall = 0, per_op[OPS] = {0};
	uint32_t errors = 0, about = 0;
	int64_t leaked = 0;

	for (int v = 0; v < VARIANTS; v++) {
		const struct score *s = &scores[v];

		about |= is_chosen(&variants[v]) ? variants[v].about : 0;
		dead += s->dead;
		errors += s->errors;
		leaked += s->leaked;
		if (s->longest_stall > stall)
			stall = s->longest_stall;
		for (int i = 0; i < OPS; i++)
			per_op[i] += s->per_op[i];
		for (uint32_t i = 0; i < s->errors && i < 3; i++)
			printf("%s: %s\n", variants[v].name, s->error[i]);
	}
	for (uint32_t i = 0; i < OPS && soak.seconds >= 10; i++)
		if (!per_op[i] && op_at(i)->about & about) {
			printf("'%s' never ended\n", op_at(i)->name);
			errors++;
		}
	printf("soak: %" PRIu64 " kills, %u errors, %" PRId64
	       " leaked, longest stall %" PRIu64 " ms\n",
		dead, errors, leaked, stall);
	if (errors)
		printf("again: STOA_SEED=%" PRIu64 "\n", soak.seed);
	return errors;
}

static int
options(int argc, char **argv)
{
	static const struct option known[] = {
		{"seconds", required_argument, NULL, 's'},
		{"variant", required_argument, NULL, 'v'},
		{"workers", required_argument, NULL, 'w'},
		{"stall-ms", required_argument, NULL, 'm'}, {NULL, 0, NULL, 0}};
	const char *seed = getenv("STOA_SEED");
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	bool found = false;
	int c;

	soak.seconds = 25;
	soak.stall_ms = STALL_MS;
	soak.workers = 2 * (unsigned)(cores > 0 ? cores : 1) + 1;
	soak.seed = seed ? strtoull(seed, NULL, 0)
			 : ms_now() * UINT64_C(2654435761);
	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (c == 's')
			soak.seconds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'v')
			soak.only = optarg;
		else if (c == 'w')
			soak.workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'm')
			soak.stall_ms = (unsigned)strtoul(optarg, NULL, 10);
		else
			return -1;
	}
	for (int i = 0; i < VARIANTS; i++)
		found |= is_chosen(&variants[i]);
	return !found || optind < argc || soak.workers < 1 ||
			       soak.workers > WORKERS_MAX
		       ? -1
		       : 0;
}

static void
usage(void)
{
	fputs("usage: soak [--seconds N] [--variant NAME] [--workers 1..64] "
	      "[--stall-ms N]\nvariants:",
		stderr);
	for (int i = 0; i < VARIANTS; i++)
		fprintf(stderr, "%s %s", i ? "," : "", variants[i].name);
	fputs("\n", stderr);
}

int
main(int argc, char **argv)
{
	struct score *scores = shared_memory(sizeof *scores * VARIANTS);
	uint32_t shares = 0;

	board = shared_memory(sizeof *board);
	if (options(argc, argv)) {
		usage();
		return 2;
	}
	for (int i = 0; i < VARIANTS; i++)
		shares += is_chosen(&variants[i]) ? variants[i].share : 0;
	printf("soak: %u s, %u workers, STOA_SEED=%" PRIu64 "\n"
	       "%-15s %6s %6s %6s %6s %6s %6s %6s %6s %9s %6s %6s %7s %6s\n",
		soak.seconds, soak.workers, soak.seed, "variant", "dead", "any",
		"waiter", "recov.", "grower", "attach", "all", "paused",
		"operations", "judged", "stall", "leaked", "errors");
	for (int i = 0; i < VARIANTS; i++)
		if (is_chosen(&variants[i]))
			one_season(&variants[i],
				(soak.seconds * variants[i].share +
					shares / 2) /
					shares,
				&scores[i]);
	return report(scores) != 0;
}
