/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Descriptions without a segment: what is refused, what two programs agree on,
 * canonical text on exact bytes and back, numbers as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "object/builtin.h"
#include "object/cache.h"
#include "object/closure.h"
#include "object/json.h"
#include "object/parse.h"
#include "stoa/stoa.h"

typedef struct point {
	double x, y;
} point;
STOA_TYPE(point, x, y);

#define STOA_NAME points
#define STOA_VAL  point
#include <stoa/template/vec.h>

#define STOA_NAME tags
#define STOA_KEY  stoa_str
#define STOA_VAL  int32_t
#include <stoa/template/hashmap.h>

#define STOA_NAME labels /* the same as tags, by another name */
#define STOA_KEY  stoa_str
#define STOA_VAL  int32_t
#include <stoa/template/hashmap.h>

#define STOA_NAME names
#define STOA_KEY  stoa_str
#include <stoa/template/hashmap.h>

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t key;
	node_ref next, twin;
	bool flag;
	char text[7];
	point at[2];
	points outline;
	tags marks;
	stoa_rwlock lock;
};
STOA_TYPE(node, key, (next, node, own), (twin, node, ref), flag, text,
	(at, point), (outline, points), (marks, tags), lock);

typedef struct left left;
typedef struct right right;
struct left {
	STOA_REF(right) other;
};
struct right {
	STOA_REF(left) other;
	uint32_t n;
	uint32_t m;
};
STOA_TYPE_DECLARE(right);
STOA_TYPE(left, (other, right, ref));
STOA_TYPE(right, (other, left, ref), n, m);

typedef struct bytes16 {
	unsigned char b[16];
} bytes16;
STOA_TYPE_OPAQUE(bytes16);

typedef struct mixed {
	bytes16 raw;
	int8_t a;
	int16_t b;
	int32_t c;
	int64_t d;
	uint8_t e;
	uint16_t f;
	uint32_t g;
	float h;
	double i;
	stoa_str s;
	stoa_owner o;
	stoa_mutex m;
	stoa_cond cd;
	char ch;
} mixed;
STOA_TYPE(mixed, (raw, bytes16), a, b, c, d, e, f, g, h, i, s, o, m, cd, ch);

#define POINT_ID UINT64_C(0xaa7471e1ab504aaf)
#define LEFT_ID  UINT64_C(0x217653041d98ddc4)

/* ---- helpers ---- */

static stoa_field
field(const char *name, uint32_t offset, uint32_t size, stoa_kind kind,
	const stoa_type *type)
{
	stoa_field f = {name, offset, size, kind, type};

	return f;
}

static stoa_type
structure(const char *name, uint32_t size, uint32_t align,
	const stoa_field *fields, size_t n)
{
	stoa_type t = {
		name, size, align, STOA_KIND_STRUCT, 0, fields, n, NULL, NULL};

	return t;
}

static void
assert_refused(const stoa_type *type, const char *why)
{
	assert_int_equal(stoa_type_check(type), -EINVAL);
	if (!strstr(stoa_error_text(), why))
		fail_msg("'%s' is not in '%s'", why, stoa_error_text());
	assert_int_equal(stoai_type_id(type), 0);
}

static char *
canonical(const stoa_type *type)
{
	struct stoai_text t = {0};

	assert_true(stoai_type_canonical(type, &t));
	assert_false(t.failed);
	return t.p;
}

/* ---- what is refused ---- */

static void
good_types_pass(void **state)
{
	(void)state;
	assert_int_equal(stoa_type_check(&stoa_type_point), 0);
	assert_int_equal(stoa_type_check(&stoa_type_node), 0);
	assert_int_equal(stoa_type_check(&stoa_type_left), 0);
	assert_int_equal(stoa_type_check(&stoa_type_right), 0);
	assert_int_equal(stoa_type_check(&stoa_type_mixed), 0);
	assert_int_equal(stoa_type_check(&stoa_type_points), 0);
	assert_int_equal(stoa_type_check(&stoa_type_tags), 0);
	assert_int_equal(stoa_type_check(&stoa_type_names), 0);
	assert_int_equal(stoa_type_check(&stoa_type_uint64_t), 0);
	assert_int_equal(stoa_type_check(&stoa_type_stoa_str), 0);
}

