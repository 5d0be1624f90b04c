/* SPDX-License-Identifier: BSL-1.0 */
/*
 * One play to its end: who is killed, and does everybody else go on?
 *
 *	storm   kills every few hundred us: anybody, who sleeps, who is inside, who is
 *	        about to wake others; the dead are replaced at once
 *	calm    nobody is killed until each worker has gone on, or one of each role
 *	        where they take things from each other
 *	rest    some are killed and not replaced: the makers, where there are makers,
 *	        else all but two. The others must finish what is left
 *	whole   all are killed; what is left is as the dead have said
 *	quiet   all sleep, far from their next tick, when the one that lets them go dies
 *	        before it has woken them: they must be woken, and not by a tick
 *
 * Whatever stands still for longer than a tick and a second is a failure, with a picture.
 */
#include "locks.h"
#include "slots.h"
#include <signal.h>
#include <unistd.h>

enum {
	HANG_SECONDS = 60,
	STORM_KILLS = 24,
	PAUSE_US = 400,
	DOOM_US = 1500,
	LOOK_US = 100,
	CHECK_EVERY = 16, /* rounds */
	QUIET_EVERY_US = 700000,
	QUIET_AT_LEAST = 3,
	CONTROL_FIRST_US = 8000000, /* storms alone, which should do */
	QUIET_CREW = 4,
	BETWEEN_TICKS_US = 200000, /* of 188 to 262 ms: tests/proc/wake.c */
	QUIET_MEDIAN_MS = 20
};

static void
picture(void)
{
	if (play->control) /* as it must */
		return;
	fprintf(stderr, "soak-locks/%s: %s\n", play->name, board->why);
	for (unsigned k = 0; k < CREW; k++) {
		const struct actor *it = &board->actor[k];

		if (alive(k))
			fprintf(stderr,
				"  worker %u role %u slot %u: %" PRIu64
				" steps, inside %" PRIu64 " at %" PRIu64
				" life %u%s\n",
				k + 1, k % roles(), it->slot - 1, it->beat,
				it->inside, it->at, it->life,
				it->dying ? " dying" : "");
	}
	show_slots(seg);
}

/* False, and said: it is broken. */
static bool
good(void)
{
	if (!a32_load_acquire(&board->broken))
		return true;
	while (a32_load_acquire(&board->broken) != 2)
		us_sleep(LOOK_US);
	return false;
}

static void
note_stall(uint64_t us)
{
	if (us > score.stall)
		score.stall = us;
}

static void
look_at(uint64_t seen[CREW])
{
	for (unsigned k = 0; k < CREW; k++)
		seen[k] = a64_load_seq_cst(&board->actor[k].beat);
}

static bool
moved(unsigned k, const uint64_t seen[CREW])
{
	return a64_load_seq_cst(&board->actor[k].beat) != seen[k];
}

/* Has each living one, or one of its role, gone on since? */
static bool
all_moved(const uint64_t seen[CREW], bool each)
{
	for (unsigned k = 0; k < CREW; k++) {
		bool on = !alive(k) || moved(k, seen);

		for (unsigned i = k % roles(); !each && i < CREW; i += roles())
			on |= moved(i, seen);
		if (!on)
			return false;
	}
	return true;
}

/* until it is so; how long it took counts as a stall. False: too long. */
static bool
awaited(bool (*rest)(void), const uint64_t seen[CREW], bool each,
	const char *what)
{
	const uint64_t from = us_now();

	while (good() && !(rest ? rest() : all_moved(seen, each))) {
		if (us_now() - from > (uint64_t)stall_ms * 1000)
			broken("%s: somebody stands still for %u ms", what,
				stall_ms);
		us_sleep(LOOK_US);
	}
	note_stall(us_now() - from);
	return good();
}

/* ---- storm ---- */

static bool
asleep(unsigned k)
{
	const uint32_t slot = a32_load_relaxed(&board->actor[k].slot);
	const struct stoai_slot *s;

	if (!slot || play->control)
		return false;
	s = stoai_slot_at(seg, slot - 1);
	return a64_load_relaxed(&s->waiting) || a64_load_relaxed(&s->woken);
}

static bool
inside(unsigned k)
{
	return a64_load_relaxed(&board->actor[k].inside) != 0;
}

/* One of whom that is so, if there is one. */
static unsigned
somebody(bool (*so)(unsigned k))
{
	const unsigned from = dice(CREW);

	for (unsigned n = 0; so && n < CREW; n++)
		if (so((from + n) % CREW))
			return (from + n) % CREW;
	return from;
}

static bool
storm(void)
{
	uint64_t seen[CREW], since = us_now();

	look_at(seen);
	for (unsigned n = STORM_KILLS; n && good(); n--) {
		bool (*const aim[])(unsigned) = {NULL, asleep, inside};
		const unsigned what = dice(4),
			       k = somebody(what < 3 ? aim[what] : NULL);
		bool any = false;

		us_sleep(dice(PAUSE_US));
		if (what < 3)
			kill_one(k);
		else
			(void)doom(k, DOOM_US);
		(void)hire(k, keep_on);
		for (unsigned i = 0; i < CREW; i++)
			any |= moved(i, seen);
		if (any) {
			note_stall(us_now() - since);
			since = us_now();
			look_at(seen);
		} else if (us_now() - since > (uint64_t)stall_ms * 1000) {
			broken("storm: nobody goes on for %u ms", stall_ms);
		}
	}
	return good();
}

static bool
calm(void)
{
	uint64_t seen[CREW];

	look_at(seen);
	return awaited(NULL, seen, play->each, "calm");
}

