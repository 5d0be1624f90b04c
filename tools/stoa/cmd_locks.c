/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa locks: who holds what, who waits, since when, and for whom? And which locks were
 * waited for?
 *
 * Since when a lock is held is noted only while waits are counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "contention.h"
#include "graph.h"
#include "out.h"
#include "place.h"
#include "stoa/contention.h"
#include "view.h"

static const struct out_column table_columns[] = {{"LOCK", "lock", OUT_TEXT},
	{"MODE", "mode", OUT_TEXT}, {"ROLE", "role", OUT_STATE},
	{"PID", "pid", OUT_NUMBER}, {"TID", "tid", OUT_NUMBER},
	{"COMMAND", "command", OUT_TEXT}, {"STATE", "state", OUT_STATE},
	{"HELD", "held_ms", OUT_AGE}, {"WAITING", "waiting_ms", OUT_AGE}};
static const struct out_column tree_columns[] = {{"THREAD", "thread", OUT_TREE},
	{"PID", "pid", OUT_NUMBER}, {"TID", "tid", OUT_NUMBER},
	{"STATE", "state", OUT_STATE}, {"WAITS FOR", "lock", OUT_TEXT},
	{"MODE", "mode", OUT_TEXT}, {"WAITING", "waiting_ms", OUT_AGE}};

struct picture {
	struct graph g;
	struct places places;
	bool shown[STOAI_SLOTS_MAX]; /* in the tree */
};

static const char *
mode_text(uint64_t held)
{
	switch (stoai_held_mode(held)) {
	case STOAI_HELD_EXCLUSIVE:
	case STOAI_HELD_RAW:
		return "exclusive";
	case STOAI_HELD_SHARED:
		return "shared";
	case STOAI_HELD_UPGRADABLE:
		return "upgradable";
	case STOAI_HELD_MUTEX:
	case STOAI_HELD_RAW_MUTEX:
		return "mutex";
	case STOAI_HELD_PERMIT:
		return "permit";
	case STOAI_HELD_MEMBER:
		return "member";
	case STOAI_HELD_WATCH:
		return "watch";
	case 0: /* a semaphore, an event, a barrier, ...: waits for no lock */
		return "signal";
	default:
		return "?";
	}
}

static const char *
state_text(const struct picture *p, uint32_t i)
{
	return p->g.deadlocked[i] ? "deadlock"
				  : thread_state(&p->g.threads.at[i]);
}

/* In a condition, not in a lock. */
static bool
waits_for_condition(const struct thread *t)
{
	return !t->waiting && t->woken && t->waiting_since_ns;
}

/* ---- the table ---- */

static json_t *
add_row(const struct picture *p, json_t *rows, uint32_t i, uint64_t held,
	const char *mode, const char *role)
{
	char name[PLACE_NAME];
	json_t *row = out_add(rows);

	out_set_text(
		row, "lock", place_of(&p->places, graph_offset(held), name));
	out_set_number(row, "offset", graph_offset(held));
	out_set_text(row, "mode", mode);
	out_set_text(row, "role", role);
	thread_describe(row, &p->g.threads.at[i]);
	out_set_text(row, "state", state_text(p, i));
	return row;
}

static void
add_holder(const struct picture *p, json_t *rows, uint32_t i, uint32_t k)
{
	const struct thread *t = &p->g.threads.at[i];
	json_t *row =
		add_row(p, rows, i, t->held[k], mode_text(t->held[k]), "holds");
	uint64_t since = t->held_since_ns[k];

	out_set(row, "held_ms",
		since ? json_integer((json_int_t)thread_age_ms(since))
		      : json_null());
}

static void
add_waiter(const struct picture *p, json_t *rows, uint32_t i)
{
	const struct thread *t = &p->g.threads.at[i];
	bool condition = waits_for_condition(t);
	json_t *row, *slots;

	if (!t->waiting && !condition)
		return;
	row = add_row(p, rows, i, condition ? t->woken : t->waiting,
		condition ? "condition" : mode_text(t->waiting), "waits");
	if (t->waiting_since_ns)
		out_set_number(
			row, "waiting_ms", thread_age_ms(t->waiting_since_ns));
	slots = out_set_array(row, "waits_for");
	for (uint32_t k = 0; k < p->g.threads.count; k++)
		if (graph_waits_for(&p->g, i, k))
			(void)json_array_append_new(
				slots, json_integer(p->g.threads.at[k].slot));
}

/* By lock, its holders before its waiters. */
static int
row_order(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	json_int_t off = json_integer_value(json_object_get(*x, "offset"));
	json_int_t of2 = json_integer_value(json_object_get(*y, "offset"));

	if (off != of2)
		return off < of2 ? -1 : 1;
	/* "holds" before "waits" */
	return strcmp(json_string_value(json_object_get(*x, "role")),
		json_string_value(json_object_get(*y, "role")));
}

static json_t *
make_table(const struct picture *p)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < p->g.threads.count; i++) {
		for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
			if (p->g.role[i][k] == GRAPH_HOLDS)
				add_holder(p, rows, i, k);
		add_waiter(p, rows, i);
	}
	return out_sorted(rows, row_order);
}

/* ---- the tree ---- */

