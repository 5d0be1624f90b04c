/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap against a plain list of blocks: several threads' seats take, publish,
 * free, die and are recovered in random order. No two blocks overlap, bytes stay
 * what they were, sums agree, and at the end no byte is missing.
 *
 * And real threads that free each other's blocks, for the thread sanitizer.
 *
 * STOA_SEED replays a run of the first kind.
 */
#include "unit/heap_fixture.h"
#include <pthread.h>
#include "heap/supply.h"

enum {
	BLOCKS = 3000,
	STEPS = 60000,
	OWNERS = 3, /* seats that live; the last one's slot is a dead freer's */
	FREER = 3,
	UNIT = 16
};

enum block_state {
	NONE,
	TRANSIENT,
	PUBLISHED
};

struct block {
	uint64_t off, size;
	uint32_t owner;
	enum block_state state;
	uint8_t fill;
};

struct world {
	struct heap_fixture *f;
	struct block block[BLOCKS];
	uint8_t *taken; /* a byte a unit of heap: who has it */
	uint64_t random, published;
	uint64_t limbo,
		limbo_size; /* freed by the freer, whose log does not know */
	uint64_t refused;
};

static uint64_t
draw(struct world *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % below;
}

static void
take(struct world *w, uint64_t off, uint64_t size, bool yes)
{
	uint64_t at = (off - w->f->seg.heap_off) / UNIT;

	for (uint64_t i = 0; i < (size + UNIT - 1) / UNIT; i++) {
		assert_int_equal(w->taken[at + i], !yes);
		w->taken[at + i] = yes;
	}
}

static uint64_t
some_size(struct world *w)
{
	uint64_t most = UINT64_C(1) << (2 + draw(w, 14));

	if (most > w->f->seg.size / 8)
		most = 64;
	return 1 + draw(w, most);
}

static void
block_alloc(struct world *w, struct block *b)
{
	uint64_t align = draw(w, 4) ? 1 : UINT64_C(1) << draw(w, 14);
	int rc;

	b->size = some_size(w);
	b->owner = (uint32_t)draw(w, OWNERS);
	rc = fixture_try(fixture_as(w->f, b->owner), b->size, align, &b->off);
	if (rc) {
		assert_int_equal(rc, -ENOSPC);
		w->refused++;
		return;
	}
	assert_int_equal(b->off % align, 0);
	b->size = stoai_heap_usable(&w->f->seg, b->off);
	assert_true(b->size > 0);
	take(w, b->off, b->size, true);
	b->fill = (uint8_t)draw(w, 256);
	memset(stoai_at(&w->f->seg, b->off), b->fill, b->size);
	b->state = TRANSIENT;
}

static void
block_gone(struct world *w, struct block *b)
{
	const uint8_t *p = stoai_at(&w->f->seg, b->off);

	for (uint64_t i = 0; i < b->size; i++)
		if (p[i] != b->fill)
			fail_msg("byte %llu of %llu changed",
				(unsigned long long)i,
				(unsigned long long)b->size);
	take(w, b->off, b->size, false);
	if (b->state == PUBLISHED)
		w->published -= b->size;
	b->state = NONE;
}

static void
block_publish(struct world *w, struct block *b)
{
	fixture_publish(fixture_as(w->f, b->owner), b->off);
	w->published += b->size;
	b->state = PUBLISHED;
}

/* By its owner or another; then once more, which must be refused. */
static void
block_free(struct world *w, struct block *b)
{
	uint32_t by = (uint32_t)draw(w, OWNERS);
	struct stoai_seat *seat = fixture_as(w->f, by);
	uint64_t done = 0;

	if (b->state == TRANSIENT && by != b->owner) {
		assert_int_equal(stoai_heap_free(seat, b->off), -EINVAL);
		return;
	}
	block_gone(w, b);
	if (draw(w, 2))
		assert_int_equal(stoai_heap_free(seat, b->off), 0);
	else
		assert_int_equal(stoai_heap_free_logged(
					 &w->f->seg, by, b->off, &done, 1),
			0);
	if (!draw(w, 8)) {
		by = (uint32_t)draw(w, OWNERS);
		assert_int_equal(
			stoai_heap_free(fixture_as(w->f, by), b->off), -EINVAL);
	}
}

static void
block_unpublish(struct world *w, struct block *b)
{
	fixture_as(w->f, b->owner);
	block_gone(w, b);
	stoai_heap_unpublish(&w->f->seg, b->owner, b->off);
}

