/* SPDX-License-Identifier: BSL-1.0 */
/*
 * For the step explorer: how does a process look at a segment with fresh eyes, after
 * its bytes were put back behind its back?
 */
#include "segment/explore.h"
#include <stdarg.h>
#include <stdio.h>
#include "segment/upper.h"

void
stoai_explore_forget(stoa_segment *seg)
{
	stoai_segment_forget(seg);
	stoai_upper.segment_end(seg);
}

uint32_t
stoai_explore_slot(const stoa_segment *seg)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);

	return seat ? seat->index : UINT32_MAX;
}

void
stoai_explore_on_call(int (*f)(enum stoai_os_call call))
{
	stoai_os_fault = f;
}

int
stoai_explore_error(int rc, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return stoai_error(rc, "%s", text);
}
