/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which blocks does a program allocate and free? Loaded before it, this writes down
 * its calls of malloc and the like as ../trace.h describes, and frees at the end what
 * is left.
 *
 *	cc -O2 -shared -fPIC -o record.so record.c
 *	STOA_TRACE=out.trace STOA_TRACE_EVENTS=90000 LD_PRELOAD=./record.so program
 *
 * A block that is resized is another one and the old one freed. What the program
 * starts is not recorded, nor what comes after so many events.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PLACES = 1 << 21 /* of living blocks, by address; never nearly full */
};

/* glibc's own, whoever is in front of them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static struct {
	void *p; /* NULL: nothing is here */
	uint64_t number;
} place[PLACES];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static uint64_t allocations, events, events_max;
static __thread int inside; /* what stdio allocates is not the program's */

static void
number_out(uint64_t n)
{
	for (; n > 127; n >>= 7)
		(void)fputc((int)(n & 127) | 128, out);
	(void)fputc((int)n, out);
}

static size_t
home_of(const void *p)
{
	return (size_t)((uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15) >> 43) %
	       PLACES;
}

static void
born(void *p, size_t size)
{
	size_t at = home_of(p);

	if (!p || inside || !out)
		return;
	(void)pthread_mutex_lock(&mutex);
	inside = 1;
	if (out && events < events_max) {
		while (place[at].p && place[at].p != (void *)-1)
			at = (at + 1) % PLACES;
		place[at].p = p;
		place[at].number = allocations++;
		number_out((uint64_t)size << 1);
		events++;
	}
	inside = 0;
	(void)pthread_mutex_unlock(&mutex);
}

static void
dead(void *p)
{
	size_t at = home_of(p);

	if (!p || inside || !out)
		return;
	(void)pthread_mutex_lock(&mutex);
	inside = 1;
	while (out && place[at].p && place[at].p != p)
		at = (at + 1) % PLACES;
	if (out && place[at].p && events < events_max) {
		number_out((allocations - 1 - place[at].number) << 1 | 1);
		events++;
		place[at].p = (void *)-1;
	}
	inside = 0;
	(void)pthread_mutex_unlock(&mutex);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("STOA_TRACE"),
		   *limit = getenv("STOA_TRACE_EVENTS");

	if (!path)
		return;
	events_max = limit ? strtoull(limit, NULL, 10) : UINT64_MAX;
	inside = 1;
	out = fopen(path, "we");
	(void)unsetenv("STOA_TRACE");
	inside = 0;
}

__attribute__((destructor)) static void
end(void)
{
	(void)pthread_mutex_lock(&mutex);
	inside = 1;
	for (size_t at = 0; out && at < PLACES; at++)
		if (place[at].p && place[at].p != (void *)-1)
			number_out(
				(allocations - 1 - place[at].number) << 1 | 1);
	if (out)
		(void)fclose(out);
	out = NULL;
	(void)pthread_mutex_unlock(&mutex);
}

/* ---- in front of glibc's ---- */

void *
malloc(size_t size)
{
	void *p = __libc_malloc(size);

	born(p, size);
	return p;
}

void
free(void *p)
{
	dead(p);
	__libc_free(p);
}

void *
calloc(size_t n, size_t size)
{
	void *p = __libc_calloc(n, size);

	born(p, n * size);
	return p;
}

void *
realloc(void *old, size_t size)
{
	void *p;

	dead(old);
	p = __libc_realloc(old, size);
	if (p || size)
		born(p ? p : old, size);
	return p;
}

void *
memalign(size_t align, size_t size)
{
	void *p = __libc_memalign(align, size);

	born(p, size);
	return p;
}

void *
aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int
posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}
