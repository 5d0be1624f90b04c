/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Longer and shorter, in one call: a table of numbers that grows behind, or in
 * front, or moves, and gives back what it does not need.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

enum {
	KIB = 1024
};

typedef STOA_REF(uint8_t) raw;
typedef struct table {
	raw bytes, wall;
} table;
STOA_TYPE(table, (bytes, uint8_t, own), (wall, uint8_t, own));

static int
first(stoa_segment *seg, const table *t)
{
	uint8_t *p;

	STOA_TX(tx, seg);
	p = stoa_alloc(tx, 64 * KIB, 0);
	STOA_LINK(tx, t->wall, p); /* goes again, and leaves room in front */
	p = stoa_alloc(tx, 64 * KIB, 0);
	memset(p, 7, 64 * KIB);
	STOA_LINK(tx, t->bytes, p);
	return stoa_tx_commit(tx);
}

static int
ask(stoa_segment *seg, const table *t, const char *what, uint64_t size,
	uint64_t least, unsigned how)
{
	stoa_wish w = {.size = size, .least = least, .how = how};

	STOA_TX(tx, seg);
	w.old = stoa_get(tx, t->bytes);
	if (stoa_obtain(tx, &w)) {
		printf("%-16s no: %" PRIu64 " KiB might be had\n", what,
			w.usable / KIB);
		return stoa_tx_error(tx); /* 0: nothing has failed */
	}
	printf("%-16s %4" PRIu64 " KiB, %s, its bytes at %" PRId64 " KiB: %d\n",
		what, w.usable / KIB, w.kept ? "the same" : "another",
		w.kept ? ((const char *)w.old - (const char *)w.p) / KIB : 0,
		w.kept ? *(const char *)w.old : 0);
	if (!w.kept) { /* ours to copy, and to free */
		memcpy(stoa_edit_bytes(tx, w.p, 64 * KIB), w.old, 64 * KIB);
		stoa_free(tx, w.old);
	} else if (w.p != w.old) { /* where we want them: in front */
		memmove(stoa_edit_bytes(tx, w.p, 192 * KIB), w.old, 64 * KIB);
	}
	STOA_LINK(tx, t->bytes, (const uint8_t *)w.p);
	return stoa_tx_commit(tx);
}

static int
wall_goes(stoa_segment *seg, const table *t)
{
	STOA_TX(tx, seg);
	stoa_free(tx, stoa_get(tx, t->wall));
	STOA_LINK(tx, t->wall, NULL);
	return stoa_tx_commit(tx);
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const table *t = NULL;

	if (stoa_segment_open(NULL, STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20),
		    &seg) ||
		stoa_object_open(seg, "table", table, &t) || first(seg, t) ||
		ask(seg, t, "longer behind", 128 * KIB, 0, STOA_WISH_FORWARD) ||
		ask(seg, t, "in front, vain", 192 * KIB, 0,
			STOA_WISH_BACKWARD) ||
		wall_goes(seg, t) ||
		ask(seg, t, "in front", 192 * KIB, 0, STOA_WISH_BACKWARD) ||
		ask(seg, t, "shorter", 96 * KIB, 0, STOA_WISH_SHRINK) ||
		ask(seg, t, "2 MiB, or some", 2048 * KIB, 512 * KIB,
			STOA_WISH_FORWARD | STOA_WISH_NEW) ||
		ask(seg, t, "2 MiB", 2048 * KIB, 0,
			STOA_WISH_FORWARD | STOA_WISH_NEW)) {
		fprintf(stderr, "longer: %s\n", stoa_error_text());
		return 1;
	}
	return 0;
}
