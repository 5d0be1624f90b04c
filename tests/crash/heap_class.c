/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at every instruction: blocks of segments whose memory another heap divides,
 * two built-in ones and one as a program writes it. What a block holds is what it
 * held, and the class's check finds nothing wrong, whoever died.
 */
#include <errno.h>
#include <string.h>
#include "crash.h"
#include "own_heap.h"
#include "stoa/stoa.h"

enum {
	BLOCKS = 6
};

typedef STOA_REF(uint8_t) raw;

typedef struct room {
	stoa_mutex lock;
	stoa_cond changed;
	uint64_t n;
} room;
STOA_TYPE(room, lock, changed, n);
typedef STOA_REF(room) room_ref;

typedef struct store {
	raw block[BLOCKS];
	uint64_t size[BLOCKS];
	room_ref room;
} store;
STOA_TYPE(store, (block, uint8_t, own), size, (room, room, own));

struct test {
	const store *s;
	int (*op)(stoa_tx *tx, const store *s);
};

/* Where a heap may have left something in it. */
static void
mark(uint8_t *p, uint64_t usable, unsigned i)
{
	memset(p, (int)i + 1, 24);
	memset(p + usable - 8, (int)i + 1, 8);
}

static void
put(stoa_tx *tx, const store *s, unsigned i, uint64_t size)
{
	uint8_t *p = stoa_alloc(tx, size, i == 3 ? 64 : 16);

	if (!stoa_tx_error(tx))
		mark(p, stoa_usable(tx, p), i);
	STOA_SET(tx, s->size[i], size);
	STOA_LINK(tx, s->block[i], p);
}

static void
take(stoa_tx *tx, const store *s, unsigned i)
{
	stoa_free(tx, stoa_get(tx, s->block[i]));
	STOA_SET(tx, s->size[i], 0);
	STOA_LINK(tx, s->block[i], NULL);
}

static void
turn(stoa_tx *tx, const store *s, unsigned i, uint64_t size)
{
	if (s->size[i])
		take(tx, s, i);
	else
		put(tx, s, i, size);
}

static int
setup(stoa_segment *seg, void *user)
{
	struct test *t = user;

	if (stoa_object_open(seg, "store", store, &t->s))
		return -1;
	STOA_TX(tx, seg);
	for (unsigned i = 0; i < BLOCKS; i++)
		put(tx, t->s, i, 40 + 100 * i);
	take(tx, t->s, 1);
	take(tx, t->s, 3);
	return stoa_tx_commit(tx);
}

static int
check(stoa_segment *seg, void *user)
{
	const store *s = ((const struct test *)user)->s;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint8_t *p = stoa_get(rd, s->block[i]);
		uint64_t usable = p ? stoa_usable(rd, p) : 0;

		if (usable < s->size[i] || !p != !s->size[i])
			return stoa_tx_fail(rd, -EBADMSG);
		if (p && (p[0] != i + 1 || p[23] != i + 1 ||
				 p[usable - 1] != i + 1))
			return stoa_tx_fail(rd, -EILSEQ);
	}
	return stoa_tx_error(rd);
}

