/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Resizing by name: how does a segment that nobody has open get longer or shorter?
 *
 *	alone      both use bytes whole: -EBUSY, or nobody can open it meanwhile
 *	recover    what the dead left
 *	grow       as it grows by itself, to the size that is wanted
 *	shrink     trim, then cut the file where the heap ends
 *
 * Growing and trimming are what they are while others work, each true by one store.
 * Cutting the file is not: somebody might believe in its old end, and would be
 * killed by a signal there. So it is done only here, and after the heap's end
 * has moved: who is killed in between leaves a file that is too long, as trimming does.
 */
#include <stdlib.h>
#include "os/os.h"
#include "segment/open.h"
#include "segment/upper.h"

static int
shrink(struct stoai_seat *seat)
{
	stoa_segment *seg = seat->seg;
	int64_t bytes = stoai_upper.trim(seat);
	int rc;

	if (bytes < 0)
		return (int)bytes;
	rc = stoai_os_truncate(seg->fd, stoai_committed(seg));
	return rc ? stoai_error(rc, "%s: its file cannot be cut: %s",
			    stoai_name(seg), stoa_strerror(rc))
		  : 0;
}

static int64_t
resize(stoa_segment *seg, uint64_t size)
{
	struct stoai_seat *seat;
	uint64_t now;
	int rc;

	(void)stoai_sweep(seg, true);
	rc = stoai_attach(seg, STOA_NOW, &seat);
	if (!rc)
		rc = stoai_segment_usable(seg);
	now = stoai_committed(seg) - seg->heap_off;
	if (!rc && size < now)
		rc = shrink(seat);
	now = stoai_committed(seg) - seg->heap_off;
	if (!rc && size > now)
		rc = stoai_upper.grow(seat, size - now);
	now = stoai_committed(seg) - seg->heap_off;
	stoa_segment_detach(seg);
	return rc ? rc : (int64_t)now;
}

int64_t
stoa_segment_resize(const char *name, unsigned flags,
	const stoa_segment_options *options, uint64_t size)
{
	struct stoai_request *r;
	stoa_segment *seg = NULL;
	int64_t rc;

	stoai_error_clear();
	if (!name || flags & ~(unsigned)STOA_FILE)
		return stoai_error(
			-EINVAL, "stoa_segment_resize: name or flags");
	r = malloc(sizeof *r);
	if (!r)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_request_take(r, name, flags, options);
	r->alone = true;
	if (!rc && !r->path[0])
		rc = stoai_error(-EINVAL,
			"stoa_segment_resize: it is told by its name alone");
	if (!rc)
		rc = stoai_segment_open(r, &seg);
	free(r);
	if (rc)
		return rc;
	rc = resize(seg, size);
	stoa_segment_close(seg);
	return rc < 0 ? stoai_error_left((int)rc) : rc;
}
