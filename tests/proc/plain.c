/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks in plain memory, by a stoa_slots: processes that got it in every way there is,
 * at different addresses, and that are killed. There are no tokens here, so a death is
 * proved by an owner byte, at a tick of who waits.
 */
#include "proc.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum {
	TOLD_MS = 600, /* a tick is 50, and the machine may be busy */
	WORKERS = 4,
	KILLS = 25,
	POOL = 3
};

struct mine {
	stoa_mutex m;
	uint64_t first, second; /* differ only while somebody has m */
	stoa_slots slots;
	stoa_rwlock l;
	uint64_t third, fourth; /* l */
	stoa_cond c;
	stoa_semaphore sem;
	stoa_permits permits;
	uint64_t ball; /* m, c */
};

static int
attach(struct mine *p)
{
	return stoa_slots_attach(&p->slots, p, sizeof *p);
}

/* ---- from where the memory is ---- */

enum kind {
	ANONYMOUS,
	FILE_OF_A_PATH,
	POSIX,
	XSI,
	KINDS
};

static char path[96];
static int xsi;

/* For each process anew, but anonymous memory, which a child has from its parent. */
static struct mine *
map(enum kind kind, bool make)
{
	int flags = O_RDWR | (make ? O_CREAT | O_EXCL : 0), fd = -1;
	void *p = MAP_FAILED;

	switch (kind) {
	case ANONYMOUS:
		return mmap(NULL, sizeof(struct mine), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	case FILE_OF_A_PATH:
		snprintf(path, sizeof path, "%s/plain", test_folder);
		fd = open(path, flags, 0600);
		break;
	case POSIX:
		snprintf(path, sizeof path, "/stoa-test-plain-%u",
			(unsigned)(make ? getpid() : getppid()));
		fd = shm_open(path, flags, 0600);
		break;
	default:
		if (make)
			xsi = shmget(IPC_PRIVATE, sizeof(struct mine), 0600);
		return shmat(xsi, NULL, 0);
	}
	if (fd >= 0 && !(make && ftruncate(fd, sizeof(struct mine))))
		p = mmap(NULL, sizeof(struct mine), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
	close(fd);
	return p;
}

static void
forget(enum kind kind)
{
	if (kind == POSIX)
		shm_unlink(path);
	if (kind == XSI)
		shmctl(xsi, IPC_RMID, NULL);
}

static struct mine *at;
static enum kind kind_of;

/* Holds what is asked for until it is killed: m, l exclusive, s shared, p a permit. */
static int
holder(struct peer *me, void *user)
{
	struct mine *p = at;
	int rc = 0;

	(void)user;
	if (kind_of != ANONYMOUS) { /* another process, at another address */
		p = map(kind_of, false);
		MUST(p != MAP_FAILED && p != at);
		MUST(!munmap(at, sizeof *at) || kind_of == XSI);
		MUST(!attach(p));
	}
	for (;;) {
		switch (hear(me)) {
		case 'm':
			rc = stoa_mutex_lock(&p->m);
			p->first++;
			break;
		case 'l':
			rc = stoa_rwlock_lock(&p->l);
			break;
		case 's':
			rc = stoa_rwlock_share(&p->l);
			break;
		case 'p':
			for (int i = 0; i < POOL && !rc; i++)
				rc = stoa_permits_take(&p->permits);
			break;
		default:
			return 1;
		}
		MUST(!rc);
		MUST(tell(me, 'k'));
	}
}

static struct peer
holder_of(char what)
{
	struct peer p = peer_start(holder, NULL);

	assert_true(tell(&p, what));
	assert_int_equal(hear(&p), 'k');
	return p;
}

static struct peer victim;
static uint64_t killed_at;

static void
kill_soon(int signal)
{
	(void)signal;
	killed_at = ms_now();
	kill(victim.pid, SIGKILL);
}

/* It sleeps for the lock when the holder is killed, 20 ms from now. */
static void
dies_while_waited_for(void)
{
	const struct sigaction action = {.sa_handler = kill_soon};

	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 0);
}

static void
told(int rc, int wanted)
{
	uint64_t after = ms_now() - killed_at;

	peer_kill(&victim);
	assert_int_equal(rc, wanted);
	assert_true(killed_at && after < TOLD_MS);
	killed_at = 0;
}

/* What else may be waited for. */
static void
other_deaths(void)
{
	victim = holder_of('l');
	dies_while_waited_for();
	told(stoa_rwlock_share(&at->l), -EOWNERDEAD);
	stoa_rwlock_unlock(&at->l);
	assert_int_equal(stoa_rwlock_lock(&at->l), -EOWNERDEAD);
	stoa_rwlock_mend(&at->l);
	stoa_rwlock_unlock(&at->l);

	victim = holder_of('s');
	dies_while_waited_for();
	told(stoa_rwlock_lock(&at->l), 0); /* a reader's is nobody's trouble */
	stoa_rwlock_unlock(&at->l);

	victim = holder_of('p');
	dies_while_waited_for();
	told(stoa_permits_take(&at->permits), 0);
	assert_int_equal(stoa_permits_available(&at->permits), POOL - 1);
	assert_int_equal(stoa_permits_give(&at->permits), 0);
}

static void
deaths_are_told(enum kind kind)
{
	kind_of = kind;
	at = map(kind, true);
	assert_true(at != MAP_FAILED);
	if (attach(at))
		fail_msg("kind %d: %s", kind, stoa_error_text());
	assert_int_equal(stoa_permits_set_total(&at->permits, POOL), 0);

	victim = holder_of('m');
	assert_int_equal(stoa_mutex_lock_until(&at->m, STOA_NOW), -EAGAIN);
	dies_while_waited_for();
	told(stoa_mutex_lock(&at->m), -EOWNERDEAD);
	assert_int_equal(at->first, 1); /* half made */
	at->first = 0;
	stoa_mutex_mend(&at->m);
	stoa_mutex_unlock(&at->m);

	if (kind == ANONYMOUS)
		other_deaths();
	stoa_slots_detach(&at->slots);
	forget(kind);
	if (kind == XSI)
		shmdt(at);
	else
		munmap(at, sizeof *at);
}

static void
deaths_in_anonymous_memory(void **state)
{
	(void)state;
	deaths_are_told(ANONYMOUS);
}

static void
deaths_in_a_file(void **state)
{
	(void)state;
	deaths_are_told(FILE_OF_A_PATH);
}

static void
deaths_in_posix_memory(void **state)
{
	(void)state;
	deaths_are_told(POSIX);
}

static void
deaths_in_xsi_memory(void **state)
{
	(void)state;
	deaths_are_told(XSI);
}

/* Its parent lives: a byte that it shared with it would vouch for it. */
static int
parent_of_one(struct peer *me, void *user)
{
	pid_t pid;

	(void)user;
	MUST(!stoa_mutex_lock(&at->m));
	pid = fork();
	if (!pid) { /* outlives it, and uses the memory or not */
		prctl(PR_SET_PDEATHSIG, 0);
		MUST(tell(me, 'b'));
		ms_sleep(1000);
		_exit(0);
	}
	MUST(hear(me) == 'x');
	return 0;
}

static void
a_child_does_not_vouch(void **state)
{
	(void)state;
	at = map(ANONYMOUS, true);
	assert_int_equal(attach(at), 0);
	victim = peer_start(parent_of_one, NULL);
	assert_int_equal(hear(&victim), 'b');
	dies_while_waited_for();
	told(stoa_mutex_lock(&at->m), -EOWNERDEAD);
	stoa_mutex_mend(&at->m);
	stoa_mutex_unlock(&at->m);
	stoa_slots_detach(&at->slots);
	munmap(at, sizeof *at);
}

/* ---- a ball from one to the other, over a condition and a semaphore ---- */

static int
player(struct peer *me, void *user)
{
	(void)me;
	(void)user;
	MUST(!attach(at));
	for (uint64_t i = 0; i < 500; i++) {
		MUST(!stoa_mutex_lock(&at->m));
		while (at->ball % 2 == 0)
			MUST(!stoa_cond_wait(&at->c, &at->m, stoa_in_ms(5000)));
		at->ball++;
		stoa_mutex_unlock(&at->m);
		MUST(!stoa_semaphore_post(&at->sem));
	}
	return 0;
}

static void
nobody_sleeps_on(void **state)
{
	struct peer p;
	uint64_t began = ms_now();

	(void)state;
	at = map(ANONYMOUS, true);
	p = peer_start(player, NULL); /* before anybody has attached */
	assert_int_equal(attach(at), 0);
	for (uint64_t i = 0; i < 500; i++) {
		assert_int_equal(stoa_mutex_lock(&at->m), 0);
		at->ball++;
		stoa_mutex_unlock(&at->m);
		assert_int_equal(stoa_cond_signal(&at->c), 0);
		assert_int_equal(stoa_semaphore_wait(&at->sem), 0);
	}
	peer_join(&p);
	assert_int_equal(at->ball, 1000);
	assert_true(ms_now() - began < 4000); /* 500 ticks would be 25 s */
	stoa_slots_detach(&at->slots);
	munmap(at, sizeof *at);
}

/* ---- killed at random ---- */

static int
work_once(void)
{
	int rc = stoa_mutex_lock(&at->m);

	if (rc == -EOWNERDEAD) {
		at->first = at->second;
		stoa_mutex_mend(&at->m);
		rc = 0;
	}
	if (rc || at->first != at->second)
		return rc ? rc : -EBADMSG;
	*(volatile uint64_t *)&at->first += 1;
	*(volatile uint64_t *)&at->second += 1;
	stoa_mutex_unlock(&at->m);
	rc = stoa_rwlock_share(&at->l);
	if (!rc && at->third != at->fourth)
		return -EBADMSG;
	if (!rc || rc == -EOWNERDEAD)
		stoa_rwlock_unlock(&at->l);
	rc = stoa_rwlock_lock_as(&at->l, STOA_EXCLUSIVE, STOA_FOREVER);
	if (rc == -EOWNERDEAD) {
		at->third = at->fourth;
		stoa_rwlock_mend(&at->l);
		rc = 0;
	}
	if (rc)
		return rc;
	*(volatile uint64_t *)&at->third += 1;
	*(volatile uint64_t *)&at->fourth += 1;
	stoa_rwlock_unlock(&at->l);
	rc = stoa_permits_take(&at->permits);
	return rc ? rc : stoa_permits_give(&at->permits);
}

static int
worker(struct peer *me, void *user)
{
	int rc = attach(at);

	(void)me;
	(void)user;
	while (!rc)
		rc = work_once();
	fprintf(stderr, "worker: %d (%s)\n", rc, stoa_error_text());
	return 1;
}

static void
killed_at_random(void **state)
{
	struct peer p[WORKERS];
	uint64_t done, slowest = 0;
	unsigned seed = (unsigned)getpid();

	(void)state;
	at = map(ANONYMOUS, true);
	assert_int_equal(attach(at), 0);
	assert_int_equal(stoa_permits_set_total(&at->permits, POOL), 0);
	for (int i = 0; i < WORKERS; i++)
		p[i] = peer_start(worker, NULL);
	for (int i = 0; i < KILLS; i++) {
		uint64_t began;

		ms_sleep((unsigned)rand_r(&seed) % 4);
		peer_kill(&p[i % WORKERS]);
		began = ms_now();
		assert_int_equal(work_once(), 0);
		if (ms_now() - began > slowest)
			slowest = ms_now() - began;
		p[i % WORKERS] = peer_start(worker, NULL);
	}
	done = at->second;
	for (int i = 0; i < WORKERS; i++)
		peer_kill(&p[i]);
	assert_int_equal(work_once(), 0);
	stoa_slots_detach(&at->slots);
	assert_int_equal(attach(at), 0); /* looks for all who are dead */
	assert_int_equal(stoa_permits_available(&at->permits), POOL);
	assert_int_equal(at->m.word_, 0);
	assert_int_equal(at->l.word_, 0);
	print_message("%d kills, %llu rounds, slowest %llu ms\n", KILLS,
		(unsigned long long)done, (unsigned long long)slowest);
	assert_true(slowest < 4000);
	stoa_slots_detach(&at->slots);
	munmap(at, sizeof *at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deaths_in_anonymous_memory),
		cmocka_unit_test(deaths_in_a_file),
		cmocka_unit_test(deaths_in_posix_memory),
		cmocka_unit_test(deaths_in_xsi_memory),
		cmocka_unit_test(a_child_does_not_vouch),
		cmocka_unit_test(nobody_sleeps_on),
		cmocka_unit_test(killed_at_random),
	};

	return cmocka_run_group_tests_name(
		"plain", tests, folder_setup, folder_teardown);
}
