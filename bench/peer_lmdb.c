/* SPDX-License-Identifier: BSL-1.0 */
/*
 * LMDB as a peer; see peer_lmdb.h. An environment must not be used over a fork, so
 * each worker opens it anew.
 */
#include "peer_lmdb.h"
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	IN_TX = 1024, /* puts a transaction */
	BATCH = 16,   /* gets a transaction */
	MODE = 0600
};

static char folder[64];
static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reader;
static uint64_t key_count;

static bool
done(int rc)
{
	return rc ? measure_failed("lmdb: %s", mdb_strerror(rc)) : true;
}

const char *
lmdb_version_text(void)
{
	static char text[32];
	int major, minor, patch;

	(void)mdb_version(&major, &minor, &patch);
	(void)snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
	return text;
}

static MDB_val
val(const void *p, size_t size)
{
	MDB_val v = {size, (void *)(uintptr_t)p};

	return v;
}

static bool
env_open(void)
{
	const unsigned flags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMETASYNC;
	MDB_txn *txn;

	return done(mdb_env_create(&env)) &&
	       done(mdb_env_set_mapsize(env, 512u << 20)) &&
	       done(mdb_env_open(env, folder, flags, MODE)) &&
	       done(mdb_txn_begin(env, NULL, 0, &txn)) &&
	       done(mdb_dbi_open(txn, NULL, MDB_CREATE, &dbi)) &&
	       done(mdb_txn_commit(txn));
}

static void
env_close(void)
{
	mdb_env_close(env);
	env = NULL;
}

/* Puts the pairs that `next` gives, IN_TX a transaction. */
static bool
put_all(uint64_t count, void (*next)(uint64_t i, MDB_val *key, MDB_val *value))
{
	bool ok = true;

	for (uint64_t i = 0; i < count && ok; i += IN_TX) {
		MDB_txn *txn;

		ok = done(mdb_txn_begin(env, NULL, 0, &txn));
		for (uint64_t k = i; ok && k < count && k < i + IN_TX; k++) {
			MDB_val key, value;

			next(k, &key, &value);
			ok = done(mdb_put(txn, dbi, &key, &value, 0));
		}
		ok = ok && done(mdb_txn_commit(txn));
	}
	return ok;
}

/* ---- a side ---- */

bool
lmdb_open(void)
{
	(void)strcpy(folder, "/dev/shm/stoa-bench-XXXXXX");
	return mkdtemp(folder) != NULL || measure_failed("lmdb: no folder");
}

bool
lmdb_start(const struct measure_row *row, int role)
{
	(void)row;
	(void)role;
	return env_open() &&
	       done(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader));
}

void
lmdb_stop(const struct measure_row *row, int role)
{
	(void)row;
	(void)role;
	if (reader)
		mdb_txn_abort(reader);
	reader = NULL;
	env_close();
}

void
lmdb_close(void)
{
	static const char *const file[] = {"data.mdb", "lock.mdb"};
	char path[96];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, file[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
}

/* ---- names ---- */

static const char *(*name_of)(uint64_t i);

static void
name_next(uint64_t i, MDB_val *key, MDB_val *value)
{
	static uint64_t number;

	number = i;
	*key = val(name_of(i), strlen(name_of(i)));
	*value = val(&number, sizeof number);
}

bool
lmdb_names_make(const char *(*name)(uint64_t i), uint64_t count)
{
	bool ok;

	name_of = name;
	ok = env_open() && put_all(count, name_next);
	env_close();
	return ok;
}

bool
lmdb_name_find(const char *name)
{
	MDB_val key = val(name, strlen(name)), value;
	int rc;

	mdb_txn_reset(reader);
	rc = mdb_txn_renew(reader);
	if (!rc)
		rc = mdb_get(reader, dbi, &key, &value);
	measure_use(&value);
	return done(rc);
}

/* ---- a word ---- */

bool
lmdb_word_loop(const struct measure_row *row, int role, uint64_t count)
{
	uint64_t word;

	(void)row;
	(void)role;
	mdb_txn_reset(reader);
	for (; count > 0; count--) {
		MDB_val key = val("word", 4), value = {0, NULL};
		MDB_txn *txn;

		if (!done(mdb_txn_begin(env, NULL, 0, &txn)))
			return false;
		word = 0;
		if (!mdb_get(txn, dbi, &key, &value))
			memcpy(&word, value.mv_data, sizeof word);
		word++;
		value = val(&word, sizeof word);
		if (!done(mdb_put(txn, dbi, &key, &value, 0)) ||
			!done(mdb_txn_commit(txn)))
			return false;
	}
	return true;
}

/* ---- a map ---- */

static void
number_next(uint64_t i, MDB_val *key, MDB_val *value)
{
	static uint64_t pair[2];

	pair[0] = measure_key(i);
	pair[1] = i;
	*key = val(&pair[0], sizeof pair[0]);
	*value = val(&pair[1], sizeof pair[1]);
}

bool
lmdb_map_clear(void)
{
	MDB_txn *txn;

	mdb_txn_reset(reader); /* or no page is free again */
	return done(mdb_txn_begin(env, NULL, 0, &txn)) &&
	       done(mdb_drop(txn, dbi, 0)) && done(mdb_txn_commit(txn));
}

/* Nothing to do if it is full already. */
bool
lmdb_map_fill(uint64_t keys)
{
	MDB_stat now;
	bool ok;

	mdb_txn_reset(reader);
	ok = done(mdb_txn_renew(reader)) && done(mdb_stat(reader, dbi, &now));
	mdb_txn_reset(reader);
	key_count = keys;
	return ok && (now.ms_entries == keys ||
			     (lmdb_map_clear() && lmdb_map_insert(keys)));
}

bool
lmdb_map_insert(uint64_t keys)
{
	key_count = keys;
	return put_all(keys, number_next);
}

bool
lmdb_map_erase(uint64_t keys)
{
	bool ok = true;

	for (uint64_t i = 0; i < keys && ok; i += IN_TX) {
		MDB_txn *txn;

		ok = done(mdb_txn_begin(env, NULL, 0, &txn));
		for (uint64_t k = i; ok && k < keys && k < i + IN_TX; k++) {
			uint64_t number = measure_key(k);
			MDB_val key = val(&number, sizeof number);

			ok = done(mdb_del(txn, dbi, &key, NULL));
		}
		ok = ok && done(mdb_txn_commit(txn));
	}
	return ok;
}

bool
lmdb_map_find_loop(const struct measure_row *row, int role, uint64_t count)
{
	static uint64_t state;

	(void)row;
	(void)role;
	for (uint64_t i = 0; i < count; i += BATCH) {
		mdb_txn_reset(reader);
		if (!done(mdb_txn_renew(reader)))
			return false;
		for (int k = 0; k < BATCH; k++) {
			uint64_t n =
				(measure_random(&state) >> 32) * key_count >>
				32;
			uint64_t number = measure_key(n);
			MDB_val key = val(&number, sizeof number), value;

			if (!done(mdb_get(reader, dbi, &key, &value)))
				return false;
			measure_use(value.mv_data);
		}
	}
	return true;
}

/* ---- attach ---- */

bool
lmdb_attach_loop(const struct measure_row *row, int role, uint64_t count)
{
	(void)row;
	(void)role;
	for (; count > 0; count--) {
		if (!env_open())
			return false;
		env_close();
	}
	return true;
}
