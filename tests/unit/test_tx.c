/* SPDX-License-Identifier: BSL-1.0 */
/* Transactions: what a scope does, undoes, refuses and says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "heap/heap.h"
#include "os/os.h"
#include "segment/log.h"
#include "stoa/stoa.h"
#include "tx/tx.h"

typedef struct item {
	stoa_rwlock lock, other;
	stoa_mutex mutex;
	stoa_cond changed;
	uint64_t a, b;
	uint8_t small;
	char text[16];
	uint8_t large[20000];
} item;
STOA_TYPE(item, lock, other, mutex, changed, a, b, small, text, large);

typedef struct locked {
	stoa_rwlock lock;
} locked;
STOA_TYPE(locked, lock);

/* What stands before its locks is narrower than the words that name them. */
typedef struct narrow {
	uint32_t n;
	stoa_mutex mutex;
	uint32_t m;
	stoa_cond changed;
	uint32_t k;
} narrow;
STOA_TYPE(narrow, n, mutex, m, changed, k);

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	node_ref next;
	uint64_t n;
};
STOA_TYPE(node, (next, node, own), n);

typedef struct chain {
	node_ref first;
} chain;
STOA_TYPE(chain, (first, node, own));

static stoa_segment *seg;
static const item *it;

static int
setup(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		       STOA_SEGMENT_OPTIONS(.size = 1 << 20, .threads = 8),
		       &seg) ||
	       stoa_object_open(seg, "item", item, &it);
}

static int
teardown(void **state)
{
	int rc = stoa_segment_check(seg);
	int64_t leaked = stoa_segment_leaked(seg);

	(void)state;
	if (rc || leaked)
		print_error("%s; %lld leaked\n", stoa_error_text(),
			(long long)leaked);
	seg = stoa_segment_close(seg);
	return rc || leaked;
}

static void
commit_makes_true(void **state)
{
	(void)state;
	{
		STOA_TX(tx, seg);
		assert_true(STOA_SET(tx, it->a, 7));
		STOA_ADD(tx, it->b, 3);
		STOA_SET(tx, it->text, "hello");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(it->a, 7);
	assert_int_equal(it->b, 3);
	assert_string_equal(it->text, "hello");
}

/* Wherever a struct puts them: a held word has no room for an odd place. */
static void
locks_behind_narrow_fields(void **state)
{
	const narrow *o = NULL;
	const stoa_mutex *odd_mutex;
	const stoa_cond *odd_cond;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "narrow", narrow, &o), 0);
	for (int i = 0; i < 2; i++) {
		STOA_TX_UNTIL(tx, stoa_in_ms(1000), seg, &o->mutex);
		STOA_ADD(tx, o->n, 1);
		stoa_tx_signal(tx, &o->changed);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(o->n, 2);
	assert_int_equal(o->mutex.word_, 0);
	/* no compiler puts one there; a wild pointer may */
	odd_mutex = (const void *)((const char *)&o->mutex + 4);
	odd_cond = (const void *)((const char *)&o->changed + 4);
	assert_int_equal(STOA_DO(tx, (seg, odd_mutex), (void)tx), -EXDEV);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_tx_signal(tx, odd_cond)), -EFAULT);
	assert_int_equal(
		STOA_DO(tx, seg, stoa_tx_broadcast(tx, &o->changed)), 0);
}

static void
leaving_undoes(void **state)
{
	(void)state;
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 7);
		STOA_SET(tx, it->a, 8);
		STOA_SET(tx, it->small, 9);
	}
	assert_int_equal(it->a, 0);
	assert_int_equal(it->small, 0);
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 7);
		assert_int_equal(stoa_tx_fail(tx, -ERANGE), -ERANGE);
		assert_int_equal(stoa_tx_fail(tx, -EDOM), -ERANGE);
		assert_false(STOA_SET(tx, it->b, 1));
		assert_int_equal(stoa_tx_commit(tx), -ERANGE);
	}
	assert_int_equal(it->a, 0);
}

