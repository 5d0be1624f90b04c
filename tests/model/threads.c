/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Threads of the model: what is a step, and what can happen between two?
 *
 *	model_point      the thread says what it does next and stops; chosen, it
 *	                 does that and all that follows up to its next point
 *	model_shared     only words that two threads use, and one changes, are
 *	                 points: any other access has the same result whenever it
 *	                 is made. Which words these are is learned on the way;
 *	                 search.c begins again when there is a new one
 *
 * A death is offered after a step that changed something, and while a thread
 * sleeps or was just woken: after a step that only looked it would leave what a
 * death before that step leaves. A thread's death and the first thing that the
 * kernel does for it are one step, since nobody can tell them apart.
 */
#include "threads.h"
#include "coroutine.h"
#include <string.h>

enum {
	SHARED_WORDS = 8192,
	THREADS_BITS = (1 << MODEL_THREADS) - 1,
	JUDGE_BIT = 1 << MODEL_NOBODY
};

struct threads threads;
static char stacks[MODEL_THREADS][THREADS_STACK] __attribute__((aligned(64)));
static void *scheduler_sp;
static unsigned current = MODEL_NOBODY;
static void (*run_thread)(unsigned thread);
static unsigned wake_choice;
static const char *wrong;

static char *shared;
static size_t shared_size;
/* by word: bit per thread that has looked at it, that has changed it */
static uint8_t looked[SHARED_WORDS], changed[SHARED_WORDS];
static bool learned, judging;

unsigned
model_thread(void)
{
	return current;
}

void
model_wrong(const char *what)
{
	if (!wrong)
		wrong = what;
}

const char *
threads_wrong(void)
{
	const char *what = wrong;

	wrong = NULL;
	return what;
}

/* ---- points ---- */

static bool
op_changes(enum model_op op)
{
	return op == MODEL_BEGIN || op == MODEL_CHANGE || op == MODEL_WAKE;
}

static void
stop(struct thread *me)
{
	coroutine_switch(&me->sp, scheduler_sp);
}

static void
point(enum model_op op, const void *at, uint32_t count, const void *caller)
{
	struct thread *me = &threads.at[current];

	me->dirty = op_changes(me->op);
	me->op = op;
	me->at = at;
	me->count = count;
	me->called_from = caller;
	stop(me);
}

void
model_point(enum model_op op, const void *at, uint32_t count)
{
	if (current != MODEL_NOBODY)
		point(op, at, count, __builtin_return_address(0));
}

void
model_shared(void *p, size_t size)
{
	shared = p;
	shared_size = size;
	if (size / 4 > SHARED_WORDS)
		model_wrong("the model's table of words is too small");
}

void
threads_forget(void)
{
	memset(looked, 0, sizeof looked);
	memset(changed, 0, sizeof changed);
}

void
model_kernels(const uint32_t *word)
{
	size_t w = (size_t)((const char *)word - shared) / 4;

	looked[w] = changed[w] = UINT8_MAX;
}

bool
threads_learned(void)
{
	bool it = learned;

	learned = false;
	return it;
}

/*
 * Is the access a point? Two threads use the word, and one changes it; or this
 * changes what the judge's recovery looks at, so that a death before differs from
 * one behind.
 */
static bool
word_meets(size_t word, bool changes, unsigned thread)
{
	uint8_t used = (looked[word] | changed[word]) & THREADS_BITS;
	bool met = changed[word] && (used & (used - 1));
	bool told = changed[word] && looked[word] & JUDGE_BIT;

	looked[word] |= (uint8_t)(1u << thread);
	if (changes)
		changed[word] |= (uint8_t)(1u << thread);
	used = (looked[word] | changed[word]) & THREADS_BITS;
	learned |= !met && changed[word] && (used & (used - 1));
	met = changed[word] && (used & (used - 1));
	learned |= !told && changed[word] && looked[word] & JUDGE_BIT;
	return met || (changes && looked[word] & JUDGE_BIT);
}

static bool
meets(const void *p, size_t size, bool changes, unsigned thread)
{
	size_t from = (size_t)((const char *)p - shared);
	bool met = false;

	if (from >= shared_size)
		return false;
	for (size_t w = from / 4; w <= (from + size - 1) / 4; w++)
		met |= word_meets(w, changes, thread);
	return met;
}

void
model_judge(bool looks)
{
	judging = looks;
}

/* What base/atomic.h calls. */
void stoai_model_step(const void *p, size_t size, bool changes);

void
stoai_model_step(const void *p, size_t size, bool changes)
{
	bool local = (size_t)((const char *)p - shared) >= shared_size;

	if (current == MODEL_NOBODY) {
		if (judging)
			(void)meets(p, size, false, MODEL_NOBODY);
		return;
	}
	/* of thread-local words only changes matter: the kernel reads a list */
	if (local ? changes : meets(p, size, changes, current))
		point(changes ? MODEL_CHANGE : MODEL_LOAD, p, (uint32_t)size,
			__builtin_return_address(0));
}

/* ---- sleeping ---- */

int
model_sleep(const uint32_t *const *words, unsigned n, bool forever)
{
	struct thread *me = &threads.at[current];

	me->state = MODEL_ASLEEP;
	me->dirty = true;
	me->forever = forever;
	me->woken = MODEL_NEVER;
	for (unsigned i = 0; i < 2; i++)
		me->on[i] = i < n ? words[i] : NULL;
	stop(me);
	me->forever = false;
	me->on[0] = me->on[1] = NULL;
	me->op = MODEL_LOAD;
	return me->woken;
}

bool
model_sleeps_on(unsigned t, const uint32_t *word)
{
	return threads.at[t].state == MODEL_ASLEEP &&
	       (threads.at[t].on[0] == word || threads.at[t].on[1] == word);
}

