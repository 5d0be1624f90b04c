/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named and unnamed objects in a real segment: open, find, create, destroy,
 * iterate; stored types read back; dump; leaks; and the index with every one of
 * its bytes damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
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
STOA_TYPE(words, yes, c, text, none, i8, i16, i32, i64, u8, rgb, u16, u32, u64, f,
	d, more, s, (raw, bytes4), (raws, bytes4), (q, quote), (qs, quote), who, m,
	l, cond, (ref, node, ref), (own, node, own), (refs, node, ref));

/* ---- helpers ---- */

static stoa_segment *seg;

static int
setup(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE, NULL, &seg);
}

static int
teardown(void **state)
{
	(void)state;
	seg = stoa_segment_close(seg);
	return 0;
}

static void
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

static uint64_t
blocks(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.blocks;
}

static uint64_t
objects(void)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.objects;
}

static void
assert_text(const char *expected)
{
	if (!strstr(stoa_error_text(), expected))
		fail_msg("'%s' is not in '%s'", expected, stoa_error_text());
}

static char *
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

/* ---- open, find, create ---- */

static void
open_creates_once(void **state)
{
	const quote *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "one", quote, &a), 0);
	assert_non_null(a);
	assert_int_equal(a->bid, 0);
	assert_int_equal(a->ask, 0);
	assert_int_equal(stoa_object_open(seg, "one", quote, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(stoa_object_open(seg, NULL, quote, &c), 0);
	assert_ptr_not_equal(a, c);
	{
		STOA_READ(rd, seg);
		assert_ptr_equal(stoa_object_find(rd, "quote", quote), c);
		assert_ptr_equal(stoa_object_find(rd, NULL, quote), c);
		assert_ptr_equal(stoa_object_find(rd, "one", quote), a);
		assert_null(stoa_object_find(rd, "two", quote));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(objects(), 2);
	assert_sound();
}

static void
wrong_type_is_told(void **state)
{
	const quotes *q = NULL;
	const quotes_new *n = NULL;
	const quote *one = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "quotes", quotes, &q), 0);
	assert_int_equal(
		stoa_object_open(seg, "quotes", quotes_new, &n), -EPROTOTYPE);
	assert_null(n);
	assert_string_equal(stoa_error_text(),
		"'quotes' in '(unnamed)' is a hashmap of uint64_t to quote (16 "
		"bytes: bid, ask); you ask for quote_new (24 bytes: bid, ask, "
		"venue)");
	assert_int_equal(
		stoa_object_open(seg, "quotes", quote, &one), -EPROTOTYPE);
	assert_text("; you ask for quote (16 bytes: bid, ask)");
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, "quotes", quote));
		assert_int_equal(stoa_tx_error(rd), -EPROTOTYPE);
	}
	assert_sound();
}

/* Same name, same size, same fields, but not the same behind the reference. */
static void
wrong_type_behind_a_reference(void **state)
{
	static const stoa_field f[2] = {{"a", 0, 8, STOA_KIND_U64, NULL},
		{"b", 8, 8, STOA_KIND_U64, NULL}};
	static const stoa_field g[2] = {{"b", 0, 8, STOA_KIND_U64, NULL},
		{"a", 8, 8, STOA_KIND_U64, NULL}};
	static const stoa_type one = {"item", 16, 8, STOA_KIND_STRUCT, 0, f, 2,
		NULL, NULL};
	static const stoa_type two = {"item", 16, 8, STOA_KIND_STRUCT, 0, g, 2,
		NULL, NULL};
	static const stoa_field link1 = {"first", 0, 8, STOA_KIND_OWN, &one};
	static const stoa_field link2 = {"first", 0, 8, STOA_KIND_OWN, &two};
	static const stoa_type list1 = {"items", 8, 8, STOA_KIND_STRUCT, 0,
		&link1, 1, NULL, NULL};
	static const stoa_type list2 = {"items", 8, 8, STOA_KIND_STRUCT, 0,
		&link2, 1, NULL, NULL};
	const void *p = NULL;

	(void)state;
	assert_int_equal(stoa_object_open_(seg, "x", &list1, &p), 0);
	assert_int_equal(stoa_object_open_(seg, "x", &list2, &p), -EPROTOTYPE);
	assert_text("item has 'a u64 0 8' there, 'b u64 0 8' here");
	/* both can be in one segment, and each is read back as it is */
	assert_int_equal(stoa_object_open_(seg, "y", &list2, &p), 0);
	assert_sound();
}