static void
log_chains_and_shrinks(void **state)
{
	struct stoai_seat *seat = NULL;

	(void)state;
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	for (int commit = 0; commit < 2; commit++) {
		STOA_TX(tx, seg);
		for (size_t i = 0; i < sizeof it->large; i++)
			STOA_SET(tx, it->large[i], (uint8_t)(i * 7 + 1));
		assert_true(seat->chunks > 1);
		if (commit)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	for (size_t i = 0; i < sizeof it->large; i++)
		assert_int_equal(it->large[i], (uint8_t)(i * 7 + 1));
	assert_int_equal(seat->chunks, 0);
	assert_int_equal(seat->lane->cursor, stoai_log_start(seg, seat->index));
	assert_int_equal(seat->lane->state, STOAI_LANE_OPEN);
}

static void
large_edit_is_undone(void **state)
{
	(void)state;
	for (int commit = 0; commit < 2; commit++) {
		STOA_TX(tx, seg);
		assert_true(stoai_tx_save(tx, it->large, sizeof it->large));
		memset((void *)(uintptr_t)it->large, 0x5a, sizeof it->large);
	}
	for (size_t i = 0; i < sizeof it->large; i++)
		assert_int_equal(it->large[i], 0);
}

static void
savepoints_nest(void **state)
{
	(void)state;
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 1);
		{
			STOA_TX(in, seg);
			STOA_SET(in, it->a, 2);
			STOA_SET(in, it->b, 2);
			assert_int_equal(stoa_tx_commit(in), 0);
		}
		assert_int_equal(it->a, 2);
		{
			STOA_TX(in, seg);
			STOA_SET(in, it->a, 3);
			STOA_SET(in, it->b, 3);
		}
		assert_int_equal(it->a, 2);
		assert_int_equal(it->b, 2);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(it->a, 2);
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 4);
		{
			STOA_TX(in, seg);
			STOA_SET(in, it->a, 5);
			assert_int_equal(stoa_tx_commit(in), 0);
		}
	}
	assert_int_equal(it->a, 2);
}

static void
blocks_follow(void **state)
{
	const chain *c = NULL;
	stoa_segment_stat before, after;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "chain", chain, &c), 0);
	stoa_segment_statistics(seg, &before);
	for (int commit = 0; commit < 2; commit++) {
		STOA_TX(tx, seg);
		for (uint64_t i = 0; i < 100; i++) {
			node *n = stoa_new(tx, node);

			n->n = i;
			n->next = c->first;
			STOA_LINK(tx, c->first, n);
		}
		if (commit)
			assert_int_equal(stoa_tx_commit(tx), 0);
	}
	stoa_segment_statistics(seg, &after);
	assert_int_equal(after.blocks, before.blocks + 100);
	{
		STOA_READ(rd, seg);
		uint64_t i = 100;

		for (const node *n = stoa_get(rd, c->first); n;
			n = stoa_get(rd, n->next))
			assert_int_equal(n->n, --i);
		assert_int_equal(i, 0);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	{
		STOA_TX(tx, seg);
		assert_true(stoa_object_destroy(tx, "chain"));
	}
	stoa_segment_statistics(seg, &after);
	assert_int_equal(after.blocks, before.blocks + 100);
	{
		STOA_TX(tx, seg);
		assert_true(stoa_object_destroy(tx, "chain"));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	stoa_segment_statistics(seg, &after);
	assert_true(after.blocks < before.blocks + 1);
}

static void
failed_begin_goes_on(void **state)
{
	item *copy;

	(void)state;
	STOA_TX(tx, NULL);
	assert_int_equal(stoa_tx_error(tx), -EINVAL);
	assert_false(STOA_SET(tx, it->a, 99));
	node *n = stoa_new(tx, node);
	assert_non_null(n);
	n->n = 5;
	copy = stoa_tx_edit_(tx, it, sizeof *it);
	assert_ptr_not_equal(copy, it);
	copy->a = 77;
	assert_int_equal(it->a, 0);
	assert_int_equal(stoa_tx_commit(tx), -EINVAL);
}

static void
refusals(void **state)
{
	static uint64_t elsewhere;

	(void)state;
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_tx_commit(tx), 0);
		assert_int_equal(stoa_tx_commit(tx), -EPERM);
		assert_false(STOA_SET(tx, it->a, 1));
	}
	{
		STOA_TX(tx, seg);
		assert_false(STOA_SET(tx, elsewhere, 1));
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	{
		static stoa_rwlock foreign;

		STOA_TX(tx, seg, &foreign);
		assert_int_equal(stoa_tx_commit(tx), -EXDEV);
	}
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 1);
		assert_int_equal(
			stoa_tx_wait(tx, &it->changed, STOA_NOW), -EBUSY);
		assert_int_equal(stoa_tx_commit(tx), -EBUSY);
	}
	{
		STOA_READ(rd, seg, &it->lock);
		STOA_TX(tx, seg, &it->lock);
		assert_int_equal(stoa_tx_error(tx), -EBUSY);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(it->a, 0);
}

