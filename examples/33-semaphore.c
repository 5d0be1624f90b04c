/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A ring between a program that produces and one that consumes. One semaphore counts
 * what is in it, another one the room that is left; zero bytes are an empty ring, so
 * whoever comes first makes the room.
 *	33-semaphore produce SEGMENT N    1 to N
 *	33-semaphore consume SEGMENT N    N of them, added up
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>

enum {
	ROOM = 10
};

typedef struct ring {
	stoa_once made;
	stoa_semaphore filled, empty;
	uint64_t item[ROOM];
	uint64_t in, out;
} ring;
STOA_TYPE(ring, made, filled, empty, item, in, out);

/* Whoever comes first; somebody who died over it may have posted already. */
static int
make(const ring *r)
{
	int rc = stoa_once_begin(&r->made, STOA_FOREVER);

	if (rc <= STOA_ONCE_DONE)
		return rc;
	if (!stoa_semaphore_value(&r->empty))
		(void)stoa_semaphore_post_many(&r->empty, ROOM);
	return stoa_once_end(&r->made);
}

static int
produce(stoa_segment *seg, const ring *r, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++) {
		int rc = stoa_semaphore_wait(&r->empty);

		if (!rc)
			rc = STOA_DO(tx, seg,
				STOA_SET(tx, r->item[r->in % ROOM], i),
				STOA_ADD(tx, r->in, 1));
		if (!rc)
			rc = stoa_semaphore_post(&r->filled);
		if (rc)
			return rc;
	}
	return 0;
}

static int
consume(stoa_segment *seg, const ring *r, uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++) {
		int rc =
			stoa_semaphore_wait_until(&r->filled, stoa_in_ms(5000));

		if (!rc)
			rc = STOA_DO(tx, seg, sum += r->item[r->out % ROOM],
				STOA_ADD(tx, r->out, 1));
		if (!rc)
			rc = stoa_semaphore_post(&r->empty);
		if (rc)
			return rc;
	}
	printf("%llu items, together %llu\n", (unsigned long long)n,
		(unsigned long long)sum);
	return 0;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const ring *r = NULL;
	uint64_t n;
	int rc;

	if (argc < 4)
		return 2;
	n = strtoull(argv[3], NULL, 10);
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "ring", ring, &r);
	if (!rc)
		rc = make(r);
	if (!rc && !strcmp(argv[1], "produce"))
		rc = produce(seg, r, n);
	else if (!rc && !strcmp(argv[1], "consume"))
		rc = consume(seg, r, n);
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
