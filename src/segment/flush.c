/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Use: who has this segment open, and what does the last one do?
 *
 *	USER_BYTE    shared: every process that may write it
 *	READER_BYTE  shared: every process that reads it only
 *
 * Both are locks that the kernel drops when a process is gone. Who closes gives its
 * own up and then tries for the whole byte: of two that leave at the same time one
 * gets it, which it would not if both kept theirs while they tried. That one is the
 * last. Of a file it writes everything out, then sets `clean`, then writes that
 * out; who opens takes the shared lock, then clears `clean` and notes this boot. Of
 * a last-one-out segment it removes the name, if that still leads there. Who opens
 * such a one and gets the whole byte has found what a killed last user left, and
 * removes the name in its place; who waited meanwhile looks whether the name is
 * still the same.
 *
 * Killed anywhere: `clean` is 0, or everything before it was written; the name is
 * there, and nobody uses it, which the next one sees.
 */
#include "segment/flush.h"
#include "os/os.h"
#include "region/backing.h"
#include "segment/registry.h"

static bool
counted(const stoa_segment *seg)
{
	return seg->fd >= 0 && !seg->caller_memory;
}

/* Somebody may be writing it out, cutting it or removing it at this moment. */
static int
byte_share(int fd, uint64_t byte)
{
	for (int tries = 0;; tries++) {
		int rc = stoai_os_lock_byte(fd, byte, STOAI_LOCK_SHARED);

		if (rc != -EAGAIN || tries == 10000)
			return rc == -ENOTSUP ? 0 : rc;
		stoai_os_sleep(1000000);
	}
}

static int
bytes_alone(const stoa_segment *seg)
{
	int rc = stoai_os_lock_byte(
		seg->fd, STOAI_USER_BYTE, STOAI_LOCK_EXCLUSIVE);

	if (!rc)
		rc = stoai_os_lock_byte(
			seg->fd, STOAI_READER_BYTE, STOAI_LOCK_EXCLUSIVE);
	return rc == -EAGAIN
		       ? stoai_error(-EBUSY, "%s: another process has it open",
				 stoai_name(seg))
		       : rc;
}

static int
file_in_use(stoa_segment *seg)
{
	struct stoai_header *h = stoai_header(seg);
	uint8_t boot[16];
	int rc = stoai_os_boot_id(boot);

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

int
stoai_segment_in_use(stoa_segment *seg, bool alone)
{
	int rc;

	if (!counted(seg))
		return 0;
	if (alone)
		rc = bytes_alone(seg);
	else
		rc = byte_share(seg->fd,
			seg->readonly ? STOAI_READER_BYTE : STOAI_USER_BYTE);
	if (rc == -EBUSY)
		return rc;
	if (rc)
		return stoai_error(rc, "%s: cannot be locked for use: %s",
			stoai_name(seg), stoa_strerror(rc));
	return seg->backing == STOAI_BACKING_FILE && !seg->readonly
		       ? file_in_use(seg)
		       : 0;
}

bool
stoai_segment_alone(const stoa_segment *seg)
{
	return counted(seg) && stoai_registry_only(seg) &&
	       stoai_os_probe_byte(seg->fd, STOAI_USER_BYTE) == STOAI_LOCK_NONE;
}

/* ---- the last one ---- */

static void
write_out(stoa_segment *seg)
{
	struct stoai_header *h = stoai_header(seg);
	uint64_t used = a64_load_acquire(&h->committed);

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

void
stoai_segment_last_use(stoa_segment *seg)
{
	if (!counted(seg) || seg->readonly)
		return;
	(void)stoai_os_lock_byte(seg->fd, STOAI_USER_BYTE, STOAI_LOCK_NONE);
	if (stoai_os_lock_byte(seg->fd, STOAI_USER_BYTE, STOAI_LOCK_EXCLUSIVE))
		return; /* others have it open: one of them is the last */
	if (seg->backing == STOAI_BACKING_FILE)
		write_out(seg);
	if (seg->path &&
		a32_load_relaxed(&stoai_header(seg)->flags) &
			STOAI_SEGMENT_LAST_OUT &&
		!stoai_path_current(seg->path, seg->device, seg->inode))
		(void)stoai_os_unlink(seg->path);
}

bool
stoai_segment_orphaned(int fd, const struct stoai_header *h)
{
	int rc;

	if (!(h->flags & STOAI_SEGMENT_LAST_OUT))
		return false;
	rc = stoai_os_lock_byte(fd, STOAI_USER_BYTE, STOAI_LOCK_EXCLUSIVE);
	if (rc == -EBADF) /* open for reading: one can ask at least */
		return stoai_os_probe_byte(fd, STOAI_USER_BYTE) ==
		       STOAI_LOCK_NONE;
	return !rc;
}

int
stoa_segment_flush(stoa_segment *seg)
{
	int rc;

	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_flush: no segment");
	if (seg->fd < 0 || seg->readonly)
		return 0;
	rc = stoai_os_sync(seg->base, stoai_committed(seg));
	return rc ? stoai_error(rc, "%s: cannot be written to the disk: %s",
			    stoai_name(seg), stoa_strerror(rc))
		  : 0;
}
