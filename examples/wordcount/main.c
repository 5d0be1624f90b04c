/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Count words with as many workers as you start, at any time, and kill any of
 * them at any time.
 *	wordcount NAME add FILE...    puts the files on the list of the job NAME
 *	wordcount NAME work           counts until all is done; start several
 *	wordcount NAME show WORD...
 *	wordcount NAME forget         the job is gone
 */
#include "wordcount.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
show(stoa_segment *seg, const job *j, const char *word)
{
	STOA_READ(rd, seg);
	const uint64_t *n = counts_get(rd, &j->words, word);

	printf("%s: %" PRIu64 " (%zu different words, %" PRIu64
	       " chunks left)\n",
		word, n ? *n : 0, counts_count(rd, &j->words), j->left);
	return stoa_tx_error(rd);
}

static int
run(stoa_segment *seg, const job *j, int argc, char **argv)
{
	int rc = 0;

	if (!strcmp(argv[2], "work"))
		return work(seg, j);
	for (int i = 3; i < argc && !rc; i++)
		rc = strcmp(argv[2], "add") ? show(seg, j, argv[i])
					    : add(seg, j, argv[i]);
	return rc;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const job *j = NULL;
	int rc;

	if (argc < 3) {
		fputs("usage: wordcount NAME add FILE... | work | "
		      "show WORD... | forget\n",
			stderr);
		return 2;
	}
	if (!strcmp(argv[2], "forget"))
		return stoa_segment_unlink(argv[1], 0, NULL) != 0;
	rc = stoa_segment_open(argv[1], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "job", job, &j);
	if (!rc)
		rc = run(seg, j, argc, argv);
	if (rc)
		fprintf(stderr, "wordcount: %s (%s)\n", stoa_strerror(rc),
			stoa_error_text());
	return rc != 0;
}
