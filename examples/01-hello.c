/* SPDX-License-Identifier: BSL-1.0 */
/* One named struct that any number of processes share; the README shows it. */
#include <inttypes.h>
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct greeting { /* what is shared: fixed-width words, no pointers */
	uint64_t visits;
	char last[24];
} greeting;
STOA_TYPE(greeting, visits, last);

static int
visit(stoa_segment *seg, const greeting *g, const char *who, greeting *before)
{
	STOA_TX(tx, seg); /* holds the segment's lock until the block ends */
	greeting *now = stoa_edit(tx, greeting, g);

	*before = *now;
	now->visits++;
	snprintf(now->last, sizeof now->last, "%s", who);
	return stoa_tx_commit(tx); /* killed before this line: no visit */
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const greeting *g = NULL;
	greeting old;

	if (stoa_segment_open("hello", STOA_CREATE, NULL, &seg) ||
		stoa_object_open(seg, "greeting", greeting, &g) ||
		visit(seg, g, argc > 1 ? argv[1] : "nobody", &old)) {
		fprintf(stderr, "hello: %s\n", stoa_error_text());
		return 1;
	}
	printf("visit %" PRIu64 ", after '%s'\n", old.visits + 1, old.last);
	return 0;
}
