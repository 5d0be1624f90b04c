/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed on the way in and out: opening, attaching, detaching, closing, and the
 * end of a thread.
 */
#include "suite.h"

enum {
	WORK = 12
};

static int
open_it(struct play *p)
{
	const char *name = p->c->flags & CASE_FILE ? p->path : "stage";

	return play_open_at(p, name, 0, &p->seg);
}

/* With blocks in its caches and freed ones to be given back. */
static int
busy(struct play *p)
{
	if (play_open(p, 0))
		return -1;
	if (STOA_DO(tx, (p->seg, &p->d->victim.lock),
		    things_push(tx, &p->d->victim, WORK)))
		return board_fail(p, "%s", stoa_error_text());
	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, WORK);
	(void)stoa_tx_fail(tx, -ECANCELED);
	return 0;
}

static int
in_a_transaction(struct play *p)
{
	const stoa_rwlock *lock;
	stoa_hold hold;

	if (play_open(p, 0))
		return -1;
	lock = &p->d->victim.lock;
	hold = stoa_hold_of(lock);
	p->tx = stoa_tx_begin(p->seg, &hold, 1, STOA_FOREVER);
	things_push(p->tx, &p->d->victim, WORK);
	return stoa_tx_error(p->tx);
}

static int
attach(struct play *p)
{
	return stoa_segment_attach(p->seg);
}

static int
detach(struct play *p)
{
	stoa_segment_detach(p->seg);
	return 0;
}

static int
close_it(struct play *p)
{
	return stoa_segment_close(p->seg) != NULL;
}

static const struct trace_case cases[] = {
	{"open", NULL, open_it, 0},
	{"open, a file", NULL, open_it, CASE_FILE},
	{"open, somebody is dead", NULL, open_it, CASE_CORPSE},
	{"attach", open_it, attach, 0},
	{"attach, a file", open_it, attach, CASE_FILE},
	{"attach, somebody is dead", open_it, attach, CASE_CORPSE},
	{"attach, of a thread", open_it, attach, CASE_THREAD},
	{"detach", busy, detach, 0},
	{"detach, tx open", in_a_transaction, detach, 0},
	{"close", busy, close_it, 0},
	{"close, a file", busy, close_it, CASE_FILE},
	{"thread end", busy, NULL, CASE_THREAD},
	{"thread end, tx open", in_a_transaction, NULL, CASE_THREAD},
};

int
main(int argc, char **argv)
{
	return suite_main("trace/attach", cases, sizeof cases / sizeof cases[0],
		argc, argv);
}
