/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A worker that waits for orders, for the bell, for closing time and for the death of its
 * master by one call.
 *	37-any work SEGMENT
 *	37-any master SEGMENT N      N orders, the bell, closing time
 *	37-any killed SEGMENT        one order, and the master is killed
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>

typedef struct shop {
	stoa_semaphore ready;  /* workers */
	stoa_event opened;     /* the master is there */
	stoa_semaphore orders; /* one worker each */
	stoa_event bell;       /* taken: for one */
	stoa_event closing;    /* left set: for all */
	stoa_owner master;
} shop;
STOA_TYPE(shop, ready, opened, orders, bell, closing, master);

enum {
	ORDER,
	BELL,
	CLOSING,
	MASTER
};

static int
work(const stoa_segment *seg, const shop *s)
{
	int rc = stoa_event_wait(&s->opened);
	stoa_waitable on[] = {
		[ORDER] = stoa_waitable_semaphore(&s->orders),
		[BELL] = stoa_waitable_take(&s->bell),
		[CLOSING] = stoa_waitable_event(&s->closing),
		[MASTER] = stoa_waitable_owner(seg, s->master),
	};

	if (!rc)
		rc = stoa_semaphore_post(&s->ready);
	while (rc >= 0) {
		rc = stoa_wait_any(on, 4, stoa_in_ms(5000));
		if (rc == ORDER)
			puts("an order");
		else if (rc == BELL)
			puts("the bell");
		else if (rc == CLOSING)
			return puts("closing time") < 0;
		else if (rc == MASTER)
			return puts("the master is dead") < 0;
	}
	return rc;
}

static int
open_shop(stoa_segment *seg, const shop *s)
{
	STOA_TX(tx, seg);

	STOA_SET(tx, s->master, stoa_owner_self(tx));
	return stoa_tx_commit(tx);
}

static int
master(stoa_segment *seg, const shop *s, int orders, bool killed)
{
	int rc = open_shop(seg, s);

	if (!rc)
		rc = stoa_event_set(&s->opened);
	if (!rc)
		rc = stoa_semaphore_wait_until(&s->ready, stoa_in_ms(5000));
	for (int i = 0; !rc && i < orders; i++)
		rc = stoa_semaphore_post(&s->orders);
	if (!rc && killed)
		return raise(SIGKILL);
	if (!rc)
		rc = stoa_event_set(&s->bell);
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
	if (!rc && !strcmp(argv[1], "work"))
		rc = work(seg, s);
	else if (!rc && !strcmp(argv[1], "master") && argc > 3)
		rc = master(seg, s, atoi(argv[3]), false);
	else if (!rc && !strcmp(argv[1], "killed"))
		rc = master(seg, s, 1, true);
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
