/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A segment of shared memory that gets longer and shorter: by itself while it is
 * used, by name while nobody uses it, and trimmed under its users.
 */
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct page {
	uint8_t bytes[100000];
} page;
STOA_TYPE(page, bytes);
typedef STOA_REF(page) page_ref;

typedef struct book {
	page_ref page[20];
} book;
STOA_TYPE(book, (page, page, own));

static void
show(stoa_segment *seg, const char *when)
{
	stoa_segment_stat st;

	stoa_segment_statistics(seg, &st);
	printf("%-22s %s\n", when,
		st.size > 2000000   ? "over 2 MB"
		: st.size > 1000000 ? "over 1 MB"
				    : "under 1 MB");
}

static int
run(stoa_segment **seg)
{
	const book *b = NULL;
	int rc = stoa_segment_open("grow", STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 64 << 10), seg);

	if (!rc)
		rc = stoa_object_open(*seg, "book", book, &b);
	if (rc)
		return rc;
	show(*seg, "made:");
	for (int i = 0; i < 20 && !rc; i++)
		rc = STOA_DO(tx, *seg,
			STOA_LINK(tx, b->page[i], stoa_new(tx, page)));
	show(*seg, "20 pages:");
	for (int i = 1; i < 20 && !rc; i++)
		rc = STOA_DO(tx, *seg,
			stoa_delete(tx, page, stoa_get(tx, b->page[i])),
			STOA_LINK(tx, b->page[i], NULL));
	if (!rc)
		rc = stoa_segment_trim(*seg) > 0 ? 0 : -EINVAL;
	show(*seg, "one page, trimmed:");
	if (!rc && stoa_segment_resize("grow", 0, NULL, 3 << 20) == -EBUSY)
		puts("by name: not while it is open");
	*seg = stoa_segment_close(*seg);
	if (!rc && stoa_segment_resize("grow", 0, NULL, 3 << 20) < 0)
		rc = -EINVAL;
	if (!rc)
		rc = stoa_segment_open("grow", 0, NULL, seg);
	if (!rc)
		show(*seg, "grown by name:");
	*seg = stoa_segment_close(*seg);
	if (!rc && stoa_segment_resize("grow", 0, NULL, 0) < 0)
		rc = -EINVAL;
	if (!rc)
		rc = stoa_segment_open("grow", 0, NULL, seg);
	if (!rc)
		show(*seg, "shrunk to fit:");
	return rc;
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = run(&seg);

	if (rc)
		fprintf(stderr, "%s\n", stoa_error_text());
	(void)stoa_segment_unlink("grow", 0, NULL);
	return rc != 0;
}
