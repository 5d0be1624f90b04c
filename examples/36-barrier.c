/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Workers that go step by step: none begins a step before all have ended the last one.
 * One that is killed is not waited for.
 *	36-barrier walk SEGMENT STEPS     joins, and says how far it came
 *	36-barrier stay SEGMENT           joins, and does nothing
 *	36-barrier meet SEGMENT N         one of N, whoever they are
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

typedef struct hall {
	stoa_barrier step, door;
} hall;
STOA_TYPE(hall, step, door);

static int
walk(const hall *h, int steps)
{
	int rc = stoa_barrier_join(&h->step), i;

	for (i = 0; rc >= 0 && i < steps; i++)
		rc = stoa_barrier_wait(&h->step);
	if (rc < 0)
		return rc;
	printf("%d steps\n", i);
	return stoa_barrier_leave(&h->step);
}

static int
stay(const hall *h)
{
	int rc = stoa_barrier_join(&h->step);

	if (rc)
		return rc;
	printf("there\n");
	(void)fflush(stdout);
	(void)pause();
	return 0;
}

static int
meet(const hall *h, uint32_t n)
{
	int rc = stoa_barrier_wait_for(&h->door, n, stoa_in_ms(5000));

	if (rc == 1)
		printf("all %u are there\n", n);
	return rc < 0 ? rc : 0;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const hall *h = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "hall", hall, &h);
	if (!rc && !strcmp(argv[1], "walk") && argc > 3)
		rc = walk(h, atoi(argv[3]));
	else if (!rc && !strcmp(argv[1], "stay"))
		rc = stay(h);
	else if (!rc && !strcmp(argv[1], "meet") && argc > 3)
		rc = meet(h, (uint32_t)atoi(argv[3]));
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
