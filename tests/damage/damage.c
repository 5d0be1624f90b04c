/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How is a segment damaged? Image number i of a run follows from the run's seed and
 * i alone: which segment, opened how, and one to a few changes. Half of them know
 * what they hit:
 *
 *	aimed    one field of a header, slot, lane, log record, span, meta, root,
 *	         entry, stored type, string, vector or map, to a value that is
 *	         worst for its kind: another offset, itself, a count beyond, the
 *	         next state
 *	links    a reference made equal to another one, or leading to itself
 *	blind    bits, bytes and words anywhere, words of elsewhere in the image,
 *	         zeroed pages, swapped and copied spans and slots, an early end
 *
 * The sum over the static header is made right again half of the time: what a sum
 * hides from damage it does not hide from somebody who means it.
 */
#include "damage.h"
#include "base/base.h"
#include "heap/format.h"
#include "object/format.h"
#include "segment/geometry.h"
#include "segment/log.h"
#include "stoa/detail/core.h"
#include <string.h>

enum field_kind {
	FIELD_OFFSET, /* leads somewhere in the segment */
	FIELD_COUNT,
	FIELD_STATE,
	FIELD_BITS,
	FIELD_HEAD, /* of a log record: kind, length, offset */
	FIELD_SPAN, /* a word of the span table */
	FIELD_LOCK, /* a lock word */
	FIELD_HELD, /* an offset and a mode */
	FIELD_TOKEN,
	FIELD_TABLE, /* of a map: an offset and its size's logarithm */
	FIELD_TEXT
};

struct field {
	const char *name;
	uint32_t off, size, count; /* count elements of size bytes */
	enum field_kind kind;
};

#define FIELD(type, member, kind) \
 { \
  #member, (uint32_t)offsetof(type, member), \
	  (uint32_t)sizeof(((type *)0)->member), 1, kind \
 }
#define ARRAY(type, member, kind) \
 { \
  #member, (uint32_t)offsetof(type, member), \
	  (uint32_t)sizeof(((type *)0)->member[0]), \
	  (uint32_t)(sizeof(((type *)0)->member) / \
		     sizeof(((type *)0)->member[0])), \
	  kind \
 }

