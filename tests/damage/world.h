/* SPDX-License-Identifier: BSL-1.0 */
/* The data in the segments that are damaged: one of everything. */
#ifndef TESTS_DAMAGE_WORLD_H
#define TESTS_DAMAGE_WORLD_H
#include "crash/data.h"

typedef struct point { /* a key with padding */
	uint32_t x;
	uint8_t layer;
	int64_t y;
} point;
STOA_TYPE(point, x, layer, y);

typedef struct label {
	char text[12];
	stoa_str long_text;
	numbers values;
} label;
STOA_TYPE(label, text, long_text, (values, numbers));

typedef struct bytes5 {
	unsigned char b[5];
} bytes5;
STOA_TYPE_OPAQUE(bytes5);

#define STOA_NAME atlas
#define STOA_KEY  point
#define STOA_VAL  label
#include <stoa/template/hashmap.h>
#define STOA_NAME labels
#define STOA_VAL  label
#include <stoa/template/vec.h>
#define STOA_NAME shelf
#define STOA_VAL  names
#include <stoa/template/vec.h>
#define STOA_NAME bytes
#define STOA_KEY  uint8_t
#define STOA_VAL  names
#define STOA_BOXED
#include <stoa/template/hashmap.h>

/* Every kind of field, and containers in containers. */
typedef struct zoo {
	stoa_rwlock lock;
	bool yes;
	char c, name[6];
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;
	uint8_t u8, rgb[3];
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	float f;
	double d[2];
	bytes5 raw;
	pair pairs[2];
	stoa_owner who;
	stoa_str texts[2];
	atlas atlas;
	labels labels;
	shelf shelf;
	bytes bytes;
	node_ref own, twin;
} zoo;
STOA_TYPE(zoo, lock, yes, c, name, i8, i16, i32, i64, u8, rgb, u16, u32, u64, f,
	d, (raw, bytes5), (pairs, pair), who, texts, (atlas, atlas),
	(labels, labels), (shelf, shelf), (bytes, bytes), (own, node, own),
	(twin, node, ref));

#endif