static void
add_node(struct picture *p, json_t *nodes, uint32_t i)
{
	const struct thread *t = &p->g.threads.at[i];
	json_t *node = out_add(nodes), *waiters;
	char name[PLACE_NAME];

	p->shown[i] = true;
	thread_describe(node, t);
	out_set_text(node, "thread", t->command[0] ? t->command : "?");
	out_set_text(node, "state", state_text(p, i));
	if (t->waiting) {
		out_set_text(node, "lock",
			place_of(&p->places, graph_offset(t->waiting), name));
		out_set_text(node, "mode", mode_text(t->waiting));
		if (t->waiting_since_ns)
			out_set_number(node, "waiting_ms",
				thread_age_ms(t->waiting_since_ns));
	}
	/* each thread once, though it may wait for several; so this ends */
	waiters = out_set_array(node, "waiters");
	for (uint32_t k = 0; k < p->g.threads.count; k++)
		if (graph_waits_for(&p->g, k, i) && !p->shown[k])
			add_node(p, waiters, k);
}

static bool
is_waited_for(const struct picture *p, uint32_t i)
{
	for (uint32_t k = 0; k < p->g.threads.count; k++)
		if (graph_waits_for(&p->g, k, i))
			return true;
	return false;
}

static json_t *
make_tree(struct picture *p)
{
	json_t *roots = json_array();

	memset(p->shown, 0, sizeof p->shown);
	for (uint32_t i = 0; i < p->g.threads.count; i++)
		if (!p->g.threads.at[i].waiting && is_waited_for(p, i))
			add_node(p, roots, i);
	/* circles, which have no root; then who waits for nobody that we see */
	for (uint32_t i = 0; i < p->g.threads.count; i++)
		if (p->g.deadlocked[i] && !p->shown[i])
			add_node(p, roots, i);
	for (uint32_t i = 0; i < p->g.threads.count; i++)
		if (p->g.threads.at[i].waiting && !p->shown[i])
			add_node(p, roots, i);
	return roots;
}

/* ---- the command ---- */

static int
deadlocks(const struct call *c, const struct picture *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->g.threads.count; i++)
		n += p->g.deadlocked[i];
	return n ? out_error(STATUS_UNCORRECTED,
			   "%s: %u threads wait for each other and will never "
			   "go on: end one of them; recovery undoes its work",
			   c->args[0], n)
		 : STATUS_OK;
}

static void
show_counted(const struct call *c, bool counting, const json_t *rows)
{
	if (!json_array_size(rows))
		out_line("%s: %s", c->args[0],
			counting ? "nobody has waited yet"
				 : "waits are not counted: stoa locks --count "
				   "begins to");
	else
		contention_table(rows);
}

static int
show(struct call *c)
{
	struct picture *p = calloc(1, sizeof *p);
	json_t *document, *rows, *tree, *counted;
	struct view v;
	int status, rc = p ? view_open(c, c->args[0], &v) : -ENOMEM;
	bool counting;

	if (rc) {
		free(p);
		return view_error(c->args[0], rc);
	}
	graph_read(v.seg, &p->g);
	counting = stoa_contention_is_on(v.seg);
	counted = contention_read(v.seg);
	/* names may need a private picture: the locks are read before */
	(void)place_read_all(&v, &p->places);
	document = json_object();
	rows = make_table(p);
	tree = make_tree(p);
	contention_name(counted, &p->places);
	out_set_text(document, "segment", c->args[0]);
	out_set(document, "locks", rows);
	out_set(document, "tree", tree);
	out_set_bool(document, "counting", counting);
	out_set(document, "contention", counted);
	if (command_given(c, 'C'))
		show_counted(c, counting, counted);
	else if (command_given(c, 't'))
		out_table(tree, tree_columns, STOAI_COUNT(tree_columns),
			"waiters");
	else
		out_table(
			rows, table_columns, STOAI_COUNT(table_columns), NULL);
	status = deadlocks(c, p);
	out_document(document);
	place_free(&p->places);
	view_close(&v);
	free(p);
	return status;
}

static int
run(struct call *c)
{
	bool on = command_given(c, 'c'), off = command_given(c, 's');

	if (on && off)
		return out_error(
			STATUS_USAGE, "--count and --stop: it cannot do both");
	return on || off ? contention_switch(c, on) : show(c);
}

const struct command cmd_locks = {.name = "locks",
	.args = "NAME",
	.summary = "Show who holds locks, who waits, since when, for whom.",
	.about = "Locks are shown as object.field, 'segment' (the lock that a "
		 "transaction takes which names none), 'names', 'heap', or the "
		 "offset in the segment. Changes nothing, but for --count and "
		 "--stop, which take part as every program does. While waits "
		 "are counted, holders note since when they hold.",
	.options =
		(const struct argp_option[]){{"tree", 't', NULL, 0,
						     "Who waits for whom, as "
						     "a tree",
						     0},
			{"contention", 'C', NULL, 0,
				"Which locks were waited for, how often and "
				"how long",
				0},
			{"count", 'c', NULL, 0,
				"Begin to count that, from none. Changes the "
				"segment",
				0},
			{"stop", 's', NULL, 0,
				"Count no more; what was counted stays", 0},
			{0}},
	.args_min = 1,
	.args_max = 1,
	.run = run};
