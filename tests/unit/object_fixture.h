/* SPDX-License-Identifier: BSL-1.0 */
/* Types of every sort, a segment for each test, and the questions asked of it. */
#ifndef STOA_TESTS_OBJECT_FIXTURE_H
#define STOA_TESTS_OBJECT_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/index.h"
#include "object/object.h"
#include "stoa/stoa.h"

typedef struct quote {
	int64_t bid, ask;
} quote;
typedef struct quote_new {
	int64_t bid, ask;
	char venue[8];
} quote_new;
STOA_TYPE(quote, bid, ask);
STOA_TYPE(quote_new, bid, ask, venue);

#define STOA_NAME quotes
#define STOA_KEY  uint64_t
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>

#define STOA_NAME quotes_new
#define STOA_KEY  uint64_t
#define STOA_VAL  quote_new
#include <stoa/template/hashmap.h>

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t n;
	stoa_str text;
	node_ref next, back;
};
STOA_TYPE(node, n, text, (next, node, own), (back, node, ref));

typedef struct list {
	node_ref first, both[2];
} list;
STOA_TYPE(list, (first, node, own), (both, node, own));

typedef struct guarded {
	stoa_rwlock lock;
	stoa_str note;
} guarded;
STOA_TYPE(guarded, lock, note);

#define STOA_NAME books
#define STOA_KEY  stoa_str
#define STOA_VAL  guarded
#define STOA_BOXED
#include <stoa/template/hashmap.h>

#define STOA_NAME texts
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>

typedef struct shelf {
	stoa_rwlock lock;
	books by_name;
	texts lines;
} shelf;
STOA_TYPE(shelf, lock, (by_name, books), (lines, texts));

typedef struct bytes4 {
	unsigned char b[4];
} bytes4;
STOA_TYPE_OPAQUE(bytes4);

typedef struct words {
	bool yes;
	char c, text[6], none[3];
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;
	uint8_t u8, rgb[3];
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	float f;
	double d, more[2];
	stoa_str s;
	bytes4 raw, raws[2];
	quote q, qs[2];
	stoa_owner who;
	stoa_mutex m;
	stoa_rwlock l;
	stoa_cond cond;
	node_ref ref, own, refs[2];
} words;
STOA_TYPE(words, yes, c, text, none, i8, i16, i32, i64, u8, rgb, u16, u32, u64,
	f, d, more, s, (raw, bytes4), (raws, bytes4), (q, quote), (qs, quote),
	who, m, l, cond, (ref, node, ref), (own, node, own), (refs, node, ref));

/* ---- helpers ---- */

static stoa_segment *seg;

static inline int
setup(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE, NULL, &seg);
}

static inline int
teardown(void **state)
{
	(void)state;
	seg = stoa_segment_close(seg);
	return 0;
}

static inline void
assert_sound(void)
{
	int rc = stoa_segment_check(seg);
	int64_t leaked;

	if (rc)
		fail_msg("check: %d %s", rc, stoa_error_text());
	leaked = stoa_segment_leaked(seg);
	if (leaked)
		fail_msg("leaked: %lld %s", (long long)leaked,
			stoa_error_text());
}

static inline uint64_t
blocks(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.blocks;
}

static inline uint64_t
objects(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.objects;
}

static inline void
assert_text(const char *expected)
{
	if (!strstr(stoa_error_text(), expected))
		fail_msg("'%s' is not in '%s'", expected, stoa_error_text());
}

static inline char *
dump(stoa_segment *from, const stoa_type *type, const void *p)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int rc;

	assert_non_null(out);
	{
		STOA_READ(rd, from);
		rc = stoa_type_dump(rd, type, p, out);
	}
	assert_int_equal(fclose(out), 0);
	if (rc) {
		free(text);
		return NULL;
	}
	return text;
}

enum {
	MANY = 500
};

static inline void
many_name(char buf[16], unsigned i)
{
	(void)snprintf(buf, 16, "%u", i * 2654435761u % 10007);
}

static inline void
many_make(void)
{
	char name[16];
	const quote *q = NULL;

	for (unsigned i = 0; i < MANY; i++) {
		many_name(name, i);
		assert_int_equal(stoa_object_open(seg, name, quote, &q), 0);
		assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, q->bid, i)), 0);
	}
}

static inline void
list_make(const list *l, unsigned count)
{
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < count; i++) {
		node *n = stoa_new(tx, node);

		n->n = i;
		n->next = l->first;
		STOA_LINK(tx, l->first, n);
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static inline const words *
words_make(void)
{
	STOA_TX(tx, seg);
	words *w = stoa_object_create(tx, "words", words);

	*w = (words){.yes = true,
		.c = 'x',
		.text = "abcdef",
		.i8 = -8,
		.i16 = -16,
		.i32 = -32,
		.i64 = -64,
		.u8 = 8,
		.rgb = {1, 2, 3},
		.u16 = 16,
		.u32 = 32,
		.u64 = UINT64_MAX,
		.f = 0.5f,
		.d = 0.1,
		.more = {1, 1e100},
		.raw = {{0, 0xab, 1, 2}},
		.q = {1, 2},
		.qs = {{3, 4}, {5, 6}}};
	stoa_str_set(tx, &w->s, "a \"text\"");

	node *n = stoa_new(tx, node);

	n->n = 1;
	STOA_LINK(tx, w->own, n);
	STOA_LINK(tx, w->refs[1], n);
	assert_int_equal(stoa_tx_commit(tx), 0);
	return w;
}

/* A block that nothing leads to. */
static inline const void *
lone_alloc(uint64_t size)
{
	STOA_TX(tx, seg);
	const void *p = stoa_alloc(tx, size, 0);

	return stoa_tx_commit(tx) ? NULL : p;
}

static inline void
lone_free(const void *p)
{
	assert_int_equal(STOA_DO(tx, seg, stoa_free(tx, p)), 0);
}

#endif