static void
forgotten_fields(void **state)
{
	stoa_field f[3] = {field("a", 0, 8, STOA_KIND_U64, NULL),
		field("b", 16, 8, STOA_KIND_U64, NULL),
		field("c", 8, 8, STOA_KIND_U64, NULL)};
	stoa_type t = structure("forgetful", 24, 8, f, 2);

	(void)state;
	assert_refused(&t, "bytes 8 to 15, before 'b'");
	t.field_count = 3; /* described in any order */
	assert_int_equal(stoa_type_check(&t), 0);
	t.size = 32;
	assert_refused(&t, "bytes 24 to 31, after 'b'");
	f[0].offset = 8;
	t.field_count = 1;
	t.size = 16;
	assert_refused(&t, "bytes 0 to 7, before 'a'");
}

static void
padding_is_no_gap(void **state)
{
	stoa_field f[3] = {field("a", 0, 1, STOA_KIND_U8, NULL),
		field("b", 2, 2, STOA_KIND_U16, NULL),
		field("c", 8, 8, STOA_KIND_U64, NULL)};
	stoa_type t = structure("padded", 16, 8, f, 3);

	(void)state;
	assert_int_equal(stoa_type_check(&t), 0);
	f[1] = field("b", 2, 1, STOA_KIND_U8, NULL);
	assert_refused(&t, "bytes 1 to 1, before 'b'");
}

static void
own_alignment(void **state)
{
	/* { uint32_t a; _Alignas(64) uint32_t b; } */
	stoa_field f[2] = {field("a", 0, 4, STOA_KIND_U32, NULL),
		field("b", 64, 4, STOA_KIND_U32, NULL)};
	stoa_type t = structure("lines", 128, 64, f, 2);

	(void)state;
	assert_int_equal(stoa_type_check(&t), 0);
	f[1].offset = 60;
	assert_refused(&t, "bytes 4 to 59, before 'b'");
	t.align = 8192;
	t.size = 8192;
	assert_refused(&t, "alignment of 8192");
}

static void
wrong_layouts(void **state)
{
	stoa_field f[2] = {field("a", 0, 8, STOA_KIND_U64, NULL),
		field("b", 4, 4, STOA_KIND_U32, NULL)};
	stoa_type t = structure("wrong", 8, 8, f, 2);
	char long_name[300];

	(void)state;
	assert_refused(&t, "'a' and 'b' overlap");
	f[1] = field("a", 8, 8, STOA_KIND_U64, NULL);
	t.size = 16;
	assert_refused(&t, "'a' stands there twice");
	f[1] = field("b", 12, 8, STOA_KIND_U64, NULL);
	assert_refused(&t, "ends outside");
	t.size = 20;
	t.align = 4;
	assert_refused(&t, "is not aligned");
	f[1] = field("b", 8, 7, STOA_KIND_U64, NULL);
	t = structure("wrong", 16, 8, f, 2);
	assert_refused(&t, "no multiple of 8");
	f[1] = field("b", 8, 0, STOA_KIND_U64, NULL);
	assert_refused(&t, "no multiple of 8");
	f[1] = field("b c", 8, 8, STOA_KIND_U64, NULL);
	assert_refused(&t, "proper name");
	f[1] = field("b", 8, 8, STOA_KIND_OWN, NULL);
	assert_refused(&t, "no proper kind");
	f[1] = field("b", 8, 8, STOA_KIND_STRUCT, NULL);
	assert_refused(&t, "no proper kind");
	f[1] = field("b", 8, 8, STOA_KIND_UNKNOWN, NULL);
	assert_refused(&t, "no proper kind");
	f[1] = field("b", 8, 8, (stoa_kind)99, NULL);
	assert_refused(&t, "no proper kind");
	t.field_count = 0;
	assert_refused(&t, "1 to 64 fields");
	t.field_count = 65;
	assert_refused(&t, "1 to 64 fields");
	t = structure("wrong", 17, 8, f, 1);
	assert_refused(&t, "size of 17");
	t = structure("wrong", 0, 8, f, 1);
	assert_refused(&t, "size of 0");
	t = structure("wrong", 8, 3, f, 1);
	assert_refused(&t, "alignment of 3");
	memset(long_name, 'x', sizeof long_name);
	long_name[256] = '\0';
	t = structure(long_name, 8, 8, f, 1);
	assert_refused(&t, "proper name");
	long_name[255] = '\0';
	assert_int_equal(stoa_type_check(&t), 0);
	t.kind = STOA_KIND_REF;
	assert_refused(&t, "kind");
	assert_int_equal(stoa_type_check(NULL), -EINVAL);
}

