/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which segment does an object lie in, and may a call be made on it now? For calls
 * that name an object and no segment; stoai_seat_at asks here when it does not know.
 */
#include "segment/registry.h"

int
stoai_attach_at(const void *object, struct stoai_seat **ret)
{
	stoa_segment *seg;

	stoai_registry_process_check();
	stoai_registry_lock();
	seg = stoai_registry_at(object);
	stoai_registry_unlock();
	if (!seg)
		return stoai_error(-EXDEV,
			"%p lies in no segment that this process has open",
			object);
	return stoai_attach(seg, STOA_NOW, ret);
}

int
stoai_seat_interrupted(const struct stoai_seat *seat)
{
	return stoai_error(-EDEADLK,
		"%s: called from a signal handler that interrupted a call",
		stoai_name(seat->seg));
}

static bool
covers(const struct stoai_seat *seat, const void *object)
{
	return seat && seat->seg && stoai_covers(seat->seg, object);
}

/* Why there may be no call on it now; 0: there may. */
static int
refused(const struct stoai_seat *seat, const void *object, uint64_t size)
{
	int rc;

	if (!stoai_lock_place(seat->seg, stoai_seat_off(seat, object), size))
		return stoai_error(-EXDEV, "%s: %p is no place of a lock",
			stoai_name(seat->seg), object);
	rc = stoai_seat_busy(seat);
	return rc ? rc : stoai_segment_usable(seat->seg);
}

struct stoai_seat *
stoai_seat_far(const void *object, uint64_t size, int *rc)
{
	struct stoai_seat *seat = stoai_seat_last;

	*rc = covers(seat, object) ? 0 : stoai_attach_at(object, &seat);
	if (!*rc)
		*rc = refused(seat, object, size);
	if (*rc)
		return NULL;
	stoai_seat_look(seat);
	return seat;
}

struct stoai_seat *
stoai_seat_having(const void *object)
{
	if (stoai_unlikely(!stoai_self))
		return NULL;
	if (stoai_likely(covers(stoai_seat_last, object)))
		return stoai_seat_last;
	for (uint32_t i = 0; i < STOAI_SEGMENTS_MAX; i++)
		if (covers(stoai_self->seat[i], object))
			return stoai_self->seat[i];
	return NULL;
}
