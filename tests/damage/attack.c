/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is done to a damaged segment? Everything that a program would do: open,
 * attach (which recovers), recover, check, look for leaks, read all objects by
 * their types and as JSON, change all of them in transactions, check again, close.
 *
 * Each call may fail; what counts is that it returns. A run in which none failed
 * has read and changed a segment that is sound: then it is sound afterwards, or a
 * call has lied.
 */
#include "damage.h"
#include "base/hash.h"
#include "stage.h"
#include "world.h"
#include <stdlib.h>

enum {
	WAIT_MS = 500,
	LOOKS = 200, /* elements of a container that are looked at */
	BIG = 6000   /* elements: longer than a span */
};

static void
note(struct attack *a, int64_t rc)
{
	if (rc >= 0 || rc == -ENOSPC) /* full is no damage: it was undone */
		return;
	if (a->told)
		(void)fprintf(a->told, "  %s: %d %s\n", stage_doing(), (int)rc,
			stoa_error_text());
	if (a->v->error)
		return;
	a->v->error = (int)rc;
	a->v->doing = stage_doing();
	(void)snprintf(a->v->text, sizeof a->v->text, "%s", stoa_error_text());
}

/* ---- reading ---- */

static uint64_t answer;

/* A stream that only counts and mixes what is written to it. */
static ssize_t
sink(void *cookie, const char *text, size_t size)
{
	(void)cookie;
	answer = stoai_hash(text, size, answer);
	return (ssize_t)size;
}

static FILE *
sink_stream(void)
{
	static FILE *out; /* one for all images */

	if (!out) {
		out = fopencookie(
			NULL, "w", (cookie_io_functions_t){.write = sink});
		if (!out)
			abort();
	}
	return out;
}

static void
read_as_json(struct attack *a)
{
	FILE *out = sink_stream();
	STOA_READ_UNTIL(rd, stoa_in_ms(WAIT_MS), a->seg);

	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);) {
		(void)fputs(it.name, out);
		if (stoa_type_dump(rd, it.type, it.data, out))
			break;
	}
	(void)fflush(out);
	note(a, stoa_tx_error(rd));
}

static void
read_texts(const stoa_tx *rd, const names *v)
{
	for (size_t i = 0; i < names_count(rd, v) && i < LOOKS; i++) {
		const stoa_str *s = names_get(rd, v, i);

		if (s)
			(void)strlen(stoa_str_get(rd, s));
	}
}

static void
read_list(const stoa_tx *rd, node_ref first)
{
	unsigned left = LOOKS;

	for (const node *n = stoa_get(rd, first); n && left--;
		n = stoa_get(rd, n->next))
		answer += n->value;
}

static void
read_maps(const stoa_tx *rd, const data *d)
{
	unsigned left = 5 * LOOKS;

	for (counts_iter i = counts_begin(rd, &d->counts);
		left && counts_next(&i); left--)
		answer += *i.val + strlen(i.key);
	for (ids_iter i = ids_begin(rd, &d->ids); left && ids_next(&i); left--)
		answer += i.key + i.val->a;
	for (notes_iter i = notes_begin(rd, &d->notes); left && notes_next(&i);
		left--)
		answer += i.key + strlen(i.val);
	for (marks_iter i = marks_begin(rd, &d->marks); left && marks_next(&i);
		left--)
		answer += i.key;
	for (tallies_iter i = tallies_begin(rd, &d->tallies);
		left && tallies_next(&i); left--)
		answer += i.val->n + strlen(i.key);
	for (uint64_t k = 0; k < 8; k++) {
		const pair *p = ids_get(rd, &d->ids, k * 7);
		const char *text = notes_get(rd, &d->notes, k);

		answer += (p ? p->b : 0) + (text ? strlen(text) : 0) +
			  marks_has(rd, &d->marks, k << 40);
	}
	answer += counts_get(rd, &d->counts, "1") != NULL;
	answer += tallies_get(rd, &d->tallies, long_text) != NULL;
}

static void
read_data(struct attack *a, const data *d)
{
	STOA_READ_UNTIL(rd, stoa_in_ms(WAIT_MS), a->seg, &d->lock);
	size_t count = 0;
	const uint64_t *all = numbers_data(rd, &d->numbers, &count);

	for (size_t i = 0; all && i < count; i++)
		answer += all[i];
	for (size_t i = 0; i < boxes_count(rd, &d->boxes) && i < LOOKS; i++) {
		const counter *c = boxes_get(rd, &d->boxes, i);

		answer += c ? c->n : 0;
	}
	read_texts(rd, &d->names);
	read_list(rd, d->list);
	read_list(rd, d->tail);
	read_list(rd, d->side_list);
	answer += strlen(stoa_str_get(rd, &d->text));
	read_maps(rd, d);
	answer += stoa_owner_alive(rd, d->who);
	note(a, stoa_tx_error(rd));
}

