/* SPDX-License-Identifier: BSL-1.0 */
/* Reading: from a reference to memory that may be read, or a failed scope. */
#include "tx/local.h"

/*
 * A reference that was read without a lock is followed only if nobody wrote since
 * the scope began: so it was true, and leads to a block, not to pages that trimming
 * took; and a walk over what is being changed ends here.
 */
static bool
still_true(const stoa_tx *rd)
{
	int rc = stoai_tx_watch_check(rd);

	if (rc)
		(void)stoai_tx_fail(rd, rc);
	return !rc;
}

const void *
stoa_at(const stoa_tx *rd, stoa_ref ref, size_t size)
{
	if (stoai_unlikely(!stoai_tx_reads(rd)) || !ref.off)
		return NULL;
	if (stoai_unlikely(!rd->seat) && !still_true(rd))
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
