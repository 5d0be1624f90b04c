/* SPDX-License-Identifier: BSL-1.0 */
/*
 * One message at a time from a program to another, in memory of shm_open: a mutex, two
 * conditions, and a stoa_slots beside them. Zero bytes are all that it takes to begin.
 *	38-anonymous-condition say NAME N     N messages, and "last message"
 *	38-anonymous-condition hear NAME      until the last one; removes the name
 */
#define _GNU_SOURCE /* ftruncate, where the compiler is strict */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct line {
	stoa_mutex lock;
	stoa_cond is_empty, is_full;
	bool full;
	char text[64];
	stoa_slots slots; /* anywhere in the memory */
};

static struct line *
line_map(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(struct line)))
		p = mmap(NULL, sizeof(struct line), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* Until it is full, or empty; then with the lock. */
static int
await(struct line *l, bool full)
{
	int rc = stoa_mutex_lock(&l->lock);

	for (;;) {
		if (rc == -EOWNERDEAD) { /* a message is there whole, or not */
			stoa_mutex_mend(&l->lock);
			rc = 0;
		}
		if (rc || l->full == full)
			break;
		rc = stoa_cond_wait(full ? &l->is_full : &l->is_empty, &l->lock,
			stoa_in_ms(5000));
	}
	if (rc == -ETIMEDOUT)
		stoa_mutex_unlock(&l->lock);
	return rc;
}

static int
say(struct line *l, const char *text)
{
	int rc = await(l, false);

	if (rc)
		return rc;
	(void)snprintf(l->text, sizeof l->text, "%s", text);
	l->full = true;
	stoa_mutex_unlock(&l->lock);
	return stoa_cond_signal(&l->is_full);
}

static int
hear(struct line *l, char text[64])
{
	int rc = await(l, true);

	if (rc)
		return rc;
	memcpy(text, l->text, 64);
	l->full = false;
	stoa_mutex_unlock(&l->lock);
	return stoa_cond_signal(&l->is_empty);
}

int
main(int argc, char **argv)
{
	struct line *l = argc > 2 ? line_map(argv[2]) : NULL;
	char text[64] = "";
	int rc, heard = 0;

	if (!l)
		return 2;
	rc = stoa_slots_attach(&l->slots, l, sizeof *l);
	if (argc > 3) {
		for (int i = 1; !rc && i <= atoi(argv[3]); i++) {
			(void)snprintf(text, sizeof text, "message %d", i);
			rc = say(l, text);
		}
		if (!rc)
			rc = say(l, "last message");
	} else {
		while (!rc && strcmp(text, "last message") != 0) {
			rc = hear(l, text);
			heard += !rc;
		}
		printf("%d messages, at last: %s\n", heard, text);
		(void)shm_unlink(argv[2]);
	}
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	stoa_slots_detach(&l->slots);
	return rc != 0;
}