static uint64_t
state(stoa_segment *seg, void *user)
{
	const store *s = ((const struct test *)user)->s;
	uint64_t sum = 1;

	STOA_READ(rd, seg);
	for (unsigned i = 0; i < BLOCKS; i++)
		sum = (sum ^ s->size[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ !stoa_is_null(s->room);
}

static int
run(stoa_segment *seg, void *user)
{
	const struct test *t = user;

	STOA_TX(tx, seg);
	return t->op(tx, t->s) ? 0 : stoa_tx_commit(tx);
}

/* ---- operations ---- */

static int
make(stoa_tx *tx, const store *s)
{
	turn(tx, s, 1, 60);
	return 0;
}

static int
join(stoa_tx *tx, const store *s)
{
	turn(tx, s, 2, 240);
	return 0;
}

static int
replace(stoa_tx *tx, const store *s)
{
	turn(tx, s, 4, 440);
	turn(tx, s, 3, 700);
	return 0;
}

static int
extend(stoa_tx *tx, const store *s)
{
	turn(tx, s, 1, 12000);
	return 0;
}

static int
undone(stoa_tx *tx, const store *s)
{
	turn(tx, s, 2, 240);
	turn(tx, s, 1, 140);
	return 1;
}

static int
savepoint(stoa_tx *tx, const store *s)
{
	turn(tx, s, 1, 100);
	{
		STOA_TX(in, stoa_tx_segment(tx));
		turn(in, s, 3, 340);
		turn(in, s, 0, 40);
	}
	turn(tx, s, 5, 540);
	return 0;
}

static int
longer(stoa_tx *tx, const store *s)
{
	const uint8_t *old = stoa_get(tx, s->block[0]);
	uint64_t size = s->size[0] > 100 ? 40 : 900;
	uint8_t *p = stoa_edit_bytes(tx, stoa_resize(tx, old, size, 0), size);

	if (!stoa_tx_error(tx))
		mark(p, stoa_usable(tx, p), 0);
	STOA_SET(tx, s->size[0], size);
	STOA_LINK(tx, s->block[0], p);
	return 0;
}

static int
many(stoa_tx *tx, const store *s)
{
	void *p[3];

	if (s->size[1]) {
		take(tx, s, 1);
		take(tx, s, 3);
		return 0;
	}
	if (stoa_alloc_many(tx, 3, 48, 0, p)) {
		mark(p[0], stoa_usable(tx, p[0]), 1);
		mark(p[2], stoa_usable(tx, p[2]), 3);
	}
	stoa_free(tx, p[1]);
	STOA_SET(tx, s->size[1], 48);
	STOA_SET(tx, s->size[3], 48);
	STOA_LINK(tx, s->block[1], (uint8_t *)p[0]);
	STOA_LINK(tx, s->block[3], (uint8_t *)p[2]);
	return 0;
}

/* The room goes with its lock held and its condition told, or comes locked. */
static int
locked(stoa_tx *tx, const store *s)
{
	const room *old = stoa_get(tx, s->room);
	int rc;

	if (!old) {
		room *fresh = stoa_new(tx, room);

		STOA_LINK(tx, s->room, fresh);
		rc = stoa_tx_lock_mutex(tx, &fresh->lock);
		return rc < 0;
	}
	rc = stoa_tx_lock_mutex(tx, &old->lock);
	stoa_tx_broadcast(tx, &old->changed);
	stoa_delete(tx, room, old);
	STOA_LINK(tx, s->room, NULL);
	return rc < 0;
}

/* Made, locked and undone. */
static int
locked_undone(stoa_tx *tx, const store *s)
{
	return locked(tx, s) + 1;
}

/* What was extended for a block that has gone is given back. */
static int
trim(stoa_segment *seg, void *user)
{
	const struct test *t = user;
	int64_t bytes;
	int rc = STOA_DO(tx, seg, turn(tx, t->s, 1, 12000));

	bytes = rc ? rc : stoa_segment_trim(seg);
	return bytes < 0 ? (int)bytes : 0;
}

/* ---- what others do ---- */

static int
other_take(stoa_segment *seg, void *user)
{
	const store *s = ((const struct test *)user)->s;

	STOA_TX(tx, seg);
	turn(tx, s, 5, 540);
	turn(tx, s, 0, 40);
	return stoa_tx_commit(tx);
}

static int
other_find(stoa_segment *seg, void *user)
{
	const store *s = ((const struct test *)user)->s;

	STOA_READ(rd, seg);
	return s->size[4] && !stoa_usable(rd, stoa_get(rd, s->block[4]))
		       ? -EBADMSG
		       : stoa_tx_error(rd);
}

static const stoa_explore_op others[] = {
	{"free and make", other_take, false}, {"look", other_find, false}};

#define OPTIONS(class) \
 (&(const stoa_segment_options){.struct_size = sizeof(stoa_segment_options), \
	 .size = 65536, \
	 .limit = 65536, \
	 .threads = 7, \
	 .heap = &(class)})

#define CASE_TRIM(class, text) \
 { \
  {.name = text, \
	  .options = OPTIONS(class), \
	  .setup = setup, \
	  .op = trim, \
	  .check = check, \
	  .state = state, \
	  .others = others, \
	  .other_count = 1, \
	  .user = &(struct test){.op = make}}, \
	  "stoa_segment_trim", STOA_EXPLORE_LOOSE \
 }

#define CASE_OF(class, text, covers_, op_) \
 { \
  {.name = text, \
	  .options = OPTIONS(class), \
	  .setup = setup, \
	  .op = run, \
	  .check = check, \
	  .state = state, \
	  .others = others, \
	  .other_count = sizeof others / sizeof *others, \
	  .user = &(struct test){.op = (op_)}}, \
	  covers_, 0 \
 }

static const struct crash_case cases[] = {
	CASE_OF(stoa_heap_best_fit, "best fit, made or freed",
		"stoa_alloc stoa_free", make),
	CASE_OF(stoa_heap_best_fit, "best fit, freed between free ones",
		"stoa_free", join),
	CASE_OF(stoa_heap_best_fit, "best fit, one for another",
		"stoa_alloc stoa_free", replace),
	CASE_OF(stoa_heap_best_fit, "best fit, extended", "stoa_alloc", extend),
	CASE_OF(stoa_heap_best_fit, "best fit, undone", "stoa_alloc", undone),
	CASE_OF(stoa_heap_best_fit, "best fit, a savepoint undone",
		"stoa_alloc stoa_free", savepoint),
	CASE_OF(stoa_heap_best_fit, "best fit, resized", "stoa_resize", longer),
	CASE_OF(stoa_heap_best_fit, "best fit, many",
		"stoa_alloc_many stoa_free", many),
	CASE_OF(stoa_heap_best_fit, "best fit, what holds a lock",
		"stoa_new stoa_delete", locked),
	CASE_OF(stoa_heap_best_fit, "best fit, what holds a lock, undone",
		"stoa_new stoa_delete", locked_undone),
	CASE_TRIM(stoa_heap_best_fit, "best fit, trimmed"),
	CASE_TRIM(stoa_heap_first_fit, "first fit, trimmed"),
	CASE_OF(stoa_heap_best_fit_64, "best fit by 64, one for another",
		"stoa_alloc stoa_free", replace),
	CASE_OF(stoa_heap_first_fit, "first fit, freed between free ones",
		"stoa_free", join),
	CASE_OF(stoa_heap_first_fit, "first fit, extended", "stoa_alloc",
		extend),
	CASE_OF(stoa_heap_first_fit, "first fit, a savepoint undone",
		"stoa_alloc stoa_free", savepoint),
	CASE_OF(own_heap, "a program's own, one for another",
		"stoa_alloc stoa_free", replace),
	CASE_OF(own_heap, "a program's own, freed between free ones",
		"stoa_free", join),
};

int
main(int argc, char **argv)
{
	return crash_main(
		"heap_class", cases, sizeof cases / sizeof *cases, argc, argv);
}