static void
create_appears_at_commit(void **state)
{
	uint64_t before = blocks();

	(void)state;
	{
		STOA_TX(tx, seg);
		quote *q = stoa_object_create(tx, "fresh", quote);

		q->bid = 7;
		assert_ptr_equal(stoa_object_find(tx, "fresh", quote), q);
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	}
	assert_int_equal(blocks(), before);
	assert_int_equal(objects(), 0);
	{
		STOA_TX(tx, seg);
		assert_null(stoa_object_find(tx, "fresh", quote));
		stoa_object_create(tx, "fresh", quote)->bid = 8;
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg);
		quote *q = stoa_object_create(tx, "fresh", quote);

		assert_non_null(q);
		q->bid = 9; /* scratch memory */
		assert_int_equal(stoa_tx_commit(tx), -EEXIST);
		assert_text("'fresh' is in '(unnamed)' already");
	}
	{
		STOA_READ(rd, seg);
		const quote *q = stoa_object_find(rd, "fresh", quote);

		assert_non_null(q);
		assert_int_equal(q->bid, 8);
	}
	assert_sound();
}

/* A type that was stored and undone is not taken for stored. */
static void
types_are_undone_too(void **state)
{
	const quotes *q = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		STOA_TX(tx, seg);
		(void)stoa_object_create(tx, "a", quotes);
		(void)stoa_object_create(tx, "b", quotes);
		assert_non_null(stoa_object_find(tx, "a", quotes));
		assert_non_null(stoai_type_find(
			tx, stoai_type_id(&stoa_type_quotes)));
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -EDOM);
	}
	assert_sound();
	{
		STOA_READ(rd, seg);
		const struct stoai_root *root = stoai_root(rd);

		assert_non_null(root);
		assert_int_equal(root->type_count, 0);
	}
	assert_int_equal(stoa_object_open(seg, "a", quotes, &q), 0);
	{
		STOA_READ(rd, seg);
		assert_int_equal(stoai_root(rd)->type_count, 2);
	}
	assert_sound();
}

static void
open_in_a_transaction(void **state)
{
	const quote *q = NULL, *again = NULL;

	(void)state;
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_object_open(seg, "in", quote, &q), 0);
		assert_int_equal(stoa_object_open(seg, "in", quote, &again), 0);
		assert_ptr_equal(q, again);
		STOA_SET(tx, q->bid, 5);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_int_equal(objects(), 0);
	{
		STOA_TX(tx, seg);
		{
			/* what a reader looks at may be created later on */
			STOA_READ(rd, seg);
			assert_int_equal(
				stoa_object_open(seg, "on", quote, &q), -EBUSY);
			assert_int_equal(stoa_tx_error(rd), 0);
		}
		assert_int_equal(stoa_object_open(seg, "on", quote, &q), 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_READ(rd, seg);
		assert_int_equal(stoa_object_open(seg, "on", quote, &again), 0);
		assert_ptr_equal(again, q);
		assert_int_equal(
			stoa_object_open(seg, "in", quote, &again), -EBUSY);
		assert_text("inside a read scope");
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(objects(), 1);
	assert_sound();
}

static void
names(void **state)
{
	static const char *const bad[] = {"", "a\nb", "\x7f", "\xff", "a\xc3",
		"\xed\xa0\x80"};
	static const char *const good[] = {"a", " ", "\xc3\xa9", "a/b", "..",
		"\"", "%s"};
	char long_name[1026];
	const quote *q = NULL;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(bad); i++)
		assert_int_equal(
			stoa_object_open(seg, bad[i], quote, &q), -EINVAL);
	for (size_t i = 0; i < STOAI_COUNT(good); i++)
		assert_int_equal(stoa_object_open(seg, good[i], quote, &q), 0);
	memset(long_name, 'n', sizeof long_name);
	long_name[1025] = '\0';
	assert_int_equal(
		stoa_object_open(seg, long_name, quote, &q), -ENAMETOOLONG);
	long_name[1024] = '\0';
	assert_int_equal(stoa_object_open(seg, long_name, quote, &q), 0);
	assert_sound();
	{
		STOA_TX(tx, seg);
		(void)stoa_object_create(tx, "", quote);
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
}

static void
wrong_descriptions_are_refused(void **state)
{
	static const stoa_field f = {"a", 8, 8, STOA_KIND_U64, NULL};
	static const stoa_type gap = {"gap", 16, 8, STOA_KIND_STRUCT, 0, &f, 1,
		NULL, NULL};
	const void *p = NULL;

	(void)state;
	assert_int_equal(stoa_object_open_(seg, "gap", &gap, &p), -EINVAL);
	assert_text("bytes 0 to 7");
	{
		STOA_TX(tx, seg);
		assert_non_null(stoa_tx_new_(tx, &gap));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
		assert_text("bytes 0 to 7");
	}
	{
		STOA_TX(tx, seg);
		assert_non_null(stoa_object_create_(tx, "gap", &gap));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find_(rd, "gap", &gap));
		assert_int_equal(stoa_tx_error(rd), -EINVAL);
	}
	assert_int_equal(stoa_object_open_(NULL, "x", &gap, &p), -EINVAL);
}

