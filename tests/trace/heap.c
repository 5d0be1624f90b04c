/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed while the segment gets longer, and while it gives pages back.
 */
#include "suite.h"

enum {
	SOME = 100
};

static uint64_t
size_of(stoa_segment *seg)
{
	stoa_segment_stat s;

	stoa_segment_statistics(seg, &s);
	return s.size;
}

static int
attached(struct play *p)
{
	return play_open(p, 0);
}

/* By allocation, in a transaction. */
static int
grow(struct play *p)
{
	uint64_t before = size_of(p->seg);

	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, 2);
	STOA_LINK(tx, p->d->victim.large, stoa_new(tx, large));
	if (size_of(p->seg) == before)
		return stoa_tx_fail(tx, -EDOM); /* no case: it had room */
	return stoa_tx_commit(tx);
}

/* Spans that hold nothing any more. */
static int
emptied(struct play *p)
{
	if (play_open(p, 0))
		return -1;
	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, SOME);
	(void)stoa_tx_fail(tx, -ECANCELED);
	return 0;
}

static int
trim(struct play *p)
{
	return stoa_segment_trim(p->seg) <= 0;
}

static const struct trace_case cases[] = {
	{"growth", attached, grow, 0},
	{"growth, a file", attached, grow, CASE_FILE},
	{"trim", emptied, trim, 0},
	{"trim, a file", emptied, trim, CASE_FILE},
};

int
main(int argc, char **argv)
{
	return suite_main("trace/heap", cases, sizeof cases / sizeof cases[0],
		argc, argv);
}
