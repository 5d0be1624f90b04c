/* SPDX-License-Identifier: BSL-1.0 */
/* What people call the place of a lock. See place.c. */
#ifndef TOOLS_STOA_PLACE_H
#define TOOLS_STOA_PLACE_H
#include "stoa/type.h"
#include "view.h"

struct place {
	char *key;        /* by which the index finds it */
	const char *name; /* of an object: key, or what is behind its mark */
	const stoa_type *type;
	uint64_t off, count;
	const char *kind; /* "named", "unique" */
};

struct places {
	struct place *list;
	size_t count;
};

enum {
	PLACE_NAME = 256
};

/* The objects, unique ones first, sorted by name. May settle the view. 0, or a view's error. */
int place_read_all(struct view *v, struct places *ret);
void place_free(struct places *p);
/* "segment", "accounts.lock", "@0x12340"; returns buf. */
const char *
place_of(const struct places *p, uint64_t off, char buf[PLACE_NAME]);

#endif