/* ---- rest ---- */

static bool
rest(void)
{
	uint64_t seen[CREW];
	unsigned left = CREW;

	for (unsigned k = 0; play->makers && k < CREW; k += roles()) {
		if (dice(2))
			kill_one(k);
		else
			(void)doom(k, DOOM_US);
		left--;
	}
	while (left > 2) {
		const unsigned k = dice(CREW);

		left -= alive(k);
		kill_one(k);
	}
	if (play->help)
		play->help();
	if (!play->control && dice(2)) /* or they find out themselves */
		(void)stoa_segment_recover(seg);
	look_at(seen);
	return awaited(play->rest, seen, true, "rest");
}

/* ---- nobody lives ---- */

static void
whole(void)
{
	stoa_segment_stat now;

	if (play->whole && !play->whole())
		broken("all are dead, and it is not whole");
	if (play->control)
		return;
	stoa_segment_statistics(seg, &now);
	if (now.threads > 1)
		broken("%u slots are in use, and nobody lives", now.threads);
	if (score.rounds % CHECK_EVERY == 0 && stoa_segment_check(seg))
		broken("check: %s", stoa_error_text());
	if (score.rounds % CHECK_EVERY == 0 && stoa_segment_leaked(seg))
		broken("leaked: %s", stoa_error_text());
}

static bool
all_dead(void)
{
	kill_all();
	if (!play->control && stoa_segment_recover(seg) < 0)
		broken("recovery: %s", stoa_error_text());
	if (good())
		whole();
	memset(board->done, 0, sizeof board->done);
	memset(board->maybe, 0, sizeof board->maybe);
	play->fresh();
	return good();
}

/* ---- a quiet death ---- */

static bool
any_moved(const uint64_t seen[CREW])
{
	bool any = false;

	for (unsigned k = 1; k <= QUIET_CREW; k++)
		any |= moved(k, seen);
	return any;
}

static bool
is_ready(void)
{
	return a32_load_acquire(&board->ready) != 0;
}

static void
start_quiet(void)
{
	board->ready = board->go = 0;
	(void)hire(0, act_and_die);
	(void)awaited(is_ready, NULL, false, "quiet: getting ready");
	for (unsigned k = 1; k <= QUIET_CREW; k++)
		if (!play->makers || k % roles())
			(void)hire(k, keep_on);
	us_sleep(BETWEEN_TICKS_US);
}

static bool
quiet(void)
{
	uint64_t seen[CREW], from;
	bool died;

	start_quiet();
	look_at(seen);
	a32_store_release(&board->go, 1);
	died = doom(0, stall_ms * 500);
	if (!play->control)
		(void)stoa_segment_recover(seg);
	from = us_now();
	while (good() && !any_moved(seen)) {
		if (us_now() - from > (uint64_t)stall_ms * 1000)
			broken("a death in the wake-up: those who sleep stand "
			       "still for %u ms",
				stall_ms);
		us_sleep(LOOK_US);
	}
	note_stall(us_now() - from);
	if (died)
		score.quiet_ms[score.quiet++ % 256] =
			(unsigned)((us_now() - from) / 1000);
	if (!good())
		picture();
	board->ready = 0;
	return all_dead();
}

static int
by_size(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

static bool
quiet_judged(void)
{
	const unsigned n = score.quiet < 256 ? score.quiet : 256;

	qsort(score.quiet_ms, n, sizeof score.quiet_ms[0], by_size);
	if (n && score.quiet_ms[n / 2] > QUIET_MEDIAN_MS)
		broken("a death in the wake-up: the others are woken after %u "
		       "ms, median of %u",
			score.quiet_ms[n / 2], n);
	return good();
}

/* ---- all of it ---- */

static uint64_t
steps(void)
{
	uint64_t n = 0;

	for (unsigned k = 0; k < CREW; k++)
		n += board->actor[k].beat;
	return n;
}

/* This process hangs itself: a failure, and not a hang. */
static void
hangs(int sig)
{
	static const char text[] = "FAILED soak-locks: the supervisor hangs\n";

	(void)sig;
	(void)!write(STDOUT_FILENO, text, sizeof text - 1);
	_exit(1);
}

static bool
one_round(void)
{
	for (unsigned k = 0; k < CREW; k++)
		(void)hire(k, keep_on);
	/* calm at first, too: so a control fails by its deaths, not by the play */
	if (!calm() || !storm() || !calm() || !rest()) {
		picture();
		kill_all();
		return false;
	}
	score.rounds++;
	return all_dead();
}

bool
run_play(uint64_t kills, unsigned seconds)
{
	const uint64_t from = us_now();
	uint64_t quiet_at = from + (play->control ? CONTROL_FIRST_US : 0);
	uint64_t now = from;
	bool on = true;

	memset(board, 0, sizeof *board);
	memset(&score, 0, sizeof score);
	signal(SIGALRM, hangs);
	alarm(HANG_SECONDS);
	play->fresh();
	while (on && (kills ? score.kills < kills
			    : now - from < (uint64_t)seconds * 1000000)) {
		if (play->act && now >= quiet_at) {
			on = quiet();
			quiet_at = us_now() + QUIET_EVERY_US;
		}
		on = on && one_round();
		alarm(HANG_SECONDS);
		now = us_now();
	}
	for (int n = 0; on && play->act && n < QUIET_AT_LEAST &&
			score.quiet < QUIET_AT_LEAST;
		n++)
		on = quiet();
	on = on && quiet_judged();
	kill_all();
	alarm(0);
	score.ops = steps();
	return on && good();
}
