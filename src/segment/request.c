/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The request: what do a name, flags and options ask for, and do they go together?
 *
 * Nothing is opened or made here, except the directories of a name that is to be
 * created. Every mistake has its own text.
 */
#include "segment/request.h"
#include <stdio.h>
#include <string.h>

int
stoai_options_take(const stoa_segment_options *given, stoa_segment_options *ret)
{
	memset(ret, 0, sizeof *ret);
	if (!given)
		return 0;
	if (given->struct_size < offsetof(stoa_segment_options, mode))
		return stoai_error(-EINVAL,
			"options: fill them with STOA_SEGMENT_OPTIONS(...), "
			"which sets struct_size");
	for (size_t i = sizeof *ret; i < given->struct_size; i++)
		if (((const char *)given)[i])
			return stoai_error(-E2BIG,
				"options of a newer version of the library ask "
				"for something this one does not know");
	memcpy(ret, given, stoai_min(sizeof *ret, given->struct_size));
	return 0;
}

static int
kind_of(struct stoai_request *r)
{
	const stoa_segment_options *o = &r->options;
	bool create = r->flags & STOA_CREATE;

	if (r->flags & ~(unsigned)(STOA_CREATE | STOA_EXCL | STOA_RDONLY |
				   STOA_FILE | STOA_LOCAL | STOA_CHECKED |
				   STOA_PRIVATE | STOA_LAST_OUT))
		return stoai_error(-EINVAL, "unknown flags %#x", r->flags);
	if (create && r->flags & STOA_RDONLY)
		return stoai_error(-EINVAL,
			"STOA_CREATE and STOA_RDONLY exclude each other");
	if (r->flags & STOA_PRIVATE &&
		r->flags & (STOA_CREATE | STOA_RDONLY | STOA_LOCAL))
		return stoai_error(-EINVAL,
			"STOA_PRIVATE copies a segment that is there and can "
			"be written: it goes without STOA_CREATE, STOA_LOCAL "
			"and STOA_RDONLY");
	if (r->flags & STOA_LAST_OUT &&
		(!create || !r->name || o->fd > 0 || o->buffer))
		return stoai_error(-EINVAL,
			"STOA_LAST_OUT goes with STOA_CREATE and a name");
	if (o->buffer) {
		r->kind = STOAI_BACKING_BUFFER;
		return (uintptr_t)o->buffer % 64 || r->name
			       ? stoai_error(-EINVAL,
					 "options.buffer: aligned to "
					 "64 bytes, and no name")
			       : 0;
	}
	if (r->flags & STOA_LOCAL) {
		r->kind = STOAI_BACKING_LOCAL;
		return !create || r->name
			       ? stoai_error(-EINVAL, "STOA_LOCAL goes with "
						      "STOA_CREATE and no name")
			       : 0;
	}
	if (o->fd > 0) {
		r->kind = STOAI_BACKING_GIVEN;
		return 0;
	}
	if (!r->name) {
		r->kind = STOAI_BACKING_MEMFD;
		return !create ? stoai_error(-EINVAL,
					 "without a name a segment "
					 "can only be created")
			       : 0;
	}
	r->kind =
		r->flags & STOA_FILE ? STOAI_BACKING_FILE : STOAI_BACKING_NAMED;
	if (r->kind == STOAI_BACKING_FILE) {
		if (snprintf(r->path, sizeof r->path, "%s", r->name) >=
			(int)sizeof r->path)
			return stoai_error(
				-ENAMETOOLONG, "the path is too long");
		return r->path[0] ? 0
				  : stoai_error(-EINVAL, "the path is empty");
	}
	return stoai_backing_path(
		r->name, o->directory, o->domain, create, r->path);
}

int
stoai_request_take(struct stoai_request *r, const char *name, unsigned flags,
	const stoa_segment_options *options)
{
	int rc = stoai_options_take(options, &r->options);

	r->name = name;
	r->flags = flags;
	r->alone = false;
	r->path[0] = '\0';
	if (!rc)
		rc = kind_of(r);
	if (!rc && r->options.mode & ~07777u)
		rc = stoai_error(-EINVAL, "options.mode has bits beyond 07777");
	return rc;
}
