/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who makes an object that many want at once, with an initialiser that takes its
 * time, while some of them are killed at any moment? Exactly one; and from those
 * who were killed in the middle nothing is left.
 */
#include <sys/mman.h>
#include "proc.h"

enum {
	CROWD = 4,
	OBJECTS = 300,
	ELEMENTS = 12,
	KILLS = 60,
	KILLS_MAX = 600
};

typedef struct part {
	uint64_t maker, index;
	stoa_str text; /* in a block of its own */
} part;
STOA_TYPE(part, maker, index, text);

static struct board {
	uint64_t seen
		[OBJECTS]; /* who made it, as the first one saw it who had it */
	uint64_t maker;    /* is in an initialiser now, or died in it */
	uint64_t made;     /* initialisers that came to their last element */
} * board;

static int
make_part(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	part *p = element;

	(void)user;
	p->maker = (uint64_t)getpid();
	p->index = index;
	if (!index)
		__atomic_store_n(&board->maker, p->maker, __ATOMIC_SEQ_CST);
	if (index == ELEMENTS - 1) {
		__atomic_store_n(&board->maker, 0, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&board->made, 1, __ATOMIC_SEQ_CST);
	}
	stoa_str_printf(tx, &p->text, "part %d, made by process number %d",
		(int)index, (int)getpid());
	if (index % 4 == 0)
		usleep(100); /* to be killed in it, or waited for */
	return 0;
}

/* All of it by one. */
static void
look(stoa_segment *seg, const part *p, uint64_t object)
{
	uint64_t maker = p->maker, first = 0;
	char text[64];

	MUST(maker);
	if (!__atomic_compare_exchange_n(&board->seen[object], &first, maker,
		    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		MUST(first == maker);
	STOA_READ(rd, seg);
	for (uint64_t i = 0; i < ELEMENTS; i++) {
		snprintf(text, sizeof text,
			"part %d, made by process number %d", (int)i,
			(int)maker);
		MUST(p[i].maker == maker && p[i].index == i);
		MUST(!strcmp(stoa_str_get(rd, &p[i].text), text));
	}
	MUST(!stoa_tx_error(rd));
}

static int
open_all(struct peer *me, void *user)
{
	stoa_segment *seg = segment_open();
	char name[32];

	(void)user;
	MUST(seg);
	for (uint64_t i = 0; i < OBJECTS; i++) {
		const part *p = NULL;

		snprintf(name, sizeof name, "object %d", (int)i);
		MUST(!stoa_object_open_with(seg, name, part,
			STOA_OBJECT_OPTIONS(.count = ELEMENTS,
				.init = make_part),
			&p));
		look(seg, p, i);
	}
	tell(me, 'd');
	hear(me);
	return 0;
}

static void
one_creates_while_others_die(void **state)
{
	struct peer child[CROWD];
	unsigned seed = 1, inside = 0;
	stoa_segment *seg;

	(void)state;
	memset(board, 0, sizeof *board);
	seg = segment_open();
	assert_non_null(seg);
	for (int i = 0; i < CROWD; i++)
		child[i] = peer_start(open_all, NULL);
	/* without tokens a death is not seen at once, and others wait for it */
	for (int i = 0; i < KILLS || (inside < 3 && i < KILLS_MAX); i++) {
		int who = rand_r(&seed) % CROWD;
		pid_t pid;

		usleep((useconds_t)(rand_r(&seed) % 5000));
		pid = child[who].pid;
		peer_kill(&child[who]);
		inside += __atomic_load_n(&board->maker, __ATOMIC_SEQ_CST) ==
			  (uint64_t)pid;
		child[who] = peer_start(open_all, NULL);
	}
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(hear(&child[i]), 'd');
		tell(&child[i], 'e');
		peer_join(&child[i]);
	}
	segment_judge(seg);
	{
		STOA_READ(rd, seg);
		assert_int_equal(
			stoa_object_count(rd, STOA_OBJECT_NAMED), OBJECTS);
	}
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
	/* some did die in it, and whoever made one was the only one */
	print_message("%u died in an initialiser\n", inside);
	assert_true(inside > 0);
	assert_in_range(board->made, OBJECTS, OBJECTS + KILLS_MAX);
}

/* Killed inside its initialiser, which waits to be. */
static int
make_and_hang(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	int rc = make_part(tx, element, index, NULL);

	if (index == 7) {
		tell(user, 'i');
		hear(user);
	}
	return rc;
}

static int
open_and_hang(struct peer *me, void *user)
{
	stoa_segment *seg = segment_open();
	const part *p = NULL;

	(void)user;
	MUST(seg);
	(void)!stoa_object_open_with(seg, "object", part,
		STOA_OBJECT_OPTIONS(.count = ELEMENTS, .init = make_and_hang,
			.user = me),
		&p);
	return 0;
}

static void
death_in_the_initialiser_leaves_nothing(void **state)
{
	stoa_segment *seg = segment_open();
	stoa_segment_stat before, after;
	struct peer first;
	const part *p = NULL;

	(void)state;
	assert_non_null(seg);
	stoa_segment_statistics(seg, &before);
	first = peer_start(open_and_hang, NULL);
	assert_int_equal(hear(&first), 'i');
	peer_kill(&first);
	{
		STOA_READ(rd, seg);
		assert_null(stoa_object_find(rd, "object", part));
	}
	segment_judge(seg);
	stoa_segment_statistics(seg, &after);
	assert_int_equal(after.blocks, before.blocks);
	assert_int_equal(stoa_object_open_with(seg, "object", part,
				 STOA_OBJECT_OPTIONS(.count = ELEMENTS,
					 .init = make_part),
				 &p),
		0);
	assert_int_equal(p[ELEMENTS - 1].maker, getpid());
	segment_judge(seg);
	stoa_segment_close(seg);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_creates_while_others_die),
		cmocka_unit_test(death_in_the_initialiser_leaves_nothing),
	};

	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	return RUN_IN_ALL_WAYS("create", tests);
}