/* Changes go through the innermost transaction; read scopes undo nothing. */
static void
order_of_scopes(void **state)
{
	(void)state;
	{
		STOA_TX(tx, seg);
		STOA_SET(tx, it->a, 1);
		{
			STOA_READ(rd, seg);
			STOA_SET(tx, it->b, 2);
			assert_int_equal(stoa_tx_error(rd), 0);
		}
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(it->a, 1);
	assert_int_equal(it->b, 2);
	{
		STOA_TX(tx, seg);
		{
			STOA_TX(in, seg);
			assert_false(STOA_SET(tx, it->a, 9));
			assert_int_equal(stoa_tx_commit(in), 0);
		}
		assert_int_equal(stoa_tx_commit(tx), -EBUSY);
	}
	{ /* the outer one is ended first */
		stoa_tx *tx = stoa_tx_begin(seg, NULL, 0, STOA_FOREVER);
		stoa_tx *in = stoa_tx_begin(seg, NULL, 0, STOA_FOREVER);

		STOA_SET(in, it->a, 7);
		stoa_tx_end(tx);
		assert_int_equal(it->a, 1);
		assert_false(STOA_SET(in, it->a, 8));
		assert_int_equal(stoa_tx_commit(in), -EBUSY);
		stoa_tx_end(in);
	}
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, it->a, 3)), 0);
	assert_int_equal(it->a, 3);
}

/* A lock in a block that is undone is not let go later, into another block. */
static void
lock_of_an_undone_block(void **state)
{
	struct stoai_seat *seat = NULL;
	locked *n;

	(void)state;
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	{
		STOA_TX(tx, seg);
		{
			STOA_TX(in, seg);
			n = stoa_new(in, locked);
			assert_int_equal(stoa_tx_lock(in, &n->lock), 0);
			assert_int_equal(__builtin_popcount(seat->locks), 2);
		}
		assert_int_equal(__builtin_popcount(seat->locks), 1);
		assert_ptr_equal(stoa_new(tx, locked), n);
	}
}

static void
child_cannot_commit(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	STOA_TX(tx, seg);
	STOA_SET(tx, it->a, 1);
	pid = fork();
	if (!pid) {
		int rc = stoa_tx_commit(tx);
		int set = STOA_SET(tx, it->a, 5);

		stoa_tx_end(tx);
		_exit(rc == -EPERM && !set && it->a == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_int_equal(it->a, 1);
}

static void *
use_elsewhere(void *p)
{
	stoa_tx *tx = p;

	assert_false(STOA_SET(tx, it->a, 9));
	assert_int_equal(stoa_tx_commit(tx), -EPERM);
	return NULL;
}

static void
other_thread_cannot_commit(void **state)
{
	pthread_t t;

	(void)state;
	STOA_TX(tx, seg);
	STOA_SET(tx, it->a, 1);
	assert_int_equal(pthread_create(&t, NULL, use_elsewhere, tx), 0);
	pthread_join(t, NULL);
	assert_int_equal(stoa_tx_commit(tx), 0);
	assert_int_equal(it->a, 1);
}

static jmp_buf out;

__attribute__((noinline)) static void
jump_over(void)
{
	char deep[4096];

	memset(deep, 1, sizeof deep);
	STOA_TX(tx, seg);
	STOA_SET(tx, it->a, (uint64_t)deep[17]);
	longjmp(out, 1);
}

static void
longjmp_is_found(void **state)
{
	(void)state;
	if (!setjmp(out))
		jump_over();
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_tx_commit(tx), -EDEADLK);
	}
	stoa_thread_recover();
	assert_int_equal(it->a, 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, it->a, 3)), 0);
	assert_int_equal(it->a, 3);
}

static void
detach_undoes(void **state)
{
	(void)state;
	STOA_TX(tx, seg);
	STOA_SET(tx, it->a, 1);
	stoa_segment_detach(seg);
	assert_int_equal(it->a, 0);
	assert_int_equal(stoa_tx_commit(tx), -EBADF);
}

static void *
waiter(void *p)
{
	int *woken = p;

	STOA_TX(tx, seg, &it->lock);
	while (!it->a) {
		int rc = stoa_tx_wait(tx, &it->changed, stoa_in_ms(5000));

		if (rc)
			return NULL;
	}
	STOA_ADD(tx, it->a, -1);
	*woken = stoa_tx_commit(tx) == 0;
	return NULL;
}

