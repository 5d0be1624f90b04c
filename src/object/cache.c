/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does this process know of types already?
 *
 *	ids     512 chains, one for the process   description -> id
 *	known   64 chains, one for each mapping   id -> read description
 *
 * Both are chains of entries that are pushed by one compare-and-swap and never
 * unlinked, so reading takes no lock and a fork at any time finds them whole. An
 * entry of `ids` whose description is gone is emptied and used again. `known`
 * goes with its mapping.
 *
 * A description can go with the library that holds it (dlclose) and another one
 * come to its place; so an entry keeps a few words of what it has seen, and a
 * description that looks different is computed anew.
 *
 * Progress: lock-free.
 */
#include <stdlib.h>
#include "object/cache.h"
#include "object/object.h"

enum {
	IDS_CHAINS = 512,
	KNOWN_CHAINS = 64
};

struct id_entry {
	struct id_entry *next;
	uint64_t type; /* address; 0: free, 1: being filled */
	uint64_t id;
	const char *name; /* fingerprint, with the next two */
	const stoa_field *fields;
	uint32_t size;
};

static void *ids_chain[IDS_CHAINS];

struct known {
	struct known *next;
	uint64_t id;
	const stoa_type *type; /* NULL: a mark that the id is stored */
	void *memory;
};

struct known_table {
	void *chain[KNOWN_CHAINS];
};

static size_t
ids_slot(const stoa_type *type)
{
	uint64_t x = (uint64_t)(uintptr_t)type * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x >> 40) % IDS_CHAINS;
}

/* ---- ids ---- */

uint64_t
stoai_ids_find(const stoa_type *type)
{
	const struct id_entry *e = ap_load_acquire(&ids_chain[ids_slot(type)]);

	for (; e; e = e->next)
		/* pairs with: fill, store of type */
		if (a64_load_acquire(&e->type) == (uint64_t)(uintptr_t)type &&
			e->name == type->name && e->fields == type->fields &&
			e->size == type->size)
			return a64_load_relaxed(&e->id);
	return 0;
}

static void
id_entry_fill(struct id_entry *e, const stoa_type *type, uint64_t id)
{
	e->name = type->name;
	e->fields = type->fields;
	e->size = type->size;
	a64_store_relaxed(&e->id, id);
	/* pairs with: stoai_ids_find */
	a64_store_release(&e->type, (uint64_t)(uintptr_t)type);
}

void
stoai_ids_add(const stoa_type *type, uint64_t id)
{
	void **chain = &ids_chain[ids_slot(type)];
	struct id_entry *e;
	void *next;

	stoai_ids_remove(type); /* what another description left at its place */
	for (e = ap_load_acquire(chain); e; e = e->next) {
		uint64_t none = 0;

		if (a64_cas_seq_cst(&e->type, &none, 1)) {
			id_entry_fill(e, type, id);
			return;
		}
	}
	e = calloc(1, sizeof *e);
	if (!e)
		return;
	id_entry_fill(e, type, id);
	next = ap_load_acquire(chain);
	do
		e->next = next;
	while (!ap_cas_seq_cst(chain, &next, e));
}

void
stoai_ids_remove(const stoa_type *type)
{
	struct id_entry *e = ap_load_acquire(&ids_chain[ids_slot(type)]);

	for (; e; e = e->next) {
		uint64_t mine = (uint64_t)(uintptr_t)type;

		(void)a64_cas_seq_cst(&e->type, &mine, 0);
	}
}

/* ---- known ---- */

static struct known_table *
known_table(stoa_segment *seg)
{
	void *none = NULL, *fresh, *table = ap_load_acquire(&seg->types_cache);

	if (table)
		return table;
	fresh = calloc(1, sizeof(struct known_table));
	if (!fresh)
		return NULL;
	if (ap_cas_seq_cst(&seg->types_cache, &none, fresh))
		return fresh;
	free(fresh);
	return none;
}

static const struct known *
known_find(const stoa_segment *seg, uint64_t id, bool mark)
{
	struct known_table *table = ap_load_acquire(&seg->types_cache);
	const struct known *k;

	if (!table)
		return NULL;
	k = ap_load_acquire(&table->chain[id % KNOWN_CHAINS]);
	for (; k; k = k->next)
		if (k->id == id && (k->type == NULL) == mark)
			return k;
	return NULL;
}

static bool
known_add(stoa_segment *seg, uint64_t id, const stoa_type *type, void *memory)
{
	struct known_table *table = known_table(seg);
	struct known *k = table ? calloc(1, sizeof *k) : NULL;
	void *next, **chain;

	if (!k)
		return false;
	k->id = id;
	k->type = type;
	k->memory = memory;
	chain = &table->chain[id % KNOWN_CHAINS];
	next = ap_load_acquire(chain);
	do
		k->next = next;
	while (!ap_cas_seq_cst(chain, &next, k));
	return true;
}

const stoa_type *
stoai_known_type(const stoa_segment *seg, uint64_t id)
{
	const struct known *k = known_find(seg, id, false);

	return k ? k->type : NULL;
}

bool
stoai_known_type_add(
	stoa_segment *seg, uint64_t id, const stoa_type *type, void *memory)
{
	return known_add(seg, id, type, memory);
}

bool
stoai_known_stored(const stoa_segment *seg, uint64_t id)
{
	return known_find(seg, id, true) != NULL;
}

void
stoai_known_stored_add(stoa_segment *seg, uint64_t id)
{
	if (!stoai_known_stored(seg, id))
		(void)known_add(seg, id, NULL, NULL);
}

void
stoai_object_segment_end(stoa_segment *seg)
{
	struct known_table *table = ap_load_acquire(&seg->types_cache);

	for (size_t i = 0; table && i < KNOWN_CHAINS; i++) {
		struct known *k = table->chain[i];

		while (k) {
			struct known *next = k->next;

			if (k->type)
				stoai_ids_remove(k->type);
			free(k->memory);
			free(k);
			k = next;
		}
	}
	free(table);
	seg->types_cache = NULL;
}