static void
types_that_hold_themselves(void **state)
{
	stoa_field f, g;
	stoa_type a, b;
	stoa_type deep[20];
	stoa_field inner[20];

	(void)state;
	f = field("b", 0, 8, STOA_KIND_STRUCT, &b);
	g = field("a", 0, 8, STOA_KIND_STRUCT, &a);
	a = structure("a", 8, 8, &f, 1);
	b = structure("b", 8, 8, &g, 1);
	assert_refused(&a, "holds itself");
	g.kind = STOA_KIND_OWN;
	assert_int_equal(stoa_type_check(&a), 0);
	deep[0] = structure("d0", 8, 8, &inner[0], 1);
	inner[0] = field("x", 0, 8, STOA_KIND_U64, NULL);
	for (int i = 1; i < 20; i++) {
		char *name = malloc(8);

		assert_non_null(name);
		(void)snprintf(name, 8, "d%d", i);
		inner[i] = field("x", 0, 8, STOA_KIND_STRUCT, &deep[i - 1]);
		deep[i] = structure(name, 8, 8, &inner[i], 1);
	}
	assert_int_equal(stoa_type_check(&deep[15]), 0);
	assert_refused(&deep[19], "more than 16 deep");
	for (int i = 1; i < 20; i++)
		free((char *)(uintptr_t)deep[i].name);
}

static void
declared_and_never_described(void **state)
{
	stoa_type never = {0};
	stoa_field f = field("other", 0, 8, STOA_KIND_REF, &never);
	stoa_type t = structure("lonely", 8, 8, &f, 1);

	(void)state;
	assert_refused(&t, "the type of 'other' was declared and never");
}

static void
containers_that_cannot_be(void **state)
{
	stoa_type t = stoa_type_points;

	(void)state;
	t.val = NULL;
	assert_refused(&t, "a value and no key");
	t.val = &stoa_type_node; /* holds a lock */
	assert_refused(&t, "must not move");
	t.boxed = 1;
	assert_int_equal(stoa_type_check(&t), 0);
	t.boxed = 2;
	assert_refused(&t, "a value and no key");
	t = stoa_type_tags;
	t.key = NULL;
	assert_refused(&t, "needs a key");
	t = stoa_type_tags;
	t.size = 24;
	assert_refused(&t, "a hashmap has");
	t = stoa_type_uint32_t;
	t.key = &stoa_type_char;
	assert_refused(&t, "for containers");
}

static void
too_many_types(void **state)
{
	static stoa_type t[300];
	static stoa_field f[300];
	static char name[300][8];

	(void)state;
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name[i], 8, "t%d", i);
		f[i] = field("next", 0, 8, STOA_KIND_REF, &t[(i + 1) % 300]);
		t[i] = structure(name[i], 8, 8, &f[i], 1);
	}
	assert_refused(&t[0], "more than 256 others");
	f[200].type = &t[200];
	assert_int_equal(stoa_type_check(&t[0]), 0);
}

/* ---- canonical text ---- */

static void
canonical_text(void **state)
{
	char *text = canonical(&stoa_type_node);
	char expected[512];

	(void)state;
	(void)snprintf(expected, sizeof expected,
		"struct node %zu 8\n"
		"key u64 0 8\n"
		"next own 8 8 node:%zu\n"
		"twin ref 16 8 node:%zu\n"
		"flag bool 24 1\n"
		"text char 25 7\n"
		"at in 32 32 point:16\n"
		"outline in 64 %zu vec(point):%zu\n"
		"marks in %zu %zu hashmap(stoa_str,int32_t):%zu\n"
		"lock rwlock %zu 48\n",
		sizeof(node), sizeof(node), sizeof(node), sizeof(points),
		sizeof(points), offsetof(node, marks), sizeof(tags),
		sizeof(tags), offsetof(node, lock));
	assert_string_equal(text, expected);
	free(text);
	text = canonical(&stoa_type_names);
	(void)snprintf(expected, sizeof expected,
		"hashmap %zu 0 stoa_str:24 -\n", sizeof(names));
	assert_string_equal(text, expected);
	free(text);
	text = canonical(&stoa_type_bytes16);
	assert_string_equal(text, "opaque bytes16 16 1\n");
	free(text);
}

