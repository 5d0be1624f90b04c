/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Raw blocks between processes: one allocates, its number goes to another as text,
 * which fills it, makes it longer, and frees it. And one that is killed as it
 * resizes, where a block of three processes' data lies.
 */
#include "proc.h"
#include <inttypes.h>

typedef STOA_REF(uint8_t) raw;
typedef struct box {
	raw block;
	uint64_t size;
} box;
STOA_TYPE(box, (block, uint8_t, own), size);

enum {
	PAGE = 4096
};

static stoa_segment *seg;
static const box *b;
static int wire[2]; /* text of references */

static uint64_t
free_bytes(void)
{
	stoa_memory_stat m;

	stoa_memory_statistics(seg, &m);
	return m.free;
}

static void
open_box(void)
{
	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "box", box, &b), 0);
}

/* A block that nobody owns but who has heard its number. */
static int
alloc_and_tell(struct peer *me, void *user)
{
	char text[32];
	char *p;

	(void)user;
	{
		STOA_TX(tx, seg);
		p = stoa_alloc(tx, 3 * PAGE, PAGE);
		snprintf(p, PAGE, "to whom it may concern");
		snprintf(text, sizeof text, "0x%" PRIx64,
			stoa_ref_of(tx, p).off);
		MUST(!stoa_tx_commit(tx));
	}
	MUST(write(wire[1], text, sizeof text) == sizeof text);
	MUST(hear(me)); /* alive until it is freed */
	return 0;
}

static void
one_allocates_another_frees(void **state)
{
	struct peer p;
	char text[32];
	stoa_ref ref;
	uint64_t before;

	(void)state;
	open_box();
	before = free_bytes();
	assert_int_equal(pipe(wire), 0);
	p = peer_start(alloc_and_tell, NULL);
	assert_int_equal(read(wire[0], text, sizeof text), sizeof text);
	assert_int_equal(stoa_ref_parse(text, &ref), 0);
	assert_true(free_bytes() <= before - UINT64_C(3) * PAGE);
	assert_int_equal(stoa_segment_leaked(seg), 1);
	{
		STOA_TX(tx, seg);
		const char *q = stoa_at(tx, ref, 3 * PAGE);
		assert_string_equal(q, "to whom it may concern");
		assert_true(stoa_usable(tx, q) >= UINT64_C(3) * PAGE);
		q = stoa_resize(tx, q, 100000, PAGE);
		assert_string_equal(q, "to whom it may concern");
		stoa_free(tx, q);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(free_bytes(), before);
	assert_true(tell(&p, 'x'));
	peer_join(&p);
	assert_int_equal(free_bytes(), before);
	segment_judge(seg);
	seg = stoa_segment_close(seg);
	close(wire[0]);
	close(wire[1]);
}

/* Longer, shorter, elsewhere, without an end. */
static int
stretch_for_ever(struct peer *me, void *user)
{
	uint64_t random = (uint64_t)getpid();

	(void)user;
	for (unsigned i = 0; i < UINT32_MAX; i++) {
		uint64_t size;
		uint8_t *q;

		random = random * UINT64_C(6364136223846793005) + 1;
		size = 1 + (random >> 33) % 300000;
		STOA_TX(tx, seg);
		const void *p =
			stoa_resize(tx, stoa_get(tx, b->block), size, 0);
		if (size > b->size) {
			q = stoa_edit_bytes(
				tx, (const char *)p + b->size, size - b->size);
			memset(q, 'x', size - b->size);
		}
		STOA_LINK(tx, b->block, (const uint8_t *)p);
		STOA_SET(tx, b->size, size);
		if (random >> 62)
			MUST(!stoa_tx_commit(tx));
		if (i == 5)
			tell(me, 'r');
	}
	return 1;
}

static void
killed_as_it_resizes(void **state)
{
	(void)state;
	open_box();
	for (unsigned i = 0; i < 60; i++) {
		struct peer p = peer_start(stretch_for_ever, NULL);

		assert_int_equal(hear(&p), 'r');
		ms_sleep(i % 4);
		peer_kill(&p);
		STOA_TX(tx, seg);
		const uint8_t *q = stoa_get(tx, b->block);
		assert_true(!b->size || stoa_usable(tx, q) >= b->size);
		for (uint64_t at = 0; at < b->size; at++)
			assert_int_equal(q[at], 'x');
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	segment_judge(seg);
	{
		STOA_TX(tx, seg);
		assert_true(stoa_object_destroy(tx, "box"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_memory_unused(seg), 1);
	seg = stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_allocates_another_frees),
		cmocka_unit_test(killed_as_it_resizes),
	};

	return RUN_IN_ALL_WAYS("memory", tests);
}
