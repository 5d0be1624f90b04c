/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Failure: may this thread do this in this scope, and what has gone wrong in it?
 *
 * The first failure sticks. A scope object lies in its thread's wiped page: a fork
 * child reads zeros there, another thread's `self` differs, so neither can use or
 * fail what is not its own. In a read-only mapping what looks damaged may only be
 * torn: if a writer came between, the scope fails with -EAGAIN.
 */
#include <stdarg.h>
#include <stdio.h>
#include "tx/local.h"

int
stoai_tx_mine(const struct stoa_tx *tx)
{
	if (!tx->self || tx->self != stoai_self || tx->state == STOAI_TX_CLOSED)
		return tx->error
			       ? tx->error
			       : stoai_error(-EPERM,
					 "this transaction belongs to another "
					 "thread, or to the parent process");
	if (tx->state == STOAI_TX_OVER)
		return tx->error ? tx->error
				 : stoai_error(-EPERM,
					   "this transaction is over already");
	return 0;
}

int(stoai_tx_fail)(const stoa_tx *rd, int error)
{
	struct stoa_tx *tx = (struct stoa_tx *)(uintptr_t)rd;
	int rc;

	if (tx->error)
		return tx->error;
	rc = stoai_tx_mine(tx);
	if (rc) /* not this thread's to fail */
		return rc;
	stoai_view_empty(tx);
	tx->error = error ? error : -EINVAL;
	return tx->error;
}

int
stoa_tx_fail(const stoa_tx *rd, int error)
{
	/* an older failure may be why the program came to this one */
	int rc = stoa_tx_error(rd);

	if (rc)
		return rc;
	if (error > 0) /* an errno as the system has it */
		error = -error;
	if (error)
		(void)stoai_error(error, "%s", stoa_strerror(error));
	else
		error = stoai_error(
			-EINVAL, "stoa_tx_fail: 0 is no error to fail with");
	return stoai_tx_fail(rd, error);
}

int
stoa_tx_error(const stoa_tx *rd)
{
	int rc = rd->error;

	if (!rc && rd->state == STOAI_TX_CLOSED)
		return stoai_tx_mine(rd);
	if (!rc && stoai_unlikely(rd->watched_count != 0)) {
		rc = stoai_tx_watch_check(rd);
		if (rc)
			rc = stoai_tx_fail(rd, rc);
	}
	return rc;
}

/* ---- may it? ---- */

bool
stoai_tx_reads_not(const stoa_tx *rd)
{
	(void)stoai_tx_mine(rd); /* for its text */
	return false;
}

bool
stoai_tx_writes_not(stoa_tx *tx)
{
	if (!tx->error && !stoai_tx_mine(tx)) {
		stoai_view_empty(tx);
		tx->error = tx->state == STOAI_TX_READS
				    ? stoai_error(-EROFS,
					      "a change in a read scope")
				    : stoai_error(-EBUSY,
					      "a change while a transaction "
					      "inside this one "
					      "is open");
	}
	return false;
}

int(stoai_tx_damaged)(const stoa_tx *rd, const char *format, ...)
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

bool
stoai_tx_outside(const stoa_tx *rd, const void *p)
{
	(void)stoai_tx_fail(
		rd, stoai_error(-EFAULT, "%s: %p is not in the segment's heap",
			    stoai_name(rd->seg), p));
	return false;
}
