/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa recover: finish for the dead, now instead of when somebody needs it; and
 * with --force, the way out of quarantine.
 *
 * --force changes nothing that was not tried before (force.c), and says for each
 * slot what is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "force.h"
#include "out.h"
#include "place.h"

struct recovery {
	const struct call *c;
	json_t *document, *rows;
	struct threads before;
	bool try_only; /* --dry-run */
	bool damaged;  /* the header's flag, at first */
};

static json_t *
add(json_t *rows, uint32_t slot, uint32_t pid, const char *result,
	const char *text)
{
	json_t *row = out_add(rows);

	out_set_number(row, "slot", slot);
	out_set_number(row, "pid", pid);
	out_set_text(row, "result", result);
	out_set_text(row, "text", text);
	return row;
}

/* ---- the ordinary dead ---- */

/* Which of those who were dead are so still? */
static int
compare(struct recovery *r, const stoa_segment *seg)
{
	struct threads now;
	int status = STATUS_OK;

	thread_read_all(seg, &now);
	for (uint32_t i = 0; i < r->before.count; i++) {
		const struct thread *t = &r->before.at[i], *after;

		if (t->life != THREAD_DEAD)
			continue;
		after = thread_of_slot(&now, t->slot);
		if (after && after->word == t->word &&
			after->life == THREAD_QUARANTINED) {
			if (command_given(r->c, 'F'))
				continue; /* what becomes of it is told there */
			(void)add(r->rows, t->slot, t->pid, "quarantined",
				"recovery failed; what it locked stays locked");
			status |= STATUS_UNCORRECTED;
		} else if (after && after->word == t->word &&
			   after->life == THREAD_DEAD) {
			(void)add(r->rows, t->slot, t->pid, "left over",
				"somebody else is recovering it, or was "
				"stopped there: stoa info");
			status |= STATUS_UNCORRECTED;
		} else {
			(void)add(r->rows, t->slot, t->pid, "recovered",
				"what it had not committed is undone, what it "
				"had is complete");
			status |= STATUS_CORRECTED;
		}
	}
	return status;
}

static void
list_dead(struct recovery *r)
{
	for (uint32_t i = 0; i < r->before.count; i++)
		if (r->before.at[i].life == THREAD_DEAD)
			(void)add(r->rows, r->before.at[i].slot,
				r->before.at[i].pid, "dead",
				"would be recovered");
}

/* ---- quarantine ---- */

static const char *
lost_text(const struct force_slot *s, char *buf, size_t size)
{
	switch (s->way) {
	case FORCE_REPAIR:
		return "recovery works after all: nothing is lost";
	case FORCE_GIVE_UP:
		(void)snprintf(buf, size,
			s->committed
				? "its transaction had committed and stays; "
				  "blocks that it was still to free leak "
				  "(%s)"
				: "what its transaction changed and could not "
				  "be undone stays, half made; %s",
			s->why);
		return buf;
	case FORCE_NOTHING:
	default:
		(void)snprintf(buf, size,
			"cannot even be given up, the heap's tables are "
			"damaged: %s",
			s->why);
		return buf;
	}
}

/* What it had locked is what may be half made. */
static void
add_locks(json_t *row, const struct threads *threads, uint32_t slot,
	const struct places *places)
{
	const struct thread *t = thread_of_slot(threads, slot);
	json_t *locks = out_set_array(row, "locks");

	for (uint32_t k = 0; t && k < STOAI_HELD_MAX; k++) {
		uint64_t off = stoai_held_off(t->held[k]);
		char name[PLACE_NAME];

		if (off)
			(void)json_array_append_new(
				locks, out_string(place_of(places, off, name)));
	}
}

/* Says what becomes of each slot. True: all of it can be done. */
static bool
show_plan(struct recovery *r, const struct force *plan,
	const struct threads *threads, const struct places *places)
{
	bool possible = !plan->check;

	for (uint32_t i = 0; i < plan->count; i++) {
		const struct force_slot *s = &plan->at[i];
		char text[512];
		json_t *row = add(r->rows, s->slot, s->pid,
			s->way == FORCE_REPAIR    ? "recovered"
			: s->way == FORCE_GIVE_UP ? "given up"
						  : "quarantined",
			lost_text(s, text, sizeof text));

		if (s->way == FORCE_GIVE_UP) {
			out_set_number(row, "log_bytes_lost", s->log_bytes);
			out_set_bool(row, "committed", s->committed);
		}
		if (s->way != FORCE_REPAIR)
			add_locks(row, threads, s->slot, places);
		if (s->way == FORCE_NOTHING)
			possible = false;
	}
	out_set_number(r->document, "leaked",
		plan->leaked > 0 ? (uint64_t)plan->leaked : 0);
	if (plan->check)
		out_set_text(r->document, "damage", plan->text);
	return possible;
}

