/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pools: bits and bins, what is kept and what goes back, undo, what is refused;
 * shared ones, caches, and what threads leave in them.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "object_fixture.h"

typedef struct leaf {
	uint64_t n[3];
} leaf;
STOA_TYPE(leaf, n);

typedef struct tree {
	stoa_pool pool;
	stoa_pool other;
	uint64_t word;
} tree;
STOA_TYPE(tree, (pool, stoa_pool), (other, stoa_pool), word);

static const tree *t;

static int
setup_tree(void **state)
{
	return setup(state) || stoa_object_open(seg, "tree", tree, &t);
}

static stoa_pool_stat
statistics(void)
{
	stoa_pool_stat s;

	STOA_READ(rd, seg);
	stoa_pool_statistics(rd, &t->pool, &s);
	assert_int_equal(stoa_pool_check(rd, &t->pool), 0);
	assert_int_equal(stoa_tx_error(rd), 0);
	return s;
}

static void
make(leaf **p, unsigned n)
{
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < n; i++) {
		p[i] = stoa_pool_new(tx, &t->pool, leaf);
		p[i]->n[0] = i;
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
drop(leaf **p, unsigned n)
{
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < n; i++)
		stoa_pool_delete(tx, &t->pool, leaf, p[i]);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
first_node_says_how_large(void **state)
{
	leaf *p[130];
	stoa_pool_stat s;

	(void)state;
	assert_int_equal(statistics().nodes_per_block, 0);
	make(p, 130);
	s = statistics();
	assert_int_equal(s.node_size, sizeof(leaf));
	assert_int_equal(s.nodes_per_block, 64);
	assert_int_equal(s.blocks, 3);
	assert_int_equal(s.nodes, 130);
	assert_int_equal(s.free_nodes, 3 * 64 - 130);
	assert_int_equal(s.bytes, 3 * (48 + 64 * 24));
	assert_true(s.overhead_percent > 3 && s.overhead_percent < 3.1);
	for (unsigned i = 0; i < 130; i++) {
		assert_int_equal(p[i]->n[0], i);
		assert_int_equal(p[i]->n[1], 0);
	}
	drop(p, 130);
	assert_int_equal(statistics().nodes, 0);
	assert_sound();
}

static void
free_blocks_go_back(void **state)
{
	leaf *p[640];
	uint64_t before = blocks();

	(void)state;
	make(p, 640);
	assert_int_equal(blocks(), before + 10);
	drop(p, 640);
	assert_int_equal(statistics().free_blocks, 2);
	assert_int_equal(blocks(), before + 2);
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_pool_trim(tx, &t->pool), 2);
		assert_int_equal(stoa_pool_trim(tx, &t->pool), 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(blocks(), before);
	assert_int_equal(statistics().blocks, 0);
	assert_sound();
}

static void
how_many_are_kept(void **state)
{
	static const struct {
		int32_t keep;
		uint64_t left;
	} rows[] = {{STOA_POOL_KEEP_ALL, 10}, {STOA_POOL_KEEP_NONE, 0}, {5, 5},
		{0, 2}};
	leaf *p[640];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
			STOA_DO(tx, seg,
				stoa_pool_setup(tx, &t->pool,
					STOA_POOL_OPTIONS(.node_size =
								  sizeof(leaf),
						.node_align = 8,
						.max_free_blocks =
							rows[i].keep))),
			0);
		make(p, 640);
		drop(p, 640);
		assert_int_equal(statistics().free_blocks, rows[i].left);
		assert_int_equal(
			STOA_DO(tx, seg, stoa_pool_clear(tx, &t->pool)), 0);
	}
	assert_sound();
}

/* A node comes from the fullest block. */
static void
fullest_first(void **state)
{
	leaf *p[128], *q[4];

	(void)state;
	make(p, 128);
	drop(p + 64, 60); /* the second: 4 of 64 */
	drop(p, 2);       /* the first: 62 of 64 */
	make(q, 2);
	assert_true((q[0] == p[0] && q[1] == p[1]) ||
		    (q[0] == p[1] && q[1] == p[0]));
	drop(p + 124, 4);
	assert_int_equal(statistics().free_blocks, 1);
}

