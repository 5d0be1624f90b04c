/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Every operation beside every other, both alive: one stops between any two of its
 * stores and the other runs meanwhile. What they do when they die is the subject of
 * the other files.
 */
#include "data.h"

static int
lists(stoa_segment *seg, void *user)
{
	STOA_TX(tx, seg);
	list_add(tx, ((struct test *)user)->d, 60);
	return stoa_tx_commit(tx);
}

/* What it has changed nobody has ever seen. */
static int
fails(stoa_segment *seg, void *user)
{
	STOA_TX(tx, seg);
	list_add(tx, ((struct test *)user)->d, 61);
	return stoa_tx_fail(tx, -EDOM);
}

/* The same name by both: who comes second is told. */
static int
creates(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	stoa_object_create(tx, "created", pair)->a = 1;
	STOA_ADD(tx, d->word[0], 1);
	return stoa_tx_commit(tx);
}

/* The same name by both: one makes it, both have it. */
static int
opens(stoa_segment *seg, void *user)
{
	const pair *p;

	(void)user;
	return stoa_object_open(seg, "opened", pair, &p);
}

static int
init_pair(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	(void)tx;
	(void)user;
	((pair *)element)->a = index;
	return 0;
}

/* The same, with something in each element: one makes it, both see it whole. */
static int
opens_with(stoa_segment *seg, void *user)
{
	const pair *p;
	int rc = stoa_object_open_with(seg, "opened with", pair,
		STOA_OBJECT_OPTIONS(.count = 3, .init = init_pair), &p);

	(void)user;
	return rc || p[2].a == 2 ? rc : -EBADMSG;
}

/* By its address; who comes second finds nothing. */
static int
deletes(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	const pair *p = stoa_object_find(tx, "deleted", pair);

	if (p)
		stoa_delete(tx, pair, p);
	else
		STOA_ADD(tx, d->word[1], 1);
	return stoa_tx_commit(tx);
}

/* There once: who comes second finds nothing. */
static int
destroys(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg);
	if (stoa_object_destroy(tx, "destroyed"))
		return stoa_tx_error(tx);
	STOA_ADD(tx, d->word[1], 1);
	return stoa_tx_commit(tx);
}

static void
something_to_destroy(stoa_tx *tx, const data *d)
{
	(void)d;
	(void)stoa_object_create(tx, "destroyed", node);
	(void)stoa_object_create_array(tx, "deleted", pair, 2);
}

/* The cache is given away, and blocks are found again. */
static int
comes_and_goes(stoa_segment *seg, void *user)
{
	stoa_segment_detach(seg);
	return data_side(seg, user);
}

static int
trims(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_trim(seg) < 0 ? -EDOM : 0;
}

static int
checks(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_check(seg);
}

static const stoa_explore_op all[] = {{"lists", lists, false},
	{"fails", fails, false}, {"creates", creates, false},
	{"opens", opens, false}, {"destroys", destroys, false},
	{"comes and goes", comes_and_goes, false}, {"trims", trims, false},
	{"exhausts", data_exhaust, true}};

#define MEETING(op_, calls) \
 { \
  .explore = {.name = #op_, \
	  .setup = data_setup, \
	  .op = op_, \
	  .check = data_check, \
	  .state = data_state, \
	  .others = all, \
	  .other_count = COUNT(all), \
	  .user = &(struct test){.fill = something_to_destroy}}, \
  COVERS(calls), \
  .flags = STOA_EXPLORE_NO_NESTED | STOA_EXPLORE_NO_SURVIVOR | \
	   STOA_EXPLORE_NO_PAIRS \
 }

static const struct crash_case cases[] = {
	MEETING(lists, "stoa_new"),
	MEETING(fails, "stoa_tx_fail"),
	MEETING(creates, "stoa_object_create"),
	MEETING(opens, "stoa_object_open"),
	MEETING(destroys, "stoa_object_destroy"),
	MEETING(opens_with, "stoa_object_open_with"),
	MEETING(deletes, "stoa_delete"),
	MEETING(comes_and_goes, "stoa_segment_detach stoa_segment_attach"),
	MEETING(trims, "stoa_segment_trim"),
	MEETING(checks, "stoa_segment_check"),
	MEETING(data_side, "stoa_new stoa_delete"),
};

int
main(int argc, char **argv)
{
	return crash_main("meeting", cases, COUNT(cases), argc, argv);
}
