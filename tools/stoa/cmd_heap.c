/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa heap: whose memory, of which type, how much, since when; and a picture of it.
 *
 * What words say is counted as it lives. Types and leaks need a walk over all objects,
 * so they are those of a picture in which every thread is recovered, if there is one.
 */
#include <stdio.h>
#include "base/base.h"
#include "heap.h"
#include "map.h"
#include "out.h"
#include "view.h"

static const struct out_column sums[] = {{"heap", "size", OUT_BYTES},
	{"of shared data", "used", OUT_BYTES},
	{"of threads", "transient", OUT_BYTES},
	{"free blocks", "room", OUT_BYTES}, {"free spans", "free", OUT_BYTES},
	{"lost at ends", "lost", OUT_BYTES},
	{"not free, at most", "taken_most", OUT_BYTES},
	{"heap, at most", "size_most", OUT_BYTES},
	{"limit", "limit", OUT_BYTES}, {"refused", "refused", OUT_NUMBER}};
static const struct out_column refusal[] = {
	{"last refused", "bytes", OUT_BYTES}, {"reason", "reason", OUT_TEXT},
	{"of pid", "pid", OUT_NUMBER}};
static const struct out_column classes[] = {{"HEAP", "kind", OUT_TEXT},
	{"BLOCK", "size", OUT_NUMBER}, {"BYTES", "bytes", OUT_BYTES},
	{"SPANS", "spans", OUT_NUMBER}, {"BLOCKS", "blocks", OUT_NUMBER},
	{"USED", "used", OUT_NUMBER}, {"BY THREADS", "transient", OUT_NUMBER},
	{"FREE", "free", OUT_NUMBER}};
static const struct out_column slots[] = {{"SLOT", "slot", OUT_NUMBER},
	{"PID", "pid", OUT_NUMBER}, {"TID", "tid", OUT_NUMBER},
	{"SINCE", "since_ms", OUT_AGE}, {"SLABS", "slabs", OUT_NUMBER},
	{"BYTES", "bytes", OUT_BYTES}, {"SHARED", "used", OUT_BYTES},
	{"ITS OWN", "transient", OUT_BYTES}};
static const struct out_column types[] = {{"TYPE", "type", OUT_TEXT},
	{"BLOCKS", "blocks", OUT_NUMBER}, {"BYTES", "bytes", OUT_BYTES},
	{"ROUNDED", "lost", OUT_BYTES}};
static const struct out_column leaks[] = {
	{"LEAKED AT", "offset", OUT_HEX}, {"BYTES", "bytes", OUT_BYTES}};

struct walk {
	json_t *types, *leaks;
	uint64_t leaked;
};

static void
forget(struct walk *w)
{
	json_decref(w->types);
	json_decref(w->leaks);
	*w = (struct walk){0};
}

static int
walk(struct view *v, void *user)
{
	struct walk *w = user;
	int rc;

	forget(w); /* of a try before */
	rc = heap_types(v->seg, &w->types);
	if (!rc)
		rc = heap_leaks(v->seg, &w->leaks, &w->leaked);
	return rc;
}

static void
show(const json_t *rows, const struct out_column *columns, size_t count)
{
	if (!json_array_size(rows))
		return;
	out_line("%s", "");
	out_table(rows, columns, count, NULL);
}

static void
build(json_t *document, struct view *v, const struct walk *w)
{
	out_set(document, "statistics", heap_statistics(v->seg));
	out_set(document, "classes", heap_classes(v->seg));
	out_set(document, "slots", heap_slots(v->seg));
	out_set(document, "types", json_incref(w->types));
	out_set(document, "leaks", json_incref(w->leaks));
	out_set_number(document, "leaked", w->leaked);
	if (out_is_json())
		out_set(document, "spans", map_rows(v->seg));
}

static void
show_all(const json_t *document)
{
	const json_t *stat = json_object_get(document, "statistics");
	const json_t *last = json_object_get(stat, "last_refused");

	out_line("%s", "");
	out_pairs(stat, sums, STOAI_COUNT(sums));
	if (last)
		out_pairs(last, refusal, STOAI_COUNT(refusal));
	show(json_object_get(document, "classes"), classes,
		STOAI_COUNT(classes));
	show(json_object_get(document, "slots"), slots, STOAI_COUNT(slots));
	show(json_object_get(document, "types"), types, STOAI_COUNT(types));
	show(json_object_get(document, "leaks"), leaks, STOAI_COUNT(leaks));
}

static int
run(struct call *c)
{
	json_t *document;
	struct walk w = {0};
	struct view v;
	int rc = view_open(c, c->args[0], &v);

	if (rc)
		return view_error(c->args[0], rc);
	if (command_given(c, 's')) {
		map_svg(v.seg, c->args[0], stdout);
		view_close(&v);
		return STATUS_OK;
	}
	rc = view_read(&v, walk, &w);
	if (rc) {
		forget(&w);
		view_close(&v);
		return view_error(c->args[0], rc);
	}
	document = json_object();
	out_set_text(document, "segment", c->args[0]);
	out_set_text(document, "picture", view_picture(&v));
	build(document, &v, &w);
	if (!out_is_json())
		map_text(v.seg);
	show_all(document);
	forget(&w);
	view_close(&v);
	out_document(document);
	return STATUS_OK;
}

const struct command cmd_heap = {.name = "heap",
	.args = "NAME",
	.summary = "Show the heap: a picture, and whose memory it is.",
	.about =
		"By size class, by thread, by type; what nobody leads to, what "
		"was refused, how much there was at most. Changes nothing.",
	.options = (const struct argp_option[]){{"svg", 's', NULL, 0,
							"The picture alone, as "
							"an SVG document",
							0},
		VIEW_ATTACH_OPTION, {0}},
	.args_min = 1,
	.args_max = 1,
	.run = run};