static void
parameters(void **state)
{
	stoa_pool_stat s;

	(void)state;
	{
		STOA_TX(tx, seg);
		assert_true(stoa_pool_setup(tx, &t->pool,
			STOA_POOL_OPTIONS(.node_size = 100, .node_align = 64,
				.overhead_percent = 5)));
		assert_int_equal(
			(uintptr_t)stoa_pool_alloc(tx, &t->pool) % 64, 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	s = statistics();
	assert_int_equal(s.node_size, 128);
	assert_int_equal(s.nodes_per_block, 10); /* 64 / (64 + 10 * 128) */
	assert_true(s.overhead_percent <= 5);
	assert_int_equal(STOA_DO(tx, seg,
				 stoa_pool_setup(tx, &t->pool,
					 STOA_POOL_OPTIONS(.node_size = 8))),
		-EBUSY);
	assert_text("128 bytes");
	assert_int_equal(STOA_DO(tx, seg,
				 stoa_pool_setup(tx, &t->other,
					 STOA_POOL_OPTIONS(.node_size = 0))),
		-EINVAL);
	assert_int_equal(STOA_DO(tx, seg,
				 stoa_pool_setup(tx, &t->other,
					 STOA_POOL_OPTIONS(.node_size = 8,
						 .nodes_per_block = 65))),
		-EINVAL);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_alloc(tx, &t->other)), -EINVAL);
	assert_text("stoa_pool_setup");
	assert_int_equal(STOA_DO(tx, seg,
				 stoa_pool_setup(tx, &t->other,
					 STOA_POOL_OPTIONS(.node_size = 8)),
				 stoa_pool_new(tx, &t->other, leaf)),
		-EINVAL);
}

static void
refused(void **state)
{
	leaf *p[3], *q, *raw;

	(void)state;
	make(p, 3);
	drop(p + 1, 1);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, p[1])), -EFAULT);
	assert_text("free already");
	assert_int_equal(
		STOA_DO(tx, seg,
			stoa_pool_free(tx, &t->pool, (const char *)p[0] + 8)),
		-EFAULT);
	assert_text("no node of");
	{
		STOA_TX(tx, seg);
		q = stoa_pool_new(tx, &t->other, leaf);
		raw = stoa_new(tx, leaf);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, q)), -EFAULT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, raw)), -EFAULT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, t)), -EFAULT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, &q)), -EFAULT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_free(tx, &t->pool, NULL)), 0);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_delete(tx, leaf, p[0])), -EFAULT);
	assert_int_equal(statistics().nodes, 2);
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, leaf, raw)), 0);
}

/* The bytes of a freed block say that they are a pool's no more. */
static void
stale_block_is_none(void **state)
{
	leaf *p[64];
	void *raw[8];

	(void)state;
	make(p, 64);
	assert_int_equal(STOA_DO(tx, seg, stoa_pool_clear(tx, &t->pool)), 0);
	{
		STOA_TX(tx, seg);
		assert_true(stoa_alloc_many(tx, 8, 48 + 64 * 24, 0, raw));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(STOA_DO(tx, seg,
					 stoa_pool_free(tx, &t->pool,
						 (char *)raw[i] + 48)),
			-EFAULT);
}

/* Freed and taken again in one transaction: undo finds the old bytes. */
static void
undo_finds_the_bytes(void **state)
{
	leaf *p[64], *q;

	(void)state;
	make(p, 64);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < 64; i++)
			stoa_pool_delete(tx, &t->pool, leaf, p[i]);
		for (unsigned i = 0; i < 200; i++) {
			q = stoa_pool_new(tx, &t->pool, leaf);
			memset(q, 0xee, sizeof *q);
		}
		(void)stoa_tx_fail(tx, -EDOM);
	}
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(p[i]->n[0], i);
	assert_int_equal(statistics().nodes, 64);
	assert_sound();
}

