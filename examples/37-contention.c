/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which of two locks holds everybody up? Workers take one after the other for each piece
 * of work: one for long, one for a moment. What they waited for says which one it is.
 *	37-contention count SEGMENT       from now on
 *	37-contention work SEGMENT N      N pieces of work
 *	37-contention which SEGMENT       the one that was waited for longest
 *	37-contention stop SEGMENT        count no more
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

typedef struct bakery {
	stoa_mutex oven, till;
	uint64_t sold;
} bakery;
STOA_TYPE(bakery, oven, till, sold);

static int
work(stoa_segment *seg, const bakery *b, int pieces)
{
	int rc = 0;

	for (int i = 0; !rc && i < pieces; i++) {
		rc = stoa_mutex_lock(&b->oven);
		if (rc)
			break;
		(void)poll(NULL, 0, 4); /* it takes as long as it takes */
		stoa_mutex_unlock(&b->oven);

		STOA_TX(tx, seg, &b->till);
		STOA_ADD(tx, b->sold, 1);
		rc = stoa_tx_commit(tx);
	}
	return rc;
}

static void
which(stoa_segment *seg, const bakery *b)
{
	stoa_contention it = stoa_contention_begin(seg);
	stoa_contention most = {.place = NULL};

	while (stoa_contention_next(&it))
		if (it.waited_ns >= most.waited_ns)
			most = it;
	if (!most.waits)
		printf("nobody has waited\n");
	else
		printf("%s: for milliseconds, %s\n",
			most.place == &b->oven   ? "the oven"
			: most.place == &b->till ? "the till"
						 : "something else",
			most.longest_ns > 1000 * 1000 ? "yes" : "no");
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const bakery *b = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "bakery", bakery, &b);
	if (!rc && !strcmp(argv[1], "count"))
		rc = stoa_contention_start(seg, 0);
	else if (!rc && !strcmp(argv[1], "stop"))
		rc = stoa_contention_stop(seg);
	else if (!rc && !strcmp(argv[1], "work") && argc > 3)
		rc = work(seg, b, atoi(argv[3]));
	else if (!rc && !strcmp(argv[1], "which"))
		which(seg, b);
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
