/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A dead slot that cannot be recovered: because its log is damaged, because recovery
 * crashes in it (the file was cut short: SIGBUS), because whoever recovers is
 * killed at one place. At most three die at a place, and one on the way to it; all
 * others are told at once, by a text that names the slot and its pid; and nobody
 * waits for what it locked.
 */
#include "proc.h"
#include "fault.h"
#include "segment/log.h"

enum {
	DEATHS_MAX = 4, /* three at the place; one may have come that far */
	DEATHS_MIN = 3,
	PROCESSES = 12,
	AT_ONCE_MS = 1500,
	LUMPS = 40
};

typedef struct pair {
	stoa_rwlock lock;
	uint64_t a, b;
} pair;
STOA_TYPE(pair, lock, a, b);

typedef struct lump { /* spans of its own */
	uint8_t bytes[40000];
} lump;
STOA_TYPE(lump, bytes);

static stoa_segment *seg;
static const pair *held, *apart;
static const lump *last;
static pid_t dead_pid;

static void
open_all(void)
{
	(void)stoa_segment_unlink("test", 0, NULL);
	seg = segment_open();
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "held", pair, &held), 0);
	assert_int_equal(stoa_object_open(seg, "apart", pair, &apart), 0);
	assert_int_equal(STOA_DO(tx, seg, STOA_SET(tx, apart->a, 5)), 0);
}

static void
close_all(void)
{
	seg = stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

/* Dies in the middle of a transaction; what it changes is undone by a log. */
static int
hold(struct peer *me, void *user)
{
	(void)user;
	STOA_TX(tx, seg, &held->lock);
	STOA_SET(tx, held->a, 1);
	if (last)
		STOA_SET(tx, last->bytes[39000], 1);
	STOA_SET(tx, held->b, 1);
	MUST(!stoa_tx_error(tx));
	tell(me, 'h');
	hear(me);
	return 1;
}

static struct peer
holder_start(void)
{
	struct peer p = peer_start(hold, NULL);

	assert_int_equal(hear(&p), 'h');
	dead_pid = p.pid;
	return p;
}

/* The slot of the holder, who lives. */
static uint32_t
holder_slot(void)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (stoai_slot_at(seg, i)->paged &&
			a32_load_acquire(stoai_token_at(seg, i)) &&
			stoai_slot_at(seg, i)->pid == (uint32_t)dead_pid)
			return i;
	fail_msg("the holder has no slot");
	return 0;
}

static void
must_be_told(uint32_t slot, pid_t pid)
{
	char text[64];

	(void)snprintf(text, sizeof text, "slot %u (pid %d)", slot, (int)pid);
	if (!strstr(stoa_error_text(), text))
		fprintf(stderr, "child: '%s' is not in '%s'\n", text,
			stoa_error_text());
	MUST(strstr(stoa_error_text(), text));
}

struct visit {
	uint32_t slot;
	pid_t pid;
	void (*before)(void); /* seeded trouble, or NULL */
	bool undone;          /* the lock may be free: all was undone before */
};

/* A process that comes by: wants the lock. 0: was told that it cannot have it. */
static int
visit(struct peer *me, void *user)
{
	const struct visit *v = user;
	uint64_t from = ms_now();

	(void)me;
	(void)signal(SIGBUS, SIG_DFL); /* cmocka's would run its tests here */
	if (v->before)
		v->before();
	STOA_TX_UNTIL(tx, stoa_in_ms(5000), seg, &held->lock);
	if (v->undone && !stoa_tx_error(tx)) {
		MUST(!held->a && !held->b);
		return 0;
	}
	MUST(stoa_tx_error(tx) == -ENOTRECOVERABLE);
	must_be_told(v->slot, v->pid);
	MUST(ms_now() - from < AT_ONCE_MS);
	return 0;
}

/* How many processes die of it; then one comes through. */
static int
visitors(struct visit *v)
{
	for (int deaths = 0; deaths < PROCESSES; deaths++) {
		struct peer p = peer_start(visit, v);
		int status = -1;

		assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
		peer_forget(&p);
		if (!status)
			return deaths;
		assert_true(WIFSIGNALED(status));
	}
	return PROCESSES;
}