/* Whatever order they are named in, so that two never wait for each other. */
static void
locks_are_taken_by_address(void **state)
{
	struct stoai_seat *seat = NULL;

	(void)state;
	assert_int_equal(stoai_attach(seg, STOA_NOW, &seat), 0);
	{
		STOA_TX(tx, seg, &it->other, &it->lock);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(stoai_held_off(seat->lane->held[0]),
			stoai_off(seg, &it->lock));
	}
	{ /* and of one lock the exclusive hold first */
		STOA_TX(tx, seg, stoa_shared(&it->lock), &it->lock);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
}

/* What is looked at when a wake-up is about to be made. */
static uint64_t watched;
static bool was_there;
static int refused;

static int
at_wake(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAKE || !watched)
		return 0;
	was_there = stoai_heap_usable(seg, watched) != 0;
	watched = 0;
	{ /* as a signal handler would, that came just now */
		STOA_TX(tx, seg);
		refused = stoa_tx_commit(tx);
	}
	return 0;
}

/* Who deletes an object gives its lock up while it is one. */
static void
own_lock_deleted(void **state)
{
	item *l; /* so large that it is no block any more once it is freed */

	(void)state;
	{
		STOA_TX(tx, seg);
		l = stoa_new(tx, item);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_TX(tx, seg, &l->lock);
		stoa_delete(tx, item, l);
		l->lock.word_ |= STOAI_WORD_WAITERS;
		watched = stoai_off(seg, l);
		was_there = false;
		refused = 0;
		stoai_os_fault = at_wake;
		assert_int_equal(stoa_tx_commit(tx), 0);
		stoai_os_fault = NULL;
	}
	assert_true(was_there);
	assert_int_equal(stoai_heap_usable(seg, stoai_off(seg, l)), 0);
	assert_int_equal(refused, -EDEADLK);
}

static void
references_are_checked(void **state)
{
	static const uint64_t bad[] = {1, 4096, UINT64_C(1) << 40, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		stoa_ref ref = {bad[i]};

		STOA_TX(tx, seg);
		assert_null(stoa_at(tx, ref, 8));
		assert_int_equal(stoa_tx_commit(tx), -EBADMSG);
	}
	for (size_t i = 0; i < 4; i++) {
		STOA_TX(tx, seg);
		assert_false(stoai_tx_free(tx, bad[i]));
		assert_int_equal(stoa_tx_commit(tx), -EBADMSG);
	}
}

static void
conditions_wake(void **state)
{
	pthread_t t[3];
	int woken[3] = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, waiter, &woken[i]);
	usleep(50000);
	{
		STOA_TX(tx, seg, &it->lock);
		STOA_SET(tx, it->a, 3);
		stoa_tx_broadcast(tx, &it->changed);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		assert_true(woken[i]);
	}
	assert_int_equal(it->a, 0);
}

static void *
holder(void *p)
{
	int *go = p;

	STOA_TX(tx, seg, &it->lock);
	__atomic_store_n(go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(go, __ATOMIC_SEQ_CST) == 1)
		usleep(1000);
	assert_int_equal(stoa_tx_commit(tx), 0);
	return NULL;
}

static void
try_and_timed(void **state)
{
	int go = 0;
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, holder, &go);
	while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
		usleep(1000);
	{
		STOA_TX_UNTIL(tx, STOA_NOW, seg, &it->lock);
		assert_int_equal(stoa_tx_commit(tx), -EAGAIN);
	}
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(30), seg, &it->lock);
		assert_int_equal(stoa_tx_commit(tx), -ETIMEDOUT);
	}
	{
		STOA_READ_UNTIL(rd, STOA_NOW, seg, &it->lock);
		assert_int_equal(stoa_tx_error(rd), -EAGAIN);
	}
	{
		stoa_owner_info info;

		STOA_READ(rd, seg, &it->other);
		assert_int_equal(
			stoa_owner_describe(
				rd, stoa_rwlock_owner(rd, &it->lock), &info),
			0);
		assert_int_equal(info.pid, getpid());
		assert_int_equal(
			stoa_tx_lock_until(rd, &it->lock, STOA_NOW), -EAGAIN);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	__atomic_store_n(&go, 2, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	assert_int_equal(
		STOA_DO(tx, (seg, &it->lock), STOA_ADD(tx, it->a, 1)), 0);
}

struct cross {
	const stoa_rwlock *first, *second;
	pthread_barrier_t *both; /* have their first lock */
	int rc;
};

static void *
crossing(void *p)
{
	struct cross *c = p;

	for (int i = 0; i < 200 && !c->rc; i++) {
		STOA_TX(tx, seg, c->first);
		if (i == 0)
			pthread_barrier_wait(c->both);
		c->rc = stoa_tx_lock(tx, c->second);
		if (!c->rc)
			c->rc = stoa_tx_commit(tx);
	}
	return NULL;
}

/* Two that read, and then want to write what the other reads. */
static void *
crossing_readers(void *p)
{
	struct cross *c = p;

	{
		const stoa_hold shared = stoa_shared(c->first);
		stoa_tx *tx = stoa_tx_begin(seg, &shared, 1, STOA_FOREVER);

		pthread_barrier_wait(c->both);
		c->rc = stoa_tx_lock_until(tx, c->second, stoa_in_ms(3000));
		if (!c->rc)
			c->rc = stoa_tx_commit(tx);
		stoa_tx_end(tx);
	}
	return NULL;
}

static void
deadlocks_of_readers_are_found(void **state)
{
	pthread_barrier_t both;
	struct cross x = {&it->lock, &it->other, &both, 0};
	struct cross y = {&it->other, &it->lock, &both, 0};
	pthread_t t, u;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&t, NULL, crossing_readers, &x);
	pthread_create(&u, NULL, crossing_readers, &y);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	pthread_barrier_destroy(&both);
	assert_true(x.rc == -EDEADLK || y.rc == -EDEADLK);
	/* both, if both look at the same time */
	assert_true(!x.rc || x.rc == -EDEADLK);
	assert_true(!y.rc || y.rc == -EDEADLK);
}