/* ---- many ---- */

enum { MANY = 500 };

static void
many_name(char buf[16], unsigned i)
{
	(void)snprintf(buf, 16, "%u", i * 2654435761u % 10007);
}

static void
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

static void
iterate_in_order(void **state)
{
	char last[16] = "";
	unsigned n = 0;

	(void)state;
	many_make();
	assert_int_equal(objects(), MANY);
	assert_sound();
	{
		STOA_READ(rd, seg);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it); n++) {
			char name[16];

			assert_true(strcmp(last, it.name) < 0);
			(void)snprintf(last, sizeof last, "%s", it.name);
			assert_string_equal(it.type->name, "quote");
			many_name(name,
				(unsigned)((const quote *)it.data)->bid);
			assert_string_equal(name, it.name);
		}
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(n, MANY);
}

/* Destroying what was shown, and what comes next, while iterating. */
static void
iterate_and_destroy(void **state)
{
	unsigned n = 0;

	(void)state;
	many_make();
	{
		STOA_TX(tx, seg);
		stoa_object peek = stoa_object_begin(tx);

		for (stoa_object it = stoa_object_begin(tx);
			stoa_object_next(&it); n++) {
			assert_true(stoa_object_next(&peek));
			if (n == 0)
				assert_string_equal(peek.name, it.name);
			assert_true(stoa_object_destroy(tx, it.name));
			if (stoa_object_next(&peek))
				assert_true(stoa_object_destroy(tx, peek.name));
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(n, MANY / 2);
	assert_int_equal(objects(), 0);
	assert_sound();
}

static void
growth_is_undone(void **state)
{
	char name[16];
	uint64_t before;
	const quote *q = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "stays", quote, &q), 0);
	before = blocks();
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < MANY; i++) {
			many_name(name, i);
			stoa_object_create(tx, name, quote)->bid = i;
		}
		assert_int_equal(stoa_tx_error(tx), 0);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_int_equal(blocks(), before);
	assert_sound();
	{
		STOA_READ(rd, seg);
		assert_ptr_equal(stoa_object_find(rd, "stays", quote), q);
		many_name(name, 3);
		assert_null(stoa_object_find(rd, name, quote));
	}
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < MANY; i++) {
			many_name(name, i);
			stoa_object_create(tx, name, quote)->bid = i;
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(objects(), MANY + 1);
	assert_sound();
}

/* ---- destroy, delete ---- */

static void
destroy_takes_what_it_owns(void **state)
{
	uint64_t before;
	const quote *q = NULL;
	const shelf *s = NULL;
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "stays", quote, &q), 0);
	/* types stay; so make and destroy once before counting */
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf"),
				 stoa_object_destroy(tx, "list")),
		0);
	before = blocks();
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < 100; i++) {
			char key[64];

			(void)snprintf(key, sizeof key,
				"a name longer than fits inside %u", i);
			stoa_str_set(tx,
				&books_ensure(tx, &s->by_name, key)->note, key);
			texts_push(tx, &s->lines, key);

			node *n = stoa_new(tx, node);

			stoa_str_set(tx, &n->text, key);
			n->next = l->first;
			STOA_LINK(tx, l->first, n);
		}
		STOA_LINK(tx, l->both[1], stoa_new(tx, node));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_true(blocks() > before + 500);
	assert_sound();
	{
		STOA_TX(tx, seg);
		assert_false(stoa_object_destroy(tx, "nothing"));
		assert_true(stoa_object_destroy(tx, "shelf"));
		assert_true(stoa_object_destroy(tx, "list"));
		assert_false(stoa_object_destroy(tx, "list"));
		assert_int_equal(stoa_tx_error(tx), 0);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf"),
				 stoa_object_destroy(tx, "list")),
		0);
	assert_int_equal(blocks(), before);
	assert_int_equal(objects(), 1);
	assert_sound();
}

