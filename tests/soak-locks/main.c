/* SPDX-License-Identifier: BSL-1.0 */
/*
 * soak-locks [--seconds N | --kills N] [--stall MS] [--control] [PRIMITIVE...]
 *
 * Users of each primitive are killed at random: for so many seconds each (2), or so many
 * kills. --control: the same over glibc's, which must fail. A line for each.
 */
#include "locks.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	CONTROL_SECONDS = 20
};

STOA_TYPE(place, lock, mutex, changed, sem, pool, event, count, barrier, owner,
	upgrader, a, b, tokens, made, used, cursor, latch, once, did);

struct board *board;
place *p;
stoa_segment *seg;
const struct play *play;
struct score score;
unsigned stall_ms = 2000;

static const struct play *const plays[] = {&mutex_play, &rwlock_play,
	&condition_play, &condition_rwlock_play, &semaphore_play, &permits_play,
	&event_play, &event_manual_play, &latch_play, &once_play,
	&eventcount_play, &barrier_play, &barrier_for_play};
static const struct play *const controls[] = {
	&control_cond_play, &control_rwlock_play, &control_sem_play};

static bool
open_place(void)
{
	const place *found = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.limit = 16 << 20, .threads = 4 * CREW),
		&seg);

	if (!rc)
		rc = stoa_object_open(seg, "place", place, &found);
	if (rc)
		fprintf(stderr, "soak-locks: %s\n", stoa_error_text());
	p = (place *)(uintptr_t)found;
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return !rc && board != MAP_FAILED;
}

/* True: as it must be. */
static bool
run_one(const struct play *it, uint64_t kills, unsigned seconds)
{
	const uint64_t from = us_now();
	bool on;

	play = it;
	on = it->control ? run_play(0, CONTROL_SECONDS)
			 : run_play(kills, seconds);
	if (it->control && !on && !score.kills)
		on = true; /* nobody has died yet: the play is wrong, not the peer */
	if (it->control && !on)
		printf("ok soak-locks/%s: fails as it must: %s (%" PRIu64
		       " kills, %.1f s)\n",
			it->name, board->why, score.kills,
			(double)(us_now() - from) / 1e6);
	else if (it->control)
		printf("FAILED soak-locks/%s: %" PRIu64 " kills, and %s\n",
			it->name, score.kills,
			board->broken ? board->why : "nothing was seen");
	else if (on)
		printf("ok soak-locks/%s: %" PRIu64 " kills (%" PRIu64
		       " in a wake-up), %" PRIu64
		       " operations, longest stall %" PRIu64
		       " ms, %u quiet deaths, woken after %u ms (median), "
		       "%.0f kills/s\n",
			it->name, score.kills, score.in_wake, score.ops,
			score.stall / 1000, score.quiet,
			score.quiet ? score.quiet_ms[score.quiet / 2 % 256] : 0,
			(double)score.kills * 1e6 / (double)(us_now() - from));
	else
		printf("FAILED soak-locks/%s: %s (%" PRIu64
		       " kills, round %" PRIu64 ")\n",
			it->name, board->why, score.kills, score.rounds);
	fflush(stdout);
	return on != it->control;
}

static bool
wanted(const char *name, char **names, int n)
{
	bool any = !n;

	for (int i = 0; i < n; i++)
		any |= !strcmp(name, names[i]);
	return any;
}

static int
usage(void)
{
	fprintf(stderr,
		"soak-locks [--seconds N | --kills N] [--stall MS] [--control] "
		"[PRIMITIVE...]\n");
	return 2;
}

int
main(int argc, char **argv)
{
	const struct play *const *all = plays;
	size_t n = sizeof plays / sizeof plays[0], run = 0;
	uint64_t kills = 0;
	unsigned seconds = 2;
	int i = 1, failed = 0;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--control")) {
			all = controls;
			n = sizeof controls / sizeof controls[0];
		} else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			seconds = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--kills") && i + 1 < argc) {
			kills = strtoull(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--stall") && i + 1 < argc) {
			stall_ms = (unsigned)strtoul(argv[++i], NULL, 10);
		} else {
			return usage();
		}
	}
	if (!open_place())
		return 1;
	for (size_t k = 0; k < n; k++)
		if (wanted(all[k]->name, argv + i, argc - i)) {
			run++;
			failed += !run_one(all[k], kills, seconds);
		}
	stoa_segment_close(seg);
	return run ? failed != 0 : usage();
}
