/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The recoverer killed: while it undoes what a dead thread had begun, while it
 * finishes what one had committed and passes on the wake-ups that it owed, and on
 * the way there: while it waits for the dead one's lock.
 */
#include "suite.h"

static int
opened(struct play *p)
{
	if (play_open(p, 0))
		return -1;
	stoa_segment_detach(p->seg);
	return 0;
}

static int
attached(struct play *p)
{
	return play_open(p, 0);
}

static int
recover(struct play *p)
{
	return stoa_segment_recover(p->seg) < 1;
}

/* It finds the death when it would have to wait. */
static int
take_the_lock(struct play *p)
{
	return STOA_DO(tx, (p->seg, &p->d->victim.lock),
		things_push(tx, &p->d->victim, 1));
}

static int
commit_signal(struct play *p)
{
	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, 1);
	STOA_SET(tx, p->d->flag, 1);
	stoa_tx_signal(tx, &p->d->changed);
	return stoa_tx_commit(tx);
}

static const struct trace_case cases[] = {
	{"recover, a tx", attached, recover, CASE_CORPSE},
	{"recover, a tx, not attached", opened, recover, CASE_CORPSE},
	{"recover, a tx, a file", attached, recover, CASE_CORPSE | CASE_FILE},
	{"recover, of a thread", attached, recover, CASE_CORPSE | CASE_THREAD},
	{"recover, a wake-up is owed", attached, recover, CASE_OWED},
	{"lock of the dead", attached, take_the_lock, CASE_CORPSE},
	{"commit, a wake-up goes out", attached, commit_signal, CASE_SIGNALS},
};

int
main(int argc, char **argv)
{
	return suite_main("trace/recover", cases,
		sizeof cases / sizeof cases[0], argc, argv);
}