/* What the dead one did not lock can still be read. */
static void
reading_goes_on(void)
{
	stoa_segment *ro = NULL;
	const pair *p;

	assert_int_equal(stoa_segment_open("test", STOA_RDONLY, NULL, &ro), 0);
	{
		STOA_READ(rd, ro);
		p = stoa_object_find(rd, "apart", pair);
		assert_non_null(p);
		assert_int_equal(p->a, 5);
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	{
		STOA_READ(rd, ro);
		p = stoa_object_find(rd, "held", pair);
	}
	assert_non_null(p);
	{
		STOA_READ_UNTIL(rd, stoa_in_ms(2000), ro, &p->lock);
		assert_int_equal(stoa_tx_error(rd), -EOWNERDEAD);
	}
	stoa_segment_close(ro);
}

/* Nobody dies any more, whatever he does; nobody waits. */
static void
nobody_else_dies(struct visit *v)
{
	v->before = NULL;
	for (int i = 0; i < 5; i++)
		assert_int_equal(visitors(v), 0);
	assert_true(stoa_segment_recover(seg) >= 0); /* visitors have died */
	assert_int_equal(stoa_segment_check(seg), -EBADMSG);
	{
		STOA_TX(tx, seg, &apart->lock);
		assert_int_equal(stoa_tx_error(tx), -ENOTRECOVERABLE);
	}
}

static void
damaged_log(void **state)
{
	struct peer child;
	struct visit v;
	struct stoai_lane *lane;

	(void)state;
	last = NULL;
	open_all();
	child = holder_start();
	v = (struct visit){holder_slot(), child.pid, NULL, false};
	lane = stoai_lane_at(seg, v.slot);
	*(uint64_t *)stoai_at(seg, lane->cursor - 8) = 24; /* a record's size */
	*(uint64_t *)stoai_at(seg, lane->cursor - 24) = UINT64_MAX;
	peer_kill(&child);
	assert_int_equal(visitors(&v), 0);
	reading_goes_on();
	nobody_else_dies(&v);
	close_all();
}

/*
 * With tokens, who comes by recovers before he looks at the lock. Without, he finds
 * the word free, which whoever died had given back after the undo; and deaths
 * are proved by calls that wake as well, so the double kills there too.
 */
static void
killed_at_one_place(void)
{
	fault_start();
	fault_kill(STOAI_OS_FUTEX_WAKE, 1); /* where locks are given back */
}

static void
recoverers_killed(void **state)
{
	struct peer child;
	struct visit v;
	int deaths;

	(void)state;
	last = NULL;
	open_all();
	child = holder_start();
	v = (struct visit){holder_slot(), child.pid, killed_at_one_place,
		way->without & STOA_WITHOUT_TOKENS};
	peer_kill(&child);
	deaths = visitors(&v);
	assert_in_range(deaths, v.undone ? 1 : DEATHS_MIN, DEATHS_MAX);
	if (!v.undone)
		nobody_else_dies(&v);
	close_all();
}

/* Undo writes where the file has ended meanwhile. */
static void
recovery_crashes(void **state)
{
	struct peer child;
	struct visit v;
	struct stat st;
	uint64_t end;
	int deaths;

	(void)state;
	open_all();
	for (int i = 0; i < LUMPS; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "lump %d", i);
		assert_int_equal(stoa_object_open(seg, name, lump, &last), 0);
	}
	child = holder_start();
	v = (struct visit){holder_slot(), child.pid, NULL, false};
	end = (stoai_off(seg, last) + 35000) & ~UINT64_C(4095);
	peer_kill(&child);
	assert_int_equal(fstat(stoa_segment_fd(seg), &st), 0);
	assert_int_equal(ftruncate(stoa_segment_fd(seg), (off_t)end), 0);
	deaths = visitors(&v);
	assert_in_range(deaths, DEATHS_MIN, DEATHS_MAX);
	v.before = NULL;
	for (int i = 0; i < 5; i++)
		assert_int_equal(visitors(&v), 0);
	/* this process has blocks there too, which it gives back */
	assert_int_equal(ftruncate(stoa_segment_fd(seg), st.st_size), 0);
	last = NULL;
	close_all();
}

static int
open_anew(struct peer *me, void *user)
{
	stoa_segment *own = NULL;

	(void)me;
	(void)user;
	MUST(stoa_segment_open(NULL, 0,
		     STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)),
		     &own) == 0);
	return 0;
}

/* Killed between "it is hopeless" and "all shall know": the next one says so. */
static void
quarantine_half_told(void **state)
{
	struct peer child, other;
	struct visit v;

	(void)state;
	last = NULL;
	open_all();
	child = holder_start();
	v = (struct visit){holder_slot(), child.pid, NULL, false};
	peer_kill(&child);
	a32_store_kill(&stoai_slot_at(seg, v.slot)->tries, STOAI_TRIES_MAX + 1);
	assert_int_equal(visitors(&v), 0);
	other = peer_start(open_anew, NULL);
	peer_join(&other);
	nobody_else_dies(&v);
	close_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_log),
		cmocka_unit_test(recoverers_killed),
		cmocka_unit_test(recovery_crashes),
		cmocka_unit_test(quarantine_half_told),
	};

	return RUN_IN_ALL_WAYS("quarantine", tests);
}
