/* SPDX-License-Identifier: BSL-1.0 */
/* What every file wants: checked arithmetic, bits, assertions, errors. */
#ifndef STOAI_BASE_BASE_H
#define STOAI_BASE_BASE_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "stoa/attr.h"
#include "stoa/error.h"

#define stoai_likely(x)   __builtin_expect(!!(x), 1)
#define stoai_unlikely(x) __builtin_expect(!!(x), 0)
/* One body with all that it calls in its file: for the hottest calls. */
#ifdef __SANITIZE_THREAD__ /* gcc; clang asks otherwise */
 #define STOAI_UNDER_TSAN 1
#elif defined(__has_feature)
 #define STOAI_UNDER_TSAN __has_feature(thread_sanitizer)
#else
 #define STOAI_UNDER_TSAN 0
#endif
#ifndef STOAI_FLATTEN /* stoa_all.c has all bodies in sight: there it would not end */
 #define STOAI_FLATTEN __attribute__((flatten))
#endif
#define STOAI_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STOAI_THREAD   __thread __attribute__((tls_model("initial-exec")))

/* Programmer errors in this library and misuse of it; off with NDEBUG. */
#ifdef NDEBUG
 #define STOA_ASSERT(x) ((void)sizeof(!(x)))
#else
void stoai_assert_failed(const char *what, const char *file, int line)
	__attribute__((noreturn, cold));
 #define STOA_ASSERT(x) \
  (stoai_likely(x) ? (void)0 : stoai_assert_failed(#x, __FILE__, __LINE__))
#endif

/*
 * Whatever was read from shared memory: never an assertion, always on. Read a
 * word once into a local, verify the local, use the local.
 */
#define STOA_VERIFY(x) \
 do { \
  if (stoai_unlikely(!(x))) \
   return stoai_error(-EBADMSG, "damaged: %s (%s:%d)", #x, \
	   stoai_basename(__FILE__), __LINE__); \
 } while (0)

/* Sets this thread's error text and returns rc: `return stoai_error(-EINVAL, "...")`. */
int stoai_error(int rc, const char *format, ...) STOA_PRINTF_(2, 3)
	__attribute__((cold));
/* As stoai_error, but keeps the text that is there and puts this before it. */
int stoai_error_in(int rc, const char *format, ...) STOA_PRINTF_(2, 3)
	__attribute__((cold));
/* For one system call: "format: strerror(errno)"; returns -errno. */
int stoai_error_errno(const char *format, ...) STOA_PRINTF_(1, 2)
	__attribute__((cold));
#ifdef __clang_analyzer__
	/* They return their first argument, or an errno, which the analyzer cannot see. */
 #define stoai_error(rc, ...) ((void)(stoai_error)((rc), __VA_ARGS__), (rc))
 #define stoai_error_in(rc, ...) \
  ((void)(stoai_error_in)((rc), __VA_ARGS__), (rc))
 #define stoai_error_errno(...) ((void)(stoai_error_errno)(__VA_ARGS__), -EIO)
#endif
/* Forget the text: what follows is the default sentence for its code. */
void stoai_error_clear(void);
/* The end of a call: what it looked for inside and did without is no failure. */
static inline int
stoai_error_left(int rc)
{
	if (!rc)
		stoai_error_clear();
	return rc;
}
/* The system's words for a negative errno; stoa_strerror has ours for some. */
const char *stoai_errno_text(int rc);
const char *stoai_basename(const char *path);
/* "1.5 MiB"; buf of 16 bytes; returns buf */
const char *stoai_size_text(char buf[16], uint64_t bytes);

static inline bool
stoai_add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

static inline bool
stoai_mul_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

/* align: a power of two; the caller knows that it cannot overflow */
static inline uint64_t
stoai_align_up(uint64_t x, uint64_t align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline bool
stoai_is_pow2(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* the lowest set bit; x != 0 */
static inline unsigned
stoai_ctz64(uint64_t x)
{
	return (unsigned)__builtin_ctzll(x);
}

/* floor(log2 x); x != 0 */
static inline unsigned
stoai_log2(uint64_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static inline uint64_t
stoai_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
stoai_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
