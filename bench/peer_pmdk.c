/* SPDX-License-Identifier: BSL-1.0 */
/* What do PMDK's crash-safe objects cost? See peer_pmdk.h. */
#include "peer_pmdk.h"
#include <libpmemobj.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum {
	POOL = 224 << 20,
	TYPE = 1
};

/* In the pool: where a new object is linked, in the same step as it is made. */
struct root {
	struct {
		PMEMoid made __attribute__((aligned(64)));
	} thread[MEASURE_WORKERS];
};

static PMEMobjpool *pool;
static uint64_t pool_id;
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static __thread PMEMoid *made;

const char *
pmdk_version(void)
{
	static char text[16];

	(void)snprintf(text, sizeof text, "%d.%d", PMEMOBJ_MAJOR_VERSION,
		PMEMOBJ_MINOR_VERSION);
	return text;
}

/* The name goes at once: the pool ends with its process. */
static bool
pool_make(void)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/dev/shm/stoa-bench-pmdk-%d",
		(int)getpid());
	pool = pmemobj_create(path, "bench", POOL, 0600);
	(void)unlink(path);
	return pool || measure_failed("pmdk: %s", pmemobj_errormsg());
}

bool
pmdk_start(const struct measure_row *row, int role)
{
	PMEMoid root;
	bool good;

	(void)row;
	(void)pthread_mutex_lock(&opening);
	good = pool || pool_make();
	(void)pthread_mutex_unlock(&opening);
	if (!good)
		return false;
	root = pmemobj_root(pool, sizeof(struct root));
	pool_id = root.pool_uuid_lo;
	made = &((struct root *)pmemobj_direct(root))->thread[role].made;
	return true;
}

uint64_t
pmdk_alloc(size_t size)
{
	if (pmemobj_alloc(pool, made, size, TYPE, NULL, NULL))
		return 0;
	*(uint64_t *)(void *)((char *)pool + made->off) = size;
	return made->off;
}

bool
pmdk_free(uint64_t off)
{
	PMEMoid object = {pool_id, off};

	pmemobj_free(&object);
	return true;
}

void *
pmdk_at(uint64_t off)
{
	return (char *)pool + off;
}

int64_t
pmdk_used(void)
{
	static bool counting;
	enum pobj_stats_enabled all = POBJ_STATS_ENABLED_BOTH;
	uint64_t bytes = 0;

	if (!counting && pmemobj_ctl_set(pool, "stats.enabled", &all))
		return -1;
	counting = true;
	if (pmemobj_ctl_get(pool, "stats.heap.run_active", &bytes))
		return -1;
	return (int64_t)bytes;
}
