/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: nodes of pools, private, shared and cached, taken,
 * freed, undone; what a dead thread had cached taken over; arenas filled, emptied
 * and handed over. Every node is somebody's or free, and holds what it held.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "crash.h"
#include "segment/explore.h"
#include "stoa/stoa.h"

enum {
	LEAVES = 7,
	CACHE = 3
};

typedef struct leaf {
	uint64_t key, not_key, twice;
} leaf;
STOA_TYPE(leaf, key, not_key, twice);

typedef struct letter letter;
typedef STOA_REF(letter) letter_ref;
struct letter {
	uint64_t key;
	letter_ref next;
};
STOA_TYPE(letter, key, (next, letter, ref));

typedef struct store {
	stoa_mutex side; /* of `other` alone */
	stoa_pool pool;
	stoa_arena out, in;
	STOA_REF(leaf) own[LEAVES], shared[LEAVES], other;
} store;
STOA_TYPE(store, side, (pool, stoa_pool), (out, stoa_arena), (in, stoa_arena),
	(own, leaf, ref), (shared, leaf, ref), (other, leaf, ref));

struct test {
	const store *s;
	const stoa_shared_pool *sp;
	void (*fill)(stoa_tx *tx, struct test *t);
	void (*body)(stoa_tx *tx, struct test *t);
	uint32_t cache;
	bool gone; /* a thread that is gone had nodes cached */
	bool left; /* the one that set it up had, and is gone: same slot */
};

#define OPTIONS \
 STOA_POOL_OPTIONS(.node_size = sizeof(leaf), .node_align = 8, \
	 .nodes_per_block = 3, .max_free_blocks = 1)

/* ---- what nodes hold ---- */

static void
leaf_fill(leaf *p, uint64_t key)
{
	*p = (leaf){key, ~key, 2 * key};
}

static bool
leaf_holds(const leaf *p)
{
	return p->not_key == ~p->key && p->twice == 2 * p->key;
}

static void
own_drop(stoa_tx *tx, struct test *t, unsigned i)
{
	stoa_pool_delete(tx, &t->s->pool, leaf, stoa_get(tx, t->s->own[i]));
	STOA_LINK(tx, t->s->own[i], NULL);
}

static void
own_make(stoa_tx *tx, struct test *t, unsigned i, uint64_t key)
{
	leaf *p;

	own_drop(tx, t, i);
	p = stoa_pool_new(tx, &t->s->pool, leaf);
	leaf_fill(p, key);
	STOA_LINK(tx, t->s->own[i], p);
}

static void
shared_drop(stoa_tx *tx, struct test *t, unsigned i)
{
	stoa_shared_pool_delete(tx, t->sp, leaf, stoa_get(tx, t->s->shared[i]));
	STOA_LINK(tx, t->s->shared[i], NULL);
}

static void
shared_make(stoa_tx *tx, struct test *t, unsigned i, uint64_t key)
{
	leaf *p;

	shared_drop(tx, t, i);
	p = stoa_shared_pool_new(tx, t->sp, leaf);
	leaf_fill(p, key);
	STOA_LINK(tx, t->s->shared[i], p);
}

static void
letters(stoa_tx *tx, const stoa_arena *a, unsigned n)
{
	const letter *first = stoa_arena_root(tx, a, letter);

	for (unsigned i = 0; i < n; i++) {
		letter *p = stoa_arena_new(tx, a, letter);

		p->key = 100 + i;
		STOA_LINK(tx, p->next, first);
		first = p;
	}
	stoa_arena_set_root(tx, a, first);
}

static uint64_t
letters_sum(const stoa_tx *rd, const stoa_arena *a)
{
	uint64_t sum = 1;

	for (const letter *p = stoa_arena_root(rd, a, letter); p && sum;
		p = stoa_get(rd, p->next))
		sum = p->key < 100 || p->key > 400
			      ? 0
			      : sum * UINT64_C(0x9e3779b97f4a7c15) + p->key;
	return sum;
}

/* ---- setup, invariants, state ---- */

struct leaver {
	stoa_segment *seg;
	struct test *t;
	int rc;
};