static const struct field header_fields[] = {
	FIELD(struct stoai_header, magic, FIELD_BITS),
	FIELD(struct stoai_header, layout_version, FIELD_COUNT),
	FIELD(struct stoai_header, byte_order, FIELD_BITS),
	FIELD(struct stoai_header, features_compat, FIELD_BITS),
	FIELD(struct stoai_header, features_rocompat, FIELD_BITS),
	FIELD(struct stoai_header, features_incompat, FIELD_BITS),
	FIELD(struct stoai_header, seed, FIELD_BITS),
	FIELD(struct stoai_header, page_size, FIELD_COUNT),
	FIELD(struct stoai_header, slot_count, FIELD_COUNT),
	FIELD(struct stoai_header, lane_stride, FIELD_COUNT),
	FIELD(struct stoai_header, span_shift, FIELD_COUNT),
	FIELD(struct stoai_header, meta_stride, FIELD_COUNT),
	FIELD(struct stoai_header, slots_off, FIELD_OFFSET),
	FIELD(struct stoai_header, lanes_off, FIELD_OFFSET),
	FIELD(struct stoai_header, table_off, FIELD_OFFSET),
	FIELD(struct stoai_header, meta_off, FIELD_OFFSET),
	FIELD(struct stoai_header, heap_off, FIELD_OFFSET),
	FIELD(struct stoai_header, reserve, FIELD_OFFSET),
	FIELD(struct stoai_header, root_off, FIELD_OFFSET),
	FIELD(struct stoai_header, sum, FIELD_BITS),
	FIELD(struct stoai_header, flags, FIELD_BITS),
	FIELD(struct stoai_header, clean, FIELD_COUNT),
	FIELD(struct stoai_header, boot_id, FIELD_BITS),
	FIELD(struct stoai_header, committed, FIELD_OFFSET),
	FIELD(struct stoai_header, freed, FIELD_BITS),
	FIELD(struct stoai_header, touched, FIELD_COUNT),
	FIELD(struct stoai_header, shaping, FIELD_COUNT),
	FIELD(struct stoai_header, heap_lock.word_, FIELD_LOCK),
	FIELD(struct stoai_header, lock.word_, FIELD_LOCK),
	FIELD(struct stoai_header, lock.seq_, FIELD_COUNT),
	ARRAY(struct stoai_header, lock.readers_, FIELD_BITS),
	FIELD(struct stoai_header, names.word_, FIELD_LOCK),
	FIELD(struct stoai_header, names.seq_, FIELD_COUNT),
	ARRAY(struct stoai_header, names.readers_, FIELD_BITS),
};
static const struct field slot_fields[] = {
	FIELD(struct stoai_slot, state, FIELD_STATE),
	FIELD(struct stoai_slot, generation, FIELD_COUNT),
	FIELD(struct stoai_slot, freeing, FIELD_OFFSET),
	FIELD(struct stoai_slot, waiting, FIELD_HELD),
	FIELD(struct stoai_slot, woken, FIELD_OFFSET),
	FIELD(struct stoai_slot, regions, FIELD_BITS),
	FIELD(struct stoai_slot, tries, FIELD_STATE),
	FIELD(struct stoai_slot, paged, FIELD_STATE),
	FIELD(struct stoai_slot, step, FIELD_COUNT),
	FIELD(struct stoai_slot, progress, FIELD_BITS),
};
static const struct field lane_fields[] = {
	FIELD(struct stoai_lane, state, FIELD_STATE),
	FIELD(struct stoai_lane, taken, FIELD_COUNT),
	FIELD(struct stoai_lane, cursor, FIELD_OFFSET),
	FIELD(struct stoai_lane, done, FIELD_OFFSET),
	ARRAY(struct stoai_lane, held, FIELD_HELD),
	/* the lane's end is the token: see aim() */
	{"token", UINT32_MAX, 4, 1, FIELD_TOKEN},
};
static const struct field record_fields[] = {
	{"head", 0, 8, 1, FIELD_HEAD},
	{"size", UINT32_MAX, 8, 1, FIELD_COUNT},
	{"payload", 8, 8, 1, FIELD_OFFSET},
};
static const struct field span_fields[] = {
	{"word", 0, 8, 1, FIELD_SPAN},
};
static const struct field meta_fields[] = {
	FIELD(struct stoai_meta, owner, FIELD_LOCK),
	FIELD(struct stoai_meta, class_index, FIELD_STATE),
	FIELD(struct stoai_meta, size, FIELD_COUNT),
	{"bits", sizeof(struct stoai_meta), 8, 6, FIELD_BITS},
};
static const struct field chunk_fields[] = {
	FIELD(struct stoai_chunk, longest, FIELD_COUNT),
	FIELD(struct stoai_chunk, longest_above, FIELD_COUNT),
	FIELD(struct stoai_chunk, freed, FIELD_BITS),
};
static const struct field root_fields[] = {
	FIELD(struct stoai_root, buckets, FIELD_OFFSET),
	FIELD(struct stoai_root, bucket_count, FIELD_COUNT),
	FIELD(struct stoai_root, count, FIELD_COUNT),
	FIELD(struct stoai_root, types, FIELD_OFFSET),
	FIELD(struct stoai_root, type_count, FIELD_COUNT),
	FIELD(struct stoai_root, uniques, FIELD_COUNT),
	FIELD(struct stoai_root, index, FIELD_OFFSET),
};
static const struct field buckets_fields[] = {
	{"bucket", 0, 8, 8, FIELD_OFFSET},
};
static const struct field entry_fields[] = {
	FIELD(struct stoai_entry, next, FIELD_OFFSET),
	FIELD(struct stoai_entry, hash, FIELD_BITS),
	FIELD(struct stoai_entry, type_id, FIELD_BITS),
	FIELD(struct stoai_entry, name_size, FIELD_COUNT),
	FIELD(struct stoai_entry, data_at, FIELD_COUNT),
	{"name", sizeof(struct stoai_entry), 1, 4, FIELD_TEXT},
};
static const struct field stored_fields[] = {
	FIELD(struct stoai_stored_type, next, FIELD_OFFSET),
	FIELD(struct stoai_stored_type, id, FIELD_BITS),
	FIELD(struct stoai_stored_type, text_size, FIELD_COUNT),
	FIELD(struct stoai_stored_type, target_count, FIELD_COUNT),
	{"target", sizeof(struct stoai_stored_type), 8, 2, FIELD_BITS},
	{"text", sizeof(struct stoai_stored_type), 1, 120, FIELD_TEXT},
};
static const struct field str_fields[] = {
	{"block", 0, 8, 1, FIELD_OFFSET},
	{"size", 8, 8, 1, FIELD_COUNT},
	{"capacity", 16, 8, 1, FIELD_COUNT},
	{"tag", 23, 1, 1, FIELD_BITS},
};
static const struct field vec_fields[] = {
	FIELD(stoa_vec, data_, FIELD_OFFSET),
	FIELD(stoa_vec, count_, FIELD_COUNT),
	FIELD(stoa_vec, capacity_, FIELD_COUNT),
	FIELD(stoa_vec, type_, FIELD_BITS),
	FIELD(stoa_vec, size_, FIELD_COUNT),
	FIELD(stoa_vec, boxed_, FIELD_STATE),
};
static const struct field hashmap_fields[] = {
	FIELD(stoa_hashmap, type_, FIELD_BITS),
	FIELD(stoa_hashmap, table_, FIELD_TABLE),
	FIELD(stoa_hashmap, count_, FIELD_COUNT),
	FIELD(stoa_hashmap, used_, FIELD_COUNT),
	FIELD(stoa_hashmap, stamp_, FIELD_BITS),
	FIELD(stoa_hashmap, seed_, FIELD_BITS),
	FIELD(stoa_hashmap, slot_size_, FIELD_COUNT),
	FIELD(stoa_hashmap, val_off_, FIELD_COUNT),
	FIELD(stoa_hashmap, key_class_, FIELD_STATE),
	FIELD(stoa_hashmap, boxed_, FIELD_STATE),
};
static const struct field block_fields[] = {
	{"byte", 0, 1, 24, FIELD_BITS},
	{"word", 0, 8, 16, FIELD_OFFSET},
	{"count", 0, 8, 16, FIELD_COUNT},
};

