/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The search: is there a schedule in which something goes wrong?
 *
 * Depth first over states. A state is bytes: the memory that was given to
 * model_track, the threads, and the used part of each stack. Going back is copying
 * them back; a state that was met before, with as many preemptions left, is not
 * entered again. States are known by 64 bits of hash.
 *
 *	path   begin -> action -> state -> action -> state ...    copies where there
 *	                                                          was a choice
 *
 * Before that, some schedules by chance: they teach threads.c which words meet,
 * and find simple mistakes at once. When a word is learned late, the search
 * begins again, since what it knows of states came from too few points.
 *
 * Sequential consistency only: what one thread stores, all see at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/hash.h"
#include "threads.h"

enum {
	RANGES = 64,
	DEPTH = 1 << 15,
	SEEN_SHIFT = 24,
	WALKS = 3000
};

struct range {
	char *at;
	size_t size;
	unsigned thread;
};

struct node { /* one state on the path, and which way was taken from it */
	struct action actions[THREADS_ACTIONS];
	unsigned count, next;
	unsigned preemptions; /* made so far */
	uint64_t hash[MODEL_THREADS];
	struct thread did; /* the acting thread before it acted: for people */
	char *copy;        /* NULL: there was one way only */
	size_t copy_size;
};

static struct {
	const struct model_case *it;
	struct model_bounds bounds;
	uint64_t states, schedules, deaths, ticks, restarts;
	double seconds, until;
	const char *wrong;
	bool stopped;
} search;

const char model_over[] = "over";
static struct range ranges[RANGES];
static unsigned range_count;
static struct node path[DEPTH];
static unsigned depth;
static unsigned preemptions;
static uint64_t hash[MODEL_THREADS];
static uint64_t *seen;
static size_t seen_count;

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- states ---- */

void
model_track(void *p, size_t size, unsigned thread)
{
	if (range_count == RANGES) {
		model_wrong("too many ranges are tracked");
		return;
	}
	ranges[range_count++] = (struct range){p, size, thread};
}

static char *
piece_copy(char *to, void *from, size_t size, bool back)
{
	if (back)
		memcpy(from, to, size);
	else
		memcpy(to, from, size);
	return to + size;
}

/* The state from or to a copy. */
static char *
state_copy(char *copy, bool back)
{
	copy = piece_copy(copy, &threads, sizeof threads, back);
	for (unsigned r = 0; r < range_count; r++)
		copy = piece_copy(copy, ranges[r].at, ranges[r].size, back);
	for (unsigned t = 0; t < threads.count; t++) {
		size_t size;
		char *stack = threads_stack(t, &size);

		copy = piece_copy(copy, stack, size, back);
	}
	return copy;
}

static size_t
state_size(void)
{
	size_t size = sizeof threads, used;

	for (unsigned r = 0; r < range_count; r++)
		size += ranges[r].size;
	for (unsigned t = 0; t < threads.count; t++) {
		(void)threads_stack(t, &used);
		size += used;
	}
	return size;
}

static void
hash_thread(unsigned t)
{
	size_t size;
	const char *stack = threads_stack(t, &size);

	hash[t] = stoai_hash(stack, size, t);
	for (unsigned r = 0; r < range_count; r++)
		if (ranges[r].thread == t && size)
			hash[t] = stoai_hash(
				ranges[r].at, ranges[r].size, hash[t]);
}

static uint64_t
hash_state(void)
{
	uint64_t h = stoai_hash(&threads, sizeof threads, 0);

	for (unsigned r = 0; r < range_count; r++)
		if (ranges[r].thread == MODEL_NOBODY)
			h = stoai_hash(ranges[r].at, ranges[r].size, h);
	return stoai_hash(hash, sizeof hash, h);
}

/* False: it was met with as many preemptions left, or more. */
static bool
state_new(void)
{
	uint64_t h = hash_state(),
		 left = search.bounds.preemptions - preemptions;
	size_t i = h >> (64 - SEEN_SHIFT), mask = ((size_t)1 << SEEN_SHIFT) - 1;

	h = (h & ~UINT64_C(15)) | (left + 1);
	for (; seen[i]; i = (i + 1) & mask) {
		if ((seen[i] ^ h) & ~UINT64_C(15))
			continue;
		if ((seen[i] & 15) >= (h & 15))
			return false;
		seen[i] = h;
		return true;
	}
	seen[i] = h;
	search.states++;
	if (++seen_count > mask / 8 * 7)
		search.wrong = "the table of states is full: lower the bounds";
	return true;
}