static void *
leaver_runs(void *user)
{
	struct leaver *l = user;
	const leaf *p[3];

	STOA_TX(tx, l->seg);
	for (unsigned i = 0; i < 3; i++)
		p[i] = stoa_shared_pool_new(tx, l->t->sp, leaf);
	for (unsigned i = 0; i < 3; i++)
		stoa_shared_pool_delete(tx, l->t->sp, leaf, p[i]);
	l->rc = stoa_tx_commit(tx);
	return NULL;
}

static int
leaver_leaves(stoa_segment *seg, struct test *t)
{
	struct leaver l = {seg, t, 0};
	pthread_t thread;

	if (pthread_create(&thread, NULL, leaver_runs, &l))
		return -EAGAIN;
	pthread_join(thread, NULL);
	return l.rc;
}

static int
store_setup(stoa_segment *seg, void *user)
{
	struct test *t = user;
	int rc = stoa_object_open(seg, "store", store, &t->s);

	if (!rc)
		rc = stoa_shared_pool_open(seg, "leaves", OPTIONS, &t->sp);
	if (!rc)
		rc = STOA_DO(tx, seg, stoa_pool_setup(tx, &t->s->pool, OPTIONS),
			stoa_shared_pool_set_cache(tx, t->sp, t->cache));
	if (!rc && t->fill)
		rc = STOA_DO(tx, seg, t->fill(tx, t));
	if (!rc && t->gone)
		rc = leaver_leaves(seg, t);
	if (!rc && t->left)
		stoa_segment_detach(seg);
	return rc;
}

static int
shared_check(const stoa_tx *rd, struct test *t, uint64_t used)
{
	stoa_pool_stat stat;

	if (!stoa_object_find(rd, "leaves", stoa_shared_pool))
		return used ? stoa_tx_fail(rd, -EUCLEAN) : stoa_tx_error(rd);
	stoa_shared_pool_statistics(rd, t->sp, &stat);
	if (stoa_pool_check(rd, &t->sp->pool_))
		return stoa_tx_error(rd);
	return stat.nodes - stat.cached == used ? 0
						: stoa_tx_fail(rd, -EOVERFLOW);
}

static int
store_check(stoa_segment *seg, void *user)
{
	struct test *t = user;
	const store *s = t->s;
	uint64_t own = 0, shared = 0;
	stoa_pool_stat stat;

	if (s->side.word_)
		return -EBUSY;
	STOA_READ(rd, seg);
	for (unsigned i = 0; i < LEAVES; i++) {
		const leaf *p = stoa_get(rd, s->own[i]);
		const leaf *q = stoa_get(rd, s->shared[i]);

		own += p != NULL;
		shared += q != NULL;
		if ((p && !leaf_holds(p)) || (q && !leaf_holds(q)))
			return stoa_tx_fail(rd, -EILSEQ);
	}
	if (!stoa_is_null(s->other)) {
		shared++;
		if (!leaf_holds(stoa_get(rd, s->other)))
			return stoa_tx_fail(rd, -EILSEQ);
	}
	stoa_pool_statistics(rd, &s->pool, &stat);
	if (stoa_pool_check(rd, &s->pool))
		return stoa_tx_error(rd);
	if (stat.nodes != own)
		return stoa_tx_fail(rd, -EOVERFLOW);
	if (!letters_sum(rd, &s->out) || !letters_sum(rd, &s->in))
		return stoa_tx_fail(rd, -EILSEQ);
	return shared_check(rd, t, shared);
}

static uint64_t
store_state(stoa_segment *seg, void *user)
{
	struct test *t = user;
	uint64_t sum = 1;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < LEAVES; i++) {
		const leaf *p = stoa_get(rd, t->s->own[i]);
		const leaf *q = stoa_get(rd, t->s->shared[i]);

		sum = (sum ^ (p ? p->key : 0)) * UINT64_C(0x9e3779b97f4a7c15);
		sum = (sum ^ (q ? q->key : 0)) * UINT64_C(0x9e3779b97f4a7c15);
	}
	sum += letters_sum(rd, &t->s->out) + 3 * letters_sum(rd, &t->s->in);
	sum += stoa_object_find(rd, "leaves", stoa_shared_pool) != NULL;
	sum ^= stoa_is_null(t->s->other) ? 0 : 77;
	return stoa_tx_error(rd) ? 0 : sum;
}