static void
read_zoo(struct attack *a, const zoo *z)
{
	STOA_READ_UNTIL(rd, stoa_in_ms(WAIT_MS), a->seg, &z->lock);
	unsigned left = LOOKS;

	for (atlas_iter i = atlas_begin(rd, &z->atlas); left && atlas_next(&i);
		left--)
		answer += numbers_count(rd, &i.val->values) +
			  strlen(stoa_str_get(rd, &i.val->long_text));
	(void)atlas_get(rd, &z->atlas, (point){.x = 1, .layer = 1, .y = -1});
	for (size_t i = 0; i < labels_count(rd, &z->labels) && i < LOOKS; i++) {
		const label *l = labels_get(rd, &z->labels, i);

		if (l)
			(void)numbers_get(rd, &l->values, 0);
	}
	for (size_t i = 0; i < shelf_count(rd, &z->shelf) && i < LOOKS; i++) {
		const names *n = shelf_get(rd, &z->shelf, i);

		if (n)
			read_texts(rd, n);
	}
	for (bytes_iter i = bytes_begin(rd, &z->bytes); left && bytes_next(&i);
		left--)
		read_texts(rd, i.val);
	read_list(rd, z->own);
	note(a, stoa_tx_error(rd));
}

/* ---- changing ---- */

static void
change_data(struct attack *a, const data *d)
{
	STOA_TX_UNTIL(tx, stoa_in_ms(WAIT_MS), a->seg, &d->lock, &d->side,
		stoa_segment_lock(a->seg));
	const node *n = stoa_get(tx, d->side_list);

	if (n) {
		STOA_LINK(tx, d->side_list, stoa_get(tx, n->next));
		STOA_LINK(tx, n->next, NULL);
		stoa_delete(tx, node, n);
	}
	side_push(tx, d, 1);
	for (uint64_t i = 0; i < 5; i++)
		numbers_push(tx, &d->numbers, i);
	(void)numbers_remove(tx, &d->numbers, 1);
	(void)numbers_insert(tx, &d->numbers, 0, 3);
	names_push(tx, &d->names, long_text);
	(void)names_remove(tx, &d->names, 0);
	STOA_SET(tx, boxes_add(tx, &d->boxes)->n, 4);
	(void)boxes_remove(tx, &d->boxes, 0);
	counts_put(tx, &d->counts, "a key longer than twenty-two bytes", 1);
	(void)counts_remove(tx, &d->counts, "1");
	for (uint64_t i = 100; i < 120; i++)
		ids_put(tx, &d->ids, i, (pair){i, i});
	for (ids_iter i = ids_begin(tx, &d->ids); ids_next(&i);)
		if (i.key % 3 == 0)
			ids_remove_at(tx, &i);
	notes_put(tx, &d->notes, 1, long_text);
	notes_clear(tx, &d->notes);
	marks_put(tx, &d->marks, 77);
	(void)tallies_ensure(tx, &d->tallies, "fresh");
	(void)tallies_remove(tx, &d->tallies, "1");
	stoa_str_append(tx, &d->text, long_text);
	stoa_tx_broadcast(tx, &d->changed);
	note(a, stoa_tx_commit(tx));
}

static void
change_zoo(struct attack *a, const zoo *z)
{
	STOA_TX_UNTIL(tx, stoa_in_ms(WAIT_MS), a->seg, &z->lock);
	label *l = atlas_ensure(
		tx, &z->atlas, (point){.x = 50, .layer = 2, .y = 5});

	stoa_str_set(tx, &l->long_text, long_text);
	numbers_push(tx, &l->values, 1);
	(void)atlas_remove(tx, &z->atlas, (point){.x = 1, .layer = 1, .y = -1});
	(void)labels_remove(tx, &z->labels, 0);
	names_push(tx, shelf_add(tx, &z->shelf), long_text);
	(void)shelf_remove(tx, &z->shelf, 0);
	(void)bytes_remove(tx, &z->bytes, 1);
	bytes_clear(tx, &z->bytes);
	stoa_str_set(tx, &z->texts[1], "");
	STOA_LINK(tx, z->twin, NULL);
	STOA_ADD(tx, z->u64, 1);
	note(a, stoa_tx_commit(tx));
}

/* A list of pieces that are longer than a span: runs cut, the heap grown. */
static void
change_large(struct attack *a, const data *d)
{
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(WAIT_MS), a->seg,
			stoa_segment_lock(a->seg));
		numbers_resize(tx, &d->numbers, BIG);
		note(a, stoa_tx_commit(tx));
	}
	STOA_TX_UNTIL(
		tx, stoa_in_ms(WAIT_MS), a->seg, stoa_segment_lock(a->seg));
	numbers_clear(tx, &d->numbers);
	note(a, stoa_tx_commit(tx));
}

