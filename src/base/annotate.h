/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Annotations: what may be touched at this moment, told to AddressSanitizer and to
 * valgrind's memcheck. Without STOA_ANNOTATE (CMake's option) all of it is nothing.
 *
 * What a tool knows is one process's, and the memory is everybody's. So only what
 * nobody but this process can hand out is closed: free and cached blocks of a slab,
 * while a thread of this process owns it. Opened again is
 *
 *	a block     when it leaves the cache                     (heap/cache.h)
 *	a slab      before it may be anybody else's              (heap/slab.c)
 *	a heap      in a fork's child, of which no thread owns anything; when all of
 *	            it is read: the copy of an image, checked mode    (segment, tx)
 *
 * What is open may be free all the same: a large block's spans, which anybody may
 * take; a block that another thread freed, until its owner has harvested and used it;
 * and a slab that changed its owner. Mistakes there are not found, but nothing is
 * called a mistake that is none.
 */
#ifndef STOAI_BASE_ANNOTATE_H
#define STOAI_BASE_ANNOTATE_H
#include <stdbool.h>
#include <stddef.h>

#ifdef STOA_ANNOTATE
 #define STOAI_ANNOTATES true
 #if defined __SANITIZE_ADDRESS__
  #define STOAI_ANNOTATE_ASAN
 #elif defined __has_feature
  #if __has_feature(address_sanitizer)
   #define STOAI_ANNOTATE_ASAN
  #endif
 #endif
#else
 #define STOAI_ANNOTATES false
#endif

#if defined STOAI_ANNOTATE_ASAN
 #include <sanitizer/asan_interface.h>

static inline void
stoai_annotate_close(const void *p, size_t size)
{
	__asan_poison_memory_region(p, size);
}

static inline void
stoai_annotate_open(const void *p, size_t size)
{
	__asan_unpoison_memory_region(p, size);
}

/* Opened for us to look at; true: it was closed, and the caller closes it again. */
static inline bool
stoai_annotate_peek(const void *p, size_t size)
{
	bool closed = __asan_address_is_poisoned(p);

	if (closed)
		stoai_annotate_open(p, size);
	return closed;
}

#elif defined STOA_ANNOTATE
 #pragma GCC diagnostic push
 #pragma GCC diagnostic ignored "-Wpedantic"
 #pragma GCC diagnostic ignored "-Wconversion"
 #pragma GCC diagnostic ignored "-Wsign-conversion"
 #pragma GCC diagnostic ignored "-Wcast-qual"
 #include <valgrind/memcheck.h>

static inline void
stoai_annotate_close(const void *p, size_t size)
{
	(void)VALGRIND_MAKE_MEM_NOACCESS(p, size);
}

/* Defined: a fresh block has whatever was there. */
static inline void
stoai_annotate_open(const void *p, size_t size)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(p, size);
}

static inline bool
stoai_annotate_peek(const void *p, size_t size)
{
	unsigned char bits[64];
	/* 3: not addressable, and no word of it to the user */
	bool closed = VALGRIND_GET_VBITS(p, bits, size) == 3;

	if (closed)
		stoai_annotate_open(p, size);
	return closed;
}
 #pragma GCC diagnostic pop

#else

static inline void
stoai_annotate_close(const void *p, size_t size)
{
	(void)p;
	(void)size;
}

static inline void
stoai_annotate_open(const void *p, size_t size)
{
	(void)p;
	(void)size;
}

static inline bool
stoai_annotate_peek(const void *p, size_t size)
{
	(void)p;
	(void)size;
	return false;
}

#endif
#endif
