/* SPDX-License-Identifier: BSL-1.0 */
/* Killed at every instruction: named objects. */
#include <stdio.h>
#include "data.h"

static int
open_new(stoa_segment *seg, void *user)
{
	const pair *p;

	(void)user;
	return stoa_object_open(seg, "a new object", pair, &p);
}

static int
open_there(stoa_segment *seg, void *user)
{
	const data *d;

	(void)user;
	return stoa_object_open(seg, "data", data, &d);
}

static void
create(stoa_tx *tx, const data *d)
{
	pair *p = stoa_object_create(tx, "created", pair);

	p->a = 1;
	p->b = 2;
	STOA_ADD(tx, d->word[0], 1);
}

/* Of a type that the segment does not know yet. */
static void
create_new_type(stoa_tx *tx, const data *d)
{
	blob *b = stoa_object_create(tx, "a blob", blob);

	memset(b, 3, sizeof *b);
	STOA_ADD(tx, d->word[0], 1);
}

static void
some_objects(stoa_tx *tx, const data *d)
{
	(void)d;
	for (unsigned i = 0; i < 8; i++) {
		char name[16];

		snprintf(name, sizeof name, "object %u", i);
		(void)stoa_object_create(tx, name, pair);
	}
}

/* Enough to make the index grow on the way. */
static void
create_some(stoa_tx *tx, const data *d)
{
	(void)d;
	for (unsigned i = 8; i < 18; i++) {
		char name[16];

		snprintf(name, sizeof name, "object %u", i);
		(void)stoa_object_create(tx, name, pair);
	}
}

static void
destroy(stoa_tx *tx, const data *d)
{
	(void)stoa_object_destroy(tx, "object 3");
	STOA_ADD(tx, d->word[0], 1);
}

static void
tree(stoa_tx *tx, const data *d)
{
	node *root = stoa_object_create(tx, "tree", node);

	(void)d;
	for (unsigned i = 0; i < 3; i++) {
		node *n = stoa_new(tx, node);

		STOA_LINK(tx, n->next, stoa_get(tx, root->next));
		STOA_LINK(tx, root->next, n);
	}
}

static void
destroy_tree(stoa_tx *tx, const data *d)
{
	(void)d;
	(void)stoa_object_destroy(tx, "tree");
}

static const struct crash_case cases[] = {
	CASE_OP("stoa_object_open, new", "stoa_object_open stoa_object_open_",
		NULL, open_new),
	CASE_OP("stoa_object_open, there", "stoa_object_open", NULL,
		open_there),
	CASE("stoa_object_create", "stoa_object_create stoa_object_create_",
		some_objects, create),
	CASE("stoa_object_create, new type", "stoa_object_create", NULL,
		create_new_type),
	CASE("stoa_object_create, index grows", "stoa_object_create",
		some_objects, create_some),
	CASE("stoa_object_destroy", "stoa_object_destroy", some_objects,
		destroy),
	CASE("stoa_object_destroy, owning", "stoa_object_destroy", tree,
		destroy_tree),
};

int
main(int argc, char **argv)
{
	return crash_main("object", cases, COUNT(cases), argc, argv);
}
