/* SPDX-License-Identifier: BSL-1.0 */
/* Reading: from a reference to memory that may be read, or a failed scope. */
#include "tx/local.h"

const void *
stoa_at(const stoa_tx *rd, stoa_ref ref, size_t size)
{
	if (stoai_unlikely(!stoai_tx_reads(rd)) || !ref.off)
		return NULL;
	if (stoai_likely(stoai_in_heap(rd->seg, ref.off, size)))
		return stoai_at(rd->seg, ref.off);
	(void)stoai_tx_damaged(rd,
		"a reference leads to %#llx, outside the heap",
		(unsigned long long)ref.off);
	return NULL;
}

stoa_ref
stoa_ref_of(const stoa_tx *rd, const void *p)
{
	stoa_ref ref = {0};

	if (p && stoai_tx_reads(rd) && stoai_tx_inside(rd, p, 1))
		ref.off = stoai_off(rd->seg, p);
	return ref;
}
