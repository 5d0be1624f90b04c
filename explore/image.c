/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Images: how are thousands of copies of a segment kept, found again and put back?
 *
 *	pool    pages of 4 KiB, each distinct content once      id = index
 *	image   one id for each page of the segment
 *	view    the ids of what was last seen, and its bytes
 *	sum     of hash(page number, content) over all pages: the identity
 *
 * Two images differ in a page or two, so thousands take the room of a few. Only
 * changed pages are hashed.
 *
 * The words of a slot that are for people only (pid, times) are zeroed in images:
 * they differ from run to run and no protocol reads them, and without that two
 * recoveries would never meet in the same image.
 *
 * Nothing here allocates after make: the arenas are reserved without memory, and
 * looking at a segment happens in a signal handler.
 */
#include "explore/image.h"
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	POOL_MAX = 1 << 19, /* pages: 2 GiB of address space */
	IMAGES_MAX = 1 << 16,
	MET_MAX = 1 << 20
};

static int
arena(size_t size, void *ret)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return stoai_explore_error(
			-ENOMEM, "no address space for images");
	memcpy(ret, &at, sizeof at);
	return 0;
}

int
stoai_pool_make(struct stoai_pool *pool)
{
	int rc;

	memset(pool, 0, sizeof *pool);
	rc = arena((size_t)POOL_MAX * STOAI_IMAGE_PAGE, &pool->pages);
	if (!rc)
		rc = arena(
			(size_t)POOL_MAX * sizeof *pool->hashes, &pool->hashes);
	if (!rc)
		rc = arena((size_t)2 * POOL_MAX * sizeof *pool->table,
			&pool->table);
	return rc;
}

int
stoai_view_make(
	struct stoai_view *view, struct stoai_pool *pool, stoa_segment *seg)
{
	int rc;

	memset(view, 0, sizeof *view);
	view->seg = seg;
	view->pool = pool;
	view->pages = (uint32_t)((seg->size + STOAI_IMAGE_PAGE - 1) /
				 STOAI_IMAGE_PAGE);
	rc = arena((size_t)view->pages * STOAI_IMAGE_PAGE, &view->bytes);
	if (!rc)
		rc = arena(view->pages * sizeof *view->ids, &view->ids);
	if (!rc)
		rc = arena(view->pages * sizeof *view->parts, &view->parts);
	for (uint32_t i = 0; !rc && i < view->pages; i++)
		view->ids[i] = UINT32_MAX;
	return rc;
}

int
stoai_images_make(struct stoai_images *images, uint32_t pages)
{
	int rc;

	memset(images, 0, sizeof *images);
	images->pages = pages;
	rc = arena((size_t)IMAGES_MAX * sizeof *images->info, &images->info);
	if (!rc)
		rc = arena((size_t)IMAGES_MAX * pages * sizeof *images->ids,
			&images->ids);
	if (!rc)
		rc = arena((size_t)2 * IMAGES_MAX * sizeof *images->table,
			&images->table);
	return rc;
}

static uint32_t
pool_intern(struct stoai_pool *pool, const char *page, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (2 * POOL_MAX - 1);
	uint32_t id;

	for (; pool->table[at]; at = (at + 1) & (2 * POOL_MAX - 1)) {
		id = pool->table[at] - 1;
		if (pool->hashes[id] == hash &&
			!memcmp(pool->pages + (size_t)id * STOAI_IMAGE_PAGE,
				page, STOAI_IMAGE_PAGE))
			return id;
	}
	if (pool->count == POOL_MAX) {
		pool->full = true;
		return 0;
	}
	id = pool->count++;
	memcpy(pool->pages + (size_t)id * STOAI_IMAGE_PAGE, page,
		STOAI_IMAGE_PAGE);
	pool->hashes[id] = hash;
	pool->table[at] = id + 1;
	return id;
}

void
stoai_pool_back(
	struct stoai_pool *pool, struct stoai_view *view, uint32_t count)
{
	uint32_t mask = 2 * POOL_MAX - 1;

	while (pool->count >
		count) { /* last in, first out: no hole in a probe */
		uint32_t id = --pool->count;
		uint32_t at = (uint32_t)pool->hashes[id] & mask;

		while (pool->table[at] != id + 1)
			at = (at + 1) & mask;
		pool->table[at] = 0;
	}
	for (uint32_t i = 0; i < view->pages; i++)
		view->ids[i] = UINT32_MAX;
}

/* Zero what is for people only, in a copy of page number `index`. */
static void
scrub(const struct stoai_view *view, uint32_t index, char *page)
{
	const stoa_segment *seg = view->seg;
	uint64_t from = (uint64_t)index * STOAI_IMAGE_PAGE;
	uint64_t people = offsetof(struct stoai_slot, pid);
	uint64_t size = offsetof(struct stoai_slot, paged) - people;

	for (uint32_t i = 0; i < seg->slot_count; i++) {
		uint64_t at =
			seg->slots_off + i * sizeof(struct stoai_slot) + people;

		/* slots are aligned to their size: none lies across a page */
		if (at >= from && at < from + STOAI_IMAGE_PAGE)
			memset(page + (at - from), 0, size);
	}
}