/* Never committed: everything is put back. */
static void
change_nothing(struct attack *a, const data *d)
{
	STOA_TX_UNTIL(tx, stoa_in_ms(WAIT_MS), a->seg, &d->side,
		stoa_segment_lock(a->seg));

	for (unsigned i = 0; i < 12; i++)
		side_push(tx, d, i);
	counts_clear(tx, &d->counts);
	tallies_clear(tx, &d->tallies);
	stoa_str_set(tx, &d->text, "");
	note(a, stoa_tx_error(tx));
	(void)stoa_tx_fail(tx, -ECANCELED);
}

static void
change_names(struct attack *a)
{
	const pair *p = NULL;

	note(a, stoa_object_open(a->seg, "made by the attack", pair, &p));
	STOA_TX_UNTIL(
		tx, stoa_in_ms(WAIT_MS), a->seg, stoa_segment_lock(a->seg));
	(void)stoa_object_create(tx, "another", wide);
	(void)stoa_object_destroy(tx, "another");
	(void)stoa_object_destroy(tx, "made by the attack");
	note(a, stoa_tx_commit(tx));
}

static void
destroy_all(struct attack *a)
{
	STOA_TX_UNTIL(
		tx, stoa_in_ms(WAIT_MS), a->seg, stoa_segment_lock(a->seg));

	for (stoa_object it = stoa_object_begin(tx); stoa_object_next(&it);)
		if (it.kind == STOA_OBJECT_UNIQUE)
			stoa_tx_delete_(tx, it.type, it.data);
		else if (!stoa_object_destroy(tx, it.name))
			break;
	note(a, stoa_tx_commit(tx));
}

/* ---- all of it ---- */

static const data *
data_of(struct attack *a)
{
	STOA_READ_UNTIL(rd, stoa_in_ms(WAIT_MS), a->seg);
	return stoa_object_find(rd, "data", data);
}

static const zoo *
zoo_of(struct attack *a)
{
	STOA_READ_UNTIL(rd, stoa_in_ms(WAIT_MS), a->seg);
	return stoa_object_find(rd, "zoo", zoo);
}

void
attack_read(struct attack *a)
{
	const data *d;
	const zoo *z;

	stage_step("read as JSON");
	read_as_json(a);
	stage_step("find objects");
	d = data_of(a);
	z = zoo_of(a);
	stage_step("read");
	if (d)
		read_data(a, d);
	if (z)
		read_zoo(a, z);
}

void
attack_write(struct attack *a)
{
	const data *d;
	const zoo *z;

	stage_step("find objects to change");
	d = data_of(a);
	z = zoo_of(a);
	stage_step("change");
	if (d) {
		change_data(a, d);
		change_nothing(a, d);
		change_large(a, d);
	}
	if (z)
		change_zoo(a, z);
	stage_step("change names");
	change_names(a);
	stage_step("trim");
	note(a, stoa_segment_trim(a->seg));
}

static void
judge(struct attack *a, bool leaks)
{
	int64_t leaked;

	stage_step("check");
	note(a, stoa_segment_check(a->seg));
	stage_step("leaked");
	leaked = stoa_segment_leaked(a->seg);
	note(a, leaks && leaked > 0 ? -EBADMSG : leaked);
}

/* No call failed: then nothing is lost, and nothing broken, by what was done. */
static void
judge_the_end(struct attack *a)
{
	bool right = !a->v->error;

	judge(a, true);
	stage_step("destroy");
	destroy_all(a);
	judge(a, true);
	a->v->inconsistent = right && a->v->error;
}

void
attack(const struct image *image, FILE *told, struct verdict *ret)
{
	struct attack a = {.v = ret, .told = told};
	stoa_segment_stat stat;
	bool writes = image->mode != IMAGE_READONLY;

	memset(ret, 0, sizeof *ret);
	answer = 0;
	stage_step("open");
	note(&a, image_open(image, &a.seg));
	if (!a.seg) {
		ret->refused = true;
		return;
	}
	if (writes) {
		stage_step("attach");
		note(&a, stoa_segment_attach(a.seg));
		stage_step("recover");
		note(&a, stoa_segment_recover(a.seg));
	}
	judge(&a, true);
	stage_step("statistics");
	stoa_segment_statistics(a.seg, &stat);
	attack_read(&a);
	ret->answer = answer;
	if (writes) {
		attack_write(&a);
		stage_step("recover again");
		note(&a, stoa_segment_recover(a.seg));
		judge_the_end(&a);
		stage_step("detach");
		stoa_segment_detach(a.seg);
	}
	stage_step("close");
	(void)stoa_segment_close(a.seg);
	stage_step(NULL);
}
