/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A file as memory: written through one mapping, looked at through parts of it, at
 * any offset; and a private copy that never reaches it.
 *	23-file-mapping write FILE | check FILE
 */
#include <stdio.h>
#include <stoa/region.h>
#include <string.h>

enum {
	SIZE = 10000,
	OFFSET = 3210 /* not a page boundary */
};

static int
fill(const char *path)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open(path, STOA_FILE | STOA_CREATE,
		STOA_REGION_OPTIONS(.size = SIZE, .mode = 0644), &r);

	if (rc)
		return rc;
	memset(stoa_region_data(r), 'a', SIZE);
	memcpy((char *)stoa_region_data(r) + OFFSET, "here", 4);
	rc = stoa_region_flush(r, OFFSET, 4); /* on disk from here on */
	return rc ? rc : stoa_region_resize(r, SIZE / 2);
}

static int
check(const char *path)
{
	STOA_CLEANUP(stoa_region) part = NULL;
	STOA_CLEANUP(stoa_region) copy = NULL;
	int rc = stoa_region_open(path, STOA_FILE | STOA_RDONLY,
		STOA_REGION_OPTIONS(.offset = OFFSET), &part);

	if (!rc)
		rc = stoa_region_open(
			path, STOA_FILE | STOA_PRIVATE, NULL, &copy);
	if (rc)
		return rc;
	memset(stoa_region_data(copy), 'z', stoa_region_size(copy));
	printf("%zu bytes from %d on: %.6s\n", stoa_region_size(part), OFFSET,
		(const char *)stoa_region_data(part));
	rc = stoa_region_shrink_front(part, 2);
	printf("without the first two: %.4s\n",
		(const char *)stoa_region_data(part));
	return rc;
}

int
main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	int rc = !strcmp(what, "write")   ? fill(argv[2])
		 : !strcmp(what, "check") ? check(argv[2])
					  : -1;

	if (rc == -1)
		fprintf(stderr, "usage: 23-file-mapping write|check FILE\n");
	else if (rc)
		fprintf(stderr, "file: %s\n", stoa_error_text());
	return rc != 0;
}