#define FIELDS(kind, name, list) \
 [kind] = {name, list, sizeof list / sizeof list[0]}

static const struct {
	const char *name;
	const struct field *fields;
	size_t count;
} kinds[PLACE_KINDS] = {
	FIELDS(PLACE_HEADER, "header", header_fields),
	FIELDS(PLACE_SLOT, "slot", slot_fields),
	FIELDS(PLACE_LANE, "lane", lane_fields),
	FIELDS(PLACE_RECORD, "log record", record_fields),
	FIELDS(PLACE_SPAN, "span", span_fields),
	FIELDS(PLACE_META, "meta", meta_fields),
	FIELDS(PLACE_CHUNK, "chunk", chunk_fields),
	FIELDS(PLACE_ROOT, "root", root_fields),
	FIELDS(PLACE_BUCKETS, "buckets", buckets_fields),
	FIELDS(PLACE_ENTRY, "entry", entry_fields),
	FIELDS(PLACE_STORED, "stored type", stored_fields),
	FIELDS(PLACE_STR, "string", str_fields),
	FIELDS(PLACE_VEC, "vector", vec_fields),
	FIELDS(PLACE_HASHMAP, "map", hashmap_fields),
	FIELDS(PLACE_BLOCK, "block", block_fields),
};

/* ---- dice ---- */

uint64_t
dice_roll(struct dice *d)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t
dice_below(struct dice *d, uint64_t n)
{
	return n ? dice_roll(d) % n : 0;
}

/* ---- words of the image ---- */

static const struct stoai_header *
header_of(const struct seed *seed)
{
	return (const struct stoai_header *)(const void *)seed->bytes;
}

static uint64_t
load(const struct image *image, uint64_t at, uint64_t size)
{
	uint64_t v = 0;

	if (at + size <= image->size)
		memcpy(&v, image->bytes + at, size);
	return v;
}

static void
store(struct image *image, uint64_t at, uint64_t size, uint64_t v)
{
	if (at + size <= image->size)
		memcpy(image->bytes + at, &v, size);
}