struct holder {
	const stoa_rwlock *lock;
	pthread_barrier_t held, done;
};

static void *
hold(void *p)
{
	struct holder *h = p;

	STOA_READ(rd, seg, h->lock);
	pthread_barrier_wait(&h->held);
	pthread_barrier_wait(&h->done);
	return NULL;
}

static void
destroy_under_a_lock(void **state)
{
	struct holder h;
	const shelf *s = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(
		STOA_DO(tx, seg, books_ensure(tx, &s->by_name, "b")), 0);
	for (int inner = 0; inner < 2; inner++) {
		pthread_barrier_init(&h.held, NULL, 2);
		pthread_barrier_init(&h.done, NULL, 2);
		h.lock = &s->lock;
		if (inner) {
			STOA_READ(rd, seg);
			h.lock = &books_get(rd, &s->by_name, "b")->lock;
		}
		assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
		pthread_barrier_wait(&h.held);
		assert_int_equal(
			STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf")),
			-EBUSY);
		/* a check passes over what it cannot lock, and is not stuck */
		assert_int_equal(stoa_segment_check(seg), 0);
		pthread_barrier_wait(&h.done);
		pthread_join(thread, NULL);
	}
	assert_sound();
	/* our own lock is no hindrance */
	assert_int_equal(STOA_DO(tx, (seg, &s->lock),
				 stoa_object_destroy(tx, "shelf")),
		0);
	assert_sound();
}