static int
force(struct recovery *r, struct view *v, stoa_segment *seg)
{
	const char *name = r->c->args[0];
	struct places places = {0};
	struct threads now;
	struct force *plan;
	int status = STATUS_CORRECTED;

	thread_read_all(v->seg, &now);
	plan = force_plan(v, &now);
	if (!plan)
		return view_error(name, -EBUSY);
	(void)place_read_all(v, &places);
	if (!show_plan(r, plan, &now, &places))
		status = out_error(STATUS_UNCORRECTED,
			"%s: it would not be sound afterwards, so nothing was "
			"changed: %s: stoa dump what can be read, then stoa rm",
			name, plan->check ? plan->text : "see its slots");
	else if (r->try_only)
		status = STATUS_UNCORRECTED;
	else if (force_apply(seg, plan))
		status =
			view_error(name, -ENOTRECOVERABLE) | STATUS_UNCORRECTED;
	place_free(&places);
	force_free(plan);
	return status;
}

/* ---- the command ---- */

static bool
is_quarantined(const stoa_segment *seg)
{
	return a32_load_relaxed(&stoai_header(seg)->flags) &
	       STOAI_SEGMENT_DAMAGED;
}

/* seg: NULL with --dry-run. */
static int
recover(struct recovery *r, struct view *v, stoa_segment *seg)
{
	const char *name = r->c->args[0];
	int status = STATUS_OK;

	if (!seg) {
		list_dead(r);
		status = r->before.dead ? STATUS_UNCORRECTED : STATUS_OK;
	} else {
		(void)stoa_segment_recover(seg);
		status = compare(r, v->seg);
	}
	if (is_quarantined(v->seg) && command_given(r->c, 'F'))
		return (status & ~STATUS_UNCORRECTED) | force(r, v, seg);
	if (is_quarantined(v->seg)) {
		const int rc = stoai_segment_usable(v->seg);

		status |= out_error(STATUS_UNCORRECTED,
			"%s: stoa recover --force gives that work up "
			"(--dry-run shows what would be lost)",
			rc ? stoa_error_text() : name);
	}
	return status;
}

static const char *
text_of(const json_t *row, const char *member)
{
	return json_string_value(json_object_get(row, member));
}

static void
show(const struct recovery *r, int status)
{
	const char *name = r->c->args[0];

	if (!json_array_size(r->rows) && !r->damaged)
		out_line("%s: nothing to recover", name);
	else if (!json_array_size(r->rows) && status == STATUS_CORRECTED)
		out_line("%s: sound, and no longer said to be damaged", name);
	for (size_t i = 0; i < json_array_size(r->rows); i++) {
		const json_t *row = json_array_get(r->rows, i);
		const json_t *locks = json_object_get(row, "locks");

		out_line("%s: slot %lld (pid %lld): %s: %s", name,
			(long long)json_integer_value(
				json_object_get(row, "slot")),
			(long long)json_integer_value(
				json_object_get(row, "pid")),
			text_of(row, "result"), text_of(row, "text"));
		for (size_t k = 0; k < json_array_size(locks); k++)
			out_line("\tit had locked %s: look at what that guards",
				json_string_value(json_array_get(locks, k)));
	}
	if (r->try_only)
		out_line("%s: nothing was changed", name);
}

static int
open_and_recover(struct recovery *r, struct view *v)
{
	const stoa_segment_options options = command_options(r->c);
	stoa_segment *seg = NULL;
	int status, rc = 0;

	/* before it is opened for writing, which recovers already */
	thread_read_all(v->seg, &r->before);
	r->damaged = is_quarantined(v->seg);
	if (!r->try_only)
		rc = stoa_segment_open(
			r->c->args[0], command_flags(r->c), &options, &seg);
	if (rc)
		return view_error(r->c->args[0], rc);
	status = recover(r, v, seg);
	stoa_segment_close(seg);
	show(r, status);
	return status;
}

static int
run(struct call *c)
{
	struct recovery *r = calloc(1, sizeof *r);
	struct view v;
	int status, rc = r ? view_open(c, c->args[0], &v) : -ENOMEM;

	if (rc) {
		free(r);
		return view_error(c->args[0], rc);
	}
	r->c = c;
	r->try_only = command_given(c, 'n');
	r->document = json_object();
	out_set_text(r->document, "segment", c->args[0]);
	out_set_bool(r->document, "dry_run", r->try_only);
	r->rows = out_set_array(r->document, "threads");
	status = open_and_recover(r, &v);
	out_set_number(r->document, "status", (uint64_t)status);
	out_document(r->document);
	view_close(&v);
	free(r);
	return status;
}

const struct command cmd_recover = {.name = "recover",
	.args = "NAME",
	.summary = "Finish or undo what dead threads were doing.",
	.about = "A segment is quarantined when that fails; --force tries "
		 "again, gives up the work that can be neither undone nor "
		 "finished, and says what is lost. It is first tried on a "
		 "private copy: nothing is changed unless that came out sound.",
	.options =
		(const struct argp_option[]){
			{"force", 'F', NULL, 0, "Also end a quarantine", 0},
			{"dry-run", 'n', NULL, 0,
				"Say what would be done, change nothing", 0},
			{0}},
	.args_min = 1,
	.args_max = 1,
	.run = run};
