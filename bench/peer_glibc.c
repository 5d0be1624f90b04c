/* SPDX-License-Identifier: BSL-1.0 */
/* What do glibc's own locks between processes cost? See peer_glibc.h. */
#include "peer_glibc.h"
#include <semaphore.h>
#include <stoa/sync.h>

/* Each on lines of its own. */
static struct {
	pthread_mutex_t mutex[2] __attribute__((aligned(64)));
	pthread_rwlock_t lock __attribute__((aligned(64)));
	sem_t semaphore __attribute__((aligned(64)));
	sem_t way[2];
	pthread_mutex_t guard __attribute__((aligned(64)));
	pthread_cond_t changed;
	uint32_t ball[2]; /* under guard */
} * theirs;

bool
glibc_open(void)
{
	pthread_mutexattr_t attr;
	pthread_rwlockattr_t rwattr;
	pthread_condattr_t condattr;
	int rc;

	if (theirs)
		return true;
	theirs = measure_shared(sizeof *theirs);
	if (!theirs)
		return false;
	rc = pthread_mutexattr_init(&attr);
	rc |= pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_mutex_init(&theirs->mutex[GLIBC_PLAIN], &attr);
	rc |= pthread_mutex_init(&theirs->guard, &attr);
	rc |= pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	rc |= pthread_mutex_init(&theirs->mutex[GLIBC_ROBUST], &attr);
	rc |= pthread_rwlockattr_init(&rwattr);
	rc |= pthread_rwlockattr_setpshared(&rwattr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_rwlock_init(&theirs->lock, &rwattr);
	rc |= pthread_condattr_init(&condattr);
	rc |= pthread_condattr_setpshared(&condattr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_cond_init(&theirs->changed, &condattr);
	rc |= sem_init(&theirs->semaphore, 1, 0);
	rc |= sem_init(&theirs->way[0], 1, 0) | sem_init(&theirs->way[1], 1, 0);
	return !rc || measure_failed("glibc: no locks");
}

const struct measure_side glibc_side = {.open = glibc_open};

pthread_mutex_t *
glibc_mutex(void)
{
	return &theirs->mutex[GLIBC_ROBUST];
}

bool
glibc_mutex_loop(const struct measure_row *row, int role, uint64_t count)
{
	pthread_mutex_t *m = &theirs->mutex[row->param];

	(void)role;
	for (; count > 0; count--) {
		if (pthread_mutex_lock(m))
			return false;
		measure_use(m);
		if (pthread_mutex_unlock(m))
			return false;
		measure_between(row);
	}
	return true;
}

bool
glibc_rwlock_loop(const struct measure_row *row, int role, uint64_t count)
{
	pthread_rwlock_t *l = &theirs->lock;
	bool shared = row->param == STOA_SHARED;

	(void)role;
	for (; count > 0; count--) {
		if (shared ? pthread_rwlock_rdlock(l)
			   : pthread_rwlock_wrlock(l))
			return false;
		measure_use(l);
		if (pthread_rwlock_unlock(l))
			return false;
		measure_between(row);
	}
	return true;
}

bool
glibc_semaphore_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)role;
	for (; count > 0; count--) {
		if (sem_post(&theirs->semaphore) ||
			sem_wait(&theirs->semaphore))
			return false;
		measure_use(theirs);
		measure_between(row);
	}
	return true;
}

/* ---- there and back ---- */

bool
glibc_semaphore_give(int from)
{
	return !sem_post(&theirs->way[from]);
}

bool
glibc_semaphore_take(int from)
{
	return !sem_wait(&theirs->way[from]);
}

bool
glibc_condition_give(int from)
{
	if (pthread_mutex_lock(&theirs->guard))
		return false;
	theirs->ball[from] = 1;
	return !pthread_cond_signal(&theirs->changed) &&
	       !pthread_mutex_unlock(&theirs->guard);
}

bool
glibc_condition_take(int from)
{
	if (pthread_mutex_lock(&theirs->guard))
		return false;
	while (!theirs->ball[from])
		if (pthread_cond_wait(&theirs->changed, &theirs->guard))
			return false;
	theirs->ball[from] = 0;
	return !pthread_mutex_unlock(&theirs->guard);
}
