/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Raw blocks against a plain model: random transactions make, free, lengthen,
 * shorten and cut blocks, and are committed or undone. No two blocks overlap,
 * every block holds what was written to it, the sums agree, nothing is leaked.
 *
 * And threads that resize their own blocks while others look for memory: walks
 * over the table meet merges at every place.
 *
 * STOA_SEED replays a run of the first kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <cmocka.h>
#include "heap/heap.h"
#include "stoa/stoa.h"

enum {
	BLOCKS = 24,
	STEPS = 4000,
	THREADS = 3,
	THREAD_STEPS = 2000,
	ALIGN = 64
};

typedef STOA_REF(uint8_t) raw;
typedef struct store {
	raw block[BLOCKS];
} store;
STOA_TYPE(store, (block, uint8_t, own));

struct block {
	uint64_t off, size, usable; /* off 0: none */
	uint64_t key;               /* what it holds */
};

struct world {
	stoa_segment *seg;
	const store *s;
	struct block now[BLOCKS], then[BLOCKS];
	uint64_t random, own, unit;
	unsigned done, undone, in_place, in_front, moved, refused;
};

static uint64_t
draw(struct world *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % below;
}

static uint8_t
byte_of(uint64_t key, uint64_t at)
{
	return (uint8_t)((key + at / 16) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static void
write_bytes(
	stoa_tx *tx, const void *p, uint64_t key, uint64_t from, uint64_t to)
{
	uint8_t *q;

	if (from >= to)
		return;
	q = stoa_edit_bytes(tx, (const char *)p + from, to - from);
	for (uint64_t at = from; at < to; at++)
		q[at - from] = byte_of(key, at);
}

static void
holds(const struct world *w, const struct block *b)
{
	const uint8_t *p = stoai_at(w->seg, b->off);

	for (uint64_t at = 0; at < b->size; at++)
		if (p[at] != byte_of(b->key, at))
			fail_msg("byte %llu of %llu at %#llx",
				(unsigned long long)at,
				(unsigned long long)b->size,
				(unsigned long long)b->off);
}

static void
link_block(stoa_tx *tx, struct world *w, unsigned i, const void *p)
{
	w->then[i].off = p ? stoa_ref_of(tx, p).off : 0;
	w->then[i].usable = p ? stoa_usable(tx, p) : 0;
	STOA_LINK(tx, w->s->block[i], (const uint8_t *)p);
}

static uint64_t
some_size(struct world *w)
{
	return draw(w, 3) ? 1 + draw(w, w->unit * 6) : 1 + draw(w, 300);
}

static void
make(stoa_tx *tx, struct world *w, unsigned i)
{
	uint64_t size = some_size(w);
	const void *p = stoa_alloc(tx, size, ALIGN);

	if (stoa_tx_error(tx))
		return;
	w->then[i].size = size;
	w->then[i].key = draw(w, UINT64_MAX);
	write_bytes(tx, p, w->then[i].key, 0, size);
	link_block(tx, w, i, p);
}

static void
resize(stoa_tx *tx, struct world *w, unsigned i, const void *old)
{
	struct block *b = &w->then[i];
	uint64_t size = some_size(w), had = b->size;
	const void *p = stoa_resize(tx, old, size, ALIGN);

	if (stoa_tx_error(tx))
		return;
	*(p == old ? &w->in_place : &w->moved) += 1;
	write_bytes(tx, p, b->key, had < size ? had : size, size);
	b->size = size;
	link_block(tx, w, i, p);
}

/* Bytes from the front go: what is left is written anew. */
static void
cut(stoa_tx *tx, struct world *w, unsigned i, const void *old)
{
	struct block *b = &w->then[i];
	uint64_t from = draw(w, b->size), size = 1 + draw(w, b->size - from);
	const void *p = stoa_keep(tx, old, from, size);

	if (stoa_tx_error(tx))
		return;
	b->size = stoa_usable(tx, p) < size ? stoa_usable(tx, p) : size;
	write_bytes(tx, p, b->key, 0, b->size);
	link_block(tx, w, i, p);
}

static void
obtain(stoa_tx *tx, struct world *w, unsigned i, const void *old)
{
	struct block *b = &w->then[i];
	stoa_wish wish = {.old = old, .size = some_size(w), .align = ALIGN};

	wish.how = (unsigned)draw(w, 32);
	wish.least = draw(w, 2) ? 1 + draw(w, wish.size) : 0;
	if (stoa_obtain(tx, &wish)) {
		assert_true(wish.usable < wish.least || stoa_tx_error(tx));
		w->refused++;
		return;
	}
	assert_true(wish.usable >= wish.least);
	assert_int_equal(wish.usable, stoa_usable(tx, wish.p));
	w->in_front += wish.kept && wish.p != old;
	if (!wish.kept)
		stoa_free(tx, old);
	if (wish.p != old)
		b->key = draw(w, UINT64_MAX);
	if (wish.p != old || wish.usable < b->size) {
		b->size = wish.usable < wish.size ? wish.usable : wish.size;
		write_bytes(tx, wish.p, b->key, 0, b->size);
	}
	link_block(tx, w, i, wish.p);
}

static void
one_change(stoa_tx *tx, struct world *w)
{
	unsigned i = (unsigned)draw(w, BLOCKS);
	const void *old = stoa_get(tx, w->s->block[i]);

	if (stoa_tx_error(tx))
		return;
	if (!old) {
		make(tx, w, i);
		return;
	}
	switch (draw(w, 5)) {
	case 0:
		stoa_free(tx, old);
		link_block(tx, w, i, NULL);
		w->then[i].size = 0;
		break;
	case 1:
		cut(tx, w, i, old);
		break;
	case 2:
		obtain(tx, w, i, old);
		break;
	default:
		resize(tx, w, i, old);
		break;
	}
}

static void
agree(struct world *w)
{
	stoa_segment_stat stat;
	uint64_t used = 0;

	for (unsigned i = 0; i < BLOCKS; i++) {
		const struct block *b = &w->now[i];

		if (!b->off)
			continue;
		holds(w, b);
		assert_int_equal(stoai_heap_usable(w->seg, b->off), b->usable);
		used += b->usable;
		for (unsigned k = 0; k < i; k++)
			assert_true(!w->now[k].off ||
				    b->off + b->usable <= w->now[k].off ||
				    w->now[k].off + w->now[k].usable <= b->off);
	}
	stoa_segment_statistics(w->seg, &stat);
	assert_int_equal(stat.used, used + w->own);
	if (stoai_heap_check(w->seg))
		fail_msg("%s", stoa_error_text());
}

static void
transaction(struct world *w)
{
	uint64_t changes = 1 + draw(w, 5);
	bool undo = !draw(w, 3);

	memcpy(w->then, w->now, sizeof w->now);
	{
		STOA_TX(tx, w->seg);
		while (changes-- && !stoa_tx_error(tx))
			one_change(tx, w);
		if (undo || stoa_tx_commit(tx)) {
			w->undone++;
			return;
		}
	}
	memcpy(w->now, w->then, sizeof w->now);
	w->done++;
}

static void
run(uint64_t limit, uint64_t unit, uint64_t salt)
{
	struct world *w = calloc(1, sizeof *w);
	const char *given = getenv("STOA_SEED");
	uint64_t seed =
		given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	stoa_segment_stat stat;

	print_message("STOA_SEED=%llu\n", (unsigned long long)seed);
	assert_non_null(w);
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + salt;
	w->random += !w->random;
	w->unit = unit;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
			STOA_SEGMENT_OPTIONS(.size = limit / 4, .limit = limit),
			&w->seg),
		0);
	assert_int_equal(stoa_object_open(w->seg, "store", store, &w->s), 0);
	stoa_segment_statistics(w->seg, &stat);
	w->own = stat.used;
	for (int i = 0; i < STEPS; i++) {
		transaction(w);
		if (i % 16 == 0)
			agree(w);
	}
	agree(w);
	assert_int_equal(stoa_segment_check(w->seg), 0);
	assert_int_equal(stoa_segment_leaked(w->seg), 0);
	print_message("%u done, %u undone; %u in place, %u in front, %u moved, "
		      "%u refused\n",
		w->done, w->undone, w->in_place, w->in_front, w->moved,
		w->refused);
	assert_true(w->done && w->undone && w->in_place && w->in_front &&
		    w->moved && w->refused);
	stoa_segment_close(w->seg);
	free(w);
}