static int
store_op(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX(tx, seg);
	t->body(tx, t);
	return stoa_tx_commit(tx);
}

static int
store_undone(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX(tx, seg);
	t->body(tx, t);
	return stoa_tx_fail(tx, -EDOM);
}

/* ---- what others do meanwhile ---- */

static int
others_try(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	t->body(tx, t);
	return stoa_tx_commit(tx);
}

/* Under another lock: a node of the shared pool comes or goes. */
static int
others_side(stoa_segment *seg, void *user)
{
	struct test *t = user;
	leaf *p;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &t->s->side);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	if (!stoa_is_null(t->s->other)) {
		stoa_shared_pool_delete(
			tx, t->sp, leaf, stoa_get(tx, t->s->other));
		STOA_LINK(tx, t->s->other, NULL);
	} else {
		p = stoa_shared_pool_new(tx, t->sp, leaf);
		leaf_fill(p, 77);
		STOA_LINK(tx, t->s->other, p);
	}
	return stoa_tx_commit(tx);
}

/* Every block that can be had, filled with garbage, and given back. */
static int
others_exhaust(stoa_segment *seg, void *user)
{
	const store *s = ((struct test *)user)->s;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &s->side);
	for (unsigned i = 0; i < 400 && !stoa_tx_error(tx); i++)
		memset(stoa_alloc(tx, 48 + 4 * sizeof(leaf), 0), 0xee,
			48 + 4 * sizeof(leaf));
	for (unsigned i = 0; i < 40 && !stoa_tx_error(tx); i++)
		memset(stoa_alloc(tx, 1024, 0), 0xee, 1024);
	(void)stoa_tx_fail(tx, -ECANCELED);
	return 0;
}

static const stoa_explore_op others[] = {
	{"the same", others_try, false}, {"exhaust", others_exhaust, true}};
static const stoa_explore_op pool_others[] = {{"the same", others_try, false},
	{"another node", others_side, false},
	{"exhaust", others_exhaust, true}};
static const stoa_explore_op side_others[] = {
	{"another node", others_side, false},
	{"exhaust", others_exhaust, true}};
static const stoa_explore_op quiet_others[] = {
	{"exhaust", others_exhaust, true}};

/* ---- bodies ---- */

static void
own_some(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < 4; i++)
		own_make(tx, t, i, 10 + i);
}

static void
own_replace(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < LEAVES; i++)
		if (!stoa_is_null(t->s->own[i]))
			own_drop(tx, t, i);
		else if (i < 6)
			own_make(tx, t, i, 30 + i);
}

static void
own_drop_all(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < LEAVES; i++)
		own_drop(tx, t, i);
}

static void
own_many(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < LEAVES; i++)
		own_make(tx, t, i, 50 + i);
}

static void
own_raw(stoa_tx *tx, struct test *t)
{
	leaf *p = stoa_pool_alloc(tx, &t->s->pool);

	leaf_fill(p, 70);
	stoa_pool_free(tx, &t->s->pool, stoa_get(tx, t->s->own[0]));
	STOA_LINK(tx, t->s->own[0], p);
}

/* One block free, another one not. */
static void
own_one_left(stoa_tx *tx, struct test *t)
{
	own_many(tx, t);
	for (unsigned i = 0; i < 4; i++)
		own_drop(tx, t, i);
}

static void
own_trim(stoa_tx *tx, struct test *t)
{
	(void)stoa_pool_trim(tx, &t->s->pool);
	own_make(tx, t, 6, 81);
}

static void
own_clear(stoa_tx *tx, struct test *t)
{
	stoa_pool_clear(tx, &t->s->pool);
	for (unsigned i = 0; i < LEAVES; i++)
		STOA_LINK(tx, t->s->own[i], NULL);
	own_make(tx, t, 0, 90);
}

static void
own_setup(stoa_tx *tx, struct test *t)
{
	(void)stoa_pool_setup(tx, &t->s->pool,
		STOA_POOL_OPTIONS(.node_size = sizeof(leaf), .node_align = 8,
			.nodes_per_block = 3,
			.max_free_blocks = STOA_POOL_KEEP_NONE));
	own_drop_all(tx, t);
}

