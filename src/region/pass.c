/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Passing on: how does another process get a region's memory without a name, and
 * what can it do with it?
 *
 * A descriptor carries the rights that it was opened with, whatever the mode of the
 * file; so a read-only one is opened anew. Whoever owns a memfd can open it anew in
 * turn, by /proc, and for writing: against that there is STOA_SEAL_FUTURE_WRITE.
 */
#include "os/os.h"
#include "region/region.h"

int
stoa_region_seal(stoa_region *r, uint32_t seals)
{
	const int fd = stoa_region_fd(r);
	/* a file of tmpfs would say EPERM, as if it had been one once */
	const bool can = r->source == STOAI_REGION_MEMFD ||
			 r->source == STOAI_REGION_GIVEN;
	int rc = fd < 0 || !can ? -EINVAL : stoai_os_seal(fd, seals);
	const char *hint = "";

	if (!rc)
		return 0;
	if (rc == -EINVAL)
		hint = "; only a memfd can be sealed (no name, STOA_CREATE),"
		       " and STOA_SEAL_FUTURE_WRITE needs Linux 5.1";
	else if (rc == -EBUSY)
		hint = "; somebody has a writable mapping:"
		       " STOA_SEAL_FUTURE_WRITE leaves those alone";
	else if (rc == -EPERM)
		hint = "; it is sealed against seals, or not for writing";
	return stoai_error(rc, "%s: cannot seal it (%#x): %s%s",
		stoai_region_shown(r), (unsigned)seals, stoai_errno_text(rc),
		hint);
}

int
stoa_region_export(const stoa_region *r, unsigned flags)
{
	int fd = stoa_region_fd(r), rc;

	if (flags & ~(unsigned)STOA_RDONLY)
		return stoai_error(-EINVAL, "unknown flags %#x", flags);
	if (fd < 0)
		return stoai_error(-ENOTSUP,
			"%s has no descriptor to pass on: anonymous memory is"
			" for fork, XSI memory has a number",
			stoai_region_shown(r));
	rc = flags & STOA_RDONLY ? stoai_os_reopen(fd, false)
				 : stoai_os_duplicate(fd);
	return rc < 0 ? stoai_error(rc, "%s: no other descriptor of it: %s%s",
				stoai_region_shown(r), stoai_errno_text(rc),
				rc == -ENOTSUP ? "; /proc is needed" : "")
		      : rc;
}

int
stoa_fd_send(int socket, int fd)
{
	int rc = stoai_os_send_fd(socket, fd);

	return rc ? stoai_error(rc,
			    "cannot send descriptor %d through socket %d: %s%s",
			    fd, socket, stoai_errno_text(rc),
			    rc == -EPIPE || rc == -ECONNRESET
				    ? "; nobody is at its other end"
				    : "")
		  : 0;
}

int
stoa_fd_receive(int socket)
{
	int fd = stoai_os_receive_fd(socket);

	if (fd >= 0)
		return fd;
	return stoai_error(fd, "no descriptor from socket %d: %s", socket,
		fd == -ENODATA   ? "its other end is closed"
		: fd == -EBADMSG ? "a message came without one; who is it that"
				   " sends?"
				 : stoai_errno_text(fd));
}
