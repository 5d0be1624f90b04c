/* SPDX-License-Identifier: BSL-1.0 */
/* Many blocks by one call, of one size or of several; each is freed alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

enum {
	COUNT = 16
};

static int
equal(stoa_segment *seg)
{
	void *p[COUNT];

	STOA_TX(tx, seg);
	if (!stoa_alloc_many(tx, COUNT, 100, 0, p))
		return stoa_tx_error(tx);
	for (int i = 0; i < COUNT; i++)
		memset(p[i], i, 100);
	printf("%d blocks of %" PRIu64 " bytes\n", COUNT,
		stoa_usable(tx, p[0]));
	for (int i = 1; i < COUNT; i += 2) /* one by one, in any order */
		stoa_free(tx, p[i]);
	for (int i = 0; i < COUNT; i += 2)
		stoa_free(tx, p[i]);
	return stoa_tx_commit(tx);
}

static int
different(stoa_segment *seg)
{
	uint64_t sizes[COUNT], all = 0;
	void *p[COUNT];

	for (unsigned i = 0; i < COUNT; i++)
		sizes[i] = UINT64_C(1) << i;
	STOA_TX(tx, seg);
	if (!stoa_alloc_sizes(tx, COUNT, sizes, 64, p))
		return stoa_tx_error(tx);
	for (int i = 0; i < COUNT; i++)
		all += stoa_usable(tx, p[i]);
	printf("%d blocks of 1 to 32768 bytes: %" PRIu64 " bytes\n", COUNT,
		all);
	stoa_free_many(tx, COUNT, (const void *const *)p);
	return stoa_tx_commit(tx);
}

/* All of them or none. */
static int
too_many(stoa_segment *seg)
{
	void *p[COUNT];

	STOA_TX(tx, seg);
	printf("%d of 100 KiB: %s\n", COUNT,
		stoa_alloc_many(tx, COUNT, 100 << 10, 0, p) ? "there"
							    : "not one");
	memset(p[COUNT - 1], 1, 100 << 10); /* scratch memory now */
	return stoa_tx_commit(tx) == -ENOSPC ? 0 : -EINVAL;
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20), &seg);

	if (!rc)
		rc = equal(seg);
	if (!rc)
		rc = different(seg);
	if (!rc)
		rc = too_many(seg);
	if (rc)
		fprintf(stderr, "many: %s\n", stoa_error_text());
	else
		printf("all is freed: %d\n", stoa_memory_unused(seg));
	return rc != 0;
}
