/* SPDX-License-Identifier: BSL-1.0 */
/*
 * System V shared memory, for programs that have it already: by the key of a path,
 * or by its number.
 *	22-xsi make PATH | check PATH | check-id PATH | remove PATH
 */
#include <stdio.h>
#include <stoa/region.h>
#include <string.h>

static int
make(const char *path)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open(path, STOA_XSI | STOA_CREATE | STOA_EXCL,
		STOA_REGION_OPTIONS(.size = 1000, .xsi_project = 1), &r);

	if (rc)
		return rc;
	memset(stoa_region_data(r), 1, stoa_region_size(r));
	return 0;
}

static int
check(const char *path, int by_id)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	STOA_CLEANUP(stoa_region) same = NULL;
	const stoa_region *look;
	int rc = stoa_region_open(path, STOA_XSI | STOA_RDONLY, NULL, &r);
	size_t ones = 0;

	if (!rc && by_id)
		rc = stoa_region_open(NULL, STOA_XSI | STOA_RDONLY,
			STOA_REGION_OPTIONS(.xsi_id = stoa_region_xsi_id(r)),
			&same);
	if (rc)
		return rc;
	look = by_id ? same : r;
	for (const char *p = stoa_region_data(look),
			*end = p + stoa_region_size(look);
		p < end; p++)
		ones += *p == 1;
	printf("%zu of %zu bytes are 1\n", ones, stoa_region_size(look));
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	int rc = !strcmp(what, "make")       ? make(argv[2])
		 : !strcmp(what, "check")    ? check(argv[2], 0)
		 : !strcmp(what, "check-id") ? check(argv[2], 1)
		 : !strcmp(what, "remove")
			 ? stoa_region_unlink(argv[2], STOA_XSI, NULL)
			 : -1;

	if (rc == -1)
		fprintf(stderr, "usage: 22-xsi make|check|check-id|remove"
				" PATH\n");
	else if (rc)
		fprintf(stderr, "xsi: %s\n", stoa_strerror(rc));
	return rc != 0;
}
