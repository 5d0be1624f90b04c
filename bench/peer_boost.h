/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Boost.Interprocess as a peer, for rows written in C. All of it is what a user
 * gets by default: managed_shared_memory, whose heap is rbtree_best_fit under an
 * interprocess_mutex; its other heap and its pools stand beside it. The hot loops stand in peer_boost.cc, so that its templates are
 * inlined into them; allocation is one call away, which is a hundredth of it.
 */
#ifndef BENCH_PEER_BOOST_H
#define BENCH_PEER_BOOST_H
#include "measure.h"

#ifdef __cplusplus
extern "C" {
#endif

bool boost_open(uint64_t size); /* again: counted, until as many closes */
bool boost_start(const struct measure_row *row, int role);
void boost_close(void);
const char *boost_version(void);

bool boost_lock_loop(const struct measure_row *row, int role, uint64_t count);
bool boost_shared_loop(const struct measure_row *row, int role, uint64_t count);
bool
boost_exclusive_loop(const struct measure_row *row, int role, uint64_t count);
bool
boost_upgradable_loop(const struct measure_row *row, int role, uint64_t count);
bool
boost_semaphore_loop(const struct measure_row *row, int role, uint64_t count);
bool boost_semaphore_give(int from); /* trip.h */
bool boost_semaphore_take(int from);
bool boost_condition_give(int from);
bool boost_condition_take(int from);
bool boost_word_loop(const struct measure_row *row, int role, uint64_t count);

void *boost_alloc(size_t size); /* NULL: full */
void boost_free(void *p);
int64_t boost_used(void);

/* simple_seq_fit, in a segment of its own */
bool boost_seq_start(const struct measure_row *row, int role);
void *boost_seq_alloc(size_t size);
void boost_seq_free(void *p);
int64_t boost_seq_used(void);

/* Pools of 64 B nodes in the first segment; what is not private to this worker is
 * shared by all. size is not asked. */
#define BOOST_POOL(name) \
 bool boost_##name##_start(const struct measure_row *row, int role); \
 void boost_##name##_stop(const struct measure_row *row, int role); \
 void *boost_##name##_alloc(size_t size); \
 void boost_##name##_free(void *p)
BOOST_POOL(node);
BOOST_POOL(private_node);
BOOST_POOL(cached_node);
BOOST_POOL(adaptive);
BOOST_POOL(private_adaptive);
BOOST_POOL(cached_adaptive);
#undef BOOST_POOL

bool boost_many(size_t size, size_t count); /* allocated and freed */
bool boost_resize(void *p, size_t from, size_t to);

bool boost_names_make(const char *(*name)(uint64_t i), uint64_t count);
bool boost_name_find(const char *name);

bool boost_containers_make(uint64_t keys);
bool boost_map_clear(void);
bool boost_map_insert(uint64_t keys);
bool boost_map_erase(uint64_t keys);
bool
boost_map_find_loop(const struct measure_row *row, int role, uint64_t count);
bool boost_vec_push(uint64_t count, uint64_t batch);
bool boost_vec_clear(void);
bool boost_str_append(const char *text, size_t size, uint64_t count);
bool boost_str_clear(void);

bool boost_attach_open(void);
bool boost_attach_loop(const struct measure_row *row, int role, uint64_t count);
void boost_attach_close(void);

#ifdef __cplusplus
}
#endif
#endif
