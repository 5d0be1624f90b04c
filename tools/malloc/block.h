/* SPDX-License-Identifier: BSL-1.0 */
/* Blocks by address, over the heap's offsets: what entry.c's calls are made of. */
#ifndef TOOLS_MALLOC_BLOCK_H
#define TOOLS_MALLOC_BLOCK_H
#include <stdbool.h>
#include <stddef.h>

/* align: a power of two. NULL: errno is ENOMEM. */
void *block_alloc(size_t size, size_t align);
/* The same, zero bytes. */
void *block_alloc_zero(size_t size);
/* p is not NULL. Aborts if no block begins there. */
void block_free(void *p);
/* Where it is, if that can be done: then true. */
bool block_resize(void *p, size_t size);
size_t block_usable(const void *p);

#endif
