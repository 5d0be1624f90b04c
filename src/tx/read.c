/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Reading: from a reference to memory that may be read, or a failed scope.
 * In a read-only mapping what looks damaged may only be torn: if a writer came
 * between, the scope fails with -EAGAIN, which means "read again".
 */
#include <stdarg.h>
#include <stdio.h>
#include "tx/local.h"

static int
not_readable(const struct stoa_tx *tx)
{
	if (!tx->self || tx->self != stoai_self || tx->state == STOAI_TX_CLOSED)
		return stoai_error(-EPERM,
			"a read in a scope of another thread or of the parent "
			"process");
	return stoai_error(-EPERM, "a read in a scope that is over");
}

bool
stoai_tx_reads(const stoa_tx *rd)
{
	if (stoai_likely((rd->state == STOAI_TX_READS
				 || rd->state == STOAI_TX_WRITES)
			&& !rd->error && rd->self == stoai_self))
		return true;
	if (!rd->error)
		(void)stoai_tx_fail(rd, not_readable(rd));
	return false;
}

int
stoai_tx_damaged(const stoa_tx *rd, const char *format, ...)
{
	char text[256];
	va_list ap;
	int rc = rd->watched_count ? stoai_tx_watch_check(rd) : 0;

	if (!rc) {
		va_start(ap, format);
		(void)vsnprintf(text, sizeof text, format, ap);
		va_end(ap);
		rc = stoai_error(-EBADMSG, "%s: damaged: %s",
			rd->seg ? stoai_name(rd->seg) : "?", text);
	}
	return stoai_tx_fail(rd, rc);
}

const void *
stoa_at(const stoa_tx *rd, stoa_ref ref, size_t size)
{
	if (stoai_unlikely(!stoai_tx_reads(rd)) || !ref.off)
		return NULL;
	if (stoai_likely(stoai_in_heap(rd->seg, ref.off, size)))
		return stoai_at(rd->seg, ref.off);
	(void)stoai_tx_damaged(rd, "a reference leads to %#llx, outside the heap",
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