bool
stoai_view_differs(const struct stoai_view *view)
{
	return memcmp(view->seg->base, view->bytes, view->seg->size) != 0;
}

static void
view_page(struct stoai_view *view, uint32_t index)
{
	const char *now = view->seg->base + (size_t)index * STOAI_IMAGE_PAGE;
	char *seen = view->bytes + (size_t)index * STOAI_IMAGE_PAGE;
	char page[STOAI_IMAGE_PAGE];
	uint64_t from = (uint64_t)index * STOAI_IMAGE_PAGE;
	size_t size =
		(size_t)stoai_min(view->seg->size - from, STOAI_IMAGE_PAGE);
	uint64_t hash;

	if (view->ids[index] != UINT32_MAX && !memcmp(now, seen, size))
		return;
	memcpy(seen, now, size);
	memset(page, 0, sizeof page);
	memcpy(page, now, size);
	scrub(view, index, page);
	hash = XXH3_64bits(page, sizeof page);
	view->ids[index] = pool_intern(view->pool, page, hash);
	hash = XXH3_64bits_withSeed(&hash, sizeof hash, index + 1);
	view->sum += hash - view->parts[index];
	view->parts[index] = hash;
}

bool
stoai_view_look(struct stoai_view *view)
{
	uint64_t sum = view->sum;

	for (uint32_t i = 0; i < view->pages; i++)
		view_page(view, i);
	return view->sum != sum;
}

uint32_t
stoai_images_add(struct stoai_images *images, const struct stoai_view *view,
	uint64_t step, uintptr_t at)
{
	uint32_t mask = 2 * IMAGES_MAX - 1;
	uint32_t hole = (uint32_t)view->sum & mask;
	uint32_t index;

	for (; images->table[hole]; hole = (hole + 1) & mask)
		if (images->info[images->table[hole] - 1].sum == view->sum)
			return images->table[hole] - 1;
	if (images->count == IMAGES_MAX) {
		images->full = true;
		return images->count - 1;
	}
	index = images->count++;
	images->table[hole] = index + 1;
	images->info[index].sum = view->sum;
	images->info[index].step = step;
	images->info[index].at = at;
	memcpy(images->ids + (size_t)index * images->pages, view->ids,
		images->pages * sizeof *images->ids);
	return index;
}

void
stoai_images_clear(struct stoai_images *images)
{
	uint32_t mask = 2 * IMAGES_MAX - 1;

	if (images->count > IMAGES_MAX / 16) {
		memset(images->table, 0,
			(size_t)2 * IMAGES_MAX * sizeof *images->table);
		images->count = 0;
	}
	while (images->count) { /* last in, first out: no hole in a probe */
		uint32_t index = --images->count;
		uint32_t at = (uint32_t)images->info[index].sum & mask;

		while (images->table[at] != index + 1)
			at = (at + 1) & mask;
		images->table[at] = 0;
	}
}

void
stoai_image_restore(struct stoai_view *view, const struct stoai_images *images,
	uint32_t index)
{
	const uint32_t *ids = images->ids + (size_t)index * images->pages;

	for (uint32_t i = 0; i < view->pages; i++) {
		const char *page =
			view->pool->pages + (size_t)ids[i] * STOAI_IMAGE_PAGE;
		uint64_t from = (uint64_t)i * STOAI_IMAGE_PAGE;
		char *now = view->seg->base + from;
		size_t size = (size_t)stoai_min(
			view->seg->size - from, STOAI_IMAGE_PAGE);

		if (memcmp(now, page, size) != 0)
			memcpy(now, page, size);
	}
}

uint64_t
stoai_image_sum(const void *bytes, size_t size)
{
	return XXH3_64bits(bytes, size);
}

int
stoai_met_make(struct stoai_met *met)
{
	int rc = arena(MET_MAX * sizeof *met->sums, &met->sums);

	return rc ? rc : arena(MET_MAX * sizeof *met->words, &met->words);
}

bool
stoai_met_find(struct stoai_met *met, uint64_t sum, uint64_t **word)
{
	uint32_t at = (uint32_t)sum & (MET_MAX - 1);

	for (unsigned probes = 0; probes < 64; probes++) {
		if (met->sums[at] == sum && sum) {
			*word = &met->words[at];
			return true;
		}
		if (!met->sums[at])
			break;
		at = (at + 1) & (MET_MAX - 1);
	}
	met->sums[at] = sum;
	*word = &met->words[at];
	return false;
}