/* ---- ids ---- */

static void
ids_of_words(void **state)
{
	(void)state;
	assert_int_equal(stoai_type_id(&stoa_type_uint64_t), STOA_KIND_U64 + 1);
	assert_int_equal(stoai_type_id(&stoa_type_bool),
		stoai_type_id(&stoa_type__Bool));
	assert_ptr_equal(
		stoai_builtin_of_id(STOA_KIND_STR + 1), &stoa_type_stoa_str);
	assert_null(stoai_builtin_of_id(0));
	assert_null(stoai_builtin_of_id(STOA_KIND_STRUCT + 1));
}

static void
ids_are_stable(void **state)
{
	(void)state;
	/* stored in segments: a change here is a change of the layout */
	assert_int_equal(stoai_type_id(&stoa_type_point), POINT_ID);
	assert_int_equal(stoai_type_id(&stoa_type_left), LEFT_ID);
	assert_int_equal(
		stoai_type_id(&stoa_type_left), stoai_type_id(&stoa_type_left));
	assert_int_not_equal(stoai_type_id(&stoa_type_left),
		stoai_type_id(&stoa_type_right));
	/* containers are what they contain */
	assert_int_equal(stoai_type_id(&stoa_type_tags),
		stoai_type_id(&stoa_type_labels));
	assert_int_not_equal(stoai_type_id(&stoa_type_tags),
		stoai_type_id(&stoa_type_names));
}

/* The same texts, but what a reference leads to has another layout. */
static void
ids_see_behind_references(void **state)
{
	stoa_field f[2] = {field("a", 0, 8, STOA_KIND_U64, NULL),
		field("b", 8, 8, STOA_KIND_U64, NULL)};
	stoa_field g[2] = {field("b", 0, 8, STOA_KIND_U64, NULL),
		field("a", 8, 8, STOA_KIND_U64, NULL)};
	stoa_type one = structure("target", 16, 8, f, 2);
	stoa_type two = structure("target", 16, 8, g, 2);
	stoa_field link1 = field("first", 0, 8, STOA_KIND_REF, &one);
	stoa_field link2 = field("first", 0, 8, STOA_KIND_REF, &two);
	stoa_type list1 = structure("list", 8, 8, &link1, 1);
	stoa_type list2 = structure("list", 8, 8, &link2, 1);
	char *a = canonical(&list1), *b = canonical(&list2), text[200];

	(void)state;
	assert_string_equal(a, b);
	assert_int_not_equal(stoai_type_id(&list1), stoai_type_id(&list2));
	stoai_type_difference(&list1, &list2, text, sizeof text);
	assert_string_equal(
		text, "target has 'a u64 0 8' there, 'b u64 0 8' here");
	stoai_type_difference(&list1, &list1, text, sizeof text);
	assert_string_equal(text, "");
	free(a);
	free(b);
}

/* Another translation unit's copy, and a new type at the place of an old one. */
static void
ids_are_of_content(void **state)
{
	stoa_type copy = stoa_type_node;
	stoa_type changing = stoa_type_point;
	const stoa_field other = field("other", 0, 8, STOA_KIND_U64, NULL);
	uint64_t id = stoai_type_id(&changing);

	(void)state;
	assert_int_equal(stoai_type_id(&copy), stoai_type_id(&stoa_type_node));
	assert_int_equal(id, stoai_type_id(&stoa_type_point));
	changing = stoa_type_left;
	assert_int_equal(
		stoai_type_id(&changing), stoai_type_id(&stoa_type_left));
	changing.name = "other"; /* of the same size */
	assert_int_not_equal(
		stoai_type_id(&changing), stoai_type_id(&stoa_type_left));
	changing = stoa_type_left;
	changing.fields = &other;
	assert_int_not_equal(
		stoai_type_id(&changing), stoai_type_id(&stoa_type_left));
}

/* ---- for people ---- */

