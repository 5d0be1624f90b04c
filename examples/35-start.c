/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A race: runners say that they are ready, the starter waits for all of them, and one
 * event lets all go. The first at the end takes the prize, and nobody else.
 *	35-start run SEGMENT
 *	35-start start SEGMENT N      when N are ready
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>

typedef struct race {
	stoa_semaphore ready;
	stoa_event go;    /* left set: for everybody */
	stoa_event prize; /* taken: for one */
	stoa_latch running;
} race;
STOA_TYPE(race, ready, go, prize, running);

static int
run(const race *r)
{
	int rc = stoa_semaphore_post(&r->ready);

	if (!rc)
		rc = stoa_event_wait(&r->go);
	if (rc)
		return rc;
	rc = stoa_event_take_until(&r->prize, STOA_NOW);
	if (!rc)
		printf("a prize\n");
	else if (rc != -EAGAIN)
		return rc;
	return stoa_latch_count_down(&r->running, 1);
}

static int
start(const race *r, uint32_t n)
{
	int rc = stoa_latch_add(&r->running, n);

	for (uint32_t i = 0; !rc && i < n; i++)
		rc = stoa_semaphore_wait_until(&r->ready, stoa_in_ms(5000));
	if (!rc)
		rc = stoa_event_set(&r->prize);
	if (!rc)
		rc = stoa_event_set(&r->go);
	if (!rc)
		rc = stoa_latch_wait_until(&r->running, stoa_in_ms(5000));
	if (!rc)
		printf("%u have come in\n", n);
	return rc;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const race *r = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "race", race, &r);
	if (!rc && !strcmp(argv[1], "run"))
		rc = run(r);
	else if (!rc && !strcmp(argv[1], "start") && argc > 3)
		rc = start(r, (uint32_t)atoi(argv[3]));
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
