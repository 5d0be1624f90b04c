/* SPDX-License-Identifier: BSL-1.0 */
/* Locks in memory that is no segment: where they may lie, who may come, what is refused, who makes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "os/os.h"
#include "scene.h"
#include "segment/registry.h"
#include "stoa/stoa.h"

enum {
	MAKERS = 6,
	ROUNDS = 200
};

/* Locks at the very beginning, and behind the slots to the very end. */
struct mine {
	stoa_semaphore sem;
	stoa_mutex first;
	uint64_t n;
	stoa_slots slots;
	stoa_rwlock l;
	stoa_cond c;
	stoa_event event;
	stoa_latch latch;
	stoa_once once;
	stoa_eventcount count;
	stoa_permits permits;
	stoa_barrier barrier;
	stoa_mutex last;
};

static char *directory;
static struct mine *at;

static struct mine *
fresh(void)
{
	void *p = mmap(NULL, sizeof(struct mine), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static int
attach(struct mine *m)
{
	return stoa_slots_attach(&m->slots, m, sizeof *m);
}

static int
group_setup(void **state)
{
	(void)state;
	directory = scene_directory(false);
	return directory ? setenv("STOA_DIRECTORY", directory, 1) : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	scene_remove(directory);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	at = fresh();
	return attach(at);
}

static int
teardown(void **state)
{
	(void)state;
	stoa_slots_detach(&at->slots);
	stoai_os_fault = NULL;
	/* nobody finds it any more */
	if (stoa_mutex_lock(&at->first) != -EXDEV)
		return -1;
	return munmap(at, sizeof *at);
}

/* ---- what it is for ---- */

static void
every_kind_works(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->first), 0);
	assert_int_equal(stoa_mutex_lock_until(&at->last, STOA_NOW), 0);
	assert_int_equal(
		stoa_cond_wait(&at->c, &at->first, STOA_NOW), -ETIMEDOUT);
	assert_int_equal(stoa_cond_signal(&at->c), 0);
	stoa_mutex_unlock(&at->last);
	stoa_mutex_unlock(&at->first);
	assert_int_equal(stoa_mutex_spin(&at->first, STOA_NOW), 0);
	stoa_mutex_unlock(&at->first);
	for (int mode = STOA_SHARED; mode <= STOA_EXCLUSIVE; mode++) {
		assert_int_equal(stoa_rwlock_lock_as(&at->l,
					 (enum stoa_mode)mode, STOA_NOW),
			0);
		stoa_rwlock_unlock(&at->l);
	}
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	assert_int_equal(stoa_semaphore_wait(&at->sem), 0);
	assert_int_equal(stoa_permits_set_total(&at->permits, 2), 0);
	assert_int_equal(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_available(&at->permits), 1);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
	assert_int_equal(stoa_event_set(&at->event), 0);
	assert_int_equal(stoa_event_wait(&at->event), 0);
	assert_int_equal(stoa_latch_add(&at->latch, 1), 0);
	assert_int_equal(stoa_latch_count_down(&at->latch, 1), 0);
	assert_true(stoa_once_begin(&at->once, STOA_NOW) > STOA_ONCE_DONE);
	assert_int_equal(stoa_once_end(&at->once), 0);
	assert_int_equal(stoa_eventcount_notify_all(&at->count), 0);
	assert_int_equal(stoa_barrier_join(&at->barrier), 0);
	assert_int_equal(stoa_barrier_wait(&at->barrier), 1);
	assert_int_equal(stoa_barrier_leave(&at->barrier), 0);
	STOA_LOCKED(&at->last)
	at->n++;
	assert_int_equal(at->n, 1);
}

static void *
try_and_end(void *lock)
{
	return (void *)(intptr_t)stoa_mutex_lock_until(lock, STOA_NOW);
}

static int
another(const stoa_mutex *m)
{
	pthread_t t;
	void *rc;

	assert_int_equal(
		pthread_create(&t, NULL, try_and_end, (void *)(uintptr_t)m), 0);
	assert_int_equal(pthread_join(t, &rc), 0);
	return (int)(intptr_t)rc;
}

