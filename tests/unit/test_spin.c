/* SPDX-License-Identifier: BSL-1.0 */
/* Spinning before sleeping: no sleep where it is short, an end where it is not, death told. */
#include "signal_fixture.h"
#include "sync/spin.h"

enum {
	THREADS = 3,
	ROUNDS = 3000,
	TRIES = 20000,
	HOLD_NS = 15 * 1000
};

static stoa_mutex *
mutex(void)
{
	return &at->permits.lock_; /* any of them */
}

static void
busy(uint64_t ns)
{
	uint64_t until = stoai_os_now() + ns;

	while (stoai_os_now() < until)
		stoai_pause();
}

/* ---- how often does anybody sleep? ---- */

static uint32_t sleeps;

static int
count_sleeps(enum stoai_os_call call)
{
	if (call == STOAI_OS_FUTEX_WAIT || call == STOAI_OS_FUTEX_WAITV)
		a32_fetch_or_seq_cst(&sleeps, 1);
	return 0;
}

/* Who waits and who is waited for run at the same time: each on its processor. */
static cpu_set_t processors;

static void
pin(int which)
{
	cpu_set_t one;
	int n = 0;

	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &processors) && n++ == which)
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static struct stoai_lane *waiter_lane;

static void *
spin_once(void *p)
{
	struct stoai_seat *seat = own_seat();
	bool sem = p;
	int rc;

	pin(1);
	__atomic_store_n(&waiter_lane, seat->lane, __ATOMIC_RELEASE);
	rc = sem ? stoa_semaphore_spin(&at->sem, STOA_FOREVER)
		 : stoa_mutex_spin(mutex(), STOA_FOREVER);
	if (!rc && !sem)
		stoa_mutex_unlock(mutex());
	stoa_segment_detach(seg);
	return (void *)(intptr_t)rc;
}

/* It is waited for when the other one has tried in vain; was there a sleep? */
static bool
slept_in(bool sem)
{
	struct stoai_lane *lane;
	pthread_t t;
	void *rc = NULL;
	uint32_t before;

	sleeps = 0;
	waiter_lane = NULL;
	if (!sem)
		assert_int_equal(stoa_mutex_lock(mutex()), 0);
	pthread_create(&t, NULL, spin_once, sem ? &sleeps : NULL);
	while (!(lane = __atomic_load_n(&waiter_lane, __ATOMIC_ACQUIRE)))
		stoai_pause();
	before = a32_load_acquire(&lane->taken);
	/* a try lists its intent first, and counts it */
	while (!sem && a32_load_acquire(&lane->taken) == before &&
		!a32_load_relaxed(&sleeps))
		stoai_pause();
	busy(HOLD_NS);
	if (sem)
		assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	else
		stoa_mutex_unlock(mutex());
	pthread_join(t, &rc);
	assert_null(rc);
	return a32_load_relaxed(&sleeps);
}

/* On a busy machine a spin may end before its time has come: many tries. */
static void
does_not_sleep(bool sem)
{
	int awake = 0, n = 0;

	stoai_os_fault = count_sleeps;
	while (awake < 10 && n++ < TRIES)
		awake += !slept_in(sem);
	stoai_os_fault = NULL;
	assert_int_equal(awake, 10);
}

static void
short_sections_do_not_sleep(void **state)
{
	(void)state;
	assert_int_equal(
		sched_getaffinity(0, sizeof processors, &processors), 0);
	if (CPU_COUNT(&processors) < 2)
		skip(); /* cmocka says so */
	pin(0);
	does_not_sleep(false);
	does_not_sleep(true);
	assert_int_equal(
		sched_setaffinity(0, sizeof processors, &processors), 0);
}

/* The clock ends it: not before its time, and then it sleeps and is woken. */
static void
long_ones_sleep(void **state)
{
	uint64_t began = stoai_os_now();
	struct stoai_spin s = stoai_spin_begin(STOA_FOREVER);
	uint32_t n = 0;

	(void)state;
	while (stoai_spin_on(&s))
		n++;
	assert_true(stoai_os_now() - began >= STOAI_SPIN_NS);
	assert_in_range(n, 6, STOAI_SPIN_NS / 100);
	s = stoai_spin_begin(began); /* a deadline that is over: some pauses */
	for (n = 0; stoai_spin_on(&s); n++)
		assert_true(n < 8);
}

static int
spin_mutex(void)
{
	int rc = stoa_mutex_spin(mutex(), STOA_FOREVER);

	if (!rc)
		stoa_mutex_unlock(mutex());
	return rc;
}

static int
spin_semaphore(void)
{
	return stoa_semaphore_spin(&at->sem, STOA_FOREVER);
}