/* ---- one way ---- */

static void
reset(void)
{
	range_count = 0;
	threads_begin(search.it->threads, search.it->run);
	preemptions = 0;
	depth = 0;
	search.it->begin();
	for (unsigned t = 0; t < threads.count; t++)
		hash_thread(t);
	if (!search.wrong)
		search.wrong = threads_wrong();
}

static void
act(const struct action *action)
{
	struct node *node = &path[depth];

	node->did = threads.at[action->thread];
	preemptions += action->cost;
	search.deaths += action->kind == ACTION_DIE;
	search.ticks += action->kind == ACTION_TICK;
	threads_do(action);
	hash_thread(action->thread);
	if (!search.wrong)
		search.wrong = threads_wrong();
}

/* Nobody can go on, and no tick helps: the schedule is over. */
static bool
ends(void)
{
	const char *why = model_over;
	bool asleep;

	if (search.wrong || !threads_idle(&asleep))
		return search.wrong != NULL;
	if (asleep)
		why = search.it->idle();
	if (why == model_over) {
		search.schedules++;
		search.wrong = search.it->end();
		return true;
	}
	search.wrong = why;
	if (!search.wrong && threads.ticks >= search.bounds.ticks)
		search.wrong = "no progress after that many ticks";
	return search.wrong != NULL;
}

static unsigned
ways(struct action actions[THREADS_ACTIONS])
{
	struct model_bounds left = search.bounds;

	left.preemptions -= preemptions;
	left.deaths -= threads.deaths;
	left.early -= threads.early;
	return threads_actions(&left, actions);
}

static bool
forward(void)
{
	if (depth + 1 == DEPTH)
		search.wrong = "a schedule has no end";
	return !search.wrong;
}

/* ---- by chance ---- */

static uint32_t
chance(uint32_t below)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 33) % below;
}

static void
walk(void)
{
	/* how often a thread is let go on; how likely a death is */
	uint32_t stay = 1 + chance(30), die = 1 + chance(200);

	reset();
	while (forward() && !ends()) {
		struct node *node = &path[depth];
		unsigned pick;

		node->count = ways(node->actions);
		if (!node->count)
			return;
		do
			pick = chance(stay) ? 0 : chance(node->count);
		while (node->count > 1 && pick &&
			node->actions[pick].kind == ACTION_DIE && chance(die));
		node->next = pick + 1;
		act(&node->actions[pick]);
		depth++;
	}
}

/* ---- all of them ---- */

static void
copy_away(struct node *node)
{
	size_t size = state_size();

	if (node->copy_size < size) {
		free(node->copy);
		node->copy = malloc(size + 1024);
		node->copy_size = node->copy ? size + 1024 : 0;
		if (!node->copy)
			abort();
	}
	node->preemptions = preemptions;
	memcpy(node->hash, hash, sizeof hash);
	(void)state_copy(node->copy, false);
}

static void
copy_back(struct node *node)
{
	/* the stacks' sizes are in what is copied first */
	(void)state_copy(node->copy, true);
	preemptions = node->preemptions;
	memcpy(hash, node->hash, sizeof hash);
}

/* The state that was just reached is the path's next; false: nothing to go on. */
static bool
enter(void)
{
	struct node *node = &path[depth];

	if (ends() || !state_new() || !forward())
		return false;
	node->count = ways(node->actions);
	node->next = 0;
	if (node->count > 1)
		copy_away(node);
	return node->count > 0;
}

/* Back to the last state with a way not taken; false: there is none. */
static bool
go_back(void)
{
	while (depth > 0) {
		struct node *node = &path[--depth];

		if (node->next < node->count) {
			copy_back(node);
			return true;
		}
	}
	return false;
}

/* False: something was learned, begin again. */
static bool
search_all(void)
{
	memset(seen, 0, sizeof *seen << SEEN_SHIFT);
	seen_count = 0;
	search.states = search.schedules = search.deaths = search.ticks = 0;
	reset();
	if (!enter())
		return true;
	for (;;) {
		struct node *node = &path[depth];

		act(&node->actions[node->next++]);
		if (threads_learned())
			return false;
		depth++;
		if (search.wrong)
			return true;
		if (!(search.states & 4095) && now() > search.until) {
			search.stopped = true;
			return true;
		}
		if (!enter() && (search.wrong || !go_back()))
			return true;
	}
}

/* ---- results ---- */

