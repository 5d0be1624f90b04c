/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What is it that a pointer leads to? Name, kind, type and count of objects that
 * are named, unique or without a name; each deleted by its address alone.
 */
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct point {
	int32_t x, y;
} point;
STOA_TYPE(point, x, y);

static void
tell(const stoa_tx *rd, const void *p)
{
	static const char *const kinds[] = {
		"named", "unique", "without a name"};
	stoa_object o;

	if (!stoa_object_of(rd, p, &o))
		puts("no object");
	else
		printf("%s, %s: %d of %s\n", kinds[o.kind],
			o.name ? o.name : "-", (int)o.count,
			o.type ? o.type->name : "a type that only we know");
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const point *object[5] = {0};
	int rc = stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL, NULL, &seg);

	if (!rc) {
		STOA_TX(tx, seg);
		object[0] = stoa_object_create(tx, "origin", point);
		object[1] = stoa_object_create_array(tx, "corners", point, 4);
		object[2] = stoa_object_create(tx, NULL, point);
		object[3] = stoa_new_array(tx, point, 100);
		object[4] = stoa_new(tx, point);
		rc = stoa_tx_commit(tx);
	}
	if (!rc) {
		STOA_READ(rd, seg);
		for (int i = 0; i < 5; i++)
			tell(rd, object[i]);
		tell(rd, object[1] + 1); /* inside one: not where it begins */
		printf("%d named, %d unique\n",
			(int)stoa_object_count(rd, STOA_OBJECT_NAMED),
			(int)stoa_object_count(rd, STOA_OBJECT_UNIQUE));
	}
	if (!rc) { /* one call for all kinds */
		STOA_TX(tx, seg);
		for (int i = 0; i < 5; i++)
			stoa_delete(tx, point, object[i]);
		rc = stoa_tx_commit(tx);
	}
	if (!rc) {
		STOA_READ(rd, seg);
		printf("%d named, %d unique\n",
			(int)stoa_object_count(rd, STOA_OBJECT_NAMED),
			(int)stoa_object_count(rd, STOA_OBJECT_UNIQUE));
	}
	if (rc)
		fprintf(stderr, "11-info: %s\n", stoa_error_text());
	return rc != 0;
}