/* A recoverer dies between a dead thread's free and its log: nobody may have it. */
static void
freer_begins(struct world *w, struct block *b)
{
	struct stoai_slot *slot = stoai_slot_at(&w->f->seg, FREER);
	uint64_t done;

	if (w->limbo)
		return;
	w->limbo = b->off;
	w->limbo_size = b->size;
	block_gone(w, b);
	take(w, b->off, b->size, true);
	fixture_as(w->f, (uint32_t)draw(w, OWNERS));
	slot->freeing = b->off;
	if (draw(w, 2)) /* with the effect made */
		assert_int_equal(stoai_heap_free_logged(
					 &w->f->seg, FREER, b->off, &done, 1),
			0);
	slot->freeing = b->off;
}

static void
freer_ends(struct world *w)
{
	uint64_t done = 0;

	if (!w->limbo)
		return;
	fixture_as(w->f, (uint32_t)draw(w, OWNERS));
	assert_int_equal(
		stoai_heap_free_logged(&w->f->seg, FREER, w->limbo, &done, 9),
		0);
	assert_int_equal(done, 9);
	take(w, w->limbo, w->limbo_size, false);
	w->limbo = 0;
}

/* Its published blocks are anybody's: no log of its will unpublish them. */
static void
seat_lets_go(struct world *w, uint32_t seat)
{
	for (int i = 0; i < BLOCKS; i++)
		if (w->block[i].owner == seat && w->block[i].state == PUBLISHED)
			w->block[i].owner = OWNERS;
}

static void
seat_dies(struct world *w)
{
	uint32_t dead = (uint32_t)draw(w, OWNERS);

	fixture_as(w->f, (dead + 1) % OWNERS);
	for (int i = 0; i < BLOCKS; i++)
		if (w->block[i].owner == dead && w->block[i].state == TRANSIENT)
			block_gone(w, &w->block[i]);
	fixture_recover(w->f, dead);
	seat_lets_go(w, dead);
}

static void
seat_relaxes(struct world *w)
{
	uint32_t seat = (uint32_t)draw(w, OWNERS);

	stoai_heap_relax(fixture_as(w->f, seat));
	seat_lets_go(w, seat);
}

static void
step(struct world *w)
{
	struct block *b = &w->block[draw(w, BLOCKS)];
	uint64_t what = draw(w, 1000);

	if (b->state == NONE)
		block_alloc(w, b);
	else if (b->state == TRANSIENT && what < 600)
		block_publish(w, b);
	else if (b->state == PUBLISHED && what < 20)
		freer_begins(w, b);
	else if (b->state == PUBLISHED && what < 200 && b->owner < OWNERS)
		block_unpublish(w, b);
	else
		block_free(w, b);
	if (what == 999)
		seat_dies(w);
	if (what == 998)
		seat_relaxes(w);
	if (what == 997 && !draw(w, 4))
		assert_true(stoai_heap_trim(fixture_as(w->f, 0)) >= 0);
	if (what >= 985 && what < 992)
		freer_ends(w);
}

static void
agree(struct world *w)
{
	struct stoai_heap_stat s;
	uint64_t limbo = 0;

	if (stoai_heap_check(&w->f->seg))
		fail_msg("%s", stoa_error_text());
	stoai_heap_statistics(&w->f->seg, &s);
	if (w->limbo && stoai_heap_usable(&w->f->seg, w->limbo))
		limbo = w->limbo_size; /* named, and not freed yet */
	assert_int_equal(s.used, w->published + limbo);
	assert_true(s.used + s.transient <= s.committed);
}

/* Everything is freed and everybody dead: one free run, after a sweep. */
static void
account(struct world *w)
{
	freer_ends(w);
	for (int i = 0; i < BLOCKS; i++)
		if (w->block[i].state == PUBLISHED) {
			block_gone(w, &w->block[i]);
			assert_int_equal(
				stoai_heap_free(
					fixture_as(w->f,
						(uint32_t)draw(w, OWNERS)),
					w->block[i].off),
				0);
		}
	for (uint32_t i = 0; i < OWNERS; i++) {
		fixture_as(w->f, (i + 1) % OWNERS);
		fixture_recover(w->f, i);
	}
	stoai_supply_collect(fixture_as(w->f, 0));
	agree(w);
	assert_true(heap_is_whole(w->f));
}