static void
savepoint_finds_the_bytes(void **state)
{
	leaf *p[10], *q;

	(void)state;
	make(p, 5);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 5; i < 10; i++) {
			p[i] = stoa_pool_new(tx, &t->pool, leaf);
			p[i]->n[0] = i;
		}
		stoa_pool_delete(tx, &t->pool, leaf, p[0]);
		{
			STOA_TX(inner, seg);
			for (unsigned i = 1; i < 10; i++)
				stoa_pool_delete(inner, &t->pool, leaf, p[i]);
			for (unsigned i = 0; i < 70; i++) {
				q = stoa_pool_new(inner, &t->pool, leaf);
				memset(q, 0xee, sizeof *q);
			}
			(void)stoa_tx_fail(inner, -EDOM);
		}
		for (unsigned i = 1; i < 10; i++)
			assert_int_equal(p[i]->n[0], i);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(statistics().nodes, 9);
	assert_sound();
}

static void
goes_with_its_struct(void **state)
{
	leaf *p[300];
	uint64_t before = blocks();

	(void)state;
	make(p, 300);
	drop(p, 100);
	assert_sound();
	{
		char *text = dump(seg, &stoa_type_tree, t);

		assert_non_null(text);
		assert_non_null(strstr(text, "\"size_\":24"));
		free(text);
	}
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "tree")), 0);
	assert_true(blocks() < before);
	assert_sound();
}

static void
damage_is_found(void **state)
{
	leaf *p[3];
	stoa_pool *raw;
	stoa_pool_block *b;

	(void)state;
	make(p, 3);
	raw = (stoa_pool *)(uintptr_t)&t->pool;
	b = stoai_at(seg, raw->bin_[1].ref.off);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t *word = i == 0   ? &b->check_
				 : i == 1 ? &b->used_
				 : i == 2 ? &b->prev_.ref.off
					  : &raw->free_;
		uint64_t old = *word;

		*word = i == 1 ? UINT64_MAX : old + 7;
		{
			STOA_READ(rd, seg);
			assert_int_equal(
				stoa_pool_check(rd, &t->pool), -EBADMSG);
		}
		*word = old;
	}
	raw->count_ = 65;
	assert_int_equal(
		STOA_DO(tx, seg, stoa_pool_new(tx, &t->pool, leaf)), -EBADMSG);
	assert_text("P2");
	raw->count_ = 64;
	assert_int_equal(statistics().nodes, 3);
}

/* ---- shared ---- */

static const stoa_shared_pool *sp;

static const stoa_pool_options *
options(void)
{
	static const stoa_pool_options o = {.struct_size = sizeof o,
		.node_size = sizeof(leaf),
		.node_align = 8,
		.nodes_per_block = 8};

	return &o;
}

static int
setup_shared(void **state)
{
	return setup(state) || stoa_shared_pool_open(seg, NULL, options(), &sp);
}

static stoa_pool_stat
shared_statistics(void)
{
	stoa_pool_stat s;

	STOA_READ(rd, seg);
	stoa_shared_pool_statistics(rd, sp, &s);
	assert_int_equal(stoa_pool_check(rd, &sp->pool_), 0);
	return s;
}

static void
shared_make(leaf **p, unsigned n)
{
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < n; i++) {
		p[i] = stoa_shared_pool_new(tx, sp, leaf);
		p[i]->n[0] = i;
	}
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
shared_drop(leaf **p, unsigned n)
{
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < n; i++)
		stoa_shared_pool_delete(tx, sp, leaf, p[i]);
	assert_int_equal(stoa_tx_commit(tx), 0);
}

static void
set_cache(uint32_t max)
{
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_set_cache(tx, sp, max)), 0);
}

static void
shared_is_found(void **state)
{
	const stoa_shared_pool *again, *named;
	leaf *p[20];

	(void)state;
	assert_int_equal(
		stoa_shared_pool_open(seg, NULL, options(), &again), 0);
	assert_ptr_equal(again, sp);
	assert_int_equal(
		stoa_shared_pool_open(seg, "mine", options(), &named), 0);
	assert_ptr_not_equal(named, sp);
	assert_int_equal(stoa_shared_pool_open(seg, "mine",
				 STOA_POOL_OPTIONS(.node_size = 9), &named),
		-EPROTOTYPE);
	shared_make(p, 20);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_drop(tx, NULL, options())),
		-EBUSY);
	assert_text("20 nodes");
	shared_drop(p, 20);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_drop(tx, NULL, options())),
		0);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_drop(tx, NULL, options())),
		-ENOENT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_drop(tx, "mine", NULL)), 0);
	assert_int_equal(objects(), 0);
	assert_sound();
}

