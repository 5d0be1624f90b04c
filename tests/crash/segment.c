/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: attaching, detaching, recovery, growth and trim.
 * Here in memory of one process, where the owner's death is declared; with real
 * processes, files and the kernel's own mark it is done in tests/proc.
 */
#include "data.h"
#include "explore/death.h"

static int
detached(stoa_segment *seg, void *user)
{
	(void)user;
	stoa_segment_detach(seg);
	return 0;
}

static int
attach(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_attach(seg);
}

static int
attach_until(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_attach_until(seg, stoa_in_ms(1000));
}

/* Attached, with blocks cached and freed ones to harvest. */
static int
busy(stoa_segment *seg, void *user)
{
	int rc = data_side(seg, user);

	return rc ? rc : data_exhaust(seg, user);
}

static int
detach(stoa_segment *seg, void *user)
{
	(void)user;
	stoa_segment_detach(seg);
	return 0;
}

/* Detaching undoes what is open. */
static int
detach_open(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;

	STOA_TX(tx, seg, stoa_segment_lock(seg), &d->side);
	STOA_ADD(tx, d->word[0], 1);
	list_add(tx, d, 90);
	side_push(tx, d, 91);
	stoa_segment_detach(seg);
	return stoa_tx_error(tx) ? 0 : -EDOM;
}

/* A thread that died at rest, with blocks in its cache. */
static int
somebody_died(stoa_segment *seg, void *user)
{
	int rc = busy(seg, user);
	uint32_t slot = stoai_explore_slot(seg);

	if (rc || slot == UINT32_MAX)
		return rc ? rc : -EDOM;
	stoai_explore_forget(seg);
	stoai_death_mark(seg, UINT64_C(1) << slot);
	return 0;
}

static int
recover(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_recover(seg) < 0 ? -EDOM : 0;
}

static int
thread_recover(stoa_segment *seg, void *user)
{
	(void)seg;
	(void)user;
	stoa_thread_recover();
	return 0;
}

/* Left open by a longjmp: what stoa_thread_recover is for. */
static int
left_open(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	stoa_tx *tx = stoa_tx_begin(seg, NULL, 0, STOA_FOREVER);

	STOA_ADD(tx, d->word[0], 1);
	list_add(tx, d, 92);
	return stoa_tx_error(tx);
}

static int
trim(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_trim(seg) < 0 ? -EDOM : 0;
}

static int
check(stoa_segment *seg, void *user)
{
	(void)user;
	return stoa_segment_check(seg);
}

static int
leaked(stoa_segment *seg, void *user)
{
	(void)user;
	/* a block that the other one has not linked yet may be counted */
	return stoa_segment_leaked(seg) < 0 ? -EDOM : 0;
}

enum {
	SPARE_SPANS = 3,
	TEXTS = 9,
	TEXT_SIZE = 900
};

static void
push_texts(stoa_tx *tx, const data *d, unsigned count)
{
	char text[TEXT_SIZE];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	while (count--)
		names_push(tx, &d->names, text);
}

/* All that is committed, but little. */
static void
nearly_full(stoa_tx *tx, const data *d)
{
	push_texts(tx, d, 8);
	numbers_resize(tx, &d->numbers, SPARE_SPANS * 4096 / 8);
}

/* More than what is left. */
static void
grow(stoa_tx *tx, const data *d)
{
	push_texts(tx, d, TEXTS);
}

static int
setup_full(stoa_segment *seg, void *user)
{
	stoa_segment_stat s;
	int rc = data_setup(seg, user);

	stoa_segment_statistics(seg, &s);
	return !rc && s.size > 64 << 10 ? -EDOM : rc; /* grown too early */
}

static int
check_grown(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	stoa_segment_stat s;

	STOA_READ(rd, seg);
	stoa_segment_statistics(seg, &s);
	if (names_count(rd, &d->names) > 8 && s.size <= 64 << 10)
		return -EDOM; /* the case is none: it had room */
	return data_check(seg, user);
}

#define SEGMENT(title, calls, prepare_, op_, flags_) \
 { \
  .explore = {.name = title, \
	  .setup = data_setup, \
	  .prepare = prepare_, \
	  .op = op_, \
	  .check = data_check, \
	  .state = data_state, \
	  .others = data_side_others, \
	  .other_count = COUNT(data_side_others), \
	  .user = &(struct test){.fill = NULL}}, \
  COVERS(calls), .flags = flags_ \
 }

#define GROWTH(title, flags_) \
 { \
  .explore = {.name = title, \
	  .options = STOA_SEGMENT_OPTIONS(.size = 64 << 10, \
		  .limit = 192 << 10, .threads = 6), \
	  .setup = setup_full, \
	  .op = data_op, \
	  .check = check_grown, \
	  .state = data_state, \
	  .others = data_others, \
	  .other_count = COUNT(data_others), \
	  .user = &(struct test){.fill = nearly_full, .body = grow}}, \
  COVERS("stoa_new"), .flags = flags_ \
 }

enum {
	FILE_TOO = STOA_EXPLORE_FILE
};

static const struct crash_case cases[] = {
	SEGMENT("stoa_segment_attach", "stoa_segment_attach", detached, attach,
		0),
	SEGMENT("stoa_segment_attach, in a file", "stoa_segment_attach",
		detached, attach, FILE_TOO),
	SEGMENT("stoa_segment_attach_until", "stoa_segment_attach_until",
		detached, attach_until, 0),
	SEGMENT("stoa_segment_detach", "stoa_segment_detach", busy, detach, 0),
	SEGMENT("stoa_segment_detach, in a file", "stoa_segment_detach", busy,
		detach, FILE_TOO),
	SEGMENT("stoa_segment_detach, tx open", "stoa_segment_detach", NULL,
		detach_open, 0),
	SEGMENT("stoa_segment_recover", "stoa_segment_recover", somebody_died,
		recover, 0),
	SEGMENT("stoa_thread_recover", "stoa_thread_recover", left_open,
		thread_recover,
		/* it begins with locks that it holds already */
		STOA_EXPLORE_NO_INTERLEAVE),
	SEGMENT("stoa_segment_trim", "stoa_segment_trim", busy, trim, 0),
	SEGMENT("stoa_segment_trim, in a file", "stoa_segment_trim", busy, trim,
		FILE_TOO),
	SEGMENT("stoa_segment_check", "stoa_segment_check", NULL, check, 0),
	SEGMENT("stoa_segment_leaked", "stoa_segment_leaked", NULL, leaked, 0),
	GROWTH("growth by allocation", 0),
	GROWTH("growth by allocation, in a file", FILE_TOO),
};

int
main(int argc, char **argv)
{
	return crash_main("segment", cases, COUNT(cases), argc, argv);
}
