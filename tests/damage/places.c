/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where does everything lie in a segment? So that damage can be aimed: at a field of
 * a header, a record, an entry, a vector; at a word that leads somewhere.
 */
#include "inside.h"
#include "heap/heap.h"
#include "heap/longest.h"
#include "object/index.h"
#include "object/visit.h"
#include "segment/log.h"
#include <stdlib.h>

enum {
	PLACES_MAX = 1 << 16
};

static void
place_add(struct seed *s, enum place_kind kind, uint64_t off, uint64_t size)
{
	if (!s->place) {
		s->place = calloc(PLACES_MAX, sizeof *s->place);
		s->ref = calloc(PLACES_MAX, sizeof *s->ref);
		if (!s->place || !s->ref)
			abort();
	}
	if (size && s->places < PLACES_MAX && off + size <= s->size)
		s->place[s->places++] = (struct place){kind, off, size};
}

static int
place_block(void *user, uint64_t off, uint64_t size)
{
	place_add(user, PLACE_BLOCK, off, size);
	return 0;
}

static bool
place_stored(void *user, uint64_t off, const struct stoai_stored_type *t)
{
	place_add(user, PLACE_STORED, off,
		sizeof *t + 8 * t->target_count + t->text_size);
	return true;
}

struct placing {
	struct seed *s;
	const stoa_tx *rd;
	struct stoai_offsets seen;
};

static bool
place_container(void *user, const stoa_type *type, const void *p)
{
	struct placing *x = user;
	enum place_kind kind = type->kind == STOA_KIND_VEC       ? PLACE_VEC
			       : type->kind == STOA_KIND_HASHMAP ? PLACE_HASHMAP
								 : PLACE_STR;

	place_add(x->s, kind, stoai_off(x->rd->seg, p), type->size);
	return true;
}

static bool
place_entry(void *user, uint64_t off, const struct stoai_entry *e)
{
	struct placing *x = user;
	const stoa_type *type = stoai_type_find(x->rd, e->type_id);
	struct stoai_walk w = {.rd = x->rd,
		.container = place_container,
		.user = x,
		.seen = &x->seen};
	uint64_t count = 0;

	place_add(x->s, PLACE_ENTRY, off, sizeof *e + e->name_size);
	const char *data =
		type ? stoai_entry_data(x->rd, e, type, &count) : NULL;
	for (uint64_t i = 0; i < count; i++)
		if (!stoai_walk(&w, type, data + i * type->size))
			return false;
	return type != NULL;
}

bool
places_of_heap(struct seed *s, stoa_segment *seg)
{
	struct placing x = {.s = s};
	STOA_READ(rd, seg);
	const struct stoai_root *root =
		stoai_names_lock(rd) ? stoai_root(rd) : NULL;
	bool all;

	if (!root)
		return false;
	x.rd = rd;
	place_add(s, PLACE_ROOT, stoai_off(seg, root), sizeof *root);
	if (root->index) /* what names the class, and the class's state */
		place_add(s, PLACE_ENTRY, root->index,
			sizeof(struct stoai_entry) + 64);
	else
		place_add(s, PLACE_BUCKETS, root->buckets,
			root->bucket_count * 8);
	all = stoai_stored_each(rd, place_stored, s) &&
	      stoai_index_each(rd, place_entry, &x) &&
	      !stoai_heap_each(seg, place_block, s);
	stoai_offsets_fini(&x.seen);
	/* without buckets nothing is walked */
	return all || (!root->bucket_count && !root->index);
}

/* The log of a lane, whose records were written by the library: no doubts. */
static void
places_of_log(struct seed *s, uint32_t slot)
{
	const struct stoai_header *h = seed_header(s);
	uint64_t at =
		h->lanes_off + (uint64_t)slot * h->lane_stride + STOAI_LANE_LOG;
	uint64_t end = seed_lane(s, slot)->cursor;

	for (unsigned i = 0; end && at != end && i < 1000; i++) {
		uint64_t head, size;

		memcpy(&head, s->bytes + at, 8);
		size = STOAI_LOG_FIXED + stoai_log_payload(head);
		place_add(s, PLACE_RECORD, at, size);
		at = head >> 60 == STOAI_LOG_NEXT ? head & STOAI_LOG_OFFSET
						  : at + size;
	}
}

static void
places_of_front(struct seed *s)
{
	const struct stoai_header *h = seed_header(s);
	uint64_t spans = (h->committed - h->heap_off) >> h->span_shift;

	place_add(s, PLACE_HEADER, 0, sizeof *h);
	for (uint32_t i = 0; i < h->slot_count; i++) {
		place_add(s, PLACE_SLOT,
			h->slots_off + i * sizeof(struct stoai_slot),
			sizeof(struct stoai_slot));
		if (!seed_slot(s, i)->paged)
			continue;
		place_add(s, PLACE_LANE,
			h->lanes_off + (uint64_t)i * h->lane_stride,
			h->lane_stride);
		places_of_log(s, i);
	}
	for (uint64_t i = 0; i < spans; i++) {
		uint64_t word, meta = h->meta_off + i * h->meta_stride;

		memcpy(&word, s->bytes + h->table_off + 8 * i, 8);
		if (word || i < 8)
			place_add(s, PLACE_SPAN, h->table_off + 8 * i, 8);
		if (stoai_span_state(word) == STOAI_SPAN_SLAB)
			place_add(s, PLACE_META, meta, h->meta_stride);
		if (i % STOAI_CHUNK == 0)
			place_add(s, PLACE_CHUNK,
				meta + stoai_meta_front(h->span_shift),
				sizeof(struct stoai_chunk));
	}
}

static int
by_kind(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

static bool
is_block(const struct seed *s, uint64_t off)
{
	size_t from = s->first[PLACE_BLOCK], to = s->places;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (s->place[mid].off == off)
			return true;
		if (s->place[mid].off < off)
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}

/* References: words of blocks that hold the offset of a block. */
static void
refs_find(struct seed *s)
{
	for (size_t k = s->first[PLACE_BLOCK]; k < s->places; k++)
		for (uint64_t at = s->place[k].off;
			at + 8 <= s->place[k].off + s->place[k].size; at += 8) {
			uint64_t word;

			memcpy(&word, s->bytes + at, 8);
			if (s->refs < PLACES_MAX &&
				is_block(s, word & ((UINT64_C(1) << 56) - 1)))
				s->ref[s->refs++] = at;
		}
}

void
places_finish(struct seed *s)
{
	size_t i = 0;

	places_of_front(s);
	qsort(s->place, s->places, sizeof *s->place, by_kind);
	for (int kind = 0; kind <= PLACE_KINDS; kind++) {
		while (i < s->places && (int)s->place[i].kind < kind)
			i++;
		s->first[kind] = i;
	}
	refs_find(s);
}