/* Half of the time near what matters, so that most of it is not free memory. */
static uint64_t
somewhere(const struct image *image, struct dice *d)
{
	const struct seed *s = image->seed;

	if (dice_below(d, 2) && s->places) {
		const struct place *p = &s->place[dice_below(d, s->places)];

		return (p->off + dice_below(d, p->size)) & ~UINT64_C(7);
	}
	return dice_below(d, image->size) & ~UINT64_C(7);
}

/* ---- values ---- */

static uint64_t
offset_value(
	const struct image *image, struct dice *d, uint64_t at, uint64_t was)
{
	const struct seed *s = image->seed;
	const struct stoai_header *h = header_of(s);
	const uint64_t some[] = {0, 1, 8, at, at & ~UINT64_C(15), was + 8,
		was - 8, was + 16, was - 16, was + 1,
		was + (UINT64_C(1) << h->span_shift),
		was - (UINT64_C(1) << h->span_shift), h->heap_off,
		h->heap_off - 8, h->committed, h->committed - 8,
		h->committed - 16, h->reserve, h->reserve - 8, h->reserve - 64,
		h->root_off, h->slots_off, h->lanes_off + STOAI_LANE_LOG,
		h->table_off, h->meta_off, 256, 384, 448,
		(UINT64_C(1) << 44) - 16, UINT64_C(1) << 44, UINT64_C(1) << 47,
		UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7};

	if (dice_below(d, 3) == 0)
		return s->place[dice_below(d, s->places)].off;
	if (dice_below(d, 8) == 0)
		return dice_below(d, h->reserve);
	return some[dice_below(d, STOAI_COUNT(some))];
}

static uint64_t
count_value(struct dice *d, uint64_t was)
{
	const uint64_t some[] = {0, 1, 2, 3, was + 1, was - 1, was * 2, was / 2,
		was + 7, was << 8, 255, 256, 4095, 4096, 65535, 65536,
		INT32_MAX, UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 32,
		UINT64_C(1) << 40, (UINT64_C(1) << 56) - 1, INT64_MAX,
		UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX / 8, UINT64_MAX / 16,
		UINT64_MAX - 7};

	return some[dice_below(d, STOAI_COUNT(some))];
}

/* The words of slots as they are now and were: of living, dead and no slots. */
static uint64_t
lock_value(const struct image *image, struct dice *d)
{
	const struct stoai_header *h = header_of(image->seed);
	uint32_t i = (uint32_t)dice_below(d, h->slot_count + 2);
	uint64_t generation = load(image,
		h->slots_off + i * sizeof(struct stoai_slot) +
			offsetof(struct stoai_slot, generation),
		4);

	generation += dice_below(d, 3) ? 0 : dice_below(d, 3) - 1;
	return (generation & STOAI_GENERATION_MASK) << 9 | (i + 1) |
	       (dice_below(d, 2) ? STOAI_WORD_WAITERS : 0);
}

static uint64_t
span_value(const struct image *image, struct dice *d, uint64_t was)
{
	const uint64_t length = STOAI_SPAN_LENGTH;
	uint64_t with =
		dice_below(d, 2) ? was & length : count_value(d, was & length);

	switch (dice_below(d, 5)) {
	case 0:
		return (was & ~length) | (with & length);
	case 1:
		return (was & ~(UINT64_C(7) << STOAI_SPAN_STATE_SHIFT)) |
		       dice_below(d, 8) << STOAI_SPAN_STATE_SHIFT;
	case 2:
		return was ^ (dice_below(d, 2) ? STOAI_SPAN_PUBLISHED
					       : STOAI_SPAN_PUNCHED);
	case 3:
		return (was & ~((uint64_t)STOAI_SPAN_OWNER_MASK
				      << STOAI_SPAN_OWNER_SHIFT)) |
		       dice_below(d, header_of(image->seed)->slot_count + 2)
			       << STOAI_SPAN_OWNER_SHIFT;
	default:
		return dice_below(d, 8) << STOAI_SPAN_STATE_SHIFT |
		       (with & length) |
		       (dice_below(d, 2) ? STOAI_SPAN_PUBLISHED : 0);
	}
}

