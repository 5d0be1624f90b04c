/* SPDX-License-Identifier: BSL-1.0 */
/* stoa info: what is this segment, how full is it, and who is attached? */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include "base/base.h"
#include "heap.h"
#include "os/os.h"
#include "out.h"
#include "region/backing.h"
#include "thread.h"
#include "view.h"

static const struct out_column facts[] = {{"name", "segment", OUT_TEXT},
	{"path", "path", OUT_TEXT}, {"uuid", "uuid", OUT_TEXT},
	{"made", "made", OUT_TEXT}, {"state", "state", OUT_STATE}};
static const struct out_column numbers[] = {{"heap", "size", OUT_BYTES},
	{"used", "used", OUT_BYTES}, {"held by threads", "cached", OUT_BYTES},
	{"limit", "limit", OUT_BYTES}, {"on disk", "disk", OUT_BYTES},
	{"blocks", "blocks", OUT_NUMBER}, {"objects", "objects", OUT_NUMBER},
	{"threads", "threads", OUT_NUMBER}, {"dead", "dead", OUT_NUMBER},
	{"slots", "threads_max", OUT_NUMBER},
	{"recovered", "recovered", OUT_NUMBER},
	{"commits", "commits", OUT_NUMBER}};
static const struct out_column layout[] = {
	{"layout version", "version", OUT_NUMBER},
	{"page size", "page_size", OUT_BYTES},
	{"span size", "span_size", OUT_BYTES},
	{"slots at", "slots_off", OUT_HEX}, {"lanes at", "lanes_off", OUT_HEX},
	{"table at", "table_off", OUT_HEX}, {"metas at", "meta_off", OUT_HEX},
	{"heap at", "heap_off", OUT_HEX},
	{"heap ends at", "committed", OUT_HEX},
	{"address space", "reserve", OUT_BYTES}};
static const struct out_column slots[] = {{"SLOT", "slot", OUT_NUMBER},
	{"PID", "pid", OUT_NUMBER}, {"TID", "tid", OUT_NUMBER},
	{"COMMAND", "command", OUT_TEXT}, {"STATE", "state", OUT_STATE},
	{"SINCE", "since_ms", OUT_AGE}, {"COMMITS", "commits", OUT_NUMBER},
	{"LOCKS", "locks", OUT_NUMBER}};
static const struct out_column classes[] = {{"HEAP", "kind", OUT_TEXT},
	{"BLOCK", "size", OUT_NUMBER}, {"BYTES", "bytes", OUT_BYTES},
	{"SPANS", "spans", OUT_NUMBER}, {"BLOCKS", "blocks", OUT_NUMBER},
	{"USED", "used", OUT_NUMBER}, {"BY THREADS", "transient", OUT_NUMBER},
	{"FREE", "free", OUT_NUMBER}};

static void
add_facts(json_t *document, const struct call *c, struct view *v,
	const struct threads *threads)
{
	const struct stoai_header *h = stoai_header(v->seg);
	time_t made = (time_t)(h->created_ns / 1000000000);
	char text[STOAI_PATH_MAX], full_name[STOAI_NAME_SIZE];
	struct tm tm;

	out_set_text(
		document, "segment", view_name(c, v, c->args[0], full_name));
	if (!view_path(c, c->args[0], text))
		out_set_text(document, "path", text);
	for (size_t i = 0, at = 0; i < sizeof h->uuid; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			h->uuid[i]);
	out_set_text(document, "uuid", text);
	if (gmtime_r(&made, &tm) &&
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out_set_text(document, "made", text);
	out_set_text(document, "state", thread_segment_state(v->seg, threads));
}

static json_t *
add_numbers(json_t *document, struct view *v, const struct threads *threads)
{
	json_t *o = out_set_object(document, "statistics");
	stoa_segment_stat stat;
	struct stat st;

	stoa_segment_statistics(v->seg, &stat);
	out_set_number(o, "size", stat.size);
	out_set_number(o, "used", stat.used);
	out_set_number(o, "cached", stat.cached);
	out_set_number(o, "limit", stat.limit);
	if (!stoai_os_stat_fd(v->seg->fd, &st))
		out_set_number(o, "disk", (uint64_t)st.st_blocks * 512);
	out_set_number(o, "blocks", stat.blocks);
	out_set_number(o, "objects", stat.objects);
	out_set_number(o, "threads", threads->alive);
	out_set_number(o, "dead", threads->dead + threads->quarantined);
	out_set_number(o, "threads_max", stat.threads_max);
	out_set_number(o, "recovered", stat.recovered);
	out_set_number(o, "commits", stat.commits);
	return o;
}

static json_t *
add_layout(json_t *document, struct view *v)
{
	const struct stoai_header *h = stoai_header(v->seg);
	json_t *o = out_set_object(document, "layout");

	out_set_number(o, "version", h->layout_version);
	out_set_number(o, "page_size", h->page_size);
	out_set_number(o, "span_size", UINT64_C(1) << v->seg->span_shift);
	out_set_number(o, "slots_off", h->slots_off);
	out_set_number(o, "lanes_off", h->lanes_off);
	out_set_number(o, "table_off", h->table_off);
	out_set_number(o, "meta_off", h->meta_off);
	out_set_number(o, "heap_off", h->heap_off);
	out_set_number(o, "committed", a64_load_acquire(&h->committed));
	out_set_number(o, "reserve", h->reserve);
	return o;
}

static json_t *
add_slots(json_t *document, const struct threads *threads)
{
	json_t *rows = out_set_array(document, "slots");

	for (uint32_t i = 0; i < threads->count; i++) {
		const struct thread *t = &threads->at[i];
		json_t *row = out_add(rows);
		uint64_t locks = 0;

		for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
			locks += t->held[k] != 0;
		thread_describe(row, t);
		out_set_number(row, "since_ms", thread_age_ms(t->since_ns));
		out_set_number(row, "commits", t->commits);
		out_set_number(row, "locks", locks);
	}
	return rows;
}

static int
run(struct call *c)
{
	json_t *document, *stat, *lay, *who, *heap;
	struct threads threads;
	struct view v;
	int rc = view_open(c, c->args[0], &v);

	if (rc)
		return view_error(c->args[0], rc);
	thread_read_all(v.seg, &threads);
	document = json_object();
	add_facts(document, c, &v, &threads);
	stat = add_numbers(document, &v, &threads);
	lay = add_layout(document, &v);
	who = add_slots(document, &threads);
	heap = heap_classes(v.seg);
	out_set(document, "heap", heap);
	view_close(&v);

	out_pairs(document, facts, STOAI_COUNT(facts));
	out_pairs(stat, numbers, STOAI_COUNT(numbers));
	if (command_given(c, 'l'))
		out_pairs(lay, layout, STOAI_COUNT(layout));
	if (json_array_size(who))
		out_line("%s", "");
	out_table(who, slots, STOAI_COUNT(slots), NULL);
	if (json_array_size(heap))
		out_line("%s", "");
	out_table(heap, classes, STOAI_COUNT(classes), NULL);
	out_document(document);
	return STATUS_OK;
}

const struct command cmd_info = {.name = "info",
	.args = "NAME",
	.summary = "Show a segment: statistics, attached threads, heap.",
	.about = "Threads that are dead and not yet recovered are shown as "
		 "such; `stoa recover` finishes for them. Changes nothing.",
	.options = (const struct argp_option[]){{"layout", 'l', NULL, 0,
							"Also where its parts "
							"lie",
							0},
		{0}},
	.args_min = 1,
	.args_max = 1,
	.run = run};