static void
delete_what_is_ours_alone(void **state)
{
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(
		STOA_DO(tx, seg, STOA_LINK(tx, l->first, stoa_new(tx, node))),
		0);
	{
		STOA_TX(tx, seg);
		const node *n = stoa_get(tx, l->first);
		const void *inside = (const char *)(const void *)n + 16;

		assert_non_null(n);
		stoa_tx_delete_(tx, &stoa_type_node, inside);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
		assert_text("was not made by stoa_new");
	}
	{
		STOA_TX(tx, seg);
		node local = {0};

		stoa_tx_delete_(tx, &stoa_type_node, &local);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	{
		STOA_TX(tx, seg);
		stoa_delete(tx, node, (const node *)NULL);
		stoa_delete(tx, node, stoa_get(tx, l->first));
		STOA_LINK(tx, l->first, NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_sound();
}

static void
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

/* A chain that would need a recursion of a hundred thousand calls. */
static void
long_chains(void **state)
{
	const list *l = NULL;
	uint64_t before;
	char *text;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	before = blocks();
	list_make(l, 100000);
	assert_sound();
	text = dump(seg, &stoa_type_list, l);
	assert_non_null(text);
	assert_non_null(strstr(text, "{\"ref\":")); /* cut at some depth */
	free(text);
	{
		STOA_TX(tx, seg);
		stoa_delete(tx, node, stoa_get(tx, l->first));
		STOA_LINK(tx, l->first, NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(blocks(), before);
	assert_sound();
}

/* Circles and shared children are damage: found, and no walk is endless. */
static void
owned_twice(void **state)
{
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	list_make(l, 3);
	for (int circle = 0; circle < 2; circle++) {
		STOA_TX(tx, seg);
		const node *n = stoa_get(tx, l->first);
		const node *m = stoa_get(tx, n->next);

		STOA_LINK(tx, l->both[0], circle ? NULL : m);
		STOA_LINK(tx, m->next, circle ? n : NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
		{
			STOA_TX(inner, seg);
			assert_false(stoa_object_destroy(inner, "list"));
			assert_int_equal(stoa_tx_commit(inner), -EBADMSG);
			assert_text("is owned twice");
		}
		assert_int_equal(stoa_segment_check(seg), -EBADMSG);
		assert_text("object 'list'");
		assert_text("is owned twice");
		assert_int_equal(stoa_segment_leaked(seg), -EBADMSG);
		assert_null(dump(seg, &stoa_type_list, l));
		assert_text("is owned twice");
	}
}

static void
leaks_are_counted(void **state)
{
	const list *l = NULL;
	uint64_t off = 0;
	char text[64];

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	list_make(l, 5);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	{
		STOA_TX(tx, seg);
		node *lost = stoa_new(tx, node);

		off = stoa_ref_of(tx, lost).off;
		STOA_LINK(tx, lost->next, stoa_new(tx, node));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_leaked(seg), 2);
	(void)snprintf(text, sizeof text, "2 of %llu blocks are leaked",
		(unsigned long long)blocks());
	assert_text(text);
	assert_int_equal(STOA_DO(tx, seg, STOA_LINK(tx, l->both[0],
				 (const node *)stoa_at(tx, (stoa_ref){off},
					 sizeof(node)))),
		0);
	assert_sound();
}

/* ---- dump, and types that are only stored ---- */

static const words *
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

static const char words_text[] =
	"{\"yes\":true,\"c\":\"x\",\"text\":\"abcdef\",\"none\":\"\",\"i8\":-8,"
	"\"i16\":-16,\"i32\":-32,\"i64\":-64,\"u8\":8,\"rgb\":[1,2,3],\"u16\":16,"
	"\"u32\":32,\"u64\":18446744073709551615,\"f\":0.5,\"d\":0.1,\"more\":[1,"
	"1e+100],\"s\":\"a \\\"text\\\"\",\"raw\":\"00ab0102\",\"raws\":["
	"\"00000000\",\"00000000\"],\"q\":{\"bid\":1,\"ask\":2},\"qs\":[{\"bid\":"
	"3,\"ask\":4},{\"bid\":5,\"ask\":6}],\"who\":null,\"m\":null,\"l\":null,"
	"\"cond\":null,\"ref\":null,\"own\":{\"n\":1,\"text\":\"\",\"next\":null,"
	"\"back\":null},\"refs\":[null,%llu]}\n";

static void
dump_of_everything(void **state)
{
	const words *w = words_make();
	char expected[1024], *text;

	(void)state;
	(void)snprintf(expected, sizeof expected, words_text,
		(unsigned long long)w->own.ref.off);
	text = dump(seg, &stoa_type_words, w);
	assert_string_equal(text, expected);
	free(text);
	text = dump(seg, &stoa_type_words, NULL);
	assert_string_equal(text, "null\n");
	free(text);
	text = dump(seg, &stoa_type_uint64_t, &(uint64_t){7});
	assert_string_equal(text, "7\n");
	free(text);
}

static void
dump_of_owners(void **state)
{
	const words *w = words_make();
	char expected[100];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	pthread_t thread;
	struct holder h;

	(void)state;
	(void)thread;
	(void)h;
	{
		STOA_TX(tx, seg, &w->m);
		STOA_SET(tx, w->who, stoa_owner_self(tx));
		assert_int_equal(stoa_tx_lock(tx, &w->l), 0);
		assert_int_equal(
			stoa_type_dump(tx, &stoa_type_words, w, out), 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(fclose(out), 0);
	(void)snprintf(expected, sizeof expected, "{\"pid\":%d,\"tid\":%d}",
		(int)getpid(), (int)gettid());
	for (int i = 0; i < 3; i++) {
		char *at = strstr(text, expected);

		assert_non_null(at);
		*at = ' ';
	}
	free(text);
	assert_int_equal(
		STOA_DO(tx, seg,
			STOA_SET(tx, w->who, (stoa_owner){.slot_ = 3, .generation_ = 77})),
		0);
	text = dump(seg, &stoa_type_words, w);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"who\":\"dead\""));
	free(text);
}

/* A second mapping, read-only, in which every type is one that was read. */
static void
types_are_read_back(void **state)
{
	const words *w = words_make();
	stoa_segment *ro = NULL;
	char expected[1024];
	int found = 0;

	(void)state;
	(void)snprintf(expected, sizeof expected, words_text,
		(unsigned long long)w->own.ref.off);
	many_make();
	assert_int_equal(stoa_segment_open(NULL, STOA_RDONLY,
				 STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)),
				 &ro),
		0);
	assert_ptr_not_equal(ro, seg);
	{
		STOA_READ(rd, ro);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it); found++) {
			char *text;

			if (strcmp(it.name, "words") != 0)
				continue;
			assert_ptr_not_equal(it.type, &stoa_type_words);
			assert_int_equal(stoai_type_id(it.type),
				stoai_type_id(&stoa_type_words));
			text = dump(ro, it.type, it.data);
			assert_string_equal(text, expected);
			free(text);
		}
		assert_int_equal(stoa_tx_error(rd), 0);
		assert_null(stoa_object_find(rd, "nothing", quote));
		assert_non_null(stoa_object_find(rd, "words", words));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(found, MANY + 1);
	const quote *q = NULL;
	char name[16];

	many_name(name, 1);
	assert_int_equal(stoa_object_open(ro, name, quote, &q), 0);
	assert_int_equal(q->bid, 1);
	assert_int_equal(stoa_object_open(ro, "nothing", quote, &q), -ENOENT);
	assert_int_equal(stoa_segment_leaked(ro), 0);
	assert_int_equal(stoa_segment_check(ro), 0);
	stoa_segment_close(ro);
}

/* ---- races ---- */

enum { RACERS = 8, RACES = 50 };

static void *
race(void *p)
{
	const quote **found = p;
	char name[16];

	for (int i = 0; i < RACES; i++) {
		(void)snprintf(name, sizeof name, "race %d", i);
		if (stoa_object_open(seg, name, quote, &found[i]))
			return NULL;
	}
	return p;
}

static void
open_race_of_threads(void **state)
{
	static const quote *found[RACERS][RACES];
	pthread_t thread[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, race, found[i]), 0);
	for (int i = 0; i < RACERS; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		assert_non_null(ok);
		assert_memory_equal(found[i], found[0], sizeof found[0]);
	}
	assert_int_equal(objects(), RACES);
	assert_sound();
}

static void
open_race_of_processes(void **state)
{
	static const quote *found[RACES];
	pid_t pid[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			bool ok = race(found) != NULL;

			for (int k = 0; ok && k < RACES; k++)
				ok = !STOA_DO(tx, seg,
					STOA_ADD(tx, found[k]->bid, 1));
			_exit(!ok);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(objects(), RACES);
	assert_non_null(race(found));
	for (int k = 0; k < RACES; k++)
		assert_int_equal(found[k]->bid, RACERS);
	assert_sound();
}

/* Who finds nothing in a transaction may create: no upgrade stands in the way. */
static void *
find_or_create(void *p)
{
	for (int i = 0; i < RACES; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "foc %d", i);
		STOA_TX(tx, seg);
		const quote *q = stoa_object_find(tx, name, quote);

		if (!q)
			q = stoa_object_create(tx, name, quote);
		STOA_ADD(tx, q->bid, 1);
		if (stoa_tx_commit(tx))
			return NULL;
	}
	return p;
}

static void
find_or_create_race(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
					 find_or_create, &seg),
			0);
	for (int i = 0; i < 4; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		assert_non_null(ok);
	}
	assert_int_equal(objects(), RACES);
	assert_sound();
}

