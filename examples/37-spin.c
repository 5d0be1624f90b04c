/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Counters that programs change in some nanoseconds, so that whoever finds them locked
 * watches the lock instead of going to sleep; and a ball that two throw to each other.
 * One of them is killed with the lock: the others do not spin for ever.
 *	37-spin count SEGMENT N        N times
 *	37-spin hold SEGMENT SECONDS   keeps the lock for so long
 *	37-spin throw SEGMENT N        N times there and back; 'catch' is the other one
 *	37-spin show SEGMENT 0
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

typedef struct table {
	stoa_mutex lock;
	uint64_t events, bytes; /* 16 bytes an event */
	stoa_semaphore there, back;
} table;
STOA_TYPE(table, lock, events, bytes, there, back);

/* It is short: spin. -EOWNERDEAD: ours, and who had it died amid. */
static int
lock(table *t)
{
	int rc = stoa_mutex_spin(&t->lock, STOA_FOREVER);

	if (rc != -EOWNERDEAD)
		return rc;
	printf("somebody died here: %llu events, %llu bytes\n",
		(unsigned long long)t->events, (unsigned long long)t->bytes);
	t->bytes = 16 * t->events;
	stoa_mutex_mend(&t->lock);
	return 0;
}

static int
count(table *t, int n)
{
	int rc = 0;

	while (n-- > 0 && !(rc = lock(t))) {
		t->events++;
		t->bytes += 16;
		stoa_mutex_unlock(&t->lock);
	}
	return rc;
}

static int
hold(table *t, unsigned seconds)
{
	int rc = lock(t);

	if (rc)
		return rc;
	t->events++;
	(void)sleep(seconds);
	t->bytes += 16;
	stoa_mutex_unlock(&t->lock);
	return 0;
}

static int
throw_or_catch(const stoa_semaphore *mine, const stoa_semaphore *other,
	bool first, int n)
{
	int rc = first ? stoa_semaphore_post(other) : 0;

	for (int i = 0; i < n && !rc; i++) {
		rc = stoa_semaphore_spin(mine, stoa_in_ms(5000));
		if (!rc && !(first && i == n - 1))
			rc = stoa_semaphore_post(other);
	}
	if (!rc && first)
		printf("%d times there and back\n", n);
	return rc;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const table *found = NULL;
	table *t;
	int rc, n;

	if (argc < 4)
		return 2;
	n = atoi(argv[3]);
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "table", table, &found);
	t = (table *)(uintptr_t)found; /* no transaction, so no undo */
	if (!rc && !strcmp(argv[1], "count")) {
		rc = count(t, n);
		if (!rc)
			printf("counted\n");
	} else if (!rc && !strcmp(argv[1], "hold")) {
		rc = hold(t, (unsigned)n);
	} else if (!rc && !strcmp(argv[1], "throw")) {
		rc = throw_or_catch(&t->back, &t->there, true, n);
	} else if (!rc && !strcmp(argv[1], "catch")) {
		rc = throw_or_catch(&t->there, &t->back, false, n);
	} else if (!rc && !strcmp(argv[1], "show")) {
		printf("%llu events, %llu bytes\n",
			(unsigned long long)t->events,
			(unsigned long long)t->bytes);
	}
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
