/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A log of the last lines, in a plain mapped file: no segment, just a struct of one's own
 * with a mutex in it, and a stoa_slots that says who is alive. Any number of programs
 * write to it; who is killed with the mutex leaves half a line.
 *	38-anonymous-mutex log FILE NAME     100 lines
 *	38-anonymous-mutex hang FILE NAME    half a line, and waits there
 *	38-anonymous-mutex show FILE
 */
#define _GNU_SOURCE /* ftruncate, where the compiler is strict */
#include <fcntl.h>
#include <stdio.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	LINES = 300,
	WIDTH = 32
};

struct log { /* zero bytes are an empty one */
	stoa_slots slots;
	stoa_mutex lock;
	unsigned count;
	char line[LINES][WIDTH];
};

static struct log *
log_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(struct log)))
		p = mmap(NULL, sizeof(struct log), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int
lock(struct log *l)
{
	int rc = stoa_mutex_lock(&l->lock);

	if (rc != -EOWNERDEAD)
		return rc;
	/* ours; who had it died inside: what it was writing is no line */
	printf("somebody died while writing '%s'\n", l->line[l->count % LINES]);
	stoa_mutex_mend(&l->lock);
	return 0;
}

static int
add(struct log *l, const char *name, int n, bool hang)
{
	char *line;
	int rc = lock(l);

	if (rc)
		return rc;
	line = l->line[l->count % LINES];
	if (hang) {
		(void)snprintf(line, WIDTH, "%s: li", name);
		for (;;)
			(void)pause();
	}
	(void)snprintf(line, WIDTH, "%s: line %d", name, n);
	l->count++;
	stoa_mutex_unlock(&l->lock);
	return 0;
}

static int
show(struct log *l)
{
	int rc = lock(l);

	if (rc)
		return rc;
	printf("%u lines, the last: %s\n", l->count,
		l->count ? l->line[(l->count - 1) % LINES] : "");
	stoa_mutex_unlock(&l->lock);
	return 0;
}

int
main(int argc, char **argv)
{
	struct log *l = argc > 2 ? log_map(argv[2]) : NULL;
	int rc;

	if (!l)
		return 2;
	rc = stoa_slots_attach(&l->slots, l, sizeof *l);
	if (!rc && argc > 3 && !strcmp(argv[1], "log"))
		for (int i = 1; i <= 100 && !rc; i++)
			rc = add(l, argv[3], i, false);
	else if (!rc && argc > 3)
		rc = add(l, argv[3], 0, true);
	else if (!rc)
		rc = show(l);
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	stoa_slots_detach(&l->slots);
	return rc != 0;
}
