/* SPDX-License-Identifier: BSL-1.0 */
/*
 * For the step explorer: how does a process look at a segment with fresh eyes, after
 * its bytes were put back behind its back?
 */
#include "segment/explore.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "segment/slots.h"
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

int
stoai_explore_twin(const stoa_segment *seg, stoa_segment **ret)
{
	stoa_segment *twin = malloc(sizeof *twin);

	if (!twin)
		return stoai_error(-ENOMEM, "no memory for a second handle");
	*twin = *seg;
	twin->fd = seg->fd < 0 ? -1 : stoai_os_reopen(seg->fd, true);
	if (seg->fd >= 0 && twin->fd < 0) {
		int rc = twin->fd;

		free(twin);
		return stoai_error(rc, "no second description of the file");
	}
	twin->shared_fd = -1;
	twin->checked_state = twin->types_cache = NULL;
	twin->next = NULL;
	twin->attached = 0;
	memset(twin->mine, 0, sizeof twin->mine);
	memset(twin->window, 0, sizeof twin->window);
	pthread_mutex_init(&twin->claims, NULL);
	*ret = twin;
	return 0;
}

int
stoai_explore_slots(
	stoa_slots *s, void *memory, uint64_t size, stoa_segment **ret)
{
	return stoai_slots_open(s, memory, size, -1, 1, ret);
}

void
stoai_explore_release(stoa_segment *seg)
{
	pthread_mutex_init(&seg->claims, NULL);
	for (uint32_t i = 0; seg->fd >= 0 && i < seg->slot_count; i++)
		(void)stoai_os_lock_byte(
			seg->fd, stoai_owner_byte(seg, i), STOAI_LOCK_NONE);
}

void
stoai_explore_on_idle(void (*f)(void))
{
	stoai_os_idle = f;
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
