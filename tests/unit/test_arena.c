/* SPDX-License-Identifier: BSL-1.0 */
/* Arenas: bytes and chunks, all at once, undo, handed over, damage. */
#include "object_fixture.h"

typedef struct item item;
typedef STOA_REF(item) item_ref;
struct item {
	uint64_t n;
	item_ref next;
};
STOA_TYPE(item, n, (next, item, ref));

typedef struct box {
	stoa_arena out, in;
} box;
STOA_TYPE(box, (out, stoa_arena), (in, stoa_arena));

static const box *b;

static int
setup_box(void **state)
{
	return setup(state) || stoa_object_open(seg, "box", box, &b);
}

static stoa_arena_stat
statistics(const stoa_arena *a)
{
	stoa_arena_stat s;

	STOA_READ(rd, seg);
	stoa_arena_statistics(rd, a, &s);
	assert_int_equal(stoa_tx_error(rd), 0);
	return s;
}

static void
chain(stoa_tx *tx, const stoa_arena *a, unsigned n)
{
	const item *first = NULL;

	for (unsigned i = 0; i < n; i++) {
		item *p = stoa_arena_new(tx, a, item);

		assert_int_equal(p->n, 0);
		p->n = i;
		STOA_LINK(tx, p->next, first);
		first = p;
	}
	stoa_arena_set_root(tx, a, first);
}

static void
holds_chain(const stoa_arena *a, unsigned n)
{
	STOA_READ(rd, seg);
	const item *p = stoa_arena_root(rd, a, item);

	while (n--) {
		assert_non_null(p);
		assert_int_equal(p->n, n);
		p = stoa_get(rd, p->next);
	}
	assert_null(p);
}

static void
many_and_none(void **state)
{
	uint64_t before = blocks();

	(void)state;
	assert_int_equal(STOA_DO(tx, seg, chain(tx, &b->out, 5000)), 0);
	holds_chain(&b->out, 5000);
	assert_int_equal(statistics(&b->out).used, 5000 * sizeof(item));
	assert_true(statistics(&b->out).chunks < 10);
	assert_int_equal(blocks(), before + statistics(&b->out).chunks);
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_arena_reset(tx, &b->out)), 0);
	assert_int_equal(statistics(&b->out).used, 0);
	assert_int_equal(statistics(&b->out).chunks, 1);
	holds_chain(&b->out, 0);
	assert_int_equal(STOA_DO(tx, seg, chain(tx, &b->out, 1000)), 0);
	assert_int_equal(statistics(&b->out).chunks, 1); /* the spare one */
	holds_chain(&b->out, 1000);
	assert_int_equal(STOA_DO(tx, seg, stoa_arena_clear(tx, &b->out)), 0);
	assert_int_equal(blocks(), before);
	assert_sound();
}

static void
sizes_and_alignments(void **state)
{
	char *p, *q;

	(void)state;
	{
		STOA_TX(tx, seg);
		p = stoa_arena_alloc(tx, &b->out, 0, 1);
		q = stoa_arena_alloc(tx, &b->out, 3, 1);
		assert_ptr_equal(q, p + 1);
		for (uint64_t align = 1; align <= 4096; align *= 2) {
			p = stoa_arena_alloc(tx, &b->out, 7, align);
			assert_int_equal((uintptr_t)p % align, 0);
			memset(p, 1, 7);
		}
		memset(stoa_arena_alloc(tx, &b->out, 3 << 20, 0), 2, 3 << 20);
		assert_string_equal(
			stoa_arena_text(tx, &b->out, "a text"), "a text");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(
		STOA_DO(tx, seg, stoa_arena_alloc(tx, &b->out, 1, 8192)),
		-EINVAL);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_arena_alloc(tx, &b->out, 1, 3)), -EINVAL);
	assert_int_equal(
		STOA_DO(tx, seg,
			stoa_arena_array(tx, &b->out, item, 1ull << 60)),
		-EINVAL);
	assert_sound();
}

/* What was there when the transaction came is there again. */
static void
undone(void **state)
{
	(void)state;
	assert_int_equal(STOA_DO(tx, seg, chain(tx, &b->out, 300)), 0);
	{
		STOA_TX(tx, seg);
		stoa_arena_reset(tx, &b->out);
		chain(tx, &b->out, 2000);
		stoa_arena_reset(tx, &b->out);
		chain(tx, &b->out, 100);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	holds_chain(&b->out, 300);
	{
		STOA_TX(tx, seg);
		chain(tx, &b->in, 10);
		{
			STOA_TX(inner, seg);
			stoa_arena_reset(inner, &b->in);
			chain(inner, &b->in, 100);
			(void)stoa_tx_fail(inner, -EDOM);
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	holds_chain(&b->in, 10);
	assert_sound();
}

static void
handed_over(void **state)
{
	const item *root;

	(void)state;
	{
		STOA_TX(tx, seg);
		chain(tx, &b->out, 1000);
		root = stoa_arena_root(tx, &b->out, item);
		stoa_arena_move(tx, &b->in, &b->out);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	holds_chain(&b->in, 1000);
	holds_chain(&b->out, 0);
	{
		STOA_READ(rd, seg);
		assert_ptr_equal(stoa_arena_root(rd, &b->in, item), root);
	}
	assert_int_equal(statistics(&b->out).chunks, 0);
	assert_int_equal(STOA_DO(tx, seg, chain(tx, &b->out, 3),
				 stoa_arena_move(tx, &b->in, &b->out)),
		-EBUSY);
	assert_text("not empty");
	assert_int_equal(STOA_DO(tx, seg, stoa_arena_reset(tx, &b->in),
				 chain(tx, &b->out, 3),
				 stoa_arena_move(tx, &b->in, &b->out)),
		0);
	holds_chain(&b->in, 3);
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "box")), 0);
	assert_sound();
}

static void
damaged(void **state)
{
	stoa_arena *raw = (stoa_arena *)(uintptr_t)&b->out;
	uint64_t end;

	(void)state;
	assert_int_equal(STOA_DO(tx, seg, chain(tx, &b->out, 3)), 0);
	end = raw->end_;
	raw->end_ = UINT64_MAX;
	assert_int_equal(
		STOA_DO(tx, seg,
			stoa_arena_alloc(tx, &b->out, UINT64_C(1) << 42, 0)),
		-EBADMSG);
	raw->end_ = end;
	raw->first_.ref.off += 8;
	assert_int_equal(
		STOA_DO(tx, seg, stoa_arena_clear(tx, &b->out)), -EBADMSG);
	raw->first_.ref.off -= 8;
	assert_sound();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define BOX(f) cmocka_unit_test_setup_teardown(f, setup_box, teardown)
		BOX(many_and_none),
		BOX(sizes_and_alignments),
		BOX(undone),
		BOX(handed_over),
		BOX(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
