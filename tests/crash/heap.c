/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: what the calls of other suites do to the heap only
 * when several threads share it. Another's blocks are freed, found again, adopted;
 * runs of spans are cut and joined.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>
#include "data.h"
#include "heap/span.h"

/* ---- another thread ---- */

struct companion {
	stoa_segment *seg;
	const data *d;
	void (*body)(stoa_tx *tx, const data *d);
	bool stays;
	int rc;
	sem_t done;
};

static void *
companion_main(void *user)
{
	struct companion *c = user;

	{
		STOA_TX(tx, c->seg, stoa_segment_lock(c->seg), &c->d->side);
		c->body(tx, c->d);
		c->rc = stoa_tx_commit(tx);
	}
	sem_post(&c->done);
	while (c->stays) /* attached, until it dies with the process */
		pause();
	return NULL;
}

static int
companion_run(stoa_segment *seg, const data *d,
	void (*body)(stoa_tx *tx, const data *d), bool stays)
{
	static struct companion c; /* it may outlive this call */
	pthread_t thread;

	c = (struct companion){
		.seg = seg, .d = d, .body = body, .stays = stays};
	sem_init(&c.done, 0, 0);
	if (pthread_create(&thread, NULL, companion_main, &c))
		return -EAGAIN;
	while (sem_wait(&c.done) && errno == EINTR)
		;
	if (!stays)
		pthread_join(thread, NULL);
	return c.rc;
}

/* ---- what it does ---- */

static void
some_nodes(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 20; i++)
		list_add(tx, d, 300 + i);
}

static void
many_nodes(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 240; i++)
		side_push(tx, d, 400 + i);
}

static void
free_many(stoa_tx *tx, const data *d)
{
	for (unsigned i = 0; i < 100; i++) {
		const node *n = stoa_get(tx, d->side_list);

		if (!n)
			return;
		STOA_LINK(tx, d->side_list, stoa_get(tx, n->next));
		STOA_LINK(tx, n->next, NULL);
		stoa_delete(tx, node, n);
	}
}

/* size: with its NUL; a span is 4096 */
static void
string_of(stoa_tx *tx, const data *d, char letter, size_t size)
{
	char text[16000];

	memset(text, letter, size - 1);
	text[size - 1] = 0;
	stoa_str_set(tx, &d->text, text);
}

static void
long_string(stoa_tx *tx, const data *d)
{
	string_of(tx, d, 'y', 5000);
}

static void
long_strings(stoa_tx *tx, const data *d)
{
	char text[5000];

	memset(text, 'z', sizeof text - 1);
	text[sizeof text - 1] = 0;
	names_push(tx, &d->names, text);
	names_push(tx, &d->names, text);
	long_string(tx, d);
}

static int
setup_with(stoa_segment *seg, void *user,
	void (*body)(stoa_tx *tx, const data *d), bool stays)
{
	int rc = data_setup(seg, user);

	return rc ? rc
		  : companion_run(seg, ((struct test *)user)->d, body, stays);
}

static int
setup_others_nodes(stoa_segment *seg, void *user)
{
	return setup_with(seg, user, some_nodes, true);
}

static int
setup_freed_by_other(stoa_segment *seg, void *user)
{
	return setup_with(seg, user, free_many, true);
}

static int
setup_left_behind(stoa_segment *seg, void *user)
{
	int rc = setup_with(seg, user, many_nodes, false);

	return rc ? rc
		  : companion_run(
			    seg, ((struct test *)user)->d, free_many, false);
}

static int
setup_others_strings(stoa_segment *seg, void *user)
{
	return setup_with(seg, user, long_strings, true);
}

/* ---- what is explored ---- */

/* The list begins with op's own nodes; those behind are another's. */
static void
free_others(stoa_tx *tx, const data *d)
{
	const node *n = stoa_get(tx, d->list);

	for (unsigned i = 1; i < LIST_NODES && n; i++)
		n = stoa_get(tx, n->next);
	for (unsigned i = 0; i < 2 && n; i++) {
		const node *gone = stoa_get(tx, n->next);

		if (!gone)
			break;
		STOA_LINK(tx, n->next, stoa_get(tx, gone->next));
		STOA_LINK(tx, gone->next, NULL);
		if (gone == stoa_get(tx, d->tail))
			STOA_LINK(tx, d->tail, n);
		stoa_delete(tx, node, gone);
	}
}

