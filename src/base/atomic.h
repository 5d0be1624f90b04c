/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Atomics on words of shared memory: one function per width and order, the
 * order in its name. Nothing else in the library touches a shared word that
 * another process or a recovery relies on.
 *
 * Two different reasons order a store:
 *   release, acq_rel, seq_cst   a live thread on another processor reads it;
 *   kill                        this thread may die right after it. A killed
 *                               thread's earlier stores all become visible and
 *                               its later ones never happen, so only the
 *                               compiler must be held: kill stores cost nothing.
 * The words are plain integers, because the structs that hold them are public
 * and C++ reads them too.
 */
#ifndef STOAI_BASE_ATOMIC_H
#define STOAI_BASE_ATOMIC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * tests/model runs this very source under a scheduler of its own, which may let
 * another thread run, or this one die, before each of these.
 */
#ifdef STOA_MODEL
void stoai_model_step(const void *p, size_t size, bool changes);
 #define STOAI_STEP_(p, size, changes) stoai_model_step((p), (size), (changes))
#else
 #define STOAI_STEP_(p, size, changes) ((void)0)
#endif

/* Stores before it are made before stores after it, in this thread's order. */
static inline void
stoai_kill_fence(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Loads before it, also of plain memory, are made before loads after it. */
static inline void
stoai_load_fence(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

#define STOAI_ATOMICS_(w, T) \
 static inline T w##_load_relaxed(const T *p) \
 { \
  STOAI_STEP_(p, sizeof *p, false); \
  return __atomic_load_n(p, __ATOMIC_RELAXED); \
 } \
 static inline T w##_load_acquire(const T *p) \
 { \
  STOAI_STEP_(p, sizeof *p, false); \
  return __atomic_load_n(p, __ATOMIC_ACQUIRE); \
 } \
 static inline T w##_load_seq_cst(const T *p) \
 { \
  STOAI_STEP_(p, sizeof *p, false); \
  return __atomic_load_n(p, __ATOMIC_SEQ_CST); \
 } \
 static inline void w##_store_relaxed(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  __atomic_store_n(p, v, __ATOMIC_RELAXED); \
 } \
 static inline void w##_store_release(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  __atomic_signal_fence(__ATOMIC_SEQ_CST); \
  __atomic_store_n(p, v, __ATOMIC_RELEASE); \
  __atomic_signal_fence(__ATOMIC_SEQ_CST); \
 } \
 /* made visible before any later store of this thread */ \
 static inline void w##_store_before(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  __atomic_store_n(p, v, __ATOMIC_RELAXED); \
  __atomic_thread_fence(__ATOMIC_RELEASE); \
 } \
 /* reads the word again after every earlier load of this thread */ \
 static inline T w##_load_after(const T *p) \
 { \
  STOAI_STEP_(p, sizeof *p, false); \
  __atomic_thread_fence(__ATOMIC_ACQUIRE); \
  return __atomic_load_n(p, __ATOMIC_RELAXED); \
 } \
 static inline void w##_store_kill(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  __atomic_signal_fence(__ATOMIC_SEQ_CST); \
  __atomic_store_n(p, v, __ATOMIC_RELAXED); \
  __atomic_signal_fence(__ATOMIC_SEQ_CST); \
 } \
 static inline T w##_exchange_seq_cst(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); \
 } \
 static inline bool w##_cas_seq_cst(T *p, T *expected, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  return __atomic_compare_exchange_n( \
	  p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
 } \
 static inline T w##_fetch_or_seq_cst(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); \
 } \
 static inline T w##_fetch_and_seq_cst(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); \
 } \
 static inline T w##_fetch_add_seq_cst(T *p, T v) \
 { \
  STOAI_STEP_(p, sizeof *p, true); \
  return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); \
 }

/* NOLINTBEGIN(readability-non-const-parameter): builtins write through them */
STOAI_ATOMICS_(a32, uint32_t)
STOAI_ATOMICS_(a64, uint64_t)
/* NOLINTEND(readability-non-const-parameter) */

/* Pointers of local structs; shared memory holds none. */
static inline void *
ap_load_acquire(void *const *p)
{
	STOAI_STEP_(p, sizeof *p, false);
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline bool
ap_cas_seq_cst(void **p, void **expected, void *v)
{
	STOAI_STEP_(p, sizeof *p, true);
	return __atomic_compare_exchange_n(
		p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline void
ap_store_release(void **p, void *v)
{
	STOAI_STEP_(p, sizeof *p, true);
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Bytes that recovery relies on only after a later kill store says so. */
static inline void
stoai_kill_copy(void *to, const void *from, size_t size)
{
	STOAI_STEP_(to, size, true);
	stoai_kill_fence();
	memmove(to, from, size);
	stoai_kill_fence();
}

/* How often a word is looked at before its reader sleeps. */
enum {
#ifdef STOA_MODEL
	STOAI_SPINS = 1
#else
	STOAI_SPINS = 100
#endif
};

static inline void
stoai_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield" ::: "memory");
#endif
}

#endif
