/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A log that several programs append to, each line whole and numbered: a lock on
 * the file itself, without shared memory.
 *	13-file-lock add PATH TEXT [SECONDS]   exclusive, kept for so long
 *	13-file-lock try PATH TEXT             unless somebody has it
 *	13-file-lock count PATH                shared, also of a read-only file
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/filelock.h>
#include <string.h>
#include <unistd.h>

static int
lines(const char *path)
{
	FILE *in = fopen(path, "r");
	int c, n = 0;

	if (!in)
		return 0;
	while ((c = getc(in)) != EOF)
		n += c == '\n';
	(void)fclose(in);
	return n;
}

static int
append(const char *path, const char *text, uint64_t deadline, unsigned seconds)
{
	STOA_CLEANUP(stoa_filelock) file = NULL;
	STOA_CLEANUP(stoa_filelock_hold) hold = NULL;
	FILE *out;
	int rc = stoa_filelock_open(path, 0, &file);

	if (!rc)
		rc = stoa_filelock_lock(file, 0, 0, deadline, &hold);
	if (rc)
		return rc;
	out = fopen(path, "a");
	if (out) {
		(void)fprintf(out, "%d %s\n", lines(path) + 1, text);
		(void)fclose(out); /* flushed before the release */
	}
	if (seconds) {
		(void)printf("%s: has it\n", text);
		(void)fflush(stdout);
		(void)sleep(seconds);
	}
	return 0;
}

static int
count(const char *path)
{
	STOA_CLEANUP(stoa_filelock) file = NULL;
	STOA_CLEANUP(stoa_filelock_hold) hold = NULL;
	int rc = stoa_filelock_open(path, STOA_RDONLY, &file);

	if (!rc)
		rc = stoa_filelock_share(file, 0, 0, stoa_in_ms(10000), &hold);
	if (!rc)
		printf("%d lines\n", lines(path));
	return rc;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int rc = 1;

	if (!strcmp(what, "add") && argc > 3)
		rc = append(argv[2], argv[3], STOA_FOREVER,
			argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	else if (!strcmp(what, "try") && argc > 3)
		rc = append(argv[2], argv[3], STOA_NOW, 0);
	else if (!strcmp(what, "count"))
		rc = count(argv[2]);
	if (rc > 0)
		fprintf(stderr, "usage: 13-file-lock add PATH TEXT [SECONDS] |"
				" try PATH TEXT | count PATH\n");
	else if (rc)
		fprintf(stderr, "%s: %s: %s\n", what, stoa_error_text(),
			stoa_strerror(rc));
	return rc != 0;
}
