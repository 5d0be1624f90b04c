/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A program that sleeps in epoll, for lines of its standard input and for what another
 * program posts in shared memory.
 *	38-loop serve SEGMENT
 *	38-loop post SEGMENT N       N orders, then closing time
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct shop {
	stoa_semaphore orders;
	stoa_event closing;
} shop;
STOA_TYPE(shop, orders, closing);

/* Nothing is left to look at: 0. Closing time: 1. */
static int
look(stoa_pollable *p, const stoa_waitable on[2])
{
	int which;

	while ((which = stoa_wait_any(on, 2, STOA_NOW)) == 0)
		puts("an order");
	if (which == 1)
		return puts("closing time") < 0 ? -EIO : 1;
	return which == -EAGAIN ? stoa_pollable_arm(p) : which;
}

static int
serve(const shop *s)
{
	const stoa_waitable on[2] = {stoa_waitable_semaphore(&s->orders),
		stoa_waitable_event(&s->closing)};
	struct epoll_event e = {.events = EPOLLIN};
	STOA_CLEANUP(stoa_pollable) p = NULL;
	int loop = epoll_create1(EPOLL_CLOEXEC), rc;

	rc = stoa_pollable_open(on, 2, &p);
	if (!rc)
		rc = stoa_pollable_arm(p);
	if (!rc && epoll_ctl(loop, EPOLL_CTL_ADD, stoa_pollable_fd(p), &e))
		rc = -errno;
	e.data.u32 = 1;
	if (!rc && epoll_ctl(loop, EPOLL_CTL_ADD, STDIN_FILENO, &e))
		rc = -errno;
	while (!rc && epoll_wait(loop, &e, 1, 5000) == 1)
		if (!e.data.u32) {
			rc = look(p, on);
		} else {
			char line[80];

			if (read(STDIN_FILENO, line, sizeof line) <= 0)
				rc = epoll_ctl(loop, EPOLL_CTL_DEL,
					STDIN_FILENO, NULL);
			else
				puts("a line");
		}
	close(loop);
	return rc == 1 ? 0 : rc ? rc : -ETIMEDOUT;
}

static int
post(const shop *s, int n)
{
	int rc = 0;

	while (!rc && n--)
		rc = stoa_semaphore_post(&s->orders);
	return rc ? rc : stoa_event_set(&s->closing);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const shop *s = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "shop", shop, &s);
	if (!rc && !strcmp(argv[1], "serve"))
		rc = serve(s);
	else if (!rc && argc > 3)
		rc = post(s, atoi(argv[3]));
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_strerror(rc));
	return rc != 0;
}
