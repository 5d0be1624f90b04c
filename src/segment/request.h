/* SPDX-License-Identifier: BSL-1.0 */
/* One call with a name, flags and options, digested. See request.c. */
#ifndef STOAI_SEGMENT_REQUEST_H
#define STOAI_SEGMENT_REQUEST_H
#include "region/backing.h"
#include "stoa/segment.h"

struct stoai_request {
	const char *name;
	unsigned flags;
	stoa_segment_options options;
	enum stoai_backing_kind kind;
	bool alone;                /* nobody else may have it open: resize.c */
	char path[STOAI_PATH_MAX]; /* "": it has none */
};

/* 0, or -EINVAL, -E2BIG, -ENAMETOOLONG, -EPERM (of the directory), with a text. */
int stoai_request_take(struct stoai_request *r, const char *name,
	unsigned flags, const stoa_segment_options *options);
int stoai_options_take(
	const stoa_segment_options *given, stoa_segment_options *ret);

#endif