static void
small_spans(void **state)
{
	(void)state;
	run(128 << 10, 4096, 1);
}

static void
large_spans(void **state)
{
	(void)state;
	run(8 << 20, 65536, 2);
}

/* ---- threads ---- */

typedef struct lot {
	stoa_mutex lock[THREADS];
	raw block[THREADS];
} lot;
STOA_TYPE(lot, lock, (block, uint8_t, own));

struct thread {
	stoa_segment *seg;
	const lot *l;
	unsigned me;
	int rc;
};

static int
stretch(const struct thread *t, uint64_t spans, bool keep)
{
	const raw *mine = &t->l->block[t->me];
	stoa_wish w = {.size = spans * 4096,
		.least = 1,
		.how = STOA_WISH_SHRINK | STOA_WISH_FORWARD |
		       STOA_WISH_BACKWARD | STOA_WISH_NEW};

	STOA_TX(tx, t->seg, &t->l->lock[t->me]);
	w.old = stoa_get(tx, *mine);
	if (stoa_obtain(tx, &w))
		return stoa_tx_fail(tx, -ENOSPC);
	if (!w.kept)
		stoa_free(tx, w.old);
	STOA_LINK(tx, *mine, (const uint8_t *)w.p);
	return keep ? stoa_tx_commit(tx) : 0;
}

static void *
stretcher(void *user)
{
	struct thread *t = user;
	uint64_t random = t->me * 77 + 1;

	for (int i = 0; i < THREAD_STEPS && !t->rc; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		t->rc = stretch(t, 1 + (random >> 40) % 6, random >> 60 & 3);
		if (t->rc == -ENOSPC)
			t->rc = 0;
	}
	if (t->rc)
		print_error("%s\n", stoa_error_text());
	return NULL;
}

static void
threads(void **state)
{
	stoa_segment *seg = NULL;
	const lot *l = NULL;
	struct thread t[THREADS];
	pthread_t thread[THREADS];

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
				 STOA_SEGMENT_OPTIONS(.size = 96 << 10,
					 .limit = 96 << 10),
				 &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "lot", lot, &l), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		t[i] = (struct thread){seg, l, i, 0};
		assert_int_equal(
			pthread_create(&thread[i], NULL, stretcher, &t[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(t[i].rc, 0);
	}
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_spans),
		cmocka_unit_test(large_spans),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
