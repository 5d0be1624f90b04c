/* SPDX-License-Identifier: BSL-1.0 */
/* Raw blocks: made, written to, freed; what is too large; what is undone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

typedef STOA_REF(uint8_t) raw;
typedef struct shelf { /* whoever deletes it deletes its block */
	raw block;
} shelf;
STOA_TYPE(shelf, (block, uint8_t, own));

static int
fill(stoa_segment *seg, const shelf *s, uint64_t size)
{
	uint8_t *p;

	STOA_TX(tx, seg);
	stoa_free(
		tx, stoa_get(tx, s->block)); /* NULL the first time: nothing */
	p = stoa_alloc(tx, size, 0);
	memset(p, 'x', size); /* scratch memory, if there was no room */
	STOA_LINK(tx, s->block, p);
	return stoa_tx_commit(tx);
}

/* What was made before belongs to shared data: writing there can be undone. */
static int
change(stoa_segment *seg, const shelf *s, bool keep)
{
	STOA_TX(tx, seg);
	const uint8_t *p = stoa_get(tx, s->block);

	memcpy(stoa_edit_bytes(tx, p, 5), "hello", 5);
	return keep ? stoa_tx_commit(tx) : stoa_tx_fail(tx, -ECANCELED);
}

static void
show(stoa_segment *seg, const shelf *s)
{
	stoa_memory_stat m;

	STOA_READ(rd, seg);
	const uint8_t *p = stoa_get(rd, s->block);

	stoa_memory_statistics(seg, &m);
	printf("%" PRIu64 " bytes that begin with %.8s; the largest piece that "
	       "is free has %" PRIu64 "\n",
		stoa_usable(rd, p), (const char *)p, m.largest);
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const shelf *s = NULL;
	int rc;

	if (stoa_segment_open(NULL, STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20),
		    &seg) ||
		stoa_object_open(seg, "shelf", shelf, &s) ||
		fill(seg, s, 1024)) {
		fprintf(stderr, "raw: %s\n", stoa_error_text());
		return 1;
	}
	show(seg, s);
	rc = fill(seg, s, 2 << 20);
	printf("2 MiB: %s\n", stoa_strerror(rc));
	show(seg, s); /* the old block is there: the transaction was undone */
	rc = change(seg, s, false);
	show(seg, s);
	rc = change(seg, s, true);
	show(seg, s);
	rc = STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf"));
	printf("destroyed: %d, all is freed: %d, leaked: %d\n", rc,
		stoa_memory_unused(seg), (int)stoa_segment_leaked(seg));
	return 0;
}
