/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A segment in a buffer of one's own: filled, copied with memcpy, grown in place,
 * and sent through a pipe to another process, which opens what it received.
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOA_NAME prices
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

enum {
	SMALL = 256 << 10,
	LARGE = 1 << 20
};

static int
open_at(void *buffer, unsigned flags, size_t size, stoa_segment **ret)
{
	return stoa_segment_open(NULL, flags,
		STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = size,
			.limit = flags & STOA_CREATE ? LARGE : 0, .threads = 2),
		ret);
}

static uint64_t
count(stoa_segment *seg)
{
	STOA_READ(rd, seg);
	const prices *p = stoa_object_find(rd, "prices", prices);

	return p ? prices_count(rd, p) : 0;
}

/* Until it is full, or max are there. */
static int
fill(stoa_segment *seg, unsigned max)
{
	const prices *p = NULL;
	int rc = stoa_object_open(seg, "prices", prices, &p);

	for (unsigned i = 0; i < max && !rc; i++) {
		char name[48];

		snprintf(name, sizeof name, "a paper with the number %u", i);
		rc = STOA_DO(tx, seg, prices_put(tx, p, name, i));
	}
	return rc;
}

static int
receive(int from)
{
	char *here = aligned_alloc(4096, LARGE);
	STOA_CLEANUP(stoa_segment) seg = NULL;
	size_t got = 0;
	ssize_t n;
	int rc;

	while ((n = read(from, here + got, LARGE - got)) > 0)
		got += (size_t)n;
	rc = open_at(here, 0, got, &seg);
	if (!rc)
		printf("received: %llu prices\n",
			(unsigned long long)count(seg));
	return rc;
}

static int
send_to_another(const char *buffer)
{
	int way[2], status = -1;
	pid_t pid;

	fflush(stdout);
	if (pipe(way))
		return -1;
	pid = fork();
	if (!pid) {
		int rc;

		close(way[1]);
		rc = receive(way[0]);
		fflush(stdout);
		_exit(rc != 0);
	}
	close(way[0]);
	for (size_t sent = 0; sent < LARGE;) {
		ssize_t n = write(way[1], buffer + sent, LARGE - sent);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	close(way[1]);
	waitpid(pid, &status, 0);
	return status;
}

int
main(void)
{
	char *buffer = aligned_alloc(4096, LARGE);
	char *copy = aligned_alloc(4096, LARGE);
	stoa_segment *seg = NULL, *other = NULL;
	stoa_segment_shortage why;
	int rc = open_at(buffer, STOA_CREATE, SMALL, &seg);

	if (!rc)
		rc = fill(seg, 5);
	if (!rc) {
		memcpy(copy, buffer, SMALL);
		rc = open_at(copy, 0, SMALL, &other);
	}
	if (!rc)
		rc = fill(other, 1);
	if (!rc)
		printf("original: %llu, copy: %llu prices\n",
			(unsigned long long)count(seg),
			(unsigned long long)count(other));
	if (!rc && fill(seg, 5000) == -ENOSPC) {
		stoa_segment_last_shortage(seg, &why);
		printf("full: %s\n", why.hit == STOA_LIMIT_BUFFER
					     ? "the buffer could be longer"
					     : "for another reason");
		rc = open_at(buffer, 0, LARGE, &other); /* now it is */
		if (!rc)
			rc = fill(seg, 2000);
		stoa_segment_close(other);
	}
	if (!rc)
		printf("grown: %llu prices\n", (unsigned long long)count(seg));
	if (!rc)
		rc = send_to_another(buffer);
	if (rc)
		fprintf(stderr, "%s\n", stoa_error_text());
	return rc != 0;
}