static void
run(uint64_t size, uint64_t limit, bool memfd, uint64_t salt)
{
	const char *text = getenv("STOA_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : stoai_os_now();
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	print_message("STOA_SEED=%llu\n", (unsigned long long)seed);
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + salt;
	w->random += !w->random;
	w->f = fixture_open(size, limit, memfd);
	w->taken = calloc(1, (w->f->seg.size - w->f->seg.heap_off) / UNIT);
	assert_non_null(w->taken);
	for (int i = 0; i < STEPS; i++) {
		step(w);
		if (i % 512 == 0)
			agree(w);
	}
	account(w);
	fixture_close(w->f);
	free(w->taken);
	free(w);
}

static void
tiny_spans(void **state)
{
	(void)state;
	run(8 << 10, 64 << 10, false, 1);
}

static void
small_spans(void **state)
{
	(void)state;
	run(64 << 10, 64 << 10, false, 2);
}

static void
medium_spans_growing(void **state)
{
	(void)state;
	run(1 << 20, 16 << 20, true, 3);
}

static void
large_spans(void **state)
{
	(void)state;
	run(64 << 20, 64 << 20, false, 4);
}

/* ---- threads ---- */

enum {
	THREADS = 3,
	MAILS = 64,
	THREAD_STEPS = 20000
};

struct exchange {
	stoa_segment *seg;
	uint64_t mail
		[MAILS]; /* published blocks, whoever takes them frees them */
	uint64_t failures;
};

static void
mail_free(struct exchange *x, struct stoai_seat *seat, uint64_t off)
{
	uint64_t size = stoai_heap_usable(x->seg, off);
	const uint64_t *p = stoai_at(x->seg, off);

	if (!size || p[0] != off || p[size / 8 - 1] != ~off ||
		stoai_heap_free(seat, off))
		(void)a64_fetch_add_seq_cst(&x->failures, 1);
}

static void *
trade(void *user)
{
	struct exchange *x = user;
	struct stoai_seat *seat;
	uint64_t random = (uint64_t)(uintptr_t)&seat | 1, off, size;

	for (int i = 0; i < THREAD_STEPS; i++) {
		uint64_t *p;

		random = random * UINT64_C(6364136223846793005) + 1;
		size = 16 + (random >> 33) % ((random >> 60) ? 300 : 60000);
		if (stoai_attach(x->seg, STOA_FOREVER, &seat))
			return x;
		if (fixture_try(seat, size, 16, &off))
			continue;
		size = stoai_heap_usable(x->seg, off);
		p = stoai_at(x->seg, off);
		p[0] = off;
		p[size / 8 - 1] = ~off;
		fixture_publish(seat, off);
		off = a64_exchange_seq_cst(
			&x->mail[(random >> 20) % MAILS], off);
		if (off)
			mail_free(x, seat, off);
		if (i % 1024 == 1000)
			stoai_heap_relax(seat);
		if (i % 4096 == 4000)
			stoai_detach(seat);
	}
	return NULL;
}

static void
threads(void **state)
{
	struct exchange x = {0};
	struct stoai_heap_stat before, after;
	struct stoai_seat *seat;
	pthread_t thread[THREADS];
	void *result;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 8 << 20),
			&x.seg),
		0);
	stoai_heap_statistics(x.seg, &before);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, trade, &x), 0);
	for (int i = 0; i < 50; i++)
		if (stoai_heap_check(x.seg))
			fail_msg("%s", stoa_error_text());
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], &result), 0);
		assert_null(result);
	}
	assert_int_equal(stoai_attach(x.seg, STOA_NOW, &seat), 0);
	for (int i = 0; i < MAILS; i++)
		if (x.mail[i])
			mail_free(&x, seat, x.mail[i]);
	assert_int_equal(x.failures, 0);
	assert_int_equal(stoai_heap_check(x.seg), 0);
	stoai_supply_collect(seat);
	if (stoai_heap_check(x.seg))
		fail_msg("%s", stoa_error_text());
	stoai_heap_statistics(x.seg, &after);
	assert_int_equal(after.used, before.used);
	assert_int_equal(after.transient, 0);
	stoa_segment_close(x.seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiny_spans),
		cmocka_unit_test(small_spans),
		cmocka_unit_test(medium_spans_growing),
		cmocka_unit_test(large_spans),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
