/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A segment in a file: filled, closed, made longer while nobody has it open, filled
 * again, cut to what it needs, read by somebody who may not write.
 *	40-mapped-file FILE
 */
#include <stdio.h>
#include <stoa/stoa.h>
#include <unistd.h>

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

static int
add(const char *path, uint64_t count)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const numbers *n = NULL;
	int rc = stoa_segment_open(path, STOA_FILE | STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 64 << 10), &seg);

	if (!rc)
		rc = stoa_object_open(seg, "numbers", numbers, &n);
	if (rc)
		return rc;
	{
		STOA_TX(tx, seg);

		for (uint64_t i = 0; i < count; i++)
			numbers_push(tx, n, i);
		rc = stoa_tx_commit(tx);
	}
	return rc;
}

static int
count(const char *path)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	uint64_t found = 0;
	int rc = stoa_segment_open(path, STOA_FILE | STOA_RDONLY, NULL, &seg);

	if (rc)
		return rc;
	do {
		STOA_READ(rd, seg);
		const numbers *n = stoa_object_find(rd, "numbers", numbers);

		if (n)
			found = numbers_count(rd, n);
		rc = n ? stoa_tx_error(rd) : stoa_tx_fail(rd, -ENOENT);
	} while (rc == -EAGAIN); /* a writer came between: once more */
	if (!rc)
		printf("read-only: %llu numbers\n", (unsigned long long)found);
	return rc;
}

static int
resize(const char *path, uint64_t size)
{
	int64_t now = stoa_segment_resize(path, STOA_FILE, NULL, size);

	if (now >= 0)
		printf("heap: %lld KiB\n", (long long)now / 1024);
	return now < 0 ? (int)now : 0;
}

int
main(int argc, char **argv)
{
	const char *path = argc == 2 ? argv[1] : "";
	int rc = add(path, 1000);

	if (!rc)
		rc = resize(path, 2 << 20); /* longer, offline */
	if (!rc)
		rc = add(path, 20000);
	if (!rc)
		rc = count(path);
	if (!rc)
		rc = resize(path, 0); /* as short as can be */
	if (!rc)
		rc = count(path);
	if (rc)
		fprintf(stderr, "%s\n", stoa_error_text());
	(void)stoa_segment_unlink(path, STOA_FILE, NULL);
	return rc != 0;
}
