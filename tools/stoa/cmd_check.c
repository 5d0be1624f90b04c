/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa check: is it sound, and if not: what is wrong, where, and what to do?
 *
 * The library's own verification, if possible on the picture in which all threads
 * are recovered: that is what the next one who opens it would find, and in it no
 * open transaction makes blocks look leaked.
 */
#include "base/base.h"
#include "os/os.h"
#include "out.h"
#include "tx/tx.h"
#include "thread.h"
#include "view.h"

enum {
	LEAK_TRIES = 25,
	LEAK_PAUSE_NS = 10 * 1000 * 1000
};

struct result {
	int check;
	int64_t leaked;
	char check_text[512], leak_text[512];
};

static void
add(json_t *rows, const char *kind, const char *text, const char *advice)
{
	json_t *row = out_add(rows);

	out_set_text(row, "kind", kind);
	out_set_text(row, "text", text);
	out_set_text(row, "advice", advice);
}

/* Can the locks that the check wants be had in time? */
static int
probe(const struct view *v)
{
	const stoa_hold holds[] = {stoa_shared(stoa_segment_lock(v->seg)),
		stoa_shared(&stoai_header(v->seg)->names)};
	const stoa_tx *rd = stoa_read_begin(
		v->seg, holds, STOAI_COUNT(holds), stoa_in_ms(VIEW_WAIT_MS));
	int rc = rd->error; /* that a writer came between does not matter */

	stoa_tx_end(rd);
	return rc;
}

static int
verify(struct view *v, void *user)
{
	struct result *r = user;
	int rc = probe(v);

	if (rc)
		return rc;
	r->leaked = 0;
	r->check = stoa_segment_check(v->seg);
	(void)snprintf(
		r->check_text, sizeof r->check_text, "%s", stoa_error_text());
	if (r->check)
		return r->check;
	/* a block not yet linked looks leaked while a transaction lasts */
	for (int i = 0; i < LEAK_TRIES; i++) {
		if (i)
			stoai_os_sleep(LEAK_PAUSE_NS);
		r->leaked = stoa_segment_leaked(v->seg);
		if (!r->leaked || v->settled)
			break;
	}
	if (r->leaked == -EAGAIN) /* it never holds still, so it is not known */
		r->leaked = 0;
	(void)snprintf(
		r->leak_text, sizeof r->leak_text, "%s", stoa_error_text());
	return r->leaked < 0 ? (int)r->leaked : 0;
}

/* Quarantined slots first: they explain the rest. */
static void
report_slots(json_t *rows, const struct view *v, const struct threads *threads)
{
	char text[128];

	for (uint32_t i = 0; i < threads->count; i++) {
		const struct thread *t = &threads->at[i];

		if (t->life != THREAD_QUARANTINED)
			continue;
		(void)snprintf(text, sizeof text,
			"slot %u: the work of pid %u can be neither undone nor "
			"finished",
			t->slot, t->pid);
		add(rows, "quarantine", text,
			"stoa recover --force gives that work up");
	}
	if (!threads->quarantined &&
		a32_load_relaxed(&stoai_header(v->seg)->flags) &
			STOAI_SEGMENT_DAMAGED)
		add(rows, "quarantine", "the header says that it is damaged",
			"stoa recover --force verifies it and lifts that");
}

static void
add_damage(json_t *rows, const char *text)
{
	add(rows, "damage", text,
		"stoa dump what can be read; restore a copy, or stoa rm it");
}

/* rc: why it could not be verified to the end. */
static int
report(json_t *rows, const struct result *r, int rc)
{
	if (view_is_damage(r->check))
		add_damage(rows, r->check_text);
	else if (view_is_damage(r->leaked < 0 ? (int)r->leaked : 0))
		add_damage(rows, r->leak_text);
	else if (rc)
		return rc;
	if (r->leaked > 0)
		add(rows, "leak", r->leak_text,
			"harmless but for the memory; a program allocated and "
			"did not link it");
	return 0;
}

static void
show(const char *name, const json_t *rows, uint32_t dead)
{
	if (!json_array_size(rows))
		out_line("%s: sound", name);
	if (dead)
		out_line("%s: %u dead threads are not yet recovered: whoever "
			 "opens it next does that, or stoa recover",
			name, dead);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		out_line("%s: %s: %s\n\twhat to do: %s", name,
			json_string_value(json_object_get(row, "kind")),
			json_string_value(json_object_get(row, "text")),
			json_string_value(json_object_get(row, "advice")));
	}
}

/* 0, or why it could not be verified. */
static int
check_open(struct view *v, json_t *document, json_t *rows)
{
	struct threads threads;
	struct result r = {0};
	int rc = 0;

	thread_read_all(v->seg, &threads);
	report_slots(rows, v, &threads);
	if (!json_array_size(rows))
		rc = view_read(v, verify, &r);
	rc = report(rows, &r, rc);
	out_set_text(document, "picture", view_picture(v));
	out_set_number(document, "threads", threads.alive);
	out_set_number(document, "dead", threads.dead);
	return rc;
}

static int
run(struct call *c)
{
	const char *name = c->args[0];
	json_t *document = json_object(), *rows;
	struct view v;
	int rc = view_open(c, name, &v), status;

	out_set_text(document, "segment", name);
	rows = out_set_array(document, "findings");
	if (!rc) {
		rc = check_open(&v, document, rows);
		view_close(&v);
	} else if (view_is_damage(rc)) {
		add_damage(rows, stoa_error_text());
		rc = 0;
	}
	if (rc) {
		json_decref(document);
		return view_error(name, rc);
	}
	status = json_array_size(rows) ? STATUS_UNCORRECTED : STATUS_OK;
	out_set_bool(document, "sound", !status);
	show(name, rows,
		(uint32_t)json_integer_value(
			json_object_get(document, "dead")));
	out_document(document);
	return status;
}

const struct command cmd_check = {.name = "check",
	.args = "NAME",
	.summary = "Verify a segment, and look for leaks.",
	.about = "Says what is wrong, where, and what to do; while others "
		 "work, if need be. What dead threads left is judged as "
		 "recovery would leave it. Changes nothing.",
	.options = (const struct argp_option[]){VIEW_ATTACH_OPTION, {0}},
	.args_min = 1,
	.args_max = 1,
	.run = run};