static void
own_up_and_down(stoa_tx *tx, struct test *t)
{
	own_raw(tx, t);
	own_drop(tx, t, 1);
	own_make(tx, t, 4, 41);
	{
		STOA_TX(inner, stoa_tx_segment(tx));
		own_drop(inner, t, 4);
		own_drop(inner, t, 0);
		own_make(inner, t, 0, 42);
		own_make(inner, t, 5, 43);
		(void)stoa_tx_fail(inner, -EDOM);
	}
	own_make(tx, t, 6, 44);
}

static void
shared_some(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < 4; i++)
		shared_make(tx, t, i, 10 + i);
}

static void
shared_two(stoa_tx *tx, struct test *t)
{
	shared_drop(tx, t, 0);
	shared_make(tx, t, 0, 20);
	shared_make(tx, t, 5, 21);
}

static void
shared_many(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 4; i < LEAVES; i++)
		shared_make(tx, t, i, 60 + i);
}

static void
shared_raw(stoa_tx *tx, struct test *t)
{
	leaf *p = stoa_shared_pool_alloc(tx, t->sp);

	leaf_fill(p, 22);
	stoa_shared_pool_free(tx, t->sp, stoa_get(tx, t->s->shared[0]));
	STOA_LINK(tx, t->s->shared[0], p);
}

static void
shared_drop_all(stoa_tx *tx, struct test *t)
{
	for (unsigned i = 0; i < LEAVES; i++)
		shared_drop(tx, t, i);
}

static void
shared_flush(stoa_tx *tx, struct test *t)
{
	shared_drop(tx, t, 0);
	(void)stoa_shared_pool_flush(tx, t->sp);
	shared_make(tx, t, 6, 23);
}

static void
shared_trim(stoa_tx *tx, struct test *t)
{
	(void)stoa_shared_pool_trim(tx, t->sp);
}

static void
shared_set(stoa_tx *tx, struct test *t)
{
	stoa_shared_pool_set_cache(tx, t->sp, 5);
	shared_drop(tx, t, 1);
	for (unsigned i = 3; i < 6; i++)
		shared_make(tx, t, i, 24 + i);
}

static void
shared_away(stoa_tx *tx, struct test *t)
{
	(void)t;
	if (stoa_object_find(tx, "leaves", stoa_shared_pool))
		(void)stoa_shared_pool_drop(tx, "leaves", NULL);
}

static int
shared_open(stoa_segment *seg, void *user)
{
	const stoa_shared_pool *sp;

	(void)user;
	return stoa_shared_pool_open(seg, NULL, OPTIONS, &sp);
}

static void
out_some(stoa_tx *tx, struct test *t)
{
	letters(tx, &t->s->out, 5);
}

static void
out_full(stoa_tx *tx, struct test *t)
{
	letters(tx, &t->s->out, 70); /* two chunks */
}

static void
out_alloc(stoa_tx *tx, struct test *t)
{
	letters(tx, &t->s->out, 3);
	(void)stoa_arena_alloc(tx, &t->s->out, 100, 64);
	(void)stoa_arena_array(tx, &t->s->out, uint64_t, 3);
	(void)stoa_arena_copy(tx, &t->s->out, "bytes", 5);
	(void)stoa_arena_text(tx, &t->s->out, "text");
}

static void
out_reset(stoa_tx *tx, struct test *t)
{
	stoa_arena_reset(tx, &t->s->out);
	letters(tx, &t->s->out, 2);
}

static void
out_clear(stoa_tx *tx, struct test *t)
{
	stoa_arena_clear(tx, &t->s->out);
	letters(tx, &t->s->out, 2);
}

static void
out_move(stoa_tx *tx, struct test *t)
{
	stoa_arena_reset(tx, &t->s->in);
	stoa_arena_move(tx, &t->s->in, &t->s->out);
	letters(tx, &t->s->out, 1);
}

#define COVERS(text) .covers = text
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))

