/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The same blocks in three heaps: how much memory do they take? The library's own
 * heap has blocks of fixed sizes and gives each thread some ahead; best fit has
 * eight bytes before each block and gives what is asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>

enum {
	COUNT = 2000
};

static const struct {
	const char *name;
	const stoa_heap_class *heap;
} heaps[] = {{"slabs and runs", NULL}, {"best fit", &stoa_heap_best_fit},
	{"best fit by 64", &stoa_heap_best_fit_64},
	{"first fit", &stoa_heap_first_fit}};

/* COUNT blocks of 24 to 423 bytes; every third one goes again. */
static int
use(stoa_segment *seg)
{
	static const void *block[COUNT];

	STOA_TX(tx, seg);
	for (unsigned i = 0; i < COUNT; i++)
		block[i] = stoa_alloc(tx, 24 + i * 7919 % 400, 0);
	for (unsigned i = 0; i < COUNT; i += 3)
		stoa_free(tx, block[i]);
	return stoa_tx_commit(tx);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++) {
		STOA_CLEANUP(stoa_segment) seg = NULL;
		stoa_segment_stat s;

		if (stoa_segment_open(NULL, STOA_CREATE,
			    STOA_SEGMENT_OPTIONS(.size = 1 << 20,
				    .heap = heaps[i].heap),
			    &seg) ||
			use(seg) || stoa_segment_check(seg)) {
			fprintf(stderr, "46-best-fit: %s\n", stoa_error_text());
			return 1;
		}
		stoa_segment_statistics(seg, &s);
		printf("%-14s  %llu blocks, %llu bytes\n", heaps[i].name,
			(unsigned long long)s.blocks,
			(unsigned long long)s.used);
	}
	return 0;
}