/* Not called by it: found by the address; and its end with a lock is as a death. */
static void
threads_need_not_attach(void **state)
{
	(void)state;
	assert_int_equal(another(&at->first), 0);
	assert_int_equal(stoa_mutex_lock(&at->first), -EOWNERDEAD);
	assert_int_equal(another(&at->first), -EAGAIN);
	stoa_mutex_mend(&at->first);
	stoa_mutex_unlock(&at->first);
	assert_int_equal(another(&at->last), 0);
}

static int
child_holds(void *arg)
{
	(void)arg;
	must(stoa_mutex_lock_until(&at->first, STOA_NOW) == -EAGAIN);
	must(!stoa_mutex_lock(&at->last));
	return 7; /* with it */
}

static void
fork_children_need_not_attach(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->first), 0);
	assert_int_equal(scene_child(child_holds, NULL), 7);
	assert_int_equal(stoa_mutex_lock(&at->last), -EOWNERDEAD);
	stoa_mutex_mend(&at->last);
	stoa_mutex_unlock(&at->last);
	stoa_mutex_unlock(&at->first);
}

static void
attaching_counts(void **state)
{
	(void)state;
	assert_int_equal(attach(at), 0);
	stoa_slots_detach(&at->slots);
	assert_int_equal(stoa_mutex_lock(&at->first), 0); /* again by itself */
	stoa_mutex_unlock(&at->first);
	stoa_slots_detach(NULL);
	stoa_slots_detach(&fresh()->slots); /* nobody has it: nothing */
}

/* What a thread holds when it detaches is told of. */
static void
detaching_is_a_death(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_lock(&at->first), 0);
	stoa_slots_detach(&at->slots);
	assert_int_equal(attach(at), 0);
	assert_int_equal(stoa_mutex_lock(&at->first), -EOWNERDEAD);
	stoa_mutex_mend(&at->first);
	stoa_mutex_unlock(&at->first);
}

static stoa_segment *
segment_of(const void *object)
{
	stoa_segment *seg;

	stoai_registry_lock();
	seg = stoai_registry_at(object);
	stoai_registry_unlock();
	return seg;
}

static int
die_at_wake(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAKE)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static int
post_and_die(void *arg)
{
	(void)arg;
	stoai_os_fault = die_at_wake;
	must(!stoa_semaphore_post(&at->sem));
	return 0;
}

static int sleeper_tid;

/* By the kernel's own call: only a wake-up ends it well. */
static void *
sleep_on_semaphore(void *p)
{
	const struct timespec patience = {2, 0};

	__atomic_store_n(&sleeper_tid, gettid(), __ATOMIC_RELEASE);
	return (void *)(intptr_t)syscall(SYS_futex, p, FUTEX_WAIT,
		UINT32_C(0x80000000), &patience, NULL, 0);
}

/* At the very beginning of the memory: no offset is "none". */
static void
wake_ups_of_the_dead(void **state)
{
	pthread_t t;
	void *rc;

	(void)state;
	assert_ptr_equal(&at->sem, at);
	at->sem.word_ = UINT32_C(0x80000000); /* somebody sleeps */
	pthread_create(&t, NULL, sleep_on_semaphore, &at->sem.word_);
	scene_until_asleep(&sleeper_tid);
	assert_int_equal(scene_child(post_and_die, NULL), -SIGKILL);
	assert_int_equal(attach(at), 0); /* looks for the dead */
	stoa_slots_detach(&at->slots);
	pthread_join(t, &rc);
	assert_null(rc);
	assert_int_equal(stoa_semaphore_value(&at->sem), 1);
	assert_int_equal(stoa_semaphore_wait(&at->sem), 0);
}

