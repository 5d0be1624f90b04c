/* SPDX-License-Identifier: BSL-1.0 */
/* Images of a segment: what it held at one instant. See image.c. */
#ifndef STOAI_EXPLORE_IMAGE_H
#define STOAI_EXPLORE_IMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "segment/explore.h"

enum {
	STOAI_IMAGE_PAGE = 4096
};

/* Pages, each distinct content once. */
struct stoai_pool {
	char *pages;
	uint64_t *hashes;
	uint32_t *table; /* id + 1 by hash */
	uint32_t count;
	bool full;
};

/* The segment, and a copy of what was last seen of it. */
struct stoai_view {
	stoa_segment *seg;
	struct stoai_pool *pool;
	uint32_t pages; /* of the segment: all of its address space */
	char *bytes;
	uint32_t *ids;   /* in the pool */
	uint64_t *parts; /* of the sum that is the identity of all pages */
	uint64_t sum;
};

struct stoai_image {
	uint64_t sum;
	uint64_t step; /* how many instructions, or stores, came before it */
	uintptr_t at;  /* program counter behind the store that made it */
};

/* Distinct images in the order in which they were first seen. */
struct stoai_images {
	struct stoai_image *info;
	uint32_t *ids; /* view->pages for each */
	uint32_t *table;
	uint32_t pages, count;
	bool full;
};

int stoai_pool_make(struct stoai_pool *pool);
int stoai_view_make(
	struct stoai_view *view, struct stoai_pool *pool, stoa_segment *seg);
int stoai_images_make(struct stoai_images *images, uint32_t pages);

/* Forget all pages but the first `count`, and all images that have others. */
void stoai_pool_back(
	struct stoai_pool *pool, struct stoai_view *view, uint32_t count);
/* Any byte other than last seen? */
bool stoai_view_differs(const struct stoai_view *view);
/* See all of it again; true: its identity is another now. No allocation. */
bool stoai_view_look(struct stoai_view *view);
/* What the view last saw, unless it is there already. Its index. No allocation. */
uint32_t stoai_images_add(struct stoai_images *images,
	const struct stoai_view *view, uint64_t step, uintptr_t at);
void stoai_images_clear(struct stoai_images *images);
/* The segment, and the view of it, hold that image again. */
void stoai_image_restore(struct stoai_view *view,
	const struct stoai_images *images, uint32_t index);

/* The hash that headers carry. */
uint64_t stoai_image_sum(const void *bytes, size_t size);

/* A map from identities to a word; full: forgets. */
struct stoai_met {
	uint64_t *sums, *words;
};
int stoai_met_make(struct stoai_met *met);
/* true: there, *word is set. False: now it is, with *word. */
bool stoai_met_find(struct stoai_met *met, uint64_t sum, uint64_t **word);

#endif