static uint64_t
head_value(const struct image *image, struct dice *d, uint64_t at, uint64_t was)
{
	uint64_t off = was & STOAI_LOG_OFFSET, kind = was >> 60;
	uint64_t length = was >> 44 & 0xffff;

	switch (dice_below(d, 4)) {
	case 0:
		kind = dice_below(d, 9);
		break;
	case 1:
		length = count_value(d, length) & 0xffff;
		break;
	case 2:
		kind = dice_below(d, 7);
		off = offset_value(image, d, at, off);
		break;
	default:
		off = offset_value(image, d, at, off);
		break;
	}
	off &= STOAI_LOG_OFFSET;
	return kind << 60 | length << 44 | off;
}

static uint64_t
value_for(const struct image *image, struct dice *d, enum field_kind kind,
	uint64_t at, uint64_t was)
{
	if (dice_below(d, 8) == 0)
		return dice_roll(d);
	if (dice_below(d, 8) == 0)
		return was ^ UINT64_C(1) << dice_below(d, 64);
	switch (kind) {
	case FIELD_OFFSET:
		return offset_value(image, d, at, was);
	case FIELD_COUNT:
		return count_value(d, was);
	case FIELD_STATE:
		return dice_below(d, 12);
	case FIELD_HEAD:
		return head_value(image, d, at, was);
	case FIELD_SPAN:
		return span_value(image, d, was);
	case FIELD_LOCK:
		return lock_value(image, d);
	case FIELD_HELD:
		return (offset_value(image, d, at, was) & ~UINT64_C(7)) |
		       dice_below(d, 8);
	case FIELD_TOKEN:
		return dice_below(d, 8) << 29 | dice_below(d, 2) * 1002;
	case FIELD_TABLE:
		return dice_below(d, 2)
			       ? (was & ((UINT64_C(1) << 56) - 1)) |
					 dice_below(d, 64) << 56
			       : (was >> 56 << 56) |
					 (offset_value(image, d, at, was) &
						 ((UINT64_C(1) << 56) - 1));
	case FIELD_TEXT:
		return (uint64_t)(unsigned char)" \n()0129:aoz\377"[dice_below(
			d, 13)];
	default:
		return dice_below(d, 2) ? dice_roll(d) & dice_roll(d)
					: was & dice_roll(d);
	}
}

/* ---- changes ---- */

static void
tell_store(FILE *told, const char *what, const char *field, uint64_t at,
	uint64_t was, uint64_t now)
{
	if (told)
		(void)fprintf(told, "  %s%s%s at %#llx: %#llx -> %#llx\n", what,
			*field ? "." : "", field, (unsigned long long)at,
			(unsigned long long)was, (unsigned long long)now);
}

static void
change(struct image *image, FILE *told, const char *what, const char *field,
	uint64_t at, uint64_t size, uint64_t now)
{
	uint64_t was = load(image, at, size);

	if (size < 8)
		now &= (UINT64_C(1) << 8 * size) - 1;
	store(image, at, size, now);
	tell_store(told, what, field, at, was, now);
}

static void
aim(struct image *image, struct dice *d, FILE *told)
{
	const struct seed *s = image->seed;
	uint32_t kind;
	const struct place *p;
	const struct field *f;
	uint64_t at, size;

	do
		kind = (uint32_t)dice_below(d, PLACE_KINDS);
	while (s->first[kind] == s->first[kind + 1]);
	p = &s->place[s->first[kind] +
		      dice_below(d, s->first[kind + 1] - s->first[kind])];
	f = &kinds[kind].fields[dice_below(d, kinds[kind].count)];
	size = f->size > 8 ? 8 : f->size;
	at = p->off + f->off + dice_below(d, f->count) * size;
	if (f->off == UINT32_MAX) /* from the end */
		at = p->off + p->size - 8;
	if (kind == PLACE_BLOCK || kind == PLACE_BUCKETS)
		at = p->off + dice_below(d, p->size / size) * size;
	if (at + size > p->off + p->size)
		at = p->off;
	change(image, told, kinds[kind].name, f->name, at, size,
		value_for(image, d, f->kind, at, load(image, at, size)));
}

static void
link_wrongly(struct image *image, struct dice *d, FILE *told)
{
	const struct seed *s = image->seed;
	uint64_t at, to, was;

	if (!s->refs)
		return;
	at = s->ref[dice_below(d, s->refs)];
	was = load(image, at, 8);
	to = dice_below(d, 3) ? load(image, s->ref[dice_below(d, s->refs)], 8)
			      : at & ~(uint64_t)15;
	to = (was >> 56 << 56) | (to & ((UINT64_C(1) << 56) - 1));
	change(image, told, "reference", "", at, 8, to);
}