static void
sleepers_are_woken(void **state)
{
	struct caller c;

	(void)state;
	assert_int_equal(stoa_mutex_lock(mutex()), 0);
	caller_start(&c, spin_mutex);
	assert_true(a32_load_acquire(&mutex()->word_) & STOAI_WORD_WAITERS);
	stoa_mutex_unlock(mutex());
	assert_int_equal(caller_end(&c), 0);
	caller_start(&c, spin_semaphore);
	assert_int_equal(a32_load_acquire(&at->sem.word_), SLEEPING);
	assert_int_equal(stoa_semaphore_post(&at->sem), 0);
	assert_int_equal(caller_end(&c), 0);
	at->sem.word_ = 0;
}

/* ---- what it returns ---- */

static int
try_mutex(void)
{
	int rc = stoa_mutex_spin(mutex(), STOA_NOW);

	if (!rc)
		stoa_mutex_unlock(mutex());
	return rc;
}

static int
wait_in_vain(void)
{
	return stoa_mutex_spin(mutex(), stoa_in_ms(20));
}

static int
wait_in_vain_shortly(void)
{
	return stoa_mutex_spin(mutex(), stoai_os_now() + 1000);
}

static int
other(int (*call)(void))
{
	struct caller c;

	caller_begin(&c, call);
	return caller_end(&c);
}

static void
deadlines(void **state)
{
	(void)state;
	assert_int_equal(stoa_mutex_spin(mutex(), STOA_NOW), 0);
	assert_int_equal(stoa_mutex_spin(mutex(), STOA_FOREVER), -EDEADLK);
	assert_int_equal(other(try_mutex), -EAGAIN);
	assert_int_equal(other(wait_in_vain), -ETIMEDOUT);
	assert_int_equal(other(wait_in_vain_shortly), -ETIMEDOUT);
	stoa_mutex_unlock(mutex());
	assert_int_equal(other(try_mutex), 0);
	assert_int_equal(stoa_semaphore_spin(&at->sem, STOA_NOW), -EAGAIN);
	assert_int_equal(
		stoa_semaphore_spin(&at->sem, stoa_in_ms(5)), -ETIMEDOUT);
	at->sem.word_ = 1;
	assert_int_equal(stoa_semaphore_spin(&at->sem, STOA_NOW), 0);
}

static void
counted(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			stoa_mutex_spin_again(mutex(), STOA_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(other(try_mutex), -EAGAIN);
		stoa_mutex_unlock(mutex());
	}
	assert_int_equal(other(try_mutex), 0);
}

/* Both ways at the same time, and every one is counted. */
static int
add_many(void)
{
	int rc = 0;

	for (int i = 0; i < ROUNDS && !rc; i++) {
		rc = i % 4 ? stoa_mutex_spin(mutex(), STOA_FOREVER)
			   : stoa_mutex_lock(mutex());
		if (rc)
			break;
		at->n = at->n + 1;
		stoa_mutex_unlock(mutex());
	}
	return rc;
}

static void
excludes(void **state)
{
	struct caller c[THREADS];

	(void)state;
	at->n = 0;
	for (int i = 0; i < THREADS; i++)
		caller_begin(&c[i], add_many);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(caller_end(&c[i]), 0);
	assert_int_equal(at->n, THREADS * ROUNDS);
}

/* ---- death ---- */

static int ready[2];

static void
hold_and_say(void)
{
	must(!stoa_mutex_spin(mutex(), STOA_NOW));
	must(write(ready[1], "x", 1) == 1);
	(void)pause();
}

/* Held by a process that is killed while we watch: told of, and not by a clock. */
static void
death_is_told(void **state)
{
	char letter;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		hold_and_say();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &letter, 1), 1);
	assert_int_equal(other(try_mutex), -EAGAIN);
	kill(pid, SIGKILL);
	assert_int_equal(stoa_mutex_spin(mutex(), STOA_FOREVER), -EOWNERDEAD);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	stoa_mutex_mend(mutex());
	stoa_mutex_unlock(mutex());
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(other(try_mutex), 0);
}

/* What is watched of the word. */
static void
due(void **state)
{
	struct stoai_seat *seat = own_seat();
	uint32_t *token = stoai_token_at(seg, 3), was = *token;

	(void)state;
	assert_true(stoai_spin_lock_due(seat, 0));
	assert_true(stoai_spin_lock_due(seat, STOAI_WORD_WAITERS));
	assert_true(stoai_spin_lock_due(seat, seat->word));
	assert_true(stoai_spin_lock_due(seat, 511)); /* nobody's */
	*token = 4711;
	assert_false(stoai_spin_lock_due(seat, stoai_lock_word(3, 1)));
	*token = STOAI_TOKEN_OWNER_DIED;
	assert_true(stoai_spin_lock_due(seat, stoai_lock_word(3, 1)));
	*token = was;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_sections_do_not_sleep),
		cmocka_unit_test(long_ones_sleep),
		cmocka_unit_test(sleepers_are_woken),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(counted),
		cmocka_unit_test(excludes),
		cmocka_unit_test(death_is_told),
		cmocka_unit_test(due),
	};

	return cmocka_run_group_tests_name("spin", tests, setup, teardown);
}
