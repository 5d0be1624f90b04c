/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Objects without a name: stoa_new, stoa_new_array; and stoa_delete, which takes an
 * object of any kind by its address. They need the description, so they stand here
 * and not in tx.
 *
 * A single one is a block and no more. Where an address is inside a block, the
 * block's entry says what it is (entry.c).
 */
#include <stdlib.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/index.h"

void *
stoa_tx_new_(stoa_tx *tx, const stoa_type *type)
{
	void *p = NULL;
	uint64_t id;
	int rc;

	if (stoai_tx_writes(tx)) {
		rc = stoai_type_identify(type, &id);
		if (rc)
			(void)stoai_tx_fail(tx, rc);
		else
			p = stoai_tx_alloc(tx, type->size,
				stoai_max(type->align, STOAI_BLOCK_MIN));
	}
	return p ? p : stoai_scratch(type ? type->size : 1, NULL);
}

void *
stoa_new_array_(stoa_tx *tx, const stoa_type *type, uint64_t count)
{
	struct stoai_entry *e = NULL;

	if (stoai_tx_writes(tx))
		e = stoai_entry_new(tx, NULL, 0, type, count);
	return e ? stoai_entry_elements(e)
		 : stoai_elements_scratch(type, count);
}

static void
delete_fails(stoa_tx *tx, const stoa_type *type, uint64_t off)
{
	(void)stoai_tx_fail(
		tx, stoai_error(-EFAULT,
			    "stoa_delete: %s at %#llx in '%s' was not made by "
			    "stoa_new, nor is it an object",
			    type->name, (unsigned long long)off,
			    stoai_name(tx->seg)));
}

/* With an entry: named, unique, or an array. */
static void
delete_entry(stoa_tx *tx, const stoa_type *type, uint64_t id, const void *p)
{
	const struct stoai_entry *e = stoai_entry_seen(tx, p);
	uint64_t off = e ? stoai_off(tx->seg, e) : 0;
	const char *name = e ? e->name : NULL;
	uint32_t size = e ? a32_load_relaxed(&e->name_size) : 0;

	if (e && size)
		e = stoai_entry_at(tx, off);
	if (stoa_tx_error(tx))
		return;
	if (!e || (size && stoai_index_find(tx, name, size) != off))
		delete_fails(tx, type, stoai_off(tx->seg, p));
	else if (a64_load_relaxed(&e->type_id) != id)
		(void)stoai_tx_fail(tx,
			stoai_error(-EPROTOTYPE,
				"stoa_delete: at %#llx in '%s' begins no %s, "
				"but another type",
				(unsigned long long)stoai_off(tx->seg, p),
				stoai_name(tx->seg), type->name));
	else if (size)
		(void)stoai_object_remove(tx, e);
	else
		(void)stoai_entry_delete(tx, e);
}

void
stoa_tx_delete_(stoa_tx *tx, const stoa_type *type, const void *p)
{
	uint64_t id, off, usable;
	int rc;

	if (!p || !stoai_tx_writes(tx))
		return;
	rc = stoai_type_identify(type, &id);
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return;
	}
	if (!stoai_tx_inside(tx, p, type->size))
		return;
	off = stoai_off(tx->seg, p);
	usable = stoai_heap_usable(tx->seg, off);
	if (usable >= type->size) { /* a block of its own */
		if (stoai_type_clear(tx, type, p))
			(void)stoai_tx_free_found(tx, off);
	} else if (usable) {
		delete_fails(tx, type, off);
	} else {
		delete_entry(tx, type, id, p);
	}
}
