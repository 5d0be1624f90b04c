/* SPDX-License-Identifier: BSL-1.0 */
/* One named struct that any number of processes share. Run it a few times. */
#include <inttypes.h>
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct greeting {
	uint64_t visits;
	stoa_str last;
} greeting;
STOA_TYPE(greeting, visits, last);

static int
visit(stoa_segment *seg, const greeting *g, const char *who)
{
	STOA_TX(tx, seg);
	printf("visit %" PRIu64 "; the last one was '%s'\n", g->visits + 1,
		stoa_str_get(tx, &g->last));
	STOA_ADD(tx, g->visits, 1);
	stoa_str_set(tx, &g->last, who);
	return stoa_tx_commit(tx); /* killed before this line: no visit */
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const greeting *g = NULL;

	if (stoa_segment_open("hello", STOA_CREATE, NULL, &seg) ||
		stoa_object_open(seg, "greeting", greeting, &g) ||
		visit(seg, g, argc > 1 ? argv[1] : "nobody")) {
		fprintf(stderr, "hello: %s\n", stoa_error_text());
		return 1;
	}
	return 0;
}
