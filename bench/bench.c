/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What do a lock, a transaction and a block cost, beside what glibc offers?
 *
 * The peers do less: a robust mutex reports a dead owner and leaves the repair to
 * its user, malloc's memory is of one process. They are the floor that people
 * compare with. One thread, no contention: the price of the promise, not of
 * waiting. Everything of ours goes through the shared library, as users call it.
 */
#include "measure.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/mman.h>

enum {
	BATCH = 16
};

typedef struct cell {
	stoa_mutex mutex;
	stoa_rwlock lock;
	uint64_t value;
} cell;
STOA_TYPE(cell, mutex, lock, value);

typedef struct block {
	uint64_t word[8];
} block;
STOA_TYPE(block, word);

#define STOA_NAME numbers
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

/* in memory that processes share, as the peer would be used */
struct peer {
	pthread_mutex_t plain, robust;
	pthread_rwlock_t rwlock;
	uint64_t value;
};

static stoa_segment *seg;
static const cell *ours;
static const numbers *map;
static struct peer *peer;

static bool
done(int rc)
{
	if (rc)
		(void)fprintf(stderr, "bench: %s\n", stoa_error_text());
	return rc == 0;
}

/* ---- a lock, taken and given up ---- */

static bool
tx_mutex(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		STOA_TX(tx, seg, &ours->mutex);
		measure_use(ours);
		if (stoa_tx_commit(tx))
			return done(-1);
	}
	return true;
}

static bool
tx_rwlock(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		STOA_TX(tx, seg, &ours->lock);
		measure_use(ours);
		if (stoa_tx_commit(tx))
			return done(-1);
	}
	return true;
}

static bool
pthread_pair(void *user, uint64_t count)
{
	pthread_mutex_t *m = user;

	for (; count > 0; count--) {
		if (pthread_mutex_lock(m))
			return false;
		measure_use(peer);
		if (pthread_mutex_unlock(m))
			return false;
	}
	return true;
}

/* ---- a lock for reading ---- */

static bool
read_scope(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		STOA_READ(rd, seg, &ours->lock);
		measure_use(ours);
		if (stoa_tx_error(rd))
			return done(-1);
	}
	return true;
}

static bool
pthread_read(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		if (pthread_rwlock_rdlock(&peer->rwlock))
			return false;
		measure_use(peer);
		if (pthread_rwlock_unlock(&peer->rwlock))
			return false;
	}
	return true;
}

/* ---- one word changed under a lock; ours can be undone ---- */

static bool
tx_word(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		STOA_TX(tx, seg, &ours->mutex);
		STOA_ADD(tx, ours->value, 1);
		if (stoa_tx_commit(tx))
			return done(-1);
	}
	return true;
}

static bool
pthread_word(void *user, uint64_t count)
{
	pthread_mutex_t *m = user;

	for (; count > 0; count--) {
		if (pthread_mutex_lock(m))
			return false;
		peer->value++;
		measure_use(peer);
		if (pthread_mutex_unlock(m))
			return false;
	}
	return true;
}

/* ---- blocks: made, then freed, in batches of 16 ---- */

static bool
tx_blocks(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		block *made[BATCH];

		STOA_TX(tx, seg, &ours->mutex);
		for (int i = 0; i < BATCH; i++)
			made[i] = stoa_new(tx, block);
		measure_use(made[0]);
		for (int i = 0; i < BATCH; i++)
			stoa_delete(tx, block, made[i]);
		if (stoa_tx_commit(tx))
			return done(-1);
	}
	return true;
}

static bool
malloc_blocks(void *user, uint64_t count)
{
	(void)user;
	for (; count > 0; count--) {
		block *made[BATCH];

		for (int i = 0; i < BATCH; i++) {
			made[i] = calloc(1, sizeof(block));
			if (!made[i])
				return false;
			measure_use(made[i]);
		}
		for (int i = 0; i < BATCH; i++)
			free(made[i]);
	}
	return true;
}

/* ---- a hash map's lookup inside one read scope of 16 ---- */

static bool
map_get(void *user, uint64_t count)
{
	uint64_t key = 1;

	(void)user;
	for (; count > 0; count--) {
		STOA_READ(rd, seg);
		for (int i = 0; i < BATCH; i++) {
			key = key * 6364136223846793005u + 1442695040888963407u;
			if (!numbers_get(rd, map, key >> 52))
				return done(-1);
		}
	}
	return true;
}

static bool
prepare(void)
{
	pthread_mutexattr_t attr;
	pthread_rwlockattr_t rwattr;
	void *p;
	int rc;

	if (!done(stoa_segment_open(NULL, STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.size = 16u << 20), &seg)) ||
		!done(stoa_object_open(seg, "cell", cell, &ours)) ||
		!done(stoa_object_open(seg, "map", numbers, &map)))
		return false;
	for (uint64_t key = 0; key < 4096; key++)
		if (!done(STOA_DO(tx, seg, numbers_put(tx, map, key, key))))
			return false;

	p = mmap(NULL, sizeof *peer, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	peer = p;
	rc = pthread_mutexattr_init(&attr);
	rc |= pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_mutex_init(&peer->plain, &attr);
	rc |= pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	rc |= pthread_mutex_init(&peer->robust, &attr);
	rc |= pthread_rwlockattr_init(&rwattr);
	rc |= pthread_rwlockattr_setpshared(&rwattr, PTHREAD_PROCESS_SHARED);
	rc |= pthread_rwlock_init(&peer->rwlock, &rwattr);
	return rc == 0;
}

int
main(int argc, char **argv)
{
	static struct measure table[] = {
		{"mutex pair", "lock",
			{{"stoa tx, mutex", tx_mutex, NULL},
				{"pthread robust, shared", pthread_pair, NULL},
				{"pthread, shared", pthread_pair, NULL}}},
		{"exclusive pair of the rwlock", "lock",
			{{"stoa tx, rwlock", tx_rwlock, NULL},
				{"pthread robust, shared", pthread_pair,
					NULL}}},
		{"read pair of the rwlock", "lock",
			{{"stoa read scope", read_scope, NULL},
				{"pthread rwlock, shared", pthread_read,
					NULL}}},
		{"one word under a lock", "tx",
			{{"stoa tx, one STOA_ADD", tx_word, NULL},
				{"pthread robust, shared", pthread_word,
					NULL}}},
		{"16 blocks of 64 B, made and freed", "alloc",
			{{"stoa tx", tx_blocks, NULL},
				{"glibc calloc and free", malloc_blocks,
					NULL}}},
		{"16 lookups in 4096 numbers", "hashmap",
			{{"stoa hashmap, read scope", map_get, NULL}}},
	};

	if (!prepare()) {
		(void)fprintf(stderr, "bench: cannot prepare\n");
		return 1;
	}
	table[0].who[1].user = &peer->robust;
	table[0].who[2].user = &peer->plain;
	table[1].who[1].user = &peer->robust;
	table[3].who[1].user = &peer->robust;
	return measure_main(
		argc, argv, table, (int)(sizeof table / sizeof table[0]));
}