/* Two tables side by side, whose memories touch; each has its own first slot. */
static void
neighbours(void **state)
{
	struct mine *two = mmap(NULL, 2 * sizeof *two, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(two != MAP_FAILED);
	assert_int_equal(attach(&two[1]), 0);
	assert_int_equal(attach(&two[0]), 0);
	for (int i = 0; i < 4; i++) {
		struct mine *m = &two[i % 2];
		struct stoai_seat *seat = stoai_seat_of(segment_of(m));

		assert_int_equal(seat->index, 0);

		assert_int_equal(stoa_mutex_lock(&m->first), 0);
		assert_int_equal(stoa_mutex_lock(&m->last), 0);
		assert_int_equal(another(&m->last), -EAGAIN);
		stoa_mutex_unlock(&m->last);
		stoa_mutex_unlock(&m->first);
	}
	/* the last one used is the other one, which begins where that lock ends */
	assert_int_equal(stoa_mutex_lock(&two[1].first), 0);
	assert_int_equal(stoa_mutex_lock(&two[0].last), 0);
	stoa_mutex_unlock(&two[0].last);
	stoa_mutex_unlock(&two[1].first);
	stoa_slots_detach(&two[0].slots);
	stoa_slots_detach(&two[1].slots);
	munmap(two, 2 * sizeof *two);
}

/* ---- what is refused ---- */

static void
places(void **state)
{
	struct mine *m = fresh();
	stoa_mutex outside = {0, 0};
	char *byte = (char *)m;

	(void)state;
	assert_int_equal(stoa_slots_attach(NULL, m, sizeof *m), -EINVAL);
	assert_int_equal(
		stoa_slots_attach(&m->slots, NULL, sizeof *m), -EINVAL);
	assert_int_equal(
		stoa_slots_attach(&m->slots, byte + 4, sizeof *m - 4), -EINVAL);
	assert_int_equal(
		stoa_slots_attach(&m->slots, &m->l, sizeof m->l), -EINVAL);
	assert_int_equal(stoa_slots_attach(&m->slots, m, 1000), -EINVAL);
	assert_int_equal(stoa_slots_attach(&m->slots, at, sizeof *at), -EINVAL);
	assert_int_equal(m->slots.word_[0], 0); /* nothing has happened */
	/* part of it belongs to another one */
	assert_int_equal(attach(m), 0);
	assert_int_equal(stoa_slots_attach(
				 (stoa_slots *)(void *)((char *)&m->slots + 64),
				 m, sizeof *m),
		-EEXIST);
	/* this process has it for other memory; others said something else */
	assert_int_equal(
		stoa_slots_attach(&m->slots, byte, sizeof *m - 8), -EINVAL);
	stoa_slots_detach(&m->slots);
	assert_int_equal(
		stoa_slots_attach(&m->slots, byte, sizeof *m - 8), -EINVAL);
	assert_non_null(strstr(stoa_error_text(), "others say"));
	assert_int_equal(stoa_mutex_lock(&outside), -EXDEV);
	assert_int_equal(
		stoa_mutex_lock((stoa_mutex *)(void *)((char *)&at->last + 4)),
		-EXDEV);
	munmap(m, sizeof *m);
}

static void
other_bytes(void **state)
{
	struct mine *m = fresh();

	(void)state;
	m->slots.word_[1] = 4711;
	assert_int_equal(attach(m), -EPROTO);
	m->slots.word_[0] = 0;
	m->slots.word_[1] = 0;
	assert_int_equal(attach(m), 0);
	stoa_slots_detach(&m->slots);
	m->slots.word_[2]++; /* its owner bytes */
	assert_int_equal(attach(m), -EPROTO);
	munmap(m, sizeof *m);
}

/* Who has other owner bytes would take the living for dead. */
static void
another_file(void **state)
{
	char *elsewhere = scene_directory(false);

	(void)state;
	stoa_slots_detach(&at->slots);
	setenv("STOA_DIRECTORY", elsewhere, 1);
	assert_int_equal(attach(at), -EXDEV);
	assert_non_null(strstr(stoa_error_text(), "another file"));
	setenv("STOA_DIRECTORY", directory, 1);
	assert_int_equal(attach(at), 0);
	scene_remove(elsewhere);
}

/* Who may use the directory may use the file; in one of many owners each has his own. */
static void
modes_of_the_file(void **state)
{
	char *group = scene_directory(false), *many = scene_directory(false);
	char name[32];
	struct stat st;

	(void)state;
	assert_int_equal(chmod(group, 0770) | chmod(many, 01777), 0);
	stoa_slots_detach(&at->slots);
	memset(&at->slots, 0, sizeof at->slots);
	setenv("STOA_DIRECTORY", group, 1);
	assert_int_equal(attach(at), 0);
	assert_int_equal(stat(scene_path(group, ".slots"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	stoa_slots_detach(&at->slots);
	memset(&at->slots, 0, sizeof at->slots);
	setenv("STOA_DIRECTORY", many, 1);
	assert_int_equal(attach(at), 0);
	snprintf(name, sizeof name, ".slots-%u", (unsigned)geteuid());
	assert_int_equal(stat(scene_path(many, name), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	setenv("STOA_DIRECTORY", directory, 1);
	scene_remove(group);
	scene_remove(many);
}

static pthread_barrier_t meet;

static void *
lock_and_stay(void *rc)
{
	*(int *)rc = stoa_mutex_lock_until(&at->last, STOA_NOW);
	pthread_barrier_wait(&meet);
	pthread_barrier_wait(&meet);
	return NULL;
}

static void
all_slots_taken(void **state)
{
	pthread_t t[STOA_SLOTS_THREADS];
	int rc[STOA_SLOTS_THREADS], full = 0, had = 0;

	(void)state;
	pthread_barrier_init(&meet, NULL, STOA_SLOTS_THREADS + 1);
	for (int i = 0; i < STOA_SLOTS_THREADS; i++)
		pthread_create(&t[i], NULL, lock_and_stay, &rc[i]);
	pthread_barrier_wait(&meet);
	for (int i = 0; i < STOA_SLOTS_THREADS; i++) {
		full += rc[i] == -EUSERS;
		had += !rc[i] || rc[i] == -EAGAIN;
	}
	pthread_barrier_wait(&meet);
	for (int i = 0; i < STOA_SLOTS_THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&meet);
	assert_int_equal(full, 1); /* one slot is this thread's */
	assert_int_equal(had, STOA_SLOTS_THREADS - 1);
	assert_int_equal(stoa_mutex_lock(&at->last), -EOWNERDEAD);
	stoa_mutex_unlock(&at->last);
}

/* ---- who makes it ---- */

static int
make_and_count(void *arg)
{
	struct mine *m = arg;

	must(!attach(m));
	for (int i = 0; i < ROUNDS; i++) {
		must(!stoa_mutex_lock(&m->first));
		m->n = m->n + 1;
		stoa_mutex_unlock(&m->first);
	}
	return 0;
}

/* All at once, out of zero bytes. */
static void
made_by_one_of_many(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct mine *m = fresh();
		int pid[MAKERS];

		for (int i = 0; i < MAKERS; i++)
			pid[i] = scene_fork(make_and_count, m);
		for (int i = 0; i < MAKERS; i++)
			assert_int_equal(scene_wait(pid[i]), 0);
		assert_int_equal(m->n, MAKERS * ROUNDS);
		munmap(m, sizeof *m);
	}
}

static int calls_left;

static int
die_at_call(enum stoai_os_call call)
{
	(void)call;
	if (!calls_left--)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static int
make_and_die(void *arg)
{
	stoai_os_fault = die_at_call;
	must(!attach(arg));
	return 0;
}

/* Before each call of the system; the next one makes it, or finds it made. */
static void
makers_die(void **state)
{
	int killed = 0, rc = -SIGKILL;

	(void)state;
	for (int n = 0; rc == -SIGKILL; n++) {
		struct mine *m = fresh();

		/* half made by somebody, as far as it can be */
		if (n % 2)
			memset((char *)&m->slots + 64, 0x5a,
				sizeof m->slots - 64);
		calls_left = n;
		rc = scene_child(make_and_die, m);
		killed += rc == -SIGKILL;
		assert_int_equal(scene_child(make_and_count, m), 0);
		assert_int_equal(m->n, ROUNDS);
		munmap(m, sizeof *m);
	}
	assert_int_equal(rc, 0);
	assert_true(killed >= 8);
}

static int
fail_at_call(enum stoai_os_call call)
{
	return call != STOAI_OS_CLOSE && !calls_left-- ? -EIO : 0;
}

/* Says so, keeps no descriptor, and leaves nothing that hinders the next. */
static void
each_call_may_fail(void **state)
{
	int rc = -1, failed = 0, fds = scene_fds();

	(void)state;
	for (int n = 0; rc; n++) {
		struct mine *m = fresh();

		calls_left = n;
		stoai_os_fault = fail_at_call;
		rc = attach(m);
		stoai_os_fault = NULL;
		if (calls_left >= 0)
			rc = 0; /* fewer calls than that */
		else if (rc)
			failed++;
		if (rc) {
			assert_true(strlen(stoa_error_text()) > 5);
			assert_int_equal(scene_fds(), fds);
			assert_int_equal(stoa_mutex_lock(&m->first), -EXDEV);
			assert_int_equal(attach(m), 0);
		} else if (calls_left < 0) {
			rc = -1; /* it went on without that one */
		}
		assert_int_equal(stoa_mutex_lock(&m->first), 0);
		stoa_mutex_unlock(&m->first);
		stoa_slots_detach(&m->slots);
		assert_int_equal(scene_fds(), fds);
		munmap(m, sizeof *m);
	}
	assert_true(failed >= 4);
}

/* ---- damage ---- */

static int
damaged_and_dead(void *arg)
{
	stoa_segment *seg = segment_of(at);
	struct stoai_seat *seat;

	must(!stoa_mutex_lock(&at->first));
	seat = stoai_seat_of(seg);
	seat->slot->regions = UINT64_MAX;    /* spans, of a heap that is none */
	seat->lane->cursor = seg->skip + 64; /* a log, in the user's memory */
	if (arg)                             /* a lock amid the table */
		seat->lane->held[3] = (seg->header_off + 64) | 7;
	return 0;
}

/* A table has no heap and no log, whatever its slots say. */
static void
damage_writes_nothing_elsewhere(void **state)
{
	struct mine *copy = malloc(sizeof *copy);

	(void)state;
	memcpy(copy, at, sizeof *copy);
	assert_int_equal(scene_child(damaged_and_dead, NULL), 0);
	assert_int_equal(stoa_mutex_lock(&at->first), -EOWNERDEAD);
	stoa_mutex_mend(&at->first);
	stoa_mutex_unlock(&at->first);
	assert_memory_equal(copy, at, offsetof(struct mine, slots));
	assert_memory_equal(
		&copy->l, &at->l, sizeof *copy - offsetof(struct mine, l));
	free(copy);
	assert_int_equal(scene_child(damaged_and_dead, at), 0);
	assert_int_equal(stoa_mutex_lock(&at->first), -ENOTRECOVERABLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* It is quarantined and says so. */
static int
teardown_damaged(void **state)
{
	(void)state;
	stoa_slots_detach(&at->slots);
	return munmap(at, sizeof *at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_works),
		TEST(threads_need_not_attach),
		TEST(fork_children_need_not_attach),
		TEST(attaching_counts),
		TEST(detaching_is_a_death),
		TEST(wake_ups_of_the_dead),
		TEST(neighbours),
		TEST(places),
		TEST(other_bytes),
		TEST(another_file),
		TEST(modes_of_the_file),
		TEST(all_slots_taken),
		TEST(made_by_one_of_many),
		TEST(makers_die),
		TEST(each_call_may_fail),
		cmocka_unit_test_setup_teardown(damage_writes_nothing_elsewhere,
			setup, teardown_damaged),
	};

	return cmocka_run_group_tests_name(
		"slots", tests, group_setup, group_teardown);
}
