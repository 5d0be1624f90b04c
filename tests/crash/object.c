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

/* ---- arrays, unique ones, initialisers ---- */

static void
create_array(stoa_tx *tx, const data *d)
{
	pair *p = stoa_object_create_array(tx, "array", pair, 5);

	for (unsigned i = 0; i < 5; i++)
		p[i] = (pair){i, i};
	STOA_ADD(tx, d->word[0], 1);
}

/* Its first element leads on to what was there. */
static void
new_array(stoa_tx *tx, const data *d)
{
	node *n = stoa_new_array(tx, node, 3);

	for (unsigned i = 0; i < 3; i++)
		n[i].value = 70 + i;
	STOA_LINK(tx, n->next, stoa_get(tx, d->list));
	STOA_LINK(tx, d->list, n);
}

static void
delete_array(stoa_tx *tx, const data *d)
{
	const node *n = stoa_get(tx, d->list);

	if (!n || n->value != 70)
		return;
	STOA_LINK(tx, d->list, stoa_get(tx, n->next));
	STOA_LINK(tx, n->next, NULL);
	stoa_delete(tx, node, n);
}

static void
create_unique(stoa_tx *tx, const data *d)
{
	(void)d;
	stoa_object_create(tx, NULL, pair)->a = 1;
}

static void
some_kinds(stoa_tx *tx, const data *d)
{
	some_objects(tx, d);
	create_unique(tx, d);
	create_array(tx, d);
}

static void
destroy_unique(stoa_tx *tx, const data *d)
{
	(void)stoa_object_destroy_unique(tx, pair);
	STOA_ADD(tx, d->word[0], 1);
}

/* Found, and deleted by its address: an array with a name. */
static void
delete_named(stoa_tx *tx, const data *d)
{
	const pair *p = stoa_object_find(tx, "array", pair);

	if (p)
		stoa_delete(tx, pair, p);
	STOA_ADD(tx, d->word[0], 1);
}

static int
init_node(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	node *n = element;

	(void)user;
	n->value = index;
	if (index) /* owns another */
		STOA_LINK(tx, n->next, stoa_new(tx, node));
	return 0;
}

static int
open_with(stoa_segment *seg, void *user)
{
	const node *n;

	(void)user;
	return stoa_object_open_with(seg, "made", node,
		STOA_OBJECT_OPTIONS(.count = 2, .init = init_node), &n);
}

static int
open_array(stoa_segment *seg, void *user)
{
	const pair *p;

	(void)user;
	return stoa_object_open_array(seg, "opened", pair, 3, &p);
}

static void
create_with(stoa_tx *tx, const data *d)
{
	(void)stoa_object_create_with(tx, "made", node,
		STOA_OBJECT_OPTIONS(.count = 2, .init = init_node));
	STOA_ADD(tx, d->word[0], 1);
}

static void
reserve(stoa_tx *tx, const data *d)
{
	(void)stoa_object_reserve(tx, 40);
	STOA_ADD(tx, d->word[0], 1);
}

static void
reserved(stoa_tx *tx, const data *d)
{
	some_objects(tx, d);
	(void)stoa_object_reserve(tx, 40);
}

static void
shrink(stoa_tx *tx, const data *d)
{
	(void)stoa_object_shrink(tx);
	STOA_ADD(tx, d->word[0], 1);
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
	CASE("stoa_object_create_array",
		"stoa_object_create_array stoa_object_create_array_",
		some_objects, create_array),
	CASE("stoa_new_array", "stoa_new_array stoa_new_array_", NULL,
		new_array),
	CASE("stoa_delete, array", "stoa_delete", new_array, delete_array),
	CASE("stoa_delete, named array", "stoa_delete", some_kinds,
		delete_named),
	CASE("stoa_object_create, unique", "stoa_object_create", some_objects,
		create_unique),
	CASE("stoa_object_destroy_unique",
		"stoa_object_destroy_unique stoa_object_destroy_unique_",
		some_kinds, destroy_unique),
	CASE_OP("stoa_object_open_with",
		"stoa_object_open_with stoa_object_open_with_", NULL,
		open_with),
	CASE_OP("stoa_object_open_array",
		"stoa_object_open_array stoa_object_open_array_", NULL,
		open_array),
	CASE("stoa_object_create_with",
		"stoa_object_create_with stoa_object_create_with_", NULL,
		create_with),
	CASE("stoa_object_reserve", "stoa_object_reserve", some_objects,
		reserve),
	CASE("stoa_object_shrink", "stoa_object_shrink", reserved, shrink),
};

int
main(int argc, char **argv)
{
	return crash_main("object", cases, COUNT(cases), argc, argv);
}
