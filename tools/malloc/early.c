/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The early arena: what does malloc give when it is called by what it calls?
 *
 *	bytes  | size | block ... | size | block ... | never used |
 *	                                             ^ used
 *
 * Opening the heap and attaching a thread allocate a few times, and the dynamic
 * linker does before there is an environment to read. These blocks come from here and
 * never go back: it is a few kilobytes a process, and the library asks for them once.
 * One atomic addition is the whole of it, so nothing of it can be held by a thread
 * that a fork leaves behind.
 */
#include "early.h"
#include "base/atomic.h"
#include "base/base.h"

enum {
	EARLY_BYTES = 512 << 10,
	EARLY_ALIGN = 16
};

static _Alignas(64) char bytes[EARLY_BYTES];
static uint64_t used;

void *
early_alloc(size_t size, size_t align)
{
	uint64_t need, at;
	char *p;

	align = stoai_max(align, EARLY_ALIGN);
	if (size > EARLY_BYTES || align > EARLY_BYTES)
		return NULL;
	need = stoai_align_up(size, EARLY_ALIGN) + EARLY_ALIGN + align;
	if (a64_load_relaxed(&used) + need > EARLY_BYTES)
		return NULL;
	at = a64_fetch_add_seq_cst(&used, need);
	if (at + need > EARLY_BYTES)
		return NULL;
	p = bytes + at + EARLY_ALIGN;
	p += stoai_align_up((uintptr_t)p, align) - (uintptr_t)p;
	((size_t *)(void *)p)[-1] = size;
	return p;
}

bool
early_has(const void *p)
{
	return (uintptr_t)p - (uintptr_t)bytes < sizeof bytes;
}

size_t
early_usable(const void *p)
{
	return ((const size_t *)p)[-1];
}

size_t
early_used(void)
{
	return stoai_min(a64_load_relaxed(&used), sizeof bytes);
}
