/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A ring of numbers in memory without any name, for the child of a fork: a mutex and two
 * semaphores, and a stoa_slots. Whoever attaches first makes it, out of zero bytes.
 *	38-anonymous-semaphore N
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, where the compiler is strict */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROOM = 10
};

struct ring {
	stoa_slots slots;
	stoa_mutex lock;
	stoa_semaphore stored, empty;
	unsigned in, out;
	int item[ROOM];
};

static int
put(struct ring *r, int item)
{
	int rc = stoa_semaphore_wait(&r->empty);

	if (!rc)
		rc = stoa_mutex_lock(&r->lock);
	if (rc)
		return rc;
	r->item[r->in++ % ROOM] = item;
	stoa_mutex_unlock(&r->lock);
	return stoa_semaphore_post(&r->stored);
}

static int
get(struct ring *r, int *item)
{
	int rc = stoa_semaphore_wait_until(&r->stored, stoa_in_ms(5000));

	if (!rc)
		rc = stoa_mutex_lock(&r->lock);
	if (rc)
		return rc;
	*item = r->item[r->out++ % ROOM];
	stoa_mutex_unlock(&r->lock);
	return stoa_semaphore_post(&r->empty);
}

static int
consume(struct ring *r, int n)
{
	long sum = 0;
	int rc = 0, item;

	for (int i = 0; i < n && !rc; i++) {
		rc = get(r, &item);
		sum += rc ? 0 : item;
	}
	if (!rc)
		printf("%d numbers, together %ld\n", n, sum);
	return rc;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 100, rc;
	struct ring *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	if (r == MAP_FAILED)
		return 2;
	child = fork();
	rc = stoa_slots_attach(&r->slots, r, sizeof *r); /* both */
	if (child) {
		if (!rc)
			rc = stoa_semaphore_post_many(&r->empty, ROOM);
		for (int i = 1; i <= n && !rc; i++)
			rc = put(r, i);
	} else if (!rc) {
		rc = consume(r, n);
	}
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", child ? "parent" : "child",
			stoa_error_text());
	stoa_slots_detach(&r->slots);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	return rc != 0;
}