static void
deadlocks_are_found(void **state)
{
	pthread_barrier_t both;
	struct cross x = {&it->lock, &it->other, &both, 0};
	struct cross y = {&it->other, &it->lock, &both, 0};
	pthread_t t, u;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&t, NULL, crossing, &x);
	pthread_create(&u, NULL, crossing, &y);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	pthread_barrier_destroy(&both);
	assert_true(x.rc == -EDEADLK || y.rc == -EDEADLK);
	assert_true(x.rc == 0 || x.rc == -EDEADLK);
	assert_true(y.rc == 0 || y.rc == -EDEADLK);
}

static void
checked_mode_finds(void **state)
{
	stoa_segment *local = NULL;
	const item *i = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL | STOA_CHECKED,
			STOA_SEGMENT_OPTIONS(.size = 1 << 20), &local),
		0);
	assert_int_equal(stoa_object_open(local, "item", item, &i), 0);
	assert_int_equal(STOA_DO(tx, local, STOA_SET(tx, i->a, 1)), 0);
	{
		STOA_TX(tx, local);
		STOA_SET(tx, i->a, 2);
		*(uint64_t *)(uintptr_t)&i->b = 3; /* behind the log's back */
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
		assert_non_null(strstr(stoa_error_text(), "without stoa_edit"));
	}
	*(uint64_t *)(uintptr_t)&i->b = 0;
	assert_int_equal(i->a, 1);
	/* the same object under another lock */
	assert_int_equal(
		STOA_DO(tx, (local, &i->lock), STOA_SET(tx, i->a, 5)), -EFAULT);
	assert_int_equal(i->a, 1);
	assert_int_equal(
		STOA_DO(tx, (local, &i->lock, stoa_segment_lock(local)),
			STOA_SET(tx, i->a, 5)),
		0);
	stoa_segment_close(local);
}

/* ---- errors of one's own ---- */

static void
fail_takes_any_sign(void **state)
{
	(void)state;
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_tx_fail(tx, ERANGE), -ERANGE);
		assert_string_equal(stoa_error_text(), stoa_strerror(-ERANGE));
		assert_int_equal(stoa_tx_commit(tx), -ERANGE);
	}
	{
		STOA_TX(tx, seg);
		assert_int_equal(stoa_tx_fail(tx, 0), -EINVAL);
		assert_non_null(strstr(stoa_error_text(), "0 is no error"));
		assert_int_equal(stoa_tx_commit(tx), -EINVAL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			commit_makes_true, setup, teardown),
		cmocka_unit_test_setup_teardown(
			leaving_undoes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			locks_behind_narrow_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(
			log_chains_and_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(
			large_edit_is_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			savepoints_nest, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(
			failed_begin_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(
			order_of_scopes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			lock_of_an_undone_block, setup, teardown),
		cmocka_unit_test_setup_teardown(
			child_cannot_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			other_thread_cannot_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			longjmp_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(detach_undoes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			locks_are_taken_by_address, setup, teardown),
		cmocka_unit_test_setup_teardown(
			own_lock_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			references_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(
			conditions_wake, setup, teardown),
		cmocka_unit_test_setup_teardown(try_and_timed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			deadlocks_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			deadlocks_of_readers_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			checked_mode_finds, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fail_takes_any_sign, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