static void
blind(struct image *image, struct dice *d, FILE *told)
{
	uint64_t at = somewhere(image, d), was = load(image, at, 8);
	uint64_t byte = at + dice_below(d, 8);

	switch (dice_below(d, 8)) {
	case 0:
		change(image, told, "bit", "", byte, 1,
			load(image, byte, 1) ^ 1u << dice_below(d, 8));
		return;
	case 1:
		change(image, told, "byte", "", byte, 1, dice_roll(d));
		return;
	case 2:
		change(image, told, "word", "", at, 8, dice_roll(d));
		return;
	case 3:
		change(image, told, "word", "", at, 8,
			dice_below(d, 2) ? 0 : UINT64_MAX);
		return;
	case 4:
		change(image, told, "word", "", at, 8,
			load(image, somewhere(image, d), 8));
		return;
	case 5:
		change(image, told, "word", "", at, 8,
			was + (dice_below(d, 2) ? 1 : UINT64_MAX));
		return;
	case 6:
		change(image, told, "half word", "", at, 4,
			count_value(d, was));
		return;
	default:
		change(image, told, "word", "", at, 8,
			offset_value(image, d, at, was));
	}
}

static void
copy_piece(struct image *image, FILE *told, const char *what, uint64_t from,
	uint64_t to, uint64_t size, bool swap)
{
	if (from + size > image->size || to + size > image->size)
		return;
	for (uint64_t i = 0; i < size; i++) {
		char was = image->bytes[to + i];

		image->bytes[to + i] = image->bytes[from + i];
		if (swap)
			image->bytes[from + i] = was;
	}
	if (told)
		(void)fprintf(told, "  %s: %llu bytes of %#llx %s %#llx\n",
			what, (unsigned long long)size,
			(unsigned long long)from,
			swap ? "changed places with" : "copied to",
			(unsigned long long)to);
}

static void
pieces(struct image *image, struct dice *d, FILE *told)
{
	const struct stoai_header *h = header_of(image->seed);
	uint64_t span = UINT64_C(1) << h->span_shift;
	uint64_t spans = (h->committed - h->heap_off) >> h->span_shift;
	uint64_t i = dice_below(d, spans), k = dice_below(d, spans);
	uint64_t a = dice_below(d, h->slot_count);
	uint64_t b = dice_below(d, h->slot_count);

	switch (dice_below(d, 6)) {
	case 0:
		copy_piece(image, told, "span", h->heap_off + i * span,
			h->heap_off + k * span, span, dice_below(d, 2));
		return;
	case 1:
		copy_piece(image, told, "span word", h->table_off + i * 8,
			h->table_off + k * 8, 8, dice_below(d, 2));
		return;
	case 2:
		copy_piece(image, told, "meta",
			h->meta_off + i * h->meta_stride,
			h->meta_off + k * h->meta_stride, h->meta_stride,
			dice_below(d, 2));
		return;
	case 3:
		copy_piece(image, told, "slot",
			h->slots_off + a * sizeof(struct stoai_slot),
			h->slots_off + b * sizeof(struct stoai_slot),
			sizeof(struct stoai_slot), dice_below(d, 2));
		return;
	case 4:
		copy_piece(image, told, "lane",
			h->lanes_off + a * h->lane_stride,
			h->lanes_off + b * h->lane_stride, h->lane_stride,
			dice_below(d, 2));
		return;
	default:
		i = somewhere(image, d);
		copy_piece(image, told, "piece", i, somewhere(image, d),
			UINT64_C(8) << dice_below(d, 8), dice_below(d, 2));
	}
}

static void
zero_page(struct image *image, struct dice *d, FILE *told)
{
	uint64_t page = dice_below(d, 2) ? 4096 : 512;
	uint64_t at = somewhere(image, d) / page * page;

	if (at + page > image->size)
		return;
	memset(image->bytes + at, 0, page);
	if (told)
		(void)fprintf(told, "  %llu bytes at %#llx are zero\n",
			(unsigned long long)page, (unsigned long long)at);
}