static void
cache_takes_and_gives_halves(void **state)
{
	leaf *p[40];

	(void)state;
	set_cache(10);
	shared_make(p, 1);
	assert_int_equal(shared_statistics().nodes, 6); /* 10 / 2 + 1 */
	assert_int_equal(shared_statistics().cached, 5);
	shared_make(p + 1, 39);
	assert_int_equal(
		shared_statistics().nodes - shared_statistics().cached, 40);
	shared_drop(p, 40);
	assert_true(shared_statistics().cached <= 10);
	assert_int_equal(shared_statistics().nodes, shared_statistics().cached);
	{
		STOA_TX(tx, seg);
		assert_true(stoa_shared_pool_flush(tx, sp) > 0);
		assert_int_equal(stoa_shared_pool_cache(tx, sp), 10);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(shared_statistics().nodes, 0);
	set_cache(30);
	shared_make(p, 20);
	shared_drop(p, 20);
	assert_true(shared_statistics().cached > 10);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_set_cache(tx, sp, 65537)),
		-EINVAL);
	assert_sound();
}

static void
cache_undoes(void **state)
{
	leaf *p[20], *q;

	(void)state;
	set_cache(10);
	shared_make(p, 20);
	for (unsigned round = 0; round < 2; round++) {
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < 20; i++) {
			stoa_shared_pool_delete(tx, sp, leaf, p[i]);
			q = stoa_shared_pool_new(tx, sp, leaf);
			memset(q, 0xee, sizeof *q);
		}
		if (round) {
			STOA_TX(inner, seg);
			for (unsigned i = 0; i < 30; i++)
				memset(stoa_shared_pool_new(inner, sp, leaf),
					0xdd, sizeof(leaf));
			assert_int_equal(stoa_tx_commit(inner), 0);
		}
		(void)stoa_tx_fail(tx, -EDOM);
	}
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(p[i]->n[0], i);
	assert_int_equal(
		shared_statistics().nodes - shared_statistics().cached, 20);
	shared_drop(p, 20);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_delete(tx, sp, leaf, p[19])),
		-EFAULT);
	assert_text("free already");
	assert_sound();
}

static void *
thread_caches(void *user)
{
	leaf *p[4];

	(void)user;
	shared_make(p, 4);
	shared_drop(p, 4);
	assert_true(shared_statistics().cached >= 4);
	return NULL;
}

/* Who needs nodes takes what a thread that is gone had cached. */
static void
dead_threads_cache_is_taken(void **state)
{
	leaf *p[8];
	pthread_t thread;
	uint64_t had;

	(void)state;
	set_cache(14);
	shared_make(p, 1); /* a slot and a cache of our own */
	assert_int_equal(STOA_DO(tx, seg, stoa_shared_pool_flush(tx, sp)), 0);
	assert_int_equal(pthread_create(&thread, NULL, thread_caches, NULL), 0);
	pthread_join(thread, NULL);
	had = shared_statistics().blocks;
	assert_true(shared_statistics().orphaned >= 4);
	shared_make(p + 1, 7);
	shared_make(p, 0);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < 64 && shared_statistics().orphaned;
			i++)
			(void)stoa_shared_pool_new(tx, sp, leaf);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(shared_statistics().orphaned, 0);
	assert_true(shared_statistics().blocks <= had + 1);
	assert_sound();
}

static void
killed_process_leaves_its_cache(void **state)
{
	leaf *p[6];
	int status;
	pid_t pid;

	(void)state;
	set_cache(10);
	shared_make(p, 1);
	pid = fork();
	if (!pid) {
		shared_make(p, 5);
		shared_drop(p, 5);
		{
			STOA_TX(tx, seg);
			(void)stoa_shared_pool_new(tx, sp, leaf);
			raise(SIGKILL);
		}
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(stoa_segment_recover(seg) >= 0);
	assert_true(shared_statistics().orphaned >= 5);
	assert_sound();
	{
		STOA_TX(tx, seg);
		(void)stoa_shared_pool_trim(tx, sp);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(shared_statistics().orphaned, 0);
	assert_int_equal(
		shared_statistics().nodes - shared_statistics().cached, 1);
	shared_drop(p, 1);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_shared_pool_drop(tx, NULL, options())),
		0);
	assert_sound();
}

