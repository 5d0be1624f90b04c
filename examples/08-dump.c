/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Described types: every object of any segment as JSON, by a program that never
 * saw its types. Without an argument it makes a segment of its own.
 *	08-dump [SEGMENT]
 */
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct point {
	double x, y;
} point;
STOA_TYPE(point, x, y);

#define STOA_NAME points
#define STOA_VAL  point
#include <stoa/template/vec.h>

#define STOA_NAME tags
#define STOA_KEY  stoa_str
#define STOA_VAL  int32_t
#include <stoa/template/hashmap.h>

typedef struct shape shape;
typedef STOA_REF(shape) shape_ref;
struct shape {
	char name[16];
	bool visible;
	uint8_t rgba[4];
	float width;
	point centre, box[2];
	points outline;
	tags labels;
	stoa_str note;
	shape_ref child, parent;
};
STOA_TYPE(shape, name, visible, rgba, width, (centre, point), (box, point),
	(outline, points), (labels, tags), note, (child, shape, own),
	(parent, shape, ref));

static int
make(stoa_segment *seg)
{
	STOA_TX(tx, seg);
	shape *s = stoa_object_create(tx, "house", shape);
	snprintf(s->name, sizeof s->name, "house");
	s->visible = true;
	s->centre = (point){1, 2};
	points_push(tx, &s->outline, (point){0, 0});
	points_push(tx, &s->outline, (point){0.5, -3});
	tags_put(tx, &s->labels, "floors", 2);
	stoa_str_set(tx, &s->note, "a \"small\" house");

	shape *door = stoa_new(tx, shape);
	STOA_SET(tx, door->name, "door");
	STOA_LINK(tx, door->parent, s);
	STOA_LINK(tx, s->child, door);
	return stoa_tx_commit(tx);
}

static int
dump(stoa_segment *seg)
{
	STOA_READ(rd, seg);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);) {
		printf("%s (%s): ", it.name, it.type->name);
		if (stoa_type_dump(rd, it.type, it.data, stdout))
			break;
	}
	return stoa_tx_error(rd);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = argc > 1
			 ? stoa_segment_open(argv[1], 0, NULL, &seg)
			 : stoa_segment_open("shapes", STOA_CREATE, NULL, &seg);

	if (!rc && argc == 1)
		rc = make(seg);
	if (!rc || rc == -EEXIST)
		rc = dump(seg);
	if (rc)
		fprintf(stderr, "dump: %s\n", stoa_error_text());
	return rc != 0;
}