/* ---- damage ---- */

static void
look_at_everything(stoa_segment *s)
{
	static const char *const name[] = {"words", "list", "shelf", "x"};
	FILE *null = fopen("/dev/null", "w");

	assert_non_null(null);
	for (size_t i = 0; i < STOAI_COUNT(name); i++) {
		STOA_READ(rd, s);
		(void)stoa_object_find(rd, name[i], words);
	}
	{
		STOA_READ(rd, s);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it);)
			if (stoa_type_dump(rd, it.type, it.data, null))
				break;
	}
	fclose(null);
	if (stoa_segment_leaked(s) < 0 || stoa_segment_check(s) < 0)
		assert_true(stoa_error_text()[0] != '\0');
}

struct place {
	uint64_t off, size;
};

static int
place_add(void *user, uint64_t off, uint64_t size)
{
	struct place *p = user;

	while (p->size)
		p++;
	p->off = off;
	p->size = size;
	return 0;
}

enum { PLACES = 256 };

static void
some_of_each(void)
{
	const list *l = NULL;
	const shelf *s = NULL;

	(void)words_make();
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	list_make(l, 3);
	assert_int_equal(STOA_DO(tx, seg, books_ensure(tx, &s->by_name, "b"),
				 texts_push(tx, &s->lines, "a longer text than "
							   "fits inside")),
		0);
}

