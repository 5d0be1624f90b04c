/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A message that is a graph: made in an arena, handed to another process by moving the
 * arena, read there where it lies, and all of it freed at once.
 *	48-arena send SEGMENT CUSTOMER ITEM...
 *	48-arena receive SEGMENT
 */
#include <stdio.h>
#include <stoa/stoa.h>
#include <string.h>

typedef struct line line;
typedef STOA_REF(line) line_ref;
struct line {
	line_ref next;
	STOA_REF(char) item;
};
STOA_TYPE(line, (next, line, ref), (item, char, ref));

typedef struct order {
	STOA_REF(char) customer;
	line_ref lines;
} order;
STOA_TYPE(order, (customer, char, ref), (lines, line, ref));

typedef struct desk {
	stoa_rwlock lock;
	stoa_arena draft, inbox;
} desk;
STOA_TYPE(desk, lock, (draft, stoa_arena), (inbox, stoa_arena));

static int
send(stoa_segment *seg, const desk *d, const char *customer, char **items)
{
	STOA_TX(tx, seg, &d->lock);
	order *o = stoa_arena_new(tx, &d->draft, order);
	const line_ref *at = &o->lines;

	STOA_LINK(tx, o->customer, stoa_arena_text(tx, &d->draft, customer));
	for (; *items; items++) {
		line *l = stoa_arena_new(tx, &d->draft, line);

		STOA_LINK(tx, l->item, stoa_arena_text(tx, &d->draft, *items));
		STOA_LINK(tx, *at, l);
		at = &l->next;
	}
	stoa_arena_set_root(tx, &d->draft, o);
	/* some words, whatever is in it; -EBUSY: the last one is still there */
	stoa_arena_move(tx, &d->inbox, &d->draft);
	return stoa_tx_commit(tx);
}

static int
receive(stoa_segment *seg, const desk *d)
{
	STOA_TX(tx, seg, &d->lock);
	const order *o = stoa_arena_root(tx, &d->inbox, order);

	if (!o) {
		puts("nothing");
		return 0;
	}
	printf("for %s:", (const char *)stoa_get(tx, o->customer));
	for (const line *l = stoa_get(tx, o->lines); l;
		l = stoa_get(tx, l->next))
		printf(" %s", (const char *)stoa_get(tx, l->item));
	puts("");
	stoa_arena_reset(tx, &d->inbox);
	return stoa_tx_commit(tx);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const desk *d;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "desk", desk, &d);
	if (!rc)
		rc = argc > 4 && !strcmp(argv[1], "send")
			     ? send(seg, d, argv[3], argv + 4)
			     : receive(seg, d);
	if (rc)
		fprintf(stderr, "48-arena: %s\n", stoa_error_text());
	return rc ? 1 : 0;
}