static void
people_texts(void **state)
{
	char buf[200], small[16];

	(void)state;
	stoai_type_text(&stoa_type_point, buf, sizeof buf);
	assert_string_equal(buf, "point (16 bytes: x, y)");
	stoai_type_text(&stoa_type_points, buf, sizeof buf);
	assert_string_equal(buf, "vec of point (16 bytes: x, y)");
	stoai_type_text(&stoa_type_tags, buf, sizeof buf);
	assert_string_equal(buf, "hashmap of stoa_str to int32_t");
	stoai_type_text(&stoa_type_names, buf, sizeof buf);
	assert_string_equal(buf, "hashmap of stoa_str");
	stoai_type_text(&stoa_type_bytes16, buf, sizeof buf);
	assert_string_equal(buf, "bytes16 (16 bytes, opaque)");
	stoai_type_text(&stoa_type_point, small, sizeof small);
	assert_string_equal(small, "point (16 by...");
}

/* ---- back from text ---- */

static struct stoai_parsed *
parse(const char *text)
{
	struct stoai_parsed *p = NULL;
	int rc = stoai_parse(text, strlen(text), &p);

	if (rc)
		assert_int_equal(rc, -EBADMSG);
	return rc ? NULL : p;
}

static void
round_trip(const stoa_type *type)
{
	char *text = canonical(type), *again;
	struct stoai_parsed *p = parse(text);

	assert_non_null(p);
	for (uint32_t n = 0; n < p->target_count; n++) {
		*p->target[n] = stoai_type_target(type, n);
		assert_non_null(*p->target[n]);
	}
	assert_null(stoai_type_target(type, p->target_count));
	assert_int_equal(stoai_parsed_name(p), 0);
	assert_int_equal(stoa_type_check(&p->type), 0);
	again = canonical(&p->type);
	assert_string_equal(text, again);
	assert_int_equal(stoai_type_id(&p->type), stoai_type_id(type));
	/* or the next one, at the same address, is taken for this one */
	stoai_ids_remove(&p->type);
	free(text);
	free(again);
	free(p);
}

static void
parse_round_trips(void **state)
{
	(void)state;
	round_trip(&stoa_type_point);
	round_trip(&stoa_type_node);
	round_trip(&stoa_type_left);
	round_trip(&stoa_type_mixed);
	round_trip(&stoa_type_bytes16);
	round_trip(&stoa_type_points);
	round_trip(&stoa_type_tags);
	round_trip(&stoa_type_names);
}

static void
parse_refuses(void **state)
{
	static const char *const bad[] = {"", "\n", "struct", "struct\n",
		"struct a\n", "struct a 8 8", "struct a 8 8 \n",
		"struct a 8 8\nx\n", "struct a 8 8\nx u64\n",
		"struct a 8 8\nx u64 0\n", "struct a 8 8\nx u64 0 8 \n",
		"struct a 8 8\nx u64 0 8 b:8 c\n", "struct a 8 x\nx u64 0 8\n",
		"struct a 8 8\nx u64 0 99999999999999999999\n",
		"struct a 8 8\nx u64 0 4294967296\n",
		"struct a 8 8\nx u64 0 -1\n", "struct  8 8\n", " a 8 8\n",
		"vec 40\n", "vec 40 0\n", "vec 40 0 \n",
		"vec 40 0 a:8\nx u64 0 8\n", "hashmap 64 0 a:8\n",
		"hashmap 64 0 a:8 b:8 c:8\n", "u64 8\n", "str 24 0 -\n",
		"own 8 0 a:8\n", "nothing 8 8\n",
		"struct a 8 8\nx u64 0 8\n\n"};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(bad); i++)
		if (parse(bad[i]))
			fail_msg("'%s' was read", bad[i]);
	assert_int_equal(stoai_parse("struct a 8 8\nx\0u64 0 8\n", 24,
				 &(struct stoai_parsed *){NULL}),
		-EBADMSG);
}

/* Any byte of a good text replaced by any other: no crash, and never believed
 * unless it is a sound type again. */
static void
parse_survives_any_byte(void **state)
{
	char *text = canonical(&stoa_type_node);
	size_t size = strlen(text), sound = 0;

	(void)state;
	for (size_t i = 0; i < size; i++) {
		char was = text[i];

		for (int c = 0; c < 256; c++) {
			struct stoai_parsed *p = NULL;
			uint32_t n;

			text[i] = (char)c;
			if (stoai_parse(text, size, &p))
				continue;
			for (n = 0; n < p->target_count; n++) {
				const stoa_type *target =
					stoai_type_target(&stoa_type_node, n);

				*p->target[n] =
					target ? target : &stoa_type_point;
			}
			(void)stoai_parsed_name(p);
			sound += stoa_type_check(&p->type) == 0;
			free(p);
		}
		text[i] = was;
	}
	assert_true(sound > size); /* other names, at least */
	assert_true(sound < size * 256);
	free(text);
}

