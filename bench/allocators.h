/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Allocators of one process's private memory: the floor of what a heap can cost.
 * mimalloc and jemalloc are loaded with dlopen into a name space of their own, so
 * that malloc of this program stays glibc's.
 */
#ifndef BENCH_ALLOCATORS_H
#define BENCH_ALLOCATORS_H
#include <stdbool.h>
#include <stddef.h>

struct allocator {
	void *(*alloc)(size_t size);
	void (*free)(void *p);
	void (*give_back)(void); /* to the system, what it does not need */
	char version[48];        /* "": it is not here */
};

extern struct allocator glibc_malloc, mimalloc, jemalloc;

void allocators_load(void); /* again: nothing */

#endif