static const char *
action_text(const struct node *node, char buf[160])
{
	static const char *const op[] = {[MODEL_BEGIN] = "begins",
		[MODEL_LOAD] = "looks at",
		[MODEL_CHANGE] = "changes",
		[MODEL_WAIT] = "sleeps on",
		[MODEL_WAKE] = "wakes",
		[MODEL_YIELD] = "yields"};
	static const char *const kind[] = {[ACTION_DIE] = "dies before it",
		[ACTION_KERNEL] = "is buried a step further; it",
		[ACTION_TICK] = "has a tick; it"};
	extern const char __executable_start[];
	const struct action *a = &node->actions[node->next - 1];
	char place[64];

	model_place(node->did.at, place, sizeof place);
	(void)snprintf(buf, 160, "%s%u %s%s%s %s (%#zx)",
		a->cost ? "preempting, " : "", a->thread,
		a->kind ? kind[a->kind] : "", a->kind ? " " : "",
		op[node->did.op], place,
		node->did.called_from
			? (size_t)((const char *)node->did.called_from -
				   __executable_start)
			: 0);
	return buf;
}

static void
show_path(void)
{
	char buf[160];

	for (unsigned i = 0; i < depth; i++)
		printf("    %3u  %s\n", i, action_text(&path[i], buf));
}

/* What was wrong, or NULL. */
static const char *
search_case(const struct model_case *it)
{
	double began = now();

	memset(&search.states, 0, 5 * sizeof search.states);
	search.it = it;
	search.wrong = NULL;
	search.stopped = false;
	search.until = began + search.seconds;
	threads_forget();
	for (unsigned n = 0; n < WALKS && !search.wrong; n++)
		walk();
	while (!search.wrong && !search_all())
		search.restarts++;
	printf("%-44s| %9llu | %9llu | %9llu | %7llu | %u %u %u | %6.2f s%s\n",
		it->name, (unsigned long long)search.states,
		(unsigned long long)search.schedules,
		(unsigned long long)search.deaths,
		(unsigned long long)search.ticks, search.bounds.preemptions,
		search.bounds.deaths, search.bounds.early, now() - began,
		search.stopped ? " stopped" : "");
	return search.wrong;
}

struct wishes {
	const char *part;
	int preemptions, deaths, early; /* -1: the case's own */
	bool caught, quiet;
};

static bool
wish(struct wishes *w, const char *option, const char *value)
{
	if (!strcmp(option, "--bound"))
		w->preemptions = atoi(value);
	else if (!strcmp(option, "--deaths"))
		w->deaths = atoi(value);
	else if (!strcmp(option, "--early"))
		w->early = atoi(value);
	else if (!strcmp(option, "--seconds"))
		search.seconds = atof(value);
	else
		return false;
	return true;
}

static bool
wishes_read(struct wishes *w, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--caught"))
			w->caught = true;
		else if (argv[i][0] != '-')
			w->part = argv[i];
		else if (i + 1 == argc || !wish(w, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return true;
}

static void
bounds_set(const struct model_case *it, const struct wishes *w)
{
	search.bounds = it->bounds;
	if (w->preemptions >= 0)
		search.bounds.preemptions = (unsigned)w->preemptions % 15;
	if (w->deaths >= 0)
		search.bounds.deaths = (unsigned)w->deaths;
	if (w->early >= 0)
		search.bounds.early = (unsigned)w->early;
}

int
model_main(const char *subject, const struct model_case *cases, size_t count,
	int argc, char **argv)
{
	struct wishes w = {NULL, -1, -1, -1, false, false};
	const char *wrong = NULL;

	search.seconds = 3600;
	seen = calloc((size_t)1 << SEEN_SHIFT, sizeof *seen);
	if (!seen || !wishes_read(&w, argc, argv)) {
		fprintf(stderr,
			"usage: model-%s [CASE] [--bound N] [--deaths N] "
			"[--early N] [--seconds N] [--caught]\n",
			subject);
		return 2;
	}
	printf("%-44s| %9s | %9s | %9s | %7s | p d e |\n", subject, "states",
		"schedules", "deaths", "ticks");
	for (size_t i = 0; i < count && !wrong; i++) {
		if (w.part && !strstr(cases[i].name, w.part))
			continue;
		bounds_set(&cases[i], &w);
		wrong = search_case(&cases[i]);
	}
	if (wrong) {
		printf("%s: %s\n", w.caught ? "caught" : "FAILED", wrong);
		show_path();
	} else if (w.caught) {
		printf("FAILED: the mistake was not found\n");
	}
	free(seen);
	return (wrong != NULL) != w.caught;
}
