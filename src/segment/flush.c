/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Files across a restart of the machine: was this file closed and written out
 * when the machine stopped, or may it be a mix of old and new pages?
 *
 * Every process that has a file segment open for writing holds a shared lock on
 * one byte of it. Who closes and can take that lock alone is the last: it writes
 * everything out, then sets `clean`, then writes that out. Who opens takes the
 * shared lock, then clears `clean` and notes this boot.
 *
 * Killed anywhere: `clean` is 0, or everything before it was written.
 */
#include "segment/flush.h"
#include "os/os.h"
#include "region/backing.h"

int
stoai_segment_in_use(stoa_segment *seg)
{
	struct stoai_header *h = stoai_header(seg);
	uint8_t boot[16];
	int rc;

	if (seg->backing != STOAI_BACKING_FILE || seg->readonly)
		return 0;
	/* somebody may be writing it out at this moment */
	for (int tries = 0;; tries++) {
		rc = stoai_os_lock_byte(
			seg->fd, STOAI_USER_BYTE, STOAI_LOCK_SHARED);
		if (rc != -EAGAIN || tries == 10000)
			break;
		stoai_os_sleep(1000000);
	}
	if (!rc)
		rc = stoai_os_boot_id(boot);
	if (rc)
		return stoai_error(rc, "%s: cannot be locked for use: %s",
			stoai_name(seg), stoa_strerror(rc));
	if (!a32_load_relaxed(&h->clean) &&
		!memcmp(h->boot_id, boot, sizeof boot))
		return 0;
	a32_store_release(&h->clean, 0);
	memcpy(h->boot_id, boot, sizeof boot);
	/* before any change: or new pages might meet an old "clean" on the disk */
	rc = stoai_os_sync(seg->base, STOAI_HEADER_SIZE);
	return rc ? stoai_error(rc, "%s: cannot be written: %s",
			    stoai_name(seg), stoa_strerror(rc))
		  : 0;
}

void
stoai_segment_flush_last(stoa_segment *seg)
{
	struct stoai_header *h = stoai_header(seg);
	uint64_t used = a64_load_acquire(&h->committed);

	if (stoai_os_lock_byte(seg->fd, STOAI_USER_BYTE, STOAI_LOCK_EXCLUSIVE))
		return; /* others have it open: one of them is the last */
	(void)stoai_sweep(seg, true);
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (a32_load_relaxed(&stoai_slot_at(seg, i)->paged) &&
			a32_load_relaxed(stoai_token_at(seg, i)))
			return; /* a dead thread's work is not undone yet */
	if (used > seg->size || stoai_os_sync(seg->base, used))
		return;
	a32_store_release(&h->clean, 1);
	(void)stoai_os_sync(seg->base, STOAI_HEADER_SIZE);
}