static unsigned
sleepers(const uint32_t *word)
{
	unsigned n = 0;

	for (unsigned t = 0; t < threads.count; t++)
		n += model_sleeps_on(t, word);
	return n;
}

unsigned
model_wake(const uint32_t *word, uint32_t count)
{
	unsigned skip =
		count == 1 && wake_choice < sleepers(word) ? wake_choice : 0;
	unsigned woken = 0;

	for (unsigned t = 0; t < threads.count && woken < count; t++) {
		struct thread *it = &threads.at[t];

		if (!model_sleeps_on(t, word) || skip-- > 0)
			continue;
		skip = 0;
		it->woken = it->on[0] == word ? 0 : 1;
		it->state = MODEL_READY;
		it->dirty = true;
		woken++;
	}
	return woken;
}

enum model_state
model_state_of(unsigned thread)
{
	return thread == MODEL_NOBODY ? MODEL_READY : threads.at[thread].state;
}

unsigned
model_deaths(void)
{
	return threads.deaths;
}

/* ---- life ---- */

static void
gone(struct thread *it, enum model_state state)
{
	memset(it, 0, sizeof *it);
	it->state = state;
}

static void
thread_main(void)
{
	run_thread(current);
	gone(&threads.at[current], MODEL_DONE);
	stop(&(struct thread){0});
}

void
threads_begin(unsigned count, void (*run)(unsigned thread))
{
	memset(&threads, 0, sizeof threads);
	threads.count = count;
	threads.last = MODEL_NOBODY;
	run_thread = run;
	learned = false;
	for (unsigned t = 0; t < count; t++) {
		threads.at[t].sp =
			coroutine_begin(stacks[t] + THREADS_STACK, thread_main);
		threads.at[t].dirty = true;
	}
}

char *
threads_stack(unsigned t, size_t *size)
{
	char *sp = threads.at[t].sp, *end = stacks[t] + THREADS_STACK;

	*size = sp ? (size_t)(end - sp) : 0;
	return end - *size;
}

/* ---- what may happen, and its happening ---- */

struct listing {
	struct action *to;
	unsigned n;
};

static void
list(struct listing *l, enum action_kind kind, unsigned t, unsigned choices,
	unsigned cost)
{
	for (unsigned c = 0; c < choices && l->n < THREADS_ACTIONS; c++)
		l->to[l->n++] = (struct action){
			(uint8_t)kind, (uint8_t)t, (uint8_t)c, (uint8_t)cost};
}

/* word: the one whose sleepers are woken, or NULL; one of them: which? */
static unsigned
choices(const uint32_t *word)
{
	unsigned n = word ? sleepers(word) : 1;

	return n > 1 ? n : 1;
}

static void
list_run(struct listing *l, unsigned t, unsigned cost)
{
	const struct thread *it = &threads.at[t];
	bool one = it->op == MODEL_WAKE && it->count == 1;

	list(l, ACTION_RUN, t, choices(one ? it->at : NULL), cost);
}

bool
threads_idle(bool *asleep)
{
	*asleep = false;
	for (unsigned t = 0; t < threads.count; t++) {
		if (threads.at[t].state == MODEL_READY || threads.at[t].burying)
			return false;
		*asleep |= threads.at[t].state == MODEL_ASLEEP;
	}
	return true;
}

unsigned
threads_actions(
	const struct model_bounds *left, struct action actions[THREADS_ACTIONS])
{
	unsigned last = threads.last;
	bool goes_on = last != MODEL_NOBODY &&
		       threads.at[last].state == MODEL_READY &&
		       threads.at[last].op != MODEL_YIELD;
	struct listing l = {actions, 0};
	bool asleep, idle = threads_idle(&asleep);

	if (goes_on)
		list_run(&l, last, 0);
	for (unsigned t = 0; t < threads.count; t++)
		if (threads.at[t].burying)
			list(&l, ACTION_KERNEL, t, choices(kernel_wakes(t)), 0);
	for (unsigned t = 0; t < threads.count; t++)
		if (threads.at[t].state == MODEL_READY &&
			!(goes_on && t == last) &&
			(!goes_on || left->preemptions))
			list_run(&l, t, goes_on);
	for (unsigned t = 0; t < threads.count; t++) {
		const struct thread *it = &threads.at[t];

		if (left->deaths && it->dirty &&
			(it->state == MODEL_READY || it->state == MODEL_ASLEEP))
			list(&l, ACTION_DIE, t, 1, 0);
		if (it->state == MODEL_ASLEEP && !it->forever &&
			(idle || left->early))
			list(&l, ACTION_TICK, t, 1, 0);
	}
	return l.n;
}

static void
thread_goes_on(unsigned t, unsigned choice)
{
	threads.last = current = t;
	wake_choice = choice;
	kernel_switch(t);
	coroutine_switch(&scheduler_sp, threads.at[t].sp);
	current = MODEL_NOBODY;
	wake_choice = 0;
	kernel_switch(MODEL_NOBODY);
}

void
threads_do(const struct action *action)
{
	struct thread *it = &threads.at[action->thread];
	bool asleep, idle = threads_idle(&asleep);

	switch ((enum action_kind)action->kind) {
	case ACTION_RUN:
		thread_goes_on(action->thread, action->choice);
		return;
	case ACTION_DIE:
		threads.deaths++;
		gone(it, MODEL_DEAD);
		it->burying = true;
		break;
	case ACTION_TICK:
		threads.ticks++;
		threads.early += !idle;
		it->state = MODEL_READY;
		it->dirty = false;
		kernel_tick(action->thread);
		return;
	case ACTION_KERNEL:
		break;
	}
	wake_choice = action->choice;
	it->burying = kernel_bury(action->thread);
	wake_choice = 0;
}