static void
push_many(stoa_tx *tx, const data *d)
{
	for (uint64_t i = 0; i < 50; i++)
		list_add(tx, d, 500 + i);
}

static void
push_one(stoa_tx *tx, const data *d)
{
	list_add(tx, d, 500);
}

/* Op's thread has just come: it owns nothing, and takes what others left. */
static int
come_anew(stoa_segment *seg, void *user)
{
	(void)user;
	stoa_segment_detach(seg);
	return stoa_segment_attach(seg);
}

static void
no_string(stoa_tx *tx, const data *d)
{
	stoa_str_set(tx, &d->text, "");
}

/* Runs beside each other: they become one. */
static void
no_strings(stoa_tx *tx, const data *d)
{
	names_clear(tx, &d->names);
	no_string(tx, d);
}

/* Longer than any of what long_strings leaves behind. */
static void
longer_string(stoa_tx *tx, const data *d)
{
	string_of(tx, d, 'x', 16000);
}

static int
setup_gaps(stoa_segment *seg, void *user)
{
	int rc = data_setup(seg, user);

	if (rc)
		return rc;
	STOA_TX(tx, seg, stoa_segment_lock(seg));
	no_strings(tx, ((struct test *)user)->d);
	return stoa_tx_commit(tx);
}

/* Somebody died when he had joined two free runs, and the second's head was left. */
static int
setup_half_joined(stoa_segment *seg, void *user)
{
	uint64_t count = stoai_span_count(seg), word, next;
	int rc = setup_gaps(seg, user);

	for (uint64_t at = 0; !rc && at < count; at += stoai_span_step(word)) {
		word = stoai_span_load(seg, at);
		next = at + stoai_span_step(word);
		if (next >= count || stoai_span_state(word) ||
			stoai_span_state(stoai_span_load(seg, next)))
			continue;
		stoai_header(seg)->shaping = at + 1;
		*stoai_span_at(seg, at) +=
			stoai_span_length(stoai_span_load(seg, next));
		return 0;
	}
	return rc ? rc : -ENOENT;
}

static int
string_undone(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	long_string(tx, d);
	return stoa_tx_fail(tx, -EDOM);
}

static void
too_much(stoa_tx *tx, const data *d)
{
	numbers_resize(tx, &d->numbers, 10000);
}

#define HEAP(title, setup_, prepare_, fill_, body_, more) \
 { \
  .explore = {.name = title, \
	  .setup = setup_, \
	  .prepare = prepare_, \
	  .op = data_op, \
	  .check = data_check, \
	  .state = data_state, \
	  .others = data_others, \
	  .other_count = COUNT(data_others), \
	  .user = &(struct test){.fill = fill_, .body = body_}}, \
  COVERS("stoa_new stoa_delete"), .flags = more \
 }

static const struct crash_case cases[] = {
	HEAP("free another's blocks", setup_others_nodes, NULL, NULL,
		free_others, 0),
	HEAP("take blocks that another freed", setup_freed_by_other, NULL,
		many_nodes, push_many, STOA_EXPLORE_SAMPLE),
	HEAP("take blocks of who has left", setup_left_behind, NULL, NULL,
		push_many, STOA_EXPLORE_SAMPLE),
	HEAP("first block of who comes", setup_left_behind, come_anew, NULL,
		push_one, 0),
	CASE("large block, new", "stoa_str_set", NULL, long_string),
	CASE("large block, freed", "stoa_str_set", long_string, no_string),
	CASE("large blocks, freed and joined", "vec_clear", long_strings,
		no_strings),
	HEAP("large blocks of another's, freed", setup_others_strings, NULL,
		NULL, no_strings, 0),
	HEAP("large block, joined", setup_gaps, NULL, long_strings,
		longer_string, 0),
	HEAP("large block, where one died in a join", setup_half_joined, NULL,
		long_strings, longer_string, 0),
	CASE_OP("large block, undone", "stoa_str_set", NULL, string_undone),
	CASE("no memory left", "vec_resize", NULL, too_much),
};

int
main(int argc, char **argv)
{
	return crash_main("heap", cases, COUNT(cases), argc, argv);
}
