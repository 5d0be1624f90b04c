/* SPDX-License-Identifier: BSL-1.0 */
/* The recorded program, read into events. See trace.h. */
#include "trace.h"
#include "measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

struct trace trace;

/* Slots that are free again, used in the order of a stack. */
struct reader {
	uint8_t *byte;
	size_t bytes, at;
	uint32_t *slot_of; /* by the allocation's number */
	uint32_t *vacant;
	size_t allocations, vacancies;
};

static bool
next_number(struct reader *r, uint64_t *ret)
{
	unsigned shift = 0;
	uint8_t one;

	*ret = 0;
	do {
		if (r->at == r->bytes || shift > 56)
			return false;
		one = r->byte[r->at++];
		*ret |= (uint64_t)(one & 127) << shift;
		shift += 7;
	} while (one & 128);
	return true;
}

static bool
next_event(struct reader *r, struct trace_event *e)
{
	uint64_t number, ago;

	if (!next_number(r, &number))
		return false;
	ago = number >> 1;
	if (number & 1) {
		if (ago >= r->allocations)
			return false;
		*e = (struct trace_event){
			0, r->slot_of[r->allocations - 1 - ago]};
		r->vacant[r->vacancies++] = e->slot;
		return true;
	}
	e->size = (uint32_t)(ago ? ago : 1);
	e->slot = r->vacancies ? r->vacant[--r->vacancies]
			       : (uint32_t)trace.slots++;
	r->slot_of[r->allocations++] = e->slot;
	return true;
}

/* An event has a byte at least: so none of these can be too short. */
static bool
decode(struct reader *r)
{
	trace.event = calloc(r->bytes, sizeof *trace.event);
	r->slot_of = calloc(r->bytes, sizeof *r->slot_of);
	r->vacant = calloc(r->bytes, sizeof *r->vacant);
	while (trace.event && r->slot_of && r->vacant && r->at < r->bytes)
		if (!next_event(r, &trace.event[trace.events++]))
			break;
	free(r->slot_of);
	free(r->vacant);
	return r->bytes && r->at == r->bytes && r->vacancies == trace.slots;
}

bool
trace_load(void)
{
	struct reader r = {.at = 0};
	FILE *f;
	bool good;

	if (trace.events)
		return true;
	f = fopen(BENCH_TRACE, "re");
	if (!f)
		return measure_failed(BENCH_TRACE ": %s", strerror(errno));
	if (!fseek(f, 0, SEEK_END) && ftell(f) > 0)
		r.bytes = (size_t)ftell(f);
	rewind(f);
	r.byte = malloc(r.bytes + 1);
	good = r.byte && fread(r.byte, 1, r.bytes, f) == r.bytes && decode(&r);
	(void)fclose(f);
	free(r.byte);
	return good || measure_failed(BENCH_TRACE ": not a trace");
}
