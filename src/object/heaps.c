/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which heap class has this segment, if any?
 *
 *	header.heap_class -> entry: name of the class, state
 *
 * As an index's class (classes.c): the functions are each process's own, the name
 * and the state are the segment's. The entry is made from the library's own heap, as
 * the root is, before the class divides anything; then the header says where it is,
 * and that who does not know of classes must not open the segment. Asking the class
 * is the business of tx/own.c.
 */
#include <string.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/classes.h"
#include "object/heaps.h"
#include "object/index.h"

static const stoa_heap_class *const built_in_heaps[] = {&stoa_heap_best_fit,
	&stoa_heap_best_fit_64, &stoa_heap_best_fit_4096, &stoa_heap_first_fit};

static const stoa_type *
heap_state_type(const stoa_heap_class *c)
{
	return c->state ? c->state : &stoa_type_uint64_t;
}

static int
heap_class_check(const stoa_heap_class *c)
{
	uint64_t id;
	int rc;

	if (!c->name || !c->extend || !c->alloc || !c->free || !c->usable)
		return stoai_error(-EINVAL,
			"options.heap: name, extend, alloc, free and usable "
			"are needed");
	rc = stoai_class_name_check("options.heap", c->name);
	return rc ? rc : stoai_type_identify(heap_state_type(c), &id);
}

static uint64_t
state_off(const stoa_segment *seg, const struct stoai_entry *e)
{
	return stoai_off(seg, e) + (e->data_at & ~(uint32_t)STOAI_ARRAY);
}

int
stoai_heap_class_format(stoa_segment *seg)
{
	const stoa_heap_class *c = seg->heap_class;
	struct stoai_header *header = stoai_header(seg);
	const struct stoai_entry *e;
	int rc = c ? heap_class_check(c) : 0;

	if (!c || rc)
		return rc;
	STOA_TX(tx, seg);
	e = stoai_class_entry_new(tx, c->name, heap_state_type(c));
	rc = stoa_tx_commit(tx);
	if (rc || !e)
		return rc;
	header->heap_class = stoai_off(seg, e);
	header->features_incompat |= STOAI_FEATURE_HEAP_CLASS;
	seg->heap_state = state_off(seg, e);
	return 0;
}

static const stoa_heap_class *
class_of_name(
	const stoa_segment *seg, const char *name, const stoa_heap_class *given)
{
	for (size_t i = 0; i < STOAI_COUNT(built_in_heaps); i++)
		if (!strcmp(name, built_in_heaps[i]->name))
			return built_in_heaps[i];
	if (given && given->name && !strcmp(name, given->name))
		return given;
	return seg->heap_state && !strcmp(name, seg->heap_class->name)
		       ? seg->heap_class /* brought when it was opened before */
		       : NULL;
}

int
stoai_heap_class_open(stoa_segment *seg, const stoa_heap_class *given)
{
	uint64_t off = stoai_header(seg)->heap_class;
	const struct stoai_entry *e;
	const stoa_heap_class *c;
	char text[STOAI_NAME_TEXT];
	int rc;

	if (!off)
		return 0;
	e = stoai_class_record(seg, off);
	if (!e)
		return stoai_error(-EBADMSG,
			"%s: damaged: its heap has no name at %#llx", seg->name,
			(unsigned long long)off);
	c = class_of_name(seg, e->name, given);
	if (!c)
		return stoai_error(-ENOTSUP,
			"%s: its memory is divided by a heap of its program, "
			"'%s': open it with STOA_SEGMENT_OPTIONS(.heap = "
			"&...) of that name%s%s",
			seg->name, stoai_name_text(e->name, e->name_size, text),
			given ? "; given was " : "", given ? given->name : "");
	rc = heap_class_check(c);
	if (!rc)
		rc = stoai_class_state_check(
			seg, "heap", e, heap_state_type(c));
	if (!rc && !stoai_in_heap(
			   seg, state_off(seg, e), heap_state_type(c)->size))
		rc = stoai_error(-EBADMSG,
			"%s: damaged: the state of its heap lies outside",
			seg->name);
	if (rc || (seg->heap_state && seg->heap_class == c))
		return rc;
	seg->heap_class = c;
	seg->heap_state = state_off(seg, e);
	return 0;
}

const struct stoai_entry *
stoai_heap_class_entry(const stoa_tx *rd)
{
	uint64_t off = stoai_header(rd->seg)->heap_class;

	return off ? stoai_entry_at(rd, off) : NULL;
}

int
stoai_heap_class_check(stoa_segment *seg)
{
	const stoa_hold hold = stoa_shared(&stoai_header(seg)->blocks);
	const stoa_tx *rd;
	int rc = 0;

	if (!seg->heap_state || !seg->heap_class->check)
		return 0;
	rd = stoa_read_begin(seg, &hold, 1, STOA_FOREVER);
	if (!stoa_tx_error(rd))
		rc = seg->heap_class->check(rd, stoai_at(seg, seg->heap_state));
	if (rc)
		(void)stoai_tx_fail(rd, rc);
	rc = stoa_tx_error(rd);
	stoa_tx_end(rd);
	return rc;
}

int64_t
stoai_heap_class_trim(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	const stoa_hold hold = stoa_hold_rwlock_(&stoai_header(seg)->blocks);
	stoa_tx *tx;
	int rc = 0;

	/* resized while nobody has it open: built-in ones can be asked */
	if (!seg->heap_state && stoai_heap_class_open(seg, NULL))
		stoai_error_clear();
	if (seg->heap_state) {
		tx = stoa_tx_begin(seg, &hold, 1, STOA_FOREVER);
		stoai_own_reduce(tx);
		rc = (stoa_tx_commit)(tx);
		stoa_tx_end(tx);
	}
	return rc ? rc : stoai_heap_trim(seat);
}