enum {
	THREADS = 4,
	ROUNDS = 3000
};

static void *
thread_works(void *user)
{
	uint64_t me = (uintptr_t)user;
	leaf *mine[16] = {0};

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned at = i * 7 % 16;
		int rc;

		STOA_TX(tx, seg, &sp->lock);
		if (mine[at]) {
			if (mine[at]->n[0] != me || mine[at]->n[1] != at)
				abort();
			stoa_shared_pool_delete(tx, sp, leaf, mine[at]);
			mine[at] = NULL;
		} else {
			mine[at] = stoa_shared_pool_new(tx, sp, leaf);
			mine[at]->n[0] = me;
			mine[at]->n[1] = at;
		}
		rc = stoa_tx_commit(tx);
		if (rc)
			abort();
	}
	for (unsigned i = 0; i < 16; i++)
		if (mine[i] &&
			STOA_DO(tx, (seg, &sp->lock),
				stoa_shared_pool_delete(tx, sp, leaf, mine[i])))
			abort();
	return NULL;
}

static const stoa_mutex *own_lock[THREADS];

static void *
cached_works(void *user)
{
	unsigned me = (unsigned)(uintptr_t)user;
	leaf *mine[16] = {0};

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned at = i * 7 % 16;

		STOA_TX(tx, seg, own_lock[me]);
		if (mine[at]) {
			if (mine[at]->n[0] != me || mine[at]->n[1] != at)
				abort();
			stoa_shared_pool_delete(tx, sp, leaf, mine[at]);
			mine[at] = NULL;
		} else {
			mine[at] = stoa_shared_pool_new(tx, sp, leaf);
			mine[at]->n[0] = me;
			mine[at]->n[1] = at;
		}
		if (stoa_tx_commit(tx))
			abort();
	}
	return NULL;
}

typedef struct locks {
	stoa_mutex m[THREADS];
} locks;
STOA_TYPE(locks, m);

static void
threads_share(void **state)
{
	pthread_t thread[THREADS];
	const locks *l;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "locks", locks, &l), 0);
	for (unsigned i = 0; i < THREADS; i++)
		own_lock[i] = &l->m[i];
	for (unsigned round = 0; round < 2; round++) {
		set_cache(round ? 6 : 0);
		for (uintptr_t i = 0; i < THREADS; i++)
			assert_int_equal(
				pthread_create(&thread[i], NULL,
					round ? cached_works : thread_works,
					(void *)i),
				0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		if (!round)
			assert_int_equal(shared_statistics().nodes, 0);
	}
	assert_sound();
}

/* Checked mode looks at every changed byte and at every lock. */
static void
checked_mode_is_content(void **state)
{
	leaf *p[100];

	(void)state;
	assert_null(stoa_segment_close(seg));
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_CHECKED, NULL, &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "tree", tree, &t), 0);
	assert_int_equal(stoa_shared_pool_open(seg, NULL, options(), &sp), 0);
	for (unsigned i = 0; i < 3; i++) {
		make(p, 100);
		drop(p, 100);
		set_cache(i ? 10 : 0);
		shared_make(p, 50);
		shared_drop(p, 50);
	}
	assert_sound();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TREE(f)   cmocka_unit_test_setup_teardown(f, setup_tree, teardown)
#define SHARED(f) cmocka_unit_test_setup_teardown(f, setup_shared, teardown)
		TREE(first_node_says_how_large),
		TREE(free_blocks_go_back),
		TREE(how_many_are_kept),
		TREE(fullest_first),
		TREE(parameters),
		TREE(refused),
		TREE(stale_block_is_none),
		TREE(undo_finds_the_bytes),
		TREE(savepoint_finds_the_bytes),
		TREE(goes_with_its_struct),
		TREE(damage_is_found),
		SHARED(shared_is_found),
		SHARED(cache_takes_and_gives_halves),
		SHARED(cache_undoes),
		SHARED(dead_threads_cache_is_taken),
		SHARED(killed_process_leaves_its_cache),
		SHARED(threads_share),
		TREE(checked_mode_is_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
