/* SPDX-License-Identifier: BSL-1.0 */
/* What do locks cost that only spin? See peer_ck.h. */
#include "peer_ck.h"
#include <ck_bytelock.h>
#include <ck_md.h>
#include <ck_rwlock.h>
#include <ck_spinlock.h>
#include <stoa/sync.h>

static struct {
	ck_spinlock_t mutex __attribute__((aligned(64)));
	ck_rwlock_t lock __attribute__((aligned(64)));
	ck_bytelock_t bytes __attribute__((aligned(64)));
} * theirs;

static bool
open_theirs(void)
{
	if (theirs)
		return true;
	theirs = measure_shared(sizeof *theirs);
	if (!theirs)
		return false;
	ck_spinlock_init(&theirs->mutex);
	ck_rwlock_init(&theirs->lock);
	ck_bytelock_init(&theirs->bytes);
	return true;
}

const struct measure_side ck_side = {.open = open_theirs};

const char *
ck_version(void)
{
	return CK_VERSION;
}

bool
ck_spinlock_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	for (; count > 0; count--) {
		ck_spinlock_lock(&theirs->mutex);
		measure_use(theirs);
		ck_spinlock_unlock(&theirs->mutex);
		measure_between(row);
	}
	return true;
}

bool
ck_rwlock_loop(const struct measure_row *row, int role, uint64_t count)
{
	ck_rwlock_t *l = &theirs->lock;
	bool shared = row->param == STOA_SHARED;

	(void)role;
	for (; count > 0; count--) {
		if (shared)
			ck_rwlock_read_lock(l);
		else
			ck_rwlock_write_lock(l);
		measure_use(l);
		if (shared)
			ck_rwlock_read_unlock(l);
		else
			ck_rwlock_write_unlock(l);
		measure_between(row);
	}
	return true;
}

bool
ck_bytelock_loop(const struct measure_row *row, int role, uint64_t count)
{
	ck_bytelock_t *l = &theirs->bytes;
	unsigned slot = (unsigned)role + 1;
	bool shared = row->param == STOA_SHARED;

	for (; count > 0; count--) {
		if (shared)
			ck_bytelock_read_lock(l, slot);
		else
			ck_bytelock_write_lock(l, slot);
		measure_use(l);
		if (shared)
			ck_bytelock_read_unlock(l, slot);
		else
			ck_bytelock_write_unlock(l);
		measure_between(row);
	}
	return true;
}