/*
 * Each byte of each block, to several values; a fresh mapping each time, so that
 * nothing is remembered. Nothing may crash, hang or write elsewhere; what is
 * looked at through damage is an error or, where no rule is broken, a value.
 */
static void
every_byte_damaged(void **state)
{
	static const unsigned char to[] = {0x00, 0x80, 0xff};
	struct place places[PLACES] = {{0, 0}};
	unsigned noticed = 0, tried = 0;

	(void)state;
	some_of_each();
	assert_int_equal(stoai_heap_each(seg, place_add, places), 0);
	for (struct place *p = places; p->size; p++) {
		for (uint64_t i = 0; i < p->size; i++) {
			unsigned char *at = stoai_at(seg, p->off + i);
			unsigned char was = *at;

			for (size_t k = 0; k < sizeof to; k++) {
				stoa_segment *ro = NULL;

				if (was == to[k] || (i > 64 && i % 23 != 0))
					continue;
				*at = to[k];
				tried++;
				assert_int_equal(
					stoa_segment_open(NULL, STOA_RDONLY,
						STOA_SEGMENT_OPTIONS(
							.fd = stoa_segment_fd(
								seg)),
						&ro),
					0);
				look_at_everything(ro);
				noticed += stoa_segment_check(ro) != 0;
				stoa_segment_close(ro);
				*at = was;
			}
		}
	}
	assert_true(tried > 1000);
	assert_true(noticed > tried / 4);
	assert_sound();
}

static bool
place_add_entry(void *user, uint64_t off, const struct stoai_entry *e)
{
	return place_add(user, off, sizeof *e + e->name_size) == 0;
}

static bool
place_add_stored(void *user, uint64_t off, const struct stoai_stored_type *s)
{
	return place_add(user, off,
		       sizeof *s + 8 * s->target_count + s->text_size) == 0;
}

/* Changes, undone or failed. */
static void
change_everything(void)
{
	static const char *const name[] = {"words", "list", "shelf"};

	for (size_t i = 0; i < STOAI_COUNT(name); i++) {
		STOA_TX(tx, seg);
		(void)stoa_object_destroy(tx, name[i]);
		(void)stoa_object_create(tx, "fresh", guarded);
		for (int k = 0; k < 40; k++) {
			char fresh[2] = {(char)('0' + k), '\0'};

			(void)stoa_object_create(tx, fresh, quote);
		}
		(void)stoa_tx_fail(tx, -EDOM);
	}
}

/* The same of the index, under transactions: undo must bring back every byte. */
static void
damaged_index_changed(void **state)
{
	struct place places[PLACES] = {{0, 0}};

	(void)state;
	some_of_each();
	{
		STOA_READ(rd, seg);
		const struct stoai_root *root = stoai_root(rd);

		(void)place_add(places, stoai_off(seg, root), sizeof *root);
		(void)place_add(places, root->buckets, root->bucket_count * 8);
		assert_true(stoai_index_each(rd, place_add_entry, places));
		assert_true(stoai_stored_each(rd, place_add_stored, places));
	}
	for (struct place *p = places; p->size; p++) {
		for (uint64_t i = 0; i < p->size; i++) {
			unsigned char *at = stoai_at(seg, p->off + i);
			unsigned char was = *at;

			if (i > 64 && i % 23 != 0)
				continue;
			*at = (unsigned char)(was ^ 0x81);
			change_everything();
			assert_int_equal(*at, was ^ 0x81);
			*at = was;
		}
	}
	assert_sound();
}

int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(open_creates_once),
		TEST(wrong_type_is_told),
		TEST(wrong_type_behind_a_reference),
		TEST(create_appears_at_commit),
		TEST(types_are_undone_too),
		TEST(open_in_a_transaction),
		TEST(names),
		TEST(wrong_descriptions_are_refused),
		TEST(iterate_in_order),
		TEST(iterate_and_destroy),
		TEST(growth_is_undone),
		TEST(destroy_takes_what_it_owns),
		TEST(destroy_under_a_lock),
		TEST(delete_what_is_ours_alone),
		TEST(long_chains),
		TEST(owned_twice),
		TEST(leaks_are_counted),
		TEST(dump_of_everything),
		TEST(dump_of_owners),
		TEST(types_are_read_back),
		TEST(open_race_of_threads),
		TEST(open_race_of_processes),
		TEST(find_or_create_race),
		TEST(every_byte_damaged),
		TEST(damaged_index_changed),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
