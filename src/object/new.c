/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Unnamed objects: stoa_new and stoa_delete. They need the description, so they
 * stand here and not in tx.
 */
#include <stdlib.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/object.h"

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

void
stoa_tx_delete_(stoa_tx *tx, const stoa_type *type, const void *p)
{
	uint64_t id, off;
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
	if (stoai_heap_usable(tx->seg, off) < type->size) {
		(void)stoai_tx_fail(
			tx, stoai_error(-EFAULT,
				    "stoa_delete: %s at %#llx in '%s' was not "
				    "made by "
				    "stoa_new",
				    type->name, (unsigned long long)off,
				    stoai_name(tx->seg)));
		return;
	}
	if (stoai_type_clear(tx, type, p))
		(void)stoai_tx_free(tx, off);
}
