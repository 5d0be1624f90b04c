/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Shared memory as a pool of blocks: one process makes one, its number goes to
 * another on the command line, and that one frees it.
 *	12-message send TEXT      makes a block that holds TEXT, prints its number
 *	12-message show NUMBER    looks at it
 *	12-message free NUMBER    prints what it holds, and frees it
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

static int
send_text(stoa_segment *seg, const char *text)
{
	size_t size = strlen(text) + 1;
	uint64_t number;
	char *p;
	int rc;

	STOA_TX(tx, seg);
	p = stoa_alloc(tx, size, 0);
	memcpy(p, text, size); /* it is ours until commit: plain stores */
	number = stoa_ref_of(tx, p).off;
	rc = stoa_tx_commit(tx);
	if (!rc)
		printf("%" PRIu64 "\n", number);
	return rc;
}

/* The text at that number, which may be any number: nothing of it is believed. */
static const char *
text_at(const stoa_tx *rd, const char *number)
{
	stoa_ref ref;
	const char *p;
	uint64_t size;

	if (stoa_ref_parse(number, &ref))
		return NULL;
	p = stoa_at(rd, ref, 1);
	size = stoa_usable(rd, p);
	return size && memchr(p, 0, size) ? p : NULL;
}

static int
show_text(stoa_segment *seg, const char *number)
{
	const char *text;

	STOA_READ(rd, seg);
	text = text_at(rd, number);
	if (!text)
		return stoa_tx_fail(rd, -ENOENT);
	printf("%s\n", text);
	return stoa_tx_error(rd);
}

static int
free_text(stoa_segment *seg, const char *number)
{
	const char *text;

	STOA_TX(tx, seg);
	text = text_at(tx, number);
	if (!text)
		return stoa_tx_fail(tx, -ENOENT);
	printf("%s\n", text);
	stoa_free(tx, text);
	return stoa_tx_commit(tx);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	stoa_memory_stat before, after;
	const char *what = argc > 1 ? argv[1] : "";
	int rc = argc == 3
			 ? stoa_segment_open("message", STOA_CREATE, NULL, &seg)
			 : -EINVAL;

	if (rc) {
		fprintf(stderr, "usage: 12-message send TEXT | show NUMBER | "
				"free NUMBER\n");
		return 1;
	}
	stoa_memory_statistics(seg, &before);
	rc = !strcmp(what, "send")   ? send_text(seg, argv[2])
	     : !strcmp(what, "show") ? show_text(seg, argv[2])
				     : free_text(seg, argv[2]);
	if (rc) {
		fprintf(stderr, "message: %s\n", stoa_strerror(rc));
		return 1;
	}
	fflush(stdout);
	stoa_memory_statistics(seg, &after);
	fprintf(stderr, "%" PRId64 " bytes more are free; unused: %d\n",
		(int64_t)(after.free - before.free), stoa_memory_unused(seg));
	return 0;
}
