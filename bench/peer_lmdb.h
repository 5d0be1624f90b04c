/* SPDX-License-Identifier: BSL-1.0 */
/*
 * LMDB as a peer, where it fits: it is kill-safe and made for processes. Without
 * syncing and with a writable map, since nobody else here is on a disk either; in
 * a folder of /dev/shm, read transactions renewed, as its manual advises.
 */
#ifndef BENCH_PEER_LMDB_H
#define BENCH_PEER_LMDB_H
#include "measure.h"

const char *lmdb_version_text(void);
bool lmdb_open(void); /* an empty folder */
bool lmdb_start(const struct measure_row *row, int role);
void lmdb_stop(const struct measure_row *row, int role);
void lmdb_close(void); /* the folder goes */

bool lmdb_names_make(const char *(*name)(uint64_t i), uint64_t count);
bool lmdb_name_find(const char *name);

bool lmdb_word_loop(const struct measure_row *row, int role, uint64_t count);
bool lmdb_map_clear(void);
bool lmdb_map_fill(uint64_t keys); /* unless it is full */
bool lmdb_map_insert(uint64_t keys);
bool lmdb_map_erase(uint64_t keys);
bool
lmdb_map_find_loop(const struct measure_row *row, int role, uint64_t count);
/* Open the environment anew and close it, `count` times. */
bool lmdb_attach_loop(const struct measure_row *row, int role, uint64_t count);

#endif