#define CASE_WITH(title, calls, op_, others_, more, ...) \
 { \
  .explore = {.name = title, \
	  .setup = store_setup, \
	  .op = op_, \
	  .check = store_check, \
	  .state = store_state, \
	  .others = others_, \
	  .other_count = COUNT(others_), \
	  .user = &(struct test){__VA_ARGS__}}, \
  COVERS(calls), .flags = more \
 }
/* Under one lock: two that meet there are those of tx.c. */
#define CASE(title, calls, fill_, body_) \
 CASE_WITH(title, calls, store_op, others, \
	 STOA_EXPLORE_SAMPLE | STOA_EXPLORE_NO_PAIRS, .fill = fill_, \
	 .body = body_)
#define CASE_IN(title, calls, body_, ...) \
 CASE_WITH(title, calls, store_op, pool_others, STOA_EXPLORE_SAMPLE, \
	 .fill = shared_some, .body = body_, .cache = CACHE, __VA_ARGS__)

static const struct crash_case cases[] = {
	CASE("nodes taken", "stoa_pool_new stoa_pool_new_", NULL, own_some),
	CASE("nodes freed, blocks go back", "stoa_pool_delete", own_many,
		own_drop_all),
	CASE("nodes freed and taken", "stoa_pool_new stoa_pool_delete",
		own_some, own_replace),
	CASE_WITH("nodes freed and taken, undone", "", store_undone,
		quiet_others, STOA_EXPLORE_SAMPLE, .fill = own_some,
		.body = own_replace),
	CASE("savepoint", "stoa_pool_alloc stoa_pool_free", own_some,
		own_up_and_down),
	CASE("free blocks given back", "stoa_pool_trim", own_one_left,
		own_trim),
	CASE("all nodes free", "stoa_pool_clear", own_some, own_clear),
	CASE("no block kept", "stoa_pool_setup", own_some, own_setup),
	CASE_WITH("shared",
		"stoa_shared_pool_new stoa_shared_pool_new_ "
		"stoa_shared_pool_delete",
		store_op, pool_others, STOA_EXPLORE_SAMPLE, .fill = shared_some,
		.body = shared_two),
	CASE_IN("cached", "stoa_shared_pool_alloc stoa_shared_pool_free",
		shared_raw, ),
	CASE_IN("cache too full", "stoa_shared_pool_delete", shared_drop_all, ),
	CASE_WITH("cached, undone", "", store_undone, side_others,
		STOA_EXPLORE_SAMPLE, .fill = shared_some, .body = shared_two,
		.cache = CACHE),
	CASE_IN("a dead thread's cache", "stoa_shared_pool_new", shared_many,
		.gone = true),
	CASE_IN("its slot and its cache", "stoa_shared_pool_delete", shared_two,
		.left = true),
	CASE_IN("a dead thread's cache, given back", "stoa_shared_pool_trim",
		shared_trim, .gone = true),
	CASE_IN("cache given back", "stoa_shared_pool_flush", shared_flush, ),
	CASE_IN("a larger cache", "stoa_shared_pool_set_cache", shared_set, ),
	CASE_WITH("a shared pool made", "stoa_shared_pool_open", shared_open,
		side_others, STOA_EXPLORE_SAMPLE | STOA_EXPLORE_NO_PAIRS,
		.cache = 0),
	CASE_WITH("a shared pool dropped", "stoa_shared_pool_drop", store_op,
		quiet_others, STOA_EXPLORE_SAMPLE | STOA_EXPLORE_LOOSE,
		.body = shared_away, .cache = CACHE, .gone = true),
	CASE("arena filled",
		"stoa_arena_alloc stoa_arena_new stoa_arena_array "
		"stoa_arena_array_ "
		"stoa_arena_copy stoa_arena_text stoa_arena_set_root",
		out_some, out_alloc),
	CASE("arena reset", "stoa_arena_reset", out_full, out_reset),
	CASE_WITH("arena reset, undone", "", store_undone, quiet_others,
		STOA_EXPLORE_SAMPLE, .fill = out_full, .body = out_reset),
	CASE("arena cleared", "stoa_arena_clear", out_full, out_clear),
	CASE("arena handed over", "stoa_arena_move", out_some, out_move),
};

int
main(int argc, char **argv)
{
	return crash_main("pool", cases, COUNT(cases), argc, argv);
}
