/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Plain shared memory between two programs: one makes it and fills it, the other
 * maps it read-only and looks, and somebody removes the name.
 *	20-shared-memory write | check | remove
 */
#include <stdio.h>
#include <stoa/region.h>
#include <string.h>

static int
fill(void)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open("pages", STOA_CREATE | STOA_EXCL,
		STOA_REGION_OPTIONS(.size = 1000), &r);

	if (rc)
		return rc;
	memset(stoa_region_data(r), 1, stoa_region_size(r));
	printf("%zu bytes written\n", stoa_region_size(r));
	return 0;
}

static int
check(void)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open("pages", STOA_RDONLY, NULL, &r);
	size_t ones = 0;

	if (rc)
		return rc;
	for (const char *p = stoa_region_data(r),
			*end = p + stoa_region_size(r);
		p < end; p++)
		ones += *p == 1;
	printf("%zu of %zu bytes are 1\n", ones, stoa_region_size(r));
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	int rc = !strcmp(what, "write")   ? fill()
		 : !strcmp(what, "check") ? check()
		 : !strcmp(what, "remove")
			 ? stoa_region_unlink("pages", 0, NULL)
			 : -1;

	if (rc == -1)
		fprintf(stderr, "usage: 20-shared-memory write|check|remove\n");
	else if (rc)
		fprintf(stderr, "pages: %s\n", stoa_error_text());
	return rc != 0;
}
