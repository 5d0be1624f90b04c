/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Aligned blocks: any power of two up to 2 MiB, and what each takes of the heap.
 * Nothing is lost between two of them: no header lies in front of a block.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

static int
one(stoa_segment *seg, uint64_t size, uint64_t align)
{
	stoa_segment_stat before, after;
	uintptr_t at;

	STOA_TX(tx, seg);
	stoa_segment_statistics(seg, &before);
	at = (uintptr_t)stoa_alloc(tx, size, align);
	stoa_segment_statistics(seg, &after);
	printf("%7" PRIu64 " bytes at a multiple of %7" PRIu64
	       ": %s, takes %" PRIu64 "\n",
		size, align, at % align ? "NOT aligned" : "aligned",
		after.used - before.used);
	return stoa_tx_error(tx); /* not committed: it is free again */
}

/* Ten in a row, side by side. */
static int
ten(stoa_segment *seg)
{
	char *p[10];
	int apart = 0;

	STOA_TX(tx, seg);
	for (int i = 0; i < 10; i++)
		p[i] = stoa_alloc(tx, 64, 64);
	for (int i = 1; i < 10; i++)
		apart += p[i] - p[i - 1] != 64;
	printf("ten of 64: %d gaps\n", apart);
	for (int i = 0; i < 10; i++)
		stoa_free(tx, p[i]);
	return stoa_tx_commit(tx);
}

int
main(void)
{
	static const uint64_t wish[][2] = {{64, 64}, {4096, 4096},
		{128 << 10, 64 << 10}, {600000, 64}, {128 << 10, 2 << 20}};
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE, NULL, &seg);

	for (size_t i = 0; i < sizeof wish / sizeof *wish && !rc; i++)
		rc = one(seg, wish[i][0], wish[i][1]);
	if (!rc)
		rc = ten(seg);
	if (rc)
		fprintf(stderr, "aligned: %s\n", stoa_error_text());
	return rc != 0;
}