static void
cut(struct image *image, struct dice *d, FILE *told)
{
	uint64_t size = dice_below(d, 2) ? dice_below(d, image->size)
					 : somewhere(image, d);

	if (dice_below(d, 2))
		size &= ~(uint64_t)4095;
	else
		size &= ~(uint64_t)63;
	if (!size || size > image->size)
		return;
	if (told)
		(void)fprintf(told, "  it ends at %#llx instead of %#llx\n",
			(unsigned long long)size,
			(unsigned long long)image->size);
	image_cut(image, size);
}

/* Another layout, consistent in itself, over the same bytes. */
static void
lay_out_anew(struct image *image, struct dice *d, FILE *told)
{
	struct stoai_header h = *header_of(image->seed), other = h;
	struct stoai_wish wish = {
		.size = UINT64_C(1) << (12 + dice_below(d, 15)),
		.threads = (uint32_t)dice_below(d, 9),
		.shared = dice_below(d, 4) != 0,
	};

	if (image->size < sizeof h)
		return;
	wish.limit = wish.size << dice_below(d, 4);
	if (stoai_geometry(&wish, &other))
		return;
	if (dice_below(d, 2))
		other.root_off = other.heap_off + (h.root_off - h.heap_off);
	if (dice_below(d, 2))
		other.committed =
			dice_below(d, 2) ? image->size : other.reserve;
	memcpy(image->bytes, &other, sizeof other);
	if (told)
		(void)fprintf(told,
			"  laid out anew: spans of %u bytes, %u slots, heap "
			"%#llx to %#llx of %#llx\n",
			1u << other.span_shift, other.slot_count,
			(unsigned long long)other.heap_off,
			(unsigned long long)other.committed,
			(unsigned long long)other.reserve);
}

void
damage_once(struct image *image, struct dice *d, FILE *told)
{
	uint64_t which = dice_below(d, 64);

	if (which < 32)
		aim(image, d, told);
	else if (which < 38)
		link_wrongly(image, d, told);
	else if (which < 54)
		blind(image, d, told);
	else if (which < 60)
		pieces(image, d, told);
	else if (which < 62)
		zero_page(image, d, told);
	else if (which < 63)
		cut(image, d, told);
	else
		lay_out_anew(image, d, told);
}

static void
sum_right(struct image *image)
{
	struct stoai_header h;

	if (image->size < sizeof h)
		return;
	memcpy(&h, image->bytes, sizeof h);
	h.sum = stoai_geometry_sum(&h);
	memcpy(image->bytes, &h, sizeof h);
}

static const struct seed *
choose_seed(struct dice *d)
{
	const struct seed *s;

	do
		s = seed_at(dice_below(d, seeds_count()));
	while (s->heavy && dice_below(d, 32));
	return s;
}

static enum image_mode
choose_mode(struct dice *d, const struct seed *s)
{
	static const enum image_mode some[] = {IMAGE_BUFFER, IMAGE_BUFFER,
		IMAGE_BUFFER, IMAGE_FILE, IMAGE_FILE, IMAGE_FILE,
		IMAGE_READONLY, IMAGE_CHECKED};

	if (s->buffer)
		return IMAGE_BUFFER;
	return some[s->heavy ? 3 + dice_below(d, 4)
			     : dice_below(d, STOAI_COUNT(some))];
}

void
damage_make(struct image *image, uint64_t seed, uint64_t index, FILE *told)
{
	static const char *const modes[] = {"in a buffer", "in a file",
		"in a file, read-only", "in a file, checked"};
	static const unsigned changes[] = {1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 8, 16};
	struct dice d = {seed * UINT64_C(0x9e3779b97f4a7c15) ^
			 index * UINT64_C(0xd1342543de82ef95)};
	const struct seed *s;
	enum image_mode mode;
	unsigned n;

	(void)dice_roll(&d);
	s = choose_seed(&d);
	mode = choose_mode(&d, s);
	n = changes[dice_below(&d, STOAI_COUNT(changes))];
	if (told)
		(void)fprintf(told, "segment '%s', %s\n", s->name, modes[mode]);
	image_put(image, s, mode);
	while (n--)
		damage_once(image, &d, told);
	if (dice_below(&d, 2))
		sum_right(image);
}
