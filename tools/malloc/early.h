/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Blocks for who cannot have any of the heap: before it is there, and of the library
 * itself while it opens the heap or attaches a thread. See early.c.
 */
#ifndef TOOLS_MALLOC_EARLY_H
#define TOOLS_MALLOC_EARLY_H
#include <stdbool.h>
#include <stddef.h>

/* Zero bytes. NULL: there is no room for it any more. */
void *early_alloc(size_t size, size_t align);
bool early_has(const void *p);
/* Bytes of a block. */
size_t early_usable(const void *p);
/* Bytes that were ever handed out. */
size_t early_used(void);

#endif
