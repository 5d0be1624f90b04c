/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A segment in memory of the process: a list grows in it, the segment with it, and
 * no address changes. At the end all of it is kept in a file.
 *	43-heap-memory FILE
 */
#include <stdio.h>
#include <stoa/stoa.h>

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	STOA_CLEANUP(stoa_segment) kept = NULL;
	const char *path = argc == 2 ? argv[1] : "";
	const numbers *list = NULL, *same = NULL;
	stoa_segment_stat before, after;
	int rc = stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_SEGMENT_OPTIONS(.size = 4096, .limit = 16 << 20), &seg);

	if (!rc)
		rc = stoa_object_open(seg, "list", numbers, &list);
	if (!rc) {
		stoa_segment_statistics(seg, &before);
		for (uint64_t i = 0; i < 10000 && !rc; i++)
			rc = STOA_DO(tx, seg, numbers_push(tx, list, i));
		stoa_segment_statistics(seg, &after);
	}
	if (!rc)
		rc = stoa_object_open(seg, "list", numbers, &same);
	if (!rc)
		printf("it grew: %s; the list moved: %s\n",
			after.size > before.size ? "yes" : "no",
			list == same ? "no" : "yes");
	if (!rc)
		rc = stoa_segment_save(seg, path, STOA_FILE, NULL);
	if (!rc)
		rc = stoa_segment_open(path, STOA_FILE, NULL, &kept);
	if (!rc) {
		STOA_READ(rd, kept);
		list = stoa_object_find(rd, "list", numbers);
		printf("in the file: %llu numbers\n",
			(unsigned long long)(list ? numbers_count(rd, list)
						  : 0));
		rc = stoa_tx_error(rd);
	}
	if (rc)
		fprintf(stderr, "%s\n", stoa_error_text());
	return rc != 0;
}
