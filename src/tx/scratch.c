/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Scratch memory: where a transaction that has failed goes on writing.
 *
 * Address space without memory behind it until it is touched, handed out by a
 * mark that moves and wraps round, so that two things written after one another
 * do not lie on each other. Each thread has its own area; a thread that cannot
 * get one shares the process's, which was reserved before its first segment.
 */
#include "os/os.h"
#include "tx/local.h"

#define AREA_SIZE ((size_t)1 << 30)

static char *common;
static size_t common_used;

/* Called by one thread at a time. */
int
stoai_scratch_begin(void)
{
	void *at = NULL;
	int rc = 0;

	if (!common) {
		rc = stoai_os_map_private(
			AREA_SIZE, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);
		if (!rc)
			common = at;
	}
	return rc ? stoai_error(rc,
			    "cannot reserve 1 GiB of address space for failed "
			    "transactions: %s",
			    stoa_strerror(rc))
		  : 0;
}

void
stoai_scratch_end(struct stoai_self *self)
{
	if (self->scratch)
		stoai_os_unmap(self->scratch, AREA_SIZE);
	self->scratch = NULL;
}

static void *
hand_out(char *area, size_t *used, uint64_t size)
{
	void *p;

	if (size > AREA_SIZE - *used)
		*used = 0;
	p = area + *used;
	*used += size;
	return p;
}

void *
stoai_scratch_dirty(uint64_t size)
{
	struct stoai_self *self = stoai_self_get();
	uint64_t rounded =
		stoai_min(stoai_align_up(stoai_max(size, 16), 64), AREA_SIZE);
	void *at;

	if (self && !self->scratch &&
		!stoai_os_map_private(
			AREA_SIZE, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at))
		self->scratch = at;
	return self && self->scratch
		       ? hand_out(self->scratch, &self->scratch_used, rounded)
		       : hand_out(common, &common_used, rounded);
}

void *
stoai_scratch(uint64_t size, const void *from)
{
	void *p = stoai_scratch_dirty(size);

	size = stoai_min(size, AREA_SIZE);
	return from ? memcpy(p, from, size) : memset(p, 0, size);
}
