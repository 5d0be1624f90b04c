/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A map as a named object, and the names themselves in order: the segment is made
 * with the ordered index.
 */
#include <stdio.h>
#include <stoa/stoa.h>

#define STOA_NAME weights
#define STOA_KEY  int32_t
#define STOA_VAL  double
#include <stoa/template/hashmap.h>

static int
fill(stoa_segment *seg)
{
	STOA_TX(tx, seg);
	weights *w = stoa_object_create(tx, "weights", weights);

	for (int32_t i = 0; i < 100; i++)
		weights_put(tx, w, i, i / 2.0);
	(void)stoa_object_create(tx, "a map without anything", weights);
	return stoa_tx_commit(tx);
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_SEGMENT_OPTIONS(.index = &stoa_index_ordered), &seg);

	if (!rc)
		rc = fill(seg);
	if (!rc) {
		STOA_READ(rd, seg);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it);) {
			const weights *w = it.data;
			const double *half = weights_get(rd, w, 7);

			printf("%s: %s, %d entries", it.name, it.type->name,
				(int)weights_count(rd, w));
			if (half)
				printf(", 7 is %g", *half);
			putchar('\n');
		}
		rc = stoa_tx_error(rd);
	}
	if (rc)
		fprintf(stderr, "11-map: %s\n", stoa_error_text());
	return rc != 0;
}
