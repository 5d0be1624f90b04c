/* SPDX-License-Identifier: BSL-1.0 */
/* A region, for this folder alone. */
#ifndef STOAI_REGION_REGION_H
#define STOAI_REGION_REGION_H
#include "region/backing.h"
#include "stoa/region.h"

enum stoai_region_source {
	STOAI_REGION_NAMED,
	STOAI_REGION_FILE,
	STOAI_REGION_POSIX,
	STOAI_REGION_MEMFD,
	STOAI_REGION_GIVEN,
	STOAI_REGION_ANONYMOUS,
	STOAI_REGION_XSI,
	STOAI_REGION_OWN
};

/*
 *	base                                   base + span: whole pages
 *	|------ at ------|======= size =======|---|
 *	                 data
 */
struct stoa_region { /* local */
	stoa_region_backing
		kind; /* ours or the caller's, told apart by nothing */
	void *user;   /* its argument: the region itself, if ours */
	char *base;   /* NULL: nothing is mapped */
	size_t span, at, size;
	uint64_t offset; /* of data in the backing */
	size_t page;
	unsigned flags;
	int map_flags;
	bool fixed; /* it must not move */
	bool huge;  /* wished for, when it is made */
	enum stoai_region_source source;
	struct stoai_backing file; /* fd -1: no file */
	uint64_t made;             /* anonymous: its size */
	int xsi_id;                /* -1: none */
	bool xsi_made;             /* by us, just now */
	char name[];               /* as given */
};

/* Options of a caller into ours, by their struct_size; least: what has to be there. */
int stoai_region_options_take(const void *given, size_t given_size,
	size_t least, void *ret, size_t size);
/* For error texts: its name, or what it is. */
const char *stoai_region_shown(const stoa_region *r);
/* Maps `span` bytes from r's first page on, at address or (NULL) anywhere. */
int stoai_region_map(stoa_region *r, size_t span, void *address,
	uint64_t offset, void **ret);

/* ---- kinds.c: what r->source needs ---- */

/* Makes or opens what o says; what has a name is not visible yet, XSI excepted. */
int stoai_region_make(
	stoa_region *r, const char *name, const stoa_region_options *o);
int stoai_region_find(
	stoa_region *r, const char *name, const stoa_region_options *o);
/* Now it is. -EEXIST: somebody was first. */
int stoai_region_publish(stoa_region *r, const stoa_region_options *o);
/* What was made and not published is gone. */
void stoai_region_discard(stoa_region *r);
int stoai_region_remove(enum stoai_region_source source, const char *name,
	const stoa_region_options *o);

#endif