/* ---- numbers ---- */

#define NUMBER(kind, T, x, text) \
 do { \
  T value_ = (x); \
  char buf_[STOAI_NUMBER_TEXT]; \
  (void)stoai_json_number(kind, &value_, buf_); \
  assert_string_equal(buf_, text); \
 } while (0)

static void
numbers(void **state)
{
	double nan = strtod("nan", NULL);
	char buf[STOAI_NUMBER_TEXT];

	(void)state;
	NUMBER(STOA_KIND_F64, double, 1, "1");
	NUMBER(STOA_KIND_F64, double, 0.1, "0.1");
	NUMBER(STOA_KIND_F64, double, 1.0 / 3, "0.3333333333333333");
	NUMBER(STOA_KIND_F64, double, 0.1 + 0.2, "0.30000000000000004");
	NUMBER(STOA_KIND_F64, double, -0.0, "-0");
	NUMBER(STOA_KIND_F64, double, 1e300, "1e+300");
	NUMBER(STOA_KIND_F64, double, 5e-324, "4.94065645841247e-324");
	NUMBER(STOA_KIND_F32, float, 0.1f, "0.1");
	NUMBER(STOA_KIND_F32, float, 16777217.0f, "16777216");
	NUMBER(STOA_KIND_F32, float, 1.0f / 3, "0.33333334");
	NUMBER(STOA_KIND_I8, int8_t, -128, "-128");
	NUMBER(STOA_KIND_I16, int16_t, -2, "-2");
	NUMBER(STOA_KIND_I32, int32_t, INT32_MIN, "-2147483648");
	NUMBER(STOA_KIND_I64, int64_t, INT64_MIN, "-9223372036854775808");
	NUMBER(STOA_KIND_U8, uint8_t, 255, "255");
	NUMBER(STOA_KIND_U64, uint64_t, UINT64_MAX, "18446744073709551615");
	NUMBER(STOA_KIND_BOOL, bool, true, "true");
	NUMBER(STOA_KIND_BOOL, bool, false, "false");
	assert_true(stoai_json_number(STOA_KIND_F64, &nan, buf));
	assert_string_equal(buf, "NaN");
}

static void
assert_json_text(const char *bytes, size_t size, const char *expected)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_true(stoai_json_text(out, bytes, size));
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void
texts(void **state)
{
	(void)state;
	assert_json_text("", 0, "\"\"");
	assert_json_text("a \"b\" \\", 7, "\"a \\\"b\\\" \\\\\"");
	assert_json_text("\n\t\r\b\f\x01\x7f\0", 8,
		"\"\\n\\t\\r\\b\\f\\u0001\\u007f\\u0000\"");
	assert_json_text("\xc3\xa9", 2, "\"\xc3\xa9\"");
	assert_json_text("\xc3", 1, "\"\\ufffd\"");
	assert_json_text("\xff x", 3, "\"\\ufffd x\"");
	assert_json_text("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	assert_json_text("\xc0\x80", 2, "\"\\ufffd\\ufffd\"");
	assert_json_text("\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_types_pass),
		cmocka_unit_test(forgotten_fields),
		cmocka_unit_test(padding_is_no_gap),
		cmocka_unit_test(own_alignment),
		cmocka_unit_test(wrong_layouts),
		cmocka_unit_test(types_that_hold_themselves),
		cmocka_unit_test(declared_and_never_described),
		cmocka_unit_test(containers_that_cannot_be),
		cmocka_unit_test(too_many_types),
		cmocka_unit_test(canonical_text),
		cmocka_unit_test(ids_of_words),
		cmocka_unit_test(ids_are_stable),
		cmocka_unit_test(ids_see_behind_references),
		cmocka_unit_test(ids_are_of_content),
		cmocka_unit_test(people_texts),
		cmocka_unit_test(parse_round_trips),
		cmocka_unit_test(parse_refuses),
		cmocka_unit_test(parse_survives_any_byte),
		cmocka_unit_test(numbers),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
