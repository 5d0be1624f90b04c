/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Raw blocks in a transaction: how are they made and freed, many at once, and
 * what does a pointer or a number that somebody brings lead to?
 *
 * Made and freed as every block is, by ALLOC and FREE records (change.c). Many at
 * once are taken in batches: the blocks are the thread's own until all records of
 * a batch count, by one store; then they are published, those side by side by one
 * store. A death before the first leaves transients, one behind it a log that names
 * them all.
 */
#include <stdlib.h>
#include "heap/heap.h"
#include "tx/local.h"
#include "stoa/memory.h"

enum {
	BATCH = 64,
	SCRATCH_ALIGN = 2 << 20
};

bool
stoai_tx_block(stoa_tx *tx, const void *p, uint64_t *off, uint64_t *size)
{
	if (!stoai_tx_writes(tx) || !stoai_tx_inside(tx, p, 1))
		return false;
	*off = stoai_off(tx->seg, p);
	*size = stoai_heap_usable(tx->seg, *off);
	if (stoai_likely(*size != 0))
		return true;
	(void)stoai_tx_fail(
		tx, stoai_error(-EFAULT, "%s: no block begins at %#llx",
			    stoai_name(tx->seg), (unsigned long long)*off));
	return false;
}

/* ---- made and freed ---- */

/* Scratch memory as it was wished: code may rely on the alignment. */
static void *
scratch(uint64_t size, uint64_t align)
{
	char *p;

	if (!stoai_is_pow2(align) || align > SCRATCH_ALIGN)
		align = 1;
	p = stoai_scratch_dirty(size + align);
	return p + (-(uintptr_t)p & (align - 1));
}

void *
stoa_alloc(stoa_tx *tx, uint64_t size, uint64_t align)
{
	void *p;

	align = stoai_tx_align(align);
	p = stoai_tx_alloc_dirty(tx, stoai_max(size, 1), align);
	return p ? p : scratch(size, align);
}

/* Up to BATCH blocks; the log counts them by one store. */
static int
batch_alloc(stoa_tx *tx, size_t n, const uint64_t *sizes, uint64_t size,
	uint64_t align, void **ret)
{
	struct stoai_seat *seat = tx->seat;
	struct stoai_cached block[BATCH];
	size_t made = 0;
	int rc = 0;

	while (made < n && !rc) {
		rc = stoai_heap_alloc(
			seat, sizes ? sizes[made] : size, align, &block[made]);
		made += !rc;
	}
	if (!rc)
		rc = stoai_lane_append_blocks(seat, n, block);
	if (!rc)
		stoai_heap_publish_many(seat, n, block);
	for (size_t i = 0; i < made; i++) {
		if (rc) {
			(void)stoai_heap_free(seat, block[i].off);
			continue;
		}
		ret[i] = stoai_at(tx->seg, block[i].off);
		if (stoai_profiled(tx->seg))
			stoai_profile_alloc(
				tx->seg, block[i].off, sizes ? sizes[i] : size);
	}
	return rc;
}

static bool
many_own(stoa_tx *tx, size_t n, const uint64_t *sizes, uint64_t size,
	uint64_t align, void **ret)
{
	uint64_t off = 0, usable;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		rc = stoai_own_alloc(
			tx, sizes ? sizes[i] : size, align, &off, &usable);
		ret[i] = stoai_at(tx->seg, off);
	}
	if (rc)
		(void)stoai_tx_fail(tx, rc);
	return !rc;
}

static bool
many_alloc(stoa_tx *tx, size_t n, const uint64_t *sizes, uint64_t size,
	uint64_t align, void **ret)
{
	int rc = 0;

	if (!stoai_tx_writes(tx)) {
		/* scratch */
	} else if (stoai_own(tx)) {
		if (many_own(tx, n, sizes, size, align, ret))
			return true;
	} else {
		tx->seat->busy = 1;
		for (size_t i = 0; i < n && !rc; i += BATCH)
			rc = batch_alloc(tx, stoai_min(n - i, BATCH),
				sizes ? sizes + i : NULL, size, align, ret + i);
		tx->seat->busy = 0;
		if (!rc)
			return true;
		(void)stoai_tx_fail(tx, rc);
	}
	for (size_t i = 0; i < n; i++)
		ret[i] = scratch(sizes ? sizes[i] : size, align);
	return false;
}

bool
stoa_alloc_many(
	stoa_tx *tx, size_t n, uint64_t size, uint64_t align, void **ret)
{
	return many_alloc(
		tx, n, NULL, stoai_max(size, 1), stoai_tx_align(align), ret);
}

bool
stoa_alloc_sizes(stoa_tx *tx, size_t n, const uint64_t *sizes, uint64_t align,
	void **ret)
{
	return many_alloc(tx, n, sizes, 0, stoai_tx_align(align), ret);
}

void
stoa_free(stoa_tx *tx, const void *p)
{
	uint64_t off, size;

	if (p && stoai_tx_block(tx, p, &off, &size))
		(void)stoai_tx_free_found(tx, off);
}

void
stoa_free_many(stoa_tx *tx, size_t n, const void *const *p)
{
	for (size_t i = 0; i < n; i++)
		stoa_free(tx, p[i]);
}

/* ---- looking ---- */

uint64_t
stoa_usable(const stoa_tx *rd, const void *p)
{
	return p && stoai_tx_reads(rd) && stoa_belongs(rd->seg, p)
		       ? stoai_heap_usable(rd->seg, stoai_off(rd->seg, p))
		       : 0;
}

const void *
stoa_block_of(const stoa_tx *rd, const void *p)
{
	uint64_t off =
		p && stoai_tx_reads(rd) && stoa_belongs(rd->seg, p)
			? stoai_heap_block(rd->seg, stoai_off(rd->seg, p))
			: 0;

	return off ? stoai_at(rd->seg, off) : NULL;
}

bool
stoa_belongs(stoa_segment *seg, const void *p)
{
	return stoai_in_heap(
		seg, (uint64_t)((uintptr_t)p - (uintptr_t)seg->base), 1);
}

int
stoa_ref_parse(const char *text, stoa_ref *ret)
{
	bool hex = text && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t off = 0;
	char *end = NULL;

	errno = 0;
	if (text && text[0] >= '0' && text[0] <= '9')
		off = strtoull(text, &end, hex ? 16 : 10);
	if (!off || errno || *end)
		return stoai_error(-EINVAL, "'%.40s' is no reference",
			text ? text : "(null)");
	ret->off = off;
	return 0;
}
